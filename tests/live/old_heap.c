/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * old_heap BLOCKS THREADS PAUSE_US: a program that has lived before anybody attaches.
 *
 * THREADS threads build a heap of BLOCKS blocks with holes in it, of all sizes and by all calls; some other threads have
 * come and gone before. Then "ready" is printed, and after a line on stdin they go on replacing blocks, with PAUSE_US
 * between every hundred calls (0: none), while short-lived threads come and go; until SIGTERM, when the program ends.
 * The tables of blocks are mapped, so that the heap holds the blocks alone.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS_MAX 64
#define ROUND 100
#define SHORT_LIVED_US 5000

static size_t nr_slots; /* of each thread */
static unsigned pause_us;
static atomic_int may_churn, must_end, nr_built;
static void **slots[THREADS_MAX];

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

/* Mostly small, some of a page and more, few with a mapping of their own. */
static size_t some_size(uint64_t *state)
{
	uint32_t r = next_random(state), k = r % 10000;

	if (k < 7000)
		return 1 + r / 10000 % 120;
	if (k < 9900)
		return 1 + r / 10000 % 700;
	if (k < 9999)
		return 1 + r / 10000 % 20000;
	return 130000 + r / 10000 % 200000;
}

static void *some_block(uint64_t *state)
{
	size_t nbytes = some_size(state);
	void *p = NULL;

	switch (next_random(state) % 16) {
	case 0: return calloc(1, nbytes);
	case 1: return memalign((size_t)64 << next_random(state) % 7, nbytes);
	case 2: return posix_memalign(&p, 32, nbytes) ? NULL : p;
	case 3: return realloc(malloc(nbytes), nbytes + nbytes / 2);
	default: p = malloc(nbytes);
	}
	/* As a program would: data that may look like anything. */
	memset(p, (int)next_random(state), nbytes < 64 ? nbytes : 64);
	return p;
}

static void replace(void **slot, uint64_t *state)
{
	if (*slot && next_random(state) % 8 == 0) {
		*slot = realloc(*slot, some_size(state));
		return;
	}
	free(*slot);
	*slot = next_random(state) % 8 ? some_block(state) : NULL;
}

static void build(unsigned me, uint64_t *state)
{
	for (size_t i = 0; i < nr_slots; i++)
		slots[me][i] = some_block(state);
	for (size_t i = 0; i < nr_slots; i += 3)
		replace(&slots[me][next_random(state) % nr_slots], state);
	for (size_t i = 0; i < nr_slots; i++)
		if (!slots[me][i])
			slots[me][i] = some_block(state);
}

/* Now and then a neighbour's block is freed: a thread's cache and arena get others' blocks. */
static void *live(void *arg)
{
	unsigned me = (unsigned)(uintptr_t)arg;
	uint64_t state = me + 1;

	build(me, &state);
	atomic_fetch_add(&nr_built, 1);
	while (!atomic_load(&may_churn))
		usleep(1000);
	while (!atomic_load(&must_end)) {
		for (int i = 0; i < ROUND; i++)
			replace(&slots[me][next_random(&state) % nr_slots], &state);
		if (pause_us)
			usleep(pause_us);
	}
	return NULL;
}

/* Leaves a block behind with every second thread, and its cache to whoever comes next. */
static void *live_shortly(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg;
	void *blocks[200];

	for (int i = 0; i < 200; i++)
		blocks[i] = some_block(&state);
	for (int i = (int)(state & 1); i < 200; i++)
		free(blocks[i]);
	return NULL;
}

static void make_short_lived(unsigned seed)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, live_shortly, (void *)(uintptr_t)seed))
		pthread_join(thread, NULL);
}

static void on_term(int signal)
{
	(void)signal;
	atomic_store(&must_end, 1);
}

int main(int argc, char **argv)
{
	unsigned nr = argc > 2 ? (unsigned)atoi(argv[2]) : 0, seed = 1;
	pthread_t threads[THREADS_MAX];
	char line[16];

	if (argc != 4 || !nr || nr > THREADS_MAX)
		return 2;
	nr_slots = strtoul(argv[1], NULL, 10) / nr;
	pause_us = (unsigned)atoi(argv[3]);
	signal(SIGTERM, on_term);
	for (; seed < 10; seed++)
		make_short_lived(seed);
	for (unsigned i = 0; i < nr; i++) {
		slots[i] = mmap(NULL, nr_slots * sizeof(void *), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (slots[i] == MAP_FAILED || pthread_create(&threads[i], NULL, live, (void *)(uintptr_t)i))
			return 1;
	}
	while (atomic_load(&nr_built) < (int)nr)
		usleep(1000);
	printf("ready\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	atomic_store(&may_churn, 1);
	while (!atomic_load(&must_end)) {
		usleep(SHORT_LIVED_US);
		make_short_lived(++seed);
	}
	for (unsigned i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
