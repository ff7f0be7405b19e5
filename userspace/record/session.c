/* SPDX-License-Identifier: BSD-2-Clause */
/* A recording from beginning to end. */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "message.h"
#include "record/attach.h"
#include "record/calibrate.h"
#include "record/drain.h"
#include "record/launch.h"
#include "record/machine.h"
#include "record/tape_path.h"
#include "sites/inventory.h"

#define DRAIN_PERIOD_MS 5
#define RSS_PERIOD_NS 50000000      /* the issue of a curve is its shape: twenty points a second */
#define FLUSH_PERIOD_NS 500000000   /* a killed recorder loses at most this much, and a block */
#define RESCAN_PERIOD_NS 1000000000 /* for new allocators where mappings are not traced */
#define RING_NBYTES_TOTAL (256u << 20)
#define RING_NBYTES_MAX (16u << 20)
#define RING_NBYTES_MIN (256u << 10)
#define INVENTORIES_MAX 64 /* one, and one for each exec */

/* An allocator whose sites stand. */
struct placed {
	const struct allocator *a;
	uint64_t dev, inode;
};

struct session {
	const struct session_opts *opts;
	struct session_result *res;
	struct process process;
	struct launch launch;
	struct kernel kernel;
	struct attach *attach;
	struct inventory *inventories[INVENTORIES_MAX]; /* kept to the end: sites point into their plans */
	unsigned nr_inventories;
	struct placed placed[HT_OBJECTS_MAX]; /* index: object number */
	unsigned nr_placed;
	struct tape_writer *writer;
	struct drain *drain;
	struct ledger *ledger;
	int signal_fd;
	sigset_t old_mask;
	uint64_t start_ns, end_ns;
	uint64_t next_rss_ns, next_flush_ns, next_rescan_ns;
	struct ht_counters counted; /* as of the last look */
	uint64_t counted_at_ns, traps_before;
	uint64_t lost_told[HT_LOSS_NR];
	int64_t lost_before[HT_LOSS_NR]; /* as of the look before the last: see tell_losses */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Keeps the first error's words and hands the number back. */
__attribute__((format(printf, 3, 4))) static int fail(struct session *s, int err, const char *fmt, ...)
{
	va_list ap;

	if (s->res->error[0])
		return err;
	va_start(ap, fmt);
	vsnprintf(s->res->error, sizeof(s->res->error), fmt, ap);
	va_end(ap);
	return err;
}

static int fail_tape(struct session *s, int err)
{
	return fail(s, err, "%s: %s", s->res->tape_path, s->writer ? tape_writer_error(s->writer) : strerror(-err));
}

/* ---- the target ---- */

static int refuse(struct session *s, enum process_refusal refusal, pid_t tgid)
{
	pid_t pid = s->process.pid;

	switch (refusal) {
	case PROCESS_KERNEL_THREAD:
		return fail(s, -EINVAL, "pid %d is a kernel thread, which has no heap; name a process", pid);
	case PROCESS_32BIT:
		return fail(s, -ENOTSUP, "pid %d runs a 32-bit program; only 64-bit programs can be recorded", pid);
	case PROCESS_IS_THREAD:
		return fail(s, -EINVAL, "pid %d is a thread of process %d; use -p %d, all its threads are recorded", pid, tgid, tgid);
	case PROCESS_ZOMBIE: return fail(s, -ESRCH, "pid %d has ended already", pid);
	default: return 0;
	}
}

static int open_target(struct session *s, pid_t pid)
{
	enum process_refusal refusal;
	pid_t tgid;
	int err;

	s->res->pid = pid;
	err = process_open(pid, &s->process);
	if (!err)
		err = process_check(&s->process, &refusal, &tgid);
	if (err == -ESRCH || err == -ENOENT)
		return fail(s, -ESRCH, "no process has pid %d", pid);
	if (err)
		return fail(s, err, "pid %d cannot be looked at: %s; run as root, or see heaptape doctor", pid, strerror(-err));
	return refuse(s, refusal, tgid);
}

/* ---- allocators ---- */

static struct inventory *current_inventory(struct session *s)
{
	return s->inventories[s->nr_inventories - 1];
}

static int new_inventory(struct session *s)
{
	if (s->nr_inventories == INVENTORIES_MAX)
		return fail(s, -E2BIG, "the target has replaced its program %d times; recording ends here", INVENTORIES_MAX);
	s->inventories[s->nr_inventories] = inventory_new();
	return s->inventories[s->nr_inventories++] ? 0 : fail(s, -ENOMEM, "out of memory");
}

static int explain_attach(struct session *s, const struct allocator *a, int err)
{
	if (err == -EPERM || err == -EACCES)
		return fail(s, err, "no right to probe %s in pid %d: %s needs %s; see heaptape doctor", object_path(a->obj),
			    s->process.pid, s->kernel.backend == KERNEL_PERF ? "a perf-event uprobe" : "a uprobe",
			    s->kernel.backend == KERNEL_PERF ? "CAP_SYS_ADMIN" : "CAP_BPF and CAP_PERFMON");
	if (err == -ESRCH)
		return fail(s, err, "pid %d ended while probes were put in place", s->process.pid);
	return fail(s, err, "probes in %s could not be put in place: %s", object_path(a->obj), strerror(-err));
}

/* Every site must show the kernel's breakpoint, or this allocator would be silent on the tape. */
static int check_sites(struct session *s, const struct allocator *a)
{
	const struct plan_site *missing;
	int nr = attach_check(s->attach, &s->process, a, &missing);

	if (nr == -EACCES) {
		message_warn("the sites in %s cannot be read back: /proc/%d/mem needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
			     object_path(a->obj), s->process.pid);
		return 0;
	}
	if (nr < 0 && !process_is_alive(&s->process))
		return fail(s, -ESRCH, "pid %d ended while probes were put in place", s->process.pid);
	if (nr < 0)
		return fail(s, nr, "the sites in %s cannot be read back: %s", object_path(a->obj), strerror(-nr));
	if (nr > 0)
		return fail(s, -ENXIO,
			    "%d sites in %s show no breakpoint (the first at offset 0x%llx): the file that pid %d has mapped is "
			    "not the one found by %s, perhaps since it was replaced",
			    nr, object_path(a->obj), (unsigned long long)missing->offset, s->process.pid, object_way(a->obj));
	return 0;
}

static void report_allocator(struct session *s, const struct allocator *a)
{
	struct session_allocator *r = &s->res->allocators[s->res->nr_allocators++];

	snprintf(r->name, sizeof(r->name), "%s", a->name);
	snprintf(r->path, sizeof(r->path), "%s", object_path(a->obj));
	snprintf(r->build_id, sizeof(r->build_id), "%s", object_build_id(a->obj));
	r->nr_sites = allocator_nr_sites(a);
	r->nr_unrecorded = allocator_nr_unrecorded(a);
	message_info("found %s in %s, build id %.12s: %u sites%s", r->name, r->path, *r->build_id ? r->build_id : "none",
		     r->nr_sites, s->opts->pid && s->nr_placed == 1 ? ", first in the search order" : "");
	for (unsigned i = 0; i < a->nr_plans; i++)
		if (!a->plans[i].nr_sites && !a->plans[i].skipped)
			message_warn("%s of %s is not recorded: %s", a->plans[i].symbol, r->name, a->plans[i].why);
}

static int place(struct session *s, const struct allocator *a)
{
	struct tape_allocator on_tape = { a->name, object_path(a->obj), object_build_id(a->obj) };
	uint8_t obj = (uint8_t)s->nr_placed, tape_alloc;
	struct stat st;
	int err;

	if (s->nr_placed == HT_OBJECTS_MAX)
		return fail(s, -E2BIG, "more than %d allocators in pid %d", HT_OBJECTS_MAX, s->process.pid);
	err = attach_allocator(s->attach, a, obj);
	if (err)
		return explain_attach(s, a, err);
	err = check_sites(s, a);
	if (err)
		return err;
	err = tape_writer_allocator(s->writer, &on_tape, &tape_alloc);
	if (err)
		return fail_tape(s, err);
	fstat(object_fd(a->obj), &st);
	s->placed[s->nr_placed++] = (struct placed){ a, st.st_dev, st.st_ino };
	ledger_allocator(s->ledger, obj, tape_alloc);
	report_allocator(s, a);
	return 0;
}

/* After an exec the links by inode still stand: the same file only lies elsewhere. */
static bool placed_before(struct session *s, const struct allocator *a)
{
	struct stat st;

	if (fstat(object_fd(a->obj), &st))
		return false;
	for (unsigned i = 0; i < s->nr_placed; i++)
		if (s->placed[i].dev == st.st_dev && s->placed[i].inode == st.st_ino)
			return !attach_moved(s->attach, a, (uint8_t)i);
	return false;
}

/* Looks at what is mapped, and probes what is new. */
static int place_new(struct session *s)
{
	struct inventory *inv = current_inventory(s);
	unsigned nr_before = inventory_nr(inv), nr_new;
	uint64_t start, end;
	int err;

	process_reopen_mem(&s->process); /* an exec may have come between */
	err = inventory_update(inv, &s->process, &nr_new);
	if (err && !process_is_alive(&s->process))
		return 0; /* it ended meanwhile: nothing to probe any more */
	if (err)
		return fail(s, err, "the mappings of pid %d cannot be read: %s", s->process.pid, strerror(-err));
	if (inventory_loader(inv, &start, &end))
		ledger_loader(s->ledger, start, end);
	for (unsigned i = nr_before; i < nr_before + nr_new; i++) {
		struct allocator *a = inventory_get(inv, i);

		if (!placed_before(s, a) && (err = place(s, a)))
			return err == -ESRCH && s->start_ns ? 0 : err;
	}
	return 0;
}

static void warn_unread(struct session *s)
{
	const struct inventory *inv = current_inventory(s);

	for (unsigned i = 0; i < inventory_nr_unread(inv); i++) {
		const struct inventory_unread *u = inventory_unread_at(inv, i);

		message_warn("%s, which pid %d has mapped, cannot be opened (%s): an allocator in it would not be recorded; "
			     "deleted and replaced files need CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_CHECKPOINT_RESTORE",
			     u->path, s->process.pid, strerror(-u->err));
	}
}

/* ---- beginning ---- */

static struct ledger_site session_site(void *arg, unsigned nr)
{
	const struct session *s = arg;
	const struct attach_site *site = attach_site(s->attach, nr);

