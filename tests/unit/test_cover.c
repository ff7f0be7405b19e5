/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cover.c - which object lies over an address: random objects, small and large, against a plain list. */
#include "check.h"
#include "random_tape.h"
#include "record/cover.h"

static int found_alloc(const struct cover *c, uint64_t addr)
{
	uint8_t alloc;

	return cover_find(c, addr, &alloc) ? alloc : -1;
}

static void test_strictly_inside(void)
{
	struct cover *c = cover_new();

	CHECK_EQ(cover_add(c, 0x1000, 16, 4), 0);
	CHECK_EQ(found_alloc(c, 0xfff), -1);
	CHECK_EQ(found_alloc(c, 0x1000), -1); /* the same address is the same object at another level */
	CHECK_EQ(found_alloc(c, 0x1001), 4);
	CHECK_EQ(found_alloc(c, 0x100f), 4);
	CHECK_EQ(found_alloc(c, 0x1010), -1);
	cover_remove(c, 0x1000, 16);
	CHECK_EQ(found_alloc(c, 0x1001), -1);
	cover_remove(c, 0x1000, 16); /* twice */
	cover_remove(c, 0x999999, 1 << 20);
	cover_free(c);
	cover_free(NULL);
}

/* Small objects are found by the 64 KiB they begin in, or those before; large ones apart. */
static void test_across_the_64k_border(void)
{
	static const uint64_t sizes[] = { 2, 32767, 32768, 32769, 65536, 65537, 1 << 24 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct cover *c = cover_new();
		uint64_t addr = 0x20000 - 1;

		CHECK_EQ(cover_add(c, addr, sizes[i], 1), 0);
		CHECK_EQ(found_alloc(c, addr + 1), 1);
		CHECK_EQ(found_alloc(c, addr + sizes[i] - 1), 1);
		CHECK_EQ(found_alloc(c, addr + sizes[i]), -1);
		cover_remove(c, addr, sizes[i]);
		CHECK_EQ(found_alloc(c, addr + 1), -1);
		cover_free(c);
	}
}

static void test_lowest_addresses(void)
{
	struct cover *c = cover_new();

	CHECK_EQ(found_alloc(c, 0), -1);
	CHECK_EQ(cover_add(c, 0, 100, 2), 0);
	CHECK_EQ(found_alloc(c, 99), 2);
	cover_free(c);
}

/* During a realloc two objects may stand at one address: each goes by its own size. */
static void test_two_at_one_address(void)
{
	for (int first = 0; first < 2; first++) {
		struct cover *c = cover_new();

		CHECK_EQ(cover_add(c, 0x1000, first ? 0x100 : 0x800, 1), 0);
		CHECK_EQ(cover_add(c, 0x1000, first ? 0x800 : 0x100, 1), 0);
		cover_remove(c, 0x1000, 0x800);
		CHECK_EQ(found_alloc(c, 0x1080), 1);
		CHECK_EQ(found_alloc(c, 0x1180), -1);
		cover_free(c);
	}
}

enum { OBJECTS = 3000 };

struct object {
	uint64_t addr, size;
	uint8_t alloc;
};

/* Places the objects cannot overlap in: a slot each, of a random width. */
static void test_random_against_a_list(void)
{
	static struct object objects[OBJECTS];
	struct rng rng = rng_seeded("cover");
	struct cover *c = cover_new();
	uint64_t base[OBJECTS + 1], nr_wrong = 0;

	base[0] = 0x7f0000000000;
	for (int i = 0; i < OBJECTS; i++)
		base[i + 1] = base[i] + 16 + (rng_below(&rng, 20) ? rng_below(&rng, 40000) : rng_below(&rng, 1 << 22));
	for (int step = 0; step < 60000; step++) {
		int i = (int)rng_below(&rng, OBJECTS);
		struct object *o = &objects[i];

		if (o->addr) {
			cover_remove(c, o->addr, o->size);
			o->addr = 0;
		} else {
			o->addr = base[i] + rng_below(&rng, 2) * rng_below(&rng, base[i + 1] - base[i]);
			o->size = rng_below(&rng, base[i + 1] - o->addr + 1);
			o->alloc = (uint8_t)rng_below(&rng, 200);
			CHECK_EQ(cover_add(c, o->addr, o->size, o->alloc), 0);
		}
		for (int k = 0; k < 8; k++) {
			int j = k < 4 ? i : (int)rng_below(&rng, OBJECTS);
			uint64_t addr = k & 1 ? base[j] + rng_below(&rng, base[j + 1] - base[j]) :
						objects[j].addr + rng_below(&rng, 2) * objects[j].size;
			bool inside = objects[j].addr && addr > objects[j].addr && addr - objects[j].addr < objects[j].size;

			if (addr >= base[j] && addr < base[j + 1])
				nr_wrong += found_alloc(c, addr) != (inside ? objects[j].alloc : -1);
		}
	}
	CHECK_EQ(nr_wrong, 0);
	cover_free(c);
}

int main(void)
{
	test_strictly_inside();
	test_across_the_64k_border();
	test_lowest_addresses();
	test_two_at_one_address();
	test_random_against_a_list();
	return check_done();
}
