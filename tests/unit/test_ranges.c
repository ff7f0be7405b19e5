/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ranges.c - who mapped what: random settings against one byte an address. */
#include <stdbool.h>

#include "check.h"
#include "formats/tape.h"
#include "random_tape.h"
#include "formats/ranges.h"

static void test_empty(void)
{
	struct ranges r = { 0 };

	CHECK(!ranges_find(&r, 0));
	CHECK_EQ(ranges_set(&r, 10, 20, TAPE_BY_UNKNOWN, 0), 0); /* forgets what was never known */
	CHECK_EQ(ranges_set(&r, 20, 20, TAPE_BY_PROGRAM, 0), 0);
	CHECK_EQ(ranges_set(&r, 20, 10, TAPE_BY_PROGRAM, 0), 0);
	CHECK_EQ(r.nr, 0);
	ranges_free(&r);
}

static void test_hole_in_the_middle(void)
{
	struct ranges r = { 0 };

	CHECK_EQ(ranges_set(&r, 0x1000, 0x9000, TAPE_BY_ALLOCATOR, 3), 0);
	CHECK_EQ(ranges_set(&r, 0x3000, 0x4000, TAPE_BY_UNKNOWN, 0), 0);
	CHECK_EQ(r.nr, 2);
	CHECK(ranges_find(&r, 0x2fff) && ranges_find(&r, 0x2fff)->obj == 3);
	CHECK(!ranges_find(&r, 0x3000) && !ranges_find(&r, 0x3fff) && !ranges_find(&r, 0x9000));
	CHECK(ranges_find(&r, 0x4000) && ranges_find(&r, 0x4000)->start == 0x4000);
	ranges_free(&r);
}

static void test_ends_of_the_address_space(void)
{
	struct ranges r = { 0 };

	CHECK_EQ(ranges_set(&r, 0, UINT64_MAX, TAPE_BY_PROGRAM, 0), 0);
	CHECK(ranges_find(&r, 0) && ranges_find(&r, UINT64_MAX - 1) && !ranges_find(&r, UINT64_MAX));
	ranges_free(&r);
}

static void test_random_against_bytes(void)
{
	enum { SPACE = 400 };
	struct rng rng = rng_seeded("ranges");

	for (int round = 0; round < 60; round++) {
		uint8_t by[SPACE] = { 0 }, obj[SPACE] = { 0 };
		struct ranges r = { 0 };
		bool same = true;

		for (int step = 0; step < 300 && same; step++) {
			uint64_t start = rng_below(&rng, SPACE), end = rng_below(&rng, SPACE + 1);
			uint8_t new_by = (uint8_t)rng_below(&rng, 4), new_obj = (uint8_t)rng_below(&rng, 3);

			CHECK_EQ(ranges_set(&r, start, end, new_by, new_obj), 0);
			for (uint64_t a = start; a < end; a++) {
				by[a] = new_by;
				obj[a] = new_obj;
			}
			for (uint64_t a = 0; a < SPACE; a++) {
				const struct range *found = ranges_find(&r, a);

				same &= found ? by[a] == found->by && obj[a] == found->obj : by[a] == TAPE_BY_UNKNOWN;
			}
			for (size_t i = 0; i < r.nr; i++)
				same &= r.list[i].start < r.list[i].end && (!i || r.list[i - 1].end <= r.list[i].start);
		}
		CHECK(same);
		ranges_free(&r);
	}
}

int main(void)
{
	test_empty();
	test_hole_in_the_middle();
	test_ends_of_the_address_space();
	test_random_against_bytes();
	return check_done();
}
