/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * naming.h - the frames of a tape's stacks by name: from the binaries where they are at hand, else from the names that
 * the tape carries, else as module+0xoffset.
 *
 * The reader stays the caller's, and must live as long as the naming; so do the names handed out, which are UTF-8.
 */
#ifndef HEAPTAPE_NAMING_H
#define HEAPTAPE_NAMING_H

#include "symbols/symbols.h"

struct naming;

struct naming_counts {
	uint64_t places, named_here, named_by_tape, unnamed;
	unsigned modules_missing; /* whose files are not on this machine, or other builds, and that left a place unnamed */
};

/* find as for symbols_new. Loads the tape's names. NULL if memory is out. */
struct naming *naming_new(struct tape_reader *r, const struct find *find);
void naming_free(struct naming *n);
/* Names of the i-th frame, innermost first; at least one. NULL if memory is out. */
const struct tape_name *naming_frame(struct naming *n, const struct tape_frame *frames, uint32_t i, uint32_t *nr_ret);
/* A name as UTF-8 without control characters: bytes that are not are taken as Latin-1. Kept until naming_free; "" if
 * memory is out. */
const char *naming_text(struct naming *n, const char *text);
void naming_counts(const struct naming *n, struct naming_counts *counts);

#endif
