/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tape.c - what is written is what is read: random sequences, dictionaries, facts, and how writing fails. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "random_tape.h"

static struct tape_writer *open_writer(const char *path, const struct tape_writer_opts *opts)
{
	struct tape_writer *w = NULL;

	CHECK_EQ(tape_writer_open(path, opts, &w), 0);
	if (!w)
		exit(1);
	return w;
}

static struct tape_reader *open_reader(const char *path)
{
	struct tape_reader *r = NULL;

	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	if (!r) {
		fprintf(stderr, "%s\n", tape_reader_error(NULL));
		exit(1);
	}
	return r;
}

/* Reads all of the tape and compares with what was written, times rounded down to the unit. */
static void check_events(const char *path, const struct tape_event *evs, size_t nr, uint64_t unit)
{
	struct tape_reader *r = open_reader(path);
	struct tape_event got;
	size_t i = 0;
	int err;

	while ((err = tape_reader_next(r, &got)) == 1) {
		struct tape_event want = i < nr ? evs[i] : (struct tape_event){ 0 };

		want.ns = want.ns / unit * unit;
		if (i >= nr || !same_event(&got, &want)) {
			fprintf(stderr, "event %zu of %zu differs\n", i, nr);
			print_event("want", &want);
			print_event("got ", &got);
			CHECK(!"events are equal");
			break;
		}
		i++;
	}
	CHECK_EQ(err < 0 ? err : 0, 0);
	if (err < 0)
		fprintf(stderr, "%s\n", tape_reader_error(r));
	CHECK_EQ(i, nr);
	CHECK(tape_reader_complete(r));
	tape_reader_close(r);
}

static void round_trip(struct rng *rng, const struct random_style *style, size_t nr, uint64_t unit,
		       uint32_t block_events)
{
	struct tape_writer_opts opts = { .time_unit_ns = unit, .block_events_max = block_events };
	struct tape_event *evs = calloc(nr, sizeof(*evs));
	const char *path = temp_tape();
	struct tape_writer *w = open_writer(path, &opts);
	uint64_t ns = 0;

	for (size_t i = 0; i < nr; i++) {
		evs[i] = random_event(rng, style, ns);
		ns = evs[i].ns;
		CHECK_EQ(tape_writer_add(w, &evs[i]), 0);
		if (!rng_below(rng, 5000))
			CHECK_EQ(tape_writer_flush(w), 0);
	}
	CHECK_EQ(tape_writer_close(w), 0);
	check_events(path, evs, nr, unit ? unit : 1000);
	unlink(path);
	free(evs);
}

static void test_round_trip(struct rng *rng)
{
	static const struct random_style styles[] = {
		{ .nr_addrs = 50, .nr_threads = 1, .step_ns_max = 3000, .calls_only = true },
		{ .nr_addrs = 5000, .nr_threads = 3, .step_ns_max = 3000, .any_field = true },
		{ .nr_addrs = 0, .nr_threads = 10000, .step_ns_max = 0, .any_field = true },
		{ .nr_addrs = 200000, .nr_threads = 70000, .step_ns_max = 10, .any_field = true },
	};

	for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++) {
		round_trip(rng, &styles[i], 1, 0, 0);
		round_trip(rng, &styles[i], 30000, 1, 777);
		round_trip(rng, &styles[i], 150000, 0, 0);
	}
}

static void test_empty_tape(void)
{
	const char *path = temp_tape();

	CHECK_EQ(tape_writer_close(open_writer(path, NULL)), 0);
	check_events(path, NULL, 0, 1);
	unlink(path);
}

#define DICT_NR 300

struct numbers {
	uint32_t strings[DICT_NR], stacks[DICT_NR];
};

static void write_allocators(struct tape_writer *w)
{
	struct tape_allocator glibc = { "glibc", "/lib/libc.so.6", "abcd" }, mine = { "mine", "/x", "" };
	uint8_t id;

	CHECK_EQ(tape_writer_allocator(w, &glibc, &id), 0);
	CHECK_EQ(id, 0);
	CHECK_EQ(tape_writer_allocator(w, &mine, &id), 0);
	CHECK_EQ(id, 1);
	CHECK_EQ(tape_writer_allocator(w, &glibc, &id), 0);
	CHECK_EQ(id, 0);
}

