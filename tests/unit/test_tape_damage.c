/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tape_damage.c - tapes cut at every length, with every byte flipped, with blocks missing, doubled or foreign:
 * never a crash or a hang, never an event that was not written.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "check.h"
#include "formats/block.h"
#include "formats/keyframe.h"
#include "random_tape.h"

#define EVENTS_NR 60

static uint8_t *whole; /* the tape */
static size_t whole_nbytes;
static struct tape_event truth[EVENTS_NR]; /* ns differ, so an event is known by its time */
static struct tape_event kept[EVENTS_NR]; /* objects and facts of the keyframe; no two of one address */
static unsigned nr_kept;
static int memfd = -1;
static char mem_path[64];

static void read_whole(const char *path)
{
	FILE *f = fopen(path, "rb");
	struct stat st;

	if (!f || fstat(fileno(f), &st))
		exit(1);
	whole_nbytes = (size_t)st.st_size;
	whole = malloc(whole_nbytes);
	if (fread(whole, 1, whole_nbytes, f) != whole_nbytes)
		exit(1);
	fclose(f);
}

static int note_kept(void *arg, const struct heap_object *o)
{
	(void)arg;
	kept[nr_kept++] = (struct tape_event){ .ns = o->born_ns, .addr = o->addr, .size = o->size, .tid = o->tid,
					       .stack = o->stack, .kind = o->kind, .alloc = o->alloc, .flags = TAPE_KEPT };
	return 0;
}

static int note_fact(void *arg, const struct tape_event *ev)
{
	(void)arg;
	kept[nr_kept] = *ev;
	kept[nr_kept++].flags |= TAPE_KEPT;
	return 0;
}

/* A segment that starts with a keyframe of these events' live set, and the state. */
static void put_segment(struct tape_writer *w, const struct tape_event *evs, unsigned nr, const struct state *state, uint64_t ns)
{
	struct heap *heap = heap_new();
	struct keyframe k;

	for (unsigned i = 0; i < nr; i++)
		CHECK_EQ(heap_apply(heap, &evs[i], NULL), 0);
	nr_kept = 0;
	if (state)
		state_each(state, note_fact, NULL);
	heap_each(heap, note_kept, NULL);
	CHECK_EQ(tape_writer_segment(w, ns, NULL), 0);
	CHECK_EQ(keyframe_encode(heap, state, ns, 1, &k), 0);
	CHECK_EQ(tape_writer_use_strings(w, k.strings, k.nr_strings), 0);
	CHECK_EQ(tape_writer_keyframe(w, k.blocks.data, k.blocks.nbytes, k.stacks, k.nr_stacks), 0);
	keyframe_free(&k);
	heap_free(heap);
}

/* Events that are on no tape, but made what the keyframe holds. */
static void put_first_segment(struct tape_writer *w)
{
	static const struct tape_event facts[] = {
		{ .ns = 3, .kind = TAPE_MMAP, .addr = 0x100000, .size = 8192, .arg = 3, .tid = 7, .flags = TAPE_BY_ALLOCATOR << TAPE_BY_SHIFT },
		{ .ns = 4, .kind = TAPE_BRK, .addr = 0x201000, .old = 0x200000, .tid = 7 },
		{ .ns = 5, .kind = TAPE_THREAD_START, .arg = 1, .tid = 8, .alloc = TAPE_NO_ALLOC },
		{ .ns = 6, .kind = TAPE_MALLOC, .addr = 0x300000, .size = 100, .tid = 8, .flags = TAPE_SUB },
	};
	struct state *state = state_new(4096);
	struct tape_event before[20];

	for (unsigned i = 0; i < 20; i++)
		before[i] = (struct tape_event){ .ns = i, .kind = TAPE_MALLOC, .addr = 0x1000 + i * 16, .size = i, .tid = 7, .stack = i % 4 };
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		CHECK_EQ(state_apply(state, &facts[i]), 0);
	put_segment(w, before, 20, state, 20);
	state_free(state);
}

static void free_tape(void)
{
	free(whole);
	close(memfd);
}

