/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_tape.c - libFuzzer target: any bytes as a tape, read with and without salvage.
 *
 *   fuzz_tape -max_total_time=60 CORPUS_DIR tests/fuzz/seeds
 *
 * The first byte chooses how far in: a file as it is, a file with its checksums made right (so that what lies behind
 * them is reached too), or the payload of one kind of block.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "formats/block.h"
#include "formats/dict.h"
#include "formats/events.h"
#include "formats/heap.h"
#include "formats/meta.h"
#include "formats/names.h"
#include "formats/state.h"
#include "formats/tape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

/* A mutated file whose checksums hold, as one made to harm would have. */
static void mend(uint8_t *file, size_t nbytes)
{
	uint64_t seq = 0;

	if (nbytes < FILE_HEAD_NBYTES)
		return;
	file_head_encode(&(struct file_head){ .version = TAPE_VERSION }, file);
	for (size_t at = FILE_HEAD_NBYTES; at + BLOCK_HEAD_NBYTES <= nbytes;) {
		size_t left = nbytes - at - BLOCK_HEAD_NBYTES, stored = get_u32(file + at + 8) & 0xffff;

		if (stored > left)
			stored = left;
		put_u32(file + at, BLOCK_SYNC);
		put_u32(file + at + 8, (uint32_t)stored);
		if (!(file[at + 6] & BLOCK_ZSTD))
			put_u32(file + at + 12, (uint32_t)stored);
		put_u64(file + at + 16, seq++);
		put_u64(file + at + 48, block_hash(file + at + BLOCK_HEAD_NBYTES, stored));
		put_u64(file + at + 56, block_hash(file + at, 56));
		at += BLOCK_HEAD_NBYTES + stored;
	}
}

static void use_event(const struct tape_reader *r, const struct tape_event *ev)
{
	const struct tape_frame *frames;
	const char *s = tape_reader_string(r, (uint32_t)ev->arg);
	bool truncated;
	volatile uint64_t sink = s ? (unsigned char)s[0] : 0;
	uint32_t nr = tape_reader_stack(r, ev->stack, &frames, &truncated);

	if (nr)
		sink += frames[nr - 1].offset;
	for (uint32_t i = 0; i < nr; i++) {
		const struct tape_name *names;
		uint32_t nr_names = tape_reader_names(r, frames[i].module, tape_frame_place(frames, i), &names);

		for (uint32_t k = 0; k < nr_names; k++)
			sink += strlen(names[k].function) + strlen(names[k].file) + names[k].line;
	}
	tape_reader_allocator(r, ev->alloc);
}

/* What a state tells can be put into a STATE block. */
static int look_at(void *arg, const struct tape_event *ev)
{
	(void)arg;
	if (!state_may_hold(ev))
		abort();
	return 0;
}

static void read_all(const char *path, bool salvage, bool seek, size_t nbytes)
{
	struct tape_reader_opts opts = { .salvage = salvage };
	struct tape_reader *r;
	struct tape_event ev;
	struct heap *heap;
	struct state *state;
	uint64_t last_ns = 0;
	int got;

	if (tape_reader_open(path, &opts, &r)) {
		if (!*tape_reader_error(NULL))
			abort();
		return;
	}
	if (!salvage || nbytes % 2)
		tape_reader_load_names(r);
	if (seek && tape_reader_seek(r, UINT64_MAX))
		abort();
	heap = heap_new();
	state = state_new(4096);
	while ((got = tape_reader_next(r, &ev)) == 1) {
		if (ev.flags & TAPE_KEPT) {
			heap_apply(heap, &ev, NULL);
			state_apply(state, &ev);
			continue; /* objects from before, in no order of time */
		}
		if (ev.ns < last_ns)
			abort(); /* the promise of every reader */
		last_ns = ev.ns;
		use_event(r, &ev);
		heap_apply(heap, &ev, NULL);
		state_apply(state, &ev);
	}
	state_each(state, look_at, &last_ns);
	if (got < 0 && !*tape_reader_error(r))
		abort();
	heap_free(heap);
	state_free(state);
	tape_reader_close(r);
}

static void read_as_file(const uint8_t *data, size_t nbytes)
{
	static int fd = -1;
	static char path[64];

	if (fd < 0) {
		fd = memfd_create("tape", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) || pwrite(fd, data, nbytes, 0) != (ssize_t)nbytes)
		abort();
	for (int way = 0; way < 4; way++)
		read_all(path, way & 1, way & 2, nbytes);
}

/* The count and last time, which the block's head gives, are the first two bytes'. */
static void read_as_events(struct cursor c)
{
	struct events_decoder *d = events_decoder_new();
	size_t nr = (size_t)cursor_u8(&c) * 4 + 1;
	struct tape_event *evs = malloc(nr * sizeof(*evs));
	uint64_t last_ns = cursor_u8(&c);
	const char *why = NULL;

	if (events_decode(d, c, 0, last_ns, nr, evs, &why) && !why)
		abort();
	if (events_decode_keyframe(d, c, last_ns, nr, evs, &why) && !why)
		abort();
	if (events_decode_state(d, c, last_ns, nr, evs, &why) && !why)
		abort();
	free(evs);
	events_decoder_free(d);
}

static void read_as_dict(struct cursor c)
{
	struct dict_reader *d = dict_reader_new();
	const char *why = NULL;

	if (dict_reader_add(d, c, &why) && !why)
		abort();
	dict_reader_free(d);
}

static void read_as_meta(struct cursor c)
{
	struct meta m = { 0 };
	uint32_t nr = cursor_u8(&c);
	const char *why = NULL;

	if (meta_add(&m, c, nr, &why) && !why)
		abort();
	meta_free(&m);
}

static void read_as_names(struct cursor c)
{
	struct names_reader *n = names_reader_new();
	const struct tape_name *names;
	uint32_t nr = cursor_u8(&c);
	const char *why = NULL;

	if (names_reader_add(n, c, nr, &why) && !why)
		abort();
	for (uint32_t module = 0; module < 4; module++)
		for (uint64_t place = 0; place < 64; place++)
			for (uint32_t k = names_reader_find(n, module, place, &names); k; k--)
				if (!names[k - 1].function || !names[k - 1].file)
					abort();
	names_reader_free(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
	uint8_t *copy;
	struct cursor c;

	if (nbytes < 1)
		return 0;
	copy = malloc(nbytes > 1 ? nbytes - 1 : 1); /* of exact length: the sanitizer sees every byte too far */
	memcpy(copy, data + 1, nbytes - 1);
	c = cursor_of(copy, nbytes - 1);
	if (data[0] == 1)
		mend(copy, nbytes - 1);
	if (data[0] == 2)
		read_as_events(c);
	else if (data[0] == 3)
		read_as_dict(c);
	else if (data[0] == 4)
		read_as_meta(c);
	else if (data[0] == 5)
		read_as_names(c);
	else
		read_as_file(copy, nbytes - 1);
	free(copy);
	return 0;
}
