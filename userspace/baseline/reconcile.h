/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reconcile.h - a walk of a heap that changed under it, and the events of the same time, make the heap as it was before.
 *
 * t0: every probe stands, and no call is under way that began before them. The walk comes after t0 and sees each block
 * at an instant that nobody knows. t3: every call under way at the walk's end has returned. With all events of [t0, t3]:
 *
 *  1. An address with events is decided by the first: a free (or a realloc that gives it up): it lived at t0. A birth: it
 *     did not. What the walk saw there does not matter, only the size it read is used.
 *  2. An address without events did not change its state: it was a live block all the time or at no time, so the walk,
 *     whenever it came by, says which. It cannot have missed one: a live block's boundaries do not move without an event
 *     of its own, since a neighbour's being merged or split changes the neighbour.
 *  3. Where the walk lists a block without events that overlaps one which events show alive at any time in [t0, t3], it
 *     read the remains of a chunk that had been merged or split: two blocks do not overlap, so it is dropped.
 *
 * What is left to chance is told by the recording itself: a free of a block that nobody knows was missing here, a birth
 * at the address of one that lives was too many. Pure: knows neither process nor kernel. One thread at a time.
 */
#ifndef HEAPTAPE_RECONCILE_H
#define HEAPTAPE_RECONCILE_H

#include "baseline/walk.h"

struct reconcile;

struct reconcile_counts {
	uint64_t by_events;    /* blocks that events decided, either way */
	uint64_t overlapping;  /* listed and dropped by rule 3 */
	uint64_t unlisted;     /* lived at t0, and gone before the walk came by */
	uint64_t size_unknown; /* of these: nothing tells their size, which is 0 */
};

/* least: bytes that the allocator's smallest block takes up. */
struct reconcile *reconcile_new(uint64_t least);
void reconcile_free(struct reconcile *r);
/* The events of [t0, t3] in their order. -ENOMEM. */
int reconcile_birth(struct reconcile *r, uint64_t addr, uint64_t nbytes);
int reconcile_death(struct reconcile *r, uint64_t addr);
/* Those whose first event was their death since the last call: valid until the next event. Of each, reconcile_size may tell
 * how large it was, should the walk not have seen it. */
size_t reconcile_take_gone(struct reconcile *r, const uint64_t **addrs_ret);
void reconcile_size(struct reconcile *r, uint64_t addr, uint64_t nbytes);
uint64_t reconcile_nr_events(const struct reconcile *r);
/* Turns what the walk listed into what lived at t0, in place. -ENOMEM. */
int reconcile_finish(struct reconcile *r, struct walk *w, struct reconcile_counts *counts_ret);

#endif
