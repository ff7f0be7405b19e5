/* SPDX-License-Identifier: BSD-2-Clause */
/* Which steering calls become operations, and with what. */
#include "check.h"
#include "replay/plan_steer.h"

static void test_played(void)
{
	struct plan_op op;

	CHECK(plan_steer("malloc_trim", 1 << 20, 77, &op));
	CHECK_EQ(op.kind, PLAN_STEER);
	CHECK_EQ(op.slot, PLAN_STEER_MALLOC_TRIM);
	CHECK_EQ(op.arg, 1 << 20);
	CHECK(plan_steer("mallopt", 0xfffffffau, 165, &op)); /* M_PERTURB is -6 */
	CHECK_EQ(op.number, -6);
	CHECK_EQ(op.arg, 165);
	CHECK(plan_steer("mi_option_set", 12, (uint64_t)-1, &op));
	CHECK_EQ(op.number, 12);
	CHECK_EQ(op.arg, -1);
	CHECK(plan_steer("mi_collect", 1, 0, &op));
	CHECK_EQ(op.number, 1);
	CHECK(plan_steer("mallctl:arena.4096.purge", 0, 0, &op));
	CHECK_EQ(op.slot, PLAN_STEER_ARENA_PURGE);
	CHECK_EQ(op.arg, 4096);
	CHECK(plan_steer("mallctl:arena.3.decay", 0, 0, &op));
	CHECK_EQ(op.slot, PLAN_STEER_ARENA_DECAY);
	CHECK(plan_steer("mallctl:thread.tcache.flush", 0, 0, &op));
	CHECK_EQ(op.slot, PLAN_STEER_TCACHE_FLUSH);
}

static void test_not_played(void)
{
	struct plan_op op;

	CHECK(!plan_steer("mallctl:arena.3.reset", 0, 0, &op)); /* ends objects: the tape would have to say which */
	CHECK(!plan_steer("mallctl:arena.3.purge.x", 0, 0, &op));
	CHECK(!plan_steer("mallctl:arena.x.purge", 0, 0, &op));
	CHECK(!plan_steer("mallctl:epoch", 0, 0, &op));
	CHECK(!plan_steer("mallctl", 0, 0, &op));
	CHECK(!plan_steer("mallctlbymib", 0, 0, &op));
	CHECK(!plan_steer("mi_heap_destroy", 0, 0, &op));
	CHECK(!plan_steer("mallopt", 1000, 0, &op)); /* no number of glibc's */
	CHECK(!plan_steer("", 0, 0, &op));
}

int main(void)
{
	test_played();
	test_not_played();
	return check_done();
}
