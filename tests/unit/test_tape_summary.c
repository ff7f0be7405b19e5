/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tape_summary.c - what counts as what in `heaptape info`: failed, nested, lost and the live set, each once. */
#include <stdbool.h>

#include "analyze/summary.h"
#include "check.h"
#include "random_tape.h"

static const struct tape_event events[] = {
	{ .kind = TAPE_MARK, .alloc = TAPE_NO_ALLOC },
	{ .kind = TAPE_MALLOC, .tid = 1, .addr = 0x1000, .size = 100, .stack = 1 },
	{ .kind = TAPE_CALLOC, .tid = 1, .addr = 0x2000, .size = 50, .stack = 2 },
	{ .kind = TAPE_REALLOC, .tid = 2, .addr = 0x3000, .old = 0x1000, .size = 300 },
	{ .kind = TAPE_REALLOC, .tid = 2, .old = 0x3000, .size = 1000, .flags = TAPE_FAILED },
	{ .kind = TAPE_MEMALIGN, .tid = 2, .addr = 0x4000, .size = 64, .align = 64, .alloc = 1 },
	{ .kind = TAPE_PVALLOC, .tid = 2, .addr = 0x5000, .size = 1 },
	{ .kind = TAPE_NEW, .tid = 2, .addr = 0x5000, .size = 2, .flags = TAPE_IMPLIED_FREE },
	{ .kind = TAPE_MALLOC, .tid = 2, .addr = 0x3010, .size = 9, .flags = TAPE_SUB },
	{ .kind = TAPE_FREE, .tid = 3, .addr = 0x9000, .flags = TAPE_UNKNOWN },
	{ .kind = TAPE_DELETE, .tid = 3, .addr = 0x5000 },
	{ .kind = TAPE_SDALLOCX, .tid = 3, .addr = 0x4000, .size = 64, .alloc = 1 },
	{ .kind = TAPE_GIVE_UP, .tid = 3, .addr = 0x2000 },
	{ .kind = TAPE_MMAP, .tid = 4, .addr = 0x10000, .size = 4096, .alloc = TAPE_NO_ALLOC },
	{ .kind = TAPE_RSS, .tid = 99, .addr = 1 << 20, .alloc = TAPE_NO_ALLOC },
	{ .kind = TAPE_LOST, .tid = 99, .size = 5, .arg = TAPE_LOSS_RING_FULL, .alloc = TAPE_NO_ALLOC },
	{ .kind = TAPE_LOST, .size = 2, .arg = TAPE_LOSS_STACK, .alloc = TAPE_NO_ALLOC },
	{ .kind = TAPE_LOST, .size = 1, .arg = 77, .alloc = TAPE_NO_ALLOC },
	{ .kind = TAPE_COUNTER, .size = 40, .arg = TAPE_COUNT_NESTED, .alloc = TAPE_NO_ALLOC },
};

#define EVENTS_NR (sizeof(events) / sizeof(events[0]))

static void write_tape(const char *path)
{
	struct tape_frame frame = { 0, 7 };
	struct tape_writer *w;
	uint32_t id;

	CHECK_EQ(tape_writer_open(path, NULL, &w), 0);
	CHECK_EQ(tape_writer_stack(w, &frame, 1, false, &id), 0);
	CHECK_EQ(tape_writer_stack(w, &frame, 1, true, &id), 0);
	for (size_t i = 0; i < EVENTS_NR; i++) {
		struct tape_event ev = events[i];

		ev.ns = i * 1000;
		CHECK_EQ(tape_writer_add(w, &ev), 0);
	}
	CHECK_EQ(tape_writer_close(w), 0);
}

static void check_calls(const struct summary *s)
{
	CHECK_EQ(s->families[FAMILY_MALLOC], 1);
	CHECK_EQ(s->families[FAMILY_CALLOC], 1);
	CHECK_EQ(s->families[FAMILY_REALLOC], 1);
	CHECK_EQ(s->families[FAMILY_ALIGNED], 2);
	CHECK_EQ(s->families[FAMILY_NEW], 1);
	CHECK_EQ(s->families[FAMILY_FREE], 3);
	CHECK_EQ(s->total, 9);
	CHECK_EQ(s->failed, 1);
	CHECK_EQ(s->nested, 41);
	CHECK_EQ(s->unknown_frees, 1);
	CHECK_EQ(s->implied_frees, 1);
	CHECK_EQ(s->per_alloc[1], 2);
	CHECK_EQ(s->requested_nbytes, 100 + 50 + 300 + 64 + 1 + 2);
}

static void check_rest(const struct summary *s)
{
	CHECK_EQ(s->lost_total, 8);
	CHECK_EQ(s->lost[TAPE_LOSS_RING_FULL], 5);
	CHECK_EQ(s->lost[TAPE_LOSS_STACK], 2);
	CHECK_EQ(s->lost_other, 1);
	CHECK_EQ(s->threads, 4); /* 99 is the recorder's */
	CHECK_EQ(s->kinds[TAPE_MMAP], 1);
	CHECK_EQ(s->kinds[TAPE_GIVE_UP], 1);
	CHECK_EQ(s->stacks, 2);
	CHECK_EQ(s->stacks_truncated, 1);
	CHECK_EQ(s->events_with_stack, 2);
	CHECK_EQ(s->live_objects, 2); /* the calloc's, given up and not got back, and the realloc's */
	CHECK_EQ(s->live_nbytes, 350);
	CHECK_EQ(s->peak_nbytes, 50 + 300 + 64 + 2);
	CHECK_EQ(s->nr_events, EVENTS_NR);
	CHECK_EQ(s->last_ns, (EVENTS_NR - 1) * 1000);
}

int main(void)
{
	const char *path = temp_tape();
	struct tape_reader *r;
	struct summary s;

	write_tape(path);
	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(summary_read(r, &s, NULL, NULL), 0);
	check_calls(&s);
	check_rest(&s);
	tape_reader_close(r);
	unlink(path);
	return check_done();
}