	if (!site)
		return (struct ledger_site){ 0 };
	return (struct ledger_site){ .kind = site->kind,
				     .obj = site->obj,
				     .lg_align = site->lg_align,
				     .steer = site->kind == TAPE_STEER ? site->plan->function->name : NULL };
}

static size_t choose_ring(const struct session_opts *opts, unsigned nr_cpus)
{
	size_t nbytes = RING_NBYTES_MAX;

	if (opts->ring_nbytes)
		return opts->ring_nbytes;
	while (nbytes * nr_cpus > RING_NBYTES_TOTAL && nbytes > RING_NBYTES_MIN)
		nbytes /= 2;
	return nbytes;
}

static int open_kernel(struct session *s)
{
	struct kernel_opts ko = { .pid = s->process.pid,
				  .backend = s->opts->backend,
				  .ring_nbytes = choose_ring(s->opts, (unsigned)sysconf(_SC_NPROCESSORS_CONF)),
				  .mappings = s->opts->mappings || !s->opts->pid, /* a child is held by its mmap calls */
				  .faults = s->opts->faults,
				  .hold_child = !s->opts->pid };
	const char *why = "";
	int err;

	err = kernel_open(&ko, &s->kernel, &why);
	if (err == -EPERM || err == -EACCES)
		return fail(s, err, "no right to record: %s needs CAP_BPF and CAP_PERFMON; run as root, or see heaptape doctor", why);
	if (err)
		return fail(s, err, "%s failed: %s; heaptape doctor says what this kernel offers", why, strerror(-err));
	if (s->opts->mappings && !s->kernel.has_tracepoints)
		message_warn("mmap, munmap, mremap, brk and madvise are not recorded: syscall tracepoints need "
			     "CAP_DAC_READ_SEARCH (%s)", strerror(-s->kernel.tracepoint_err));
	if (!s->opts->pid && !s->kernel.has_tracepoints)
		return fail(s, s->kernel.tracepoint_err, "a command cannot be held while probes are placed: syscall tracepoints "
			    "need CAP_DAC_READ_SEARCH (%s); start it yourself and use -p", strerror(-s->kernel.tracepoint_err));
	return 0;
}

static int block_signals(struct session *s)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &mask, &s->old_mask))
		return fail(s, -errno, "signals: %s", strerror(errno));
	s->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? fail(s, -errno, "signalfd: %s", strerror(errno)) : 0;
}

