/* SPDX-License-Identifier: BSD-2-Clause */
/* test_late_tape.c - a tape that starts with what lived before the recording: its objects come first, and stay marked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "formats/keyframe.h"
#include "formats/tape.h"

static void put_keyframe(struct tape_writer *w, const struct heap *heap, uint64_t ns)
{
	struct keyframe k;

	CHECK_EQ(keyframe_encode(heap, NULL, ns, 1, &k), 0);
	CHECK_EQ(tape_writer_keyframe(w, k.blocks.data, k.blocks.nbytes, k.stacks, k.nr_stacks), 0);
	keyframe_free(&k);
}

static struct tape_event call(uint64_t ns, uint8_t kind, uint64_t addr, uint64_t size)
{
	return (struct tape_event){ .ns = ns, .kind = kind, .addr = addr, .size = size, .tid = 7 };
}

/* Two blocks of before, one of which is freed; a birth; a second segment. */
static void write_tape(const char *path)
{
	struct tape_writer_opts opts = { .time_unit_ns = 1, .overwrite = true };
	struct tape_event found = call(0, TAPE_MALLOC, 0x1000, 40), ev;
	struct heap *heap = heap_new();
	struct tape_writer *w;

	CHECK_EQ(tape_writer_open(path, &opts, &w), 0);
	CHECK_EQ(tape_writer_meta(w, "baseline", "walk"), 0);
	found.flags = TAPE_KEPT | TAPE_UNKNOWN;
	CHECK_EQ(heap_apply(heap, &found, NULL), 0);
	found.addr = 0x2000;
	CHECK_EQ(heap_apply(heap, &found, NULL), 0);
	CHECK_EQ(tape_writer_start_late(w), 0);
	ev = call(5, TAPE_FREE, 0x1000, 0);
	CHECK_EQ(tape_writer_add(w, &ev), 0);
	put_keyframe(w, heap, 0); /* behind the first events, as a recorder does */
	CHECK_EQ(heap_apply(heap, &ev, NULL), 0);
	ev = call(6, TAPE_MALLOC, 0x3000, 24);
	CHECK_EQ(tape_writer_add(w, &ev), 0);
	CHECK_EQ(heap_apply(heap, &ev, NULL), 0);
	CHECK_EQ(tape_writer_start_late(w), -EINVAL); /* too late for that */
	CHECK_EQ(tape_writer_segment(w, 10, NULL), 0);
	put_keyframe(w, heap, 10);
	CHECK_EQ(tape_writer_close(w), 0);
	heap_free(heap);
}

static void expect(struct tape_reader *r, uint8_t kind, uint64_t addr, unsigned flags)
{
	struct tape_event ev = { 0 };

	CHECK_EQ(tape_reader_next(r, &ev), 1);
	CHECK_EQ(ev.kind, kind);
	CHECK_EQ(ev.addr, addr);
	CHECK_EQ(ev.flags, flags);
}

static void test_read(const char *path)
{
	struct tape_reader *r;
	struct tape_event ev;
	bool keyframe;

	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(tape_reader_start_ns(r, &keyframe), 0);
	CHECK(keyframe);
	CHECK(!strcmp(tape_reader_meta(r, "baseline"), "walk"));
	expect(r, TAPE_MALLOC, 0x1000, TAPE_KEPT | TAPE_UNKNOWN);
	expect(r, TAPE_MALLOC, 0x2000, TAPE_KEPT | TAPE_UNKNOWN);
	expect(r, TAPE_FREE, 0x1000, 0);
	expect(r, TAPE_MALLOC, 0x3000, 0);
	CHECK_EQ(tape_reader_next(r, &ev), 0);
	CHECK_EQ(tape_reader_nr_keyframes(r), 2);
	tape_reader_close(r);
}

/* From the second keyframe on: what is of before is still told from what was born since. */
static void test_seek(const char *path)
{
	struct tape_reader *r;

	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(tape_reader_seek(r, 10), 0);
	expect(r, TAPE_MALLOC, 0x2000, TAPE_KEPT | TAPE_UNKNOWN);
	expect(r, TAPE_MALLOC, 0x3000, TAPE_KEPT);
	tape_reader_close(r);
}

int main(void)
{
	char path[] = "/tmp/heaptape-late.XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
	write_tape(path);
	test_read(path);
	test_seek(path);
	unlink(path);
	return check_done();
}
