/* SPDX-License-Identifier: BSD-2-Clause */
/* family.c - see family.h. */
#include "record/family.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "target/files.h"

#define SPARES 4             /* as many children may begin at once without waiting for the verifier; each takes 8 MiB and a quarter of a second */
#define SPARE_WAIT_NS 100000000ull
#define SPARE_LOOK_US 500
#define SPARE_RING_NBYTES (1u << 20)
#define NO_SPARE -1
#define HOUSE_PERIOD_MS 50   /* between two looks for dead recorders: as long may a child of a killed one stand */
#define PLACE_FREE_NS 2000000000ull   /* until a place of the table is free for others: no program looks at it any more */
#define STANDING_MAX_NS 10000000000ull /* no child stands for longer, whatever its recorder does */
#define STEP_NS 2000000000ull /* for a child to come to its own first step; on a busy machine it may wait for a CPU */
#define STEP_US 50
#define TASK_EXITING 0x4u     /* PF_EXITING of linux/sched.h, as /proc shows it; the same since 2.6 */
#define LAST_HOUSES 40        /* looks of the guard's behind the end of all recorders: 2 s */

struct member {
	_Atomic pid_t recorder; /* 0: free */
	_Atomic int spare;      /* NO_SPARE: none */
	_Atomic int process;    /* row of the list, -1: none */
	_Atomic bool loads;     /* programs of its own, now */
};

/* Seen by all. */
struct shared {
	_Atomic int end_asked; /* 0: no; else the cause plus one */
	_Atomic bool over;
	_Atomic unsigned nr_processes, nr_failed, nr_left_out, nr_loaded_late, nr_loading;
	_Atomic bool spare_taken[SPARES];
	struct member members[FAMILY_LIMIT_MAX];
	struct family_process processes[FAMILY_LISTED];
};

struct family {
	struct shared *shared;
	struct ht_held_table *held;
	int held_fd;
	unsigned limit;
	struct kernel spares[SPARES]; /* loaded before any copy was made: all have them */
	unsigned nr_spares;
	int *fds; /* those that every copy keeps, ascending */
	unsigned nr_fds;
	pid_t guard;
	int guard_fd; /* its other end closes with the first recorder */
};

/* ---- life ---- */

static void *shared_memory(size_t nbytes, int fd)
{
	void *at = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

int family_new(unsigned limit, struct family **f_ret)
{
	struct family *f = calloc(1, sizeof(*f));

	*f_ret = NULL;
	if (!f)
		return -ENOMEM;
	f->guard_fd = -1;
	f->limit = limit;
	f->shared = shared_memory(sizeof(*f->shared), -1);
	f->held_fd = kernel_new_held_table();
	if (f->held_fd >= 0)
		f->held = shared_memory(sizeof(*f->held), f->held_fd);
	if (!f->shared || !f->held) {
		int err = f->held_fd < 0 ? f->held_fd : -ENOMEM;

		family_free(f);
		return err;
	}
	for (unsigned i = 0; i < FAMILY_LIMIT_MAX; i++)
		f->shared->members[i].spare = f->shared->members[i].process = -1;
	*f_ret = f;
	return 0;
}

int family_held_fd(const struct family *f)
{
	return f->held_fd;
}

/* Descriptors of this process, ascending. */
static int list_fds(int **fds_ret, unsigned *nr_ret)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned nr = 0, room = 0;
	struct dirent *e;
	int *fds = NULL;

	if (!dir)
		return -errno;
	while ((e = readdir(dir))) {
		int fd = atoi(e->d_name);
		unsigned at = nr;

		if (*e->d_name == '.' || fd == dirfd(dir))
			continue;
		if (nr == room) {
			int *more = reallocarray(fds, room = room ? 2 * room : 256, sizeof(*fds));

			if (!more) {
				free(fds);
				closedir(dir);
				return -ENOMEM;
			}
			fds = more;
		}
		for (; at && fds[at - 1] > fd; at--)
			fds[at] = fds[at - 1];
		fds[at] = fd;
		nr++;
	}
	closedir(dir);
	*fds_ret = fds;
	*nr_ret = nr;
	return 0;
}

