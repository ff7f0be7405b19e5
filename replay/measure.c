/* SPDX-License-Identifier: BSD-2-Clause */
/* One run: start, checkpoints, samples between them, proof of the allocator, end. */
#include "replay/measure.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "replay/mappings.h"
#include "replay/measure_error.h"
#include "replay/measure_split.h"
#include "replay/syscalls.h"

#define SAMPLE_NS 2000000ull       /* between looks at the process's memory */
#define LIFE_CHECK_NS 500000000ull /* between looks for signs of life */
#define STAGE_TIMEOUT_NS 60000000000ull
#define EXIT_TIMEOUT_NS 10000000000ull
/* Marks are brought up to date at every checkpoint below this much memory, above it at every eighth. */
#define FORGET_ALWAYS_NBYTES (512ull << 20)
#define FORGET_STRIDE 8

struct session {
	const struct plan *plan;
	const struct tested *allocator;
	const struct measure_opts *opts;
	struct run_result *res;
	struct launched *l;
	struct mappings own, now, heap; /* the player's own; all; the allocator's */
	int pagemap_fd, statm_fd, stat_fd, syscalls_fd;
	uint64_t page_size;
	uint64_t resident;      /* of heap, at the last look */
	uint64_t heap_shared;   /* the part of it that is not anonymous */
	uint64_t own_anon;      /* anonymous memory that is not heap */
	uint64_t sampled_anon;  /* most of the whole process since the last look */
	uint64_t faults_before, goal; /* goal: arrivals at all checkpoints so far */
	uint32_t nr_complete;         /* checkpoints at which somebody had to arrive, this one included */
	uint64_t life, life_seen_ns;
	bool *gone;             /* threads whose end has been seen */
};

