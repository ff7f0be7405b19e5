/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * split.c - the split of resident memory: see heap.h.
 *
 * Walks the pages in order with the objects beside them. Each part is counted by its own rule, so that their sum
 * is a check and not a definition.
 */
#include <errno.h>
#include <stdlib.h>

#include "heap.h"

struct walk {
	const struct split_object *objs;
	size_t nr_objs;
	size_t next; /* first object that does not end at or in front of the page */
	uint64_t page_size;
	struct split *sum;
};

/* By address; of two at the same, the one without a byte stands first. */
static int compare_objects(const void *a, const void *b)
{
	const struct split_object *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->usable < y->usable ? -1 : x->usable > y->usable;
}

/* Objects mostly come sorted, from a walk in address order; qsort would take its copy even then. */
static void sort_objects(struct split_object *objs, size_t nr)
{
	for (size_t i = 1; i < nr; i++)
		if (compare_objects(&objs[i], &objs[i - 1]) < 0) {
			qsort(objs, nr, sizeof(*objs), compare_objects);
			return;
		}
}

static int check_objects(const struct split_object *objs, size_t nr, uint64_t *overlap_ret)
{
	uint64_t end = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t obj_end;

		if (objs[i].addr < end || objs[i].usable < objs[i].requested ||
		    __builtin_add_overflow(objs[i].addr, objs[i].usable, &obj_end)) {
			if (overlap_ret)
				*overlap_ret = objs[i].addr;
			return -EINVAL;
		}
		end = obj_end;
	}
	return 0;
}

static int check_ranges(const struct split_range *ranges, size_t nr, uint64_t page_size)
{
	uint64_t end = 0;

	if (!page_size || page_size & (page_size - 1))
		return -EINVAL;
	for (size_t i = 0; i < nr; i++) {
		if (ranges[i].start < end || ranges[i].end < ranges[i].start ||
		    (ranges[i].start | ranges[i].end) & (page_size - 1))
			return -EINVAL;
		end = ranges[i].end;
	}
	return 0;
}

static bool bit(const uint8_t *bits, uint64_t i)
{
	return bits && bits[i / 8] >> (i % 8) & 1;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Bytes of [start, end) within the page at `page`. */
static uint64_t within(uint64_t start, uint64_t end, uint64_t page, uint64_t page_size)
{
	uint64_t from = max_u64(start, page), to = min_u64(end, page + page_size);

	return from < to ? to - from : 0;
}

static void skip_objects(struct walk *w, uint64_t page)
{
	while (w->next < w->nr_objs && w->objs[w->next].addr + w->objs[w->next].usable <= page)
		w->next++;
}

/* A page that some object touches. Its holes are the gaps between objects, measured as such. */
static void count_held_page(struct walk *w, uint64_t page)
{
	uint64_t at = page, end = page + w->page_size;

	for (size_t i = w->next; i < w->nr_objs && w->objs[i].addr < end; i++) {
		const struct split_object *o = &w->objs[i];
		uint64_t asked_end = o->addr + o->requested, obj_end = o->addr + o->usable;

		if (obj_end <= page || obj_end == o->addr)
			continue;
		w->sum->requested += within(o->addr, asked_end, page, w->page_size);
		w->sum->internal += within(asked_end, obj_end, page, w->page_size);
		if (o->addr > at)
			w->sum->holes += o->addr - at;
		at = min_u64(obj_end, end);
	}
	w->sum->holes += end - at;
}

static bool object_touches(const struct walk *w, uint64_t page)
{
	for (size_t i = w->next; i < w->nr_objs && w->objs[i].addr < page + w->page_size; i++)
		if (within(w->objs[i].addr, w->objs[i].addr + w->objs[i].usable, page, w->page_size))
			return true;
	return false; /* at most objects without a byte lie there */
}

static void count_absent_page(struct walk *w, uint64_t page)
{
	for (size_t i = w->next; i < w->nr_objs && w->objs[i].addr < page + w->page_size; i++)
		w->sum->unresident += within(w->objs[i].addr, w->objs[i].addr + w->objs[i].requested, page,
					     w->page_size);
}

static void count_page(struct walk *w, const struct split_range *r, uint64_t page)
{
	uint64_t i = (page - r->start) / w->page_size;

	skip_objects(w, page);
	if (!bit(r->resident, i)) {
		count_absent_page(w, page);
		return;
	}
	w->sum->resident += w->page_size;
	if (object_touches(w, page))
		count_held_page(w, page);
	else if (bit(r->held, i))
		w->sum->retained += w->page_size;
	else
		w->sum->metadata += w->page_size;
}

/* Reserved address space without pages is large and empty: goes on to the next page with a bit or an object. */
static uint64_t skip_empty(struct walk *w, const struct split_range *r, uint64_t page)
{
	uint64_t step = 8 * w->page_size;

	skip_objects(w, page);
	while (page < r->end && (page - r->start) % step == 0 && r->end - page >= step && r->resident &&
	       !r->resident[(page - r->start) / step] &&
	       (w->next == w->nr_objs || w->objs[w->next].addr >= page + step))
		page += step;
	return page;
}

static void count_range(struct walk *w, const struct split_range *r)
{
	uint64_t page = skip_empty(w, r, r->start);

	while (page < r->end) {
		count_page(w, r, page);
		page = skip_empty(w, r, page + w->page_size);
	}
}

int split_compute(struct split_object *objs, size_t nr_objs, const struct split_range *ranges, size_t nr_ranges,
		  uint64_t page_size, struct split *split_ret, uint64_t *overlap_ret)
{
	struct walk w = { .objs = objs, .nr_objs = nr_objs, .page_size = page_size, .sum = split_ret };
	uint64_t asked = 0;

	*split_ret = (struct split){ 0 };
	if (overlap_ret)
		*overlap_ret = 0;
	sort_objects(objs, nr_objs);
	if (check_ranges(ranges, nr_ranges, page_size) || check_objects(objs, nr_objs, overlap_ret))
		return -EINVAL;
	for (size_t i = 0; i < nr_ranges; i++)
		count_range(&w, &ranges[i]);
	for (size_t i = 0; i < nr_objs; i++)
		asked += objs[i].requested;
	split_ret->outside = asked - split_ret->requested - split_ret->unresident;
	return 0;
}