/* A few blocks of each kind, as a recorder would leave them. late: what a ring leaves. */
static void make_tape(struct rng *rng, bool late)
{
	struct random_style style = { .nr_addrs = 12, .nr_threads = 3, .step_ns_max = 5, .any_field = true };
	struct tape_writer_opts opts = { .time_unit_ns = 1 };
	struct tape_allocator glibc = { "glibc", "/lib/libc.so.6", "abcd" };
	struct tape_frame frame = { 1, 0x1234 };
	const char *path = temp_tape();
	struct tape_writer *w;
	char text[32];
	uint32_t id;
	uint8_t alloc;

	CHECK_EQ(tape_writer_open(path, &opts, &w), 0);
	CHECK_EQ(tape_writer_meta(w, "target.pid", "42"), 0);
	CHECK_EQ(tape_writer_allocator(w, &glibc, &alloc), 0);
	if (late)
		put_first_segment(w);
	for (unsigned i = 0; i < EVENTS_NR; i++) {
		truth[i] = random_event(rng, &style, i ? truth[i - 1].ns + 1 : 21);
		truth[i].flags &= (uint8_t)~TAPE_KEPT;
		snprintf(text, sizeof(text), "string %u", i / 10);
		CHECK_EQ(tape_writer_string(w, text, &id), 0);
		frame.offset = i;
		CHECK_EQ(tape_writer_stack(w, &frame, 1, false, &id), 0);
		CHECK_EQ(tape_writer_add(w, &truth[i]), 0);
		if (i % 12 == 11)
			CHECK_EQ(tape_writer_flush(w), 0);
		if (i == 35 && !late)
			put_segment(w, truth, i + 1, NULL, truth[i].ns);
	}
	for (unsigned i = 0; i < EVENTS_NR; i++) {
		struct tape_name names[2] = { { text, "file.c", i + 1 }, { "main", "", 0 } };

		snprintf(text, sizeof(text), "function %u", i % 7);
		CHECK_EQ(tape_writer_names(w, 1, i, names, 2), 0);
	}
	CHECK_EQ(tape_writer_meta(w, "duration_ns", "7"), 0);
	CHECK_EQ(tape_writer_close(w), 0);
	read_whole(path);
	unlink(path);
	memfd = memfd_create("tape", MFD_CLOEXEC);
	snprintf(mem_path, sizeof(mem_path), "/proc/self/fd/%d", memfd);
}

static void set_file(const uint8_t *data, size_t nbytes)
{
	if (ftruncate(memfd, 0) || pwrite(memfd, data, nbytes, 0) != (ssize_t)nbytes)
		exit(1);
}

struct outcome {
	int err;
	unsigned nr_names; /* places that have theirs */
	unsigned nr; /* events read */
	bool false_event, false_name, complete, in_order;
	uint64_t nr_bad;
	char why[300];
};

static void read_names(const struct tape_reader *r, struct outcome *o)
{
	for (unsigned i = 0; i < EVENTS_NR + 5; i++) {
		const struct tape_name *names;
		uint32_t nr = tape_reader_names(r, 1, i, &names);
		char text[32];

		if (!nr)
			continue;
		snprintf(text, sizeof(text), "function %u", i % 7);
		o->nr_names++;
		o->false_name |= i >= EVENTS_NR || nr != 2 || strcmp(names[0].function, text) || strcmp(names[0].file, "file.c") ||
				 names[0].line != i + 1 || strcmp(names[1].function, "main") || *names[1].file || names[1].line;
	}
}

static unsigned last_nr_kept; /* read by the last read_tape */

static bool is_kept(const struct tape_event *ev)
{
	for (unsigned i = 0; i < nr_kept; i++)
		if (kept[i].addr == ev->addr)
			return same_event(ev, &kept[i]);
	return false;
}

/* Reads what mem_path holds; every event must be one that was written, and come behind the one before it. */
static struct outcome read_tape(bool salvage)
{
	struct tape_reader_opts opts = { .salvage = salvage };
	struct outcome o = { .in_order = true };
	struct tape_reader *r;
	struct tape_event ev;
	unsigned at = 0;

