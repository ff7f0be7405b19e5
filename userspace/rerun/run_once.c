/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_once.c - see run_once.h.
 *
 * The recorder of a run is a fork of us, so that nothing of one run is left for the next, and the program's environment is given to
 * the program alone: the recorder does not run on the allocator that is looked at.
 */
#include "rerun/run_once.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bisect/child.h"
#include "clock.h"
#include "message.h"
#include "record/launch.h"
#include "record/session.h"
#include "runtime/runtime.h"
#include "target/process.h"

#define LOOK_NS 50000000ull  /* as often as a recording looks at the resident set */
#define GRACE_NS 5000000000ull /* between SIGTERM and SIGKILL */
#define WAIT_NS 10000000ull

static void take_usage(struct once_outcome *o, const struct rusage *u)
{
	o->cpu_ns = (uint64_t)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000000000 + (uint64_t)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) * 1000;
	o->faults = (uint64_t)(u->ru_minflt + u->ru_majflt);
}

/* Ends a program that runs still, and takes what it used; nothing if it is no child of ours any more: the number may be another's. */
static void end_program(pid_t pid, struct once_outcome *o)
{
	uint64_t end = clock_monotonic_ns() + GRACE_NS;
	struct rusage usage;
	pid_t got = wait4(pid, &o->status, WNOHANG, &usage);

	if (got < 0)
		return;
	if (!got)
		kill(pid, SIGTERM);
	while (!got && !(got = wait4(pid, &o->status, WNOHANG, &usage)) && clock_monotonic_ns() < end)
		nanosleep(&(struct timespec){ .tv_nsec = WAIT_NS }, NULL);
	if (!got) {
		kill(pid, SIGKILL);
		got = wait4(pid, &o->status, 0, &usage);
	}
	if (got == pid)
		take_usage(o, &usage);
}

static int point_to(int fd, const char *path, int flags)
{
	int file = open(path, flags | O_CLOEXEC, 0600), err = file < 0 || dup2(file, fd) < 0 ? -errno : 0;

	if (file >= 0)
		close(file);
	return err;
}

/* The program's files are its recorder's, which is quiet. */
static int take_files(const struct once_order *order)
{
	int err = point_to(STDIN_FILENO, order->input ? order->input : "/dev/null", O_RDONLY);

	if (!err)
		err = point_to(STDOUT_FILENO, order->log, O_WRONLY | O_CREAT | O_TRUNC);
	return err || dup2(STDOUT_FILENO, STDERR_FILENO) >= 0 ? err : -errno;
}

/* '%' stands for something in the name of a tape. */
static char *tape_template(const char *path)
{
	char *text = malloc(2 * strlen(path) + 1), *out = text;

	for (; text && *path; path++) {
		if (*path == '%')
			*out++ = '%';
		*out++ = *path;
	}
	if (text)
		*out = '\0';
	return text;
}

static void record(const struct once_order *order, struct once_outcome *o)
{
	static struct session_result res; /* large */
	struct session_opts so = { .argv = order->argv, .env = order->env, .user = order->user, .duration_ns = order->duration_ns,
				   .mappings = true, .faults = true, .cmdline = true, .stacks = HT_STACKS_EH, .overwrite = true,
				   .levels = RUNTIME_OS | RUNTIME_PAGES | RUNTIME_OBJECTS, .tape_path = tape_template(order->tape), .ready_fd = -1 };
	int err = so.tape_path ? session_run(&so, &res) : -ENOMEM;

	if (err)
		snprintf(o->error, sizeof(o->error), "%s", *res.error ? res.error : strerror(-err));
	o->status = res.child_status;
	take_usage(o, &res.child_usage);
	o->cut = res.end == SESSION_DURATION;
	o->stopped = res.end == SESSION_SIGNAL && !err;
	if (res.pid > 0)
		end_program(res.pid, o);
	o->wall_ns = res.duration_ns;
	o->calls = res.totals.events;
	o->lost = res.totals.lost;
	o->cost_ns = res.cost_ns;
}

