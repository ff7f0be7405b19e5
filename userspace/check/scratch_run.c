/* SPDX-License-Identifier: BSD-2-Clause */
/* heaptape-scratch: started, confined, waited for. */
#include "scratch_run.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
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

#include "check/confine.h"
#include "clock.h"
#include "formats/tape.h"
#include "target/maps.h"
#include "target/own_programs.h"
#include "target/process.h"

#define SCRATCH_TIMEOUT_NS 5000000000ull
enum { NOBODY = 65534, LIBRARY_FD = 5, PROGRAM_FD = 6, FREE_FD = 20 };

static bool ends_with(const char *name, const char *end)
{
	size_t len = strlen(name);

	return len >= strlen(end) && !strcmp(name + len - strlen(end), end);
}

/* Functions that cannot be called without knowing more than their arguments' meaning. */
static bool can_be_called(const struct plan *plan)
{
	const struct function *f = plan->function;

	/* operator delete with an alignment: the table does not say which argument that is. */
	if (f->kind == TAPE_DELETE && strstr(plan->symbol, "St11align_val_t"))
		return false;
	return !plan->skipped && !(f->flags & FUNCTION_STEERS) && strncmp(plan->symbol, "mi_heap_", 8) != 0 &&
	       !strstr(plan->symbol, "_small") && !strstr(plan->symbol, "reallocf") && !ends_with(plan->symbol, "_at") &&
	       !strstr(plan->symbol, "offset");
}

static void fill_area(struct scratch *s, enum area_mode mode)
{
	memset(s->area, 0, offsetof(struct area, calls));
	s->area->mode = mode;
	s->nr_functions = 0;
	for (unsigned i = 0; i < s->a->nr_plans && s->nr_functions < AREA_FUNCTIONS_MAX; i++) {
		const struct plan *plan = &s->a->plans[i];
		const struct function *f = plan->function;
		struct area_function *to = &s->area->functions[s->nr_functions];

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
		s->plan_of[s->nr_functions++] = i;
	}
	s->area->nr_functions = s->nr_functions;
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

static bool is_libc(const struct allocator *a)
{
	return !strcmp(a->name, "glibc") || !strcmp(a->name, "musl");
}

const char *scratch_refusal(const struct allocator *a)
{
	if (object_is_executable(a->obj))
		return "a program's own allocator cannot be called from outside";
	if (is_libc(a) && !is_own_libc(a->obj))
		return "another libc than this machine's";
	return NULL;
}

int scratch_new(const struct allocator *a, struct scratch *s)
{
	*s = (struct scratch){ .area_fd = -1, .go_fd = -1, .pid = -1, .a = a, .preload = !is_libc(a) };
	s->area_fd = memfd_create("heaptape-check", MFD_CLOEXEC);
	if (s->area_fd < 0 || ftruncate(s->area_fd, sizeof(*s->area)))
		return -ENOMEM;
	s->area = mmap(NULL, sizeof(*s->area), PROT_READ | PROT_WRITE, MAP_SHARED, s->area_fd, 0);
	if (s->area == MAP_FAILED)
		s->area = NULL;
	return s->area ? 0 : -ENOMEM;
}

void scratch_free(struct scratch *s)
{
	scratch_end(s);
	if (s->area)
		munmap(s->area, sizeof(*s->area));
	if (s->area_fd >= 0)
		close(s->area_fd);
	s->area = NULL;
	s->area_fd = -1;
}

/* ---- in the child: only system calls and no allocation ---- */

static void give_up_rights(bool root)
{
	struct rlimit none = { 0, 0 }, memory = { 8ull << 30, 8ull << 30 };

	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_AS, &memory);
	if (root && (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY)))
		_exit(120);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		_exit(121);
}

static void scratch_exec(const struct scratch *s, int go_fd, int program_fd, bool root)
{
	char *const argv[] = { "heaptape-scratch", NULL };
	char *const env_preload[] = { "LD_PRELOAD=/proc/self/fd/5", NULL }, *const env_none[] = { NULL };
	int null = open("/dev/null", O_RDWR), library_fd, area_fd;

	give_up_rights(root);
	/* Out of the way first: the numbers below may be taken by one another. */
	area_fd = fcntl(s->area_fd, F_DUPFD, FREE_FD);
	go_fd = fcntl(go_fd, F_DUPFD, FREE_FD);
	library_fd = fcntl(object_fd(s->a->obj), F_DUPFD, FREE_FD);
	program_fd = fcntl(program_fd, F_DUPFD, FREE_FD);
	if (dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || dup2(area_fd, AREA_FD) < 0 ||
	    dup2(go_fd, AREA_GO_FD) < 0 || dup2(library_fd, LIBRARY_FD) < 0 || dup2(program_fd, PROGRAM_FD) < 0)
		_exit(122);
	syscall(SYS_close_range, PROGRAM_FD + 1, ~0u, 0);
	if (confine_system_calls())
		_exit(124);
	syscall(SYS_execveat, PROGRAM_FD, "", argv, s->preload ? env_preload : env_none, AT_EMPTY_PATH);
	_exit(123);
}

/* Namespaces of its own. Where a sandbox forbids some of them, as many as it allows: user and capabilities go in any case. */
static pid_t fork_confined(bool root)
{
	static const unsigned long ways[] = {
		CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWUTS,
		CLONE_NEWNET | CLONE_NEWIPC,
		0,
	};
	pid_t pid = -1;

	for (size_t i = root ? 0 : 2; i < sizeof(ways) / sizeof(ways[0]) && pid < 0; i++)
		pid = (pid_t)syscall(SYS_clone, ways[i] | SIGCHLD, NULL, NULL, NULL, 0);
	return pid;
}

int scratch_start(struct scratch *s, enum area_mode mode)
{
	bool root = geteuid() == 0;
	char path[PATH_MAX];
	int program, go[2];
	sigset_t none;

	fill_area(s, mode);
	if (own_program_find("heaptape-scratch", path, sizeof(path)))
		return -ENOENT;
	program = open(path, O_RDONLY | O_CLOEXEC);
	if (program < 0)
		return -errno;
	if (pipe2(go, O_CLOEXEC)) {
		close(program);
		return -errno;
	}
	s->pid = fork_confined(root);
	if (!s->pid) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		scratch_exec(s, go[0], program, root);
	}
	close(go[0]);
	close(program);
	s->go_fd = go[1];
	return s->pid < 0 ? -errno : 0;
}

void scratch_end(struct scratch *s)
{
	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	if (s->go_fd >= 0)
		close(s->go_fd);
	s->pid = -1;
	s->go_fd = -1;
}

static int wait_for(struct scratch *s, const uint32_t *flag, int (*meanwhile)(void *arg), void *arg)
{
	uint64_t deadline = clock_monotonic_ns() + SCRATCH_TIMEOUT_NS;
	struct timespec pause = { 0, 500000 };
	int err = 0;

	while (!err && !__atomic_load_n(flag, __ATOMIC_ACQUIRE)) {
		siginfo_t info = { 0 };

		if (!waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
			return -ECHILD;
		if (clock_monotonic_ns() > deadline)
			return -ETIME;
		if (meanwhile)
			err = meanwhile(arg);
		nanosleep(&pause, NULL);
	}
	return err;
}

int scratch_wait_ready(struct scratch *s)
{
	return wait_for(s, &s->area->ready, NULL, NULL);
}

int scratch_run(struct scratch *s, int (*meanwhile)(void *arg), void *arg)
{
	if (write(s->go_fd, "g", 1) != 1)
		return -errno;
	return wait_for(s, &s->area->done, meanwhile, arg);
}
