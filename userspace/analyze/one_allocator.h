/* SPDX-License-Identifier: BSD-2-Clause */
/* one_allocator.h - a tape as if one allocator were alone: its objects, also those that lie inside of others'. */
#ifndef HEAPTAPE_ONE_ALLOCATOR_H
#define HEAPTAPE_ONE_ALLOCATOR_H

#include <stdbool.h>

#include "formats/tape.h"

struct one_allocator {
	const char *name; /* NULL: all of them, as they are on the tape */
	uint8_t number;   /* the first that is called so, TAPE_NO_ALLOC: none has been seen yet */
	uint8_t known[TAPE_NO_ALLOC + 1]; /* by number: 1 it is called so, 2 it is not, 0 not seen yet */
};

#define ONE_ALLOCATOR(name_) ((struct one_allocator){ .name = (name_), .number = TAPE_NO_ALLOC })

/* The event as it counts, in *own_ret. false: it is another allocator's. */
bool one_allocator_counts(struct one_allocator *o, const struct tape_reader *r, const struct tape_event *ev, struct tape_event *own_ret);

#endif