static int open_tape(struct session *s)
{
	struct tape_writer_opts wo = { .overwrite = s->opts->overwrite };
	char path[sizeof(s->res->tape_path)];
	int err;

	err = tape_path_expand(s->opts->tape_path, s->process.pid, time(NULL), path, sizeof(path));
	if (err)
		return fail(s, err, "-o %s: %s; only %%p, %%h and %%t stand for something", s->opts->tape_path, strerror(-err));
	strcpy(s->res->tape_path, path);
	err = tape_writer_open(path, &wo, &s->writer);
	if (err == -EEXIST)
		return fail(s, err, "%s is there already; -f overwrites it, -o names another file", s->res->tape_path);
	if (err)
		return fail(s, err, "%s cannot be written: %s", s->res->tape_path, strerror(-err));
	return 0;
}

static int open_stream(struct session *s)
{
	struct ledger_opts lo = { .writer = s->writer,
				  .site = session_site,
				  .arg = s,
				  .start_ns = UINT64_MAX, /* nothing counts before the start mark */
				  .page_size = (uint64_t)sysconf(_SC_PAGESIZE),
				  .skip_mappings = !s->opts->mappings };
	int err;

	s->ledger = ledger_new(&lo);
	s->attach = attach_new(&s->kernel, s->process.pid);
	if (!s->ledger || !s->attach)
		return fail(s, -ENOMEM, "out of memory");
	err = drain_new(s->kernel.ring_fds, s->kernel.nr_cpus + 1, &s->drain);
	return err ? fail(s, err, "the ring buffers cannot be read: %s", strerror(-err)) : 0;
}

