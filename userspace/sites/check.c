/* SPDX-License-Identifier: BSD-2-Clause */
/* Plans against the truth, in a scratch process. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "record/attach.h"
#include "record/drain.h"
#include "sites/inventory.h"

#define SCRATCH_TIMEOUT_NS 5000000000ull
#define ROUNDS_MAX 8 /* functions that may fail one after the other */
#define NOBODY 65534
#define LIBRARY_FD 5
#define PROGRAM_FD 6

struct seen {
	uint32_t tid;
	uint32_t next; /* call that this thread's next record must be, CHECK_CALLS_MAX: none */
	int function;  /* of its last call that was looked at */
};

struct judge {
	struct seen threads[8];
	unsigned nr_threads;
	int failed; /* function, -1: none so far */
	char why[PLAN_WHY_MAX];
	struct ht_ev_call *records;
	size_t nr_records, room;
};

struct check {
	struct kernel *kernel;
	struct drain *drain;
	struct allocator *a;
	struct check_result *res;
	struct check_area *area;
	unsigned plan_of[CHECK_FUNCTIONS_MAX]; /* function of the area -> plan of a */
	int area_fd, go_fd;
	pid_t pid;
	bool is_libc;
	unsigned nr_functions; /* our own count: the area can be written by what runs in the scratch process */
	struct judge *judge;
};

/* ---- the scratch process ---- */

/* Functions that cannot be called without knowing more than their arguments' meaning. */
static bool can_be_called(const struct plan *plan)
{
	const struct function *f = plan->function;

	/* operator delete with an alignment: the table does not say which argument that is. */
	if (f->kind == TAPE_DELETE && strstr(plan->symbol, "St11align_val_t"))
		return false;
	return plan->nr_sites && !(f->flags & FUNCTION_STEERS) && strncmp(plan->symbol, "mi_heap_", 8) != 0 &&
	       !strstr(plan->symbol, "_small") && !strstr(plan->symbol, "reallocf");
}

static void fill_area(struct check *c)
{
	memset(c->area, 0, offsetof(struct check_area, calls));
	for (unsigned i = 0; i < c->a->nr_plans && c->area->nr_functions < CHECK_FUNCTIONS_MAX; i++) {
		const struct plan *plan = &c->a->plans[i];
		const struct function *f = plan->function;
		struct check_function *to = &c->area->functions[c->area->nr_functions];

		if (!can_be_called(plan))
			continue;
		snprintf(to->symbol, sizeof(to->symbol), "%s", plan->symbol);
		to->kind = f->kind;
		to->size = f->size;
		to->mul = f->mul;
		to->ptr = f->ptr;
		to->old = f->old;
		to->align = f->align;
		to->flags = f->flags;
		to->offset = plan->vaddr;
		c->plan_of[c->area->nr_functions++] = i;
	}
	c->nr_functions = c->area->nr_functions;
}

/* The scratch program runs under this machine's libc: a target with another one cannot be imitated. */
static bool is_own_libc(const struct object *obj)
{
	struct process self;
	struct maps maps;
	struct stat st;
	bool same = false;

	if (fstat(object_fd(obj), &st) || process_open(getpid(), &self))
		return false;
	if (!maps_read(self.proc_fd, &maps)) {
		for (size_t i = 0; i < maps.nr_regions && !same; i++)
			same = maps.regions[i].inode == st.st_ino && maps.regions[i].dev == st.st_dev && maps.regions[i].executable;
	}
	maps_free(&maps);
	process_close(&self);
	return same;
}

/* Only system calls and no allocation from here: between fork and exec. */
static void give_up_rights(void)
{
	struct rlimit none = { 0, 0 }, memory = { 8ull << 30, 8ull << 30 };

	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_AS, &memory);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (geteuid() == 0) {
		/* What cannot be left (a sandbox that forbids it) stays; the user and the capabilities always go. */
		if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS))
			unshare(CLONE_NEWNET);
		if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
			_exit(120);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(121);
}

