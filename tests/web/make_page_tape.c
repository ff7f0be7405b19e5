/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * make_page_tape.c - tapes for the tests of the HTML report:
 *
 *   make_page_tape FILE small                  known figures at known times: see make_small
 *   make_page_tape FILE large [EVENTS [STACKS]] a busy program of four threads, with so many call stacks
 *   make_page_tape FILE hostile                names that want to be markup, script, or a megabyte long
 *   make_page_tape FILE runtime                a language's runtime: see make_runtime
 *   make_page_tape FILE empty                  nothing
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/tape.h"

#define HEAP 0x7f1000000000ull
#define PAGE 4096ull
#define KIB 1024ull
#define MIB (1024 * KIB)
#define S_NS 1000000000ull
#define TID 4711u

static struct tape_writer *w;
static uint64_t now_ns, rng = 0x9e3779b97f4a7c15ull;
static uint8_t glibc;

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "make_page_tape: %s: %s\n", what, strerror(-err));
	exit(1);
}

static uint64_t below(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % n;
}

static void put(struct tape_event ev)
{
	ev.ns = now_ns;
	ev.tid = ev.tid ? ev.tid : TID;
	ev.alloc = tape_kind_is_call(ev.kind) ? glibc : TAPE_NO_ALLOC;
	must(tape_writer_add(w, &ev), "event");
}

static uint32_t string(const char *s)
{
	uint32_t id;

	must(tape_writer_string(w, s, &id), "string");
	return id;
}

static void begin(const char *path, const char *cmdline)
{
	struct tape_writer_opts opts = { .time_unit_ns = 1, .overwrite = true };
	struct tape_allocator a = { "glibc", "/lib/libc.so.6", "00ff" };

	must(tape_writer_open(path, &opts, &w), path);
	must(tape_writer_allocator(w, &a, &glibc), "allocator");
	must(tape_writer_meta(w, "target.cmdline", cmdline), "meta");
	must(tape_writer_meta_u64(w, "target.pid", TID), "meta");
	must(tape_writer_meta_u64(w, "machine.cpus", 4), "meta");
	must(tape_writer_meta_u64(w, "start.from_exec", 1), "meta");
	must(tape_writer_meta_u64(w, "start_unix_ns", 1700000000000000000ull), "meta");
}

static void map_heap(uint64_t nbytes)
{
	put((struct tape_event){ .kind = TAPE_MMAP, .addr = HEAP, .size = nbytes, .arg = 3 | 0x22ull << 32,
				 .flags = TAPE_BY_ALLOCATOR << TAPE_BY_SHIFT });
}

static void touch(uint64_t addr, uint64_t nbytes)
{
	for (uint64_t page = addr / PAGE; page <= (addr + nbytes - 1) / PAGE; page++)
		put((struct tape_event){ .kind = TAPE_FAULT, .addr = page * PAGE, .flags = TAPE_WRITE });
}

static void thread(uint32_t tid, const char *name)
{
	put((struct tape_event){ .kind = TAPE_THREAD_START, .tid = tid });
	put((struct tape_event){ .kind = TAPE_THREAD_NAME, .tid = tid, .arg = string(name) });
}

/* A stack of named functions, the innermost first; each place has its name on the tape. */
static uint32_t named_stack(uint32_t module, const char *const *functions, uint32_t nr, uint64_t base)
{
	struct tape_frame frames[64];
	uint32_t id;

	for (uint32_t i = 0; i < nr; i++) {
		frames[i] = (struct tape_frame){ module, base + 16 * i + (i ? 1 : 0) };
		must(tape_writer_names(w, module, base + 16 * i, &(struct tape_name){ functions[i], "/src/shop.cc", 10 + i }, 1), "names");
	}
	must(tape_writer_stack(w, frames, nr, false, &id), "stack");
	return id;
}

/* ---- small ---- */

static void born(uint64_t at, uint64_t size, uint32_t stack, uint32_t tid)
{
	put((struct tape_event){ .kind = TAPE_MALLOC, .addr = HEAP + at, .size = size, .stack = stack, .tid = tid });
}

static void freed(uint64_t at, uint32_t tid)
{
	put((struct tape_event){ .kind = TAPE_FREE, .addr = HEAP + at, .tid = tid });
}