static int watch_thread(void *arg, pid_t tid)
{
	struct session *s = arg;
	int err = kernel_watch_faults(&s->kernel, tid);

	/* A thread may end while we look. */
	if (err && err != -ESRCH && !s->kernel.fault_err)
		s->kernel.fault_err = err;
	return 0;
}

static void watch_faults(struct session *s)
{
	if (!s->opts->faults)
		return;
	process_each_thread(&s->process, watch_thread, s);
	if (s->kernel.fault_err)
		message_warn("page faults are not recorded for every thread: %s (%s)", strerror(-s->kernel.fault_err),
			     s->kernel.fault_err == -EACCES || s->kernel.fault_err == -EPERM ?
				     "needs CAP_PERFMON, or CAP_SYS_ADMIN at perf_event_paranoid 3" : "perf events");
}

static int note_thread(void *arg, pid_t tid)
{
	struct session *s = arg;
	struct ht_ev_thread e = { .h = { .type = HT_EV_THREAD, .flags = HT_EVF_START, .tid = (uint32_t)tid,
					 .ts = s->start_ns } };

	process_thread_name(&s->process, tid, e.comm);
	return drain_insert(s->drain, &e.h, sizeof(e));
}

static int sample_rss(struct session *s, uint64_t at_ns)
{
	struct ledger_rss r = { .h = { .type = LEDGER_RSS, .tid = (uint32_t)s->process.pid, .ts = at_ns } };
	struct process_resident resident;

	if (process_resident(&s->process, &resident))
		return 0; /* it is ending */
	r.anon = resident.anon;
	r.file = resident.file;
	r.shmem = resident.shmem;
	return drain_insert(s->drain, &r.h, sizeof(r));
}

static int write_meta(struct session *s)
{
	static const char *const backends[] = { "auto", "multi", "perf" };
	struct process_resident resident = { 0 };
	struct timespec wall;
	int err;

	clock_gettime(CLOCK_REALTIME, &wall);
	process_resident(&s->process, &resident);
	err = target_write(s->writer, &s->process, s->opts->cmdline);
	if (!err)
		err = machine_write(s->writer, &s->process);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "start_unix_ns",
					   (uint64_t)wall.tv_sec * 1000000000 + (uint64_t)wall.tv_nsec);
	if (!err)
		err = tape_writer_meta(s->writer, "record.version", HEAPTAPE_VERSION);
	if (!err)
		err = tape_writer_meta(s->writer, "record.backend", backends[s->kernel.backend]);
	if (!err)
		err = tape_writer_meta(s->writer, "record.stacks", "none");
	if (!err && s->res->trap_ns)
		err = tape_writer_meta_u64(s->writer, "record.trap_ns", s->res->trap_ns);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "start.rss_anon", resident.anon);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "start.rss_file", resident.file);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "start.rss_shmem", resident.shmem);
	return err ? fail_tape(s, err) : 0;
}