static void scratch_exec(int area_fd, int go_fd, int library_fd, int program_fd, bool preload)
{
	char *const argv[] = { "heaptape-scratch", NULL };
	char *const env_preload[] = { "LD_PRELOAD=/proc/self/fd/5", NULL }, *const env_none[] = { NULL };
	int null = open("/dev/null", O_RDWR);

	give_up_rights();
	/* Out of the way first: the numbers below may be taken by one another. */
	area_fd = fcntl(area_fd, F_DUPFD, 20);
	go_fd = fcntl(go_fd, F_DUPFD, 20);
	library_fd = fcntl(library_fd, F_DUPFD, 20);
	program_fd = fcntl(program_fd, F_DUPFD, 20);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || dup2(area_fd, CHECK_FD) < 0 ||
	    dup2(go_fd, CHECK_GO_FD) < 0 || dup2(library_fd, LIBRARY_FD) < 0 || dup2(program_fd, PROGRAM_FD) < 0)
		_exit(122);
	syscall(SYS_close_range, PROGRAM_FD + 1, ~0u, 0);
	syscall(SYS_execveat, PROGRAM_FD, "", argv, preload ? env_preload : env_none, AT_EMPTY_PATH);
	_exit(123);
}

/* heaptape-scratch lies beside heaptape, or where it is installed. */
static int open_program(void)
{
	static const char *const places[] = { "%s/heaptape-scratch", "%s/../libexec/heaptape/heaptape-scratch" };
	char dir[4096], path[4200];
	ssize_t len = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	int fd = -1;

	if (len < 0)
		return -errno;
	dir[len] = '\0';
	*strrchr(dir, '/') = '\0';
	for (int i = 0; i < 2 && fd < 0; i++) {
		snprintf(path, sizeof(path), i ? places[1] : places[0], dir);
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

static int scratch_start(struct check *c)
{
	int program = open_program(), go[2];
	sigset_t none;

	if (program < 0)
		return program;
	if (pipe2(go, O_CLOEXEC)) {
		close(program);
		return -errno;
	}
	c->pid = fork();
	if (!c->pid) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		scratch_exec(c->area_fd, go[0], object_fd(c->a->obj), program, !c->is_libc);
	}
	close(go[0]);
	close(program);
	c->go_fd = go[1];
	return c->pid < 0 ? -errno : 0;
}

static void scratch_end(struct check *c)
{
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
	}
	if (c->go_fd >= 0)
		close(c->go_fd);
	c->pid = -1;
	c->go_fd = -1;
}

