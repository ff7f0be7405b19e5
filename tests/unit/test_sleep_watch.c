/* SPDX-License-Identifier: BSD-2-Clause */
/* test_sleep_watch.c - a machine that slept is told once, with its time; one that was only slow is not. */
#include "check.h"
#include "random_tape.h"
#include "record/sleep_watch.h"

#define MS 1000000ull

static void test_told_once(void)
{
	struct sleep_watch w = { 0 };

	CHECK_EQ(sleep_watch_look(&w, 1000 * MS, 5000 * MS, 1000 * MS), 0); /* it had slept before */
	CHECK_EQ(sleep_watch_look(&w, 1005 * MS, 5005 * MS, 1005 * MS), 0);
	CHECK_EQ(sleep_watch_look(&w, 1010 * MS, 65010 * MS, 1010 * MS), 60000 * MS);
	CHECK_EQ(sleep_watch_look(&w, 1015 * MS, 65015 * MS, 1015 * MS), 0);
	CHECK_EQ(sleep_watch_look(&w, 1020 * MS, 65520 * MS, 1020 * MS), 500 * MS);
}

static void test_interrupted_reading(void)
{
	struct sleep_watch w = { 0 };

	sleep_watch_look(&w, 1000 * MS, 1000 * MS, 1000 * MS);
	CHECK_EQ(sleep_watch_look(&w, 1005 * MS, 1105 * MS, 1105 * MS), 0); /* preempted for 100 ms */
	CHECK_EQ(sleep_watch_look(&w, 1110 * MS, 3110 * MS, 1110 * MS), 2000 * MS); /* what it missed is told at the next look */
}

/* Any sleeps among looks of any length: what is told is what was slept, each within the reading's own inaccuracy. */
static void test_sum_of_sleeps(struct rng *rng)
{
	struct sleep_watch w = { 0 };
	uint64_t mono = 0, offset = rng_below(rng, 1000000) * MS, slept = 0, told = 0;

	sleep_watch_look(&w, mono, mono + offset, mono);
	for (int i = 0; i < 100000; i++) {
		uint64_t took = rng_below(rng, 1000), sleep = rng_below(rng, 50) ? 0 : (20 + rng_below(rng, 100000)) * MS;

		mono += 5 * MS;
		offset += sleep;
		slept += sleep;
		told += sleep_watch_look(&w, mono, mono + offset + took / 2, mono + took);
		CHECK(told <= slept && slept - told < MS);
		mono += took;
	}
}

static void test_this_machine(void)
{
	struct sleep_watch w = { 0 };

	for (int i = 0; i < 1000; i++)
		CHECK_EQ(sleep_watch_now(&w), 0);
	CHECK(w.begun);
}

int main(void)
{
	struct rng rng = rng_seeded("test_sleep_watch");

	test_told_once();
	test_interrupted_reading();
	test_sum_of_sleeps(&rng);
	test_this_machine();
	return check_done();
}
