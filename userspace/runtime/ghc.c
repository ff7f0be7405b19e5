/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GHC's runtime. Its heap is megabytes of 252 blocks of 4 KiB; runs of blocks (groups) hold what the mutator and the collector
 * fill, a large object each, many small objects that must not move (pinned), or a compact region.
 *
 * How its own books are kept, so that the sums meet them block for block (rts/sm/BlockAlloc.c of GHC 9.0; held against
 * n_alloc_blocks at every collection):
 *  - allocGroupOnNode gives groups, and may give the rest of a fresh megablock back by freeGroup: that is not a free;
 *  - allocLargeChunkOnNode may or may not call it; its result counts once;
 *  - a group of more than a megabyte counts 252 blocks for each megabyte, though its descriptor says 256 for all but the first;
 *  - groups are split after they were given: blocks are counted, births and ends of groups are not paired.
 * Objects are seen where the runtime makes them: pinned ones, large ones, blocks of compact regions. What the program's code
 * takes out of its nursery by itself is seen as blocks only. An object ends when its block does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/index_map.h"
#include "runtime/runtime.h"

#define BLOCK_NBYTES 4096u
#define MBLOCK_NBYTES (1u << 20)
#define MBLOCK_BLOCKS 252u     /* that can be used, of 256 */
#define GROUP_BLOCKS_MAX (1u << 24) /* 64 GiB */
#define HEAP_NBYTES_MAX (1ull << 42) /* far more than a heap may be */
#define LARGE_WORDS_MIN 409u   /* LARGE_OBJECT_THRESHOLD: eight tenths of a block, in words */

/* struct bdescr_ */
enum { BD_START = 0, BD_FREE = 8, BD_FLAGS = 46, BD_BLOCKS = 48, BD_NBYTES = 64 };
enum { BF_LARGE = 2, BF_PINNED = 4, BF_COMPACT = 512 };

enum probe {
	P_GROUP, P_GROUP_END, P_CHUNK, P_CHUNK_END, P_FREE, P_GC_END, P_MOVE, P_PINNED, P_PINNED_END, P_LARGE, P_LARGE_END, P_COMPACT,
	P_COMPACT_END, P_NR
};

enum { TALLY_LARGE, TALLY_PINNED }; /* PINNED directly behind LARGE: see probe_survivors */

/* A call of a function that gives something, under way. */
struct open_call {
	bool open;
	uint64_t n;
	uint32_t stack;
};

struct ghc_thread {
	struct open_call group, chunk, pinned, large, compact;
	bool chunk_has_group; /* the group inside is the chunk's */
};

struct ghc {
	uint8_t probe_of[HT_CAPTURES_MAX]; /* enum probe */
	struct ghc_thread *threads;
	size_t nr_threads, threads_room;
	struct index_map thread_at; /* tid -> index of threads */
	struct page_objects *objects;
	struct index_map pinned_blocks; /* by number; value 1: it is told as pinned */
	uint64_t tallies[2]; /* as of the last collection */
	uint64_t alloc_blocks, space, high; /* addresses of n_alloc_blocks, the heap's bounds and how far it is used; 0: not known */
};

/* What stands in a process that runs already. */
struct found {
	uint64_t start, blocks;
	uint16_t flags;
};

struct look {
	struct found *found;
	size_t nr, room;
	uint64_t blocks; /* in all */
};

enum symbol {
	S_GROUP, S_CHUNK, S_FREE, S_GC_END, S_EVACUATE, S_PINNED, S_LARGE, S_COMPACT, S_ALLOC_BLOCKS, S_MBLOCKS, S_SPACE, S_HIGH, S_NR
};

static const char *const symbol_names[S_NR] = {
	[S_GROUP] = "allocGroupOnNode",
	[S_CHUNK] = "allocLargeChunkOnNode",
	[S_FREE] = "freeGroup",
	[S_GC_END] = "stat_endGC",
	[S_EVACUATE] = "evacuate_large",
	[S_PINNED] = "allocatePinned",
	[S_LARGE] = "allocateMightFail",
	[S_COMPACT] = "compactAllocateBlockInternal",
	[S_ALLOC_BLOCKS] = "n_alloc_blocks",
	[S_MBLOCKS] = "mblocks_allocated",
	[S_SPACE] = "mblock_address_space",
	[S_HIGH] = "mblock_high_watermark",
};

static bool look_up(const struct object *obj, struct runtime_symbol *symbols)
{
	for (int i = 0; i < S_NR; i++)
		symbols[i] = (struct runtime_symbol){ .name = symbol_names[i] };
	return runtime_symbols(obj, symbols, S_NR);
}

