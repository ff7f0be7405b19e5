/* SPDX-License-Identifier: BSD-2-Clause */
/* pause.c - see pause.h. */
#include "baseline/pause.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "target/files.h"

#define STAND_NS 1000000000ull /* for the last thread to stand; one that waits for a disk may take long */
#define LOOK_US 50

static int send(const struct process *p, int signal)
{
	return syscall(SYS_pidfd_send_signal, p->pid_fd, signal, NULL, 0) ? -errno : 0;
}

/* In the copy: nothing is held but the pipe and the process; signals for the recorder's group are not for it. */
static void guard(const struct process *p, int fd)
{
	unsigned low = (unsigned)(fd < p->pid_fd ? fd : p->pid_fd), high = (unsigned)(fd < p->pid_fd ? p->pid_fd : fd);
	char byte;

	setsid();
	close_range(high + 1, ~0u, 0);
	if (high - low > 1)
		close_range(low + 1, high - 1, 0);
	if (low > 3)
		close_range(3, low - 1, 0);
	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
	send(p, SIGCONT);
	_exit(0);
}

/* The letter of /proc/PID/task/TID/stat; 'X' if it is gone. */
static char thread_state(const struct process *p, pid_t tid)
{
	char name[48], line[512], *at;

	snprintf(name, sizeof(name), "task/%d/stat", tid);
	if (file_read_line_at(p->proc_fd, name, line, sizeof(line)))
		return 'X';
	at = strrchr(line, ')');
	return at && at[1] == ' ' ? at[2] : 'X';
}

struct count {
	const struct process *process;
	unsigned nr, nr_standing;
};

static int count_thread(void *arg, pid_t tid)
{
	struct count *c = arg;
	char state = thread_state(c->process, tid);

	c->nr++;
	c->nr_standing += state == 'T' || state == 't' || state == 'X' || state == 'Z';
	return 0;
}

static bool all_stand(const struct process *p)
{
	struct count c = { .process = p };

	return !process_each_thread(p, count_thread, &c) && c.nr == c.nr_standing;
}

int pause_begin(const struct process *p, struct pause_guard *g)
{
	int fds[2], err;
	uint64_t until;

	if (thread_state(p, p->pid) == 'T')
		return -EALREADY;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	*g = (struct pause_guard){ .process = p, .go_fd = fds[1], .pid = fork() };
	if (!g->pid)
		guard(p, fds[0]);
	close(fds[0]);
	err = g->pid < 0 ? -errno : 0;
	g->since_ns = clock_monotonic_ns();
	if (!err)
		err = send(p, SIGSTOP);
	if (err && g->pid < 0) {
		close(fds[1]);
		return err;
	}
	until = g->since_ns + STAND_NS;
	while (!err && !all_stand(p)) {
		usleep(LOOK_US);
		if (clock_monotonic_ns() > until)
			err = -ETIME;
	}
	if (err)
		pause_end(g);
	return err;
}

uint64_t pause_end(struct pause_guard *g)
{
	send(g->process, SIGCONT);
	close(g->go_fd);
	waitpid(g->pid, NULL, 0);
	return clock_monotonic_ns() - g->since_ns;
}
