/* SPDX-License-Identifier: BSD-2-Clause */
/* A recording from beginning to end. */
#include "session_impl.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "message.h"
#include "record/calibrate.h"
#include "record/machine.h"
#include "record/tape_path.h"

#define RING_NBYTES_TOTAL (256u << 20)
#define RING_NBYTES_MAX (16u << 20)
#define RING_NBYTES_MIN (256u << 10)

int session_fail(struct session *s, int err, const char *fmt, ...)
{
	va_list ap;

	if (s->res->error[0])
		return err;
	va_start(ap, fmt);
	vsnprintf(s->res->error, sizeof(s->res->error), fmt, ap);
	va_end(ap);
	return err;
}

int session_fail_tape(struct session *s, int err)
{
	return session_fail(s, err, "%s: %s", s->res->tape_path, s->writer ? tape_writer_error(s->writer) : strerror(-err));
}

/* ---- the target ---- */

static int refuse(struct session *s, enum process_refusal refusal, pid_t tgid)
{
	pid_t pid = s->process.pid;

	switch (refusal) {
	case PROCESS_KERNEL_THREAD:
		return session_fail(s, -EINVAL, "pid %d is a kernel thread, which has no heap; name a process", pid);
	case PROCESS_32BIT:
		return session_fail(s, -ENOTSUP, "pid %d runs a 32-bit program; only 64-bit programs can be recorded", pid);
	case PROCESS_IS_THREAD:
		return session_fail(s, -EINVAL, "pid %d is a thread of process %d; use -p %d, all its threads are recorded", pid, tgid, tgid);
	case PROCESS_ZOMBIE: return session_fail(s, -ESRCH, "pid %d has ended already", pid);
	default: return 0;
	}
}

int session_open_target(struct session *s, pid_t pid)
{
	enum process_refusal refusal;
	pid_t tgid;
	int err;

	s->res->pid = pid;
	err = process_open(pid, &s->process);
	if (!err)
		err = process_check(&s->process, &refusal, &tgid);
	if (err == -ESRCH || err == -ENOENT)
		return session_fail(s, -ESRCH, "no process has pid %d", pid);
	if (err)
		return session_fail(s, err, "pid %d cannot be looked at: %s; run as root, or see heaptape doctor", pid, strerror(-err));
	return refuse(s, refusal, tgid);
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

static uint32_t session_stack(void *arg, uint32_t id)
{
	const struct session *s = arg;

	return stacks_number(s->stacks, id);
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

static const char *why_no_tracepoints(const struct session *s)
{
	return s->kernel.tracepoint_err == -ENOENT ? "no tracefs is mounted on /sys/kernel/tracing, and mounting it takes CAP_SYS_ADMIN" :
						     "syscall tracepoints need CAP_DAC_READ_SEARCH";
}

struct kernel_opts session_kernel_opts(const struct session *s)
{
	return (struct kernel_opts){ .pid = s->process.pid,
				     .backend = s->opts->backend,
				     .ring_nbytes = choose_ring(s->opts, kernel_nr_cpus()),
				     /* A child is held by its mmap calls; and by them code that comes or goes is noticed. */
				     .mappings = s->opts->mappings || !s->opts->pid || s->opts->stacks || s->opts->follow,
				     .stacks = s->opts->stacks,
				     .free_stacks = s->opts->free_stacks,
				     .max_frames = s->opts->max_frames,
				     .faults = s->opts->faults,
				     .captures = session_has_runtime(s),
				     .hold = s->opts->pid ? HT_HOLD_NONE : HT_HOLD_CHILD };
}

int session_fail_kernel(struct session *s, int err, const char *why)
{
	char lacks[200];

	if (err == -EPERM || err == -EACCES)
		return session_fail(s, err, "no right to record: %s needs CAP_BPF and CAP_PERFMON; run as root, or see heaptape doctor", why);
	if (kernel_is_too_old(lacks, sizeof(lacks)))
		return session_fail(s, err, "this kernel is too old to record on: for uprobe programs it has no %s; it takes " KERNEL_OLDEST
			    " or later", lacks);
	return session_fail(s, err, "%s failed: %s; heaptape doctor says what this kernel offers", why, strerror(-err));
}

static int open_kernel(struct session *s)
{
	struct kernel_opts ko = session_kernel_opts(s);
	const char *why = "";
	int err;

	err = session_follow_open(s, &ko);
	if (err)
		return err;
	err = kernel_open(&ko, &s->kernel, &why);
	if (err)
		return session_fail_kernel(s, err, why);
	if (s->opts->follow && s->kernel.err_followed)
		return session_fail(s, s->kernel.err_followed, "children cannot be held while probes are placed: %s (%s); --follow-fork needs it",
				    why_no_tracepoints(s), strerror(-s->kernel.err_followed));
	if (s->opts->mappings && !s->kernel.has_tracepoints)
		message_warn("mmap, munmap, mremap, brk and madvise are not recorded: %s (%s)", why_no_tracepoints(s),
			     strerror(-s->kernel.tracepoint_err));
	if (s->kernel.oom_err && s->opts->ring.nbytes)
		message_warn("a kill for lack of memory will be told as the target's exit: its tracepoint cannot be had (%s)",
			     strerror(-s->kernel.oom_err));
	if (!s->opts->pid && !s->kernel.has_tracepoints)
		return session_fail(s, s->kernel.tracepoint_err, "a command cannot be held while probes are placed: %s (%s); start it "
			    "yourself and use -p", why_no_tracepoints(s), strerror(-s->kernel.tracepoint_err));
	return 0;
}

int session_block_signals(struct session *s)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &mask, &s->old_mask))
		return session_fail(s, -errno, "signals: %s", strerror(errno));
	signal(SIGXFSZ, SIG_IGN); /* a file-size limit is then an error of write, which is reported */
	signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? session_fail(s, -errno, "signalfd: %s", strerror(errno)) : 0;
}