/* String i and stack i of i % 65 frames, each asked for twice; the last string is longer than strings may be. */
static void write_entries(struct tape_writer *w, uint32_t i, struct numbers *n)
{
	static char longest[70001];
	struct tape_frame frames[64] = { 0 };
	uint32_t again;
	char text[32];

	memset(longest, 'x', sizeof(longest) - 1);
	snprintf(text, sizeof(text), "string %u", i);
	CHECK_EQ(tape_writer_string(w, i == DICT_NR - 1 ? longest : text, &n->strings[i]), 0);
	CHECK_EQ(tape_writer_string(w, i == DICT_NR - 1 ? longest : text, &again), 0);
	CHECK_EQ(again, n->strings[i]);
	for (uint32_t f = 0; f < 64; f++)
		frames[f] = (struct tape_frame){ .module = n->strings[0] + f % 3, .offset = i * 64 + f };
	CHECK_EQ(tape_writer_stack(w, frames, i % 65, i & 1, &n->stacks[i]), 0);
	CHECK_EQ(tape_writer_stack(w, frames, i % 65, i & 1, &again), 0);
	CHECK_EQ(again, n->stacks[i]);
}

static void check_entries(struct tape_reader *r, const struct numbers *n)
{
	const struct tape_frame *frames;
	struct tape_event ev;
	bool truncated;

	CHECK(tape_reader_string(r, n->strings[0]) == NULL); /* not read yet */
	for (uint32_t i = 0; i < DICT_NR; i++) {
		CHECK_EQ(tape_reader_next(r, &ev), 1);
		CHECK_EQ(ev.stack, n->stacks[i]);
		CHECK_EQ(tape_reader_stack(r, ev.stack, &frames, &truncated), i % 65);
		CHECK_EQ(truncated, i & 1);
		CHECK(i % 65 == 0 || (frames[0].offset == i * 64 && frames[0].module == n->strings[0]));
	}
	CHECK_STR(tape_reader_string(r, n->strings[7]), "string 7");
	CHECK_EQ(strlen(tape_reader_string(r, n->strings[DICT_NR - 1])), 65535);
	CHECK(tape_reader_string(r, 0) == NULL);
	CHECK(tape_reader_string(r, UINT32_MAX) == NULL);
	CHECK_EQ(tape_reader_nr_allocators(r), 2);
	CHECK_STR(tape_reader_allocator(r, 0)->build_id, "abcd");
	CHECK(tape_reader_allocator(r, 2) == NULL);
}

static void test_dictionaries(struct rng *rng)
{
	const char *path = temp_tape();
	struct tape_writer *w = open_writer(path, NULL);
	struct tape_event ev = { .kind = TAPE_MALLOC, .addr = 16, .size = 1 };
	struct tape_reader *r;
	struct numbers n;

	write_allocators(w);
	for (uint32_t i = 0; i < DICT_NR; i++) {
		write_entries(w, i, &n);
		ev.stack = n.stacks[i];
		CHECK_EQ(tape_writer_add(w, &ev), 0);
		if (!rng_below(rng, 50))
			CHECK_EQ(tape_writer_flush(w), 0);
	}
	CHECK_EQ(tape_writer_close(w), 0);
	r = open_reader(path);
	check_entries(r, &n);
	tape_reader_close(r);
	unlink(path);
}

static void test_meta(void)
{
	const char *path = temp_tape(), *key, *value;
	struct tape_writer *w = open_writer(path, NULL);
	struct tape_event ev = { .kind = TAPE_MARK };
	struct tape_reader *r;

	CHECK_EQ(tape_writer_meta(w, "target.exe", "/bin/true"), 0);
	CHECK_EQ(tape_writer_meta_u64(w, "target.pid", 42), 0);
	CHECK_EQ(tape_writer_add(w, &ev), 0);
	CHECK_EQ(tape_writer_flush(w), 0);
	CHECK_EQ(tape_writer_meta_u64(w, "target.pid", 43), 0);
	CHECK_EQ(tape_writer_meta_u64(w, "duration_ns", 5), 0);
	CHECK_EQ(tape_writer_close(w), 0);

	r = open_reader(path); /* what was written last is known first */
	CHECK_EQ(tape_reader_meta_u64(r, "duration_ns", 0), 5);
	for (int round = 0; round < 2; round++) {
		while (tape_reader_next(r, &ev) == 1)
			;
		CHECK_EQ(tape_reader_meta_u64(r, "target.pid", 0), 43);
		CHECK_EQ(tape_reader_rewind(r), 0);
	}
	CHECK_EQ(tape_reader_meta_u64(r, "target.exe", 7), 7);
	CHECK_STR(tape_reader_meta(r, "target.exe"), "/bin/true");
	CHECK(tape_reader_meta(r, "nothing") == NULL);
	CHECK(tape_reader_meta_at(r, 0, &key, &value));
	CHECK_STR(key, "target.exe");
	CHECK(tape_reader_meta_at(r, 2, &key, &value) && !tape_reader_meta_at(r, 3, &key, &value));
	tape_reader_close(r);
	unlink(path);
}

