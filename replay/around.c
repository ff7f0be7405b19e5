/* SPDX-License-Identifier: BSD-2-Clause */
/* Who mapped what: sorted ranges, each the allocator's or not. See around.h. */
#include "replay/around.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096ull
#define MAP_SHARED_FLAG 1u      /* on the recorded machine: the same on all that Linux runs on */
#define MADV_DONTNEED_ADVICE 4u

struct range {
	uint64_t start, end;
	bool mine; /* not the allocator's, and anonymous memory when written */
};

struct around {
	struct range *ranges; /* by address, disjoint */
	size_t nr, max;
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
		free(a->ranges);
	free(a);
}

uint64_t around_nbytes(const struct around *a)
{
	return a->nbytes;
}

/* Index of the first range that ends behind addr. */
static size_t search(const struct around *a, uint64_t addr)
{
	size_t lo = 0, hi = a->nr;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (a->ranges[mid].end <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Resident bytes of [start, end) that are not the allocator's. */
static uint64_t resident_mine(const struct around *a, const struct touch *t, uint64_t start, uint64_t end)
{
	uint64_t sum = 0, at = start;

	for (size_t i = search(a, start); at < end; i++) {
		const struct range *r = i < a->nr && a->ranges[i].start < end ? &a->ranges[i] : NULL;
		uint64_t gap_end = r ? r->start : end, stop;

		if (a->older_is_mine && at < gap_end)
			sum += touch_resident_nbytes(t, at, gap_end);
		if (!r)
			break;
		at = at > r->start ? at : r->start;
		stop = r->end < end ? r->end : end;
		if (r->mine)
			sum += touch_resident_nbytes(t, at, stop);
		at = stop;
	}
	return sum;
}

static int make_room(struct around *a)
{
	size_t max = a->max ? a->max * 2 : 64;
	struct range *ranges;

	if (a->nr + 2 <= a->max)
		return 0;
	ranges = reallocarray(a->ranges, max, sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	a->ranges = ranges;
	a->max = max;
	return 0;
}

/* [start, end) is no longer what it was; with `add` it is one new range. */
static int replace(struct around *a, uint64_t start, uint64_t end, const bool *mine)
{
	size_t i = search(a, start), j = i;
	struct range left = { 0 }, right = { 0 };
	struct range put[3];
	size_t nr_put = 0;
	int err = make_room(a);

	a->last = (struct range){ 0 };
	if (err)
		return err;
	while (j < a->nr && a->ranges[j].start < end)
		j++;
	if (j > i && a->ranges[i].start < start)
		left = (struct range){ a->ranges[i].start, start, a->ranges[i].mine };
	if (j > i && a->ranges[j - 1].end > end)
		right = (struct range){ end, a->ranges[j - 1].end, a->ranges[j - 1].mine };
	if (left.end)
		put[nr_put++] = left;
	if (mine)
		put[nr_put++] = (struct range){ start, end, *mine };
	if (right.end)
		put[nr_put++] = right;
	memmove(&a->ranges[i + nr_put], &a->ranges[j], (a->nr - j) * sizeof(*a->ranges));
	memcpy(&a->ranges[i], put, nr_put * sizeof(*put));
	a->nr = a->nr - (j - i) + nr_put;
	return 0;
}

/* Nothing of [start, start + nbytes) is resident any more. mine: what is there now, NULL: nothing. */
static int change(struct around *a, const struct touch *t, uint64_t start, uint64_t nbytes, const bool *mine)
{
	uint64_t end = (start + nbytes + PAGE - 1) & ~(PAGE - 1);

	start &= ~(PAGE - 1);
	if (start >= end)
		return 0;
	a->nbytes -= resident_mine(a, t, start, end);
	return replace(a, start, end, mine);
}

static bool is_mine(const struct around *a, uint64_t addr)
{
	size_t i = search(a, addr);

	return i < a->nr && a->ranges[i].start <= addr ? a->ranges[i].mine : a->older_is_mine;
}

static int moved(struct around *a, const struct touch *t, const struct tape_event *ev)
{
	uint64_t nbytes_before = ev->arg, kept = nbytes_before < ev->size ? nbytes_before : ev->size, resident;
	bool mine = is_mine(a, ev->old);
	int err;

	if (ev->old == ev->addr) {
		if (ev->size < nbytes_before)
			return change(a, t, ev->addr + ev->size, nbytes_before - ev->size, &mine);
		return change(a, t, ev->addr + nbytes_before, ev->size - nbytes_before, &mine);
	}
	resident = resident_mine(a, t, ev->old & ~(PAGE - 1), (ev->old + kept + PAGE - 1) & ~(PAGE - 1));
	err = change(a, t, ev->old, nbytes_before, NULL);
	if (!err)
		err = change(a, t, ev->addr, ev->size, &mine);
	a->nbytes += mine ? resident : 0;
	return err;
}

int around_event(struct around *a, const struct touch *t, const struct tape_event *ev)
{
	unsigned by = ev->flags >> TAPE_BY_SHIFT & 3;
	bool no = false, mine = by != TAPE_BY_ALLOCATOR;

	switch (ev->kind) {
	case TAPE_MMAP:
		mine = mine && !(ev->arg >> 32 & MAP_SHARED_FLAG);
		return change(a, t, ev->addr, ev->size, &mine);
	case TAPE_MUNMAP: return change(a, t, ev->addr, ev->size, NULL);
	case TAPE_MREMAP: return moved(a, t, ev);
	case TAPE_BRK:
		if (ev->addr > ev->old)
			return change(a, t, ev->old, ev->addr - ev->old, &no);
		return change(a, t, ev->addr, ev->old - ev->addr, NULL);
	case TAPE_MADVISE:
		if (ev->arg == MADV_DONTNEED_ADVICE)
			a->nbytes -= resident_mine(a, t, ev->addr & ~(PAGE - 1), (ev->addr + ev->size + PAGE - 1) & ~(PAGE - 1));
		return 0;
	case TAPE_EXEC:
		a->nr = 0;
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
	size_t i;

	if (addr - a->last.start < a->last.end - a->last.start)
		return;
	i = search(a, addr);
	if (i == a->nr || a->ranges[i].start > addr)
		return;
	if (a->ranges[i].mine)
		a->nbytes -= touch_resident_nbytes(t, a->ranges[i].start, a->ranges[i].end);
	a->ranges[i].mine = false;
	a->last = a->ranges[i];
}