	last_nr_kept = 0;
	o.err = tape_reader_open(mem_path, &opts, &r);
	if (o.err) {
		snprintf(o.why, sizeof(o.why), "%s", tape_reader_error(NULL));
		return o;
	}
	CHECK_EQ(tape_reader_load_names(r), 0);
	while ((o.err = tape_reader_next(r, &ev)) == 1) {
		if (ev.flags & TAPE_KEPT) {
			o.false_event |= !is_kept(&ev) || o.nr;
			last_nr_kept++;
			continue;
		}
		while (at < EVENTS_NR && truth[at].ns != ev.ns)
			at++;
		if (at == EVENTS_NR || !same_event(&ev, &truth[at])) {
			o.false_event = true;
			break;
		}
		o.in_order &= at == o.nr;
		o.nr++;
	}
	snprintf(o.why, sizeof(o.why), "%s", tape_reader_error(r));
	o.complete = tape_reader_complete(r);
	o.nr_bad = tape_reader_nr_bad_blocks(r);
	read_names(r, &o);
	CHECK(!o.false_name);
	if (o.err < 0)
		CHECK_EQ(tape_reader_next(r, &ev), o.err); /* a refusal stays */
	tape_reader_close(r);
	return o;
}

static void test_whole(bool late)
{
	struct outcome o;

	set_file(whole, whole_nbytes);
	for (int salvage = 0; salvage < 2; salvage++) {
		o = read_tape(salvage);
		CHECK(o.err == 0 && o.nr == EVENTS_NR && o.complete && o.nr_bad == 0 && o.in_order);
		CHECK_EQ(o.nr_names, EVENTS_NR);
		CHECK_EQ(last_nr_kept, late ? nr_kept : 0);
	}
}

static void test_truncated_at_every_length(void)
{
	unsigned last = 0;

	for (size_t nbytes = 0; nbytes < whole_nbytes; nbytes++) {
		for (int salvage = 0; salvage < 2; salvage++) {
			struct outcome o;

			set_file(whole, nbytes);
			o = read_tape(salvage);
			CHECK(!o.false_event && !o.complete && o.in_order);
			if (nbytes < FILE_HEAD_NBYTES) {
				CHECK_EQ(o.err, -EBADMSG);
				CHECK(*o.why);
				continue;
			}
			CHECK_EQ(o.err, 0);
			CHECK_EQ(o.nr_bad, 0);
			CHECK(o.nr >= last && (o.nr % 12 == 0 || o.nr == EVENTS_NR));
			last = o.nr;
		}
	}
	CHECK_EQ(last, EVENTS_NR);
}

static void test_every_flipped_byte(void)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	uint8_t *copy = malloc(whole_nbytes);
	unsigned least = EVENTS_NR;

	memcpy(copy, whole, whole_nbytes);
	for (size_t i = 0; i < whole_nbytes; i++) {
		for (unsigned f = 0; f < sizeof(flips); f++) {
			struct outcome o;

			copy[i] ^= flips[f];
			set_file(copy, whole_nbytes);
			o = read_tape(false);
			CHECK(!o.false_event && o.in_order);
			CHECK(o.err == -EBADMSG || o.err == -ENOTSUP);
			CHECK(strlen(o.why) > 10);
			CHECK(i < FILE_HEAD_NBYTES || strstr(o.why, "at offset "));
			o = read_tape(true);
			CHECK(!o.false_event);
			CHECK_EQ(o.err, 0);
			CHECK_EQ(o.nr_bad, 1); /* a damaged block costs itself only */
			if (o.nr < least)
				least = o.nr;
			copy[i] ^= flips[f];
		}
	}
	CHECK_EQ(least, EVENTS_NR - 12);
	free(copy);
}

/* The blocks' offsets and lengths, by their heads. */
static unsigned find_blocks(size_t *offsets, size_t *lengths, unsigned max)
{
	unsigned nr = 0;

	for (size_t at = FILE_HEAD_NBYTES; at < whole_nbytes && nr < max; nr++) {
		struct block_head head;
		const char *why;

		CHECK_EQ(block_head_decode(whole + at, &head, &why), 0);
		offsets[nr] = at;
		lengths[nr] = BLOCK_HEAD_NBYTES + head.stored_nbytes;
		at += lengths[nr];
	}
	return nr;
}

