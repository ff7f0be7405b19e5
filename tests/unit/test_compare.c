/* SPDX-License-Identifier: BSD-2-Clause */
/* test_compare.c - two plans on the same calls: differences must show, calls under way at the edges must not. */
#include "check.h"

#include "bpf/events.h"
#include "check/live.h"

static void add(struct compare *c, unsigned lane, unsigned function, uint32_t tid, uint64_t addr, uint64_t size)
{
	struct ht_ev_call call = { .h = { .tid = tid }, .addr = addr, .size = size };

	CHECK_EQ(compare_add(c, lane, function, &call), 0);
}

static void both(struct compare *c, unsigned function, uint32_t tid, uint64_t addr, uint64_t size)
{
	add(c, 0, function, tid, addr, size);
	add(c, 1, function, tid, addr, size);
}

static void test_agreement(void)
{
	struct compare *c = compare_new(3);

	for (unsigned i = 0; i < 1000; i++) {
		both(c, 0, 1, i, 8);
		both(c, 1, 1, i, 0);
		/* The one tells of an inner call first, the other of the outer one. */
		add(c, 0, 0, 2, 2 * i, 16);
		add(c, 0, 1, 2, 2 * i + 1, 16);
		add(c, 1, 1, 2, 2 * i + 1, 16);
		add(c, 1, 0, 2, 2 * i, 16);
	}
	CHECK_EQ(compare_agreed(c, 0), 2000);
	CHECK_EQ(compare_agreed(c, 1), 2000);
	CHECK_EQ(compare_agreed(c, 2), 0);
	compare_free(c);
}

static void test_edges(void)
{
	struct compare *c = compare_new(1);

	add(c, 0, 0, 1, 7, 7);
	for (unsigned i = 0; i < 100; i++)
		both(c, 0, 1, i, 8);
	add(c, 1, 0, 1, 9, 9);
	CHECK_EQ(compare_agreed(c, 0), 100);
	compare_free(c);
}

static void test_differences(void)
{
	for (unsigned lane = 0; lane < 2; lane++) {
		struct compare *c = compare_new(2);

		for (unsigned i = 0; i < 50; i++)
			both(c, 0, 1, i, 8);
		add(c, lane, 1, 1, 100, 8); /* the other does not see it */
		for (unsigned i = 0; i < 50; i++)
			both(c, 0, 1, i, 8);
		CHECK_EQ(compare_agreed(c, 1), -1);
		CHECK_EQ(compare_agreed(c, 0), 100);
		compare_free(c);
	}
}

/* Every call differs: more than can wait. */
static void test_nothing_agrees(void)
{
	struct compare *c = compare_new(1);

	both(c, 0, 1, 1, 1);
	for (unsigned i = 0; i < 500; i++) {
		add(c, 0, 0, 1, i, 8);
		add(c, 1, 0, 1, i, 16);
	}
	CHECK_EQ(compare_agreed(c, 0), -1);
	compare_free(c);
}

int main(void)
{
	test_agreement();
	test_edges();
	test_differences();
	test_nothing_agrees();
	return check_done();
}
