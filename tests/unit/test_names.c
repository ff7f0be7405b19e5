/* SPDX-License-Identifier: BSD-2-Clause */
/* test_names.c - names on a tape: what is written is read, wherever it stands, however many. */
#include <errno.h>

#include "check.h"
#include "random_tape.h"

static struct tape_writer *open_tape(const char *path, uint32_t *module_ret)
{
	struct tape_writer *w = NULL;

	CHECK_EQ(tape_writer_open(path, NULL, &w), 0);
	CHECK_EQ(tape_writer_string(w, "00ff /usr/bin/program", module_ret), 0);
	return w;
}

static struct tape_reader *close_and_read(struct tape_writer *w, const char *path)
{
	struct tape_reader *r = NULL;

	CHECK_EQ(tape_writer_close(w), 0);
	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(tape_reader_load_names(r), 0);
	return r;
}

static void test_before_and_behind_events(void)
{
	struct tape_name early = { "early", "a.c", 1 }, late[2] = { { "inner", "b.h", 2 }, { "late", "b.c", 3 } };
	struct tape_event ev = { .kind = TAPE_MALLOC, .addr = 4096, .size = 8, .tid = 1 };
	const char *path = temp_tape();
	const struct tape_name *names;
	struct tape_reader *r;
	uint32_t module;
	struct tape_writer *w = open_tape(path, &module);

	CHECK_EQ(tape_writer_names(w, module, 0x1000, &early, 1), 0);
	CHECK_EQ(tape_writer_names(w, module, 0x2000, &early, 1), 0);
	CHECK_EQ(tape_writer_names(w, module, 0x3000, &early, 0), 0); /* none are none */
	CHECK_EQ(tape_writer_names(w, 0, 0x3000, &early, 1), -EINVAL);
	CHECK_EQ(tape_writer_add(w, &ev), 0);
	CHECK_EQ(tape_writer_flush(w), 0);
	CHECK_EQ(tape_writer_names(w, module, 0x2000, late, 2), 0);
	r = close_and_read(w, path);
	CHECK_EQ(tape_reader_names(r, module, 0x1000, &names), 1);
	CHECK_STR(names[0].function, "early");
	CHECK_STR(names[0].file, "a.c");
	CHECK_EQ(names[0].line, 1);
	CHECK_EQ(tape_reader_names(r, module, 0x2000, &names), 2); /* the later ones */
	CHECK_STR(names[0].function, "inner");
	CHECK_STR(names[1].function, "late");
	CHECK_EQ(tape_reader_names(r, module, 0x3000, &names), 0);
	CHECK(names == NULL);
	CHECK_EQ(tape_reader_names(r, module + 1, 0x1000, &names), 0);
	CHECK_EQ(tape_reader_names(r, 0, 0, &names), 0);
	CHECK_EQ(tape_reader_nr_names(r), 2);
	CHECK_EQ(tape_reader_next(r, &ev), 1);
	CHECK_EQ(tape_reader_next(r, &ev), 0);
	CHECK_EQ(tape_reader_rewind(r), 0);
	CHECK_EQ(tape_reader_names(r, module, 0x1000, &names), 1);
	CHECK_EQ(tape_reader_nr_names(r), 2);
	tape_reader_close(r);
	unlink(path);
}

/* Whoever does not ask for names reads the tape as before. */
static void test_not_asked_for(void)
{
	struct tape_name name = { "f", "", 0 };
	const char *path = temp_tape();
	const struct tape_name *names;
	struct tape_reader *r;
	struct tape_event ev;
	uint32_t module;
	struct tape_writer *w = open_tape(path, &module);

	CHECK_EQ(tape_writer_names(w, module, 1, &name, 1), 0);
	CHECK_EQ(tape_writer_close(w), 0);
	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(tape_reader_names(r, module, 1, &names), 0);
	CHECK_EQ(tape_reader_next(r, &ev), 0);
	CHECK(tape_reader_complete(r));
	tape_reader_close(r);
	unlink(path);
}

