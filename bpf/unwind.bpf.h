/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * One step outwards on a user stack: which mapping, which row, which rule; and what the memo must remember of it.
 *
 * The searches have no branches (a mask instead of a jump), so that the verifier sees one path through them.
 * A frame pointer is read only if a rule needs its value: what nobody used need not be remembered either.
 */
#ifndef HEAPTAPE_UNWIND_BPF_H
#define HEAPTAPE_UNWIND_BPF_H

#include "ring.bpf.h"

#define FP_FRAME_MAX (8 << 20) /* bytes that one frame may span when only the frame pointer says so */
#define RETURN_INSTANCES_MAX 16

/* Written by the recorder through the mapping of this section, without a system call. */
struct ht_texts texts[2] SEC(".bss.unwind");
struct ht_page pages[HT_PAGES_MAX] SEC(".bss.unwind");
struct ht_rule rules[HT_RULES_MAX] SEC(".bss.unwind");
struct ht_text_change text_changes[HT_TEXT_CHANGES] SEC(".bss.unwind");

/* Inner maps are made as they are needed. */
struct shard_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(struct ht_shard));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, HT_SHARDS_MAX);
	__type(key, u32);
	__array(values, struct shard_map);
} shards SEC(".maps");

/*
 * The stack words that an unwind rested on. Each is kept in one word: its value's low 48 bits, which tell all of it (that
 * is checked), its place in words from sp, and whether the value is kept relative to sp (frame pointers).
 */
#define MEMO_RELATIVE (1ULL << 63)
#define MEMO_PLACE_SHIFT 48

struct memo_draft {
	u64 bp;      /* relative to sp, if bp_used */
	u32 bp_used; /* the rbp at the start was needed */
	u32 nr;      /* words */
	u32 span;    /* bytes from sp on that hold them all */
	u32 pad;
	u64 words[HT_MEMO_WORDS];
};

/* A piece of stack is read at once: a read of 2 KiB costs little more than two of a word. */
#define WINDOW_NBYTES 2048

enum bp_from { BP_START, BP_KNOWN, BP_SAVED, BP_GONE };

struct walk {
	u64 ip, sp, bp;
	u64 sp0;
	u64 bp_addr; /* BP_SAVED: where it stands */
	u64 ra_addr; /* where ip was read */
	u64 gen;     /* text_gen when it began */
	u32 bp_from; /* enum bp_from */
	u32 exact;   /* ip is an instruction's own address, not one behind a call */
	u32 ended;   /* the outermost frame was reached */
	u32 cut;     /* enum ht_cut */
	u32 no_memo;
	u32 list;    /* index of texts */
	u32 nr;
	u32 text; /* index of the last frame's mapping: the next frame most often lies in the same */
	u64 window_addr; /* where window was read; ~0: nowhere yet */
	u64 frames[HT_FRAMES_MAX];
	u64 window[WINDOW_NBYTES / 8];
};

/* All ones if a < b; both below 2^63. */
static __always_inline u64 mask_below(u64 a, u64 b)
{
	s64 d = (s64)(a - b);

	barrier_var(d); /* or clang makes a jump of it again */
	return (u64)(d >> 63);
}

static __always_inline struct ht_text *text_find(u32 list, u64 ip, u32 *last)
{
	struct ht_texts *l = &texts[list & 1];
	u32 base = 0, n = l->nr;
	struct ht_text *t = &l->texts[*last & (HT_TEXTS_MAX - 1)];

	if (ip >= t->start && ip < t->end)
		return t;
	for (int i = 0; i < 12; i++) { /* 2^12: HT_TEXTS_MAX */
		u32 half = n >> 1;

		base += half & (u32)mask_below(l->texts[(base + half) & (HT_TEXTS_MAX - 1)].start, ip + 1);
		n -= half;
	}
	*last = base;
	t = &l->texts[base & (HT_TEXTS_MAX - 1)];
	return ip >= t->start && ip < t->end ? t : NULL;
}

static __always_inline struct ht_rule *rule_find(const struct ht_text *t, u64 ip)
{
	u64 vaddr = t->vaddr + (ip - t->start);
	u32 page_nr = (u32)(vaddr >> 16), low = vaddr & 0xffff, zero = 0, shard_nr, base, n;
	struct ht_shard *shard;
	struct ht_page *page;
	void *map;

	if (page_nr >= t->nr_pages)
		return NULL;
	page = &pages[(t->first_page + page_nr) & (HT_PAGES_MAX - 1)];
	n = page->nr;
	if (!n)
		return NULL;
	shard_nr = page->row / HT_SHARD_ROWS;
	map = bpf_map_lookup_elem(&shards, &shard_nr);
	if (!map)
		return NULL;
	shard = bpf_map_lookup_elem(map, &zero);
	if (!shard)
		return NULL;
	base = page->row & (HT_SHARD_ROWS - 1);
	for (int i = 0; i < 14; i++) { /* 2^14: HT_PAGE_ROWS_MAX */
		u32 half = n >> 1;
		u32 at = shard->rows[(base + half) & (HT_SHARD_ROWS - 1)] & 0xffff;

		base += half & (u32)mask_below(at, low + 1);
		n -= half;
	}
	return &rules[(shard->rows[base & (HT_SHARD_ROWS - 1)] >> 16) & (HT_RULES_MAX - 1)];
}