/* Four keyframes must fit: what is known of their size before the first call is how much the target holds. */
static int check_ring_size(struct session *s)
{
	struct process_resident resident = { 0 };
	char asked[HUMAN_MAX], held[HUMAN_MAX];
	uint64_t least;

	if (!s->opts->ring.nbytes || process_resident(&s->process, &resident))
		return 0;
	least = ring_least_nbytes(resident.anon);
	if (s->opts->ring.nbytes >= least)
		return 0;
	return session_fail(s, -EINVAL, "--ring: %s is too small for process %d, which holds %s: a keyframe lists all objects that live, "
			    "and four must fit; the least is %lluM", human_nbytes(asked, s->opts->ring.nbytes), s->process.pid,
			    human_nbytes(held, resident.anon), (unsigned long long)((least + (1 << 20) - 1) >> 20));
}

static int open_tape(struct session *s)
{
	struct tape_writer_opts wo = { .overwrite = s->opts->overwrite, .time_unit_ns = s->opts->time_unit_ns };
	char path[sizeof(s->res->tape_path)];
	int err;

	err = tape_path_expand(s->opts->tape_path, s->process.pid, time(NULL), path, sizeof(path));
	if (err)
		return session_fail(s, err, "-o %s: %s; only %%p, %%h and %%t stand for something", s->opts->tape_path, strerror(-err));
	if (s->opts->follow) {
		char folder[sizeof(path)];

		strcpy(folder, path);
		err = session_follow_folder(s, folder, path, sizeof(path));
		if (err)
			return err;
	}
	strcpy(s->res->tape_path, path);
	err = ring_open(path, &s->opts->ring, s->opts->overwrite, &s->ring);
	if (!err) {
		ring_prepare(s->ring, &wo, path, sizeof(path));
		err = tape_writer_open(path, &wo, &s->writer);
	}
	if (err == -EEXIST)
		return session_fail(s, err, "%s is there already; -f overwrites it, -o names another file", s->res->tape_path);
	if (err)
		return session_fail(s, err, "%s cannot be written: %s", s->res->tape_path, strerror(-err));
	return 0;
}

