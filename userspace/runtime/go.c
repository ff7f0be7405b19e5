/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Go's runtime, 1.19 and later. Its heap is spans of 8 KiB pages, each for objects of one size class; a collection marks what
 * lives, and each span is swept before it is used again: what is not marked then is free.
 *
 * Stacks move, so that a return probe would kill the program: a function's end is seen at each of its return instructions, and a
 * call's begin and end are the same goroutine's (r14). A function's first instruction is met again when its stack has grown, so
 * that begins alone count too many.
 * (Calling convention: cmd/compile/abi-internal.md; functions: runtime/malloc.go, mheap.go, mgcsweep.go.)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/index_map.h"
#include "runtime/go_file.h"
#include "runtime/runtime.h"
#include "sites/code.h"

#define PAGE_NBYTES 8192u
#define SPAN_IN_USE 1
#define RETURNS_MAX 16
#define SPAN_PAGES_MAX (1u << 23)  /* 64 GiB: what says more was read while it changed */
#define SPANS_MAX (1u << 24)       /* of a process that runs already: as many */
#define GOROUTINE 14 /* r14 */

enum probe { P_MALLOC, P_MALLOC_END, P_SPAN_END, P_SPAN_FREE, P_SWEEP, P_CYCLE };

enum function { F_MALLOC, F_ALLOC_SPAN, F_FREE_SPAN, F_SWEEP, F_CYCLE, F_NR };

static const char *const function_names[F_NR] = {
	[F_MALLOC] = "runtime.mallocgc",
	[F_ALLOC_SPAN] = "runtime.(*mheap).allocSpan",
	[F_FREE_SPAN] = "runtime.(*mheap).freeSpanLocked",
	[F_SWEEP] = "runtime.(*sweepLocked).sweep",
	[F_CYCLE] = "runtime.gcStart",
};

struct go {
	uint8_t probe_of[HT_CAPTURES_MAX];
	struct go_span span;
	struct index_map calls; /* goroutine -> index of sizes: mallocgc calls under way */
	uint64_t *sizes;
	uint32_t nr_sizes, sizes_room;
	struct page_objects *objects;
	struct index_map spans;  /* first page -> its number of pages, while it is in use */
	struct index_map places; /* page of a span in use -> bytes of each of its places; 0: one for all of it, or none */
	uint64_t cycles;
	bool has_in_use; /* the runtime's own count of bytes of spans in use is taken down at each cycle */
};

/* ---- probes ---- */

static struct ht_capture *add_probe(struct runtime *rt, enum probe what, const char *name, uint64_t vaddr)
{
	struct go *g = rt->state;
	struct runtime_probe *p = runtime_probe(rt, name, vaddr, false);

	if (!p)
		return NULL;
	g->probe_of[rt->nr_probes - 1] = (uint8_t)what;
	return &p->capture;
}

/* At a function's begin, where the register still holds its argument: the check of the stack's room ends in a branch, which costs a
 * quarter of what the first instruction would. */
static struct ht_capture *add_entry(struct runtime *rt, enum probe what, const struct go_function *f, unsigned reg)
{
	return add_probe(rt, what, f->name, runtime_entry(rt->obj, f->start, 1u << reg | 1u << GOROUTINE));
}

/* The function's return instructions; 0: it cannot be read, or has none. */
static unsigned find_returns(const struct runtime *rt, const struct go_function *f, uint64_t returns[RETURNS_MAX])
{
	struct code_reader *reader = code_reader_new();
	unsigned nr = 0;

	for (uint64_t at = f->start; reader && at < f->end;) {
		struct code_insn insn;
		size_t nbytes;
		const uint8_t *bytes = object_code(rt->obj, at, &nbytes);

		if (!bytes || !code_decode(reader, bytes, nbytes, at, &insn)) {
			nr = 0;
			break;
		}
		if (insn.flow == CODE_RETURN && nr == RETURNS_MAX) {
			nr = 0;
			break;
		}
		if (insn.flow == CODE_RETURN)
			returns[nr++] = at;
		at += insn.nbytes;
	}
	code_reader_free(reader);
	return nr;
}

/* Stripped programs do not tell where the runtime keeps its own count. */
static int probe_cycles(struct runtime *rt, uint64_t vaddr)
{
	struct ht_capture *c = add_probe(rt, P_CYCLE, function_names[F_CYCLE], vaddr);
	struct runtime_symbol controller = { .name = "runtime.gcController" };
	struct go *g = rt->state;
	uint64_t offset;

	if (!c)
		return -E2BIG;
	runtime_symbols(rt->obj, &controller, 1);
	g->has_in_use = controller.vaddr && go_file_field(rt->obj, "runtime.gcControllerState", "heapInUse", &offset);
	if (g->has_in_use)
		capture_read(c, HT_BASE_NONE, 0, controller.vaddr + offset + rt->bias, 8);
	return 0;
}