/* 0 once *flag is set; -ETIME, -ECHILD if the process ended. */
static int wait_for(struct check *c, const uint32_t *flag, int (*meanwhile)(struct check *c, bool last), bool *ended)
{
	uint64_t deadline = clock_monotonic_ns() + SCRATCH_TIMEOUT_NS;
	struct timespec pause = { 0, 500000 };
	int err = 0;

	*ended = false;
	while (!err && !__atomic_load_n(flag, __ATOMIC_ACQUIRE)) {
		siginfo_t info = { 0 };

		if (!waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
			*ended = true;
		if (*ended && !__atomic_load_n(flag, __ATOMIC_ACQUIRE))
			return -ECHILD;
		if (clock_monotonic_ns() > deadline)
			return -ETIME;
		if (meanwhile)
			err = meanwhile(c, false);
		nanosleep(&pause, NULL);
	}
	return err;
}

/* ---- events against calls ---- */

static int keep_records(struct check *c, bool last)
{
	const struct ht_ev_head *h;
	unsigned cpu;
	size_t nbytes;
	int err = drain_collect(c->drain, clock_monotonic_ns(), &nbytes);

	if (last)
		drain_finish(c->drain);
	while (!err && (h = drain_next(c->drain, &cpu))) {
		struct ht_ev_call call = { .h = *h };
		const void *record = h;

		if (h->type == HT_EV_CALL) {
			call = *(const struct ht_ev_call *)record;
		} else if (h->type == HT_EV_ALLOC) {
			call.addr = ((const struct ht_ev_alloc *)record)->addr;
			call.size = ((const struct ht_ev_alloc *)record)->size;
		} else if (h->type == HT_EV_FREE) {
			call.addr = ((const struct ht_ev_free *)record)->addr;
		} else {
			continue;
		}
		if (c->judge->nr_records == c->judge->room) {
			size_t room = c->judge->room ? 2 * c->judge->room : 16384;
			struct ht_ev_call *records = realloc(c->judge->records, room * sizeof(*records));

			if (!records)
				return -ENOMEM;
			c->judge->records = records;
			c->judge->room = room;
		}
		c->judge->records[c->judge->nr_records++] = call;
	}
	return err;
}

static uint32_t next_call(const struct check_area *area, uint32_t from, uint32_t nr, uint32_t tid)
{
	while (from < nr && area->calls[from].tid != tid)
		from++;
	return from < nr ? from : CHECK_CALLS_MAX;
}

static struct seen *thread_seen(struct judge *j, const struct check_area *area, uint32_t nr, uint32_t tid)
{
	for (unsigned i = 0; i < j->nr_threads; i++)
		if (j->threads[i].tid == tid)
			return &j->threads[i];
	if (j->nr_threads == 8)
		return NULL;
	j->threads[j->nr_threads] = (struct seen){ .tid = tid, .next = next_call(area, 0, nr, tid) };
	return &j->threads[j->nr_threads++];
}

static bool same_call(const struct check_function *f, const struct check_call *call, const struct ht_ev_call *e)
{
	if (f->kind >= TAPE_FREE)
		return e->h.type == HT_EV_FREE && e->addr == call->result;
	return e->h.type != HT_EV_FREE && e->addr == call->result && e->size == call->size && e->old == call->old &&
	       (!f->align || e->align == call->align);
}

static void find_wrong(struct judge *j, const struct check_area *area, uint32_t nr)
{
	for (size_t i = 0; i < j->nr_records && j->failed < 0; i++) {
		const struct ht_ev_call *e = &j->records[i];
		struct seen *t = thread_seen(j, area, nr, e->h.tid);
		const struct check_call *call;

		if (!t)
			continue;
		if (t->next == CHECK_CALLS_MAX) {
			j->failed = t->function;
			snprintf(j->why, sizeof(j->why), "check: an event too many");
			return;
		}
		call = &area->calls[t->next];
		t->function = call->function;
		if (!same_call(&area->functions[call->function], call, e)) {
			j->failed = call->function;
			snprintf(j->why, sizeof(j->why), "check: call of %llu bytes gave 0x%llx, its event says %llu and 0x%llx",
				 (unsigned long long)call->size, (unsigned long long)call->result, (unsigned long long)e->size,
				 (unsigned long long)e->addr);
			return;
		}
		t->next = next_call(area, t->next + 1, nr, t->tid);
	}
	for (uint32_t n = 0; n < nr && j->failed < 0; n++) {
		struct seen *t = thread_seen(j, area, nr, area->calls[n].tid);

		if (t && t->next <= n && t->next != CHECK_CALLS_MAX) {
			j->failed = area->calls[t->next].function;
			snprintf(j->why, sizeof(j->why), "check: a call of %llu bytes made no event",
				 (unsigned long long)area->calls[t->next].size);
		}
	}
}

/* ---- one round ---- */

/* The same file as the scratch process has it mapped: its plans are the same, its addresses its own. */
static struct allocator *find_twin(const struct check *c, const struct inventory *inv)
{
	struct stat ours, theirs;

	if (fstat(object_fd(c->a->obj), &ours))
		return NULL;
	for (unsigned i = 0; i < inventory_nr(inv); i++) {
		struct allocator *twin = inventory_get(inv, i);

		if (!fstat(object_fd(twin->obj), &theirs) && theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev &&
		    twin->nr_plans == c->a->nr_plans)
			return twin;
	}
	return NULL;
}

static int run_probed(struct check *c, struct attach *at, const struct process *p, struct inventory *inv)
{
	const struct plan_site *missing;
	struct allocator *twin;
	unsigned nr_new;
	bool ended;
	int err;

	err = inventory_update(inv, p, &nr_new);
	twin = err ? NULL : find_twin(c, inv);
	if (!twin)
		return err ? err : -ENOENT;
	for (unsigned i = 0; i < twin->nr_plans; i++)
		twin->plans[i] = c->a->plans[i];
	err = attach_allocator(at, twin, ATTACH_CHECK_OBJ);
	if (!err && attach_check(at, p, twin, &missing) > 0)
		err = -ENXIO;
	if (err || write(c->go_fd, "g", 1) != 1)
		return err ? err : -errno;
	err = wait_for(c, &c->area->done, keep_records, &ended);
	attach_detach(at);
	if (!err)
		err = keep_records(c, true);
	return err;
}

static int check_round(struct check *c)
{
	struct inventory *inv = inventory_new();
	struct attach *at = NULL;
	struct process p = { .proc_fd = -1, .mem_fd = -1, .pid_fd = -1 };
	bool ended;
	int err;

	free(c->judge->records);
	memset(c->judge, 0, sizeof(*c->judge));
	c->judge->failed = -1;
	fill_area(c);
	err = inv ? scratch_start(c) : -ENOMEM;
	if (!err)
		err = wait_for(c, &c->area->ready, NULL, &ended);
	if (!err)
		err = process_open(c->pid, &p);
	at = err ? NULL : attach_new(c->kernel, c->pid, ATTACH_CHECK_FIRST);
	if (!err)
		err = at ? run_probed(c, at, &p, inv) : -ENOMEM;
	scratch_end(c);
	process_close(&p);
	attach_free(at);
	inventory_free(inv);
	return err;
}

static void use_simple(struct allocator *a, unsigned plan, enum plan_check check, const char *why)
{
	a->plans[plan] = a->simple[plan];
	a->plans[plan].check = check;
	snprintf(a->plans[plan].why, sizeof(a->plans[plan].why), "%s", why);
}

/* What no check has borne out must not be used. */
static void settle(struct check *c, bool checked)
{
	bool reached[CHECK_FUNCTIONS_MAX * 2] = { 0 };

	for (unsigned i = 0; checked && i < c->nr_functions; i++)
		if (c->area->functions[i].found)
			reached[c->plan_of[i]] = true;
	for (unsigned i = 0; i < c->a->nr_plans; i++) {
		struct plan *plan = &c->a->plans[i];

		if (!plan->nr_sites || plan->check == PLAN_CHECK_FAILED)
			continue;
		if (reached[i]) {
			plan->check = PLAN_CHECK_PASSED;
			c->res->nr_checked++;
		} else {
			c->res->nr_unreached++;
			if (plan->by_flow)
				use_simple(c->a, i, PLAN_CHECK_NONE, "not to be called by the check: simple plan");
		}
	}
}

/* The log is written by a process that runs the target's code: its numbers are looked at before they are used. The
 * process has ended by now. */
static bool calls_are_sane(const struct check *c, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (c->area->calls[i].function >= c->nr_functions)
			return false;
	return nr > 0;
}

static int check_rounds(struct check *c)
{
	int err = 0;

	for (int round = 0; round < ROUNDS_MAX; round++) {
		uint32_t nr;

		err = check_round(c);
		if (err)
			return err;
		nr = c->area->nr_calls < CHECK_CALLS_MAX ? c->area->nr_calls : CHECK_CALLS_MAX;
		c->res->nr_calls += nr;
		if (!calls_are_sane(c, nr))
			return -EBADMSG;
		find_wrong(c->judge, c->area, nr);
		if (c->judge->failed < 0)
			return nr > 1000 ? 0 : -ENODATA;
		if (!c->a->plans[c->plan_of[c->judge->failed]].by_flow)
			return -EPROTO; /* the simple plan does not hold either */
		use_simple(c->a, c->plan_of[c->judge->failed], PLAN_CHECK_FAILED, c->judge->why);
		c->res->nr_failed++;
	}
	return -EPROTO;
}

int check_allocator(struct kernel *k, struct drain *d, struct allocator *a, struct check_result *res)
{
	struct check c = { .kernel = k, .drain = d, .a = a, .res = res, .area_fd = -1, .go_fd = -1, .pid = -1 };
	uint64_t begin = clock_monotonic_ns();
	int err = 0;

	memset(res, 0, sizeof(*res));
	c.judge = calloc(1, sizeof(*c.judge));
	c.is_libc = is_own_libc(a->obj) && !strcmp(a->name, "glibc");
	c.area_fd = memfd_create("heaptape-check", MFD_CLOEXEC);
	if (!c.judge || c.area_fd < 0 || ftruncate(c.area_fd, sizeof(*c.area)))
		err = -ENOMEM;
	if (!err)
		c.area = mmap(NULL, sizeof(*c.area), PROT_READ | PROT_WRITE, MAP_SHARED, c.area_fd, 0);
	if (c.area == MAP_FAILED)
		c.area = NULL;
	if (!c.area)
		snprintf(res->why, sizeof(res->why), "out of memory");
	else if (object_is_executable(a->obj))
		snprintf(res->why, sizeof(res->why), "a program's own allocator cannot be called from outside");
	else if (!c.is_libc && (!strcmp(a->name, "glibc") || !strcmp(a->name, "musl")))
		snprintf(res->why, sizeof(res->why), "another libc than this machine's");
	else if ((err = check_rounds(&c)))
		snprintf(res->why, sizeof(res->why), "the scratch process could not be used: %s%s%s", strerror(-err),
			 c.judge->why[0] ? "; " : "", c.judge->why);
	settle(&c, !res->why[0]);
	if (c.area)
		munmap(c.area, sizeof(*c.area));
	if (c.area_fd >= 0)
		close(c.area_fd);
	if (c.judge)
		free(c.judge->records);
	free(c.judge);
	res->took_ns = clock_monotonic_ns() - begin;
	return 0;
}
