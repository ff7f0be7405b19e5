/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * make_profile.c - a tape with known stacks, for the tests of export:
 *
 *   make_profile TAPE [embedded]       two made-up modules that are on no machine; with their names or without
 *   make_profile TAPE program PATH BUILDID INNER OUTER MAIN   places of a real program, by file offset
 *   make_profile TAPE places PATH BUILDID START END NR        an event for each of NR places spread over a part of a file
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/tape.h"

static struct tape_writer *w;
static uint64_t now_ns;
static uint8_t glibc;

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "make_profile: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void put(struct tape_event ev)
{
	ev.ns = now_ns += 1000;
	ev.tid = 4711;
	ev.alloc = tape_kind_is_call(ev.kind) ? glibc : TAPE_NO_ALLOC;
	must(tape_writer_add(w, &ev), "event");
}

static uint32_t string(const char *s)
{
	uint32_t id;

	must(tape_writer_string(w, s, &id), "string");
	return id;
}

static uint32_t stack(const struct tape_frame *frames, uint32_t nr, bool truncated)
{
	uint32_t id;

	must(tape_writer_stack(w, frames, nr, truncated, &id), "stack");
	return id;
}

static void begin(const char *path)
{
	struct tape_writer_opts opts = { .time_unit_ns = 1, .overwrite = true };
	struct tape_allocator a = { "glibc", "/lib/libc.so.6", "00ff" };

	must(tape_writer_open(path, &opts, &w), path);
	must(tape_writer_allocator(w, &a, &glibc), "allocator");
	must(tape_writer_meta(w, "target.exe", "/opt/made up/\"shop\""), "meta");
	must(tape_writer_meta_u64(w, "start_unix_ns", 4000000000000000000ull), "meta");
	must(tape_writer_meta_u64(w, "duration_ns", 5000000), "meta");
}

static void name(uint32_t module, uint64_t place, const char *function, const char *file, uint32_t line, const char *inlined)
{
	struct tape_name names[2] = { { inlined, "/src/inline.h", 7 }, { function, file, line } };

	must(tape_writer_names(w, module, place, inlined ? names : names + 1, inlined ? 2 : 1), "names");
}

/* Every kind of call, and what must not count: failed, sub-allocations, frees of unknown blocks. */
static void add_events(uint32_t a, uint32_t b, uint32_t cut)
{
	put((struct tape_event){ .kind = TAPE_MALLOC, .addr = 0x1000, .size = 100, .stack = a });
	put((struct tape_event){ .kind = TAPE_CALLOC, .addr = 0x2000, .size = 200, .stack = b });
	put((struct tape_event){ .kind = TAPE_MALLOC, .addr = 0x3000, .size = 1000, .stack = a });
	put((struct tape_event){ .kind = TAPE_REALLOC, .addr = 0x4000, .old = 0x1000, .size = 300, .stack = b });
	put((struct tape_event){ .kind = TAPE_MALLOC, .size = 1ull << 40, .flags = TAPE_FAILED, .stack = a });
	put((struct tape_event){ .kind = TAPE_MALLOC, .addr = 0x2010, .size = 8, .flags = TAPE_SUB, .stack = a });
	put((struct tape_event){ .kind = TAPE_FREE, .addr = 0x3000 });
	put((struct tape_event){ .kind = TAPE_FREE, .addr = 0x9000, .flags = TAPE_UNKNOWN });
	put((struct tape_event){ .kind = TAPE_POSIX_MEMALIGN, .addr = 0x5000, .size = 64, .align = 64, .stack = cut });
	put((struct tape_event){ .kind = TAPE_MALLOC, .addr = 0x6000, .size = 5 }); /* without a stack */
	put((struct tape_event){ .kind = TAPE_NEW, .addr = 0x7000, .size = 40, .stack = a });
	put((struct tape_event){ .kind = TAPE_MALLOC, .addr = 0x7000, .size = 50, .flags = TAPE_IMPLIED_FREE, .stack = a });
	put((struct tape_event){ .kind = TAPE_GIVE_UP, .addr = 0x2000 }); /* and not got back before the end */
	put((struct tape_event){ .kind = TAPE_MARK, .arg = TAPE_MARK_END });
}

static void made_up(bool embedded)
{
	uint32_t app = string("0123456789abcdef0123 /opt/made up/shop"), lib = string("- /opt/lib\xe9.so"),
		 jit = string("- //anon");
	struct tape_frame a[] = { { lib, 0x500 }, { app, 0x1001 }, { app, 0x2001 } };
	struct tape_frame b[] = { { lib, 0x500 }, { app, 0x1101 }, { jit, 0x7f0000000101 }, { app, 0x2001 } };
	uint32_t stack_a = stack(a, 3, false), stack_b = stack(b, 4, false);

	if (embedded) {
		name(lib, 0x500, "malloc", "", 0, NULL);
		name(app, 0x1000, "shop::add(int; char)", "/src/\"shop\".cc", 12, NULL);
		name(app, 0x1100, "shop::grow\tup", "/src/shop.cc", 40, "shop::inner<int>()");
		name(app, 0x2000, "main", "/src/main\xff.cc", 3, NULL);
		name(jit, 0x7f0000000100, "LazyCompile:*add /app/a.js:3", "", 0, NULL);
	}
	add_events(stack_a, stack_b, stack(a, 1, true));
}

static void of_program(char **argv)
{
	char text[4500];
	struct tape_frame frames[3];
	uint32_t all;

	snprintf(text, sizeof(text), "%s %s", argv[1], argv[0]);
	for (unsigned i = 0; i < 3; i++)
		frames[i] = (struct tape_frame){ string(text), strtoull(argv[2 + i], NULL, 0) };
	all = stack(frames, 3, false);
	add_events(all, stack(frames + 1, 2, false), stack(frames, 1, true));
}

static void spread(char **argv)
{
	uint64_t start = strtoull(argv[2], NULL, 0), end = strtoull(argv[3], NULL, 0), nr = strtoull(argv[4], NULL, 0);
	char text[4500];

	snprintf(text, sizeof(text), "%s %s", argv[1], argv[0]);
	for (uint64_t i = 0; i < nr; i++) {
		struct tape_frame frame = { string(text), start + (end - start) * i / nr };

		put((struct tape_event){ .kind = TAPE_MALLOC, .addr = 0x1000 + 16 * i, .size = 1, .stack = stack(&frame, 1, false) });
	}
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	begin(argv[1]);
	if (argc == 8 && strcmp(argv[2], "program") == 0)
		of_program(argv + 3);
	else if (argc == 8 && strcmp(argv[2], "places") == 0)
		spread(argv + 3);
	else
		made_up(argc > 2 && strcmp(argv[2], "embedded") == 0);
	must(tape_writer_close(w), "close");
	return 0;
}