static bool is_mapped(pid_t pid, const struct tested *alloc)
{
	char path[64], line[PATH_MAX + 256];
	unsigned long long ino;
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	/* By the inode: the path there is that of the file, not of a link to it; devices are not told alike by all file systems. */
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %*s %*s %llu", &ino) == 1 && ino == alloc->ino;
	if (f)
		fclose(f);
	return found;
}

/* Looks at it until it ends. */
static void watch(const struct once_order *order, struct launch *launch, struct process *p, struct once_outcome *o)
{
	uint64_t begin = clock_monotonic_ns(), look_ns = 0, now = begin;
	struct process_resident resident;
	struct rusage usage;

	while (launch_poll(launch, &o->status, &usage) != LAUNCH_ENDED) {
		now = clock_monotonic_ns();
		if (now >= look_ns && !process_resident(p, &resident)) {
			o->end_resident = resident.anon;
			o->peak_resident = resident.anon > o->peak_resident ? resident.anon : o->peak_resident;
			look_ns = now + LOOK_NS;
		}
		if (order->alloc && !o->alloc_seen)
			o->alloc_seen = is_mapped(launch->pid, order->alloc);
		o->cut = order->duration_ns && now - begin >= order->duration_ns;
		o->stopped = child_stopped();
		if (o->cut || o->stopped) {
			o->wall_ns = now - begin;
			end_program(launch->pid, o);
			return;
		}
		poll(&(struct pollfd){ .fd = p->pid_fd, .events = POLLIN }, 1, WAIT_NS / 1000000);
	}
	o->wall_ns = clock_monotonic_ns() - begin;
	take_usage(o, &usage);
}

static void run_plain(const struct once_order *order, struct once_outcome *o)
{
	struct launch launch;
	struct process p = { .proc_fd = -1, .mem_fd = -1, .pid_fd = -1 };
	int err = launch_start(order->argv, order->user, order->env, &launch);

	if (!err)
		err = process_open(launch.pid, &p);
	if (!err)
		err = launch_go(&launch);
	if (err)
		snprintf(o->error, sizeof(o->error), "%s cannot be run: %s", order->argv[0], strerror(-err));
	else
		watch(order, &launch, &p, o);
	process_close(&p);
	launch_close(&launch);
}

static _Noreturn void run_in_child(const struct once_order *order, struct once_outcome *o)
{
	int err;

	prctl(PR_SET_PDEATHSIG, SIGTERM); /* nothing of it outlives us */
	message_level = -1;
	err = take_files(order);
	if (err)
		snprintf(o->error, sizeof(o->error), "%s, %s: %s", order->input ? order->input : "/dev/null", order->log, strerror(-err));
	else if (order->tape)
		record(order, o);
	else
		run_plain(order, o);
	_exit(0);
}

int run_once(const struct once_order *order, struct once_outcome *outcome)
{
	struct once_outcome *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool told = false;
	int status, err = 0;
	pid_t pid;

	*outcome = (struct once_outcome){ 0 };
	if (shared == MAP_FAILED)
		return -errno;
	pid = fork();
	if (!pid)
		run_in_child(order, shared);
	err = pid < 0 ? -errno : 0;
	while (pid > 0 && waitpid(pid, &status, 0) < 0) {
		if (child_stopped() && !told)
			told = !kill(pid, SIGTERM); /* a terminal tells it too, others do not */
		err = errno == EINTR ? 0 : -errno;
		if (err)
			break;
	}
	*outcome = *shared;
	if (!err && WIFSIGNALED(status))
		snprintf(outcome->error, sizeof(outcome->error), "its recorder was ended by signal %d", WTERMSIG(status));
	outcome->stopped |= child_stopped();
	munmap(shared, sizeof(*shared));
	return err;
}
