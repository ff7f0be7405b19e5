/* SPDX-License-Identifier: BSD-2-Clause */
/* walk.c - see walk.h: what all walkers share. */
#include "baseline/walk.h"
#include "formats/index_map.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGION_NBYTES (16ull << 20) /* no allocator's heap of a thread is smaller and worth a thought */
#define REGION_BLOCKS_MIN 256u

static const struct walker *const walkers[] = { &walk_glibc, &walk_jemalloc, &walk_mimalloc, &walk_tcmalloc };

const struct walker *walk_find(const char *allocator)
{
	for (size_t i = 0; i < sizeof(walkers) / sizeof(walkers[0]); i++)
		if (!strcmp(walkers[i]->allocator, allocator))
			return walkers[i];
	return NULL;
}

int walk_add(struct walk *w, uint64_t addr, uint64_t usable, uint32_t owner)
{
	if (w->nr == w->room) {
		size_t room = w->room ? 2 * w->room : 65536;
		struct walk_block *blocks = reallocarray(w->blocks, room, sizeof(*blocks));

		if (!blocks)
			return walk_fail(w, -ENOMEM, "out of memory at %zu blocks", w->nr);
		w->blocks = blocks;
		w->room = room;
	}
	w->blocks[w->nr++] = (struct walk_block){ .addr = addr, .usable = usable, .owner = owner };
	return 0;
}

int walk_fail(struct walk *w, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	return err;
}

void walk_clear(struct walk *w)
{
	w->nr = 0;
	w->nr_free = 0;
	w->differs = false;
	w->why[0] = '\0';
}

int walk_finish_by_two(struct walk *w, int (*read)(struct walk *w), void (*drop)(struct walk *w))
{
	struct walk again;
	int err;

	drop(w);
	walk_again(w, &again);
	again.stands = false;
	err = read(&again);
	if (!err)
		drop(&again);
	return walk_keep_common(w, &again, w->nr, err);
}

void walk_end(struct walk *w)
{
	if (w->state)
		w->walker->close(w);
	w->state = NULL;
	free(w->blocks);
	w->blocks = NULL;
	w->nr = w->room = 0;
}

/* ---- two looks at the same heap ---- */

static int by_addr(const void *a, const void *b)
{
	uint64_t x = ((const struct walk_block *)a)->addr, y = ((const struct walk_block *)b)->addr;

	return (x > y) - (x < y);
}

/* Heaps are read in any order, so ascending runs of blocks lie between and around each other. */
static void sort_blocks(struct walk *w)
{
	for (size_t i = 1; i < w->nr; i++)
		if (w->blocks[i].addr < w->blocks[i - 1].addr)
			return qsort(w->blocks, w->nr, sizeof(*w->blocks), by_addr);
}

/* Of blocks in ascending order; near: where the last search ended, mostly just in front of this one. */
static bool has_block(const struct walk *w, size_t *near, uint64_t addr)
{
	size_t low = 0, high = w->nr;

	if (*near < w->nr && w->blocks[*near].addr < addr)
		low = ++*near;
	if (low < w->nr && w->blocks[low].addr == addr)
		return true;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (w->blocks[mid].addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	*near = low;
	return low < w->nr && w->blocks[low].addr == addr;
}

void walk_again(const struct walk *w, struct walk *again_ret)
{
	*again_ret = *w;
	again_ret->blocks = NULL;
	again_ret->nr = again_ret->room = 0;
}

/* The later look takes the place of the first `nr` blocks; those behind stay. */
static int adopt(struct walk *w, const struct walk *again, size_t nr)
{
	size_t rest = w->nr - nr;
	struct walk_block *blocks = malloc((again->nr + rest + 1) * sizeof(*blocks));

	if (!blocks)
		return walk_fail(w, -ENOMEM, "out of memory");
	if (again->nr)
		memcpy(blocks, again->blocks, again->nr * sizeof(*blocks));
	if (rest)
		memcpy(blocks + again->nr, w->blocks + nr, rest * sizeof(*blocks));
	free(w->blocks);
	w->blocks = blocks;
	w->nr = again->nr + rest;
	w->room = w->nr + 1;
	return 0;
}

/* Blocks by REGION_NBYTES of address space: of both looks, side by side. */
struct region_counts {
	struct index_map of; /* region -> its place */
	struct { uint32_t nr[2]; } *list;
	uint32_t nr, room;
};

static int count_region(struct region_counts *c, uint64_t addr, int look)
{
	uint64_t region = addr / REGION_NBYTES;
	uint32_t at = index_map_find(&c->of, region);

	if (at == INDEX_NONE) {
		if (c->nr == c->room) {
			uint32_t room = c->room ? c->room * 2 : 64;
			void *list = reallocarray(c->list, room, sizeof(*c->list));

			if (!list)
				return -ENOMEM;
			c->list = list;
			c->room = room;
		}
		at = c->nr++;
		memset(&c->list[at], 0, sizeof(c->list[at]));
		if (index_map_set(&c->of, region, at))
			return -ENOMEM;
	}
	c->list[at].nr[look]++;
	return 0;
}

/*
 * Blocks go and come between two looks, but not most of those in a whole region of the heap: that is a part which one of
 * the looks did not see. 0, -EAGAIN, -ENOMEM.
 */
static int compare_looks(const struct walk *w, const struct walk *again, size_t nr)
{
	struct region_counts c = { 0 };
	int err = index_map_init(&c.of);

	for (size_t i = 0; i < nr && !err; i++)
		err = count_region(&c, w->blocks[i].addr, 0);
	for (size_t i = 0; i < again->nr && !err; i++)
		err = count_region(&c, again->blocks[i].addr, 1);
	for (uint32_t i = 0; i < c.nr && !err; i++) {
		uint32_t more = c.list[i].nr[0], less = c.list[i].nr[1];

		if (less > more) {
			more = c.list[i].nr[1];
			less = c.list[i].nr[0];
		}
		if (more >= REGION_BLOCKS_MIN && less < more / 2)
			err = -EAGAIN;
	}
	index_map_free(&c.of);
	free(c.list);
	return err;
}

int walk_keep_common(struct walk *w, struct walk *again, size_t nr, int err)
{
	size_t kept = 0, near = 0;

	sort_blocks(again);
	if (!err)
		err = compare_looks(w, again, nr);
	if (err == -EAGAIN) {
		err = adopt(w, again, nr);
		err = err ? err : walk_fail(again, -EAGAIN, "two looks at its heap do not agree");
	}
	for (size_t i = 0; i < w->nr && !err; i++)
		if (i >= nr || has_block(again, &near, w->blocks[i].addr))
			w->blocks[kept++] = w->blocks[i];
	if (err)
		memcpy(w->why, again->why, sizeof(w->why));
	else
		w->nr = kept;
	free(again->blocks);
	again->blocks = NULL;
	return err;
}
