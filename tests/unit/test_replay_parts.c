/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of replay that need no process: quantiles, ranges of mappings, residency of pages, slots. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "replay/hist.h"
#include "replay/mappings.h"
#include "replay/plan_heap.h"
#include "replay/replay.h"
#include "replay/touch.h"

/* ---- quantiles ---- */

static void test_hist(void)
{
	static uint64_t buckets[HIST_BUCKETS];
	unsigned before = 0;
	for (uint64_t v = 0; v < 100000; v++) {
		unsigned i = hist_index(v);
		CHECK(i >= before && i < HIST_BUCKETS);
		CHECK(hist_value(i) <= v && v < hist_value(i + 1));
		before = i;
		buckets[i]++;
	}
	CHECK_EQ(hist_index(UINT64_MAX), HIST_BUCKETS - 1);
	CHECK_EQ(hist_count(buckets), 100000);
	uint64_t p50 = hist_quantile(buckets, 0.5), p99 = hist_quantile(buckets, 0.99);
	CHECK(p50 > 47000 && p50 <= 50000);
	CHECK(p99 > 93000 && p99 <= 99000);
	CHECK_EQ(hist_quantile((const uint64_t[HIST_BUCKETS]){ 0 }, 0.5), 0);
}

/* ---- mappings ---- */

static void check_rest(const struct mapping *now, size_t nr_now, const struct mapping *own, size_t nr_own,
		       const struct mapping *want, size_t nr_want)
{
	struct mappings m = { .list = (struct mapping *)(uintptr_t)now, .nr = nr_now };
	struct mappings o = { .list = (struct mapping *)(uintptr_t)own, .nr = nr_own };
	struct mappings rest = { 0 };
	CHECK_EQ(mappings_subtract(&m, &o, &rest), 0);
	CHECK_EQ(rest.nr, nr_want);
	for (size_t i = 0; i < rest.nr && i < nr_want; i++) {
		CHECK_EQ(rest.list[i].start, want[i].start);
		CHECK_EQ(rest.list[i].end, want[i].end);
		CHECK_EQ(rest.list[i].rss_nbytes, want[i].rss_nbytes);
	}
	mappings_free(&rest);
}

static void test_mappings_subtract(void)
{
	const struct mapping own[] = { { .start = 10, .end = 20 }, { .start = 30, .end = 40 } };
	const struct mapping alone[] = { { .start = 1, .end = 5, .rss_nbytes = 7 } };
	const struct mapping same[] = { { .start = 10, .end = 20, .rss_nbytes = 7 } };
	const struct mapping grown[] = { { .start = 5, .end = 25, .rss_nbytes = 7 } };
	const struct mapping around[] = { { .start = 5, .end = 50, .rss_nbytes = 7 } };
	const struct mapping piece[] = { { .start = 12, .end = 14, .rss_nbytes = 7 }, { .start = 14, .end = 20 } };
	const struct mapping stack[] = { { .start = 60, .end = 70, .rss_nbytes = 7, .is_stack = true } };
	const struct mapping grown_want[] = { { .start = 5, .end = 10, .rss_nbytes = UINT64_MAX },
					      { .start = 20, .end = 25, .rss_nbytes = UINT64_MAX } };
	const struct mapping around_want[] = { { .start = 5, .end = 10, .rss_nbytes = UINT64_MAX },
					       { .start = 20, .end = 30, .rss_nbytes = UINT64_MAX },
					       { .start = 40, .end = 50, .rss_nbytes = UINT64_MAX } };
	check_rest(alone, 1, own, 2, alone, 1);
	check_rest(same, 1, own, 2, NULL, 0);
	check_rest(grown, 1, own, 2, grown_want, 2);
	check_rest(around, 1, own, 2, around_want, 3);
	check_rest(piece, 2, own, 2, NULL, 0);
	check_rest(stack, 1, own, 2, NULL, 0);
	check_rest(alone, 1, NULL, 0, alone, 1);
}

static void test_own_mappings(void)
{
	struct mappings m = { 0 };
	static char here[3 * 4096];
	CHECK_EQ(mappings_read(&m, getpid(), true), 0);
	const struct mapping *code = mappings_find(&m, (uint64_t)(uintptr_t)test_own_mappings);
	const struct mapping *data = mappings_find(&m, (uint64_t)(uintptr_t)here);
	CHECK(code && strstr(mappings_path(&m, code), "test_replay_parts"));
	CHECK(data && data != code);
	CHECK(!mappings_find(&m, 1));
	mappings_free(&m);
}

/* ---- residency ---- */

#define BASE 0x7f0000000000ull
#define MIB (1ull << 20)

static uint64_t assumed_pages;

static int count_run(void *arg, uint64_t offset, uint64_t nr)
{
	(void)arg, (void)offset;
	assumed_pages += nr;
	return 0;
}