int session_open_stream(struct session *s, struct ledger *inherited, struct stacks *inherited_stacks)
{
	struct ledger_opts lo = { .writer = s->writer,
				  .site = session_site,
				  .stack = s->opts->stacks ? session_stack : NULL,
				  .changed = s->opts->live ? session_live_changed : NULL,
				  .arg = s,
				  .start_ns = UINT64_MAX, /* nothing counts before the start mark */
				  .page_size = (uint64_t)sysconf(_SC_PAGESIZE),
				  .skip_mappings = !s->opts->mappings };
	int err;

	if (s->opts->live && session_live_prepare(s))
		return -ENOMEM;
	if (s->begin_ns)
		lo.start_ns = s->start_ns;
	s->ledger = inherited ? inherited : ledger_new(&lo);
	s->attach = attach_new(&s->kernel, s->process.pid, ATTACH_RECORD);
	if (inherited_stacks)
		s->stacks = stacks_branch(inherited_stacks, &s->kernel) ? NULL : inherited_stacks;
	else if (s->opts->stacks)
		s->stacks = stacks_new(&s->kernel, s->opts->stacks, s->writer);
	if (!s->ledger || !s->attach || (s->opts->stacks && !s->stacks))
		return session_fail(s, -ENOMEM, "out of memory");
	err = drain_new(s->kernel.ring_fds, s->kernel.nr_cpus + 1, &s->drain);
	return err ? session_fail(s, err, "the ring buffers cannot be read: %s", strerror(-err)) : 0;
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

void session_watch_faults(struct session *s)
{
	if (!s->opts->faults)
		return;
	process_each_thread(&s->process, watch_thread, s);
	if (s->kernel.fault_err)
		message_warn("page faults are not recorded for every thread: %s (%s)", strerror(-s->kernel.fault_err),
			     s->kernel.fault_err == -EACCES || s->kernel.fault_err == -EPERM ?
				     "needs CAP_PERFMON, or CAP_SYS_ADMIN at perf_event_paranoid 3" :
			     s->kernel.fault_err == -EMFILE ? "one for each thread; ulimit -n allows more" : "perf events");
}

static int note_thread(void *arg, pid_t tid)
{
	struct session *s = arg;
	struct ht_ev_thread e = { .h = { .type = HT_EV_THREAD, .flags = HT_EVF_START, .tid = (uint32_t)tid,
					 .ts = s->begin_ns } };

	process_thread_name(&s->process, tid, e.comm);
	return drain_insert(s->drain, &e.h, sizeof(e));
}

int session_note_threads(struct session *s)
{
	int err = process_each_thread(&s->process, note_thread, s);

	if (err && err != -ESRCH)
		return session_fail(s, err, "the threads of pid %d cannot be listed: %s", s->process.pid, strerror(-err));
	return 0;
}

int session_write_meta(struct session *s)
{
	static const char *const backends[] = { "auto", "multi", "perf" };
	static const char *const stacks[] = { [HT_STACKS_NONE] = "none", [HT_STACKS_EH] = "eh", [HT_STACKS_FP] = "fp" };
	struct process_resident resident = { 0 };
	int err;

	process_resident(&s->process, &resident);
	err = target_write(s->writer, &s->process, s->opts->cmdline);
	if (!err)
		err = machine_write(s->writer, &s->process);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "start_unix_ns", s->start_unix_ns);
	if (!err)
		err = session_follow_meta(s);
	if (!err)
		err = tape_writer_meta(s->writer, "record.version", HEAPTAPE_VERSION);
	if (!err)
		err = tape_writer_meta(s->writer, "record.backend", backends[s->kernel.backend]);
	if (!err)
		err = tape_writer_meta(s->writer, "record.stacks", stacks[s->opts->stacks]);
	if (!err && s->res->costs.ns[HT_TRAP_EMULATED])
		err = tape_writer_meta_u64(s->writer, "record.trap_ns", s->res->costs.ns[HT_TRAP_EMULATED]);
	if (!err && s->from_exec)
		err = tape_writer_meta_u64(s->writer, "start.from_exec", 1);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "start.rss_anon", resident.anon);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "start.rss_file", resident.file);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "start.rss_shmem", resident.shmem);
	if (!err && s->opts->max_cost > 0)
		err = tape_writer_meta_u64(s->writer, "record.max_cost", (uint64_t)(100 * s->opts->max_cost + 0.5));
	if (!err && s->opts->ring.nbytes)
		err = tape_writer_meta_u64(s->writer, "ring.nbytes", s->opts->ring.nbytes);
	return err ? session_fail_tape(s, err) : 0;
}

void session_count_from_here(struct session *s)
{
	kernel_counters(&s->kernel, &s->counted);
	s->missed_before = kernel_missed_runs(&s->kernel);
	s->counted_at_ns = clock_monotonic_ns();
	memcpy(s->traps_before, s->counted.traps, sizeof(s->traps_before));
	s->timed_ns_before = s->counted.timed_ns;
	s->timed_before = s->counted.timed;
	if (s->stacks)
		stacks_start(s->stacks);
	s->other_lost_before = s->counted.other_lost;
	for (int c = 0; c < HT_LOSS_NR; c++) {
		s->lost_told[c] = (uint64_t)s->counted.lost[c];
		s->lost_before[c] = s->counted.lost[c];
	}
	sleep_watch_now(&s->sleep_watch);
	s->next_rss_ns = s->next_flush_ns = s->next_rescan_ns = s->counted_at_ns;
}