static bool ghc_recognise(const struct object *obj)
{
	struct runtime_symbol symbols[] = { { .name = "allocGroupOnNode" }, { .name = "stg_ap_v_info" }, { .name = "hs_main" } };

	return runtime_symbols(obj, symbols, 3) && symbols[0].vaddr && symbols[1].vaddr && symbols[2].vaddr;
}

/* ---- probes ---- */

static struct ht_capture *add_probe(struct runtime *rt, enum probe what, const struct runtime_symbol *at, bool is_return)
{
	struct ghc *g = rt->state;
	struct runtime_probe *p = at->vaddr ? runtime_probe(rt, at->name, at->vaddr, is_return) : NULL;

	if (!p)
		return NULL;
	g->probe_of[rt->nr_probes - 1] = (uint8_t)what;
	return &p->capture;
}

/* Function entry with one argument, and its result's descriptor. */
static void probe_blocks(struct runtime *rt, enum probe what, const struct runtime_symbol *at)
{
	struct ht_capture *c = add_probe(rt, what, at, false);

	if (c)
		capture_reg(c, RT_SI);
	c = add_probe(rt, what + 1, at, true);
	if (!c)
		return;
	capture_reg(c, RT_AX);
	capture_read(c, HT_BASE_WORD, 0, BD_START, 8);
	capture_read(c, HT_BASE_WORD, 0, BD_BLOCKS, 4);
}

static void probe_object(struct runtime *rt, enum probe what, const struct runtime_symbol *at, uint64_t words_min, uint8_t stack)
{
	struct ht_capture *c = add_probe(rt, what, at, false);

	if (c) {
		capture_reg(c, RT_SI);
		c->if_mask = ~0ull;
		c->if_least = words_min;
		c->stack = stack;
	}
	c = add_probe(rt, what + 1, at, true);
	if (c)
		capture_reg(c, RT_AX);
}

/* The collector moves a large object's blocks to the living once in a collection: counted, without a record. */
static void probe_survivors(struct runtime *rt, const struct runtime_symbol *at)
{
	for (int i = -1; i < 3; i++) {
		struct runtime_symbol one = { .name = at->name, .vaddr = i < 0 ? at->vaddr : at->more[i] };
		struct ht_capture *c = add_probe(rt, P_MOVE, &one, false);

		if (!c)
			continue;
		c->loads[c->nr++] = (struct ht_load){ .base = HT_BASE_REG + RT_DI, .op = HT_LOAD_GHC_DESCR };
		capture_read(c, HT_BASE_WORD, 0, BD_FLAGS, 2);
		c->if_word = 1;
		c->tally = TALLY_LARGE + 1;
		c->tally_mask = BF_PINNED;
	}
}

static void probe_collections(struct runtime *rt, const struct runtime_symbol *symbols)
{
	struct ht_capture *c = add_probe(rt, P_GC_END, &symbols[S_GC_END], false);

	if (!c)
		return;
	capture_read(c, HT_BASE_NONE, 0, symbols[S_ALLOC_BLOCKS].vaddr + rt->bias, 8);
	capture_read(c, HT_BASE_NONE, 0, symbols[S_MBLOCKS].vaddr + rt->bias, 8);
	capture_reg(c, RT_DX); /* words that live */
	capture_reg(c, RT_CX); /* words copied */
	capture_reg(c, RT_R9); /* generation */
	capture_tally(c, TALLY_LARGE);
	capture_tally(c, TALLY_PINNED);
}

static void ghc_close(struct runtime *rt)
{
	struct ghc *g = rt->state;

	if (!g)
		return;
	page_objects_free(g->objects);
	index_map_free(&g->pinned_blocks);
	index_map_free(&g->thread_at);
	free(g->threads);
	free(g);
	rt->state = NULL;
}

