/* SPDX-License-Identifier: BSD-2-Clause */
/* test_naming.c - which names win: those of this machine's files, those on the tape, or none. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "random_tape.h"
#include "symbols/naming.h"
#include "target/maps.h"
#include "target/object.h"

__attribute__((noinline)) int known_function(int n)
{
	__asm__ volatile("" : "+r"(n));
	return n + 7;
}

/* This program's own module, and where known_function is in it. */
static uint64_t own_place(char *module, size_t cap)
{
	uint64_t addr = (uint64_t)(uintptr_t)known_function;
	const struct map_region *region;
	struct object *obj = NULL;
	struct process p;
	struct maps maps;
	uint64_t offset;

	CHECK_EQ(process_open(getpid(), &p), 0);
	CHECK_EQ(maps_read(p.proc_fd, &maps), 0);
	region = maps_find(&maps, addr);
	CHECK_EQ(object_open(&p, region, &obj), 0);
	snprintf(module, cap, "%s %s", object_build_id(obj), object_path(obj));
	offset = addr - region->start + region->offset;
	object_close(obj);
	maps_free(&maps);
	process_close(&p);
	return offset;
}

static const struct tape_name *name_one(struct naming *n, uint32_t module, uint64_t offset)
{
	struct tape_frame frame = { module, offset };
	uint32_t nr;
	const struct tape_name *names = naming_frame(n, &frame, 0, &nr);

	CHECK(names && nr == 1);
	CHECK(names == naming_frame(n, &frame, 0, &nr)); /* looked up once */
	return names;
}

int main(void)
{
	struct tape_name stale = { "stale", "", 0 }, only = { "only on tape", "x.c", 3 }, nameless = { "", "lines.c", 8 };
	struct find find = { .root_fd = -1 };
	const char *path = temp_tape();
	char text[5000];
	uint64_t place = own_place(text, sizeof(text));
	uint32_t own, gone, raw;
	struct naming_counts counts;
	struct tape_writer *w;
	struct tape_reader *r;
	struct tape_event ev = { .kind = TAPE_MALLOC, .addr = 4096, .tid = 1 };
	struct naming *n;

	CHECK_EQ(tape_writer_open(path, NULL, &w), 0);
	CHECK_EQ(tape_writer_string(w, text, &own), 0);
	CHECK_EQ(tape_writer_string(w, "aabbccdd /opt/gone/lib\xff\t.so", &gone), 0);
	CHECK_EQ(tape_writer_string(w, "- //anon", &raw), 0);
	CHECK_EQ(tape_writer_names(w, own, place, &stale, 1), 0);
	CHECK_EQ(tape_writer_names(w, own, UINT64_MAX / 2, &only, 1), 0); /* where the file has nothing */
	CHECK_EQ(tape_writer_names(w, gone, 16, &only, 1), 0);
	CHECK_EQ(tape_writer_names(w, gone, 48, &nameless, 1), 0);
	CHECK_EQ(tape_writer_add(w, &ev), 0);
	CHECK_EQ(tape_writer_close(w), 0);
	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(tape_reader_next(r, &ev), 1);
	n = naming_new(r, &find);
	CHECK_STR(name_one(n, own, place)->function, "known_function");
	CHECK(strstr(name_one(n, own, place)->file, "test_naming.c") != NULL);
	CHECK_STR(name_one(n, own, UINT64_MAX / 2)->function, "only on tape");
	CHECK_STR(name_one(n, gone, 16)->function, "only on tape");
	CHECK_EQ(name_one(n, gone, 16)->line, 3);
	CHECK_STR(name_one(n, gone, 48)->function, "lib\u00ff .so+0x30");
	CHECK_STR(name_one(n, gone, 48)->file, "lines.c");
	CHECK_STR(name_one(n, gone, 32)->function, "lib\u00ff .so+0x20");
	CHECK_STR(name_one(n, raw, 0x7f0012345678)->function, "[anon]+0x7f0012345678");
	CHECK_STR(name_one(n, 999, 64)->function, "?+0x40"); /* a module whose dictionary block is gone */
	CHECK_STR(naming_text(n, "a\xc3\x28\n\xe2\x82\xac"), "a\u00c3( \u20ac");
	naming_counts(n, &counts);
	CHECK_EQ(counts.places, 7);
	CHECK_EQ(counts.named_here, 1);
	CHECK_EQ(counts.named_by_tape, 3);
	CHECK_EQ(counts.unnamed, 3);
	CHECK_EQ(counts.modules_missing, 1);
	naming_free(n);
	tape_reader_close(r);
	unlink(path);
	return check_done();
}
