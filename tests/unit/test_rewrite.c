/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rewrite.c - a cut tape has the live set of the whole one at the same times; a stripped one has it too, and tells
 * nothing of names, stacks and addresses.
 */
#include <errno.h>
#include <stdbool.h>

#include "check.h"
#include "formats/state.h"
#include "formats/heap.h"
#include "random_tape.h"
#include "rewrite/rewrite.h"

#define EVENTS_NR 20000
#define SECRET "hunter2"

static struct tape_event evs[EVENTS_NR];

static void write_tape(struct rng *rng, const char *path)
{
	struct random_style style = { .nr_addrs = 2000, .nr_threads = 6, .step_ns_max = 2000, .calls_only = true };
	struct tape_allocator glibc = { "glibc", "/lib/" SECRET "/libc.so.6", SECRET }, jemalloc = { "jemalloc", "/" SECRET, "" };
	struct tape_frame frame = { 0 };
	struct tape_writer *w;
	uint32_t id, name;
	uint8_t alloc;

	CHECK_EQ(tape_writer_open(path, NULL, &w), 0);
	CHECK_EQ(tape_writer_meta(w, "target.cmdline", "program --password=" SECRET), 0);
	CHECK_EQ(tape_writer_meta(w, "target.exe", "/bin/" SECRET), 0);
	CHECK_EQ(tape_writer_meta(w, "machine.cpus", "2"), 0);
	CHECK_EQ(tape_writer_meta(w, "machine.kernel", "6.1.0-" SECRET "-amd64"), 0);
	CHECK_EQ(tape_writer_meta(w, "machine.of_a_later_version", SECRET), 0);
	CHECK_EQ(tape_writer_meta(w, "target.env.MALLOC_CONF", "prof_prefix:/" SECRET), 0);
	CHECK_EQ(tape_writer_meta(w, "duration_ns", "99000000000"), 0);
	CHECK_EQ(tape_writer_allocator(w, &glibc, &alloc), 0);
	CHECK_EQ(tape_writer_allocator(w, &jemalloc, &alloc), 0);
	CHECK_EQ(tape_writer_string(w, "thread of " SECRET, &name), 0);
	CHECK_EQ(tape_writer_string(w, "ab /bin/" SECRET, &frame.module), 0);
	for (unsigned i = 0; i < EVENTS_NR; i++) {
		struct tape_event *ev = &evs[i];

		*ev = random_event(rng, &style, i ? evs[i - 1].ns : 0);
		ev->flags = 0;
		ev->alloc = (uint8_t)(i % 2);
		frame.offset = 1 + rng_below(rng, 100);
		CHECK_EQ(tape_writer_stack(w, &frame, 1, false, &id), 0);
		ev->stack = tape_kind_is_alloc(ev->kind) ? id : 0;
		if (i % 1000 == 7)
			*ev = (struct tape_event){ .ns = ev->ns, .kind = TAPE_THREAD_NAME, .tid = ev->tid, .arg = name };
		if (i % 1000 == 8)
			*ev = (struct tape_event){ .ns = ev->ns, .kind = TAPE_MMAP, .tid = ev->tid, .addr = 0x7f1234560000, .size = 4096 };
		if (i % 100 == 9)
			*ev = (struct tape_event){ .ns = ev->ns, .kind = TAPE_GIVE_UP, .tid = ev->tid, .addr = ev->addr };
		ev->ns = ev->ns / 1000 * 1000;
		CHECK_EQ(tape_writer_add(w, ev), 0);
	}
	CHECK_EQ(tape_writer_close(w), 0);
}

static int rewrite(const char *path, const char *out, struct rewrite_opts *opts, struct rewrite_result *res)
{
	struct tape_reader *r;
	int err;

	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	opts->overwrite = true;
	err = rewrite_tape(r, out, opts, res);
	tape_reader_close(r);
	return err;
}

static int count_fact(void *arg, const struct tape_event *ev)
{
	*(uint64_t *)arg += ev->kind == TAPE_MMAP ? ev->addr + ev->size : 1;
	return 0;
}

static uint64_t facts_of(const struct state *s)
{
	uint64_t sum = 0;

	state_each(s, count_fact, &sum);
	return sum;
}