static void test_block_missing_or_doubled(bool late)
{
	size_t offsets[64], lengths[64];
	unsigned nr = find_blocks(offsets, lengths, 64);
	uint8_t *copy = malloc(2 * whole_nbytes);

	CHECK(nr > 10);
	for (unsigned i = 0; i + 1 < nr; i++) {
		size_t end = offsets[i] + lengths[i];
		struct outcome o;

		memcpy(copy, whole, offsets[i]);
		memcpy(copy + offsets[i], whole + end, whole_nbytes - end);
		set_file(copy, whole_nbytes - lengths[i]);
		o = read_tape(false);
		CHECK(o.err == -EBADMSG && !o.false_event && strstr(o.why, "missing"));
		o = read_tape(true);
		CHECK(o.err == 0 && !o.false_event && o.nr_bad == 1 && o.complete);

		memcpy(copy, whole, end);
		memcpy(copy + end, whole + offsets[i], whole_nbytes - offsets[i]);
		set_file(copy, whole_nbytes + lengths[i]);
		o = read_tape(false);
		if (late && i == 0) { /* a segment of nothing but its first block: reading starts at the next */
			CHECK(o.err == 0 && !o.false_event && o.nr == EVENTS_NR);
			continue;
		}
		CHECK(o.err == -EBADMSG && !o.false_event && strstr(o.why, "twice"));
		o = read_tape(true);
		CHECK(o.err == 0 && !o.false_event && o.nr == EVENTS_NR && o.nr_bad == 1 && o.complete);
	}
	free(copy);
}

static void test_bytes_lost_or_added(struct rng *rng)
{
	uint8_t *copy = malloc(2 * whole_nbytes);

	for (unsigned run = 0; run < 2000; run++) {
		size_t at = FILE_HEAD_NBYTES + rng_below(rng, whole_nbytes - FILE_HEAD_NBYTES);
		size_t nr = 1 + rng_below(rng, 200), rest = whole_nbytes - at;
		struct outcome o;

		if (nr > rest)
			nr = rest;
		memcpy(copy, whole, at);
		memcpy(copy + at, whole + at + nr, rest - nr);
		set_file(copy, whole_nbytes - nr);
		o = read_tape(true);
		CHECK(o.err == 0 && !o.false_event);
		o = read_tape(false);
		CHECK(!o.false_event && o.in_order && !(o.err == 0 && o.complete));

		for (size_t i = 0; i < nr; i++)
			copy[at + i] = (uint8_t)rng_u64(rng);
		memcpy(copy + at + nr, whole + at, rest);
		set_file(copy, whole_nbytes + nr);
		o = read_tape(true);
		CHECK(o.err == 0 && !o.false_event && o.nr >= EVENTS_NR - 12);
		o = read_tape(false);
		CHECK(o.err < 0 && !o.false_event && o.in_order);
	}
	free(copy);
}

static void test_behind_the_end(void)
{
	uint8_t *copy = calloc(1, whole_nbytes + 100);
	struct outcome o;

	memcpy(copy, whole, whole_nbytes);
	set_file(copy, whole_nbytes + 100); /* zeros, as a crash of the machine leaves them */
	o = read_tape(false);
	CHECK(o.err == -EBADMSG && strstr(o.why, "follows the end"));
	o = read_tape(true);
	CHECK(o.err == 0 && o.nr == EVENTS_NR && o.complete && o.nr_bad == 1);
	free(copy);
}

static void patch_head(uint8_t *copy, unsigned at, uint8_t value, bool checksum)
{
	memcpy(copy, whole, whole_nbytes);
	copy[at] = value;
	if (checksum)
		put_u64(copy + 56, block_hash(copy, 56));
	set_file(copy, whole_nbytes);
}

