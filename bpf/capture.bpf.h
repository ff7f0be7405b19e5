/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Probes in a language's runtime. Here nobody knows what they mean: each takes down the words that its description names,
 * and user space (userspace/runtime/) makes spans, objects and figures of them.
 */
#ifndef HEAPTAPE_CAPTURE_BPF_H
#define HEAPTAPE_CAPTURE_BPF_H

#include "alloc.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HT_CAPTURES_MAX);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, u32);
	__type(value, struct ht_capture);
} captures SEC(".maps");

/* How often captures that make no record were reached. */
__u64 tallies[HT_TALLIES_MAX];

/* What a call's entry keeps for its return, told by thread, stack and which function it is. */
struct capture_call {
	u64 sp;
	u32 tid, nr;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct capture_call);
	__type(value, u64);
} captures_kept SEC(".maps");

struct capture_hit {
	u64 r[18];
	u64 words[HT_CAPTURE_WORDS];
};

static __always_inline u64 load_base(const struct capture_hit *hit, u8 base)
{
	if (base >= HT_BASE_WORD)
		return hit->words[(base - HT_BASE_WORD) & (HT_CAPTURE_WORDS - 1)];
	return base ? hit->r[(base - HT_BASE_REG) & 15] : 0;
}

static __always_inline void capture_keep(const struct capture_hit *hit, u32 nr, u64 word)
{
	struct capture_call call = { .sp = hit->r[4], .tid = (u32)bpf_get_current_pid_tgid(), .nr = nr };

	bpf_map_update_elem(&captures_kept, &call, &word, BPF_ANY);
}

/* Behind a return the stack pointer is past the return address. */
static __always_inline u64 kept_word(const struct capture_hit *hit, u32 nr)
{
	struct capture_call call = { .sp = hit->r[4] - 8, .tid = (u32)bpf_get_current_pid_tgid(), .nr = nr };
	u64 *kept = bpf_map_lookup_elem(&captures_kept, &call), word = 0;

	if (!kept)
		return 0;
	bpf_probe_read_user(&word, 8, (void *)*kept);
	bpf_map_delete_elem(&captures_kept, &call);
	return word;
}

static __always_inline u64 load_value(const struct capture_hit *hit, const struct ht_load *l)
{
	u64 v = load_base(hit, l->base), word = 0;

	switch (l->op) {
	case HT_LOAD_KEPT: return kept_word(hit, (u32)l->add);
	case HT_LOAD_TALLY: return tallies[l->add & (HT_TALLIES_MAX - 1)];
	case HT_LOAD_GHC_DESCR: v = (v & ~0xfffffULL) | ((v & 0xff000) >> 6); break;
	}
	v += l->add;
	switch (l->width) {
	case 1: bpf_probe_read_user(&word, 1, (void *)v); break;
	case 2: bpf_probe_read_user(&word, 2, (void *)v); break;
	case 4: bpf_probe_read_user(&word, 4, (void *)v); break;
	case 8: bpf_probe_read_user(&word, 8, (void *)v); break;
	default: return v;
	}
	return word;
}

/* ---- Haskell stacks: frames that begin with the address of their code, in front of which stands how large they are ---- */

/* Kinds of frames by their tables' numbers, the same from GHC 8.10 to 9.8 (rts/storage/ClosureTypes.h). */
enum { STG_RET_BIG = 31, STG_RET_FUN = 32, STG_UNDERFLOW = 35, STG_STOP = 36 };

static __always_inline u64 stg_frame_words(u64 sp, u64 info, u32 type, u64 layout)
{
	switch (type) {
	case STG_RET_BIG: return 1 + user_word(info + layout); /* a bitmap of its own, whose first word is its size */
	case STG_RET_FUN: return 3 + user_word(sp + 8);
	default: return 1 + (layout & 0x3f);
	}
}

static long stg_turn(u32 i, struct scratch **held)
{
	struct walk *w = &(*held)->walk;
	u64 info = user_word(w->sp), words;
	u32 type = (u32)user_word(info - 8), n = w->nr;
	struct ht_text *t = text_find(w->list, info, &w->text);

	if (type == STG_STOP) {
		w->ended = 1;
		return 1;
	}
	if (!t || type == STG_UNDERFLOW) {
		w->cut = HT_CUT_NO_CODE; /* the rest of the stack lies in another chunk */
		return 1;
	}
	if (n >= HT_STG_FRAMES_MAX || n >= HT_FRAMES_MAX)
		return 1;
	/* One byte on: what stands in front of the address is the table, and not this function. */
	w->frames[n] = (u64)t->object << HT_FRAME_SHIFT | (t->offset + (info - t->start) + 1);
	w->nr = n + 1;
	words = stg_frame_words(w->sp, info, type, user_word(info - 16));
	w->sp += 8 * (words & 0xfffff);
	return 0;
}

/* The primitive that called the runtime, and the frames of its caller. */
static __always_inline u32 stg_walk(struct scratch *s, const struct stack_start *at)
{
	struct walk *w = &s->walk;
	u64 version = *(volatile u64 *)&texts_version, gen = *(volatile u64 *)&text_gen;
	struct ht_texts *list = &texts[version & 1];
	struct ht_text *t;
	u64 ra;

	walk_begin(s, at);
	w->list = version & 1;
	w->sp = at->bp;
	if (list->gen == gen && (list->confirmed || list->seq == *(volatile u64 *)&map_seq)) {
		walk_add_frame(w, at->ip);
		ra = user_word(at->sp);
		t = text_find(w->list, ra - 1, &w->text);
		if (t && w->nr == 1) {
			w->frames[1] = (u64)t->object << HT_FRAME_SHIFT | (t->offset + (ra - t->start));
			w->nr = 2;
		}
		bpf_loop(HT_STG_FRAMES_MAX, stg_turn, &s, 0);
		if (!w->ended && !w->cut)
			w->cut = HT_CUT_MAX_FRAMES;
	} else {
		w->cut = HT_CUT_STALE;
	}
	STACK_COUNT(misses);
	__sync_fetch_and_add(&stack_count()->frames, w->nr);
	return stack_send(s);
}

