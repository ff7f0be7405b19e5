/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_tape_segments.c - any segment decodes alone: from its keyframe on, events, live set and dictionaries are those of
 * the whole tape.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "check.h"
#include "formats/file_parts.h"
#include "formats/keyframe.h"
#include "random_tape.h"

#define SEGMENTS_NR 7
#define STACKS_NR 40

struct truth {
	struct tape_event *evs;
	size_t nr;
	size_t starts[SEGMENTS_NR]; /* first event of each segment */
	uint64_t ns[SEGMENTS_NR];
	uint64_t frame_of[STACKS_NR + 1]; /* stack number -> offset of its only frame */
};

/* ---- live sets ---- */

struct sum {
	uint64_t nr, nbytes, hash;
};

static int add_object(void *arg, const struct heap_object *o)
{
	struct sum *s = arg;
	uint64_t h = o->addr * 3 + o->size * 5 + o->born_ns * 7 + o->tid * 11 + o->stack * 13 + o->alloc * 17 + o->kind;

	s->nr++;
	s->nbytes += o->size;
	s->hash += h * 0x9e3779b97f4a7c15u ^ h >> 7;
	return 0;
}

static struct sum sum_of(const struct heap *h)
{
	struct sum s = { 0 };

	heap_each(h, add_object, &s);
	return s;
}

static void check_same_heap(const struct heap *a, const struct heap *b)
{
	struct sum x = sum_of(a), y = sum_of(b);

	CHECK_EQ(x.nr, y.nr);
	CHECK_EQ(x.nbytes, y.nbytes);
	CHECK(x.hash == y.hash);
	CHECK_EQ(heap_nr_objects(a), heap_nr_objects(b));
	CHECK_EQ(heap_live_nbytes(a), heap_live_nbytes(b));
}

/* ---- writing ---- */

/* Calls as programs make them, blocks given up and at once taken by another among them. */
static struct tape_event random_call(struct rng *rng, uint64_t ns)
{
	struct random_style style = { .nr_addrs = 3000, .nr_threads = 5, .step_ns_max = 900, .calls_only = true };
	struct tape_event ev = random_event(rng, &style, ns);

	ev.stack = (uint32_t)rng_below(rng, STACKS_NR + 1);
	ev.flags = 0;
	ev.alloc = 0;
	if (!rng_below(rng, 30)) {
		ev.kind = TAPE_GIVE_UP;
		ev.size = ev.stack = 0;
	}
	return ev;
}

static void put_keyframe(struct tape_writer *w, const struct heap *heap, uint64_t ns, bool in_parts)
{
	struct keyframe k;

	CHECK_EQ(keyframe_encode(heap, NULL, ns, 1, &k), 0);
	CHECK_EQ(k.nr_objects, heap_nr_objects(heap));
	CHECK_EQ(tape_writer_keyframe(w, k.blocks.data, in_parts ? 0 : k.blocks.nbytes, k.stacks, k.nr_stacks), 0);
	if (in_parts)
		CHECK_EQ(tape_writer_keyframe(w, k.blocks.data, k.blocks.nbytes, NULL, 0), 0);
	keyframe_free(&k);
}

static void write_stacks(struct tape_writer *w, struct truth *t)
{
	struct tape_allocator glibc = { "glibc", "/lib/libc.so.6", "abcd" };
	struct tape_frame frame = { 0 };
	uint8_t alloc;
	uint32_t id;

	CHECK_EQ(tape_writer_meta(w, "target.pid", "42"), 0);
	CHECK_EQ(tape_writer_allocator(w, &glibc, &alloc), 0);
	CHECK_EQ(tape_writer_string(w, "abcd /bin/program", &frame.module), 0);
	for (unsigned i = 1; i <= STACKS_NR; i++) {
		frame.offset = i * 1000;
		CHECK_EQ(tape_writer_stack(w, &frame, 1, false, &id), 0);
		CHECK_EQ(id, i);
		t->frame_of[i] = frame.offset;
	}
}

/* folder: each segment is a file of its own. A keyframe stands some events behind its segment's start. */
static void write_tape(struct rng *rng, const char *path, bool folder, struct truth *t)
{
	struct tape_writer_opts opts = { .time_unit_ns = 1, .block_events_max = 500 };
	struct heap *heap = heap_new(), *at_start = heap_new();
	struct tape_writer *w;
	char file[600];
	uint64_t ns = 0;

	t->nr = SEGMENTS_NR * 4000;
	t->evs = calloc(t->nr, sizeof(*t->evs));
	snprintf(file, sizeof(file), folder ? "%s/" FILE_PART_NAME : "%s", path, 0);
	CHECK_EQ(tape_writer_open(file, &opts, &w), 0);
	write_stacks(w, t);
	for (size_t i = 0; i < t->nr; i++) {
		unsigned segment = (unsigned)(i / 4000);

		t->evs[i] = random_call(rng, ns);
		if (i % 4000 == 0 && segment) {
			snprintf(file, sizeof(file), "%s/" FILE_PART_NAME, path, segment);
			CHECK_EQ(tape_writer_segment(w, ns, folder ? file : NULL), 0);
			t->starts[segment] = i;
			t->ns[segment] = ns;
		}
		if (i % 4000 == 0 || i % 4000 == 1000) { /* the heap as it was at the start, encoded later */
			struct heap *copy = heap_new();

			for (size_t j = 0; i % 4000 == 0 && j < i; j++)
				heap_apply(copy, &t->evs[j], NULL);
			if (i % 4000 == 1000 && segment)
				put_keyframe(w, at_start, t->ns[segment], segment & 1);
			heap_free(at_start);
			at_start = copy;
		}
		ns = t->evs[i].ns;
		CHECK_EQ(heap_apply(heap, &t->evs[i], NULL), 0);
		CHECK_EQ(tape_writer_add(w, &t->evs[i]), 0);
	}
	CHECK_EQ(tape_writer_close(w), 0);
	heap_free(heap);
	heap_free(at_start);
}

