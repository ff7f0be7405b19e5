/* SPDX-License-Identifier: BSD-2-Clause */
/* test_embed.c - this very process as a target: its functions, and a list of made code as a JIT keeps it, by name on a tape. */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "random_tape.h"
#include "record/embed.h"
#include "target/maps.h"
#include "target/object.h"

#define JIT_ADDR 0x7fff12340000ull

__attribute__((noinline)) int known_function(int n)
{
	__asm__ volatile("" : "+r"(n));
	return n + 7;
}

static void write_perf_map(const char *path, pid_t pid)
{
	FILE *f = fopen(path, "w");

	CHECK(f != NULL);
	fprintf(f, "%llx 100 made by %d\n", JIT_ADDR, (int)pid);
	fclose(f);
}

/* A stack of known_function called by made code, its frames as a recorder would give them. */
static void put_stack(struct tape_writer *w, const struct process *p, uint32_t modules[2])
{
	const struct map_region *region;
	struct tape_frame frames[2];
	struct object *obj = NULL;
	struct maps maps;
	char text[5000];
	uint32_t stack;

	CHECK_EQ(maps_read(p->proc_fd, &maps), 0);
	region = maps_find(&maps, (uint64_t)(uintptr_t)known_function);
	CHECK_EQ(object_open(p, region, &obj), 0);
	snprintf(text, sizeof(text), "%s %s", object_build_id(obj), object_path(obj));
	CHECK_EQ(tape_writer_string(w, text, &modules[0]), 0);
	CHECK_EQ(tape_writer_string(w, "- //anon", &modules[1]), 0);
	frames[0] = (struct tape_frame){ modules[0],
					 (uint64_t)(uintptr_t)known_function - region->start + region->offset };
	frames[1] = (struct tape_frame){ modules[1], JIT_ADDR + 0x21 };
	CHECK_EQ(tape_writer_stack(w, frames, 2, false, &stack), 0);
	CHECK_EQ(tape_writer_stack(w, frames, 1, false, &stack), 0);
	object_close(obj);
	maps_free(&maps);
}

static void check_names(const struct tape_reader *r, const uint32_t modules[2], bool files, bool made)
{
	const struct tape_name *names;
	const struct tape_frame *frames;
	struct tape_event ev;
	char want[64];

	CHECK_EQ(tape_reader_next((struct tape_reader *)(uintptr_t)r, &ev), 1);
	CHECK_EQ(tape_reader_stack(r, 1, &frames, NULL), 2);
	CHECK_EQ(tape_reader_names(r, modules[0], tape_frame_place(frames, 0), &names), files);
	if (files && names) {
		CHECK_STR(names[0].function, "known_function");
		CHECK(strstr(names[0].file, "test_embed.c") && names[0].line);
	}
	CHECK_EQ(tape_reader_names(r, modules[1], tape_frame_place(frames, 1), &names), made);
	if (made && names) {
		snprintf(want, sizeof(want), "made by %d", (int)getpid());
		CHECK_STR(names[0].function, want);
	}
	CHECK_EQ(tape_reader_nr_names(r), files + made);
}

static void run(bool all, bool made)
{
	struct tape_event ev = { .kind = TAPE_MALLOC, .addr = 4096, .size = 1, .stack = 1 };
	const char *path = temp_tape();
	struct tape_writer *w = NULL;
	struct tape_reader *r = NULL;
	uint32_t modules[2];
	struct embed *e;
	struct process p;
	uint64_t nr;

	CHECK_EQ(process_open(getpid(), &p), 0);
	CHECK_EQ(tape_writer_open(path, NULL, &w), 0);
	e = embed_new(&p, all);
	CHECK(e != NULL);
	put_stack(w, &p, modules);
	process_close(&p); /* as if it had ended */
	CHECK_EQ(tape_writer_add(w, &ev), 0);
	CHECK_EQ(embed_write(e, w, &nr), 0);
	CHECK_EQ(nr, all + made);
	embed_free(e);
	CHECK_EQ(tape_writer_close(w), 0);
	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(tape_reader_load_names(r), 0);
	check_names(r, modules, all, made);
	tape_reader_close(r);
	unlink(path);
}

int main(void)
{
	char map[64], elsewhere[80];

	snprintf(map, sizeof(map), "/tmp/perf-%d.map", (int)getpid());
	snprintf(elsewhere, sizeof(elsewhere), "%s.elsewhere", map);
	run(true, false);
	write_perf_map(map, getpid());
	run(true, true);
	run(false, true); /* made code is named always, and nothing else */
	/* A link in a folder where everybody may write is not followed. */
	CHECK_EQ(rename(map, elsewhere), 0);
	CHECK_EQ(symlink(elsewhere, map), 0);
	run(true, false);
	unlink(map);
	unlink(elsewhere);
	CHECK_EQ(mkfifo(map, 0600), 0);
	run(true, false); /* nor is a FIFO waited for */
	unlink(map);
	return check_done();
}
