/* SPDX-License-Identifier: BSD-2-Clause */
/* test_reconcile.c - a walk at unknown instants and the events beside it make the live set of before: against a model. */
#include <stdbool.h>
#include <stdlib.h>

#include "baseline/reconcile.h"
#include "check.h"
#include "random_tape.h"

#define LEAST 24

static const struct walker walker = { .allocator = "model", .least = LEAST };

static bool holds(const struct walk *w, uint64_t addr, uint64_t *usable_ret)
{
	for (size_t i = 0; i < w->nr; i++)
		if (w->blocks[i].addr == addr) {
			*usable_ret = w->blocks[i].usable;
			return true;
		}
	return false;
}

static void test_events_decide(void)
{
	struct walk w = { .walker = &walker };
	struct reconcile *r = reconcile_new(LEAST);
	struct reconcile_counts counts;
	uint64_t usable;

	CHECK_EQ(walk_add(&w, 0x1000, 40, 1), 0); /* no event: it lives */
	CHECK_EQ(walk_add(&w, 0x2000, 40, 1), 0); /* freed, and seen before that */
	CHECK_EQ(walk_add(&w, 0x3000, 40, 1), 0); /* born meanwhile */
	CHECK_EQ(walk_add(&w, 0x4000, 40, 1), 0); /* freed and born again */
	CHECK_EQ(reconcile_death(r, 0x2000), 0);
	CHECK_EQ(reconcile_birth(r, 0x3000, 30), 0);
	CHECK_EQ(reconcile_death(r, 0x4000), 0);
	CHECK_EQ(reconcile_birth(r, 0x4000, 33), 0);
	CHECK_EQ(reconcile_death(r, 0x5000), 0); /* gone before the walk came by, and its place taken again */
	CHECK_EQ(reconcile_birth(r, 0x5000, 17), 0);
	CHECK_EQ(reconcile_death(r, 0x6000), 0); /* the same, and nothing tells its size */
	CHECK_EQ(reconcile_birth(r, 0x7000, 17), 0); /* born and gone */
	CHECK_EQ(reconcile_death(r, 0x7000), 0);
	CHECK_EQ(reconcile_death(r, 0x8000), 0); /* gone, its size seen in time: not what is born there next */
	reconcile_size(r, 0x8000, 88);
	CHECK_EQ(reconcile_birth(r, 0x8000, 9), 0);
	CHECK_EQ(reconcile_nr_events(r), 11);
	CHECK_EQ(reconcile_finish(r, &w, &counts), 0);
	CHECK_EQ(w.nr, 6);
	CHECK(holds(&w, 0x8000, &usable) && usable == 88);
	CHECK(holds(&w, 0x1000, &usable) && usable == 40);
	CHECK(holds(&w, 0x2000, &usable) && usable == 40);
	CHECK(holds(&w, 0x4000, &usable) && usable == 40);
	CHECK(holds(&w, 0x5000, &usable) && usable == 17);
	CHECK(holds(&w, 0x6000, &usable) && usable == 0);
	CHECK_EQ(counts.unlisted, 3);
	CHECK_EQ(counts.size_unknown, 1);
	reconcile_free(r);
	walk_end(&w);
}

static void test_remains_of_merged_chunks(void)
{
	struct walk w = { .walker = &walker };
	struct reconcile *r = reconcile_new(LEAST);
	struct reconcile_counts counts;
	uint64_t usable;

	CHECK_EQ(walk_add(&w, 0x1040, 24, 0), 0); /* inside a block that was born and is gone again */
	CHECK_EQ(walk_add(&w, 0x2000, 100, 0), 0); /* around one */
	CHECK_EQ(walk_add(&w, 0x3018, 24, 0), 0); /* behind the least that a small one takes up */
	CHECK_EQ(walk_add(&w, 0x3000 - 24, 24, 0), 0); /* up to its begin */
	CHECK_EQ(reconcile_birth(r, 0x1000, 200), 0);
	CHECK_EQ(reconcile_death(r, 0x1000), 0);
	CHECK_EQ(reconcile_birth(r, 0x1000, 8), 0);
	CHECK_EQ(reconcile_birth(r, 0x2040, 8), 0);
	CHECK_EQ(reconcile_birth(r, 0x3000, 1), 0);
	CHECK_EQ(reconcile_finish(r, &w, &counts), 0);
	CHECK_EQ(counts.overlapping, 2);
	CHECK_EQ(w.nr, 2);
	CHECK(holds(&w, 0x3018, &usable) && holds(&w, 0x3000 - 24, &usable));
	reconcile_free(r);
	walk_end(&w);
}