static __always_inline int walk_cut(struct walk *w, u32 cause)
{
	w->cut = cause;
	return 1;
}

/* The memo will have to find this word at this place again. */
static __always_inline void memo_add(struct walk *w, struct memo_draft *m, u64 addr, u64 value, u64 relative)
{
	u64 off = addr - w->sp0;
	u32 n = m->nr;

	if (relative)
		value -= w->sp0;
	if (off >= HT_MEMO_SPAN || (off & 7) || n >= HT_MEMO_WORDS || (u64)((s64)(value << 16) >> 16) != value) {
		w->no_memo = 1;
		return;
	}
	m->words[n] = relative | (off >> 3) << MEMO_PLACE_SHIFT | (value & ((1ULL << MEMO_PLACE_SHIFT) - 1));
	m->nr = n + 1;
	if (off + 8 > m->span)
		m->span = (u32)off + 8;
}

static __always_inline int walk_read(struct walk *w, u64 addr, u64 *value)
{
	u64 off = addr - w->window_addr;

	if (off >= WINDOW_NBYTES && !(addr & 7) && !bpf_probe_read_user(w->window, WINDOW_NBYTES, (void *)addr)) {
		w->window_addr = addr;
		off = 0;
	}
	if (off < WINDOW_NBYTES && !(off & 7)) {
		u32 word = (u32)off / 8;

		barrier_var(word); /* or clang takes off itself, whose bounds the verifier does not see */
		*value = w->window[word & (WINDOW_NBYTES / 8 - 1)];
		return 0;
	}
	/* Near the stack's end. */
	if (!bpf_probe_read_user(value, sizeof(*value), (void *)addr))
		return 0;
	return walk_cut(w, HT_CUT_UNREADABLE);
}

/* A rule needs the frame pointer's value. */
static __always_inline int walk_bp(struct walk *w, struct memo_draft *m)
{
	switch (w->bp_from) {
	case BP_START:
		m->bp = w->bp - w->sp0;
		m->bp_used = 1;
		break;
	case BP_SAVED:
		if (walk_read(w, w->bp_addr, &w->bp))
			return 1;
		memo_add(w, m, w->bp_addr, w->bp, MEMO_RELATIVE);
		break;
	case BP_GONE: return walk_cut(w, HT_CUT_RULE);
	}
	w->bp_from = BP_KNOWN;
	return 0;
}

static __always_inline int rule_cfa(struct walk *w, struct memo_draft *m, const struct ht_rule *r, u64 *cfa)
{
	u64 addr;

	switch (r->cfa) {
	case HT_CFA_SP: *cfa = w->sp + (s64)r->cfa_off; return 0;
	case HT_CFA_PLT: *cfa = w->sp + (s64)r->cfa_off + ((w->ip & 15) >= (u32)r->cfa_add ? 8 : 0); return 0;
	case HT_CFA_BP:
		if (walk_bp(w, m))
			return 1;
		*cfa = w->bp + (s64)r->cfa_off;
		return 0;
	case HT_CFA_SP_DEREF: addr = w->sp + (s64)r->cfa_off; break;
	case HT_CFA_BP_DEREF:
		if (walk_bp(w, m))
			return 1;
		addr = w->bp + (s64)r->cfa_off;
		break;
	default: return walk_cut(w, (u32)r->cfa_off);
	}
	if (walk_read(w, addr, cfa))
		return 1;
	memo_add(w, m, addr, *cfa, MEMO_RELATIVE);
	*cfa += (s64)r->cfa_add;
	return 0;
}

/* The frame pointer of the caller; its place may hang on the one of this frame. */
static __always_inline int rule_bp(struct walk *w, struct memo_draft *m, const struct ht_rule *r, u64 cfa)
{
	u64 from = cfa;

	switch (r->bp) {
	case HT_BP_SAME: return 0;
	case HT_BP_LOST: w->bp_from = BP_GONE; return 0;
	case HT_BP_SP: from = w->sp; break;
	case HT_BP_BP:
		if (walk_bp(w, m))
			return 1;
		from = w->bp;
		break;
	}
	w->bp_addr = from + (s64)r->bp_off;
	w->bp_from = BP_SAVED;
	return 0;
}

