/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * glibc.h - what the files of glibc's walker share: walk_glibc.c (arenas and their heaps), glibc_lists.c (caches of
 * free blocks that look used), glibc_mmapped.c (blocks with a mapping of their own).
 *
 * Words. chunk: a block with its header, 16 bytes in front of what the program knows, whose second word is the size and
 * three flags. PREV_INUSE of a chunk tells whether the one in front is free. Source for all layouts: glibc 2.36,
 * malloc/malloc.c and arena.c.
 */
#ifndef HEAPTAPE_BASELINE_GLIBC_H
#define HEAPTAPE_BASELINE_GLIBC_H

#include <pthread.h>

#include "baseline/glibc_layout.h"
#include "baseline/thread_pointers.h"
#include "baseline/walk.h"

enum {
	CHUNK_PREV_INUSE = 1,
	CHUNK_MMAPPED = 2,
	CHUNK_FLAGS = 7,
	CHUNK_HEAD = 16,
	CHUNK_LEAST = 32,
	FASTBINS = 10,
	ARENA_FASTBINS_OFF = 16,
	ARENA_TOP_OFF = 96,
	ARENA_BINS_OFF = 112,
	ARENA_NR_BINS = 127,
	ARENA_NEXT_OFF = 0x870,         /* since 2.27; elsewhere the offsets above do not hold */
	ARENA_NBYTES = ARENA_NEXT_OFF + 40,
	TCACHE_BINS = 64,
	TCACHE_NBYTES = 0x280,          /* since 2.30: a count of 16 bits and an entry for each bin */
	TCACHE_CHUNK = 0x290,
	ARENAS_MAX = 4096,
};

struct glibc_arena {
	uint64_t addr;
	uint32_t owner; /* the thread attached to it with the lowest number; 0: none is */
	union {
		uint8_t bytes[ARENA_NBYTES];
		uint64_t words[ARENA_NBYTES / 8];
	} raw;
	bool disturbed; /* its heaps moved while they were read: the sums say nothing */
	uint64_t sum_addrs, sum_next, sum_prev; /* of free chunks: where they are, and what they say of their neighbours */
	uint64_t nbytes; /* seen of its heaps */
};

/* A heap of an arena other than the first: 64 MiB of addresses, of which the front is used. */
struct glibc_heap {
	uint64_t start, end;
};

struct glibc {
	struct glibc_layout layout;
	uint64_t bias;
	struct thread_pointers *threads;
	struct maps maps;
	struct glibc_arena *arenas;
	size_t nr_arenas;
	struct glibc_heap *heaps;
	size_t nr_heaps, room_heaps;
	uint64_t heap_span; /* what a heap is aligned to */
	int64_t tcache_off; /* from the thread pointer; 0: not known */
	uint64_t tcache_key; /* stands in every cached block; 0: not known */
	struct words tcaches; /* the caches' own blocks, which no program holds */
	struct words listed;  /* free blocks that look used */
	size_t nr_mapped; /* of the walk's blocks, the last ones: with mappings of their own */
	pthread_mutex_t lock; /* of heaps, while several threads read arenas */
};

/* 0 or -errno with walk_fail's words. */
int glibc_read_arenas(struct walk *w);
/* Finds where threads keep their cache, and which thread uses which arena. */
int glibc_find_tcache(struct walk *w);
/* Adds what the caches and fast bins hold to g->listed. Which are too restless to be read whole is no error. */
int glibc_read_lists(struct walk *w);
/* What malloc counts of mappings, and where its first heap begins; each may be NULL. */
int glibc_read_params(const struct walk *w, uint32_t *nr_ret, uint64_t *nbytes_ret, uint64_t *sbrk_base_ret);
/* Adds the blocks with mappings of their own; their number and bytes are what malloc itself counts. */
int glibc_read_mmapped(struct walk *w);

#endif