/* Every site stands: from here on the tape counts. */
static int mark_start(struct session *s)
{
	struct tape_event mark = { .kind = TAPE_MARK, .arg = TAPE_MARK_START, .alloc = TAPE_NO_ALLOC,
				   .tid = (uint32_t)s->process.pid };
	int err;

	session_count_from_here(s);
	s->start_ns = s->begin_ns = s->counted_at_ns;
	s->start_unix_ns = clock_ns(CLOCK_REALTIME);
	s->from_exec = !s->opts->pid;
	err = session_write_meta(s);
	if (err)
		return err;
	err = tape_writer_add(s->writer, &mark);
	if (err)
		return session_fail_tape(s, err);
	ledger_start(s->ledger, s->start_ns);
	session_brake_start(s);
	return session_note_threads(s);
}

static void say_ready(struct session *s)
{
	message_info("recording %d: %u sites in %u objects%s", s->process.pid, attach_nr_sites(s->attach), s->nr_placed,
		     s->opts->pid ? "" : " so far; it is held whenever it maps more code");
	if (s->opts->ready_fd >= 0 && write(s->opts->ready_fd, "r", 1) != 1)
		message_warn("--ready-fd %d: %s", s->opts->ready_fd, strerror(errno));
}

/* ---- end ---- */

/* As on the tape. */
static const char *session_end_name(enum session_end end)
{
	static const char *const names[] = { [SESSION_TARGET_EXITED] = "exit", [SESSION_TARGET_OOM] = "oom",
					     [SESSION_DURATION] = "duration", [SESSION_SIGNAL] = "signal", [SESSION_COST] = "cost" };

	return names[end];
}

static int mark_end(struct session *s)
{
	size_t nbytes;
	int err;

	/* Losses are counted up to the very time at which records cease to count. */
	s->end_ns = clock_monotonic_ns();
	err = session_tell_losses(s, s->end_ns, true);
	for (int t = 0; t < HT_TRAP_NR; t++)
		s->res->traps[t] = s->counted.traps[t] - s->traps_before[t];
	if (s->counted.timed > s->timed_before)
		s->program_ns = (double)(s->counted.timed_ns - s->timed_ns_before) / (double)(s->counted.timed - s->timed_before);
	if (!err)
		err = session_sample_rss(s, s->end_ns);
	if (!session_follow_is_gone(s))
		attach_detach(s->attach);
	if (!session_follow_is_gone(s))
		captures_free(s->captures);
	s->captures = NULL;
	session_custom_detach(s);
	if (s->follow) /* nobody is held from here on */
		kernel_target(&s->kernel, (pid_t)HT_NOBODY, HT_HOLD_NONE);
	if (!err)
		err = drain_collect(s->drain, clock_monotonic_ns(), &nbytes);
	if (err)
		return session_fail(s, err, "the last records cannot be read: %s", strerror(-err));
	drain_finish(s->drain);
	err = session_take_all(s);
	if (err)
		return err;
	err = ledger_end(s->ledger, s->end_ns);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "duration_ns", s->end_ns - s->start_ns);
	if (!err)
		err = tape_writer_meta_u64(s->writer, "record.traps", trap_total(s->res->traps));
	if (!err && s->stacks)
		err = stacks_write_totals(s->stacks);
	if (!err)
		err = session_follow_write_totals(s);
	if (!err)
		err = tape_writer_meta(s->writer, "record.end", session_end_name(s->res->end));
	return err ? session_fail_tape(s, err) : 0;
}

static const enum ht_trap dear_kinds[] = { HT_TRAP_STEPPED, HT_TRAP_RETURN };

/* Before any site of the target stands. */
static void calibrate_others(struct session *s)
{
	for (size_t i = 0; i < sizeof(dear_kinds) / sizeof(dear_kinds[0]); i++)
		if (calibrate_trap(&s->kernel, dear_kinds[i], &s->res->costs))
			message_warn("the cost of one kind of trap could not be measured: what recording takes is not shown");
}