static __always_inline int step_by_rule(struct walk *w, struct memo_draft *m, const struct ht_rule *r)
{
	u64 cfa, ra;

	if (r->ra == HT_RA_END) {
		w->ended = 1;
		return 1;
	}
	if (rule_cfa(w, m, r, &cfa))
		return 1;
	w->ra_addr = (r->ra == HT_RA_SP ? w->sp : cfa) + (s64)r->ra_off;
	if (walk_read(w, w->ra_addr, &ra))
		return 1;
	memo_add(w, m, w->ra_addr, ra, 0);
	if (rule_bp(w, m, r, cfa))
		return 1;
	w->sp = cfa;
	w->ip = ra;
	w->exact = r->flags & HT_RULE_SIGNAL;
	w->ended = !ra;
	return !ra;
}

/* Behind a call: e8 and four bytes, or ff /2 in any of its lengths. */
static __always_inline int is_behind_call(u64 ra)
{
	u8 code[8];

	if (bpf_probe_read_user(code, sizeof(code), (void *)(ra - sizeof(code))))
		return 0;
	if (code[3] == 0xe8)
		return 1;
	return (code[6] == 0xff && (code[7] & 0x38) == 0x10) || (code[5] == 0xff && (code[6] & 0x38) == 0x10) ||
	       (code[4] == 0xff && (code[5] & 0x38) == 0x10) || (code[2] == 0xff && (code[3] & 0x38) == 0x10) ||
	       (code[1] == 0xff && (code[2] & 0x38) == 0x10);
}

static __always_inline int step_by_fp(struct walk *w, struct memo_draft *m)
{
	u64 ra;

	if (walk_bp(w, m))
		return 1;
	if (!w->bp) { /* the ABI's mark of the outermost frame */
		w->ended = 1;
		return 1;
	}
	if (w->bp < w->sp || w->bp - w->sp > FP_FRAME_MAX || (w->bp & 7))
		return walk_cut(w, HT_CUT_FP);
	w->ra_addr = w->bp + 8;
	if (walk_read(w, w->ra_addr, &ra))
		return 1;
	memo_add(w, m, w->ra_addr, ra, 0);
	w->ended = !ra;
	if (!ra)
		return 1;
	if (!is_behind_call(ra)) {
		u64 outer;

		/* A goroutine's first function was not called, but no frame pointer stands behind its own. */
		if (walk_read(w, w->bp, &outer))
			return 1;
		if (outer)
			return walk_cut(w, HT_CUT_FP);
		memo_add(w, m, w->bp, 0, 0);
		w->ended = 1;
		return 1;
	}
	w->bp_addr = w->bp;
	w->bp_from = BP_SAVED;
	w->sp = w->bp + 16;
	w->ip = ra;
	w->exact = 0;
	return 0;
}

/* A return probe has put its trampoline's address in the place of the return address. */
static __always_inline int step_past_trampoline(struct walk *w)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct return_instance *ri = BPF_CORE_READ(task, utask, return_instances);

	w->no_memo = 1; /* what the memo could compare is the trampoline's address, which is always the same */
	for (int i = 0; i < RETURN_INSTANCES_MAX && ri; i++) {
		if (BPF_CORE_READ(ri, stack) == w->ra_addr) {
			w->ip = BPF_CORE_READ(ri, orig_ret_vaddr);
			return 0;
		}
		ri = BPF_CORE_READ(ri, next);
	}
	return walk_cut(w, HT_CUT_NO_CODE);
}

/* One frame onto the list, and the way to its caller. Non-zero: the walk is over. */
static __always_inline int walk_step(struct walk *w, struct memo_draft *m, u32 max_frames)
{
	/* A return address may lie behind the last instruction of its function. */
	u64 at = w->exact ? w->ip : w->ip - 1;
	struct ht_text *t = text_find(w->list, at, &w->text);
	struct ht_rule *r;
	u32 n = w->nr;

	/* The trampoline's page is mapped by the kernel when it is first needed, which nobody tells. */
	if (!t || t->kind == HT_TEXT_TRAMPOLINE)
		return step_past_trampoline(w);
	if (n >= max_frames || n >= HT_FRAMES_MAX)
		return walk_cut(w, HT_CUT_MAX_FRAMES);
	/* An interrupted instruction's frame is told one byte on, so that all but frame 0 mean "the byte before". */
	w->frames[n] = (u64)t->object << HT_FRAME_SHIFT |
		       (((t->object ? t->offset + (w->ip - t->start) : w->ip) + (n && w->exact)) & ((1ULL << HT_FRAME_SHIFT) - 1));
	w->nr = n + 1;
	if (t->kind == HT_TEXT_FP)
		return step_by_fp(w, m);
	r = rule_find(t, at);
	if (!r)
		return walk_cut(w, HT_CUT_NO_ROW);
	return r->cfa == HT_CFA_FP ? step_by_fp(w, m) : step_by_rule(w, m, r);
}

#endif