static void test_long_and_deep(void)
{
	static struct tape_name deep[300];
	const char *path = temp_tape();
	const struct tape_name *names;
	char *text = malloc(100001);
	struct tape_reader *r;
	uint32_t module;
	struct tape_writer *w = open_tape(path, &module);

	memset(text, 'x', 100000);
	text[100000] = 0;
	for (unsigned i = 0; i < 300; i++)
		deep[i] = (struct tape_name){ i == 299 ? "outermost" : "inlined", text, i };
	CHECK_EQ(tape_writer_names(w, module, UINT64_MAX, deep, 300), 0);
	CHECK_EQ(tape_writer_names(w, module, 0, deep + 299, 1), 0);
	r = close_and_read(w, path);
	CHECK_EQ(tape_reader_names(r, module, UINT64_MAX, &names), 256);
	CHECK_STR(names[255].function, "outermost");
	CHECK_EQ(strlen(names[0].file), 4095);
	CHECK_EQ(tape_reader_names(r, module, 0, &names), 1);
	tape_reader_close(r);
	unlink(path);
	free(text);
}

static void test_many(struct rng *rng)
{
	enum { NR = 200000 };
	const char *path = temp_tape();
	const struct tape_name *names;
	struct tape_reader *r;
	uint32_t modules[3];
	struct tape_writer *w = open_tape(path, &modules[0]);
	char function[64], file[64];
	struct tape_event ev;
	unsigned wrong = 0;
	uint64_t seed = rng_u64(rng);

	CHECK_EQ(tape_writer_string(w, "- //anon", &modules[1]), 0);
	CHECK_EQ(tape_writer_string(w, "11 /lib/libc.so.6", &modules[2]), 0);
	for (uint64_t i = 0; i < NR; i++) {
		struct tape_name name = { function, file, (uint32_t)i };

		snprintf(function, sizeof(function), "function_%" PRIu64, i / 3);
		snprintf(file, sizeof(file), "/src/%" PRIu64 ".c", i % 100);
		CHECK_EQ(tape_writer_names(w, modules[i % 3], i * 0x9e3779b97f4a7c15u ^ seed, &name, 1), 0);
	}
	r = close_and_read(w, path);
	CHECK_EQ(tape_reader_nr_names(r), NR);
	for (uint64_t i = 0; i < NR; i++) {
		uint32_t nr = tape_reader_names(r, modules[i % 3], i * 0x9e3779b97f4a7c15u ^ seed, &names);

		snprintf(function, sizeof(function), "function_%" PRIu64, i / 3);
		snprintf(file, sizeof(file), "/src/%" PRIu64 ".c", i % 100);
		wrong += nr != 1 || strcmp(names[0].function, function) || strcmp(names[0].file, file) || names[0].line != i;
	}
	CHECK_EQ(wrong, 0);
	CHECK_EQ(tape_reader_next(r, &ev), 0);
	CHECK(tape_reader_nr_blocks(r) > 3); /* not one for each place, nor one for all */
	CHECK(tape_reader_nr_blocks(r) < 50);
	tape_reader_close(r);
	unlink(path);
}

struct frames {
	unsigned nr;
	char text[400];
};

static int note_frame(void *arg, uint32_t module, const char *module_name, uint64_t place)
{
	struct frames *f = arg;
	size_t used = strlen(f->text);

	f->nr++;
	snprintf(f->text + used, sizeof(f->text) - used, "%u %s %" PRIu64 "\n", module, module_name, place);
	return f->nr == 4;
}

static void test_frames_of_a_writer(void)
{
	const char *path = temp_tape();
	struct tape_frame frames[3] = { { 0, 100 }, { 0, 200 }, { 7, 300 } };
	struct frames seen = { 0 };
	uint32_t module, stack;
	struct tape_writer *w = open_tape(path, &module);

	frames[0].module = frames[1].module = module;
	CHECK_EQ(tape_writer_stack(w, frames, 3, false, &stack), 0); /* module 7 is no string: left out */
	CHECK_EQ(tape_writer_each_frame(w, note_frame, &seen), 0);
	CHECK_EQ(tape_writer_stack(w, frames + 1, 1, true, &stack), 0);
	frames[1].offset = 0;
	CHECK_EQ(tape_writer_stack(w, frames, 2, false, &stack), 0);
	seen = (struct frames){ 0 };
	CHECK_EQ(tape_writer_each_frame(w, note_frame, &seen), 1);
	CHECK_STR(seen.text, "1 00ff /usr/bin/program 100\n1 00ff /usr/bin/program 199\n1 00ff /usr/bin/program 200\n"
			     "1 00ff /usr/bin/program 100\n");
	CHECK_EQ(tape_writer_close(w), 0);
	unlink(path);
}

int main(void)
{
	struct rng rng = rng_seeded("test_names");

	test_before_and_behind_events();
	test_not_asked_for();
	test_long_and_deep();
	test_many(&rng);
	test_frames_of_a_writer();
	return check_done();
}