static void test_later_version(void)
{
	uint8_t *copy = malloc(whole_nbytes);
	struct outcome o;

	for (int salvage = 0; salvage < 2; salvage++) {
		patch_head(copy, 8, TAPE_VERSION + 1, true);
		o = read_tape(salvage);
		CHECK(o.err == -ENOTSUP && strstr(o.why, "version 2"));
		patch_head(copy, 16, 1, true); /* a feature that must be known */
		CHECK_EQ(read_tape(salvage).err, -ENOTSUP);
		patch_head(copy, 24, 1, true); /* one that need not */
		o = read_tape(salvage);
		CHECK(o.err == 0 && o.nr == EVENTS_NR && o.complete);
	}
	patch_head(copy, 8, 0, true);
	CHECK_EQ(read_tape(false).err, -EBADMSG);
	free(copy);
}

/* One block's payload replaced by another, its checksums made right. */
static struct outcome read_with_names(const uint8_t *payload, size_t payload_nbytes, uint32_t count, bool salvage)
{
	size_t offsets[64], lengths[64], at, end;
	unsigned nr = find_blocks(offsets, lengths, 64), i;
	uint8_t *copy = calloc(1, whole_nbytes + payload_nbytes);
	struct block_head head;
	struct outcome o;
	const char *why;

	for (i = 0; i + 1 < nr && get_u16(whole + offsets[i] + 4) != BLOCK_NAMES; i++)
		;
	at = offsets[i];
	end = at + lengths[i];
	memcpy(copy, whole, at + BLOCK_HEAD_NBYTES);
	CHECK_EQ(block_head_decode(copy + at, &head, &why), 0);
	head.flags = 0;
	head.count = count;
	head.stored_nbytes = head.raw_nbytes = (uint32_t)payload_nbytes;
	head.payload_hash = block_hash(payload, payload_nbytes);
	block_head_encode(&head, copy + at);
	memcpy(copy + at + BLOCK_HEAD_NBYTES, payload, payload_nbytes);
	memcpy(copy + at + BLOCK_HEAD_NBYTES + payload_nbytes, whole + end, whole_nbytes - end);
	set_file(copy, at + BLOCK_HEAD_NBYTES + payload_nbytes + whole_nbytes - end);
	free(copy);
	o = read_tape(salvage);
	return o;
}

/* Whole blocks whose names cannot be: refused with their place, or passed over and counted. */
static void test_false_names(void)
{
	static const struct {
		uint8_t payload[16];
		size_t nbytes;
		uint32_t count;
	} cases[] = {
		{ { 0 }, 0, 1 },			      /* fewer places than the head says */
		{ { 1, 0, 1, 0, 1, 'f', 0, 0, 1, 9 }, 10, 1 }, /* more bytes */
		{ { 0, 0, 1, 0, 1, 'f', 0, 0, 1 }, 9, 1 },    /* module 0 */
		{ { 1, 0, 0 }, 3, 1 },			      /* no names */
		{ { 1, 0, 0x81, 2 }, 4, 1 },		      /* 257 names */
		{ { 1, 0, 1, 1, 1, 1 }, 6, 1 },		      /* a word that was not given */
		{ { 1, 0, 1, 0, 2, 'f', 0, 0, 0, 1 }, 10, 1 }, /* a text with a NUL */
		{ { 1, 0, 1, 0, 99, 'f' }, 6, 1 },	      /* a text beyond the block */
		{ { 1, 0, 1, 0, 1, 'f', 1, 0xff, 0xff, 0xff, 0xff, 0x1f }, 12, 1 }, /* a line above 2^32 */
		{ { 0x80, 0x80, 0x80, 0x80, 4, 0, 1, 0, 1, 'f', 1, 0 }, 12, 1 },    /* a module above 2^30 */
	};
	static const uint8_t good[] = { 1, 8, 2, 0, 10, 'f', 'u', 'n', 'c', 't', 'i', 'o', 'n', ' ', '4',
					0, 6, 'f', 'i', 'l', 'e', '.', 'c', 5, 0, 4, 'm', 'a', 'i', 'n', 0, 0, 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome o = read_with_names(cases[i].payload, cases[i].nbytes, cases[i].count, false);

		CHECK_EQ(o.err, -EBADMSG);
		CHECK(strstr(o.why, "at offset ") && !o.nr_names);
		o = read_with_names(cases[i].payload, cases[i].nbytes, cases[i].count, true);
		CHECK(o.err == 0 && o.nr == EVENTS_NR && o.nr_bad == 1 && !o.nr_names);
	}
	CHECK_EQ(read_with_names(good, sizeof(good), 1, false).nr_names, 1);
	CHECK_EQ(read_with_names(good, sizeof(good), 1, false).err, 0);
}