/* Each event from `from` on, and the live set's size after each, as in the whole tape. */
static void check_live_sets(const char *path, uint64_t from_ns, uint64_t to_ns, bool exact)
{
	struct heap *heap = heap_new(), *want = heap_new();
	struct state *state = state_new(4096), *want_state = state_new(4096);
	struct tape_reader *r;
	struct tape_event ev;
	unsigned i = 0, nr = 0;
	int got;

	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	for (; i < EVENTS_NR && evs[i].ns < from_ns; i++) {
		heap_apply(want, &evs[i], NULL);
		state_apply(want_state, &evs[i]);
	}
	while ((got = tape_reader_next(r, &ev)) == 1) {
		heap_apply(heap, &ev, NULL);
		state_apply(state, &ev);
		if (ev.flags & TAPE_KEPT)
			continue;
		if (!nr && exact) {
			state_apply(want_state, &evs[i]);
			CHECK_EQ(facts_of(state), facts_of(want_state));
		}
		if (!exact && evs[i].kind == TAPE_MMAP)
			i++;
		CHECK(ev.ns == evs[i].ns && ev.kind == evs[i].kind && ev.size == evs[i].size && ev.tid == evs[i].tid);
		CHECK(!exact || (ev.addr == evs[i].addr && ev.old == evs[i].old));
		heap_apply(want, &evs[i++], NULL);
		CHECK_EQ(heap_nr_objects(heap), heap_nr_objects(want));
		CHECK_EQ(heap_live_nbytes(heap), heap_live_nbytes(want));
		nr++;
	}
	CHECK_EQ(got, 0);
	CHECK(nr > 0 && (i == EVENTS_NR || evs[i].ns >= to_ns));
	tape_reader_close(r);
	heap_free(heap);
	heap_free(want);
	state_free(state);
	state_free(want_state);
}

static void test_cut(struct rng *rng, const char *path, const char *out)
{
	for (unsigned run = 0; run < 20; run++) {
		uint64_t last = evs[EVENTS_NR - 1].ns, from = rng_below(rng, last) / 1000 * 1000, to = from + 100000 + rng_below(rng, last - from);
		struct rewrite_opts opts = { .from_ns = from, .to_ns = run ? to : UINT64_MAX }, again = { .from_ns = from + 50000, .to_ns = opts.to_ns };
		struct rewrite_result res;
		const struct tape_frame *frames;
		struct tape_reader *r;
		struct tape_event ev;

		CHECK_EQ(rewrite(path, out, &opts, &res), 0);
		check_live_sets(out, from, opts.to_ns, true);
		CHECK_EQ(tape_reader_open(out, NULL, &r), 0);
		CHECK_STR(tape_reader_meta(r, "target.exe"), "/bin/" SECRET);
		while (tape_reader_next(r, &ev) == 1)
			if (ev.stack) {
				CHECK_EQ(tape_reader_stack(r, ev.stack, &frames, NULL), 1);
				CHECK(frames && tape_reader_string(r, frames[0].module));
			}
		tape_reader_close(r);
		if (again.from_ns >= again.to_ns)
			continue;
		char twice[700];
		snprintf(twice, sizeof(twice), "%s.2", out);
		CHECK_EQ(rewrite(out, twice, &again, &res), 0); /* of a cut one */
		check_live_sets(twice, again.from_ns, again.to_ns, true);
		unlink(twice);
	}
	CHECK_EQ(rewrite(path, out, &(struct rewrite_opts){ .from_ns = 5000, .to_ns = 5000 }, &(struct rewrite_result){ 0 }), -ERANGE);
}

/* The decoded file as text, and its facts. */
static void check_tells_nothing(const char *path, bool addresses)
{
	struct tape_reader *r;
	struct tape_event ev;
	const char *key, *value;

	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	for (size_t i = 0; tape_reader_meta_at(r, i, &key, &value); i++)
		CHECK(!strstr(value, SECRET) && strcmp(key, "target.cmdline") != 0);
	CHECK_STR(tape_reader_meta(r, "machine.cpus"), "2");
	CHECK_STR(tape_reader_meta(r, "machine.kernel"), "6.1.0");
	while (tape_reader_next(r, &ev) == 1) {
		CHECK_EQ(ev.stack, 0);
		CHECK(ev.kind != TAPE_THREAD_NAME || !ev.arg);
		CHECK(addresses || (ev.addr < 0x100000 && ev.old < 0x100000));
	}
	for (uint32_t id = 1; id < 300; id++) {
		CHECK(!tape_reader_string(r, id));
		CHECK(!tape_reader_stack(r, id, NULL, NULL));
	}
	for (uint32_t i = 0; i < tape_reader_nr_allocators(r); i++) {
		const struct tape_allocator *a = tape_reader_allocator(r, i);

		CHECK(a && *a->name && !strstr(a->path, SECRET) && !*a->build_id);
	}
	CHECK_EQ(tape_reader_nr_allocators(r), 2);
	tape_reader_close(r);
}