/*
 * 12 s. From 1 s on early() holds 4 MiB in 64 KiB; from 3 to 7 s burst() 12 MiB more, which another thread frees, but for a
 * 64th of each: those stay in memory. From 9 s on late() holds 2 MiB. brief() lives for 0.1 ms, a thousand times.
 */
static void make_small(void)
{
	static const char *const early[] = { "malloc", "shop::early", "shop::run", "main" };
	static const char *const burst[] = { "malloc", "shop::burst", "shop::run", "main" };
	static const char *const late[] = { "malloc", "shop::late", "shop::finish", "main" };
	static const char *const brief[] = { "malloc", "shop::brief", "shop::run", "main" };
	uint32_t module = string("0123456789abcdef0123 /opt/shop/bin/shop");
	uint32_t a = named_stack(module, early, 4, 0x1000), b = named_stack(module, burst, 4, 0x2000),
		 c = named_stack(module, late, 4, 0x3000), d = named_stack(module, brief, 4, 0x4000);

	thread(TID, "shop");
	thread(TID + 1, "sweeper");
	map_heap(64 * MIB);
	now_ns = S_NS;
	for (uint64_t i = 0; i < 64; i++) {
		born(i * 64 * KIB, 64 * KIB, a, TID);
		touch(HEAP + i * 64 * KIB, 64 * KIB);
	}
	now_ns = 3 * S_NS;
	for (uint64_t i = 0; i < 3072; i++) {
		born(16 * MIB + i * 4 * KIB, 4 * KIB, b, TID);
		touch(HEAP + 16 * MIB + i * 4 * KIB, 4 * KIB);
	}
	for (uint64_t i = 0; i < 1000; i++) {
		now_ns = 5 * S_NS + i * 200000;
		born(48 * MIB, 256, d, TID);
		now_ns += 100000;
		freed(48 * MIB, TID);
	}
	now_ns = 7 * S_NS;
	for (uint64_t i = 0; i < 3072; i++)
		freed(16 * MIB + i * 4 * KIB, TID + 1);
	now_ns = 9 * S_NS;
	for (uint64_t i = 0; i < 2; i++) {
		born(32 * MIB + i * MIB, MIB, c, TID);
		touch(HEAP + 32 * MIB + i * MIB, MIB);
	}
	now_ns = 12 * S_NS;
	put((struct tape_event){ .kind = TAPE_MARK, .arg = TAPE_MARK_END });
}

/* ---- large ---- */

enum { FUNCTIONS = 800, CLASSES = 24, THREADS = 4, FRAMES = 24 };

struct object {
	uint64_t addr;
	uint32_t class;
};

struct program {
	uint32_t *stacks, nr_stacks;
	struct object *live;
	uint64_t nr, max, next, end;
	uint64_t *free[CLASSES];
	size_t nr_free[CLASSES];
};

static void name_functions(uint32_t module)
{
	static const char *const parts[] = { "parse", "build", "Request", "cache", "insert", "Table", "grow", "Session", "encode", "flush" };
	char name[128], file[64];

	for (uint32_t i = 0; i < FUNCTIONS; i++) {
		snprintf(name, sizeof(name), "engine::%s::%s_%s<std::vector<int>>(%u)", parts[i % 10], parts[i / 10 % 10], parts[i / 80 % 10], i);
		snprintf(file, sizeof(file), "/src/engine/%s_%u.cc", parts[i % 10], i % 40);
		must(tape_writer_names(w, module, 0x1000 + 32 * i, &(struct tape_name){ name, file, 1 + i % 900 }, 1), "names");
	}
}

