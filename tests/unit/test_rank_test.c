/* SPDX-License-Identifier: BSD-2-Clause */
/* The rank test against counting by hand, against published tables, and at its limits; Holm against its definition. */
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "replay/rank_test.h"
#include "xorshift.h"

#define NEAR(got, want) CHECK(fabs((got) - (want)) < 1e-9)

/* Twice the number of pairs that a wins, ties counted once: the same order of divisions as the sum of ranks. */
static unsigned wins(const uint64_t *all, unsigned nr, unsigned choice)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < nr; i++)
		for (unsigned j = 0; j < nr; j++)
			if (choice >> i & 1 && !(choice >> j & 1))
				sum += all[i] > all[j] ? 2 : all[i] == all[j];
	return sum;
}

static double by_hand(const uint64_t *all, unsigned nr_a, unsigned nr)
{
	unsigned nr_all = 0, small = 0, large = 0, mine = wins(all, nr, (1u << nr_a) - 1);

	for (unsigned choice = 0; choice < 1u << nr; choice++) {
		if ((unsigned)__builtin_popcount(choice) != nr_a)
			continue;
		nr_all++;
		small += wins(all, nr, choice) <= mine;
		large += wins(all, nr, choice) >= mine;
	}
	double p = 2.0 * (small < large ? small : large) / nr_all;
	return p < 1 ? p : 1;
}

static void test_by_hand(void)
{
	uint64_t all[10];

	for (int round = 0; round < 60; round++) {
		unsigned nr = 2 + (unsigned)next_random(9), nr_a = 1 + (unsigned)next_random(nr - 1);
		for (unsigned i = 0; i < nr; i++)
			all[i] = next_random(round % 2 ? 4 : 1000); /* with many ties, and with few */
		NEAR(rank_test(all, nr_a, all + nr_a, nr - nr_a), by_hand(all, nr_a, nr));
	}
}

static void test_known(void)
{
	uint64_t low[5] = { 1, 2, 3, 4, 5 }, high[5] = { 11, 12, 13, 14, 15 }, same[5] = { 7, 7, 7, 7, 7 };
	uint64_t many_low[200], many_high[200];

	NEAR(rank_test(low, 5, high, 5), 2.0 / 252);
	NEAR(rank_test(high, 5, low, 5), 2.0 / 252);
	NEAR(rank_test(same, 5, same, 5), 1);
	NEAR(rank_test(low, 0, high, 5), 1);
	NEAR(rank_test(low, 4, high, 4), 2.0 / 70);
	for (unsigned i = 0; i < 200; i++) {
		many_low[i] = next_random(1000);
		many_high[i] = next_random(1000) + 300;
	}
	CHECK(rank_test(many_low, 200, many_high, 200) < 1e-4);
	NEAR(rank_test(many_low, 200, many_low, 200), 1);
	/* The approximation meets the exact count where one takes over from the other. */
	CHECK(fabs(rank_test(many_low, 30, many_high, 30) - rank_test(many_low, 31, many_high, 30)) < 0.2);
}

/* Of one distribution, a twentieth is called different at 0.05, not more. */
static void test_level(void)
{
	unsigned called = 0, rounds = 4000;

	for (unsigned round = 0; round < rounds; round++) {
		uint64_t a[7], b[7];
		for (int i = 0; i < 7; i++) {
			a[i] = next_random(1u << 30);
			b[i] = next_random(1u << 30);
		}
		called += rank_test(a, 7, b, 7) < 0.05;
	}
	CHECK(called < rounds * 6 / 100);
	CHECK(called > rounds * 2 / 100); /* it does find some */
}

static void test_holm(void)
{
	double p[4] = { 0.01, 0.04, 0.03, 0.005 }, one[1] = { 0.2 }, zero[2] = { 0, 0 };

	holm(p, 4);
	NEAR(p[3], 0.02); /* 4 times 0.005 */
	NEAR(p[0], 0.03);
	NEAR(p[2], 0.06);
	NEAR(p[1], 0.06); /* never below one that was smaller */
	holm(one, 1);
	NEAR(one[0], 0.2);
	holm(zero, 2);
	NEAR(zero[0], 0);
	NEAR(zero[1], 0);
}

int main(void)
{
	test_by_hand();
	test_known();
	test_level();
	test_holm();
	return check_done();
}
