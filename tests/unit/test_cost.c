/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cost.c - the row of a kernel, and where no return probe may be used. */
#include "check.h"

#include "sites/cost.h"

static void test_rows(void)
{
	const struct cost *now = cost_find("x86_64", "6.18.44"), *then = cost_find("x86_64", "6.12.1-amd64");

	CHECK(now && then && now != then);
	CHECK(!now->return_is_syscall && then->return_is_syscall);
	CHECK(cost_find("x86_64", "6.13.9") == then);
	CHECK(cost_find("x86_64", "6.14.0-rc1") == now);
	CHECK(cost_find("x86_64", "6.1.0-13-amd64") && !cost_find("x86_64", "6.1.0-13-amd64")->return_is_syscall);
	CHECK(cost_find("x86_64", "10.0") == now);
	CHECK(!cost_find("x86_64", "4.15.0"));
	CHECK(!cost_find("sparc64", "6.18.0"));
	CHECK(cost_here());
	CHECK(now->stepped > 2 * now->emulated && now->returned < now->stepped);
}

static void test_return_probes(void)
{
	const struct cost *now = cost_find("x86_64", "6.18.0"), *filtered = cost_find("x86_64", "6.11.0");
	const struct cost_target none = { 0 }, seccomp = { .seccomp = true }, shadow = { .shadow_stack = true },
				 moves = { .stacks_move = true };

	CHECK(!cost_no_return(now, &none) && !cost_no_return(filtered, &none));
	CHECK(!cost_no_return(now, &seccomp) && cost_no_return(filtered, &seccomp));
	CHECK(cost_no_return(now, &shadow) && cost_no_return(now, &moves));
}

int main(void)
{
	test_rows();
	test_return_probes();
	return check_done();
}
