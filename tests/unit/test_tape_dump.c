/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tape_dump.c - one event of each kind as text, NDJSON and CSV, against tests/golden; and a tape that was written
 * by the first writer of version 1 and is kept as text: every later reader reads it the same.
 *
 * HEAPTAPE_GOLDEN=write makes the golden dumps anew; the *.tape.hex are never made anew. segments.tape.hex is a tape that
 * starts with a keyframe and has another on its way, state.tape.hex one whose keyframe has a state with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "check.h"
#include "formats/keyframe.h"
#include "formats/tape.h"
#include "random_tape.h"
#include "report/lines.h"

#define GOLDEN "tests/golden/"

static void add(struct tape_writer *w, struct tape_event ev)
{
	static uint64_t ns;

	ev.ns = ns += 1500;
	if (!ev.tid)
		ev.tid = 4711;
	CHECK_EQ(tape_writer_add(w, &ev), 0);
}

#define CALL(k, ...) ((struct tape_event){ .kind = TAPE_##k, .alloc = 1, .cpu = 1, ##__VA_ARGS__ })
#define FACT(k, ...) ((struct tape_event){ .kind = TAPE_##k, .alloc = TAPE_NO_ALLOC, ##__VA_ARGS__ })
#define BY(by) (uint8_t)((by) << TAPE_BY_SHIFT)

static void add_calls(struct tape_writer *w, uint32_t stack)
{
	add(w, CALL(MALLOC, .addr = 0x7f0000001010, .size = 24, .stack = stack));
	add(w, CALL(CALLOC, .addr = 0x7f0000002010, .size = 0));
	add(w, CALL(REALLOC, .addr = 0x7f0000003010, .old = 0x7f0000001010, .size = 4096, .stack = stack));
	add(w, CALL(POSIX_MEMALIGN, .addr = 0x7f0000004000, .size = 100, .align = 64));
	add(w, CALL(ALIGNED_ALLOC, .addr = 0x7f0000005000, .size = 100, .align = 4096));
	add(w, CALL(MEMALIGN, .addr = 0x7f0000006000, .size = 100, .align = 32, .tid = 4712));
	add(w, CALL(VALLOC, .addr = 0x7f0000007000, .size = 1));
	add(w, CALL(PVALLOC, .addr = 0x7f0000008000, .size = 4096));
	add(w, CALL(NEW, .addr = 0x7f0000009000, .size = 48, .align = 16));
	add(w, CALL(MALLOC, .size = UINT64_MAX, .flags = TAPE_FAILED));
	add(w, CALL(MALLOC, .addr = 0x7f0000009000, .size = 8, .flags = TAPE_IMPLIED_FREE));
	add(w, CALL(MALLOC, .addr = 0x7f0000003100, .size = 8, .flags = TAPE_SUB));
	add(w, CALL(GIVE_UP, .addr = 0x7f0000002010));
	add(w, CALL(FREE, .addr = 0x7f0000003010));
	add(w, CALL(DELETE, .addr = 0x7f0000009000, .size = 8));
	add(w, CALL(SDALLOCX, .addr = 0x7f000000f000, .size = 64, .flags = TAPE_UNKNOWN));
}

static void add_facts(struct tape_writer *w, uint32_t name)
{
	add(w, FACT(MMAP, .addr = 0x7f0000000000, .size = 1 << 20, .arg = 3 | 34ull << 32, .flags = BY(TAPE_BY_ALLOCATOR)));
	add(w, FACT(MUNMAP, .addr = 0x7f0000000000, .size = 4096, .flags = BY(TAPE_BY_PROGRAM)));
	add(w, FACT(MREMAP, .addr = 0x7e0000000000, .size = 8192, .old = 0x7f0000000000, .arg = 4096));
	add(w, FACT(BRK, .addr = 0x555500021000, .old = 0x555500000000, .flags = BY(TAPE_BY_LOADER)));
	add(w, FACT(MADVISE, .addr = 0x7e0000000000, .size = 4096, .arg = 4, .flags = BY(TAPE_BY_ALLOCATOR)));
	add(w, FACT(THREAD_START, .tid = 4713, .cpu = 65535, .arg = name));
	add(w, FACT(THREAD_NAME, .tid = 4713, .arg = name));
	add(w, FACT(THREAD_EXIT, .tid = 4713));
	add(w, FACT(FAULT, .addr = 0x7e0000001000, .flags = TAPE_WRITE));
	add(w, FACT(RSS, .addr = 50 << 20, .old = 4 << 20, .size = 1 << 20));
	add(w, FACT(EXEC, .arg = name));
	add(w, FACT(STEER, .addr = 0xfffffff8, .size = 1, .arg = name));
	add(w, FACT(LOST, .size = 17, .arg = TAPE_LOSS_STASH_FULL, .old = 12345));
	add(w, FACT(COUNTER, .size = 3, .arg = TAPE_COUNT_NESTED));
	add(w, FACT(MARK, .arg = TAPE_MARK_END));
}

