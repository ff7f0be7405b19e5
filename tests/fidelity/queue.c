/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue ITEMS - two threads make messages of many sizes, two take them from a bounded queue, keep some for a while, and
 * free them. After each step it prints "phase NAME" and waits for a line on its input.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { QUEUE_NR = 1024, KEPT_NR = 20000, MAKERS = 2, TAKERS = 2 };

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void *items[QUEUE_NR];
	unsigned head, nr, nr_makers;
} queue = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static unsigned nr_items;
static size_t most_nbytes;
static void **kept[TAKERS];

static void phase(const char *name)
{
	char line[64];
	int nbytes = snprintf(line, sizeof(line), "phase %s\n", name);

	if (write(STDOUT_FILENO, line, (size_t)nbytes) != nbytes)
		exit(1);
	do {
		if (read(STDIN_FILENO, line, 1) != 1)
			exit(1);
	} while (line[0] != '\n');
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void *make(void *arg)
{
	uint64_t state = 88172645463325252ull + (uintptr_t)arg;

	for (unsigned i = 0; i < nr_items / MAKERS; i++) {
		size_t nbytes = 16 + next_random(&state) % (next_random(&state) % 16 ? most_nbytes / 8 : most_nbytes);
		void *item = malloc(nbytes);

		if (!item)
			exit(1);
		memset(item, 1, nbytes);
		pthread_mutex_lock(&queue.lock);
		while (queue.nr == QUEUE_NR)
			pthread_cond_wait(&queue.changed, &queue.lock);
		queue.items[(queue.head + queue.nr++) % QUEUE_NR] = item;
		pthread_cond_broadcast(&queue.changed);
		pthread_mutex_unlock(&queue.lock);
	}
	pthread_mutex_lock(&queue.lock);
	queue.nr_makers--;
	pthread_cond_broadcast(&queue.changed);
	pthread_mutex_unlock(&queue.lock);
	return NULL;
}

static void *take_one(void)
{
	void *item = NULL;

	pthread_mutex_lock(&queue.lock);
	while (!queue.nr && queue.nr_makers)
		pthread_cond_wait(&queue.changed, &queue.lock);
	if (queue.nr) {
		item = queue.items[queue.head++ % QUEUE_NR];
		queue.nr--;
		pthread_cond_broadcast(&queue.changed);
	}
	pthread_mutex_unlock(&queue.lock);
	return item;
}

static void *take(void *arg)
{
	void **mine = kept[(uintptr_t)arg];
	uint64_t state = 1181783497276652981ull + (uintptr_t)arg;
	void *item;

	while ((item = take_one())) {
		unsigned i = (unsigned)(next_random(&state) % KEPT_NR);

		free(mine[i]);
		mine[i] = item;
	}
	return NULL;
}

static void pass_items(size_t most)
{
	pthread_t threads[MAKERS + TAKERS];

	most_nbytes = most;
	queue.nr_makers = MAKERS;
	for (uintptr_t i = 0; i < MAKERS + TAKERS; i++)
		if (pthread_create(&threads[i], NULL, i < MAKERS ? make : take, (void *)(i < MAKERS ? i : i - MAKERS)))
			exit(1);
	for (int i = 0; i < MAKERS + TAKERS; i++)
		pthread_join(threads[i], NULL);
}

static void drop(unsigned every)
{
	for (unsigned t = 0; t < TAKERS; t++)
		for (unsigned i = 0; i < KEPT_NR; i++)
			if (i % every) {
				free(kept[t][i]);
				kept[t][i] = NULL;
			}
}

int main(int argc, char **argv)
{
	nr_items = argc == 2 ? (unsigned)atoi(argv[1]) : 400000;
	for (unsigned t = 0; t < TAKERS; t++)
		if (!(kept[t] = calloc(KEPT_NR, sizeof(void *))))
			return 1;
	phase("start");
	pass_items(4096);
	phase("small");
	drop(20);
	phase("dropped");
	pass_items(12000);
	phase("large");
	return 0;
}
