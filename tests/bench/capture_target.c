/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A target that times itself, for tests/bench/capture.sh; works once for each line on its stdin and answers with a line.
 *   capture_target pairs SIZE            ns of malloc(SIZE) and free: the best window, the median of them
 *   capture_target gaps THREADS SECONDS  the longest time between two calls of a thread, in microseconds
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WINDOWS = 60, PAIRS = 600, THREADS_MAX = 64 };

static void *volatile sink;
static double seconds;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void time_pairs(size_t size)
{
	double each[WINDOWS];

	for (int w = 0; w < WINDOWS; w++) {
		uint64_t begin = now_ns();

		for (int i = 0; i < PAIRS; i++) {
			sink = malloc(size);
			free(sink);
		}
		each[w] = (double)(now_ns() - begin) / PAIRS;
	}
	qsort(each, WINDOWS, sizeof(each[0]), by_value);
	printf("%.1f %.1f\n", each[0], each[WINDOWS / 2]);
}

static void *find_gap(void *arg)
{
	uint64_t *longest_ns = arg, begin = now_ns(), last = begin, now = begin;

	while ((double)(now - begin) < seconds * 1e9) {
		void *p = malloc(64);

		*(volatile char *)p = 1;
		free(p);
		now = now_ns();
		if (now - last > *longest_ns)
			*longest_ns = now - last;
		last = now;
	}
	return NULL;
}

static void time_gaps(unsigned nr)
{
	uint64_t longest_ns[THREADS_MAX] = { 0 }, longest = 0;
	pthread_t threads[THREADS_MAX];

	for (unsigned i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, find_gap, &longest_ns[i]))
			exit(1);
	for (unsigned i = 0; i < nr; i++) {
		pthread_join(threads[i], NULL);
		longest = longest_ns[i] > longest ? longest_ns[i] : longest;
	}
	printf("%llu\n", (unsigned long long)longest / 1000);
}

int main(int argc, char **argv)
{
	char line[16];
	unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 0;

	seconds = argc > 3 ? atof(argv[3]) : 1;
	if (!n || (!strcmp(argv[1], "gaps") && n > THREADS_MAX))
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		if (!strcmp(argv[1], "gaps"))
			time_gaps(n);
		else
			time_pairs(n);
		fflush(stdout);
	}
	return 0;
}
