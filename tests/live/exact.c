/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exact N: N calls of malloc(1111), N / 2 of calloc(1, 2222), N / 4 of realloc to 3333 and as many frees as blocks, half by a
 * thread that is older than the recorder. Begins when a line comes on stdin, and ends then.
 * A folder behind N: first it leaves its mount, network and host name namespaces, its root for that folder, and its user.
 * With -DOWN_ALLOCATOR it brings its allocator in its own file.
 */
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef OWN_ALLOCATOR
#define ARENA_NBYTES (64u << 20)

#define NOT_INLINE __attribute__((noinline, noclone))

static char arena[ARENA_NBYTES] __attribute__((aligned(16)));
static size_t used;

NOT_INLINE void *malloc(size_t n)
{
	size_t at = __atomic_fetch_add(&used, (n + 31) & ~15ul, __ATOMIC_RELAXED);

	if (at + n + 32 > ARENA_NBYTES)
		return NULL;
	*(size_t *)(void *)(arena + at) = n;
	return arena + at + 16;
}

NOT_INLINE void free(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

NOT_INLINE void *calloc(size_t n, size_t each)
{
	return malloc(n * each); /* nothing is used twice: it is zero */
}

NOT_INLINE void *realloc(void *p, size_t n)
{
	void *q = malloc(n);
	size_t old = p ? *(size_t *)(void *)((char *)p - 16) : 0;

	if (q && p)
		memcpy(q, p, old < n ? old : n);
	return q;
}
#endif

static unsigned nr;
static sem_t begin;

static void *work(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < nr / 2; i++) {
		char *p = malloc(1111), *q = i % 2 ? calloc(1, 2222) : NULL;

		if (!p)
			abort();
		p[0] = 1;
		if (q && i % 4 == 1)
			p = realloc(p, 3333);
		free(p);
		if (q)
			free(q);
	}
	return NULL;
}

static void *wait_and_work(void *arg)
{
	while (sem_wait(&begin))
		;
	return work(arg);
}

static int move_away(const char *folder)
{
	return unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWUTS) || chroot(folder) || chdir("/") || setgroups(0, NULL) || setgid(65534) ||
	       setuid(65534);
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char line[8];

	nr = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
	sem_init(&begin, 0, 0);
	if (pthread_create(&thread, NULL, wait_and_work, NULL) || read(STDIN_FILENO, line, sizeof(line)) < 0)
		return 1;
	if (argc > 2 && move_away(argv[2]))
		return 3;
	sem_post(&begin);
	work(NULL);
	return pthread_join(thread, NULL);
}
