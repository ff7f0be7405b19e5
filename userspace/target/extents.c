/* SPDX-License-Identifier: BSD-2-Clause */
/* The search table of .eh_frame_hdr. */
#include "extents.h"

#include <string.h>

enum {
	HEAD_NBYTES = 12, /* version, three encodings, pointer to .eh_frame, number of entries */
	ENTRY_NBYTES = 8,
	VERSION = 1,
	PCREL_SDATA4 = 0x1b,
	UDATA4 = 0x03,
	DATAREL_SDATA4 = 0x3b,
};

static int32_t word_at(const uint8_t *bytes)
{
	int32_t v;

	memcpy(&v, bytes, sizeof(v));
	return v;
}

void extents_read(const uint8_t *bytes, size_t nbytes, uint64_t vaddr, struct extents *x)
{
	uint32_t nr;

	memset(x, 0, sizeof(*x));
	if (nbytes < HEAD_NBYTES || bytes[0] != VERSION || bytes[1] != PCREL_SDATA4 || bytes[2] != UDATA4 ||
	    bytes[3] != DATAREL_SDATA4)
		return;
	nr = (uint32_t)word_at(bytes + 8);
	if (nr > (nbytes - HEAD_NBYTES) / ENTRY_NBYTES)
		return;
	*x = (struct extents){ .entries = bytes + HEAD_NBYTES, .nr = nr, .base = vaddr };
}

static uint64_t start_of(const struct extents *x, uint32_t i)
{
	return x->base + (uint64_t)(int64_t)word_at(x->entries + (size_t)i * ENTRY_NBYTES);
}

bool extents_find(const struct extents *x, uint64_t vaddr, uint64_t *start_ret, uint64_t *end_ret)
{
	uint32_t low = 0, high = x->nr;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (start_of(x, mid) <= vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return false;
	*start_ret = start_of(x, low - 1);
	*end_ret = low < x->nr ? start_of(x, low) : UINT64_MAX;
	return true;
}
