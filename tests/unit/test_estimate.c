/* SPDX-License-Identifier: BSD-2-Clause */
/* test_estimate.c - from counts and costs to the figures that a person reads. */
#include <string.h>

#include "check.h"
#include "record/estimate.h"
#include "report/cost_lines.h"

#define SECOND 1000000000ull

static bool near(double a, double b)
{
	return a > b * 0.999 && a < b * 1.001;
}

/* A target with time to spare goes on at its rate. */
static void test_idle_target(void)
{
	struct estimate e = { .duration_ns = 2 * SECOND,
			      .calls = 820000,
			      .counted_traps = { 820000 },
			      .traps = { 1000000, 20000, 10000 },
			      .costs.ns = { 1000, 8000, 500 },
			      .busy_ns = 900000000,
			      .nr_busy = 1 };

	estimate_conclude(&e);
	CHECK(near(e.calls_per_s, 410000));
	CHECK(near(e.recorded_calls_per_s, 410000));
	CHECK(near(e.cpus, (1.0 + 0.16 + 0.005) / 2));
}

/* A busy thread cannot take longer than there is time: it makes fewer calls. */
static void test_busy_target(void)
{
	struct estimate e = { .duration_ns = SECOND,
			      .calls = 500000,
			      .counted_traps = { 500000 },
			      .traps = { 1000000 },
			      .costs.ns = { 1000 },
			      .busy_ns = SECOND,
			      .nr_busy = 1 };

	/* Half a second of its own and half of counting; recording wants a whole one for as many calls. */
	estimate_conclude(&e);
	CHECK(near(e.recorded_calls_per_s, 500000 / 1.5));
	CHECK(near(e.cpus, 1 / 1.5));
}

static void test_unknown_time(void)
{
	struct estimate e = { .duration_ns = SECOND, .calls = 10, .traps = { 3000000 }, .costs.ns = { 1000 } }, none = { 0 };

	estimate_conclude(&e);
	CHECK(near(e.cpus, 3));
	estimate_conclude(&none);
	CHECK(none.cpus == 0 && none.calls_per_s == 0);
}

/* The counting's own cost is calibrated, and may come out larger than all that was measured. */
static void test_counting_dearer_than_all(void)
{
	struct estimate e = { .duration_ns = SECOND,
			      .calls = 1000000,
			      .counted_traps = { 1000000 },
			      .traps = { 1000000 },
			      .costs.ns = { 1100 },
			      .busy_ns = SECOND,
			      .nr_busy = 1 };

	estimate_conclude(&e);
	CHECK(near(e.cpus, 1));
}

static void test_words(void)
{
	static const struct {
		double n;
		const char *want;
	} numbers[] = { { 0, "0" }, { 7, "7" }, { 999.4, "999" }, { 1234, "1,230" }, { 409876, "410,000" }, { 12345678, "12,300,000" },
			{ -1, "0" }, { 1e300, "0" } };
	static const struct {
		double cpus;
		const char *want;
	} cpus[] = { { 0, "less than 0.001 of a CPU" }, { 0.0123, "0.01 of a CPU" }, { 0.62, "0.6 of a CPU" }, { 0.99, "1.0 of a CPU" },
		     { 2.44, "2.4 CPUs" } };
	char buf[COST_MAX];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		CHECK_STR(cost_number(buf, numbers[i].n), numbers[i].want);
	for (size_t i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++)
		CHECK_STR(cost_cpus(buf, cpus[i].cpus), cpus[i].want);
}

static void test_sums(void)
{
	const uint64_t traps[HT_TRAP_NR] = { 10, 2, 3, 1000 };
	const struct trap_costs costs = { .ns = { 100, 700, 50 }, .program_ns = 30 };

	CHECK_EQ(trap_total(traps), 15);
	CHECK(near(trap_cost_ns(&costs, traps), 1000 + 1400 + 150));
	/* A program that takes 10 ns more than when it was calibrated does so at all sites, those that share a trap too. */
	CHECK(near(trap_real_cost_ns(&costs, traps, 40), 2550 + 10 * 1015));
	CHECK(near(trap_real_cost_ns(&costs, traps, 20), 2550));
}

int main(void)
{
	test_idle_target();
	test_busy_target();
	test_unknown_time();
	test_counting_dearer_than_all();
	test_words();
	test_sums();
	return check_done();
}
