/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * follow MODE [ARG]: a family of processes whose calls are known. The first one has KEPT blocks of 1234 bytes; each child, in its very
 * first steps, makes CALLS calls of malloc(777) and frees them, then frees half of the blocks that it has from its parent. What
 * starts anew by an exec (MODE work) makes the same calls, and keeps 10 blocks of 555 bytes.
 * Modes: fork, vfork, fork-exec, spawn, exec-of FILE ARGS, double, thread; of N children: series (one at a time), many (four), burst
 * (all), chain (each by the one before), sleepers (that stay for a second); forever; wait and wait-exec (for a line on stdin).
 * The status is 0 if all children ended with 0.
 */
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEPT 200
#define CALLS 1000

extern char **environ;
static void *kept[KEPT];
static char *self;

static void make_calls(void)
{
	for (int i = 0; i < CALLS; i++)
		free(malloc(777));
}

static void keep_blocks(void)
{
	for (int i = 0; i < KEPT; i++)
		kept[i] = malloc(1234);
}

static void child_work(void)
{
	make_calls();
	for (int i = 0; i < KEPT / 2; i++)
		free(kept[i]);
}

static int work(void)
{
	make_calls();
	for (int i = 0; i < 10; i++)
		kept[i] = malloc(555);
	return 0;
}

static int wait_all(void)
{
	int status, bad = 0;

	while (wait(&status) > 0)
		bad |= status;
	return bad != 0;
}

/* In a child: its part, and the end without any cleaning up. */
static pid_t child(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	child_work();
	_exit(0);
}

static void *fork_in_thread(void *arg)
{
	(void)arg;
	child();
	return NULL;
}

static int many(int nr, int at_once)
{
	int bad = 0, status;

	for (int i = 0; i < nr; i++) {
		child();
		if (i >= at_once - 1)
			bad |= wait(&status) < 0 || status;
	}
	return wait_all() || bad;
}

static void chain(int nr)
{
	if (nr && !fork()) {
		child_work();
		memset(kept, 0, sizeof(kept)); /* the next one frees no block twice */
		chain(nr - 1);
		_exit(wait_all());
	}
}

static int spawn(char *const argv[])
{
	pid_t pid;

	return posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) || wait_all();
}

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[1] : "";
	char *again[] = { argv[0], "work", NULL };
	int n = argc > 2 ? atoi(argv[2]) : 0;
	pthread_t thread;
	char line[8];
	pid_t pid;

	self = argv[0];
	if (!strcmp(mode, "work"))
		return work();
	if (!strcmp(mode, "wait")) { /* until a line comes: a recorder attaches meanwhile */
		keep_blocks();
		if (read(STDIN_FILENO, line, sizeof(line)) < 0)
			return 1;
		child();
		return wait_all();
	}
	if (!strcmp(mode, "wait-exec")) {
		if (read(STDIN_FILENO, line, sizeof(line)) < 0)
			return 1;
		execv(self, again);
		return 1;
	}
	keep_blocks();
	if (!strcmp(mode, "fork")) {
		child();
	} else if (!strcmp(mode, "vfork")) {
		pid = vfork();
		if (!pid) {
			execv(self, again);
			_exit(1);
		}
	} else if (!strcmp(mode, "fork-exec")) {
		pid = fork();
		if (!pid) {
			make_calls();
			execv(self, again);
			_exit(1);
		}
	} else if (!strcmp(mode, "spawn")) {
		return spawn(again);
	} else if (!strcmp(mode, "exec-of")) {
		return spawn(argv + 2);
	} else if (!strcmp(mode, "double")) {
		pid = fork();
		if (!pid) {
			child();
			_exit(0);
		}
		wait_all();
		usleep(300000); /* the grandchild, whose parent is gone, works meanwhile */
		return 0;
	} else if (!strcmp(mode, "thread")) {
		if (pthread_create(&thread, NULL, fork_in_thread, NULL) || pthread_join(thread, NULL))
			return 1;
	} else if (!strcmp(mode, "many")) {
		return many(n, 4);
	} else if (!strcmp(mode, "series")) {
		return many(n, 1);
	} else if (!strcmp(mode, "burst")) {
		return many(n, n);
	} else if (!strcmp(mode, "chain")) {
		chain(n);
	} else if (!strcmp(mode, "forever")) {
		for (;;)
			if (many(4, 4))
				return 1;
	} else if (!strcmp(mode, "sleepers")) { /* children that stay */
		for (int i = 0; i < n; i++)
			if (!fork()) {
				child_work();
				sleep(1);
				_exit(0);
			}
	} else {
		return 2;
	}
	return wait_all();
}
