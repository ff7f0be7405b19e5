/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * diff.h - two tapes of one program, before and after a change: what differs, by the split and by call stack.
 *
 * Stacks of the two tapes are the same if their functions have the same names from the allocator outwards, so that code may
 * have moved between them; what has no name is known by its file and offset.
 */
#ifndef HEAPTAPE_DIFF_H
#define HEAPTAPE_DIFF_H

#include <stdio.h>

#include "report/report.h"

struct diff_side {
	uint64_t live_nbytes, live, born_nbytes, births, pinned_nbytes;
};

struct diff_row {
	uint64_t key;
	struct diff_side sides[2];
	uint32_t stack[2]; /* one of them on each tape; TAPE_NO_STACK where it has none */
};

struct diff {
	const struct report *reports[2]; /* path, tape, naming, analysis, top and colour are used */
	struct diff_row *rows;           /* by what differs most in live bytes */
	size_t nr_rows;
};

/* 0 or -ENOMEM; free in any case. */
int diff_make(struct diff *d, const struct report *before, const struct report *after);
void diff_free(struct diff *d);
void diff_print(const struct diff *d, FILE *out);
/* 0 or -ENOMEM. */
int diff_print_json(const struct diff *d, FILE *out);

#endif
