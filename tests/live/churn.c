/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * churn SECONDS [THREADS]: allocates and frees without end, and says at last how long its longest pause was and how many
 * calls it made. SECONDS 0: until it is killed; then only the pause so far, each second.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds;
static uint64_t calls[64], longest_ns[64];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void *churn(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg, random = me + 1;
	uint64_t begin = now_ns(), last = begin, now = begin;
	void *slots[512] = { 0 };

	while (seconds <= 0 || (double)(now - begin) < seconds * 1e9) {
		for (int i = 0; i < 64; i++) {
			unsigned k = (random = random * 1103515245u + 12345u) >> 16;

			free(slots[k % 512]);
			slots[k % 512] = malloc(16 + k % 700);
			calls[me] += 2;
		}
		now = now_ns();
		if (now - last > longest_ns[me])
			longest_ns[me] = now - last;
		last = now;
	}
	for (int i = 0; i < 512; i++)
		free(slots[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned nr = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
	uint64_t total = 0, longest = 0;
	pthread_t threads[64];

	seconds = argc > 1 ? atof(argv[1]) : 1;
	if (nr < 1 || nr > 64)
		return 2;
	for (unsigned i = 0; i < nr; i++)
		if (pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i))
			return 1;
	for (unsigned i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < nr; i++) {
		total += calls[i];
		longest = longest_ns[i] > longest ? longest_ns[i] : longest;
	}
	printf("calls %llu longest_pause_us %llu\n", (unsigned long long)total, (unsigned long long)longest / 1000);
	return 0;
}
