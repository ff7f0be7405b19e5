/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ranges.h - who mapped which part of the address space: needed to say on whose behalf it is given back, and whose memory
 * a page is.
 */
#ifndef HEAPTAPE_RANGES_H
#define HEAPTAPE_RANGES_H

#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t start, end;
	uint8_t by;  /* enum tape_by */
	uint8_t obj; /* allocator, if by says so */
};

struct ranges {
	struct range *list; /* sorted, not overlapping */
	size_t nr, room;
};

/* [start, end) belongs to `by` from now on, whatever it was before. by TAPE_BY_UNKNOWN forgets it. -ENOMEM. */
int ranges_set(struct ranges *r, uint64_t start, uint64_t end, uint8_t by, uint8_t obj);
/* The range that holds addr, or NULL; valid until the next change. */
const struct range *ranges_find(const struct ranges *r, uint64_t addr);
/* Index in the list of the first range that ends above addr; nr if none does. */
size_t ranges_at(const struct ranges *r, uint64_t addr);
void ranges_free(struct ranges *r);

#endif