static void test_strip(const char *path, const char *out)
{
	for (int numbers = 0; numbers < 2; numbers++) {
		struct rewrite_opts opts = { .to_ns = UINT64_MAX, .strip = true, .no_addresses = numbers };
		struct rewrite_opts cut = { .from_ns = evs[EVENTS_NR / 2].ns, .to_ns = UINT64_MAX };
		struct rewrite_result res;
		char half[700];

		CHECK_EQ(rewrite(path, out, &opts, &res), 0);
		check_live_sets(out, 0, UINT64_MAX, !numbers);
		check_tells_nothing(out, !numbers);
		snprintf(half, sizeof(half), "%s.half", out);
		CHECK_EQ(rewrite(path, half, &cut, &res), 0);
		CHECK_EQ(rewrite(half, out, &opts, &res), 0); /* of a tape that starts with a keyframe */
		check_live_sets(out, cut.from_ns, UINT64_MAX, !numbers);
		check_tells_nothing(out, !numbers);
		unlink(half);
	}
}

/* A tape with one named place. The string in front of the module's makes its number another one on the new tape. */
static void write_named(const char *path)
{
	const struct tape_name name = { .function = "make_shelf", .file = "shelf.c", .line = 12 };
	struct tape_event ev = { .ns = 1000, .kind = TAPE_MALLOC, .tid = 1, .addr = 4096, .size = 8 };
	struct tape_frame frame = { .offset = 0x1234 };
	struct tape_writer *w;
	uint32_t other;

	CHECK_EQ(tape_writer_open(path, &(struct tape_writer_opts){ .overwrite = true }, &w), 0);
	CHECK_EQ(tape_writer_string(w, "nobody's", &other), 0);
	CHECK_EQ(tape_writer_string(w, "abcd /usr/bin/shelf", &frame.module), 0);
	CHECK_EQ(tape_writer_stack(w, &frame, 1, false, &ev.stack), 0);
	CHECK_EQ(tape_writer_names(w, frame.module, tape_frame_place(&frame, 0), &name, 1), 0);
	CHECK_EQ(tape_writer_add(w, &ev), 0);
	CHECK_EQ(tape_writer_close(w), 0);
}

/* How many of the events' first frames are named. */
static unsigned count_named(const char *path)
{
	const struct tape_frame *frames;
	const struct tape_name *names;
	struct tape_reader *r;
	struct tape_event ev;
	unsigned nr = 0;
	bool cut;

	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(tape_reader_load_names(r), 0);
	while (tape_reader_next(r, &ev) == 1)
		if (ev.stack && tape_reader_stack(r, ev.stack, &frames, &cut) == 1 &&
		    tape_reader_names(r, frames[0].module, tape_frame_place(frames, 0), &names) == 1)
			nr += !strcmp(names[0].function, "make_shelf") && names[0].line == 12;
	tape_reader_close(r);
	return nr;
}

static void test_names(const char *path, const char *out)
{
	struct rewrite_opts opts = { .to_ns = UINT64_MAX, .overwrite = true };
	struct rewrite_result res;

	write_named(path);
	CHECK_EQ(count_named(path), 1);
	CHECK_EQ(rewrite(path, out, &opts, &res), 0);
	CHECK_EQ(count_named(out), 1);
	opts.strip = true;
	CHECK_EQ(rewrite(path, out, &opts, &res), 0);
	CHECK_EQ(count_named(out), 0);
}

int main(void)
{
	struct rng rng = rng_seeded("test_rewrite");
	char path[600], out[600];

	snprintf(path, sizeof(path), "%s", temp_tape());
	snprintf(out, sizeof(out), "%s", temp_tape());
	write_tape(&rng, path);
	test_cut(&rng, path, out);
	test_strip(path, out);
	test_names(path, out);
	unlink(path);
	unlink(out);
	return check_done();
}
