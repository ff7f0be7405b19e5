/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * all_calls THREADS ROUNDS [no-pvalloc]: every allocator function with its edge cases, threads that pass objects to each other, a
 * signal handler that allocates. Waits for a line on stdin before it begins, so that a recorder can attach.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOX_SLOTS 256

/* Kept from the optimiser. */
static void *volatile sink;
static _Atomic(void *) box[BOX_SLOTS]; /* objects on their way from thread to thread */
static atomic_int signals_seen;
/* Where an allocator lacks it, libc's would answer, and the allocator's free would get its block. */
static int has_pvalloc = 1;

static void keep(void *p)
{
	sink = p;
}

static void on_signal(int signal_nr)
{
	void *p = malloc(333);

	(void)signal_nr;
	keep(p);
	free(p);
	atomic_fetch_add(&signals_seen, 1);
}

static void edge_cases(void)
{
	size_t huge = (size_t)PTRDIFF_MAX + 1;
	void *p, *q = NULL;

	free(NULL);
	keep(p = malloc(0));
	free(p);
	keep(p = calloc(0, 8));
	free(p);
	keep(p = malloc(huge)); /* fails */
	free(p);
	keep(p = calloc(SIZE_MAX / 2, 3)); /* overflows, fails */
	free(p);
	keep(p = realloc(NULL, 100)); /* is a malloc */
	keep(p = realloc(p, 90));     /* in place */
	keep(p = realloc(p, 100000)); /* moves */
	if (!realloc(p, huge))        /* fails; p lives on */
		keep(p = realloc(p, 50));
	keep(p = realloc(p, 0)); /* frees on glibc */
	free(p);
	keep(p = reallocarray(NULL, 10, 10));
	keep(p = reallocarray(p, 100, 100));
	if (!reallocarray(p, SIZE_MAX / 2, 3))
		keep(p);
	free(p);
	keep(p = malloc(5 << 20)); /* mapped by itself */
	keep(p = realloc(p, 9 << 20));
	keep(p = realloc(p, 1 << 20));
	free(p);
	if (posix_memalign(&q, 3, 100) != EINVAL)
		abort();
	if (posix_memalign(&q, 4096, huge) == 0)
		abort();
}

static void aligned_cases(unsigned i)
{
	size_t align = (size_t)16 << (i % 10);
	void *p;

	if (posix_memalign(&p, align, 100 + i % 5000))
		abort();
	free(p);
	keep(p = aligned_alloc(align, align * (1 + i % 7)));
	free(p);
	keep(p = memalign(align, 1 + i % 3000));
	free(p);
	keep(p = valloc(1 + i % 9000));
	free(p);
	if (!has_pvalloc)
		return;
	keep(p = pvalloc(1 + i % 9000));
	free(p);
}

/* Puts an object into the box and frees what another thread left there. */
static void pass_on(void *p, unsigned slot)
{
	free(atomic_exchange(&box[slot % BOX_SLOTS], p));
}

static void *work(void *arg)
{
	unsigned rounds = (unsigned)(uintptr_t)arg, random = 12345u * (unsigned)(gettid() | 1);
	void *mine[64] = { 0 };

	edge_cases();
	for (unsigned i = 0; i < rounds; i++) {
		unsigned k = (random = random * 1103515245u + 12345u) >> 16;

		free(mine[k % 64]);
		mine[k % 64] = malloc(1 + k % 2000);
		if (k % 3 == 0)
			pass_on(calloc(1 + k % 5, 1 + k % 100), k >> 3);
		if (k % 5 == 0)
			keep(mine[k % 64] = realloc(mine[k % 64], 1 + (k >> 2) % 6000));
		if (k % 50 == 0)
			aligned_cases(k);
		if (k % 977 == 0)
			keep(mine[k % 64] = realloc(mine[k % 64], 200000 + k));
		if (k % 1009 == 0)
			raise(SIGUSR1);
	}
	for (unsigned i = 0; i < 64; i++)
		free(mine[i]);
	return NULL;
}

int main(int argc, char **argv)
{
	int nr_threads = argc > 1 ? atoi(argv[1]) : 4;
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 10000;
	pthread_t threads[64];
	char line[8];

	has_pvalloc = argc < 4;
	signal(SIGUSR1, on_signal);
	if (nr_threads > 64 || read(STDIN_FILENO, line, sizeof(line)) < 0)
		return 1;
	/* One thread is the only one: allocators take other ways as long as no second has been made. */
	if (nr_threads == 1) {
		work((void *)(uintptr_t)rounds);
		nr_threads = 0;
	}
	for (int i = 0; i < nr_threads; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)rounds))
			return 1;
	for (int i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	mallopt(M_MMAP_THRESHOLD, 200000);
	malloc_trim(0);
	for (unsigned i = 0; i < BOX_SLOTS; i++)
		free(box[i]);
	return atomic_load(&signals_seen) ? 0 : 1;
}
