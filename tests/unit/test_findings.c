/* SPDX-License-Identifier: BSD-2-Clause */
/* Each rule: on a heap that has its disease, on the same heap without it, and on either side of its threshold. */
#include <stdlib.h>

#include "analyze/findings.h"
#include "check.h"

#define MIB (1ull << 20)

static struct analysis heap;
static struct analysis_stack stacks[3];
static struct analysis_thread threads[6];
static struct analysis_pair pair;
static struct analysis_size size;
static struct analysis_point point;
static struct finding list[FINDINGS_MAX];

/* 100 MiB live, all of it dense, one busy thread, ten seconds: nothing to find. */
static void healthy(void)
{
	memset(stacks, 0, sizeof(stacks));
	memset(threads, 0, sizeof(threads));
	stacks[0] = (struct analysis_stack){ .stack = 1, .births = 200000, .born_nbytes = 200 * MIB, .deaths = 100000, .live = 100000,
					     .live_nbytes = 100 * MIB, .start_live_nbytes = 100 * MIB, .half_live_nbytes = 100 * MIB };
	stacks[1] = (struct analysis_stack){ .stack = 2 };
	stacks[2] = (struct analysis_stack){ .stack = 3 };
	for (unsigned i = 0; i < 6; i++)
		threads[i] = (struct analysis_thread){ .tid = 10 + i, .started_ns = UINT64_MAX, .ended_ns = UINT64_MAX,
						       .last_call_ns = 10000000000 };
	threads[0].births = 200000;
	threads[0].born_nbytes = 200 * MIB;
	threads[0].live_nbytes = 100 * MIB;
	pair = (struct analysis_pair){ 0 };
	size = (struct analysis_size){ .from = 1000, .to = 1024, .live_nbytes = 100 * MIB, .peak_live_nbytes = 100 * MIB };
	point = (struct analysis_point){ .ns = 1, .split.resident = 105 * MIB };
	heap = (struct analysis){ .last_ns = 10000000000, .to_ns = 10000000000, .at_ns = 10000000000, .births = 200000,
				  .born_nbytes = 200 * MIB, .deaths = 100000, .live = 100000, .live_nbytes = 100 * MIB,
				  .peak_live_nbytes = 100 * MIB, .has_pages = true, .thinned_ns = UINT64_MAX, .points = &point, .nr_points = 1, .stacks = stacks,
				  .nr_stacks = 3, .threads = threads, .nr_threads = 1, .pairs = &pair, .nr_pairs = 0, .sizes = &size,
				  .nr_sizes = 1,
				  .split = { .resident = 105 * MIB, .requested = 100 * MIB, .holes = 4 * MIB, .metadata = MIB } };
}

/* The finding of this rule; NULL if it does not fire. */
static const struct finding *find(const char *rule)
{
	struct finding_facts facts = { .allocator = "glibc", .nr_cpus = 2 };
	size_t nr = findings_make(&heap, &facts, list);

	for (size_t i = 0; i < nr; i++) {
		CHECK(*list[i].title && *list[i].evidence && *list[i].advice);
		if (!strcmp(list[i].rule, rule))
			return &list[i];
	}
	return NULL;
}

static void test_healthy(void)
{
	struct finding_facts facts = { .allocator = "glibc", .nr_cpus = 2 };

	healthy();
	CHECK_EQ(findings_make(&heap, &facts, list), 0);
}

static void test_losses(void)
{
	healthy();
	heap.lost = 300;
	CHECK(find("losses") == &list[0]);
	CHECK(strstr(list[0].title, "0.1 %"));
}

static void test_thinned(void)
{
	healthy();
	heap.thinned_ns = 3500000000;
	CHECK(find("thinned-stacks") == &list[0]);
	CHECK(strstr(list[0].title, "from 3.5 s on"));
}