/* A block of a kind that this version does not know is passed by its length. */
static void test_unknown_kind(void)
{
	size_t offsets[64], lengths[64], at, end;
	unsigned nr = find_blocks(offsets, lengths, 64), i;
	uint8_t *copy = malloc(whole_nbytes);
	struct block_head head;
	struct outcome o;
	const char *why;

	for (i = 0; i < nr && get_u16(whole + offsets[i] + 4) != BLOCK_EVENTS; i++)
		;
	at = offsets[i];
	end = at + lengths[i];
	memcpy(copy, whole, whole_nbytes);
	CHECK_EQ(block_head_decode(copy + at, &head, &why), 0);
	head.kind = 999;
	block_head_encode(&head, copy + at);
	memset(copy + at + BLOCK_HEAD_NBYTES, 0xee, end - at - BLOCK_HEAD_NBYTES);
	set_file(copy, whole_nbytes);
	o = read_tape(false);
	CHECK(o.err == 0 && !o.false_event && o.nr == EVENTS_NR - 12 && o.complete && o.nr_bad == 0);
	free(copy);
}

static void test_no_tape(void)
{
	static const char *const texts[] = { "", "x", "\x89HTAP", "\x89HTAPE\n\x1a", "#!/bin/sh\necho this is no tape\n" };
	char fifo[600];
	struct tape_reader *r;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (int salvage = 0; salvage < 2; salvage++) {
			set_file((const uint8_t *)texts[i], strlen(texts[i]));
			CHECK_EQ(read_tape(salvage).err, -EBADMSG);
		}
	CHECK_EQ(tape_reader_open("/", NULL, &r), -EISDIR);
	CHECK_EQ(tape_reader_open("/dev/zero", NULL, &r), -EINVAL);
	CHECK_EQ(tape_reader_open("/nonexistent", NULL, &r), -ENOENT);
	CHECK(r == NULL);
	snprintf(fifo, sizeof(fifo), "%s", temp_tape());
	CHECK_EQ(mkfifo(fifo, 0600), 0);
	CHECK_EQ(tape_reader_open(fifo, NULL, &r), -EINVAL); /* and does not wait for a writer */
	unlink(fifo);
}

/* Many heads that are whole over payloads that are not, one within the other: salvage must not hash them all. */
static void test_nested_false_heads(void)
{
	size_t nbytes = 8u << 20, nr = 0;
	uint8_t *file = calloc(1, nbytes);
	struct outcome o;
	clock_t start = clock();

	memcpy(file, whole, FILE_HEAD_NBYTES);
	for (size_t at = FILE_HEAD_NBYTES; at + BLOCK_HEAD_NBYTES <= nbytes; at += BLOCK_HEAD_NBYTES) {
		uint32_t left = (uint32_t)(nbytes - at - BLOCK_HEAD_NBYTES);
		struct block_head head = { .kind = BLOCK_META, .seq = nr++, .stored_nbytes = left, .raw_nbytes = left };

		head.stored_nbytes = head.raw_nbytes = left ? left - 1 : 0;
		block_head_encode(&head, file + at);
	}
	set_file(file, nbytes);
	o = read_tape(true);
	CHECK(o.err == 0 && o.nr == 0);
	CHECK((clock() - start) / CLOCKS_PER_SEC < 20);
	free(file);
}

int main(void)
{
	struct rng rng = rng_seeded("test_tape_damage");

	for (int late = 0; late < 2; late++) {
		make_tape(&rng, late);
		test_whole(late);
		test_truncated_at_every_length();
		test_every_flipped_byte();
		test_block_missing_or_doubled(late);
		test_bytes_lost_or_added(&rng);
		test_behind_the_end();
		test_later_version();
		test_false_names();
		test_unknown_kind();
		test_no_tape();
		test_nested_false_heads();
		free_tape();
	}
	return check_done();
}
