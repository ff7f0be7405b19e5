/* SPDX-License-Identifier: BSD-2-Clause */
#include "formats/process_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "formats/tape.h"

static void test_names(void)
{
	CHECK(process_tape_is_name("1.tape"));
	CHECK(process_tape_is_name("4711-12.tape"));
	CHECK(!process_tape_is_name("x.tape"));
	CHECK(!process_tape_is_name("4711.tape.plan"));
	CHECK(!process_tape_is_name("04711.tape"));
	CHECK(!process_tape_is_name("4711-.tape"));
	CHECK(!process_tape_is_name("0000000001.seg"));
}

static struct process_folder folder_of(const char *const (*rows)[3], size_t nr)
{
	struct process_folder f = { .tapes = calloc(nr, sizeof(*f.tapes)), .nr = nr };

	for (size_t i = 0; i < nr; i++) {
		snprintf(f.tapes[i].file, sizeof(f.tapes[i].file), "%s", rows[i][0]);
		snprintf(f.tapes[i].parent_file, sizeof(f.tapes[i].parent_file), "%s", rows[i][1]);
		snprintf(f.tapes[i].start, sizeof(f.tapes[i].start), "fork");
		f.tapes[i].start_ns = strtoull(rows[i][2], NULL, 10);
	}
	return f;
}

static void check_order(const char *const (*rows)[3], size_t nr, const char *want)
{
	struct process_folder f = folder_of(rows, nr);
	char got[256] = "";

	CHECK(process_folder_sort(&f) == 0);
	for (size_t i = 0; i < f.nr; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%u%s ", f.tapes[i].depth, f.tapes[i].file);
	CHECK_STR(got, want);
	process_folder_free(&f);
}

static void test_tree(void)
{
	static const char *const family[][3] = { { "7", "3", "50" }, { "9", "1", "40" }, { "1", "", "0" }, { "3", "1", "10" },
						 { "8", "3", "20" } };
	static const char *const orphan[][3] = { { "5", "gone", "9" }, { "1", "", "0" }, { "6", "5", "10" } };
	static const char *const ring[][3] = { { "1", "2", "0" }, { "2", "1", "1" } };

	check_order(family, 5, "01 13 28 27 19 ");
	check_order(orphan, 3, "01 05 16 ");
	check_order(ring, 2, "01 12 ");
	check_order(NULL, 0, "");
}

static void write_tape(const char *folder, const char *file, const char *parent_file)
{
	struct tape_writer *w;
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	CHECK(tape_writer_open(path, NULL, &w) == 0);
	CHECK(tape_writer_meta(w, "process.start", *parent_file ? "fork" : "attach") == 0);
	if (*parent_file)
		CHECK(tape_writer_meta(w, "process.parent_file", parent_file) == 0);
	CHECK(tape_writer_meta(w, "name", file) == 0);
	CHECK(tape_writer_close(w) == 0);
}

static void test_first_is_read(void)
{
	char folder[] = "/tmp/heaptape-folder-XXXXXX", path[256];
	struct process_folder f;
	struct tape_reader *r;

	CHECK(mkdtemp(folder) != NULL);
	CHECK(process_folder_read(folder, &f) == -ENOENT);
	CHECK(tape_reader_open(folder, NULL, &r) == -EISDIR);
	write_tape(folder, "10.tape", "20.tape");
	write_tape(folder, "20.tape", "");
	CHECK(process_folder_read(folder, &f) == 0);
	CHECK(f.nr == 2);
	process_folder_free(&f);
	CHECK(tape_reader_open(folder, NULL, &r) == 0);
	CHECK_STR(tape_reader_meta(r, "name"), "20.tape");
	tape_reader_close(r);
	snprintf(path, sizeof(path), "%s/10.tape", folder);
	CHECK(process_folder_read(path, &f) == -ENOTDIR);
	unlink(path);
	snprintf(path, sizeof(path), "%s/20.tape", folder);
	unlink(path);
	rmdir(folder);
}

/* A copy of a writer's process goes on with a tape of its own, and each tape has its own events. */
static void test_branch(void)
{
	char folder[] = "/tmp/heaptape-branch-XXXXXX", one[64], two[64];
	struct tape_event ev = { .kind = TAPE_MALLOC, .ns = 5000, .addr = 0x1000, .size = 24 };
	struct tape_writer_opts opts = { 0 };
	struct tape_writer *w;
	struct tape_reader *r;
	uint32_t name;

	CHECK(mkdtemp(folder) != NULL);
	snprintf(one, sizeof(one), "%s/1.tape", folder);
	snprintf(two, sizeof(two), "%s/2.tape", folder);
	CHECK(tape_writer_open(one, NULL, &w) == 0);
	CHECK(tape_writer_meta(w, "whose", "one") == 0);
	CHECK(tape_writer_string(w, "main", &name) == 0);
	CHECK(tape_writer_add(w, &ev) == 0);
	CHECK(tape_writer_flush(w) == 0);
	ev.addr = 0x2000; /* not written yet: it is the first tape's alone */
	CHECK(tape_writer_add(w, &ev) == 0);
	CHECK(tape_writer_branch(w, one, &opts) == -EEXIST);
	CHECK(tape_writer_branch(w, two, &opts) == 0);
	CHECK(tape_writer_meta(w, "whose", "two") == 0);
	CHECK(tape_writer_segment(w, 7000, NULL) == 0);
	ev = (struct tape_event){ .kind = TAPE_THREAD_START, .ns = 8000, .arg = name, .alloc = TAPE_NO_ALLOC };
	CHECK(tape_writer_add(w, &ev) == 0);
	CHECK(tape_writer_close(w) == 0);
	CHECK(tape_reader_open(two, NULL, &r) == 0);
	CHECK_STR(tape_reader_meta(r, "whose"), "two");
	CHECK(tape_reader_next(r, &ev) == 1);
	CHECK(ev.kind == TAPE_THREAD_START && ev.ns == 8000);
	CHECK_STR(tape_reader_string(r, (uint32_t)ev.arg), "main");
	CHECK(tape_reader_next(r, &ev) == 0);
	tape_reader_close(r);
	unlink(one);
	unlink(two);
	rmdir(folder);
}

int main(void)
{
	test_names();
	test_tree();
	test_first_is_read();
	test_branch();
	return check_done();
}