static void test_sleeping_owner(void)
{
	healthy();
	heap.nr_pairs = 1;
	heap.nr_threads = 2;
	pair = (struct analysis_pair){ .owner = 0, .freer = 1, .nr = 1000, .nbytes = 60 * MIB, .silent = 900, .silent_nbytes = 50 * MIB,
				       .idle_max_ns = 1500000000 };
	CHECK(find("sleeping-owner"));
	CHECK_EQ(find("sleeping-owner")->nbytes, 50 * MIB);
	CHECK(strstr(find("sleeping-owner")->title, "thread 10") && strstr(find("sleeping-owner")->title, "thread 11"));
	CHECK(strstr(find("sleeping-owner")->evidence, "900 of 1000"));
	pair.silent_nbytes = 21 * MIB; /* a fifth of what is resident */
	CHECK(find("sleeping-owner"));
	pair.silent_nbytes = 20 * MIB;
	CHECK(!find("sleeping-owner"));
	pair.silent_nbytes = 0; /* as much freed by others, but the owner was at work */
	CHECK(!find("sleeping-owner"));
}

static void test_idle_thread(void)
{
	healthy();
	heap.nr_threads = 2;
	threads[0].last_call_ns = 1000000000;
	CHECK(find("idle-thread"));
	threads[0].live_nbytes = 20 * MIB;
	CHECK(!find("idle-thread"));
	threads[0].live_nbytes = 100 * MIB;
	threads[0].last_call_ns = 6000000000;
	CHECK(!find("idle-thread"));
	threads[0].last_call_ns = 1000000000;
	threads[0].tid = 0; /* nobody knows who made these */
	CHECK(!find("idle-thread"));
}

static void test_arenas(void)
{
	healthy();
	heap.nr_threads = 6;
	for (unsigned i = 0; i < 6; i++)
		threads[i].births = 5000;
	heap.split = (struct pages_split){ .resident = 200 * MIB, .requested = 100 * MIB, .holes = 50 * MIB, .retained = 50 * MIB };
	CHECK(find("arenas"));
	heap.split.holes = 20 * MIB;
	heap.split.retained = 20 * MIB;
	CHECK(!find("arenas"));
	heap.split.retained = 80 * MIB;
	for (unsigned i = 3; i < 6; i++)
		threads[i].births = 10;
	CHECK(!find("arenas")); /* three arenas are not many */
}

static void test_pinned(void)
{
	healthy();
	heap.split = (struct pages_split){ .resident = 200 * MIB, .requested = 100 * MIB, .holes = 100 * MIB };
	stacks[1].pinned_nbytes = 40 * MIB;
	stacks[1].pinned_live_nbytes = 2 * MIB;
	CHECK(find("pinned-pages"));
	CHECK_EQ(find("pinned-pages")->nbytes, 38 * MIB);
	CHECK_EQ(find("pinned-pages")->stacks[0], 2);
	stacks[1].pinned_live_nbytes = 10 * MIB; /* a quarter full */
	CHECK(!find("pinned-pages"));
	stacks[1].pinned_nbytes = 25 * MIB;
	stacks[1].pinned_live_nbytes = MIB;
	CHECK(!find("pinned-pages"));
}

static void test_left_by_peak(void)
{
	healthy();
	heap.peak_live_nbytes = 400 * MIB;
	heap.peak_ns = 5000000000;
	heap.split = (struct pages_split){ .resident = 350 * MIB, .requested = 100 * MIB, .holes = 150 * MIB, .retained = 100 * MIB };
	point.split.resident = 420 * MIB;
	CHECK(find("left-by-peak"));
	CHECK(strstr(find("left-by-peak")->evidence, "75 %"));
	heap.split.resident = 290 * MIB; /* it has fallen by three tenths and more */
	CHECK(!find("left-by-peak"));
	heap.split.resident = 350 * MIB;
	heap.peak_live_nbytes = 190 * MIB;
	CHECK(!find("left-by-peak"));
}

static void test_metadata(void)
{
	healthy();
	heap.split = (struct pages_split){ .resident = 130 * MIB, .requested = 100 * MIB, .metadata = 30 * MIB };
	CHECK(find("metadata"));
	heap.split.metadata = 25 * MIB;
	CHECK(!find("metadata"));
}

static void test_size_classes(void)
{
	healthy();
	heap.split = (struct pages_split){ .resident = 200 * MIB, .requested = 100 * MIB, .holes = 100 * MIB };
	size = (struct analysis_size){ .from = 1153, .to = 1280, .live_nbytes = 5 * MIB, .peak_live_nbytes = 90 * MIB, .peak_ns = 3000000000 };
	heap.peak_live_nbytes = 110 * MIB;
	CHECK(find("size-classes"));
	CHECK(strstr(find("size-classes")->title, "1153 to 1280"));
	size.live_nbytes = 50 * MIB;
	CHECK(!find("size-classes"));
	size.live_nbytes = 5 * MIB;
	heap.split.holes = 40 * MIB;
	CHECK(!find("size-classes"));
}

