/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * custom_calls.c - allocators of a program's own, which count their calls themselves: zmalloc with a header of 16 bytes in front of
 * malloc's block, pools inside pools with chunks of malloc's, a slab with objects of one size in an anonymous mapping, xmalloc,
 * which only hands malloc's block on, and keep_, which calls itself. THREADS threads do ROUNDS rounds each; prints the counts.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __clang__
#define APART static __attribute__((noinline))
#else
#define APART static __attribute__((noinline, noclone))
#endif

struct counts {
	atomic_ulong births, born_nbytes, deaths;
};
static struct counts z, pools, slab, keep, handed;

static void count(struct counts *c, size_t nbytes)
{
	c->births++;
	c->born_nbytes += nbytes;
}

/* ---- z ---- */

enum { HEADER = 16 };

APART void *zmalloc(size_t n)
{
	size_t *p = malloc(n + HEADER);

	*p = n;
	count(&z, n);
	return (char *)p + HEADER;
}

/* Gives what another function of the same allocator has given. */
APART void *zcalloc(size_t nr, size_t n)
{
	void *p = zmalloc(nr * n);

	return memset(p, 0, nr * n);
}

APART void zfree(void *ptr)
{
	if (!ptr)
		return;
	z.deaths++;
	free((char *)ptr - HEADER);
}

APART void *zrealloc(void *old, size_t n)
{
	size_t *p;

	if (!old)
		return zmalloc(n);
	p = realloc((char *)old - HEADER, n + HEADER);
	*p = n;
	z.deaths++;
	count(&z, n);
	return (char *)p + HEADER;
}

/* A header of its own in front of a block of the same allocator. */
APART void *zaligned(size_t n)
{
	return (char *)zmalloc(n + 64) + 48;
}

APART void zfree_aligned(void *ptr)
{
	zfree((char *)ptr - 48);
}

/* ---- pools ---- */

struct pool {
	struct pool *parent, *child, *sibling;
	char **chunks, *at, *end;
	unsigned nr_chunks;
	unsigned long nr;
};

APART void *pool_alloc(struct pool *pool, int n)
{
	size_t nbytes = ((size_t)n + 15) & ~(size_t)15;
	void *p;

	if (!pool->at || (size_t)(pool->end - pool->at) < nbytes) {
		pool->chunks = realloc(pool->chunks, (pool->nr_chunks + 1) * sizeof(*pool->chunks));
		pool->at = pool->chunks[pool->nr_chunks++] = malloc(16384);
		pool->end = pool->at + 16384;
		/* Half of the chunks begin with their first object. */
		if (pool->nr_chunks & 1)
			pool->at += 16;
	}
	p = pool->at;
	pool->at += nbytes;
	pool->nr++;
	count(&pools, (size_t)n);
	return p;
}

APART int pool_create(struct pool **pool, struct pool *parent)
{
	*pool = calloc(1, sizeof(**pool));
	(*pool)->parent = parent;
	if (parent) {
		(*pool)->sibling = parent->child;
		parent->child = *pool;
	}
	return 0;
}

static void pool_empty(struct pool *pool);

/* Not described: ends with its parent alone. */
APART void pool_drop(struct pool *pool)
{
	pool_empty(pool);
	free(pool);
}

static void pool_empty(struct pool *pool)
{
	for (struct pool *c = pool->child, *next; c; c = next) {
		next = c->sibling;
		pool_drop(c);
	}
	for (unsigned i = 0; i < pool->nr_chunks; i++)
		free(pool->chunks[i]);
	free(pool->chunks);
	pools.deaths += pool->nr;
	pool->child = NULL;
	pool->chunks = NULL;
	pool->at = pool->end = NULL;
	pool->nr_chunks = 0;
	pool->nr = 0;
}

APART void pool_clear(struct pool *pool)
{
	pool_empty(pool);
}

/* A destructor may still allocate. */
APART void pool_destroy(struct pool *pool)
{
	pool_alloc(pool, 24);
	pool_empty(pool);
	free(pool);
}

