/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * by_stack.h - what each call stack allocated over the whole tape, and what of it lived at its end.
 *
 * Counts as `heaptape info` does: calls that failed and sub-allocations are left out; a resize allocates its new size. The sums
 * over all stacks (number 0: events without one) are info's figures.
 */
#ifndef HEAPTAPE_BY_STACK_H
#define HEAPTAPE_BY_STACK_H

#include "formats/index_map.h"
#include "formats/tape.h"

enum metric { METRIC_ALLOCATED_BYTES, METRIC_ALLOCATED_COUNT, METRIC_LIVE_BYTES, METRIC_LIVE_COUNT, METRIC_NR };

struct by_stack_entry {
	uint32_t stack; /* TAPE_NO_STACK: all events without one */
	uint64_t values[METRIC_NR];
};

struct by_stack {
	struct by_stack_entry *entries; /* in order of stack numbers */
	size_t nr, cap;
	uint64_t nr_events;
	struct index_map index; /* stack -> entry, while the tape is read */
};

/* Reads the tape to its end; allocator: only the objects of the one of this name (one_allocator.h), NULL: all. 0, -ENOMEM,
 * -ENOENT (no call of it is on the tape) or the reader's error. progress (may be NULL) is called for each block. Free in any
 * case. */
int by_stack_read(struct tape_reader *r, struct by_stack *b, const char *allocator, void (*progress)(void *arg, uint64_t nr_events), void *arg);
void by_stack_free(struct by_stack *b);

#endif