static uint64_t now_ns(void)
{
	struct timespec ts;
	return clock_gettime(CLOCK_MONOTONIC, &ts) ? 0 : (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- small /proc files ---- */

static int open_proc(pid_t pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Reads field numbers `fields` (from 1, ascending, 0 at the end) of a one-line file; comm in parentheses counts as one. */
static int read_fields(int fd, const int *fields, uint64_t *values)
{
	char buf[1024];
	ssize_t n = pread(fd, buf, sizeof(buf) - 1, 0);
	if (n <= 0)
		return n ? -errno : -ESRCH;
	buf[n] = '\0';
	const char *paren = strrchr(buf, ')'), *p = paren ? paren + 1 : buf;
	for (int i = paren ? 2 : 0; *fields && *p; i++) {
		p += strspn(p, " ");
		if (i + 1 == *fields) {
			*values++ = strtoull(p, NULL, 10);
			fields++;
		}
		p += strcspn(p, " ");
	}
	return *fields ? -EPROTO : 0;
}

static int read_statm(const struct session *s, uint64_t *resident_ret, uint64_t *anon_ret)
{
	uint64_t values[2];
	int err = read_fields(s->statm_fd, (const int[]){ 2, 3, 0 }, values);
	if (err)
		return err;
	*resident_ret = values[0] * s->page_size;
	*anon_ret = (values[0] > values[1] ? values[0] - values[1] : 0) * s->page_size;
	return 0;
}

/* Page faults of the process so far, and its threads now. */
static int read_stat(const struct session *s, uint64_t *faults_ret, uint64_t *nr_threads_ret)
{
	uint64_t values[3];
	int err = read_fields(s->stat_fd, (const int[]){ 10, 12, 20, 0 }, values);
	if (err)
		return err;
	*faults_ret = values[0] + values[1];
	*nr_threads_ret = values[2];
	return 0;
}

/* ---- resident memory ---- */

static void note_peak(struct session *s, uint64_t resident)
{
	if (resident > s->res->peak_resident)
		s->res->peak_resident = resident;
}

/* The allocator's mappings, exactly. The player stands still. */
static int look(struct session *s)
{
	uint64_t process, anon, heap_anon = 0;
	int err = mappings_read(&s->now, s->l->pid, true);
	if (!err)
		err = mappings_subtract(&s->now, &s->own, &s->heap);
	if (!err)
		err = read_statm(s, &process, &anon);
	s->resident = 0;
	for (size_t i = 0; i < s->heap.nr && !err; i++) {
		struct mapping *m = &s->heap.list[i];
		if (m->rss_nbytes == UINT64_MAX) { /* grown together with one of the player's own */
			uint64_t nr;
			err = mappings_resident(s->pagemap_fd, m->start, m->end, s->page_size, NULL, &nr);
			m->rss_nbytes = m->anon_nbytes = nr * s->page_size;
		}
		s->resident += m->rss_nbytes;
		heap_anon += m->anon_nbytes;
	}
	if (err)
		return err;
	uint64_t own_anon = anon > heap_anon ? anon - heap_anon : 0;
	s->heap_shared = s->resident - heap_anon;
	/* What is not heap hardly changes; where it has (an allocator with memory in its own object), the more counts. */
	s->own_anon = own_anon > s->own_anon ? own_anon : s->own_anon;
	if (s->sampled_anon > s->own_anon)
		note_peak(s, s->sampled_anon - s->own_anon + s->heap_shared);
	note_peak(s, s->resident);
	s->own_anon = own_anon;
	s->sampled_anon = 0;
	return 0;
}

/* The same between checkpoints, from the process's totals; the next look makes a peak of it. */
static void sample(struct session *s)
{
	uint64_t process, anon;
	if (!read_statm(s, &process, &anon) && anon > s->sampled_anon)
		s->sampled_anon = anon;
}

/* ---- waiting ---- */

static bool shows_life(struct session *s, uint64_t at)
{
	uint64_t life = atomic_load(&s->l->control->arrived);
	for (uint32_t i = 0; i < s->plan->head.nr_threads; i++)
		life += atomic_load_explicit(&s->l->threads[i].nr_done, memory_order_relaxed);
	if (life != s->life) {
		s->life = life;
		s->life_seen_ns = at;
	}
	uint64_t limit = s->opts->timeout_ns;
	if (s->opts->launch.pace_milli) /* the recorded program may have slept long */
		limit += (s->plan->facts.last_ns - s->plan->facts.first_ns) / s->opts->launch.pace_milli * 1000;
	return at - s->life_seen_ns < limit;
}

/* Until the player has reached a stage by itself. */
static bool wait_stage(struct session *s, uint32_t stage)
{
	_Atomic uint32_t *word = &s->l->control->stage;
	uint64_t deadline = now_ns() + STAGE_TIMEOUT_NS;
	for (uint32_t now; (now = atomic_load(word)) < stage;) {
		launched_wait(s->l, word, now, SAMPLE_NS);
		if (!launched_poll(s->l)) {
			run_error_of_end(&s->res->error, s->l, s->plan, s->allocator);
			return false;
		}
		if (now_ns() > deadline) {
			run_error_set(&s->res->error, "hang", "did not get past its start within %llu s",
				      STAGE_TIMEOUT_NS / 1000000000u);
			return false;
		}
	}
	return true;
}

static void set_stage(struct session *s, uint32_t stage)
{
	atomic_store(&s->l->control->stage, stage);
	syscall(SYS_futex, &s->l->control->stage, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Until all threads stand at the checkpoint, and the last one has stamped the time. */
static bool wait_arrivals(struct session *s, uint32_t i)
{
	struct control *c = s->l->control;
	uint64_t checked = now_ns();
	s->life_seen_ns = checked;
	s->nr_complete += s->plan->checkpoints[i].arrivals != 0;
	for (;;) {
		uint32_t seq = atomic_load(&c->arrive_seq);
		if (seq == s->nr_complete)
			return true;
		launched_wait(s->l, &c->arrive_seq, seq, SAMPLE_NS);
		if (!launched_poll(s->l)) {
			run_error_of_end(&s->res->error, s->l, s->plan, s->allocator);
			return false;
		}
		sample(s);
		uint64_t now = now_ns();
		if (now - checked < LIFE_CHECK_NS)
			continue;
		checked = now;
		if (!shows_life(s, now)) {
			run_error_set(&s->res->error, "hang", "no thread has got any further for %llu s",
				      (unsigned long long)(s->opts->timeout_ns / 1000000000u));
			return false;
		}
	}
}

/*
 * A thread that ended before the checkpoint has to be gone altogether: allocators hand its heap over in its
 * last moments. Returns the number of the plan's threads that live.
 */
static uint64_t settle_threads(struct session *s)
{
	uint64_t nr = 0;
	for (uint32_t i = 0; i < s->plan->head.nr_threads; i++) {
		struct control_thread *t = &s->l->threads[i];
		int32_t ktid = atomic_load(&t->ktid);
		if (!ktid || s->gone[i])
			continue;
		if (atomic_load(&t->state) == CONTROL_THREAD_RUNS) {
			nr++;
			continue;
		}
		while (!syscall(SYS_tgkill, s->l->pid, ktid, 0) && launched_poll(s->l))
			nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
		s->gone[i] = true;
	}
	return nr;
}

/* ---- the allocator in force ---- */

static bool same_file(const struct mapping *m, const char *path, const struct tested *a)
{
	struct stat st;
	if (m->inode == a->ino && m->dev == a->dev)
		return true;
	/* Some file systems show other device numbers in maps than stat does. */
	return path[0] == '/' && !stat(path, &st) && st.st_dev == a->dev && st.st_ino == a->ino;
}

/* The file mapped where malloc resolves to must be the one that was asked for. */
static bool prove_allocator(struct session *s)
{
	uint64_t at = s->l->control->function_at[CONTROL_FN_MALLOC];
	const struct mapping *m = mappings_find(&s->now, at);
	const char *path = m ? mappings_path(&s->now, m) : "";
	if (m && same_file(m, path, s->allocator))
		return true;
	run_error_set(&s->res->error, "not_in_force", "malloc was answered by %s, not by %s%s", *path ? path : "no file",
		      s->allocator->path, s->l->output_nbytes ? ": " : "");
	run_error_add_output(&s->res->error, s->l);
	return false;
}

/* ---- checkpoints ---- */

static bool failed(struct session *s, const char *what, int err)
{
	if (!launched_poll(s->l))
		run_error_of_end(&s->res->error, s->l, s->plan, s->allocator);
	else
		run_error_set(&s->res->error, "measure", "cannot read %s of the player: %s", what, strerror(-err));
	return false;
}

static bool split_now(struct session *s, struct split *split, struct size_classes *classes)
{
	uint64_t overlap;
	int err = measure_split(s->l, &s->heap, s->pagemap_fd, s->plan->head.nr_slots, split, classes,
				&s->res->split_kernel_nbytes, &overlap);
	if (err == -EINVAL) {
		run_error_set(&s->res->error, "overlap", "two live objects overlap at 0x%llx", (unsigned long long)overlap);
		return false;
	}
	return err ? failed(s, "the pages", err) : true;
}

static bool measure_full(struct session *s, uint32_t i)
{
	bool last = i + 1 == s->plan->head.nr_checkpoints, peak = i == s->plan->facts.peak_checkpoint;
	if (!(s->opts->launch.flags & CONTROL_USABLE))
		return true;
	if (last || peak || s->resident < FORGET_ALWAYS_NBYTES || i % FORGET_STRIDE == 0) {
		int err = measure_forget_absent(s->l, &s->heap, s->pagemap_fd);
		if (err)
			return failed(s, "the pages", err);
	}
	s->res->has_split = true;
	if (peak && !split_now(s, &s->res->peak_split, &s->res->peak_classes))
		return false;
	return !last || split_now(s, &s->res->end_split, &s->res->end_classes);
}

static void move_clock(struct session *s, uint32_t i)
{
	_Atomic uint64_t *clock = &s->l->control->clock_ns;
	if (atomic_load(clock) < s->plan->checkpoints[i].clock_ns)
		atomic_store(clock, s->plan->checkpoints[i].clock_ns);
}

static void release(struct session *s, uint32_t i, uint64_t stopped_ns)
{
	struct control *c = s->l->control;
	if (i + 1 < s->plan->head.nr_checkpoints)
		s->goal += s->plan->checkpoints[i + 1].arrivals;
	atomic_store(&c->arrive_goal, (uint32_t)s->goal);
	atomic_store(&c->resume_ns, 0);
	atomic_fetch_add(&c->held_up_ns, now_ns() - stopped_ns);
	atomic_store(&c->released, i + 1);
	for (uint32_t t = 0; t < s->plan->head.nr_threads; t++) {
		struct control_thread *th = &s->l->threads[t];
		uint32_t parked_at = atomic_load(&th->parked_at);
		bool ends = t == 0 && i + 1 == s->plan->head.nr_checkpoints;
		if (!ends && (!parked_at || parked_at > i + 1))
			continue;
		atomic_fetch_add(&th->wake, 1);
		syscall(SYS_futex, &th->wake, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	}
}

/* A checkpoint that nobody has to arrive at still comes at its time when times are kept. */
static void pass_idle_interval(struct session *s, uint32_t i)
{
	uint64_t pace = s->opts->launch.pace_milli;
	if (!pace)
		return;
	const struct control *c = s->l->control;
	uint64_t due = (s->plan->checkpoints[i].clock_ns - s->plan->facts.first_ns) / pace * 1000;
	uint64_t at = atomic_load(&c->run_start_ns) + atomic_load(&c->held_up_ns) + due;
	struct timespec ts = { .tv_sec = (time_t)(at / 1000000000u), .tv_nsec = (long)(at % 1000000000u) };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static bool at_checkpoint(struct session *s, uint32_t i)
{
	struct control *c = s->l->control;
	bool idle = !s->plan->checkpoints[i].arrivals;
	uint64_t faults, nr_threads, nr_own = settle_threads(s), stopped_ns = now_ns();
	if (idle) {
		pass_idle_interval(s, i);
		stopped_ns = now_ns();
	} else {
		s->res->wall_ns += atomic_load(&c->arrive_ns) - atomic_load(&c->resume_ns);
		s->res->cpu_ns += atomic_load(&c->arrive_cpu_ns) - atomic_load(&c->resume_cpu_ns);
		stopped_ns = atomic_load(&c->arrive_ns);
	}
	move_clock(s, i);
	int err = idle && i && !s->opts->launch.pace_milli ? 0 : look(s);
	if (!err)
		err = read_stat(s, &faults, &nr_threads);
	if (err)
		return failed(s, "the memory", err);
	if (nr_threads > nr_own && nr_threads - nr_own > s->res->nr_foreign_threads)
		s->res->nr_foreign_threads = (uint32_t)(nr_threads - nr_own);
	s->res->page_faults = faults - s->faults_before;
	if (s->syscalls_fd >= 0 && syscalls_read(s->syscalls_fd, &s->res->syscalls))
		return failed(s, "the count of system calls", EIO);
	s->res->resident[i] = s->resident;
	s->res->end_resident = s->resident;
	if (!measure_full(s, i))
		return false;
	if (i + 1 < s->plan->head.nr_checkpoints)
		release(s, i, stopped_ns);
	return true;
}

/* ---- the end ---- */

static bool check_complete(struct session *s)
{
	const struct plan_facts *f = &s->plan->facts;
	const struct control *c = s->l->control;
	for (uint32_t i = 0; i < s->plan->head.nr_threads; i++) {
		uint32_t nr_ops = s->plan->threads[i].nr_ops, nr_done = atomic_load(&s->l->threads[i].nr_done);
		if (nr_done + 1 >= nr_ops) /* a thread that lives on still stands before its last, PLAN_END */
			continue;
		run_error_set(&s->res->error, "incomplete", "thread %u (recorded as %u) executed %u of %u operations", i,
			      s->plan->threads[i].tid, nr_done, nr_ops);
		return false;
	}
	if (s->opts->launch.flags & (CONTROL_USABLE | CONTROL_VERIFY | CONTROL_LATENCY) &&
	    (c->nr_births != f->nr_births || c->nr_deaths != f->nr_deaths)) {
		run_error_set(&s->res->error, "incomplete", "%llu births and %llu deaths were executed, not %llu and %llu",
			      (unsigned long long)c->nr_births, (unsigned long long)c->nr_deaths,
			      (unsigned long long)f->nr_births, (unsigned long long)f->nr_deaths);
		return false;
	}
	return true;
}

/* A stack whose lowest page is in its file may have run over into the next one. */
static bool check_stacks(struct session *s)
{
	for (uint32_t i = 0; i < s->plan->head.nr_stacks; i++) {
		off_t lowest = (off_t)i * CONTROL_STACK_NBYTES;
		if (lseek(s->l->fds[CONTROL_FD_STACKS], lowest, SEEK_DATA) != lowest)
			continue;
		run_error_set(&s->res->error, "stack", "the allocator used up a thread's stack of %u KiB",
			      CONTROL_STACK_NBYTES >> 10);
		return false;
	}
	return true;
}

static void take_latencies(struct session *s)
{
	const struct control *c = s->l->control;
	if (!s->l->hists)
		return;
	for (uint32_t stack = 0; stack <= s->plan->head.nr_stacks; stack++) {
		for (unsigned h = 0; h < CONTROL_HIST_NR; h++)
			hist_add(s->res->hists[h], s->l->hists + (stack * CONTROL_HIST_NR + h) * HIST_BUCKETS);
	}
	uint64_t ticks = c->ticks_end - c->ticks_start;
	s->res->ns_per_tick = ticks ? (double)(c->ticks_end_ns - c->ticks_start_ns) / (double)ticks : 0;
}

static void end_player(struct session *s)
{
	uint64_t deadline = now_ns() + EXIT_TIMEOUT_NS;
	release(s, s->plan->head.nr_checkpoints - 1, now_ns());
	while (launched_poll(s->l) && now_ns() < deadline)
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	s->res->exit_failed = !s->l->ended || s->l->status != 0;
	s->res->switches = s->l->control->nr_switches;
	s->res->ticks_cost = s->l->control->ticks_cost;
	take_latencies(s);
}

static bool finish(struct session *s)
{
	uint64_t process, anon;
	int err = read_statm(s, &process, &anon);
	if (err)
		return failed(s, "the memory", err);
	s->res->process_resident = process;
	s->res->process_anon = anon;
	for (uint32_t i = 0; i < s->plan->head.nr_threads; i++)
		s->res->page_faults -= s->l->threads[i].own_faults < s->res->page_faults ? s->l->threads[i].own_faults : 0;
	for (uint32_t i = 0; i < s->plan->head.nr_threads; i++)
		s->res->syscalls -= s->l->threads[i].own_syscalls < s->res->syscalls ? s->l->threads[i].own_syscalls : s->res->syscalls;
	s->res->has_syscalls = s->syscalls_fd >= 0;
	s->res->from_elsewhere = s->l->control->from_elsewhere;
	s->res->absent = s->l->control->absent;
	s->res->has_usable = !((s->res->from_elsewhere | s->res->absent) & 1u << CONTROL_FN_USABLE_SIZE);
	if (!prove_allocator(s) || !check_stacks(s) || !check_complete(s))
		return false;
	end_player(s);
	return true;
}

/* ---- the run ---- */

static bool begin(struct session *s)
{
	uint64_t nr_threads;
	if (!wait_stage(s, CONTROL_SETUP))
		return false;
	pid_t pid = s->l->pid;
	s->pagemap_fd = open_proc(pid, "pagemap");
	s->statm_fd = open_proc(pid, "statm");
	s->stat_fd = open_proc(pid, "stat");
	int err = s->pagemap_fd < 0 || s->statm_fd < 0 || s->stat_fd < 0 ? -errno : mappings_read(&s->own, pid, false);
	if (err)
		return failed(s, "/proc", err);
	set_stage(s, CONTROL_GO_INIT);
	if (!wait_stage(s, CONTROL_READY))
		return false;
	err = look(s);
	if (!err)
		err = read_stat(s, &s->faults_before, &nr_threads);
	if (err)
		return failed(s, "the memory", err);
	if (!prove_allocator(s))
		return false;
	s->syscalls_fd = syscalls_open(pid);
	s->res->syscalls_error = s->syscalls_fd < 0 ? -s->syscalls_fd : 0;
	s->goal = s->plan->checkpoints[0].arrivals;
	atomic_store(&s->l->control->arrive_goal, (uint32_t)s->goal);
	set_stage(s, CONTROL_GO_RUN);
	return true;
}

static void run(struct session *s)
{
	if (!begin(s))
		return;
	for (uint32_t i = 0; i < s->plan->head.nr_checkpoints; i++) {
		if (!wait_arrivals(s, i) || !at_checkpoint(s, i))
			return;
		if (s->opts->progress)
			s->opts->progress(s->opts->progress_arg, i + 1, s->plan->head.nr_checkpoints);
	}
	finish(s);
}

static void close_session(struct session *s)
{
	mappings_free(&s->own);
	mappings_free(&s->now);
	mappings_free(&s->heap);
	for (size_t i = 0; i < 4; i++) {
		int fd = (int[]){ s->pagemap_fd, s->statm_fd, s->stat_fd, s->syscalls_fd }[i];
		if (fd >= 0)
			close(fd);
	}
	if (s->l && s->l->output_nbytes)
		s->res->output = strdup(s->l->output);
	launched_free(s->l);
	free(s->gone);
}

int measure_run(const struct plan *plan, const struct tested *allocator, const struct measure_opts *opts,
		struct run_result *res)
{
	struct session s = { .plan = plan, .allocator = allocator, .opts = opts, .res = res, .pagemap_fd = -1,
			     .statm_fd = -1, .stat_fd = -1, .syscalls_fd = -1, .page_size = (uint64_t)sysconf(_SC_PAGESIZE) };
	*res = (struct run_result){ 0 };
	res->resident = calloc(plan->head.nr_checkpoints, sizeof(*res->resident));
	s.gone = calloc(plan->head.nr_threads, sizeof(*s.gone));
	int err = res->resident && s.gone ? launched_start(plan, &opts->launch, &s.l) : -ENOMEM;
	if (!err)
		run(&s);
	close_session(&s);
	return err;
}

void run_result_free(struct run_result *res)
{
	free(res->resident);
	free(res->output);
	free(res->end_classes.list);
	free(res->peak_classes.list);
	*res = (struct run_result){ 0 };
}