static int probe_spans(struct runtime *rt, const struct go_function *functions)
{
	const struct go_span *s = &((struct go *)rt->state)->span;
	uint64_t returns[RETURNS_MAX];
	unsigned nr = find_returns(rt, &functions[F_ALLOC_SPAN], returns);
	struct ht_capture *c;

	if (!nr)
		return runtime_fail(rt, -ENOENT, "the returns of %s cannot be found", function_names[F_ALLOC_SPAN]);
	for (unsigned i = 0; i < nr; i++) {
		c = add_probe(rt, P_SPAN_END, function_names[F_ALLOC_SPAN], returns[i]);
		if (!c)
			return -E2BIG;
		capture_reg(c, RT_AX);
		capture_read(c, HT_BASE_WORD, 0, s->start_addr, 8);
		capture_read(c, HT_BASE_WORD, 0, s->npages, 8);
		capture_read(c, HT_BASE_WORD, 0, s->spanclass, 1);
		capture_read(c, HT_BASE_WORD, 0, s->elemsize, 8);
		capture_read(c, HT_BASE_WORD, 0, s->state, 1);
		c->if_mask = ~0ull;
		c->if_least = 1;
	}
	c = add_entry(rt, P_SPAN_FREE, &functions[F_FREE_SPAN], RT_BX);
	if (!c)
		return -E2BIG;
	capture_read(c, HT_BASE_REG, RT_BX, s->start_addr, 8);
	capture_read(c, HT_BASE_REG, RT_BX, s->npages, 8);
	return 0;
}

static int probe_objects(struct runtime *rt, const struct go_function *functions)
{
	const struct go_span *s = &((struct go *)rt->state)->span;
	uint64_t returns[RETURNS_MAX];
	unsigned nr = find_returns(rt, &functions[F_MALLOC], returns);
	struct ht_capture *c = add_entry(rt, P_MALLOC, &functions[F_MALLOC], RT_AX);

	if (!nr || !c)
		return runtime_fail(rt, -ENOENT, "the returns of %s cannot be found", function_names[F_MALLOC]);
	capture_reg(c, GOROUTINE);
	capture_reg(c, RT_AX);
	for (unsigned i = 0; i < nr; i++) {
		c = add_probe(rt, P_MALLOC_END, function_names[F_MALLOC], returns[i]);
		if (!c)
			return -E2BIG;
		capture_reg(c, GOROUTINE);
		capture_reg(c, RT_AX);
		c->stack = HT_CAPTURE_RETURNING;
	}
	c = add_entry(rt, P_SWEEP, &functions[F_SWEEP], RT_AX);
	if (!c)
		return -E2BIG;
	capture_read(c, HT_BASE_REG, RT_AX, 0, 8);
	capture_read(c, HT_BASE_WORD, 0, s->start_addr, 8);
	capture_read(c, HT_BASE_WORD, 0, s->npages, 8);
	capture_read(c, HT_BASE_WORD, 0, s->elemsize, 8);
	capture_read(c, HT_BASE_WORD, 0, s->nelems, s->nelems_nbytes);
	capture_read(c, HT_BASE_WORD, 0, s->gcmark_bits, 8);
	c->bits_at = 6;
	c->bits_nr = 5;
	return 0;
}

static void go_close(struct runtime *rt)
{
	struct go *g = rt->state;

	if (!g)
		return;
	page_objects_free(g->objects);
	index_map_free(&g->calls);
	index_map_free(&g->spans);
	index_map_free(&g->places);
	free(g->sizes);
	free(g);
	rt->state = NULL;
}