/* Every site stands: from here on the tape counts. */
static int mark_start(struct session *s)
{
	struct tape_event mark = { .kind = TAPE_MARK, .arg = TAPE_MARK_START, .alloc = TAPE_NO_ALLOC,
				   .tid = (uint32_t)s->process.pid };
	int err;

	err = kernel_counters(&s->kernel, &s->counted);
	if (err)
		return fail(s, err, "the kernel's counters cannot be read: %s", strerror(-err));
	s->start_ns = s->counted_at_ns = now_ns();
	s->traps_before = s->counted.traps;
	for (int c = 0; c < HT_LOSS_NR; c++) {
		s->lost_told[c] = (uint64_t)s->counted.lost[c];
		s->lost_before[c] = s->counted.lost[c];
	}
	s->next_rss_ns = s->next_flush_ns = s->next_rescan_ns = s->start_ns;
	err = write_meta(s);
	if (err)
		return err;
	err = tape_writer_add(s->writer, &mark);
	if (err)
		return fail_tape(s, err);
	ledger_start(s->ledger, s->start_ns);
	err = process_each_thread(&s->process, note_thread, s);
	if (err && err != -ESRCH)
		return fail(s, err, "the threads of pid %d cannot be listed: %s", s->process.pid, strerror(-err));
	return 0;
}

static void say_ready(struct session *s)
{
	message_info("recording %d: %u sites in %u objects%s", s->process.pid, attach_nr_sites(s->attach), s->nr_placed,
		     s->opts->pid ? "" : " so far; it is held whenever it maps more code");
	if (s->opts->ready_fd >= 0 && write(s->opts->ready_fd, "r", 1) != 1)
		message_warn("--ready-fd %d: %s", s->opts->ready_fd, strerror(errno));
}

/* ---- middle ---- */

static int insert_lost(struct session *s, int cause, uint64_t calls, uint64_t at_ns)
{
	struct ledger_lost r = { .h = { .type = LEDGER_LOST, .tid = (uint32_t)s->process.pid, .ts = at_ns },
				 .cause = (uint64_t)cause,
				 .calls = calls,
				 .since_ns = s->counted_at_ns };

	return drain_insert(s->drain, &r.h, sizeof(r));
}

/*
 * Puts what was lost since the last look onto the tape. A count may fall again within microseconds (a wrapper's record
 * was lost, the inner call's was not), so only what two successive looks agree on is told; the last look is final.
 */
static int tell_losses(struct session *s, uint64_t at_ns, bool final)
{
	struct ledger_nested nested = { .h = { .type = LEDGER_NESTED, .tid = (uint32_t)s->process.pid, .ts = at_ns } };
	struct ht_counters now;
	int err = kernel_counters(&s->kernel, &now);

	for (int c = 0; c < HT_LOSS_NR && !err; c++) {
		int64_t sure = final || now.lost[c] < s->lost_before[c] ? now.lost[c] : s->lost_before[c];

		s->lost_before[c] = now.lost[c];
		if (sure <= (int64_t)s->lost_told[c])
			continue;
		err = insert_lost(s, c, (uint64_t)sure - s->lost_told[c], at_ns);
		s->lost_told[c] = (uint64_t)sure;
	}
	nested.calls = now.nested - s->counted.nested;
	if (!err && (nested.calls || final))
		err = drain_insert(s->drain, &nested.h, sizeof(nested));
	s->counted = now;
	s->counted_at_ns = at_ns;
	return err;
}

static int take_all(struct session *s)
{
	const struct ht_ev_head *h;
	unsigned cpu;

	while ((h = drain_next(s->drain, &cpu))) {
		int err;

		if (s->end_ns && h->ts > s->end_ns)
			continue;
		err = ledger_take(s->ledger, cpu, h);
		if (err)
			return fail_tape(s, err);
	}
	return 0;
}

static int drain_once(struct session *s, size_t *nbytes_ret)
{
	int err = drain_collect(s->drain, now_ns(), nbytes_ret);

	if (err)
		return fail(s, err, "the ring buffers cannot be read: %s", strerror(-err));
	return take_all(s);
}

