/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extents.h - where functions begin, by the search table of .eh_frame_hdr (Linux Standard Base, "Exception Frames").
 *
 * Points into the bytes given, which must outlive it; every access is checked.
 */
#ifndef HEAPTAPE_EXTENTS_H
#define HEAPTAPE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extents {
	const uint8_t *entries; /* pairs of 32-bit offsets from base, sorted by the first */
	uint32_t nr;
	uint64_t base; /* vaddr of the table's section */
};

/* nr 0 if the table is missing, or coded as no linker known does. */
void extents_read(const uint8_t *bytes, size_t nbytes, uint64_t vaddr, struct extents *x);
/* Of the function that vaddr lies in: its first byte, and the next one's (UINT64_MAX: it is the last). */
bool extents_find(const struct extents *x, uint64_t vaddr, uint64_t *start_ret, uint64_t *end_ret);

#endif