static bool is_listed(const int *fds, unsigned nr, int fd)
{
	for (unsigned i = 0; i < nr; i++)
		if (fds[i] == fd)
			return true;
	return false;
}

/* One set of programs, by a thread of its own: to load them is work for a CPU, to end them a row of waits for the kernel. */
struct spare_job {
	const struct kernel_opts *opts;
	struct kernel *kernel;
	const char *why;
	int err;
	pthread_t thread;
	bool runs;
};

static void *load_one(void *arg)
{
	struct spare_job *job = arg;

	job->err = kernel_open(job->opts, job->kernel, &job->why);
	return NULL;
}

static void *close_one(void *arg)
{
	struct spare_job *job = arg;

	kernel_close(job->kernel);
	return NULL;
}

static void run_jobs(struct spare_job *jobs, unsigned nr, void *(*fn)(void *))
{
	for (unsigned i = 0; i < nr; i++) {
		jobs[i].runs = !pthread_create(&jobs[i].thread, NULL, fn, &jobs[i]);
		if (!jobs[i].runs)
			fn(&jobs[i]);
	}
	for (unsigned i = 0; i < nr; i++)
		if (jobs[i].runs)
			pthread_join(jobs[i].thread, NULL);
}

/* What could be loaded stands in front, whatever has failed. */
static int load_all(struct family *f, const struct kernel_opts *opts, const char **why_ret)
{
	struct spare_job jobs[SPARES] = { 0 };
	unsigned nr = f->limit - 1 < SPARES ? f->limit - 1 : SPARES;
	int err = 0;

	for (unsigned i = 0; i < nr; i++)
		jobs[i] = (struct spare_job){ .opts = opts, .kernel = &f->spares[i] };
	run_jobs(jobs, nr, load_one);
	for (unsigned i = 0; i < nr; i++) {
		if (!jobs[i].err) {
			f->spares[f->nr_spares++] = f->spares[i];
			continue;
		}
		err = jobs[i].err;
		*why_ret = jobs[i].why;
	}
	return err;
}

int family_load_spares(struct family *f, const struct kernel_opts *ko, const char **why_ret)
{
	struct kernel_opts opts = *ko;
	int *before = NULL, *after = NULL, err;
	unsigned nr_before = 0, nr_after = 0;

	opts.pid = 0;
	opts.hold = HT_HOLD_NONE;
	opts.family_head = false;
	opts.small = true;
	if (opts.ring_nbytes > SPARE_RING_NBYTES)
		opts.ring_nbytes = SPARE_RING_NBYTES;
	*why_ret = "listing descriptors";
	err = list_fds(&before, &nr_before);
	if (!err)
		err = load_all(f, &opts, why_ret);
	if (!err)
		err = list_fds(&after, &nr_after);
	for (unsigned i = 0; i < nr_after && !err; i++)
		if (!is_listed(before, nr_before, after[i]) || after[i] == f->held_fd)
			after[f->nr_fds++] = after[i];
	f->fds = after;
	free(before);
	return err;
}

void family_free(struct family *f)
{
	struct spare_job jobs[SPARES] = { 0 };

	if (!f)
		return;
	if (f->shared)
		f->shared->over = true;
	if (f->guard_fd >= 0)
		close(f->guard_fd);
	if (f->guard > 0)
		waitpid(f->guard, NULL, 0);
	for (unsigned i = 0; i < f->nr_spares; i++)
		jobs[i] = (struct spare_job){ .kernel = &f->spares[i] };
	run_jobs(jobs, f->nr_spares, close_one);
	if (f->held)
		munmap(f->held, sizeof(*f->held));
	if (f->held_fd >= 0)
		close(f->held_fd);
	if (f->shared)
		munmap(f->shared, sizeof(*f->shared));
	free(f->fds);
	free(f);
}

/* ---- held processes ---- */