/* The dear kinds of traps are timed only if there were some, and now, when nobody waits for the probes any more. */
static void calibrate_rest(struct session *s)
{
	for (size_t i = 0; i < sizeof(dear_kinds) / sizeof(dear_kinds[0]); i++)
		if (s->res->traps[dear_kinds[i]] && !s->res->costs.ns[dear_kinds[i]] &&
		    (s->follow || calibrate_trap(&s->kernel, dear_kinds[i], &s->res->costs))) /* with children it was done before */
			s->res->costs.ns[HT_TRAP_EMULATED] = 0; /* what cannot be said in full is not said */
	s->res->cost_ns = s->res->costs.ns[HT_TRAP_EMULATED] ?
				  (uint64_t)trap_real_cost_ns(&s->res->costs, s->res->traps, s->program_ns) : 0;
}

/* What recording has taken from the target's threads, as far as it is known. */
static int write_cost(struct session *s)
{
	int err = s->res->cost_ns ? tape_writer_meta_u64(s->writer, "record.cost_ns", s->res->cost_ns) : 0;

	return err ? session_fail_tape(s, err) : 0;
}

/* Behind the last event, when the target has its full speed again. Names that lack for want of memory are no reason to fail. */
static int embed_names(struct session *s)
{
	uint64_t nr;
	int err = s->embed ? embed_write(s->embed, s->writer, &nr) : 0;

	if (err && *tape_writer_error(s->writer))
		return session_fail_tape(s, err);
	if (err)
		message_warn("not all names could be put onto the tape: %s", strerror(-err));
	else if (s->embed && s->opts->embed_symbols)
		message_verbose("%llu places in the code have their names on the tape", (unsigned long long)nr);
	return 0;
}

static int close_tape(struct session *s, int err)
{
	int close_err;

	if (!s->writer)
		return err;
	if (s->ledger)
		ledger_totals(s->ledger, &s->res->totals);
	close_err = err ? 0 : ring_finish(s->ring, s->writer);
	if (!close_err)
		close_err = tape_writer_close(s->writer);
	else
		tape_writer_close(s->writer);
	s->writer = NULL;
	/* Nothing was recorded: no empty tape stands in the way of the next try. */
	if (err && !s->begin_ns && !s->opts->overwrite)
		ring_remove(s->ring);
	if (err && !s->begin_ns && *s->res->folder)
		rmdir(s->res->folder);
	if (!err && close_err)
		err = session_fail(s, close_err, "%s: %s", s->res->tape_path, strerror(-close_err));
	return err;
}

/* The target's end is the last that a ring is asked for: the next recording may overwrite it, the copy stays. */
static void copy_at_end(struct session *s)
{
	bool oom = s->res->end == SESSION_TARGET_OOM;
	int err;

	if (!ring_is_folder(s->ring) || (!oom && s->res->end != SESSION_TARGET_EXITED))
		return;
	message_info("the target %s", oom ? "was killed for lack of memory" : "has ended");
	err = ring_dump_closed(s->ring, oom ? RING_OOM : RING_EXIT);
	if (err)
		message_warn("%s: it could not be copied: %s", s->res->tape_path, strerror(-err));
}

static void fill_result(struct session *s)
{
	struct stat st;

	s->res->duration_ns = s->end_ns > s->begin_ns ? s->end_ns - s->begin_ns : 0;
	s->res->other_lost = s->counted.other_lost - s->other_lost_before;
	if (s->ring && ring_is_folder(s->ring))
		s->res->tape_nbytes = ring_nbytes(s->ring);
	else if (!stat(s->res->tape_path, &st))
		s->res->tape_nbytes = (uint64_t)st.st_size;
}

/* Why there is none: a file that could not be opened may hide it. */
static int fail_without_allocator(struct session *s)
{
	const struct inventory *inv = s->inventories[s->nr_inventories - 1];
	const struct inventory_unread *u = NULL;

	for (unsigned i = 0; i < inventory_nr_unread(inv); i++)
		if (!u || strstr(inventory_unread_at(inv, i)->path, "libc"))
			u = inventory_unread_at(inv, i);
	if (u)
		return session_fail(s, u->err, "no allocator found in pid %d: of its files %u cannot be opened, among them %s (%s); another's process "
				    "takes CAP_SYS_PTRACE, replaced and deleted files CAP_DAC_READ_SEARCH and CAP_CHECKPOINT_RESTORE too",
				    s->process.pid, inventory_nr_unread(inv), u->path, strerror(-u->err));
	if (*inventory_why_none(inv))
		return session_fail(s, -ENOENT, "no allocator found in pid %d: the program is static and stripped, and %s; it is recorded if its debug "
				    "file is on this machine (/usr/lib/debug/.build-id, or .gnu_debuglink)", s->process.pid,
				    inventory_why_none(inv));
	return session_fail(s, -ENOENT, "no allocator found in pid %d: nothing that it has mapped defines malloc and free by name", s->process.pid);
}