/* A call tree: each stack goes on where an earlier one was. */
static void make_stacks(struct program *p, uint32_t nr)
{
	uint32_t modules[2] = { string("0123456789abcdef0123 /opt/engine/bin/engine"), string("0123456789abcdef0124 /opt/engine/lib/libtable.so") };
	struct tape_frame(*frames)[FRAMES] = calloc(nr, sizeof(*frames));
	uint32_t *depths = calloc(nr, sizeof(*depths));

	name_functions(modules[0]);
	name_functions(modules[1]);
	p->stacks = calloc(nr, sizeof(*p->stacks));
	p->nr_stacks = nr;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t from = i ? (uint32_t)below(i) : 0, kept = i ? (uint32_t)below(depths[from] + 1) : 0;
		struct tape_frame inward[FRAMES];

		depths[i] = kept + 1 + (uint32_t)below(8);
		depths[i] = depths[i] > FRAMES - 1 ? FRAMES - 1 : depths[i];
		memcpy(frames[i], frames[from], kept * sizeof(struct tape_frame));
		for (uint32_t k = kept; k < depths[i]; k++)
			frames[i][k] = (struct tape_frame){ modules[below(4) == 0], 0x1001 + 32 * below(FUNCTIONS) };
		for (uint32_t k = 0; k < depths[i]; k++)
			inward[k] = frames[i][depths[i] - 1 - k];
		inward[0].offset--; /* the place itself; the others are return addresses */
		must(tape_writer_stack(w, inward, depths[i], false, &p->stacks[i]), "stack");
	}
	free(frames);
	free(depths);
}

static uint64_t class_nbytes(uint32_t class)
{
	return class < 16 ? 16 * (class + 1) : 256ull << (class - 15);
}

static void birth(struct program *p)
{
	uint32_t class = (uint32_t)(below(100) ? below(16) : below(CLASSES)), thread = (uint32_t)below(THREADS);
	uint64_t addr, nbytes = class_nbytes(class);
	/* Few stacks do most, and which they are moves on with time. */
	uint32_t rank = (uint32_t)(below(p->nr_stacks) * below(p->nr_stacks) / p->nr_stacks);
	uint32_t stack = p->stacks[(rank + now_ns / (20 * S_NS)) % p->nr_stacks];

	if (p->nr_free[class]) {
		addr = p->free[class][--p->nr_free[class]];
	} else {
		addr = p->next;
		p->next += nbytes;
		for (; p->end < p->next; p->end += PAGE)
			touch(p->end, 1);
	}
	p->live[p->nr++] = (struct object){ addr, class };
	put((struct tape_event){ .kind = TAPE_MALLOC, .addr = addr, .size = nbytes - below(8), .stack = stack, .tid = TID + thread });
}

static void death(struct program *p)
{
	uint64_t i = below(8) ? p->nr - 1 - below(p->nr < 64 ? p->nr : 64) : below(p->nr);
	struct object o = p->live[i];
	size_t *nr = &p->nr_free[o.class];

	p->live[i] = p->live[--p->nr];
	if (*nr % 4096 == 0)
		p->free[o.class] = reallocarray(p->free[o.class], *nr + 4096, sizeof(uint64_t));
	p->free[o.class][(*nr)++] = o.addr;
	put((struct tape_event){ .kind = TAPE_FREE, .addr = o.addr, .tid = TID + (uint32_t)below(THREADS) });
}

static void make_large(uint64_t events, uint32_t nr_stacks)
{
	struct program p = { .max = events + 1, .next = HEAP, .end = HEAP };

	p.live = calloc(p.max, sizeof(*p.live));
	make_stacks(&p, nr_stacks);
	for (uint32_t i = 0; i < THREADS; i++)
		thread(TID + i, "engine");
	map_heap(8192 * MIB);
	/* It grows for four tenths, stays, shrinks for two tenths and stays. */
	for (uint64_t i = 0; i < events; i++) {
		uint64_t tenth = i * 10 / events, births = tenth < 4 ? 54 : tenth >= 6 && tenth < 8 ? 45 : 50;

		now_ns += below(12000);
		if (!p.nr || below(100) < births)
			birth(&p);
		else
			death(&p);
	}
	for (uint32_t i = 0; i < CLASSES; i++)
		free(p.free[i]);
	free(p.live);
	free(p.stacks);
}

/* ---- hostile ---- */

