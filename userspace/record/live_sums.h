/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * live_sums.h - what lives by call stack, kept while recording for a person who watches.
 *
 * Belongs to the recording thread. Memory: some 60 bytes a stack.
 */
#ifndef HEAPTAPE_LIVE_SUMS_H
#define HEAPTAPE_LIVE_SUMS_H

#include "formats/heap.h"
#include "formats/index_map.h"

struct live_stack {
	uint32_t stack;
	uint64_t live, live_nbytes;
	uint64_t births;
	uint64_t live_nbytes_before, births_before; /* as of the last top list */
};

struct live_sums {
	struct index_map of; /* stack -> index */
	struct live_stack *list;
	size_t nr, room;
	uint64_t births, born_nbytes, deaths;
};

/* -ENOMEM. */
int live_sums_init(struct live_sums *l);
void live_sums_free(struct live_sums *l);
/* What an event has done to the live set; TAPE_EXEC ends it. -ENOMEM. */
int live_sums_apply(struct live_sums *l, const struct tape_event *ev, const struct heap_change *change);
/* The stacks with most live bytes, most first, into `top`, with what has changed since the last list. Their number. */
unsigned live_sums_top(struct live_sums *l, struct live_stack *top, unsigned max);

#endif