/* A recorder that was killed: no close, and the last block is only as old as the last flush. */
static void test_no_end(void)
{
	const char *path = temp_tape();
	struct tape_writer *w = open_writer(path, NULL);
	struct tape_event ev = { .kind = TAPE_FREE, .addr = 16 };
	struct tape_reader *r;
	unsigned nr = 0;

	CHECK_EQ(tape_writer_meta(w, "target.pid", "1"), 0);
	for (unsigned i = 0; i < 1000; i++) {
		ev.ns = i * 1000;
		CHECK_EQ(tape_writer_add(w, &ev), 0);
	}
	CHECK_EQ(tape_writer_flush(w), 0);
	CHECK_EQ(tape_writer_add(w, &ev), 0);

	r = open_reader(path);
	CHECK_STR(tape_reader_meta(r, "target.pid"), "1");
	while (tape_reader_next(r, &ev) == 1)
		nr++;
	CHECK_EQ(nr, 1000);
	CHECK(!tape_reader_complete(r));
	CHECK_EQ(tape_reader_file_bytes(r), tape_writer_bytes(w));
	tape_reader_close(r);
	tape_writer_close(w);
	unlink(path);
}

static void test_open_refusals(void)
{
	struct tape_writer_opts over = { .overwrite = true };
	const char *path = temp_tape();
	struct tape_writer *w = open_writer(path, NULL);
	struct tape_event ev = { .kind = TAPE_MARK, .ns = 10 };
	struct stat st;

	tape_writer_close(w);
	CHECK_EQ(tape_writer_open(path, NULL, &w), -EEXIST);
	CHECK(w == NULL);
	chmod(path, 0644);
	w = open_writer(path, &over);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 0777, 0600);
	CHECK_EQ(tape_writer_add(w, &ev), 0);
	ev.ns = 9;
	CHECK_EQ(tape_writer_add(w, &ev), -EINVAL); /* time goes back */
	ev.ns = 10;
	CHECK_EQ(tape_writer_add(w, &ev), 0);
	CHECK_EQ(tape_writer_close(w), 0);
	unlink(path);
	CHECK_EQ(tape_writer_open("/nonexistent/x.tape", NULL, &w), -ENOENT);
	CHECK_EQ(tape_writer_open("/dev/full", &over, &w), -ENOSPC);
}

/* The disk fills at some point of many: what was written before stays readable, the error stays. */
static void test_disk_full(struct rng *rng)
{
	struct random_style style = { .nr_threads = 5, .step_ns_max = 5000, .any_field = true };
	struct tape_writer_opts opts = { .block_events_max = 500 };
	struct rlimit before, limit;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	for (unsigned run = 0; run < 20; run++) {
		const char *path = temp_tape();
		struct tape_writer *w = open_writer(path, &opts);
		struct tape_event ev = { 0 };
		struct tape_reader *r;
		uint64_t nr_flushed = 0, nr = 0;
		int err = 0;

		limit = (struct rlimit){ .rlim_cur = 200 + rng_below(rng, 200000), .rlim_max = before.rlim_max };
		setrlimit(RLIMIT_FSIZE, &limit);
		for (unsigned i = 1; i <= 20000 && !err; i++) {
			ev = random_event(rng, &style, ev.ns);
			err = tape_writer_add(w, &ev);
			if (!err && i % opts.block_events_max == 0)
				nr_flushed = i;
		}
		CHECK_EQ(err, -EFBIG);
		CHECK_EQ(tape_writer_flush(w), -EFBIG);
		CHECK(strstr(tape_writer_error(w), "File too large") != NULL);
		CHECK_EQ(tape_writer_close(w), -EFBIG);
		setrlimit(RLIMIT_FSIZE, &before);
		r = open_reader(path);
		while ((err = tape_reader_next(r, &ev)) == 1)
			nr++;
		CHECK_EQ(err, 0);
		CHECK_EQ(nr, nr_flushed);
		CHECK(!tape_reader_complete(r));
		tape_reader_close(r);
		unlink(path);
	}
}

int main(void)
{
	struct rng rng = rng_seeded("test_tape");

	test_empty_tape();
	test_round_trip(&rng);
	test_dictionaries(&rng);
	test_meta();
	test_no_end();
	test_open_refusals();
	test_disk_full(&rng);
	return check_done();
}