struct ht_held *family_held(const struct family *f, uint32_t tgid)
{
	for (uint32_t i = 0; i < HT_HELD_PROBES; i++) {
		struct ht_held *h = &f->held->places[(tgid + i) & (HT_HELD_MAX - 1)];

		if (__atomic_load_n(&h->tgid, __ATOMIC_SEQ_CST) == tgid)
			return h;
	}
	return NULL;
}

struct ht_held *family_held_by_pid(const struct family *f, pid_t pid)
{
	for (uint32_t i = 0; i < HT_HELD_MAX; i++) {
		struct ht_held *h = &f->held->places[i];

		if (h->tgid && __atomic_load_n(&h->state, __ATOMIC_SEQ_CST) == HT_HELD_STANDS && h->pid == (uint32_t)pid)
			return h;
	}
	return NULL;
}

int family_wait_standing(const struct ht_held *h)
{
	uint64_t until = clock_monotonic_ns() + STEP_NS;
	uint32_t state;

	while ((state = __atomic_load_n(&h->state, __ATOMIC_SEQ_CST)) == HT_HELD_BORN || state == HT_HELD_SHARES) {
		if (clock_monotonic_ns() > until)
			return -ETIME;
		usleep(STEP_US);
	}
	return state == HT_HELD_STANDS ? 0 : -ECANCELED;
}

static void held_free(struct ht_held *h)
{
	__atomic_store_n(&h->state, HT_HELD_NONE, __ATOMIC_SEQ_CST);
	__atomic_store_n(&h->tgid, 0, __ATOMIC_SEQ_CST);
}