/* A function of its own for the verifier. */
__noinline int stg_capture(const struct stack_start *at)
{
	struct scratch *s;
	u32 id;

	if (!at)
		return 0;
	s = scratch_claim();
	if (!s) {
		STACK_COUNT(cut[HT_CUT_BUSY]);
		return 0;
	}
	id = stg_walk(s, at);
	scratch_release(s);
	return (int)id;
}

static __always_inline u32 capture_stack(const struct pt_regs *ctx, u8 how)
{
	struct stack_start at = { .ip = ctx->ip, .sp = ctx->sp, .bp = ctx->bp, .ra_addr = ctx->sp };

	if (!stacks_mode || !how)
		return 0;
	if (how == HT_CAPTURE_RETURNING) {
		at.frame0 = at.ip;
		at.ip = user_word(at.sp);
		at.sp += 8;
		at.ra_addr = 0;
	}
	return (u32)(how == HT_CAPTURE_STG ? stg_capture(&at) : stack_capture(&at));
}

static __always_inline void capture_fill(struct ht_ev_capture *e, u8 type, u16 nr, const u64 *words, u32 stack)
{
	head_fill(&e->h, type, 0, nr);
	for (u32 i = 0; i < HT_CAPTURE_WORDS; i++)
		e->words[i] = words[i];
	e->stack = stack;
	e->nr_bits = 0;
}

static __always_inline void capture_emit(u16 nr, const u64 *words, u32 stack)
{
	struct ht_ev_capture *e = ring_reserve(sizeof(*e));

	if (!e) {
		count_lost(HT_LOSS_RING_FULL, 1);
		return;
	}
	capture_fill(e, HT_EV_CAPTURE, nr, words, stack);
	ring_submit(e);
}

static __always_inline void capture_emit_bits(u16 nr, const u64 *words, u32 stack, u64 addr, u64 nr_bits)
{
	struct ht_ev_capture_bits *e = ring_reserve(sizeof(*e));
	u32 nr_words;

	if (!e) {
		count_lost(HT_LOSS_RING_FULL, 1);
		return;
	}
	capture_fill(&e->c, HT_EV_CAPTURE_BITS, nr, words, stack);
	if (nr_bits > HT_CAPTURE_BITS)
		nr_bits = HT_CAPTURE_BITS;
	/* Whole words: the bits beyond are user space's to leave out. */
	nr_words = (u32)(nr_bits + 63) / 64;
	barrier_var(nr_words);
	if (nr_words > HT_CAPTURE_BITS / 64)
		nr_words = HT_CAPTURE_BITS / 64;
	if (!bpf_probe_read_user(e->bits, nr_words * 8, (void *)addr))
		e->c.nr_bits = (u32)nr_bits;
	else
		count_other_lost(); /* not in memory: what they say is missing until the next time */
	ring_submit(e);
}

/*
 * The words; 0: they make no record. A function of its own: what it needs of the program's 512 bytes of stack is free again when the
 * call stack is walked (Linux 6.1 counts them together).
 */
static __noinline int capture_take(struct pt_regs *ctx, u32 nr, const struct ht_capture *c, u64 *words_ret)
{
	struct capture_hit hit = { 0 };

	regs_copy(hit.r, ctx);
	for (u32 i = 0; i < HT_CAPTURE_WORDS; i++) {
		if (i >= c->nr)
			break;
		hit.words[i] = load_value(&hit, &c->loads[i]);
	}
	if ((hit.words[c->if_word & (HT_CAPTURE_WORDS - 1)] & c->if_mask) < c->if_least)
		return 0;
	if (c->tally) {
		__sync_fetch_and_add(&tallies[(c->tally - 1) & (HT_TALLIES_MAX - 1)], 1);
		if (hit.words[c->if_word & (HT_CAPTURE_WORDS - 1)] & c->tally_mask)
			__sync_fetch_and_add(&tallies[c->tally & (HT_TALLIES_MAX - 1)], 1);
		return 0;
	}
	if (c->keep)
		capture_keep(&hit, nr, hit.words[(c->keep - 1) & (HT_CAPTURE_WORDS - 1)]);
	for (u32 i = 0; i < HT_CAPTURE_WORDS; i++)
		words_ret[i] = hit.words[i];
	return 1;
}

static __always_inline void capture_serve(struct pt_regs *ctx, u32 nr, const struct ht_capture *c)
{
	u64 words[HT_CAPTURE_WORDS] = { 0 };
	u32 stack;

	if (!capture_take(ctx, nr, c, words))
		return;
	stack = capture_stack(ctx, c->stack);
	if (c->bits_at)
		capture_emit_bits((u16)nr, words, stack, words[(c->bits_at - 1) & (HT_CAPTURE_WORDS - 1)],
				  words[(c->bits_nr - 1) & (HT_CAPTURE_WORDS - 1)]);
	else
		capture_emit((u16)nr, words, stack);
}

static __always_inline int capture_reached(struct pt_regs *ctx)
{
	u32 nr = (u32)bpf_get_attach_cookie(ctx);
	struct ht_capture *c = bpf_map_lookup_elem(&captures, &nr);

	stay_on_kernel_stack(ctx);
	if (!c)
		return 0;
	__sync_fetch_and_add(&counters_get()->traps[c->trap & (HT_TRAP_NR - 1)], 1);
	capture_serve(ctx, nr, c);
	return 0;
}

#endif
