/* SPDX-License-Identifier: BSD-2-Clause */
/* test_live.c - what a person sees of a recording while it runs: sums against naive ones, and a screen that keeps its size. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "record/live_view.h"
#include "utf8.h"
#include "xorshift.h"

enum { STACKS = 30, OBJECTS = 2000, TOP = 8 };

/* ---- sums ---- */

static struct heap_object objects[OBJECTS];
static bool alive[OBJECTS];

static void one_event(struct live_sums *sums, unsigned i)
{
	struct tape_event ev = { .kind = TAPE_MALLOC };
	struct heap_change change = { 0 };

	if (alive[i]) {
		change.died = next_random(3) != 0;
		change.implied = !change.died; /* a birth where it still stands */
		*(change.died ? &change.dead : &change.ended) = objects[i];
		alive[i] = false;
	}
	if (change.implied || (!change.died && next_random(2))) {
		change.born = true;
		objects[i].stack = ev.stack = (uint32_t)next_random(STACKS);
		objects[i].size = ev.size = 1 + next_random(5000);
		alive[i] = true;
	}
	CHECK_EQ(live_sums_apply(sums, &ev, &change), 0);
}

static void check_top(struct live_sums *sums)
{
	uint64_t nbytes[STACKS] = { 0 }, nr[STACKS] = { 0 }, before = UINT64_MAX;
	struct live_stack top[TOP];
	unsigned nr_top = live_sums_top(sums, top, TOP), larger = 0;

	for (unsigned i = 0; i < OBJECTS; i++)
		if (alive[i]) {
			nbytes[objects[i].stack] += objects[i].size;
			nr[objects[i].stack]++;
		}
	for (unsigned i = 0; i < nr_top; i++) {
		CHECK_EQ(top[i].live_nbytes, nbytes[top[i].stack]);
		CHECK_EQ(top[i].live, nr[top[i].stack]);
		CHECK(top[i].live_nbytes <= before);
		before = top[i].live_nbytes;
	}
	for (unsigned s = 0; s < STACKS; s++)
		larger += nr_top && nbytes[s] > top[nr_top - 1].live_nbytes;
	CHECK(larger < TOP && (nr_top == TOP || larger + 1 >= nr_top));
}

static void test_sums(void)
{
	struct live_sums sums;
	struct tape_event exec = { .kind = TAPE_EXEC };
	struct heap_change none = { 0 };
	struct live_stack top[TOP];

	CHECK_EQ(live_sums_init(&sums), 0);
	for (unsigned i = 0; i < 20000; i++) {
		one_event(&sums, (unsigned)next_random(OBJECTS));
		if (i % 500 == 0)
			check_top(&sums);
	}
	live_sums_top(&sums, top, TOP);
	CHECK_EQ(top[0].births_before <= top[0].births, 1);
	live_sums_top(&sums, top, TOP);
	CHECK_EQ(top[0].live_nbytes, top[0].live_nbytes_before); /* nothing happened since the list before */
	CHECK_EQ(top[0].births, top[0].births_before);
	live_sums_apply(&sums, &exec, &none);
	CHECK_EQ(live_sums_top(&sums, top, TOP), 0);
	live_sums_free(&sums);
}

/* ---- the screen ---- */

static const char *long_name(void *arg, const struct live_row *row)
{
	(void)row;
	return arg;
}

static unsigned columns_of(const char *line, size_t nbytes)
{
	unsigned columns = 0;

	for (size_t at = 0; at < nbytes; columns++) {
		size_t length = utf8_length((const unsigned char *)line + at);

		CHECK(length); /* no character is cut in two */
		at += length ? length : 1;
	}
	return columns;
}

static void check_screen(const struct live_moment *m, unsigned rows, unsigned columns, const char *name)
{
	char *text = NULL;
	size_t nbytes = 0;
	unsigned nr = 0;
	FILE *out = open_memstream(&text, &nbytes);

	live_screen_print(m, rows, columns, false, long_name, (void *)(uintptr_t)name, out);
	fclose(out);
	for (const char *line = text, *next; line; line = next, nr++) {
		next = strchr(line, '\n');
		CHECK(columns_of(line, next ? (size_t)(next - line) : strlen(line)) <= columns);
		next = next ? next + 1 : NULL;
	}
	CHECK(nr <= rows);
	CHECK(!strchr(text, '\033')); /* colours were not wanted */
	free(text);
}

static void test_screen(void)
{
	static struct live_moment m = { .pid = 4711, .program = "caf\xc3\xa9", .ns = 90000000000, .period_ns = 1000000000, .calls = UINT64_MAX / 4,
					.live_nbytes = UINT64_MAX / 2, .live_change = INT64_MIN / 2, .cpus = 12.5, .has_stacks = true,
					.nr_rows = LIVE_ROWS_MAX };

	for (unsigned rows = 1; rows < 60; rows += 3)
		for (unsigned columns = 1; columns < 140; columns += 7)
			check_screen(&m, rows, columns, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 < a < \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 < "
							"very::long<template, name>::of_something < main");
	m.has_stacks = false;
	check_screen(&m, 24, 80, "");
}

int main(void)
{
	test_sums();
	test_screen();
	return check_done();
}