static int begin_live(struct session *s)
{
	int err = session_place_new(s);

	if (!err)
		err = session_runtime_place(s);
	if (!err)
		err = session_custom_check(s);
	if (!err && !s->nr_placed && !s->runtime && !session_custom_nr_probes(s))
		return fail_without_allocator(s);
	session_warn_unread(s);
	return err;
}

/* Up to the first instruction of the new program; its libraries come one by one, each with a stop. */
static int begin_child(struct session *s)
{
	int err = launch_exec(&s->launch);

	if (err)
		return session_fail(s, err, "%s cannot be run: %s", s->opts->argv[0], strerror(-err));
	process_reopen_mem(&s->process);
	err = session_place_new(s);
	return err ? err : session_runtime_place(s);
}

static int begin(struct session *s)
{
	int err;

	err = session_block_signals(s);
	if (!err && !s->opts->pid) {
		err = launch_start(s->opts->argv, s->opts->user, s->opts->env, &s->launch);
		if (err == -ENOENT && s->opts->user)
			return session_fail(s, err, "no user is called %s", s->opts->user);
		if (err)
			return session_fail(s, err, "%s cannot be started%s%s: %s", s->opts->argv[0], s->opts->user ? " as user " : "",
				    s->opts->user ? s->opts->user : "", strerror(-err));
	}
	if (!err)
		err = session_open_target(s, s->opts->pid ? s->opts->pid : s->launch.pid);
	if (!err)
		err = check_ring_size(s);
	if (!err)
		err = session_runtime_look(s);
	if (!err)
		err = open_tape(s);
	if (!err)
		err = open_kernel(s);
	if (!err && calibrate_trap(&s->kernel, HT_TRAP_EMULATED, &s->res->costs))
		message_warn("the cost of a trap could not be measured; the tape does not say it");
	if (!err && (s->opts->live || s->opts->max_cost > 0 || s->opts->follow))
		calibrate_others(s); /* what is shown while it records cannot wait for the end */
	if (!err)
		err = session_open_stream(s, NULL, NULL);
	if (!err)
		err = session_new_inventory(s);
	if (!err)
		err = s->opts->pid ? begin_live(s) : begin_child(s);
	if (!err)
		err = session_follow_code(s);
	if (!err) {
		session_watch_faults(s);
		err = session_prepare_baseline(s);
	}
	if (!err)
		err = session_follow_begin(s);
	if (!err)
		err = mark_start(s);
	if (!err)
		err = session_runtime_begin(s);
	return err;
}

static void session_free(struct session *s)
{
	session_runtime_free(s);
	session_custom_free(s);
	attach_free(s->attach);
	drain_free(s->drain);
	ledger_free(s->ledger);
	stacks_free(s->stacks);
	embed_free(s->embed);
	hold_free(&s->hold);
	session_live_free(s);
	baseline_free(s->baseline);
	ring_free(s->ring);
	kernel_close(&s->kernel);
	session_follow_free(s);
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

int session_finish(struct session *s, int err)
{
	if (!err)
		err = mark_end(s);
	session_live_close(s);
	session_follow_ended(s);
	if (!err)
		err = embed_names(s);
	if (!err)
		calibrate_rest(s);
	if (!err)
		err = write_cost(s);
	err = close_tape(s, err);
	fill_result(s);
	return err;
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
		s->embed = embed_new(&s->process, s->opts->embed_symbols);
		say_ready(s);
		if (!opts->pid)
			launch_continue(&s->launch);
		err = session_live_open(s);
		if (!err)
			err = session_find_baseline(s);
		if (!err)
			err = session_record_until_end(s);
		message_progress(NULL);
	}
	err = session_finish(s, err);
	if (!err)
		copy_at_end(s);
	session_follow_wait(s);
	session_free(s);
	release_child(s);
	free(s);
	return err;
}