/* ---- slab: 64 bytes each, in a mapping ---- */

enum { SLAB_NBYTES = 64, SLAB_NR = 4096 };
static _Thread_local char *slab_base;
static _Thread_local void *slab_free_list;

APART void *slab_get(void)
{
	void **p;

	if (!slab_free_list) {
		slab_base = mmap(NULL, SLAB_NBYTES * SLAB_NR, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (int i = 0; i < SLAB_NR; i++) {
			*(void **)(void *)(slab_base + i * SLAB_NBYTES) = slab_free_list;
			slab_free_list = slab_base + i * SLAB_NBYTES;
		}
	}
	p = slab_free_list;
	slab_free_list = *p;
	count(&slab, SLAB_NBYTES);
	return p;
}

APART void slab_put(void **ptr)
{
	*(void **)*ptr = slab_free_list;
	slab_free_list = *ptr;
	*ptr = NULL;
	slab.deaths++;
}

/* ---- xmalloc ---- */

APART void *xmalloc(size_t n)
{
	void *p = malloc(n);

	count(&handed, n);
	if (!p)
		abort();
	return p;
}

APART void xfree(void *ptr)
{
	handed.deaths++;
	free(ptr);
}

/* ---- keep: each makes its children inside of its own call ---- */

struct node {
	struct node *child[2];
};

APART struct node *keep_node(int depth)
{
	struct node *n = malloc(64 + sizeof(*n)), *node = (struct node *)(void *)((char *)n + 32);

	node->child[0] = depth ? keep_node(depth - 1) : NULL;
	node->child[1] = depth ? keep_node(depth - 1) : NULL;
	count(&keep, sizeof(*n));
	return node;
}

APART void drop_node(struct node *node)
{
	if (!node)
		return;
	keep.deaths++;
	drop_node(node->child[0]);
	drop_node(node->child[1]);
	free((char *)node - 32);
}

/* ---- */

static unsigned rounds;

static void *work(void *arg)
{
	uint64_t seed = (uintptr_t)arg * 2654435761u + 1;
	struct pool *top, *inner, *third;
	void *kept[64] = { 0 }, *got[64] = { 0 };

	pool_create(&top, NULL);
	for (unsigned i = 0; i < rounds; i++) {
		unsigned at = (unsigned)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 40) & 63;
		void *p;

		if (kept[at] && at & 1) {
			kept[at] = zrealloc(kept[at], 24 + at);
		} else {
			zfree(kept[at]);
			kept[at] = at & 2 ? zcalloc(3, 8 + at) : zrealloc(NULL, 1 + at);
		}
		zfree_aligned(zaligned(100));
		if (got[at])
			slab_put(&got[at]);
		else
			got[at] = slab_get();
		p = xmalloc(40 + at);
		if (i % 16 == 0) {
			pool_create(&inner, top);
			pool_create(&third, inner);
			for (int k = 0; k < 20; k++) {
				pool_alloc(inner, 10 + 7 * k);
				pool_alloc(third, 900);
			}
			pool_alloc(top, 33);
			if (i % 64 == 0)
				pool_clear(top);
		}
		if (i % 256 == 0)
			drop_node(keep_node(4));
		xfree(p);
	}
	pool_destroy(top);
	/* Half of what is kept stays. */
	for (int i = 0; i < 32; i++) {
		zfree(kept[i]);
		if (got[i])
			slab_put(&got[i]);
	}
	return NULL;
}

static void print(const char *name, const struct counts *c)
{
	printf("%s %lu %lu %lu\n", name, c->births, c->born_nbytes, c->deaths);
}

int main(int argc, char **argv)
{
	unsigned nr_threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	pthread_t threads[64];

	rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 1000;
	if (argc > 3)
		getchar();
	for (unsigned i = 0; i < nr_threads && i < 64; i++)
		pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < nr_threads && i < 64; i++)
		pthread_join(threads[i], NULL);
	print("z", &z);
	print("pools", &pools);
	print("slab", &slab);
	print("keep", &keep);
	print("handed", &handed);
	return 0;
}