/* What has its time: resident set, losses, blocks to the disk, a look for new code. */
static int do_periodic(struct session *s)
{
	uint64_t now = now_ns();
	int err = 0;

	if (now >= s->next_rss_ns) {
		s->next_rss_ns = now + RSS_PERIOD_NS;
		err = sample_rss(s, now);
		if (!err)
			err = tell_losses(s, now, false);
		if (err)
			return fail(s, err, "out of memory");
	}
	if (now >= s->next_flush_ns) {
		struct ledger_totals totals;
		char count[HUMAN_MAX], nbytes[HUMAN_MAX];

		s->next_flush_ns = now + FLUSH_PERIOD_NS;
		err = tape_writer_flush(s->writer);
		if (err)
			return fail_tape(s, err);
		ledger_totals(s->ledger, &totals);
		message_progress("recording %d: %.0f s, %s calls, tape %s, lost %llu", s->process.pid,
				 (double)(now - s->start_ns) / 1e9, human_count(count, totals.events),
				 human_nbytes(nbytes, tape_writer_bytes(s->writer)), (unsigned long long)totals.lost);
	}
	if (!s->kernel.has_tracepoints && now >= s->next_rescan_ns) {
		s->next_rescan_ns = now + RESCAN_PERIOD_NS;
		err = place_new(s);
	}
	return err;
}

/* Acts on what the records said: a new program, new code. */
static int follow_target(struct session *s)
{
	int err = 0;

	if (ledger_saw_exec(s->ledger)) {
		err = new_inventory(s);
		if (!err)
			err = place_new(s);
	}
	if (!err && ledger_saw_code_mapped(s->ledger))
		err = place_new(s);
	return err;
}

/* The child has stopped because code was mapped (or somebody stopped it): probe, let it go on. */
static int serve_child(struct session *s, bool *ended)
{
	enum launch_state state = launch_poll(&s->launch, &s->res->child_status);
	size_t nbytes;
	int err = 0;

	if (state == LAUNCH_ENDED)
		*ended = true;
	if (state != LAUNCH_STOPPED)
		return 0;
	err = drain_once(s, &nbytes);
	if (!err)
		err = follow_target(s);
	if (!err)
		err = place_new(s);
	launch_continue(&s->launch);
	return err;
}

/* Sleeps until something happens or the rings want to be emptied. True: a signal asks to end. */
static bool wait_a_little(struct session *s, bool busy)
{
	struct pollfd fds[2] = { { .fd = s->signal_fd, .events = POLLIN }, { .fd = s->process.pid_fd, .events = POLLIN } };
	struct signalfd_siginfo info;
	bool asked = false;

	/* A ring that filled up while the last records were written is emptied again at once. */
	poll(fds, 2, busy ? 0 : DRAIN_PERIOD_MS);
	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		asked |= info.ssi_signo != SIGCHLD;
	return asked;
}

static int record_until_end(struct session *s)
{
	uint64_t deadline = s->opts->duration_ns ? s->start_ns + s->opts->duration_ns : UINT64_MAX;
	bool ended = false;
	size_t nbytes = 0;
	int err = 0;

	while (!err) {
		if (wait_a_little(s, nbytes > (1u << 20))) {
			s->res->end = SESSION_SIGNAL;
			return 0;
		}
		if (!s->opts->pid)
			err = serve_child(s, &ended);
		if (ended || !process_is_alive(&s->process)) {
			s->res->end = SESSION_TARGET_EXITED;
			return err;
		}
		if (now_ns() >= deadline) {
			s->res->end = SESSION_DURATION;
			return err;
		}
		if (!err)
			err = do_periodic(s);
		if (!err)
			err = drain_once(s, &nbytes);
		if (!err)
			err = follow_target(s);
	}
	return err;
}

/* ---- end ---- */

static int mark_end(struct session *s)
{
	size_t nbytes;
	int err;

	s->end_ns = now_ns();
	err = sample_rss(s, s->end_ns);
	if (!err)
		err = tell_losses(s, s->end_ns, true);
	attach_detach(s->attach);
	if (!err)
		err = drain_collect(s->drain, now_ns(), &nbytes);
	if (err)
		return fail(s, err, "the last records cannot be read: %s", strerror(-err));
	drain_finish(s->drain);
	err = take_all(s);
	if (err)
		return err;
	err = ledger_end(s->ledger, s->end_ns);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "duration_ns", s->end_ns - s->start_ns);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "record.traps", s->counted.traps - s->traps_before);
	return err ? fail_tape(s, err) : 0;
}