static int ghc_open(struct runtime *rt)
{
	static const enum symbol needed[] = { S_GROUP, S_CHUNK, S_FREE, S_GC_END, S_ALLOC_BLOCKS, S_MBLOCKS };
	struct runtime_symbol symbols[S_NR];
	struct ghc *g = calloc(1, sizeof(*g));
	struct ht_capture *c;

	rt->state = g;
	if (!g || !(g->objects = page_objects_new(BLOCK_NBYTES)) || index_map_init(&g->pinned_blocks) || index_map_init(&g->thread_at))
		return -ENOMEM;
	if (!look_up(rt->obj, symbols))
		return runtime_fail(rt, -ENOENT, "its symbols were stripped away, and its runtime's functions are found by name alone");
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!symbols[needed[i]].vaddr)
			return runtime_fail(rt, -ENOENT, "it has no symbol %s: a version of GHC's runtime that is not known", symbols[needed[i]].name);
	probe_collections(rt, symbols);
	g->alloc_blocks = symbols[S_ALLOC_BLOCKS].vaddr + rt->bias;
	if (symbols[S_SPACE].vaddr && symbols[S_HIGH].vaddr) {
		g->space = symbols[S_SPACE].vaddr + rt->bias;
		g->high = symbols[S_HIGH].vaddr + rt->bias;
	}
	if (rt->levels & (RUNTIME_PAGES | RUNTIME_OBJECTS)) {
		probe_blocks(rt, P_GROUP, &symbols[S_GROUP]);
		probe_blocks(rt, P_CHUNK, &symbols[S_CHUNK]);
		c = add_probe(rt, P_FREE, &symbols[S_FREE], false);
		if (c) {
			capture_read(c, HT_BASE_REG, RT_DI, BD_START, 8);
			capture_read(c, HT_BASE_REG, RT_DI, BD_BLOCKS, 4);
			capture_read(c, HT_BASE_REG, RT_DI, BD_FLAGS, 2);
		}
		probe_survivors(rt, &symbols[S_EVACUATE]);
	}
	if (rt->levels & RUNTIME_OBJECTS) {
		probe_object(rt, P_PINNED, &symbols[S_PINNED], 0, HT_CAPTURE_STG);
		probe_object(rt, P_LARGE, &symbols[S_LARGE], LARGE_WORDS_MIN, HT_CAPTURE_STG);
		probe_object(rt, P_COMPACT, &symbols[S_COMPACT], 0, HT_CAPTURE_NATIVE);
	}
	return rt->nr_probes < HT_CAPTURES_LANGUAGE ? 0 : runtime_fail(rt, -E2BIG, "its functions stand at too many places");
}

/* ---- records ---- */

static struct ghc_thread *thread_of(struct ghc *g, uint32_t tid)
{
	uint32_t at = index_map_find(&g->thread_at, tid);

	if (at != INDEX_NONE)
		return &g->threads[at];
	if (g->nr_threads == g->threads_room) {
		size_t room = g->threads_room ? 2 * g->threads_room : 16;
		struct ghc_thread *threads = reallocarray(g->threads, room, sizeof(*threads));

		if (!threads)
			return NULL;
		g->threads = threads;
		g->threads_room = room;
	}
	if (index_map_set(&g->thread_at, tid, (uint32_t)g->nr_threads))
		return NULL;
	g->threads[g->nr_threads] = (struct ghc_thread){ 0 };
	return &g->threads[g->nr_threads++];
}

/* As the runtime counts them. */
static uint64_t counted_blocks(uint64_t in_descriptor)
{
	if (in_descriptor > GROUP_BLOCKS_MAX)
		return 0; /* it was read while it changed */
	return in_descriptor < MBLOCK_BLOCKS ? in_descriptor : ((in_descriptor - MBLOCK_BLOCKS) / 256 + 1) * MBLOCK_BLOCKS;
}

static const char *use_by_flags(uint64_t flags)
{
	return flags & BF_PINNED ? "pinned" : flags & BF_COMPACT ? "compact" : flags & BF_LARGE ? "large" : "block";
}

static int take_group(struct runtime *rt, const struct ht_ev_capture *e, const struct ghc_thread *t)
{
	const char *use = t->compact.open ? "compact" : t->pinned.open && t->large.open ? "pinned" : t->large.open ? "large" : "block";

	struct ghc *g = rt->state;
	int err = 0;

	if (!e->words[0])
		return 0;
	if (t->pinned.open && t->large.open)
		err = index_map_set(&g->pinned_blocks, e->words[1] / BLOCK_NBYTES, 1); /* told already */
	return err ? err : runtime_span(rt, e, e->words[1], counted_blocks(e->words[2]) * BLOCK_NBYTES, use);
}

struct ending {
	struct runtime *rt;
	const struct ht_ev_capture *e;
};

static int end_object(void *arg, uint64_t addr)
{
	const struct ending *end = arg;
	int err = runtime_collected(end->rt, end->e, addr);

	return err ? err : 1;
}