static void test_calls(void)
{
	healthy();
	heap.recycled_nbytes = 3000 * MIB;
	heap.recycled_nr = 3000;
	CHECK(find("large-churn"));
	heap.recycled_nbytes = 1900 * MIB;
	CHECK(!find("large-churn"));
	healthy();
	heap.born_nbytes = 3000 * MIB;
	stacks[1].resizes = 50000;
	stacks[1].resized_nbytes = 1600 * MIB;
	CHECK(find("realloc-growth"));
	CHECK_EQ(find("realloc-growth")->stacks[0], 2);
	stacks[1].resized_nbytes = 1400 * MIB;
	CHECK(!find("realloc-growth"));
	healthy();
	stacks[1].soon = 110000;
	CHECK(find("temporary"));
	CHECK_EQ(find("temporary")->stacks[0], 2);
	stacks[1].soon = 90000;
	CHECK(!find("temporary"));
}

static void test_leak(void)
{
	healthy();
	stacks[1] = (struct analysis_stack){ .stack = 2, .births = 50000, .deaths = 100, .live_nbytes = 60 * MIB, .old_nbytes = 50 * MIB,
					     .half_live_nbytes = 30 * MIB };
	CHECK(find("leak"));
	CHECK_EQ(find("leak")->nbytes, 50 * MIB);
	CHECK_EQ(find("leak")->stacks[0], 2);
	stacks[1].half_live_nbytes = 58 * MIB; /* filled once, at the beginning */
	CHECK(!find("leak"));
	stacks[1].half_live_nbytes = 30 * MIB;
	stacks[1].deaths = 40000; /* it does free */
	CHECK(!find("leak"));
	stacks[1].deaths = 100;
	stacks[1].old_nbytes = 5 * MIB;
	CHECK(!find("leak"));
}

static void test_order(void)
{
	struct finding_facts facts = { .allocator = "jemalloc" };

	healthy();
	heap.lost = 5;
	heap.split = (struct pages_split){ .resident = 200 * MIB, .requested = 100 * MIB, .holes = 50 * MIB, .metadata = 50 * MIB };
	stacks[1].pinned_nbytes = 60 * MIB;
	CHECK_EQ(findings_make(&heap, &facts, list), 3);
	CHECK_STR(list[0].rule, "losses");
	CHECK_STR(list[1].rule, "pinned-pages");
	CHECK_STR(list[2].rule, "metadata");
}

static void test_regions(void)
{
	healthy();
	stacks[0].groups = 1000;
	stacks[0].grouped = 100000; /* all that it freed, 100 at a time: 99,000 of 300,000 calls */
	stacks[0].grouped_nbytes = 48 * 100000;
	stacks[0].grouped_added_nbytes = 16 * 100000;
	CHECK(find("regions"));
	CHECK(strstr(find("regions")->title, "100 at a time") && strstr(find("regions")->title, "33 %"));
	CHECK(strstr(find("regions")->evidence, "1000 groups") && strstr(find("regions")->evidence, "4.69 KiB"));
	CHECK_EQ(find("regions")->stacks[0], 1);
	stacks[0].grouped = 90000;
	CHECK(find("regions"));
	stacks[0].grouped = 89999; /* of 100,000 deaths: the others die alone */
	CHECK(!find("regions"));
	stacks[0].grouped = 100000;
	stacks[0].groups = 70000;
	CHECK(find("regions")); /* 30,000 calls saved of 300,000 */
	stacks[0].groups = 70001;
	CHECK(!find("regions"));
	healthy();
	stacks[0].grouped = stacks[0].groups = 0;
	CHECK(!find("regions"));
}

int main(void)
{
	test_healthy();
	test_losses();
	test_sleeping_owner();
	test_idle_thread();
	test_arenas();
	test_pinned();
	test_left_by_peak();
	test_metadata();
	test_size_classes();
	test_calls();
	test_leak();
	test_order();
	test_regions();
	test_thinned();
	return check_done();
}
