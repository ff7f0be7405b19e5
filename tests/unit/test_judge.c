/* SPDX-License-Identifier: BSD-2-Clause */
/* test_judge.c - events against calls: each way in which a plan can be wrong must be found, and blamed on its function. */
#include "check.h"

#include "check/judge.h"
#include "formats/tape.h"

enum { F_MALLOC, F_FREE, F_REALLOC, F_MEMALIGN };

static struct area area;
static char why[128];

static void area_begin(void)
{
	memset(&area, 0, sizeof(area));
	area.functions[F_MALLOC] = (struct area_function){ .symbol = "malloc", .kind = TAPE_MALLOC, .size = 1 };
	area.functions[F_FREE] = (struct area_function){ .symbol = "free", .kind = TAPE_FREE, .ptr = 1 };
	area.functions[F_REALLOC] = (struct area_function){ .symbol = "realloc", .kind = TAPE_REALLOC, .size = 2, .old = 1 };
	area.functions[F_MEMALIGN] = (struct area_function){ .symbol = "memalign", .kind = TAPE_MEMALIGN, .size = 2, .align = 1 };
	area.nr_functions = 4;
}

static void call(unsigned function, unsigned thread, uint64_t size, uint64_t result)
{
	area.calls[area.nr_calls++] = (struct area_call){ .function = (uint16_t)function, .thread = (uint8_t)thread,
							  .size = size, .result = result };
}

static void saw(struct judge *j, uint32_t tid, uint64_t size, uint64_t addr)
{
	struct ht_ev_alloc e = { .h = { .type = HT_EV_ALLOC, .tid = tid }, .addr = addr, .size = size };

	CHECK_EQ(judge_add(j, &e.h), 0);
}

static void saw_call(struct judge *j, uint32_t tid, uint64_t size, uint64_t addr, uint64_t old, uint64_t align)
{
	struct ht_ev_call e = { .h = { .type = HT_EV_CALL, .tid = tid }, .addr = addr, .size = size, .old = old, .align = align };

	CHECK_EQ(judge_add(j, &e.h), 0);
}

static void saw_free(struct judge *j, uint32_t tid, uint64_t addr)
{
	struct ht_ev_free e = { .h = { .type = HT_EV_FREE, .tid = tid }, .addr = addr };

	CHECK_EQ(judge_add(j, &e.h), 0);
}

static int verdict(struct judge *j)
{
	int wrong = judge_find_wrong(j, &area, area.nr_calls, why, sizeof(why));

	judge_free(j);
	return wrong;
}

static void test_right_events(void)
{
	struct judge *j = judge_new();

	area_begin();
	call(F_MALLOC, 0, 10, 0x100);
	call(F_MALLOC, 1, 10, 0x200);
	call(F_FREE, 0, 0, 0); /* of NULL: no event */
	call(F_FREE, 0, 0, 0x100);
	call(F_MALLOC, 0, 1ull << 62, 0); /* failed */
	area.calls[area.nr_calls] = (struct area_call){ .function = F_REALLOC, .thread = 1, .size = 20, .old = 0x200, .result = 0x300 };
	area.nr_calls++;
	area.calls[area.nr_calls] = (struct area_call){ .function = F_MEMALIGN, .thread = 1, .size = 5, .align = 64, .result = 0x400 };
	area.nr_calls++;
	/* The threads have other numbers than in the log, and records of all come mixed. */
	saw(j, 777, 10, 0x200);
	saw(j, 555, 10, 0x100);
	saw_free(j, 555, 0x100);
	saw_call(j, 777, 20, 0x300, 0x200, 0);
	saw(j, 555, 1ull << 62, 0);
	saw_call(j, 777, 5, 0x400, 0, 64);
	CHECK_EQ(verdict(j), -1);
}

static void one_wrong(void (*event)(struct judge *j), int want)
{
	struct judge *j = judge_new();

	area_begin();
	call(F_MALLOC, 0, 10, 0x100);
	call(F_MALLOC, 0, 20, 0x200);
	call(F_FREE, 0, 0, 0x100);
	saw(j, 9, 10, 0x100);
	event(j);
	CHECK_EQ(verdict(j), want);
}

static void wrong_size(struct judge *j)
{
	saw(j, 9, 24, 0x200);
	saw_free(j, 9, 0x100);
}

static void wrong_address(struct judge *j)
{
	saw(j, 9, 20, 0x208);
	saw_free(j, 9, 0x100);
}

static void missing(struct judge *j)
{
	saw_free(j, 9, 0x100);
}

static void missing_at_the_end(struct judge *j)
{
	saw(j, 9, 20, 0x200);
}

static void twice(struct judge *j)
{
	saw(j, 9, 20, 0x200);
	saw(j, 9, 20, 0x200);
	saw_free(j, 9, 0x100);
}

static void one_too_many(struct judge *j)
{
	saw(j, 9, 20, 0x200);
	saw_free(j, 9, 0x100);
	saw_free(j, 9, 0x100);
}

static void test_wrong_events(void)
{
	one_wrong(wrong_size, F_MALLOC);
	one_wrong(wrong_address, F_MALLOC);
	one_wrong(missing, F_MALLOC);
	one_wrong(missing_at_the_end, F_FREE);
	one_wrong(twice, F_FREE); /* the call whose event should have come */
	one_wrong(one_too_many, F_FREE);
	CHECK_STR(why, "check: an event too many");
}

/* A thread of which nothing was seen at all. */
static void test_silent_thread(void)
{
	struct judge *j = judge_new();

	area_begin();
	call(F_MALLOC, 0, 10, 0x100);
	call(F_REALLOC, 3, 10, 0x900);
	saw(j, 9, 10, 0x100);
	CHECK_EQ(verdict(j), F_REALLOC);
}

/* What a thread did unlogged is passed over, but only before a call that says so. */
static void test_gap(void)
{
	struct judge *j = judge_new();

	area_begin();
	call(F_MALLOC, 0, 10, 0x100);
	call(F_MALLOC, 0, 30, 0x300);
	area.calls[1].flags = AREA_CALL_AFTER_GAP;
	saw(j, 9, 10, 0x100);
	saw(j, 9, 272, 0x500);
	saw_free(j, 9, 0x500);
	saw(j, 9, 30, 0x300);
	CHECK_EQ(verdict(j), -1);
}

int main(void)
{
	test_right_events();
	test_wrong_events();
	test_silent_thread();
	test_gap();
	return check_done();
}