bool family_let_go(struct ht_held *h)
{
	pid_t pid = (pid_t)h->pid;
	uint32_t was = __atomic_load_n(&h->state, __ATOMIC_SEQ_CST);

	do {
		if (was == HT_HELD_NONE || was == HT_HELD_GONE)
			return false; /* somebody else was faster; a free place stays free */
	} while (!__atomic_compare_exchange_n(&h->state, &was, HT_HELD_GONE, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	if (was != HT_HELD_STANDS)
		return was == HT_HELD_BORN;
	/* Free before it runs: it may stop itself again at once. */
	held_free(h);
	kill(pid, SIGCONT);
	return true;
}

void family_lose_patience(struct family *f, uint64_t ns)
{
	uint64_t now = clock_monotonic_ns();
	uint32_t self = (uint32_t)getpid();

	for (uint32_t i = 0; i < HT_HELD_MAX; i++) {
		struct ht_held *h = &f->held->places[i];

		if (h->tgid && h->recorder == self && h->since_ns + ns < now && (h->state == HT_HELD_STANDS || h->state == HT_HELD_BORN))
			family_let_go(h);
	}
}

/* ---- who is dead ---- */

/*
 * A zombie is dead: who made it may not have looked yet. So is one that is ending: to take its probes away costs the kernel up to
 * some seconds, and it will not let anybody go any more.
 */
static bool is_alive(pid_t pid)
{
	char name[32], line[512], state, *at;
	unsigned flags;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	if (file_read_line_at(AT_FDCWD, name, line, sizeof(line)))
		return false;
	at = strrchr(line, ')');
	/* state ppid pgrp session tty tpgid flags */
	if (!at || sscanf(at + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2)
		return false;
	return state != 'Z' && state != 'X' && !(flags & TASK_EXITING);
}

static struct family_process *row_of(const struct family *f, const struct member *m)
{
	int i = m->process;

	return i < 0 ? NULL : &f->shared->processes[i];
}

static void give_back(struct family *f, struct member *m)
{
	int spare = atomic_exchange(&m->spare, NO_SPARE);

	if (spare != NO_SPARE) {
		kernel_target(&f->spares[spare], (pid_t)HT_NOBODY, HT_HOLD_NONE);
		f->shared->spare_taken[spare] = false;
	}
}

static void bury(struct family *f, struct member *m, pid_t recorder)
{
	struct family_process *p = row_of(f, m);

	if (p && p->state == FAMILY_RUNS) {
		p->state = FAMILY_FAILED;
		f->shared->nr_failed++;
	}
	give_back(f, m);
	family_loaded(f, (int)(m - f->shared->members));
	m->process = -1;
	atomic_compare_exchange_strong(&m->recorder, &recorder, 0);
}

static bool is_recorder(const struct family *f, uint32_t pid)
{
	for (unsigned i = 0; i < f->limit; i++)
		if ((uint32_t)f->shared->members[i].recorder == pid)
			return true;
	return false;
}

/* Whoever stands and nobody is there for goes on. */
static void look_after_held(struct family *f)
{
	uint64_t now = clock_monotonic_ns();

	for (uint32_t i = 0; i < HT_HELD_MAX; i++) {
		struct ht_held *h = &f->held->places[i];
		uint64_t age = now > h->since_ns ? now - h->since_ns : 0;
		uint32_t gone = HT_HELD_GONE, state = __atomic_load_n(&h->state, __ATOMIC_SEQ_CST);
		bool orphan;

		if (!h->tgid || state == HT_HELD_NONE)
			continue;
		if (state == HT_HELD_GONE) {
			if (age > PLACE_FREE_NS && __atomic_compare_exchange_n(&h->state, &gone, HT_HELD_NONE, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				held_free(h);
			continue;
		}
		orphan = !is_recorder(f, h->recorder);
		if (state == HT_HELD_SHARES ? orphan : orphan || age > STANDING_MAX_NS)
			family_let_go(h);
	}
}

/* Of the recorders, the first not counted. */
static unsigned keep_house(struct family *f)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < f->limit; i++) {
		struct member *m = &f->shared->members[i];
		pid_t recorder = m->recorder;

		if (!recorder)
			continue;
		if (!is_alive(recorder))
			bury(f, m, recorder);
		else
			nr += i > 0;
	}
	look_after_held(f);
	return nr;
}

/* In the guard: it holds nothing but memory, and signals for the recorders' group are not for it. */
static void guard(struct family *f, int fd)
{
	struct pollfd end = { .fd = fd, .events = POLLIN };
	unsigned last = 0;

	setsid();
	if (fd > 3)
		close_range(3, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0u, 0);
	close_range(0, 2, 0); /* nor the pipes of whoever waits for the recorder's output */
	while (!f->shared->over && last < LAST_HOUSES) {
		poll(&end, 1, HOUSE_PERIOD_MS);
		if (f->shared->over)
			break;
		if (end.revents) {
			family_ask_end(f, 0);
			usleep(1000 * HOUSE_PERIOD_MS);
		}
		if (!keep_house(f) && end.revents)
			last++;
	}
	_exit(0);
}

static int start_guard(struct family *f)
{
	int fds[2];

	if (f->guard_fd >= 0)
		close(f->guard_fd);
	f->guard_fd = -1;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	f->guard = fork();
	if (!f->guard) {
		close(fds[1]);
		guard(f, fds[0]);
	}
	close(fds[0]);
	f->guard_fd = fds[1];
	return f->guard < 0 ? -errno : 0;
}

int family_begin(struct family *f, pid_t pid, const char *file)
{
	struct family_process *p;
	int place = family_enter(f);

	if (place < 0)
		return -EINVAL;
	p = family_process_new(f, place, pid, 0);
	snprintf(p->file, sizeof(p->file), "%s", file);
	return start_guard(f);
}

bool family_renew_guard(struct family *f)
{
	if (f->guard <= 0 || waitpid(f->guard, NULL, WNOHANG) != f->guard)
		return false;
	f->guard = 0;
	start_guard(f);
	return true;
}

/* ---- recorders ---- */

int family_enter(struct family *f)
{
	for (unsigned i = 0; i < f->limit && !f->shared->end_asked; i++) {
		pid_t none = 0;

		if (atomic_compare_exchange_strong(&f->shared->members[i].recorder, &none, getpid()))
			return (int)i;
	}
	return -1;
}

void family_leave(struct family *f, int place)
{
	struct member *m = &f->shared->members[place];

	give_back(f, m);
	m->process = -1;
	m->recorder = 0;
}

/* The copy may have come and gone before its maker says whose the place is: then it is somebody else's. */
void family_become(struct family *f, int place, pid_t pid)
{
	pid_t maker = getpid();

	if (pid)
		atomic_compare_exchange_strong(&f->shared->members[place].recorder, &maker, pid);
	else
		f->shared->members[place].recorder = maker;
}

void family_close_others(const struct family *f, const int *keep, unsigned nr)
{
	unsigned nr_open;
	int *open;

	if (list_fds(&open, &nr_open))
		return;
	for (unsigned i = 0; i < nr_open; i++)
		if (open[i] > 2 && !is_listed(f->fds, f->nr_fds, open[i]) && !is_listed(keep, nr, open[i]))
			close(open[i]);
	free(open);
}

static bool take_spare(struct family *f, int place, struct kernel *k_ret)
{
	for (unsigned i = 0; i < f->nr_spares; i++) {
		bool taken = false;

		if (!atomic_compare_exchange_strong(&f->shared->spare_taken[i], &taken, true))
			continue;
		f->shared->members[place].spare = (int)i;
		*k_ret = f->spares[i];
		kernel_reset(k_ret);
		return true;
	}
	return false;
}

/* As many at once as there are CPUs: more would only stand longer, all of them. */
static bool begin_loading(struct family *f, int place)
{
	if (f->shared->nr_loading++ < (unsigned)sysconf(_SC_NPROCESSORS_ONLN)) {
		f->shared->members[place].loads = true;
		f->shared->nr_loaded_late++;
		return true;
	}
	f->shared->nr_loading--;
	return false;
}

void family_loaded(struct family *f, int place)
{
	if (atomic_exchange(&f->shared->members[place].loads, false))
		f->shared->nr_loading--;
}

/* Most children of a burst are soon gone, and to load programs takes longer than that. */
bool family_take_spare(struct family *f, int place, struct kernel *k_ret)
{
	uint64_t until = clock_monotonic_ns() + (f->nr_spares ? SPARE_WAIT_NS : 0);

	while (!take_spare(f, place, k_ret)) {
		if (clock_monotonic_ns() >= until && begin_loading(f, place))
			return false;
		usleep(SPARE_LOOK_US);
	}
	return true;
}

void family_give_spare(struct family *f, int place)
{
	give_back(f, &f->shared->members[place]);
}

void family_count_left_out(struct family *f)
{
	f->shared->nr_left_out++;
}

struct family_process *family_process_new(struct family *f, int place, pid_t pid, pid_t parent)
{
	unsigned i = f->shared->nr_processes++;
	struct family_process *p = i < FAMILY_LISTED ? &f->shared->processes[i] : NULL;

	if (!p)
		return NULL;
	p->pid = pid;
	p->parent = parent;
	f->shared->members[place].process = (int)i;
	return p;
}

void family_ask_end(struct family *f, int cause)
{
	int nobody = 0;

	atomic_compare_exchange_strong(&f->shared->end_asked, &nobody, cause + 1);
}

int family_end_asked(const struct family *f)
{
	return f->shared->end_asked - 1;
}

bool family_is_busy(struct family *f)
{
	unsigned nr = 0;

	if (f->guard <= 0) /* there is none, and none can be made: its work is done here */
		return keep_house(f) > 0;
	for (unsigned i = 1; i < f->limit; i++)
		nr += f->shared->members[i].recorder != 0;
	return nr > 0;
}

void family_totals(const struct family *f, struct family_totals *totals_ret)
{
	*totals_ret = (struct family_totals){ f->shared->nr_processes, f->shared->nr_failed, f->shared->nr_left_out,
					      f->shared->nr_loaded_late };
}

const struct family_process *family_process(const struct family *f, unsigned i)
{
	return i < f->shared->nr_processes && i < FAMILY_LISTED ? &f->shared->processes[i] : NULL;
}