/* Pages that count as touched at the birth of a MiB there. */
static uint64_t born_touched(struct touch *t, uint64_t addr)
{
	assumed_pages = 0;
	CHECK_EQ(touch_birth(t, 1, addr, MIB, 0, count_run, NULL), 0);
	touch_death(t, 1, addr);
	return assumed_pages;
}

static void fault_run(struct touch *t, uint64_t addr, unsigned nr)
{
	uint32_t slot;
	uint64_t offset;
	for (unsigned i = 0; i < nr; i++)
		touch_fault(t, addr + i * 4096ull, &slot, &offset);
}

static void test_residency(void)
{
	struct touch *t = touch_new();
	CHECK(t);
	CHECK_EQ(born_touched(t, BASE), 256); /* mapped before the tape began: unknown */
	CHECK_EQ(touch_map(t, BASE, 4 * MIB), 0);
	CHECK_EQ(born_touched(t, BASE), 0);
	fault_run(t, BASE, 10);
	CHECK_EQ(born_touched(t, BASE), 10);
	CHECK_EQ(touch_move(t, BASE, MIB, BASE + 64 * MIB, 2 * MIB), 0);
	CHECK_EQ(born_touched(t, BASE), 0);
	CHECK_EQ(born_touched(t, BASE + 64 * MIB), 10);
	CHECK_EQ(touch_drop(t, BASE + 64 * MIB, 5 * 4096), 0);
	CHECK_EQ(born_touched(t, BASE + 64 * MIB), 5);
	CHECK_EQ(touch_map(t, BASE, 1ull << 44), 0); /* larger than the table: walked the other way round */
	CHECK_EQ(born_touched(t, BASE + 64 * MIB), 0);
	touch_free(t);
}

static void test_fault_in_object(void)
{
	struct touch *t = touch_new();
	struct touch_sums sums;
	uint32_t slot = 0;
	uint64_t offset = 0;
	CHECK(t);
	CHECK_EQ(touch_map(t, BASE, 16 * MIB), 0);
	CHECK_EQ(touch_birth(t, 7, BASE + 16, 3 * MIB, 0, count_run, NULL), 0);
	CHECK_EQ(touch_birth(t, 8, BASE + 8 * MIB, MIB, 0, count_run, NULL), 0);
	CHECK_EQ(touch_fault(t, BASE + 4096 * 3 + 5, &slot, &offset), 1);
	CHECK_EQ(slot, 7);
	CHECK_EQ(offset, 4096 * 3 - 16 + 4096);
	CHECK_EQ(touch_fault(t, BASE + 8 * MIB + 9000, &slot, &offset), 1);
	CHECK_EQ(slot, 8);
	CHECK_EQ(touch_fault(t, BASE + 5 * MIB, &slot, &offset), 0);
	CHECK_EQ(touch_fault(t, BASE, &slot, &offset), 0); /* in front of the object on its page */
	CHECK_EQ(touch_live_nbytes(t), 2 * 4096);
	touch_finish(t, &sums);
	CHECK_EQ(sums.known, 2 * 4096);
	CHECK_EQ(sums.known + sums.assumed + sums.untouched, 4 * MIB);
	touch_free(t);
}

/* ---- slots ---- */

static void test_slots(void)
{
	struct plan_heap h;
	struct plan_freelist a = PLAN_FREELIST_EMPTY, b = PLAN_FREELIST_EMPTY;
	uint32_t slot, again;
	CHECK_EQ(plan_heap_init(&h), 0);
	CHECK_EQ(plan_slot_take(&h, &a, 0, &slot), 0);
	h.objects[slot].window = 5;
	plan_slot_give(&h, &a, slot);
	CHECK_EQ(plan_slot_take(&h, &b, 4, &again), 0);
	CHECK(again != slot); /* another thread's, and not settled */
	plan_slot_give_all(&h, &a, 5);
	CHECK_EQ(plan_slot_take(&h, &b, 5, &again), 0);
	CHECK(again != slot);
	CHECK_EQ(plan_slot_take(&h, &b, 6, &again), 0);
	CHECK_EQ(again, slot);
	plan_heap_clear(&h);
}

static void test_address_map(void)
{
	struct plan_heap h;
	CHECK_EQ(plan_heap_init(&h), 0);
	for (uint32_t i = 0; i < 50000; i++)
		CHECK_EQ(plan_heap_insert(&h, BASE + i * 48ull, i), 0);
	for (uint32_t i = 0; i < 50000; i += 2)
		CHECK_EQ(plan_heap_remove(&h, BASE + i * 48ull), i);
	for (uint32_t i = 0; i < 50000; i++)
		CHECK_EQ(plan_heap_find(&h, BASE + i * 48ull), i % 2 ? i : PLAN_NO_SLOT);
	plan_heap_clear(&h);
}

int main(void)
{
	test_hist();
	test_mappings_subtract();
	test_own_mappings();
	test_residency();
	test_fault_in_object();
	test_slots();
	test_address_map();
	CHECK(memory_available() > 0);
	return check_done();
}
