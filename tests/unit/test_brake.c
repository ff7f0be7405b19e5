/* SPDX-License-Identifier: BSD-2-Clause */
/* test_brake.c - a recording that costs too much gives up one thing after another, and only then. */
#include "check.h"
#include "record/brake.h"

#define MS 1000000.0

/* Windows of 1 s of CPU time with this cost, until a step is asked for; at most 100. */
static unsigned until_step(struct brake *b, double cost_ms, enum brake_step *step_ret)
{
	unsigned nr = 0;

	do
		*step_ret = brake_look(b, cost_ms * MS, 1000 * MS);
	while (++nr < 100 && *step_ret == BRAKE_NONE);
	return nr;
}

static void test_steps(void)
{
	struct brake b = { .limit = 0.2, .free_stacks = true, .stacks = true };
	enum brake_step step;

	CHECK_EQ(until_step(&b, 300, &step), 2);
	CHECK_EQ(step, BRAKE_FREE_STACKS);
	CHECK_EQ(until_step(&b, 300, &step), 3); /* one to settle, two over */
	CHECK_EQ(step, BRAKE_THIN);
	CHECK_EQ(until_step(&b, 300, &step), 3);
	CHECK_EQ(step, BRAKE_DETACH);
	CHECK_EQ(until_step(&b, 300, &step), 100); /* there is nothing left */
}

static void test_what_is_not_there_is_not_given_up(void)
{
	struct brake b = { .limit = 0.2, .stacks = true }, none = { .limit = 0.2 };
	enum brake_step step;

	until_step(&b, 300, &step);
	CHECK_EQ(step, BRAKE_THIN);
	until_step(&none, 300, &step);
	CHECK_EQ(step, BRAKE_DETACH);
}

static void test_chance(void)
{
	struct brake b = { .limit = 0.2, .stacks = true }, free_of_limits = { .stacks = true };
	enum brake_step step;

	for (int i = 0; i < 100; i++)
		CHECK_EQ(brake_look(&b, (i % 2 ? 900 : 100) * MS, 1000 * MS), BRAKE_NONE); /* never two in a row */
	CHECK_EQ(until_step(&b, 200, &step), 100);                                          /* at the limit, not over it */
	CHECK_EQ(until_step(&free_of_limits, 900, &step), 100);
	for (int i = 0; i < 100; i++)
		CHECK_EQ(brake_look(&b, 40 * MS, 45 * MS), BRAKE_NONE); /* it hardly runs */
}

int main(void)
{
	test_steps();
	test_what_is_not_there_is_not_given_up();
	test_chance();
	return check_done();
}