static void write_tape(const char *path)
{
	struct tape_writer_opts opts = { .time_unit_ns = 1 };
	struct tape_allocator glibc = { "glibc", "/lib/x86_64-linux-gnu/libc.so.6", "00ff" };
	struct tape_allocator jemalloc = { "jemalloc", "/usr/lib/libjemalloc.so.2", "" };
	struct tape_frame frames[2] = { { .offset = 0x1234 }, { .offset = 0x5678 } };
	struct tape_writer *w;
	uint32_t stack, name, module;
	uint8_t alloc;

	CHECK_EQ(tape_writer_open(path, &opts, &w), 0);
	CHECK_EQ(tape_writer_meta(w, "target.exe", "/usr/bin/redis-server"), 0);
	CHECK_EQ(tape_writer_allocator(w, &glibc, &alloc), 0);
	CHECK_EQ(tape_writer_allocator(w, &jemalloc, &alloc), 0);
	CHECK_EQ(tape_writer_string(w, "00ff /usr/bin/redis-server", &module), 0);
	CHECK_EQ(tape_writer_string(w, "io \"thd\", 1\n\xff\xc3\xa9", &name), 0);
	frames[0].module = frames[1].module = module;
	CHECK_EQ(tape_writer_stack(w, frames, 2, false, &stack), 0);
	add(w, FACT(MARK, .arg = TAPE_MARK_START));
	add_calls(w, stack);
	CHECK_EQ(tape_writer_flush(w), 0);
	add_facts(w, name);
	CHECK_EQ(tape_writer_close(w), 0);
}

static char *read_text(const char *path, size_t *nbytes_ret)
{
	FILE *f = fopen(path, "rb");
	char *text = calloc(1, 1 << 20);

	*nbytes_ret = f ? fread(text, 1, (1 << 20) - 1, f) : 0;
	if (f)
		fclose(f);
	return text;
}

static char *dump(const char *tape, enum lines_format format, size_t *nbytes_ret)
{
	int fd = memfd_create("dump", 0);
	char path[64];
	struct tape_reader *r;
	struct tape_event ev;
	struct lines l;
	char *text;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_EQ(tape_reader_open(tape, NULL, &r), 0);
	CHECK_EQ(lines_open(&l, format, fd, r), 0);
	while (tape_reader_next(r, &ev) == 1)
		CHECK_EQ(lines_put(&l, &ev), 0);
	CHECK_EQ(lines_flush(&l), 0);
	CHECK(tape_reader_complete(r));
	lines_close(&l);
	tape_reader_close(r);
	text = read_text(path, nbytes_ret);
	close(fd);
	return text;
}

static void save(const char *path, const char *text, size_t nbytes)
{
	FILE *f = fopen(path, "wb");

	CHECK(f && fwrite(text, 1, nbytes, f) == nbytes && fclose(f) == 0);
}

static void compare_golden(const char *tape, enum lines_format format, const char *golden)
{
	size_t nbytes, want_nbytes;
	char *text = dump(tape, format, &nbytes), *want;
	const char *rewrite = getenv("HEAPTAPE_GOLDEN");

	if (rewrite && strcmp(rewrite, "write") == 0)
		save(golden, text, nbytes);
	want = read_text(golden, &want_nbytes);
	CHECK(nbytes > 500);
	CHECK_EQ(nbytes, want_nbytes);
	CHECK_STR(text, want);
	free(text);
	free(want);
}

