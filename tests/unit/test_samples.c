/* SPDX-License-Identifier: BSD-2-Clause */
/* What is concluded from repeated runs. */
#include "trials/samples.h"

#include <math.h>
#include <stdint.h>

#include "check.h"
#include "trials/trials.h"

static struct samples of(const double *values, size_t nr)
{
	struct samples s = { 0 };

	for (size_t i = 0; i < nr; i++)
		samples_add(&s, values[i]);
	return s;
}
#define OF(...) of((double[]){ __VA_ARGS__ }, sizeof((double[]){ __VA_ARGS__ }) / sizeof(double))

static void test_figures(void)
{
	struct samples s = OF(5, 1, 9, 3, 7), even = OF(4, 4, 8, 8), none = { 0 };

	CHECK(samples_median(&s) == 5 && samples_median(&even) == 6 && samples_median(&none) == 0);
	CHECK(samples_min(&s) == 1 && samples_max(&s) == 9);
	CHECK(samples_spread(&s) == 4); /* 1 and 9 left out */
	CHECK(samples_spread(&even) == 4 && samples_spread(&none) == 0);
	samples_free(&s);
	samples_free(&even);
}

static void test_signs_keep_their_order(void)
{
	struct samples low = OF(-9, -8, -7, -6, -5), high = OF(-4, -3, -0.5, 0, 2);

	CHECK(samples_test(&low, &high, 1) < 0.01);
	CHECK(samples_test(&low, &low, 1) == 1);
	samples_free(&low);
	samples_free(&high);
}

static void test_ends(void)
{
	struct samples good = OF(10, 10, 11, 10, 10, 10, 10), bad = OF(20, 20, 21, 20, 20, 20, 60);
	struct samples wide = OF(5, 30, 8, 25, 12, 19, 10), same = OF(10, 10, 11, 10, 10, 10, 10);
	struct threshold t;

	CHECK_EQ(threshold_find(&good, &bad, &t), ENDS_APART); /* one outlier does not hide it */
	CHECK(t.at == 15 && t.bad_is_higher && t.run_odds > 2.5);
	CHECK_EQ(threshold_find(&bad, &good, &t), ENDS_APART);
	CHECK(!t.bad_is_higher);
	CHECK_EQ(threshold_find(&good, &wide, &t), ENDS_ALIKE); /* medians differ by less than the spread */
	CHECK_EQ(threshold_find(&good, &same, &t), ENDS_ALIKE);
	CHECK_EQ(threshold_find(&same, &same, &t), ENDS_ALIKE);
	samples_free(&good);
	samples_free(&bad);
	samples_free(&wide);
	samples_free(&same);
}

static void test_sides(void)
{
	struct samples good = OF(10, 10, 10, 10, 10, 10, 10), bad = OF(20, 20, 20, 20, 20, 20, 20), s = { 0 };
	struct threshold t;

	CHECK_EQ(threshold_find(&good, &bad, &t), ENDS_APART);
	CHECK_EQ(threshold_side(&t, &s), SIDE_UNKNOWN);
	samples_add(&s, 19);
	samples_add(&s, 20);
	CHECK_EQ(threshold_side(&t, &s), SIDE_UNKNOWN);
	samples_add(&s, 21);
	CHECK_EQ(threshold_side(&t, &s), SIDE_BAD);
	samples_add(&s, 2); /* one against it, and it is open again */
	CHECK_EQ(threshold_side(&t, &s), SIDE_UNKNOWN);
	for (int i = 0; i < 5; i++)
		samples_add(&s, 9);
	CHECK_EQ(threshold_side(&t, &s), SIDE_GOOD);
	samples_free(&s);
	samples_free(&good);
	samples_free(&bad);
}

static uint64_t seed = 1;
static double noise(double width)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return width * (double)(seed >> 11) / 9007199254740992.0;
}

/* Sides by runs that scatter: wrong ones stay as rare as promised, and ends that are alike are hardly ever told apart. */
static void test_error_rates(void)
{
	unsigned wrong = 0, decided = 0, apart = 0;

	for (int round = 0; round < 2000; round++) {
		struct samples good = { 0 }, bad = { 0 }, s = { 0 };
		struct threshold t;

		for (int i = 0; i < 7; i++) {
			samples_add(&good, noise(10));
			samples_add(&bad, 8 + noise(10));
		}
		if (threshold_find(&good, &bad, &t) == ENDS_APART) {
			while (s.nr < 30 && threshold_side(&t, &s) == SIDE_UNKNOWN)
				samples_add(&s, 8 + noise(10));
			decided += threshold_side(&t, &s) != SIDE_UNKNOWN;
			wrong += threshold_side(&t, &s) == SIDE_GOOD;
		}
		s.nr = 0;
		for (int i = 0; i < 7; i++)
			samples_add(&s, noise(10));
		apart += threshold_find(&good, &s, &t) == ENDS_APART;
		samples_free(&good);
		samples_free(&bad);
		samples_free(&s);
	}
	CHECK(decided > 500);
	CHECK(wrong * 100 < decided);
	CHECK(apart < 20); /* 1 % */
}

static void test_metric_names(void)
{
	for (int m = 0; m < TRIAL_NR; m++)
		CHECK_EQ(trial_metric_parse(trial_metric_names[m]), m);
	CHECK_EQ(trial_metric_parse("size"), TRIAL_NR);
}

int main(void)
{
	test_figures();
	test_signs_keep_their_order();
	test_ends();
	test_sides();
	test_error_rates();
	test_metric_names();
	return check_done();
}
