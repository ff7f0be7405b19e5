/* SPDX-License-Identifier: BSD-2-Clause */
/* by_stack.c - see by_stack.h. */
#include "by_stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/one_allocator.h"
#include "formats/heap.h"

static struct by_stack_entry *entry_of(struct by_stack *b, uint32_t stack)
{
	uint32_t at = index_map_find(&b->index, stack);

	if (at != INDEX_NONE)
		return &b->entries[at];
	if (b->nr == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 1024;
		struct by_stack_entry *entries = reallocarray(b->entries, cap, sizeof(*entries));

		if (!entries)
			return NULL;
		b->entries = entries;
		b->cap = cap;
	}
	if (index_map_set(&b->index, stack, (uint32_t)b->nr))
		return NULL;
	b->entries[b->nr] = (struct by_stack_entry){ .stack = stack };
	return &b->entries[b->nr++];
}

static int count_event(struct by_stack *b, const struct tape_event *ev)
{
	struct by_stack_entry *e;

	if (!tape_kind_is_alloc(ev->kind) || ev->flags & (TAPE_FAILED | TAPE_SUB))
		return 0;
	e = entry_of(b, ev->stack);
	if (!e)
		return -ENOMEM;
	e->values[METRIC_ALLOCATED_BYTES] += ev->size;
	e->values[METRIC_ALLOCATED_COUNT]++;
	return 0;
}

static int count_live(void *arg, const struct heap_object *obj)
{
	struct by_stack_entry *e = entry_of(arg, obj->stack);

	if (!e)
		return -ENOMEM;
	e->values[METRIC_LIVE_BYTES] += obj->size;
	e->values[METRIC_LIVE_COUNT]++;
	return 0;
}

static int compare(const void *pa, const void *pb)
{
	const struct by_stack_entry *a = pa, *b = pb;

	return a->stack < b->stack ? -1 : a->stack > b->stack;
}

int by_stack_read(struct tape_reader *r, struct by_stack *b, const char *allocator, void (*progress)(void *arg, uint64_t nr_events), void *arg)
{
	struct one_allocator one = ONE_ALLOCATOR(allocator);
	struct heap *heap = heap_new();
	const struct tape_event *evs;
	long nr = 0;
	int err;

	*b = (struct by_stack){ 0 };
	err = heap ? index_map_init(&b->index) : -ENOMEM;
	while (!err && (nr = tape_reader_next_block(r, &evs)) > 0) {
		for (long i = 0; i < nr && !err; i++) {
			struct tape_event own;

			if (!one_allocator_counts(&one, r, &evs[i], &own))
				continue;
			err = count_event(b, &own);
			if (!err)
				err = heap_apply(heap, &own, NULL);
		}
		b->nr_events += (uint64_t)nr;
		if (progress)
			progress(arg, b->nr_events);
	}
	if (!err && nr < 0)
		err = (int)nr;
	if (!err && allocator && one.number == TAPE_NO_ALLOC)
		err = -ENOENT;
	if (!err)
		err = heap_each(heap, count_live, b);
	if (!err && b->nr)
		qsort(b->entries, b->nr, sizeof(*b->entries), compare);
	heap_free(heap);
	return err;
}

void by_stack_free(struct by_stack *b)
{
	free(b->entries);
	index_map_free(&b->index);
	*b = (struct by_stack){ 0 };
}
