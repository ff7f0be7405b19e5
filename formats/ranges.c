/* SPDX-License-Identifier: BSD-2-Clause */
/* A sorted list of address ranges. */
#include "ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tape.h"

size_t ranges_at(const struct ranges *r, uint64_t addr)
{
	size_t low = 0, high = r->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->list[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Replaces list[from, from + nr_old) by the nr_new ranges given. */
static int ranges_splice(struct ranges *r, size_t from, size_t nr_old, const struct range *new, size_t nr_new)
{
	if (r->nr + nr_new > r->room) {
		size_t room = 2 * r->room + 64;
		struct range *list = realloc(r->list, room * sizeof(*list));

		if (!list)
			return -ENOMEM;
		r->list = list;
		r->room = room;
	}
	memmove(r->list + from + nr_new, r->list + from + nr_old, (r->nr - from - nr_old) * sizeof(*r->list));
	memcpy(r->list + from, new, nr_new * sizeof(*r->list));
	r->nr += nr_new - nr_old;
	return 0;
}

int ranges_set(struct ranges *r, uint64_t start, uint64_t end, uint8_t by, uint8_t obj)
{
	size_t first = ranges_at(r, start), last = first, nr_new = 0;
	struct range new[3];

	if (start >= end)
		return 0;
	while (last < r->nr && r->list[last].start < end)
		last++;
	if (first < last && r->list[first].start < start) {
		new[nr_new] = r->list[first];
		new[nr_new++].end = start;
	}
	if (by != TAPE_BY_UNKNOWN)
		new[nr_new++] = (struct range){ start, end, by, obj };
	if (first < last && r->list[last - 1].end > end) {
		new[nr_new] = r->list[last - 1];
		new[nr_new++].start = end;
	}
	if (first == last && !nr_new)
		return 0; /* forgets what was not known; the list may not even be there */
	return ranges_splice(r, first, last - first, new, nr_new);
}

const struct range *ranges_find(const struct ranges *r, uint64_t addr)
{
	size_t at = ranges_at(r, addr);

	return at < r->nr && r->list[at].start <= addr ? &r->list[at] : NULL;
}

void ranges_free(struct ranges *r)
{
	free(r->list);
	memset(r, 0, sizeof(*r));
}
