/* SPDX-License-Identifier: BSD-2-Clause */
/* See around.h. */
#include "replay/around.h"

#include <stdlib.h>

#include "formats/ranges.h"

#define PAGE 4096ull
#define MAP_SHARED_FLAG 1u      /* on the recorded machine: the same on all that Linux runs on */
#define MADV_DONTNEED_ADVICE 4u

/* TAPE_BY_PROGRAM: counted here; TAPE_BY_ALLOCATOR: the allocator's, or no anonymous memory; not in the list: older. */
struct around {
	struct ranges ranges;
	bool older_is_mine;
	struct range last; /* of the last object, while it is what it was */
	uint64_t nbytes;
};

struct around *around_new(bool from_exec)
{
	struct around *a = calloc(1, sizeof(*a));

	if (a)
		a->older_is_mine = from_exec;
	return a;
}

void around_free(struct around *a)
{
	if (a)
		ranges_free(&a->ranges);
	free(a);
}

uint64_t around_nbytes(const struct around *a)
{
	return a->nbytes;
}

/* Resident bytes of [start, end) that are not the allocator's. */
static uint64_t resident_mine(const struct around *a, const struct touch *t, uint64_t start, uint64_t end)
{
	uint64_t sum = 0, at = start;

	for (size_t i = ranges_at(&a->ranges, start); at < end; i++) {
		const struct range *r = i < a->ranges.nr && a->ranges.list[i].start < end ? &a->ranges.list[i] : NULL;
		uint64_t gap_end = r ? r->start : end, stop;

		if (a->older_is_mine && at < gap_end)
			sum += touch_resident_nbytes(t, at, gap_end);
		if (!r)
			break;
		at = at > r->start ? at : r->start;
		stop = r->end < end ? r->end : end;
		if (r->by == TAPE_BY_PROGRAM)
			sum += touch_resident_nbytes(t, at, stop);
		at = stop;
	}
	return sum;
}

/* Nothing of [start, start + nbytes) is resident any more, and it belongs to `by` now; TAPE_BY_UNKNOWN: nothing is there. */
static int change(struct around *a, const struct touch *t, uint64_t start, uint64_t nbytes, enum tape_by by)
{
	uint64_t end = (start + nbytes + PAGE - 1) & ~(PAGE - 1);

	start &= ~(PAGE - 1);
	if (start >= end)
		return 0;
	a->nbytes -= resident_mine(a, t, start, end);
	a->last = (struct range){ 0 };
	return ranges_set(&a->ranges, start, end, (uint8_t)by, 0);
}

static bool is_mine(const struct around *a, uint64_t addr)
{
	const struct range *r = ranges_find(&a->ranges, addr);

	return r ? r->by == TAPE_BY_PROGRAM : a->older_is_mine;
}

static int moved(struct around *a, const struct touch *t, const struct tape_event *ev)
{
	uint64_t nbytes_before = ev->arg, kept = nbytes_before < ev->size ? nbytes_before : ev->size, resident;
	bool mine = is_mine(a, ev->old);
	enum tape_by by = mine ? TAPE_BY_PROGRAM : TAPE_BY_ALLOCATOR;
	int err;

	if (ev->old == ev->addr) {
		if (ev->size < nbytes_before)
			return change(a, t, ev->addr + ev->size, nbytes_before - ev->size, by);
		return change(a, t, ev->addr + nbytes_before, ev->size - nbytes_before, by);
	}
	resident = resident_mine(a, t, ev->old & ~(PAGE - 1), (ev->old + kept + PAGE - 1) & ~(PAGE - 1));
	err = change(a, t, ev->old, nbytes_before, TAPE_BY_UNKNOWN);
	if (!err)
		err = change(a, t, ev->addr, ev->size, by);
	a->nbytes += mine ? resident : 0;
	return err;
}

int around_event(struct around *a, const struct touch *t, const struct tape_event *ev)
{
	unsigned by = ev->flags >> TAPE_BY_SHIFT & 3;
	bool mine = by != TAPE_BY_ALLOCATOR;

	switch (ev->kind) {
	case TAPE_MMAP:
		mine = mine && !(ev->arg >> 32 & MAP_SHARED_FLAG);
		return change(a, t, ev->addr, ev->size, mine ? TAPE_BY_PROGRAM : TAPE_BY_ALLOCATOR);
	case TAPE_MUNMAP: return change(a, t, ev->addr, ev->size, TAPE_BY_UNKNOWN);
	case TAPE_MREMAP: return moved(a, t, ev);
	case TAPE_BRK:
		if (ev->addr > ev->old)
			return change(a, t, ev->old, ev->addr - ev->old, TAPE_BY_ALLOCATOR);
		return change(a, t, ev->addr, ev->old - ev->addr, TAPE_BY_UNKNOWN);
	case TAPE_MADVISE:
		if (ev->arg == MADV_DONTNEED_ADVICE)
			a->nbytes -= resident_mine(a, t, ev->addr & ~(PAGE - 1), (ev->addr + ev->size + PAGE - 1) & ~(PAGE - 1));
		return 0;
	case TAPE_EXEC:
		ranges_free(&a->ranges);
		a->last = (struct range){ 0 };
		a->nbytes = 0;
		a->older_is_mine = true;
		return 0;
	default: return 0;
	}
}

void around_fault(struct around *a, const struct touch *t, uint64_t addr)
{
	if (is_mine(a, addr) && !touch_resident_nbytes(t, addr & ~(PAGE - 1), (addr | (PAGE - 1)) + 1))
		a->nbytes += PAGE;
}

void around_object(struct around *a, const struct touch *t, uint64_t addr)
{
	struct range *r;
	size_t i;

	if (addr - a->last.start < a->last.end - a->last.start)
		return;
	i = ranges_at(&a->ranges, addr);
	r = i < a->ranges.nr && a->ranges.list[i].start <= addr ? &a->ranges.list[i] : NULL;
	if (!r)
		return;
	if (r->by == TAPE_BY_PROGRAM)
		a->nbytes -= touch_resident_nbytes(t, r->start, r->end);
	r->by = TAPE_BY_ALLOCATOR;
	a->last = *r;
}
