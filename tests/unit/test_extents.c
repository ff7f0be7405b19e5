/* SPDX-License-Identifier: BSD-2-Clause */
/* test_extents.c - the search table of .eh_frame_hdr: found, bounds at its ends, and damaged at each byte and length. */
#include <stdlib.h>

#include "guard_page.h"

#include "check.h"
#include "target/extents.h"

enum { VADDR = 0x5000 };

static const uint8_t table[] = {
	1, 0x1b, 0x03, 0x3b, 0, 0, 0, 0, 3, 0, 0, 0,
	0x00, 0xc0, 0xff, 0xff, 0, 0, 0, 0, /* 0x1000 */
	0x00, 0xd0, 0xff, 0xff, 0, 0, 0, 0, /* 0x2000 */
	0x00, 0x10, 0x00, 0x00, 0, 0, 0, 0, /* 0x6000 */
};

static void test_find(void)
{
	uint64_t start, end;
	struct extents x;

	extents_read(table, sizeof(table), VADDR, &x);
	CHECK_EQ(x.nr, 3);
	CHECK(!extents_find(&x, 0xfff, &start, &end));
	CHECK(extents_find(&x, 0x1000, &start, &end) && start == 0x1000 && end == 0x2000);
	CHECK(extents_find(&x, 0x1fff, &start, &end) && start == 0x1000 && end == 0x2000);
	CHECK(extents_find(&x, 0x5fff, &start, &end) && start == 0x2000 && end == 0x6000);
	CHECK(extents_find(&x, 0x9999, &start, &end) && start == 0x6000 && end == UINT64_MAX);
}

/* Whatever it says, nothing outside of the bytes is read: they end at a page that cannot be. */
static void test_damage(void)
{
	uint8_t *bytes_end = guard_page_end(sizeof(table));

	for (size_t nbytes = 0; nbytes <= sizeof(table); nbytes++)
		for (size_t at = 0; at < nbytes; at++)
			for (int flip = 1; flip < 256; flip <<= 1) {
				uint8_t *bytes = memcpy(bytes_end - nbytes, table, nbytes);
				uint64_t start, end;
				struct extents x;

				bytes[at] ^= (uint8_t)flip;
				extents_read(bytes, nbytes, VADDR, &x);
				CHECK(x.nr <= 3);
				for (uint64_t v = 0; v < 0x8000; v += 0x800)
					extents_find(&x, v, &start, &end);
			}
}

int main(void)
{
	test_find();
	test_damage();
	return check_done();
}