static int take_free(struct runtime *rt, const struct ht_ev_capture *e)
{
	uint64_t start = e->words[0], blocks = counted_blocks(e->words[1]);
	struct ghc *g = rt->state;
	struct ending end = { rt, e };
	int err = page_objects_take(g->objects, start, blocks * BLOCK_NBYTES, end_object, &end);

	if (!err && index_map_find(&g->pinned_blocks, start / BLOCK_NBYTES) == 1)
		err = index_map_set(&g->pinned_blocks, start / BLOCK_NBYTES, 0);
	return err ? err : runtime_span_free(rt, e, start, blocks * BLOCK_NBYTES, use_by_flags(e->words[2]));
}

/* ---- a process that runs already ---- */

static int add_found(struct look *l, const struct found *f)
{
	if (l->nr == l->room) {
		size_t room = l->room ? 2 * l->room : 4096;
		struct found *found = reallocarray(l->found, room, sizeof(*found));

		if (!found)
			return -ENOMEM;
		l->found = found;
		l->room = room;
	}
	l->found[l->nr++] = *f;
	l->blocks += f->blocks;
	return 0;
}

/* The groups of one megabyte: its first four blocks hold the descriptors. *beyond_ret: megabytes behind it that are of its last group. */
static int look_at_mblock(struct look *l, uint64_t mblock, const uint8_t *descrs, uint64_t *beyond_ret)
{
	*beyond_ret = 0;
	for (uint64_t i = MBLOCK_NBYTES / BLOCK_NBYTES - MBLOCK_BLOCKS; i < MBLOCK_NBYTES / BLOCK_NBYTES;) {
		const uint8_t *d = descrs + i * BD_NBYTES;
		uint64_t start = runtime_field(d, BD_START, 8), blocks = runtime_field(d, BD_BLOCKS, 4);
		struct found f = { start, counted_blocks(blocks), (uint16_t)runtime_field(d, BD_FLAGS, 2) };

		if (start != mblock + i * BLOCK_NBYTES || !blocks) {
			i++; /* given back to the kernel, or never used */
			continue;
		}
		if (f.blocks >= MBLOCK_BLOCKS)
			*beyond_ret = f.blocks / MBLOCK_BLOCKS - 1;
		if (runtime_field(d, BD_FREE, 8) != UINT64_MAX && add_found(l, &f)) /* so a free group is marked */
			return -ENOMEM;
		i += blocks;
	}
	return 0;
}

/* The whole heap once. -errno of what cannot be read. */
static int look_around(const struct ghc *g, const struct process *p, struct look *l)
{
	uint8_t descrs[(MBLOCK_NBYTES / BLOCK_NBYTES) * BD_NBYTES];
	uint64_t begin, high, beyond;
	int err = process_read(p, g->space, &begin, sizeof(begin));

	l->nr = l->blocks = 0;
	if (!err)
		err = process_read(p, g->high, &high, sizeof(high));
	if (!err && (high < begin || high - begin > HEAP_NBYTES_MAX))
		err = -EINVAL;
	for (uint64_t at = begin; !err && at < high; at += MBLOCK_NBYTES) {
		if (process_read(p, at, descrs, sizeof(descrs)))
			continue;
		err = look_at_mblock(l, at, descrs, &beyond);
		at += beyond * MBLOCK_NBYTES;
	}
	return err;
}

/* The process stands: the look counts if its blocks are as many as the runtime itself says. */
static int ghc_begin(struct runtime *rt, const struct process *p, const struct ht_ev_capture *at)
{
	struct ghc *g = rt->state;
	struct look l = { 0 };
	uint64_t blocks = 0;
	int err;

	if (!(rt->levels & (RUNTIME_PAGES | RUNTIME_OBJECTS)))
		return 0;
	if (!g->space)
		return runtime_fail(rt, 0, "blocks from before are not known: its heap is not one range of addresses");
	err = look_around(g, p, &l);
	if (!err)
		err = process_read(p, g->alloc_blocks, &blocks, sizeof(blocks));
	if (err == -ENOMEM) {
		free(l.found);
		return err;
	}
	if (err || l.blocks != blocks)
		l.nr = 0;
	runtime_fail(rt, 0, err ? "blocks from before are not known: its memory cannot be read" :
			    l.nr ? "objects from before are not known" : "blocks from before are not known: it stood while they change");
	err = 0;
	for (size_t i = 0; i < l.nr && !err; i++) {
		const struct found *f = &l.found[i];

		err = runtime_span(rt, at, f->start, f->blocks * BLOCK_NBYTES, use_by_flags(f->flags));
		if (!err && f->flags & BF_PINNED)
			err = index_map_set(&g->pinned_blocks, f->start / BLOCK_NBYTES, 1);
	}
	free(l.found);
	return err;
}