static int go_open(struct runtime *rt)
{
	struct go_function functions[F_NR];
	struct go *g = calloc(1, sizeof(*g));
	int err;

	rt->state = g;
	if (!g || !(g->objects = page_objects_new(PAGE_NBYTES)) || index_map_init(&g->calls) || index_map_init(&g->spans) ||
	    index_map_init(&g->places))
		return -ENOMEM;
	for (int i = 0; i < F_NR; i++)
		functions[i] = (struct go_function){ .name = function_names[i] };
	if (!go_file_version(rt->obj, rt->version, sizeof(rt->version)))
		return runtime_fail(rt, -ENOENT, "its file does not say which version of Go it is of");
	if (go_file_functions(rt->obj, functions, F_NR))
		return runtime_fail(rt, -ENOENT, "the table of functions of %s is not known", rt->version);
	for (int i = 0; i < F_NR; i++)
		if (!functions[i].start)
			return runtime_fail(rt, -ENOENT, "%s of %s is not in its table", function_names[i], rt->version);
	if (go_file_span(rt->obj, rt->version, &g->span))
		return runtime_fail(rt, -ENOENT, "where %s keeps what is known of a span is told by debug information alone, and that was stripped away",
				    rt->version);
	err = probe_cycles(rt, functions[F_CYCLE].start);
	if (err)
		return err;
	err = rt->levels & (RUNTIME_PAGES | RUNTIME_OBJECTS) ? probe_spans(rt, functions) : 0;
	return err || !(rt->levels & RUNTIME_OBJECTS) ? err : probe_objects(rt, functions);
}

/* ---- records ---- */

static int begin_malloc(struct go *g, uint64_t goroutine, uint64_t nbytes)
{
	uint32_t at = index_map_find(&g->calls, goroutine);

	if (at != INDEX_NONE) {
		g->sizes[at] = nbytes;
		return 0;
	}
	if (g->nr_sizes == g->sizes_room) {
		uint32_t room = g->sizes_room ? 2 * g->sizes_room : 256;
		uint64_t *sizes = reallocarray(g->sizes, room, sizeof(*sizes));

		if (!sizes)
			return -ENOMEM;
		g->sizes = sizes;
		g->sizes_room = room;
	}
	g->sizes[g->nr_sizes] = nbytes;
	return index_map_set(&g->calls, goroutine, g->nr_sizes++);
}

/* An empty object has no memory: all are at one address outside the heap. */
static int end_malloc(struct runtime *rt, const struct ht_ev_capture *e)
{
	struct go *g = rt->state;
	uint32_t at = index_map_find(&g->calls, e->words[0]);
	uint64_t addr = e->words[1], nbytes = at == INDEX_NONE ? 0 : g->sizes[at];
	uint32_t place;
	int err;

	if (at != INDEX_NONE)
		g->sizes[at] = 0;
	/* A call inside of this one, as a collection may make, has taken the size's place: the object's own place tells it roughly. */
	if (!nbytes) {
		place = index_map_find(&g->places, addr / PAGE_NBYTES);
		nbytes = place == INDEX_NONE ? 0 : place;
	}
	if (!addr || !nbytes)
		return 0;
	err = runtime_born(rt, e, addr, nbytes, e->stack);
	if (err)
		return err < 0 ? err : 0;
	return page_objects_add(g->objects, addr);
}

/* The words of a capture at the end of allocSpan, or the same read by begin. */
static int take_span(struct runtime *rt, const struct ht_ev_capture *e)
{
	struct go *g = rt->state;
	uint64_t start = e->words[1], npages = e->words[2], class = e->words[3], elemsize = e->words[4];
	char use[40];
	int err;

	if (e->words[5] != SPAN_IN_USE || npages > SPAN_PAGES_MAX)
		return 0;
	if (class >> 1)
		snprintf(use, sizeof(use), "%llu%s", (unsigned long long)elemsize, class & 1 ? " noscan" : "");
	else
		snprintf(use, sizeof(use), "large%s", class & 1 ? " noscan" : "");
	err = index_map_set(&g->spans, start / PAGE_NBYTES, (uint32_t)npages);
	for (uint64_t p = 0; p < npages && !err; p++)
		err = index_map_set(&g->places, start / PAGE_NBYTES + p, class >> 1 ? (uint32_t)elemsize : 0);
	return err ? err : runtime_span(rt, e, start, npages * PAGE_NBYTES, use);
}

struct sweep {
	struct runtime *rt;
	const struct ht_ev_capture_bits *e; /* NULL: all go */
	const struct ht_ev_capture *at;
};

static int sweep_object(void *arg, uint64_t addr)
{
	const struct sweep *s = arg;
	int err;

	if (s->e) {
		uint64_t i = (addr - s->e->c.words[1]) / s->e->c.words[3];

		if (i >= s->e->c.nr_bits || (s->e->bits[i / 64] >> (i % 64) & 1))
			return 0;
	}
	err = runtime_collected(s->rt, s->at, addr);
	return err ? err : 1;
}

static int take_sweep(struct runtime *rt, const struct ht_ev_capture *e)
{
	struct go *g = rt->state;
	struct sweep s = { rt, (const void *)e, e };

	if (e->h.type != HT_EV_CAPTURE_BITS || !e->words[3] || !e->nr_bits || e->words[2] > SPAN_PAGES_MAX)
		return 0;
	return page_objects_take(g->objects, e->words[1], e->words[2] * PAGE_NBYTES, sweep_object, &s);
}

