/* SPDX-License-Identifier: BSD-2-Clause */
/* spans.c - see spans.h. */
#include "spans.h"

#include <errno.h>
#include <stdlib.h>

#define LOOK_BACK 32 /* runs that start later and are over: nested functions, units that share a page */

int spans_add(struct spans *s, uint64_t start, uint64_t end, uint32_t owner)
{
	if (start >= end)
		return 0;
	if (s->nr == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct span *list = reallocarray(s->list, cap, sizeof(*list));

		if (!list)
			return -ENOMEM;
		s->list = list;
		s->cap = cap;
	}
	s->list[s->nr++] = (struct span){ start, end, owner };
	return 0;
}

/* Of equal starts the shorter last: it is the more exact. */
static int compare(const void *pa, const void *pb)
{
	const struct span *a = pa, *b = pb;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a->end != b->end)
		return a->end > b->end ? -1 : 1;
	return a->owner < b->owner ? -1 : a->owner > b->owner;
}

void spans_sort(struct spans *s)
{
	if (s->nr)
		qsort(s->list, s->nr, sizeof(*s->list), compare);
}

uint32_t spans_find(const struct spans *s, uint64_t addr)
{
	size_t lo = 0, hi = s->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->list[mid].start <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (size_t k = 0; lo && k < LOOK_BACK; k++)
		if (addr < s->list[--lo].end)
			return s->list[lo].owner;
	return SPANS_NONE;
}

void spans_free(struct spans *s)
{
	free(s->list);
	*s = (struct spans){ 0 };
}