/* ---- reading ---- */

static void check_names(const struct tape_reader *r, const struct truth *t, const struct tape_event *ev)
{
	const struct tape_frame *frames;

	CHECK(tape_reader_allocator(r, 0) != NULL);
	if (!ev->stack)
		return;
	CHECK_EQ(tape_reader_stack(r, ev->stack, &frames, NULL), 1);
	CHECK(frames && frames[0].offset == t->frame_of[ev->stack]);
	CHECK_STR(frames ? tape_reader_string(r, frames[0].module) : NULL, "abcd /bin/program");
}

/* What the reader gives from where it stands must be the tape from event `from` on. */
static void check_from(struct tape_reader *r, const struct truth *t, size_t from)
{
	struct heap *heap = heap_new(), *want = heap_new();
	struct tape_event ev;
	size_t at = from;
	int got;

	for (size_t i = 0; i < from; i++)
		heap_apply(want, &t->evs[i], NULL);
	while ((got = tape_reader_next(r, &ev)) == 1 && ev.flags & TAPE_KEPT) {
		check_names(r, t, &ev);
		CHECK_EQ(heap_apply(heap, &ev, NULL), 0);
	}
	check_same_heap(heap, want);
	for (; got == 1 && at < t->nr; got = tape_reader_next(r, &ev), at++) {
		if (!same_event(&ev, &t->evs[at])) {
			print_event("want", &t->evs[at]);
			print_event("got ", &ev);
			CHECK(!"events are equal");
			break;
		}
		check_names(r, t, &ev);
		heap_apply(heap, &ev, NULL);
		heap_apply(want, &ev, NULL);
	}
	CHECK_EQ(got, 0);
	CHECK_EQ(at, t->nr);
	check_same_heap(heap, want);
	CHECK(tape_reader_complete(r));
	heap_free(heap);
	heap_free(want);
}

static struct tape_reader *open_reader(const char *path)
{
	struct tape_reader *r;

	if (tape_reader_open(path, NULL, &r)) {
		fprintf(stderr, "%s\n", tape_reader_error(NULL));
		exit(1);
	}
	CHECK_STR(tape_reader_meta(r, "target.pid"), "42");
	return r;
}

static void check_seeks(const char *path, const struct truth *t)
{
	struct tape_reader *r = open_reader(path);
	bool keyframe;

	check_from(r, t, 0);
	CHECK_EQ(tape_reader_nr_segments(r), SEGMENTS_NR - 1);
	CHECK_EQ(tape_reader_nr_keyframes(r), SEGMENTS_NR - 1);
	for (unsigned i = SEGMENTS_NR - 1; i > 0; i--) {
		CHECK_EQ(tape_reader_seek(r, t->ns[i]), 0);
		CHECK_EQ(tape_reader_start_ns(r, &keyframe), t->ns[i]);
		CHECK(keyframe);
		check_from(r, t, t->starts[i]);
		CHECK_EQ(tape_reader_rewind(r), 0);
		check_from(r, t, t->starts[i]);
	}
	CHECK_EQ(tape_reader_seek(r, t->ns[1] - 1), 0);
	CHECK_EQ(tape_reader_start_ns(r, &keyframe), 0);
	CHECK(!keyframe);
	check_from(r, t, 0);
	tape_reader_close(r);
}

static void test_one_file(struct rng *rng)
{
	const char *path = temp_tape();
	struct truth t;

	write_tape(rng, path, false, &t);
	check_seeks(path, &t);
	unlink(path);
	free(t.evs);
}

/* A folder of segments, of which the oldest go one by one. */
static void test_folder(struct rng *rng)
{
	const char *path = temp_tape();
	char file[600];
	struct truth t;

	CHECK_EQ(mkdir(path, 0700), 0);
	write_tape(rng, path, true, &t);
	check_seeks(path, &t);
	for (unsigned i = 1; i < SEGMENTS_NR; i++) {
		struct tape_reader *r;

		snprintf(file, sizeof(file), "%s/" FILE_PART_NAME, path, i - 1);
		CHECK_EQ(unlink(file), 0);
		r = open_reader(path);
		CHECK_EQ(tape_reader_start_ns(r, NULL), t.ns[i]);
		check_from(r, &t, t.starts[i]);
		tape_reader_close(r);
	}
	snprintf(file, sizeof(file), "%s/" FILE_PART_NAME, path, SEGMENTS_NR - 1);
	{
		struct tape_reader *r = open_reader(file); /* a segment's file is a tape too */

		check_from(r, &t, t.starts[SEGMENTS_NR - 1]);
		tape_reader_close(r);
	}
	unlink(file);
	CHECK_EQ(rmdir(path), 0);
	free(t.evs);
}

int main(void)
{
	struct rng rng = rng_seeded("test_tape_segments");

	for (unsigned run = 0; run < 3; run++) {
		test_one_file(&rng);
		test_folder(&rng);
	}
	return check_done();
}
