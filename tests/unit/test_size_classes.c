/* SPDX-License-Identifier: BSD-2-Clause */
/* Size classes against counting page by page, on random heaps. */
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"
#include "replay/size_classes.h"
#include "xorshift.h"

#define PAGE 4096ull
#define BASE 0x7f0000000000ull

enum { OBJECTS = 300, ROUNDS = 60, PAGES = 4000 };

/* Objects that do not overlap, of few sizes, some of them larger than pages; some round up to nothing. */
static size_t make_heap(struct split_object *objs)
{
	static const uint64_t sizes[] = { 0, 16, 48, 100, 4096, 5000, 70000, 66000, 90000 };
	uint64_t at = BASE + next_random(PAGE);
	size_t nr = 1 + next_random(OBJECTS - 1);

	for (size_t i = 0; i < nr; i++) {
		uint64_t usable = sizes[next_random(sizeof(sizes) / sizeof(*sizes))];

		at += next_random(3) ? next_random(40) : next_random(3 * PAGE);
		objs[i] = (struct split_object){ at, usable ? next_random(usable) : 0, usable };
		at += usable;
	}
	return nr;
}

static bool lies_on(const struct split_object *o, uint64_t page)
{
	return o->usable && o->addr / PAGE <= page && (o->addr + o->usable - 1) / PAGE >= page;
}

static uint64_t used_on(const struct split_object *o, uint64_t page)
{
	uint64_t from = page * PAGE > o->addr ? page * PAGE : o->addr, end = o->addr + o->usable;
	uint64_t to = (page + 1) * PAGE < end ? (page + 1) * PAGE : end;

	return to > from ? to - from : 0;
}

static void check_class(const struct size_class *c, const struct split_object *objs, size_t nr)
{
	struct size_class want = { .usable = c->usable };

	for (uint64_t page = BASE / PAGE; page < BASE / PAGE + PAGES; page++) {
		uint64_t used = 0;
		bool mine = false;

		for (size_t i = 0; i < nr; i++) {
			mine |= lies_on(&objs[i], page) && size_class_of(objs[i].usable) == c->usable;
			used += used_on(&objs[i], page);
		}
		want.pages_nbytes += mine ? PAGE : 0;
		want.pages_used += mine ? used : 0;
	}
	for (size_t i = 0; i < nr; i++)
		if (size_class_of(objs[i].usable) == c->usable) {
			want.nr++;
			want.requested += objs[i].requested;
			want.given += objs[i].usable;
		}
	CHECK(!memcmp(c, &want, sizeof(want)));
}

static void test_random(void)
{
	struct split_object objs[OBJECTS];
	struct size_class *classes;
	size_t nr_classes;

	for (int round = 0; round < ROUNDS; round++) {
		size_t nr = make_heap(objs), all = 0;

		CHECK_EQ(size_classes_compute(objs, nr, PAGE, &classes, &nr_classes), 0);
		for (size_t i = 0; i < nr_classes; i++) {
			CHECK(!i || classes[i - 1].usable < classes[i].usable);
			check_class(&classes[i], objs, nr);
			all += classes[i].nr;
		}
		CHECK_EQ(all, nr);
		free(classes);
	}
}

static void test_edges(void)
{
	struct size_class *classes;
	size_t nr;

	CHECK_EQ(size_classes_compute(NULL, 0, PAGE, &classes, &nr), 0);
	CHECK_EQ(nr, 0);
	free(classes);
	CHECK_EQ(size_class_of(65536), 65536);
	CHECK_EQ(size_class_of(65537), 65536);
	CHECK_EQ(size_class_of(73727), 65536);
	CHECK_EQ(size_class_of(73728), 73728);
	CHECK_EQ(size_class_of(1ull << 40 | 1), 1ull << 40);
}

int main(void)
{
	test_random();
	test_edges();
	return check_done();
}