/* A span that goes takes what nobody swept with it. Only those in use are the heap's: stacks have spans, too. */
static int take_span_free(struct runtime *rt, const struct ht_ev_capture *e)
{
	struct go *g = rt->state;
	uint64_t start = e->words[0], nbytes = e->words[1] * PAGE_NBYTES;
	struct sweep s = { rt, NULL, e };
	uint32_t npages = index_map_find(&g->spans, start / PAGE_NBYTES);
	int err;

	if (npages == INDEX_NONE || !npages || e->words[1] > SPAN_PAGES_MAX)
		return 0;
	err = index_map_set(&g->spans, start / PAGE_NBYTES, 0);
	for (uint64_t p = 0; p < e->words[1] && !err; p++)
		err = index_map_set(&g->places, start / PAGE_NBYTES + p, 0);
	if (!err)
		err = page_objects_take(g->objects, start, nbytes, sweep_object, &s);
	return err ? err : runtime_span_free(rt, e, start, nbytes, NULL);
}

/*
 * All spans that there are, by the list that the runtime keeps of them. It only grows, and never gives a span's memory to anything
 * else. A span that is taken into use or given back while it is read has a record of that, too, which comes behind and says how it is.
 */
static int go_begin(struct runtime *rt, const struct process *p, const struct ht_ev_capture *at)
{
	struct runtime_symbol heap = { .name = "runtime.mheap_" };
	const struct go_span *s = &((struct go *)rt->state)->span;
	uint64_t offset, list[2], *spans = NULL;
	uint8_t span[GO_SPAN_NBYTES];
	int err = 0;

	if (!(rt->levels & (RUNTIME_PAGES | RUNTIME_OBJECTS)))
		return 0;
	runtime_symbols(rt->obj, &heap, 1);
	if (!heap.vaddr || !go_file_field(rt->obj, "runtime.mheap", "allspans", &offset))
		return runtime_fail(rt, 0, "spans from before are not known: its symbols were stripped away");
	if (process_read(p, heap.vaddr + rt->bias + offset, list, sizeof(list)) || !list[1] || list[1] > SPANS_MAX)
		return runtime_fail(rt, 0, "spans from before are not known: the list of them cannot be read");
	spans = malloc(list[1] * sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	if (process_read(p, list[0], spans, list[1] * sizeof(*spans)))
		list[1] = 0;
	for (uint64_t i = 0; i < list[1] && !err; i++) {
		struct ht_ev_capture e = { .h = at->h };

		if (process_read(p, spans[i], span, sizeof(span)))
			continue;
		e.words[1] = runtime_field(span, s->start_addr, 8);
		e.words[2] = runtime_field(span, s->npages, 8);
		e.words[3] = runtime_field(span, s->spanclass, 1);
		e.words[4] = runtime_field(span, s->elemsize, 8);
		e.words[5] = runtime_field(span, s->state, 1);
		err = take_span(rt, &e);
	}
	if (!err)
		runtime_fail(rt, 0, list[1] ? "objects from before are not known" : "spans from before are not known: the list of them has moved");
	free(spans);
	return err;
}

static int take_cycle(struct runtime *rt, const struct ht_ev_capture *e)
{
	struct go *g = rt->state;
	int err = runtime_figure(rt, e, "go.cycle", ++g->cycles);

	return err || !g->has_in_use ? err : runtime_figure(rt, e, "go.heap_in_use_bytes", e->words[0]);
}

static int go_take(struct runtime *rt, const struct ht_ev_capture *e)
{
	struct go *g = rt->state;

	switch (g->probe_of[e->h.site]) {
	case P_MALLOC: return begin_malloc(g, e->words[0], e->words[1]);
	case P_MALLOC_END: return end_malloc(rt, e);
	case P_SPAN_END: return take_span(rt, e);
	case P_SPAN_FREE: return take_span_free(rt, e);
	case P_SWEEP: return take_sweep(rt, e);
	case P_CYCLE: return take_cycle(rt, e);
	default: return 0;
	}
}

const struct runtime_profile runtime_go = {
	.name = "go",
	.language = "Go",
	.pages = "spans of 8 KiB pages, by size class; noscan: objects without pointers",
	.objects = "all but empty ones, until the sweep that finds them unmarked (one collection early where a finalizer waits)",
	.recognise = go_file_recognise,
	.open = go_open,
	.begin = go_begin,
	.take = go_take,
	.close = go_close,
};
