/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan_kept.c - the objects of the keyframe with which a tape starts: made before the first call, in the order of their
 * births, which is what the allocator under test saw of the past.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/index_map.h"
#include "replay/plan_build.h"

/*
 * What a block of before the recording was asked for is not known, only what its allocator has reserved: a block of 40 KiB in
 * glibc would be one of 48 KiB to an allocator with size classes. What the program asks for while it is recorded tells.
 */
static uint64_t likely_request(const struct builder *b, const struct tape_event *ev)
{
	return ev->flags & TAPE_UNKNOWN && b->survey.slack ? slack_likely(b->survey.slack, ev->size) : ev->size;
}

void builder_note_kept(struct builder *b, const struct tape_event *ev)
{
	if (b->nr_kept == b->kept_max) {
		size_t max = b->kept_max ? b->kept_max * 2 : 4096;
		struct tape_event *kept = reallocarray(b->kept, max, sizeof(*kept));
		if (!kept) {
			b->err = -ENOMEM;
			return;
		}
		b->kept = kept;
		b->kept_max = max;
	}
	b->kept[b->nr_kept] = *ev;
	b->kept[b->nr_kept++].size = likely_request(b, ev);
}

/* Of blocks of before the recording `old`, which they do not need, holds their place in the order. */
static int compare_births(const void *a, const void *b)
{
	const struct tape_event *x = a, *y = b;
	bool x_before = x->flags & TAPE_UNKNOWN, y_before = y->flags & TAPE_UNKNOWN;
	uint64_t u = x_before ? x->old : x->ns, v = y_before ? y->old : y->ns;
	if (x_before != y_before)
		return x_before ? -1 : 1;
	if (u != v)
		return u < v ? -1 : 1;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

static int compare_addresses(const void *a, const void *b)
{
	const struct tape_event *x = a, *y = b;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

static bool keeps_order(const struct builder *b, const struct tape_event *ev)
{
	const struct tape_allocator *a = tape_reader_allocator(b->reader, ev->alloc);
	return a && !strcmp(a->name, "glibc");
}

/*
 * When blocks of before the recording were born is not known. glibc's heap grows by address, whatever the size. Where each
 * size has memory of its own, addresses tell the order within a size only: the n-th of m blocks of one size is taken to
 * have been born when n / m of all were. In order of address they would lie sorted by size in another allocator, and
 * what is freed between them would never come together.
 */
static int order_found(struct builder *b, struct tape_event *list, size_t nr)
{
	struct index_map counts = { 0 }, seen = { 0 };
	int err = index_map_init(&counts);
	if (!err)
		err = index_map_init(&seen);
	qsort(list, nr, sizeof(*list), compare_addresses);
	for (size_t i = 0; i < nr && !err; i++) {
		uint32_t n = index_map_find(&counts, list[i].size);
		if (list[i].flags & TAPE_UNKNOWN)
			err = index_map_set(&counts, list[i].size, n == INDEX_NONE ? 1 : n + 1);
	}
	for (size_t i = 0; i < nr && !err; i++) {
		uint32_t n = index_map_find(&seen, list[i].size);
		if (!(list[i].flags & TAPE_UNKNOWN))
			continue;
		n = n == INDEX_NONE ? 1 : n + 1;
		err = index_map_set(&seen, list[i].size, n);
		list[i].old = keeps_order(b, &list[i]) ? list[i].addr : ((uint64_t)n << 32) / index_map_find(&counts, list[i].size);
	}
	index_map_free(&counts);
	index_map_free(&seen);
	return err;
}

/* A thread of which nothing is heard any more is not started for the sake of what it once made; 0: it is not known. */
static void place(struct builder *b, struct tape_event *ev)
{
	ev->ns = b->survey.first_ns;
	if (!ev->tid || index_map_find(&b->survey.tids, ev->tid) == INDEX_NONE)
		ev->tid = b->first_tid;
	builder_kept(b, ev);
}

void builder_place_kept(struct builder *b)
{
	size_t nr_given = 0;
	b->kept_placed = true;
	if (!b->nr_kept)
		return;
	builder_advance(b, b->survey.first_ns);
	/* Pairs of a birth and its give-up stand in front: others may live at those addresses. */
	while (nr_given + 1 < b->nr_kept && b->kept[nr_given + 1].kind == TAPE_GIVE_UP)
		nr_given += 2;
	b->err = b->err ? b->err : order_found(b, b->kept + nr_given, b->nr_kept - nr_given);
	qsort(b->kept + nr_given, b->nr_kept - nr_given, sizeof(*b->kept), compare_births);
	for (size_t i = 0; i < b->nr_kept && !b->err; i++)
		place(b, &b->kept[i]);
	free(b->kept);
	b->kept = NULL;
	b->nr_kept = b->kept_max = 0;
}
