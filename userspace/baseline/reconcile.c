/* SPDX-License-Identifier: BSD-2-Clause */
/* reconcile.c - see reconcile.h. */
#include "baseline/reconcile.h"

#include <errno.h>
#include <stdlib.h>

#include "formats/index_map.h"

/* An address with events. */
struct touched {
	uint64_t addr;
	uint64_t reach;  /* the most bytes that a block there had; 0: none was born there */
	uint64_t nbytes; /* of the one that lived there, as far as known; else of the first one born there */
	size_t order;    /* of first events */
	bool lived;      /* the first event ended it */
	bool listed;
};

struct reconcile {
	uint64_t least, nr_events;
	struct index_map of; /* addr -> index of list */
	struct touched *list;
	size_t nr, room;
	struct words gone; /* not asked for yet */
};

struct reconcile *reconcile_new(uint64_t least)
{
	struct reconcile *r = calloc(1, sizeof(*r));

	if (r && index_map_init(&r->of)) {
		free(r);
		return NULL;
	}
	if (r)
		r->least = least;
	return r;
}

void reconcile_free(struct reconcile *r)
{
	if (!r)
		return;
	index_map_free(&r->of);
	words_free(&r->gone);
	free(r->list);
	free(r);
}

/* The entry of addr, new or known; NULL: out of memory. */
static struct touched *touch(struct reconcile *r, uint64_t addr, bool death)
{
	uint32_t i = index_map_find(&r->of, addr);

	r->nr_events++;
	if (i != INDEX_NONE)
		return &r->list[i];
	if (r->nr == r->room) {
		size_t room = r->room ? 2 * r->room : 4096;
		struct touched *list = reallocarray(r->list, room, sizeof(*list));

		if (!list)
			return NULL;
		r->list = list;
		r->room = room;
	}
	if (r->nr == INDEX_NONE || index_map_set(&r->of, addr, (uint32_t)r->nr))
		return NULL;
	r->list[r->nr] = (struct touched){ .addr = addr, .lived = death, .order = r->nr };
	return &r->list[r->nr++];
}

int reconcile_birth(struct reconcile *r, uint64_t addr, uint64_t nbytes)
{
	struct touched *t = touch(r, addr, false);
	uint64_t reach = nbytes > r->least ? nbytes : r->least;

	if (!t)
		return -ENOMEM;
	if (!t->reach && !t->nbytes)
		t->nbytes = nbytes;
	if (reach > t->reach)
		t->reach = reach;
	return 0;
}

int reconcile_death(struct reconcile *r, uint64_t addr)
{
	size_t nr = r->nr;

	if (!touch(r, addr, true))
		return -ENOMEM;
	return r->nr > nr ? words_add(&r->gone, addr) : 0;
}

size_t reconcile_take_gone(struct reconcile *r, const uint64_t **addrs_ret)
{
	size_t nr = r->gone.nr;

	*addrs_ret = r->gone.list;
	r->gone.nr = 0;
	return nr;
}

void reconcile_size(struct reconcile *r, uint64_t addr, uint64_t nbytes)
{
	uint32_t i = index_map_find(&r->of, addr);

	if (i != INDEX_NONE && nbytes)
		r->list[i].nbytes = nbytes;
}

uint64_t reconcile_nr_events(const struct reconcile *r)
{
	return r->nr_events;
}

static int by_addr(const void *a, const void *b)
{
	const struct touched *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* Those that were born somewhere come first, by address: the index is made anew. */
static int sort_touched(struct reconcile *r)
{
	if (r->nr)
		qsort(r->list, r->nr, sizeof(*r->list), by_addr);
	index_map_clear(&r->of);
	for (size_t i = 0; i < r->nr; i++)
		if (index_map_set(&r->of, r->list[i].addr, (uint32_t)i))
			return -ENOMEM;
	return 0;
}

/* The farthest end of blocks born at list[0 .. i]: blocks born at the same time never overlap, those of different times may. */
static uint64_t *farthest_ends(const struct reconcile *r)
{
	uint64_t *ends = malloc((r->nr + 1) * sizeof(*ends)), most = 0;

	for (size_t i = 0; ends && i < r->nr; i++) {
		uint64_t end = r->list[i].addr + r->list[i].reach;

		if (r->list[i].reach && end > most)
			most = end;
		ends[i] = most;
	}
	return ends;
}

/* The first touched address that is not below addr; walks come in ascending runs, so it is mostly near the last one. */
static size_t lower_bound(const struct reconcile *r, size_t near, uint64_t addr)
{
	size_t low = 0, high = r->nr;

	if (near < r->nr && (!near || r->list[near - 1].addr < addr)) {
		for (size_t steps = 0; steps < 16 && near < r->nr; steps++, near++)
			if (r->list[near].addr >= addr)
				return near;
		low = near;
	}
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->list[mid].addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* A block that events show alive lies in [addr, addr + nbytes), or around it. */
static bool overlaps(const struct reconcile *r, const uint64_t *ends, size_t at, uint64_t addr, uint64_t nbytes)
{
	if (at && ends[at - 1] > addr)
		return true;
	for (; at < r->nr && r->list[at].addr < addr + nbytes; at++)
		if (r->list[at].reach)
			return true;
	return false;
}

/*
 * Of a block whose pointer is not known, the first event inside tells it: *b's address becomes that. False: it was not alive.
 */
static bool find_pointer(struct reconcile *r, size_t at, struct walk_block *b)
{
	struct touched *first = NULL;

	for (; at < r->nr && r->list[at].addr < b->addr + b->usable; at++)
		if (!first || r->list[at].order < first->order)
			first = &r->list[at];
	if (!first)
		return true;
	if (!first->lived || first->listed)
		return false;
	first->listed = true;
	b->usable -= first->addr - b->addr;
	b->addr = first->addr;
	b->inexact = false;
	return true;
}

static int add_unlisted(struct reconcile *r, struct walk *w, struct reconcile_counts *counts)
{
	for (size_t i = 0; i < r->nr; i++) {
		const struct touched *t = &r->list[i];

		if (!t->lived || t->listed)
			continue;
		counts->unlisted++;
		counts->size_unknown += !t->nbytes;
		/* Where nobody saw its size: whatever is born at the same address next is likely to be of its size class. */
		if (walk_add(w, t->addr, t->nbytes, 0))
			return -ENOMEM;
	}
	return 0;
}

int reconcile_finish(struct reconcile *r, struct walk *w, struct reconcile_counts *counts_ret)
{
	struct reconcile_counts counts = { .by_events = r->nr };
	size_t nr = 0, at = 0;
	uint64_t *ends;
	int err = sort_touched(r);

	ends = err ? NULL : farthest_ends(r);
	if (!ends)
		return -ENOMEM;
	for (size_t i = 0; i < w->nr; i++) {
		struct walk_block *b = &w->blocks[i];
		uint32_t k = index_map_find(&r->of, b->addr);

		if (b->inexact) {
			at = lower_bound(r, at, b->addr);
			if (!find_pointer(r, at, b))
				continue;
		} else if (k != INDEX_NONE) {
			if (!r->list[k].lived || r->list[k].listed)
				continue;
			r->list[k].listed = true;
		} else {
			at = lower_bound(r, at, b->addr);
			if (overlaps(r, ends, at, b->addr, b->usable)) {
				counts.overlapping++;
				continue;
			}
		}
		w->blocks[nr++] = *b;
	}
	w->nr = nr;
	free(ends);
	err = add_unlisted(r, w, &counts);
	*counts_ret = counts;
	return err;
}
