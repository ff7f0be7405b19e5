/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * local.c - several runs at once, here: a process each, on CPUs that are its own for as long. Each run gets as many CPUs as the
 * plan has; where the machine has fewer than all of them need, fewer runs are made at once.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "executor/executor.h"
#include "message.h"

#define LOOK_PERIOD_NS 2000000

/* A place for a run, with the CPUs that belong to it. */
struct slot {
	pid_t pid; /* 0: free */
	size_t order;
	int fd;    /* its result */
	cpu_set_t cpus;
};

/* The CPUs that we may use, dealt out. Their number of slots: at least 1. */
static unsigned deal_cpus(struct slot *slots, unsigned wanted, unsigned each)
{
	cpu_set_t ours;
	unsigned nr = 0, in_slot = 0;

	CPU_ZERO(&ours);
	sched_getaffinity(0, sizeof(ours), &ours);
	CPU_ZERO(&slots[0].cpus);
	for (int cpu = 0; cpu < CPU_SETSIZE && nr < wanted; cpu++) {
		if (!CPU_ISSET(cpu, &ours))
			continue;
		CPU_SET(cpu, &slots[nr].cpus);
		if (++in_slot < each)
			continue;
		in_slot = 0;
		if (++nr < wanted)
			CPU_ZERO(&slots[nr].cpus);
	}
	if (nr)
		return nr;
	slots[0].cpus = ours; /* a plan with more CPUs than there are shares them, as ever */
	return 1;
}

static _Noreturn void be_run(const struct slot *s, const struct plan *plan, const struct replay_opts *opts, const struct run_order *order)
{
	struct replay_opts mine = *opts;
	struct cpu_map map;
	int err;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing of it outlives us */
	mine.execute = NULL;
	mine.progress = NULL;
	err = sched_setaffinity(0, sizeof(s->cpus), &s->cpus) ? -errno : cpu_map_make(plan, &map);
	if (!err)
		err = replay_once(plan, &map, &mine, order->tested, order->is_steered, order->flags, order->what, order->res);
	_exit(run_file_write(s->fd, plan, order->res, err, false) ? 1 : 0);
}

static int start(struct slot *s, const struct plan *plan, const struct replay_opts *opts, const struct run_order *orders, size_t order)
{
	s->fd = memfd_create("heaptape-run", MFD_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	s->order = order;
	s->pid = fork();
	if (!s->pid)
		be_run(s, plan, opts, &orders[order]);
	if (s->pid > 0)
		return 0;
	s->pid = 0;
	close(s->fd);
	return -errno;
}

/* What a run that has ended left. */
static int take(struct executor *x, struct slot *s, const struct plan *plan, struct run_order *orders, int status)
{
	bool unbound;
	int err = 0, run_err = 0;

	s->pid = 0;
	if (lseek(s->fd, 0, SEEK_SET) < 0)
		err = -errno;
	if (!err)
		err = run_file_read(s->fd, plan, orders[s->order].res, &run_err, &unbound);
	close(s->fd);
	if (err == -EBADMSG)
		snprintf(x->why, sizeof(x->why), "the process of a run was ended by %s %d", WIFSIGNALED(status) ? "signal" : "status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return err ? err : run_err;
}

static void kill_all(struct slot *slots, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (!slots[i].pid)
			continue;
		kill(slots[i].pid, SIGKILL);
		waitpid(slots[i].pid, NULL, 0);
		close(slots[i].fd);
		slots[i].pid = 0;
	}
}

static void tell(struct executor *x, unsigned at_once, unsigned each)
{
	if (x->at_once)
		return;
	x->at_once = at_once;
	if (at_once < x->jobs)
		message_warn("--jobs %llu: %u at once, since each run has %u CPU%s of its own", (unsigned long long)x->jobs, at_once, each,
			     each == 1 ? "" : "s");
	else
		message_verbose("%u runs at once, each on %u CPU%s of its own", at_once, each, each == 1 ? "" : "s");
}

int executor_run_local(struct executor *x, const struct plan *plan, const struct replay_opts *opts, struct run_order *orders, size_t nr)
{
	unsigned each = executor_cpus(plan), wanted = (unsigned)(x->jobs ? x->jobs : 1), at_once, busy = 0;
	struct slot *slots = calloc(wanted, sizeof(*slots));
	size_t next = 0, done = 0;
	int err = 0;

	if (!slots)
		return -ENOMEM;
	at_once = deal_cpus(slots, wanted, each);
	tell(x, at_once, each);
	while (!err && (next < nr || busy)) {
		for (unsigned i = 0; i < at_once && !err; i++) {
			int status;

			if (slots[i].pid && waitpid(slots[i].pid, &status, WNOHANG) == slots[i].pid) {
				err = take(x, &slots[i], plan, orders, status);
				busy--;
				message_progress("%zu of %zu runs", ++done, nr);
			}
			if (!err && !slots[i].pid && next < nr) {
				err = start(&slots[i], plan, opts, orders, next++);
				busy += !err;
			}
		}
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_PERIOD_NS }, NULL);
	}
	kill_all(slots, at_once);
	message_progress(NULL);
	free(slots);
	return err;
}
