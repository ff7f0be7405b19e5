/* SPDX-License-Identifier: BSD-2-Clause */
/* test_walk.c - two looks at a heap: what both have stays, wherever the heaps lie and in whatever order they were read. */
#include "baseline/walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "xorshift.h"

#define HEAP_SPAN (64ull << 20)
#define HEAPS_MAX 12u

static void add(struct walk *w, uint64_t addr)
{
	CHECK(!walk_add(w, addr, 24, 0));
}

static bool has(const struct walk_block *blocks, size_t nr, uint64_t addr)
{
	for (size_t i = 0; i < nr; i++)
		if (blocks[i].addr == addr)
			return true;
	return false;
}

/* Heaps at 1, 3, 2 of which the one in the middle holds a single block: its run ends above the begin of the third's. */
static void one_block_between(void)
{
	struct walk w = { 0 }, again;

	walk_again(&w, &again);
	for (int look = 0; look < 2; look++) {
		struct walk *to = look ? &again : &w;

		for (uint64_t i = 0; i < 50; i++)
			add(to, HEAP_SPAN * 2 + 32 * i);
		add(to, HEAP_SPAN);
		for (uint64_t i = 0; i < 50; i++)
			add(to, HEAP_SPAN * 5 + 32 * i);
		for (uint64_t i = 0; i < 50; i++)
			add(to, HEAP_SPAN * 4 + 32 * i);
	}
	CHECK(!walk_keep_common(&w, &again, w.nr, 0));
	CHECK_EQ(w.nr, 151);
	walk_end(&w);
}

/* Heaps in any order, each with few or many blocks, some of which only one look has; behind them what is not compared. */
static void any_heaps(void)
{
	struct walk w = { 0 }, again, first = { 0 }, second = { 0 };
	uint64_t heaps[HEAPS_MAX];
	unsigned nr_heaps = 1 + (unsigned)next_random(HEAPS_MAX);
	size_t nr, want = 0;

	walk_again(&w, &again);
	for (unsigned i = 0; i < nr_heaps; i++)
		heaps[i] = i + 1;
	for (int look = 0; look < 2; look++) {
		struct walk *to = look ? &again : &w;

		for (unsigned i = nr_heaps; i > 1; i--) {
			unsigned k = (unsigned)next_random(i);
			uint64_t swap = heaps[i - 1];

			heaps[i - 1] = heaps[k];
			heaps[k] = swap;
		}
		for (unsigned i = 0; i < nr_heaps; i++) {
			/* As many in both looks. */
			unsigned blocks = heaps[i] % 3 ? (unsigned)heaps[i] * 7 : (unsigned)heaps[i] / 3;

			for (unsigned b = 0; b < blocks; b++)
				if (next_random(16))
					add(to, heaps[i] * HEAP_SPAN + 32 * b);
		}
	}
	for (size_t i = 0; i < w.nr; i++)
		add(&first, w.blocks[i].addr);
	for (size_t i = 0; i < again.nr; i++)
		add(&second, again.blocks[i].addr);
	nr = w.nr;
	add(&w, 4096);
	CHECK(!walk_keep_common(&w, &again, nr, 0));
	for (size_t i = 0; i < first.nr; i++) {
		if (!has(second.blocks, second.nr, first.blocks[i].addr))
			continue;
		want++;
		CHECK(has(w.blocks, w.nr, first.blocks[i].addr));
	}
	CHECK_EQ(w.nr, want + 1);
	CHECK_EQ(w.blocks[w.nr - 1].addr, 4096);
	walk_end(&w);
	walk_end(&first);
	walk_end(&second);
}

/* A part of the heap that only one look has seen is no churn: the second takes the first's place. */
static void a_part_is_missing(void)
{
	struct walk w = { 0 }, again;

	walk_again(&w, &again);
	for (uint64_t i = 0; i < 1000; i++) {
		add(&w, HEAP_SPAN + 32 * i);
		add(&again, HEAP_SPAN + 32 * i);
		add(&again, 2 * HEAP_SPAN + 32 * i);
	}
	add(&w, 4096);
	CHECK_EQ(walk_keep_common(&w, &again, w.nr - 1, 0), -EAGAIN);
	CHECK_EQ(w.nr, 2001);
	CHECK_EQ(w.blocks[2000].addr, 4096);
	walk_end(&w);
}

int main(void)
{
	one_block_between();
	for (int i = 0; i < 2000; i++)
		any_heaps();
	a_part_is_missing();
	return check_done();
}