static int close_tape(struct session *s, int err)
{
	int close_err;

	if (!s->writer)
		return err;
	if (s->ledger)
		ledger_totals(s->ledger, &s->res->totals);
	close_err = tape_writer_close(s->writer);
	s->writer = NULL;
	if (!err && close_err)
		err = fail(s, close_err, "%s: %s", s->res->tape_path, strerror(-close_err));
	return err;
}

static void fill_result(struct session *s)
{
	struct stat st;

	s->res->duration_ns = s->end_ns > s->start_ns ? s->end_ns - s->start_ns : 0;
	s->res->traps = s->counted.traps - s->traps_before;
	s->res->other_lost = s->counted.other_lost;
	if (!stat(s->res->tape_path, &st))
		s->res->tape_nbytes = (uint64_t)st.st_size;
}

static int begin_live(struct session *s)
{
	int err = place_new(s);

	warn_unread(s);
	if (!err && !s->nr_placed)
		err = fail(s, -ENOENT, "no allocator found in pid %d: nothing that it has mapped defines malloc and free "
			   "(a stripped static program?)", s->process.pid);
	return err;
}

/* Up to the first instruction of the new program; its libraries come one by one, each with a stop. */
static int begin_child(struct session *s)
{
	int err = launch_exec(&s->launch);

	if (err)
		return fail(s, err, "%s cannot be run: %s", s->opts->argv[0], strerror(-err));
	process_reopen_mem(&s->process);
	return place_new(s);
}

static int begin(struct session *s)
{
	int err;

	err = block_signals(s);
	if (!err && !s->opts->pid) {
		err = launch_start(s->opts->argv, s->opts->user, &s->launch);
		if (err)
			return fail(s, err, "%s cannot be started%s%s: %s", s->opts->argv[0], s->opts->user ? " as user " : "",
				    s->opts->user ? s->opts->user : "", strerror(-err));
	}
	if (!err)
		err = open_target(s, s->opts->pid ? s->opts->pid : s->launch.pid);
	if (!err)
		err = open_tape(s);
	if (!err)
		err = open_kernel(s);
	if (!err && calibrate_trap(&s->kernel, &s->res->trap_ns))
		message_warn("the cost of a trap could not be measured; the tape does not say it");
	if (!err)
		err = open_stream(s);
	if (!err)
		err = new_inventory(s);
	if (!err)
		err = s->opts->pid ? begin_live(s) : begin_child(s);
	if (!err) {
		watch_faults(s);
		err = mark_start(s);
	}
	return err;
}

static void session_free(struct session *s)
{
	attach_free(s->attach);
	drain_free(s->drain);
	ledger_free(s->ledger);
	kernel_close(&s->kernel);
	for (unsigned i = 0; i < s->nr_inventories; i++)
		inventory_free(s->inventories[i]);
	process_close(&s->process);
	launch_close(&s->launch);
	if (s->signal_fd >= 0) {
		close(s->signal_fd);
		sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
	}
}

/* A child whose recording failed must not stay stopped, nor wait for ever. */
static void release_child(struct session *s)
{
	if (s->opts->pid || s->launch.pid <= 0)
		return;
	launch_close(&s->launch);
	launch_continue(&s->launch);
}

int session_run(const struct session_opts *opts, struct session_result *res)
{
	struct session *s = calloc(1, sizeof(*s));
	int err;

	memset(res, 0, sizeof(*res));
	if (!s)
		return -ENOMEM;
	s->opts = opts;
	s->res = res;
	s->process = (struct process){ .proc_fd = -1, .mem_fd = -1, .pid_fd = -1 };
	s->launch = (struct launch){ .pid = -1, .go_fd = -1, .failed_fd = -1 };
	s->signal_fd = -1;
	err = begin(s);
	if (!err) {
		say_ready(s);
		if (!opts->pid)
			launch_continue(&s->launch);
		err = record_until_end(s);
		message_progress(NULL);
	}
	if (!err)
		err = mark_end(s);
	err = close_tape(s, err);
	fill_result(s);
	session_free(s);
	release_child(s);
	free(s);
	return err;
}