/* Where only the block is known and not the pointer into it, the first event inside tells. */
static void test_pointers_into_blocks(void)
{
	struct walk w = { .walker = &walker };
	struct reconcile *r = reconcile_new(LEAST);
	struct reconcile_counts counts;
	uint64_t usable;

	for (uint64_t addr = 0x1000; addr <= 0x4000; addr += 0x1000) {
		CHECK_EQ(walk_add(&w, addr, 0x200, 0), 0);
		w.blocks[w.nr - 1].inexact = true;
	}
	CHECK_EQ(reconcile_death(r, 0x1040), 0); /* freed by its pointer; then born and freed by another one */
	CHECK_EQ(reconcile_birth(r, 0x1020, 8), 0);
	CHECK_EQ(reconcile_death(r, 0x1020), 0);
	CHECK_EQ(reconcile_birth(r, 0x2080, 8), 0); /* was free */
	CHECK_EQ(reconcile_death(r, 0x4000), 0); /* its start is its pointer */
	CHECK_EQ(reconcile_finish(r, &w, &counts), 0);
	CHECK_EQ(w.nr, 3);
	CHECK(holds(&w, 0x1040, &usable) && usable == 0x1c0);
	CHECK(holds(&w, 0x3000, &usable) && usable == 0x200);
	CHECK(holds(&w, 0x4000, &usable) && usable == 0x200);
	reconcile_free(r);
	walk_end(&w);
}

/* A heap of slots: each is seen by the walk at an instant of its own, while random calls change it. */
static void test_random_against_model(void)
{
	enum { SLOTS = 500, STEPS = 2000 };
	struct rng rng = rng_seeded("reconcile");

	for (int round = 0; round < 50; round++) {
		bool lived[SLOTS], lives[SLOTS];
		int seen_at[SLOTS];
		struct walk w = { .walker = &walker };
		struct reconcile *r = reconcile_new(LEAST);
		struct reconcile_counts counts;
		uint64_t usable;
		size_t nr = 0, wrong = 0;

		for (int i = 0; i < SLOTS; i++) {
			lived[i] = lives[i] = rng_below(&rng, 2);
			seen_at[i] = (int)rng_below(&rng, STEPS);
			nr += lived[i];
		}
		for (int step = 0; step < STEPS; step++) {
			unsigned k = (unsigned)rng_below(&rng, SLOTS / 2); /* the other half has no events */

			for (int i = 0; i < SLOTS; i++)
				if (seen_at[i] == step && lives[i])
					CHECK_EQ(walk_add(&w, 0x10000 + (uint64_t)i * 64, 56, 0), 0);
			if (lives[k])
				CHECK_EQ(reconcile_death(r, 0x10000 + (uint64_t)k * 64), 0);
			else
				CHECK_EQ(reconcile_birth(r, 0x10000 + (uint64_t)k * 64, 1 + rng_below(&rng, 56)), 0);
			lives[k] = !lives[k];
		}
		CHECK_EQ(reconcile_finish(r, &w, &counts), 0);
		CHECK_EQ(w.nr, nr);
		for (int i = 0; i < SLOTS; i++)
			wrong += holds(&w, 0x10000 + (uint64_t)i * 64, &usable) != lived[i];
		CHECK_EQ(wrong, 0);
		reconcile_free(r);
		walk_end(&w);
	}
}

static void test_nothing(void)
{
	struct walk w = { .walker = &walker };
	struct reconcile *r = reconcile_new(LEAST);
	struct reconcile_counts counts;

	CHECK_EQ(reconcile_finish(r, &w, &counts), 0);
	CHECK_EQ(w.nr, 0);
	reconcile_free(r);
	walk_end(&w);
}

int main(void)
{
	test_nothing();
	test_events_decide();
	test_remains_of_merged_chunks();
	test_pointers_into_blocks();
	test_random_against_model();
	return check_done();
}