/* The bytes of a kept tape as a file; -1 if it is not there. */
static int kept_tape(const char *hex)
{
	size_t nbytes;
	char *text = read_text(hex, &nbytes), *p = text;
	int fd = nbytes ? memfd_create("kept", 0) : -1, used;
	unsigned byte;

	for (; fd >= 0 && sscanf(p, " %2x%n", &byte, &used) == 1; p += used) {
		uint8_t b = (uint8_t)byte;

		CHECK_EQ(write(fd, &b, 1), 1);
	}
	free(text);
	return fd;
}

static void test_kept_tape(const char *hex, const char *golden)
{
	int fd = kept_tape(hex);
	char path[64];

	CHECK(fd >= 0);
	if (fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	compare_golden(path, LINES_NDJSON, golden);
	close(fd);
}

static void test_write_errors(void)
{
	struct tape_event ev = { .kind = TAPE_MALLOC };
	struct lines l;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	CHECK_EQ(lines_open(&l, LINES_CSV, fd, NULL), 0);
	CHECK_EQ(lines_put(&l, &ev), 0);
	CHECK_EQ(lines_flush(&l), -ENOSPC);
	lines_close(&l);
	close(fd);
}

static void put_segment(struct tape_writer *w, const struct heap *heap, const struct state *state, uint64_t ns)
{
	struct keyframe k;

	CHECK_EQ(tape_writer_segment(w, ns, NULL), 0);
	CHECK_EQ(keyframe_encode(heap, state, ns, 1, &k), 0);
	CHECK_EQ(tape_writer_use_strings(w, k.strings, k.nr_strings), 0);
	CHECK_EQ(tape_writer_keyframe(w, k.blocks.data, k.blocks.nbytes, k.stacks, k.nr_stacks), 0);
	keyframe_free(&k);
}

static void write_segments(const char *path)
{
	struct tape_writer_opts opts = { .time_unit_ns = 1 };
	struct tape_allocator glibc = { "glibc", "/lib/x86_64-linux-gnu/libc.so.6", "00ff" };
	struct heap *heap = heap_new();
	struct tape_frame frame = { .offset = 0x1234 };
	struct tape_writer *w;
	uint32_t stack;
	uint8_t alloc;

	CHECK_EQ(tape_writer_open(path, &opts, &w), 0);
	CHECK_EQ(tape_writer_allocator(w, &glibc, &alloc), 0);
	CHECK_EQ(tape_writer_string(w, "00ff /usr/bin/redis-server", &frame.module), 0);
	CHECK_EQ(tape_writer_stack(w, &frame, 1, false, &stack), 0);
	for (unsigned i = 0; i < 18; i++) {
		struct tape_event ev = { .ns = 100 * i, .kind = i % 3 == 2 ? TAPE_FREE : TAPE_NEW, .addr = 0x7000 + 64 * (i / 3 + i % 3 % 2 * 100),
					 .size = i % 3 == 2 ? 0 : 24 + i, .tid = 10 + i % 2, .stack = i % 3 == 2 ? 0 : stack };

		if (i == 13) /* its realloc comes in the next segment */
			ev = (struct tape_event){ .ns = 1300, .kind = TAPE_GIVE_UP, .addr = 0x7000 + 6400, .tid = 13, .alloc = TAPE_NO_ALLOC };
		if (i == 15)
			ev = (struct tape_event){ .ns = 1500, .kind = TAPE_REALLOC, .addr = 0x9000, .old = 0x7000 + 6400, .size = 99, .tid = 13 };
		if (i == 6 || i == 14)
			put_segment(w, heap, NULL, ev.ns);
		CHECK_EQ(heap_apply(heap, &ev, NULL), 0);
		if (i >= 6)
			CHECK_EQ(tape_writer_add(w, &ev), 0);
	}
	CHECK_EQ(tape_writer_close(w), 0);
	heap_free(heap);
}

/* The first segment of a ring's remainder: with a state, and a machine that slept. */
static void write_state(const char *path)
{
	static const struct tape_event before[] = {
		{ .ns = 100, .kind = TAPE_THREAD_START, .tid = 10, .arg = 1, .alloc = TAPE_NO_ALLOC },
		{ .ns = 200, .kind = TAPE_MMAP, .tid = 10, .addr = 0x7f0000000000, .size = 1 << 20, .arg = 3 | 34ull << 32,
		  .flags = BY(TAPE_BY_ALLOCATOR) },
		{ .ns = 250, .kind = TAPE_MUNMAP, .tid = 10, .addr = 0x7f0000010000, .size = 4096, .alloc = TAPE_NO_ALLOC },
		{ .ns = 300, .kind = TAPE_BRK, .tid = 10, .addr = 0x555500021000, .old = 0x555500000000, .alloc = TAPE_NO_ALLOC },
		{ .ns = 400, .kind = TAPE_MALLOC, .tid = 10, .addr = 0x7f0000000010, .size = 4000 },
		{ .ns = 500, .kind = TAPE_CALLOC, .tid = 11, .addr = 0x7f0000000020, .size = 40, .flags = TAPE_SUB },
	};
	struct tape_writer_opts opts = { .time_unit_ns = 1 };
	struct tape_allocator glibc = { "glibc", "/lib/x86_64-linux-gnu/libc.so.6", "00ff" };
	struct heap *heap = heap_new();
	struct state *state = state_new(4096);
	struct tape_writer *w;
	uint32_t name;
	uint8_t alloc;

	CHECK_EQ(tape_writer_open(path, &opts, &w), 0);
	CHECK_EQ(tape_writer_allocator(w, &glibc, &alloc), 0);
	CHECK_EQ(tape_writer_string(w, "redis-server", &name), 0);
	CHECK_EQ(tape_writer_meta(w, "copy.cause", "oom"), 0);
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		CHECK_EQ(heap_apply(heap, &before[i], NULL), 0);
		CHECK_EQ(state_apply(state, &before[i]), 0);
	}
	put_segment(w, heap, state, 1000);
	CHECK_EQ(tape_writer_add(w, &(struct tape_event){ .ns = 2000, .kind = TAPE_SUSPEND, .size = 30000000000, .tid = 10, .alloc = TAPE_NO_ALLOC }), 0);
	CHECK_EQ(tape_writer_add(w, &(struct tape_event){ .ns = 3000, .kind = TAPE_FREE, .tid = 11, .addr = 0x7f0000000020, .flags = TAPE_SUB }), 0);
	CHECK_EQ(tape_writer_add(w, &(struct tape_event){ .ns = 4000, .kind = TAPE_FREE, .tid = 10, .addr = 0x7f0000000010 }), 0);
	CHECK_EQ(tape_writer_close(w), 0);
	heap_free(heap);
	state_free(state);
}

/* For a new kind of tape to be kept as text. */
static void keep(const char *path, const char *variable)
{
	if (getenv(variable))
		rename(path, getenv(variable));
	unlink(path);
}

int main(void)
{
	const char *path = temp_tape();

	write_tape(path);
	compare_golden(path, LINES_NDJSON, GOLDEN "dump.ndjson");
	compare_golden(path, LINES_CSV, GOLDEN "dump.csv");
	unlink(path);
	write_segments(path);
	compare_golden(path, LINES_NDJSON, GOLDEN "segments.ndjson");
	keep(path, "HEAPTAPE_KEEP_SEGMENTS");
	write_state(path);
	compare_golden(path, LINES_NDJSON, GOLDEN "state.ndjson");
	keep(path, "HEAPTAPE_KEEP_STATE");
	test_kept_tape(GOLDEN "dump.tape.hex", GOLDEN "dump.ndjson");
	test_kept_tape(GOLDEN "segments.tape.hex", GOLDEN "segments.ndjson");
	test_kept_tape(GOLDEN "state.tape.hex", GOLDEN "state.ndjson");
	test_write_errors();
	return check_done();
}
