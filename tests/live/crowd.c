/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crowd N: N threads that wait; when a line comes on stdin each makes one malloc(777) and frees it, and the program ends.
 * crowd 0: threads that live for some calls each, one behind another and eight at a time, until the program is killed.
 * crowd -N: executes itself anew N times, with some calls before each, then goes on as crowd 0.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STACK_NBYTES 65536
#define LIVES_CALLS 20
#define EXEC_PAUSE_US 3000

static sem_t begin;

static void *wait_and_call(void *arg)
{
	while (sem_wait(&begin))
		;
	free(malloc(777));
	return arg;
}

static void *live_shortly(void *arg)
{
	for (int i = 0; i < LIVES_CALLS; i++)
		free(malloc(777));
	return arg;
}

static int wait_for_all(int nr, const pthread_attr_t *attr)
{
	pthread_t *threads = calloc((size_t)nr, sizeof(*threads));
	char line[8];

	for (int i = 0; i < nr; i++)
		if (!threads || pthread_create(&threads[i], attr, wait_and_call, NULL)) {
			fprintf(stderr, "thread %d cannot be made\n", i);
			return 3;
		}
	/* Not by stdio, which would allocate. */
	if (write(STDOUT_FILENO, "ready\n", 6) < 0 || read(STDIN_FILENO, line, sizeof(line)) < 0)
		return 1;
	for (int i = 0; i < nr; i++)
		sem_post(&begin);
	for (int i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static int live_and_die(const pthread_attr_t *attr)
{
	pthread_t threads[8];

	for (;;) {
		for (int i = 0; i < 8; i++)
			if (pthread_create(&threads[i], attr, live_shortly, NULL))
				return 3;
		for (int i = 0; i < 8; i++)
			pthread_join(threads[i], NULL);
	}
}

int main(int argc, char **argv)
{
	int nr = argc > 1 ? atoi(argv[1]) : 100;
	pthread_attr_t attr;
	char again[16];

	sem_init(&begin, 0, 0);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_NBYTES);
	if (nr > 0)
		return wait_for_all(nr, &attr);
	if (!nr)
		return live_and_die(&attr);
	live_shortly(NULL);
	usleep(EXEC_PAUSE_US);
	snprintf(again, sizeof(again), "%d", nr + 1);
	execl("/proc/self/exe", argv[0], again, (char *)NULL);
	return 1;
}