static void make_hostile(void)
{
	enum { LONG = 1 << 20 };
	char *megabyte = malloc(LONG + 1);
	const char *bad[] = { "malloc", "</script><script>window.broken = 1</script>", "<img src=x onerror=\"window.broken = 2\">", "\"'><svg onload='window.broken=3'>",
			      "\xff\xfe\xc0\x80 not UTF-8 \xe2\x82", "{{constructor}} ${alert(1)} {a|rich} \\u003c]]>--><!--", "\xe2\x80\xae" "right to left", "__proto__", "constructor", megabyte };
	enum { BAD = sizeof(bad) / sizeof(*bad) };
	uint32_t module, id;

	memset(megabyte, '<', LONG);
	megabyte[LONG] = '\0';
	module = string("0123456789abcdef0123 /opt/<b>bold</b>/\"'><script>window.broken=4</script>");
	thread(TID, "<i>t</i>&amp;");
	map_heap(MIB);
	for (uint32_t i = 1; i < BAD; i++) {
		const char *const names[] = { "malloc", bad[i], "main" };

		now_ns += 10000000;
		id = named_stack(module, names, 3, 0x1000 * i);
		born(i * 16 * KIB, 1000 * i, id, TID);
		touch(HEAP + i * 16 * KIB, 1000 * i);
	}
	now_ns += 10000000;
	id = named_stack(module, bad, BAD, 0x100000);
	born(512 * KIB, 64 * KIB, id, TID);
	touch(HEAP + 512 * KIB, 64 * KIB);
	now_ns += 10000000;
	put((struct tape_event){ .kind = TAPE_MARK, .arg = TAPE_MARK_END });
	free(megabyte);
}

/* ---- a language's runtime ---- */

enum { COLLECTIONS = 4, SPAN_OBJECTS = 1024 };

/*
 * Go's, of two size classes with a MiB each. At collection k of 1 to 4, after k seconds, a part of k - 1 quarters of class 1024
 * has been freed; class 2048 stays full. The runtime says that 2 MiB are in use.
 */
static void make_runtime(void)
{
	struct tape_allocator go = { "go", "/opt/shop/bin/shop", "00fe" };
	uint32_t cycle, in_use;

	must(tape_writer_meta(w, "runtime", "go"), "meta");
	must(tape_writer_meta(w, "runtime.levels", "os,pages,objects"), "meta");
	must(tape_writer_allocator(w, &go, &glibc), "allocator");
	cycle = string("go.cycle");
	in_use = string("go.heap_in_use_bytes");
	put((struct tape_event){ .kind = TAPE_MARK });
	map_heap(2 * MIB);
	put((struct tape_event){ .kind = TAPE_SPAN, .addr = HEAP, .size = MIB, .arg = string("1024 noscan") });
	put((struct tape_event){ .kind = TAPE_SPAN, .addr = HEAP + MIB, .size = MIB, .arg = string("2048") });
	for (uint64_t i = 0; i < SPAN_OBJECTS; i++)
		born(i * 1024, 1000, TAPE_NO_STACK, TID);
	for (uint64_t i = 0; i < SPAN_OBJECTS / 2; i++)
		born(MIB + i * 2048, 2000, TAPE_NO_STACK, TID);
	for (uint64_t k = 1; k <= COLLECTIONS; k++) {
		now_ns = k * S_NS;
		put((struct tape_event){ .kind = TAPE_FIGURE, .size = k, .arg = cycle });
		put((struct tape_event){ .kind = TAPE_FIGURE, .size = 2 * MIB, .arg = in_use });
		now_ns += S_NS / 2;
		for (uint64_t i = (k - 1) * SPAN_OBJECTS / 4; i < k * SPAN_OBJECTS / 4; i++)
			put((struct tape_event){ .kind = TAPE_FREE, .addr = HEAP + i * 1024, .flags = TAPE_COLLECTED });
	}
}

int main(int argc, char **argv)
{
	const char *word = argc > 2 ? argv[2] : "";
	uint64_t events = argc > 3 ? strtoull(argv[3], NULL, 10) : 1000000, stacks = argc > 4 ? strtoull(argv[4], NULL, 10) : 1500;

	if (argc < 3 || !events || !stacks)
		return 2;
	begin(argv[1], strcmp(word, "hostile") ? "/opt/shop/bin/shop --serve 'all of it'" : "</title><script>window.broken=5</script> <b>\"'&lt; \xff");
	if (!strcmp(word, "small"))
		make_small();
	else if (!strcmp(word, "large"))
		make_large(events, (uint32_t)stacks);
	else if (!strcmp(word, "hostile"))
		make_hostile();
	else if (!strcmp(word, "runtime"))
		make_runtime();
	else if (strcmp(word, "empty") != 0)
		return 2;
	must(tape_writer_close(w), "close");
	return 0;
}
