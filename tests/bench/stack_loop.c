/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack_loop FRAMES SECONDS [new] - malloc and free at a depth, without anything else; prints the nanoseconds of a pair in the
 * best window and in the middle one. new: every call's stack is one that was never seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WINDOW = 500, WINDOWS_MAX = 1 << 16, OTHER_FRAMES = 6 /* malloc, main and what calls it */ };

static double windows[WINDOWS_MAX];
static unsigned nr_windows;
static volatile unsigned sink;
static unsigned pattern;

static unsigned long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000000000ul + (unsigned long)t.tv_nsec;
}

static void window(unsigned long end)
{
	while (nr_windows < WINDOWS_MAX) {
		unsigned long begin = now_ns();

		if (begin > end)
			return;
		for (int i = 0; i < WINDOW; i++)
			free(malloc(64));
		windows[nr_windows++] = (double)(now_ns() - begin) / WINDOW;
	}
}

/* Two functions of equal frames: which of them is called at each level is the pattern's to say. */
__attribute__((noinline)) static void one(unsigned depth, unsigned long end);
__attribute__((noinline)) static void other(unsigned depth, unsigned long end);

static inline void deeper(unsigned depth, unsigned long end)
{
	if (depth)
		(pattern >> (depth & 31) & 1 ? one : other)(depth - 1, end);
	else if (end)
		window(end);
	else
		free(malloc(64));
	sink++;
}

__attribute__((noinline)) static void one(unsigned depth, unsigned long end) { deeper(depth, end); sink += 1; }
__attribute__((noinline)) static void other(unsigned depth, unsigned long end) { deeper(depth, end); sink += 2; }

static void always_new(unsigned frames, unsigned long end)
{
	while (nr_windows < WINDOWS_MAX) {
		unsigned long begin = now_ns();

		if (begin > end)
			return;
		for (int i = 0; i < WINDOW; i++) {
			pattern = (pattern + 1) * 2654435761u;
			one(frames, 0);
		}
		windows[nr_windows++] = (double)(now_ns() - begin) / WINDOW;
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	unsigned frames = argc > 1 ? (unsigned)atoi(argv[1]) - OTHER_FRAMES : 10;
	unsigned long end = now_ns() + (unsigned long)((argc > 2 ? atof(argv[2]) : 1) * 1e9);

	if (argc > 3 && !strcmp(argv[3], "new"))
		always_new(frames - 1, end);
	else
		one(frames - 1, end);
	qsort(windows, nr_windows, sizeof(windows[0]), by_value);
	printf("%.0f %.0f\n", windows[0], windows[nr_windows / 2]);
	return 0;
}