/* Pinned blocks are taken out of the nursery's: what they are shows with the first object in them. */
static int mark_pinned(struct runtime *rt, const struct ht_ev_capture *e, uint64_t addr)
{
	struct ghc *g = rt->state;
	uint64_t block = addr / BLOCK_NBYTES;
	int err;

	if (index_map_find(&g->pinned_blocks, block) == 1)
		return 0;
	err = index_map_set(&g->pinned_blocks, block, 1);
	return err ? err : runtime_span(rt, e, block * BLOCK_NBYTES, BLOCK_NBYTES, "pinned");
}

static int take_object(struct runtime *rt, const struct ht_ev_capture *e, struct open_call *call, uint64_t unit_nbytes)
{
	struct ghc *g = rt->state;
	uint64_t addr = e->words[0];
	int err;

	if (!call->open)
		return 0;
	call->open = false;
	if (!addr)
		return 0;
	err = runtime_born(rt, e, addr, call->n * unit_nbytes, call->stack);
	if (err)
		return err < 0 ? err : 0;
	return page_objects_add(g->objects, addr);
}

static int take_collection(struct runtime *rt, const struct ht_ev_capture *e)
{
	struct ghc *g = rt->state;
	const uint64_t *w = (const uint64_t *)e->words;
	struct {
		const char *name;
		uint64_t value;
	} figures[] = { { "ghc.generation", w[4] },
			{ "ghc.live_blocks", w[0] },
			{ "ghc.megablocks", w[1] },
			{ "ghc.free_blocks", w[1] * MBLOCK_BLOCKS - w[0] },
			{ "ghc.live_bytes", w[2] * 8 },
			{ "ghc.copied_bytes", w[3] * 8 },
			{ "ghc.live_large", w[5] - g->tallies[TALLY_LARGE] },
			{ "ghc.live_pinned", w[6] - g->tallies[TALLY_PINNED] } };
	size_t nr = rt->levels & (RUNTIME_PAGES | RUNTIME_OBJECTS) ? 8 : 6;
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++)
		err = runtime_figure(rt, e, figures[i].name, figures[i].value);
	g->tallies[TALLY_LARGE] = w[5];
	g->tallies[TALLY_PINNED] = w[6];
	return err;
}

static void begin_call(struct open_call *call, const struct ht_ev_capture *e)
{
	*call = (struct open_call){ .open = true, .n = e->words[0], .stack = e->stack };
}

static int take_pinned(struct runtime *rt, struct ghc_thread *t, const struct ht_ev_capture *e)
{
	int err = t->pinned.open && e->words[0] ? mark_pinned(rt, e, e->words[0]) : 0;

	return err ? err : take_object(rt, e, &t->pinned, 8);
}

static int ghc_take(struct runtime *rt, const struct ht_ev_capture *e)
{
	struct ghc *g = rt->state;
	struct ghc_thread *t = thread_of(g, e->h.tid);
	int err = 0;

	if (!t)
		return -ENOMEM;
	switch (g->probe_of[e->h.site]) {
	case P_GROUP: begin_call(&t->group, e); break;
	case P_GROUP_END:
		t->group.open = false;
		t->chunk_has_group = true;
		err = take_group(rt, e, t);
		break;
	case P_CHUNK:
		begin_call(&t->chunk, e);
		t->chunk_has_group = false;
		break;
	case P_CHUNK_END:
		t->chunk.open = false;
		err = t->chunk_has_group ? 0 : take_group(rt, e, t);
		break;
	case P_FREE: err = t->group.open ? 0 : take_free(rt, e); break;
	case P_GC_END: err = take_collection(rt, e); break;
	case P_PINNED: begin_call(&t->pinned, e); break;
	case P_PINNED_END: err = take_pinned(rt, t, e); break;
	case P_LARGE: begin_call(&t->large, e); break;
	case P_LARGE_END:
		/* A pinned object that is large, too, is the outer call's. */
		if (t->pinned.open)
			t->large.open = false;
		else
			err = take_object(rt, e, &t->large, 8);
		break;
	case P_COMPACT: begin_call(&t->compact, e); break;
	case P_COMPACT_END: err = take_object(rt, e, &t->compact, 1); break;
	default: break;
	}
	return err;
}

const struct runtime_profile runtime_ghc = {
	.name = "ghc",
	.language = "Haskell",
	.pages = "groups of 4 KiB blocks, by what they are for",
	.objects = "pinned and large objects and blocks of compact regions, until their block is given back",
	.recognise = ghc_recognise,
	.open = ghc_open,
	.begin = ghc_begin,
	.at_rest = true,
	.take = ghc_take,
	.close = ghc_close,
};
