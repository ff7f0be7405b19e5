/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects in short sorted runs, one run for each 64 KiB of address space; large objects in one run of their own.
 * A small object that covers an address begins in that address's run or in the one before.
 */
#include "cover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SHIFT 16
#define SMALL_MAX (1u << (CHUNK_SHIFT - 1))

struct item {
	uint64_t addr, size;
	uint8_t alloc;
};

struct run {
	uint64_t chunk; /* address >> CHUNK_SHIFT, plus 1; 0: free slot */
	struct item *items;
	uint32_t nr, room;
};

struct cover {
	struct run *table; /* open addressing, nr_slots a power of two */
	size_t nr_slots, nr_runs;
	struct run large;
};

struct cover *cover_new(void)
{
	struct cover *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->nr_slots = 1024;
	c->table = calloc(c->nr_slots, sizeof(*c->table));
	if (!c->table) {
		free(c);
		return NULL;
	}
	return c;
}

void cover_free(struct cover *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->nr_slots; i++)
		free(c->table[i].items);
	free(c->large.items);
	free(c->table);
	free(c);
}

static size_t chunk_slot(const struct cover *c, uint64_t key)
{
	return (size_t)(key * 0x9E3779B97F4A7C15ull >> 20) & (c->nr_slots - 1);
}

static struct run *run_find(const struct cover *c, uint64_t key)
{
	size_t i = chunk_slot(c, key);

	while (c->table[i].chunk && c->table[i].chunk != key)
		i = (i + 1) & (c->nr_slots - 1);
	return &c->table[i];
}

static int table_grow(struct cover *c)
{
	struct run *old = c->table;
	size_t nr_old = c->nr_slots;

	c->table = calloc(2 * nr_old, sizeof(*c->table));
	if (!c->table) {
		c->table = old;
		return -ENOMEM;
	}
	c->nr_slots = 2 * nr_old;
	for (size_t i = 0; i < nr_old; i++)
		if (old[i].chunk)
			*run_find(c, old[i].chunk) = old[i];
	free(old);
	return 0;
}

/* Index of the first item at or above addr. */
static uint32_t run_at(const struct run *run, uint64_t addr)
{
	uint32_t low = 0, high = run->nr;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (run->items[mid].addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int run_add(struct run *run, const struct item *item)
{
	uint32_t at = run_at(run, item->addr + 1); /* behind its equals: the newest is the one found */

	if (run->nr == run->room) {
		uint32_t room = run->room ? 2 * run->room : 8;
		struct item *items = realloc(run->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		run->items = items;
		run->room = room;
	}
	memmove(run->items + at + 1, run->items + at, (run->nr - at) * sizeof(*run->items));
	run->items[at] = *item;
	run->nr++;
	return 0;
}

int cover_add(struct cover *c, uint64_t addr, uint64_t size, uint8_t alloc)
{
	struct item item = { addr, size, alloc };
	struct run *run;

	if (size > SMALL_MAX)
		return run_add(&c->large, &item);
	if (2 * (c->nr_runs + 1) > c->nr_slots && table_grow(c))
		return -ENOMEM;
	run = run_find(c, (addr >> CHUNK_SHIFT) + 1);
	if (!run->chunk) {
		run->chunk = (addr >> CHUNK_SHIFT) + 1;
		c->nr_runs++;
	}
	return run_add(run, &item);
}

void cover_remove(struct cover *c, uint64_t addr, uint64_t size)
{
	struct run *run = size > SMALL_MAX ? &c->large : run_find(c, (addr >> CHUNK_SHIFT) + 1);
	uint32_t at = run_at(run, addr);

	while (at < run->nr && run->items[at].addr == addr && run->items[at].size != size)
		at++;
	if (at == run->nr || run->items[at].addr != addr)
		return;
	memmove(run->items + at, run->items + at + 1, (run->nr - at - 1) * sizeof(*run->items));
	run->nr--;
}

static bool run_covers(const struct run *run, uint64_t addr, uint8_t *alloc_ret)
{
	uint32_t at = run_at(run, addr);

	if (!at || addr - run->items[at - 1].addr >= run->items[at - 1].size)
		return false;
	*alloc_ret = run->items[at - 1].alloc;
	return true;
}

bool cover_find(const struct cover *c, uint64_t addr, uint8_t *alloc_ret)
{
	uint64_t key = (addr >> CHUNK_SHIFT) + 1;

	return run_covers(&c->large, addr, alloc_ret) || run_covers(run_find(c, key), addr, alloc_ret) ||
	       run_covers(run_find(c, key - 1), addr, alloc_ret);
}
