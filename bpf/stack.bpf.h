/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The stack of a call as a number: by the verified memo if one holds, else by walking.
 *
 * A memo keeps, for a place and a stack pointer where a walk once began, every stack word that the walk rested on: each
 * return address, and each frame pointer (or saved stack pointer) whose value a rule needed. Walking again would give the
 * same, if all of them are the same:
 *   Let the walk begin at the same ip, and at rbp - rsp as before if the start's rbp was needed. Suppose step k stands
 *   at the same ip and at the same distance from the first rsp as before. The same ip and the same tables (text_gen) give
 *   the same rule. The rule computes the CFA from the stack pointer (same distance), from a frame pointer whose distance
 *   was verified, or from a word that was verified; so the CFA stands at the same distance, and so do the return address
 *   and the saved rbp. The word there was verified to be the same return address: step k + 1 begins at the same ip and
 *   the same distance. So all frames are the same.
 * The stack pointer's own value does not matter, so one memo serves threads that run the same code. rbp is in the
 * condition only where a rule used it: elsewhere it is a register like others, and would spoil memos for nothing.
 *
 * Tables change when code is mapped or unmapped:
 *   When code goes, or other code takes its place, its entry in the list becomes void and text_gen is raised inside the
 *   kernel, at the end of munmap, mmap or mremap: every memo is dead at once, and a walk that comes to that place is cut
 *   there, until the recorder has loaded what is there now.
 *   map_seq is raised with any such change and when code comes anywhere, and the place is told (text_changes). The
 *   recorder reads map_seq, then the mappings, writes the list that is not in force, brings it into force, and confirms it
 *   once all places told since are void in it too: so no list counts that was made of mappings which changed before the
 *   kernel could look after it.
 *   Until then stacks are cut at once (HT_CUT_STALE).
 * A new stack's frames travel before its number is used, and a memo is kept only if they found room in the ring.
 */
#ifndef HEAPTAPE_STACK_BPF_H
#define HEAPTAPE_STACK_BPF_H

#include "unwind.bpf.h"

/* Set before loading. */
const volatile __u8 stacks_mode;  /* enum ht_stacks_mode */
const volatile __u8 stacks_frees; /* frees carry a stack too */
const volatile __u32 stacks_frames = 128;
const volatile __u32 memo_sets_mask;   /* sets of HT_MEMO_WAYS memos, minus 1 */
const volatile __u64 memo_chunks_mask; /* chunks of their words, minus 1 */

/* Sites whose stacks are thinned, by their numbers: of 2^n calls one carries a stack; HT_THIN_ALL: none does. The recorder
 * sets them while it runs. */
__u8 site_thin[HT_SITES_MAX];

/* Which of the two lists is in force: the lowest bit. */
__u64 texts_version;
__u64 text_gen, map_seq;
__u32 texts_wanted; /* a walk came to code that is not listed: the recorder looks again */
__u32 next_stack;
struct ht_stack_counters stack_counters[HT_CPUS_MAX];

/* The words stand in a store of their own, written round and round: `pos` counts all words ever placed there. */
struct memo {
	u64 key;     /* 0: empty */
	u32 seq;     /* odd while it is written */
	u32 id;
	u64 ip, start; /* start: frame 0 where that is not ip */
	u64 gen;
	u64 bp;      /* relative to sp, if bp_used */
	u64 pos;
	u16 nr;      /* words, a multiple of 4 */
	u16 bp_used; /* the rbp at the start was needed */
	u32 span;    /* bytes from sp on that hold them all */
};

struct memo_chunk {
	u64 words[HT_MEMO_CHUNK + HT_MEMO_WORDS]; /* the last memo of a chunk may reach beyond its end */
};

/* Sizes are set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct memo);
} memos SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct memo_chunk);
} memo_chunks SEC(".maps");

__u64 memo_pos; /* words placed so far */

/* Two a CPU: a program may be preempted by another's on a preemptible kernel. */
#define SCRATCHES 2
#define TEXTS_VOID_MAX 8

struct scratch {
	u32 busy;
	u32 raw_nbytes; /* that raw holds, from sp on */
	struct walk walk;
	struct memo_draft memo;
	struct {
		struct ht_ev_stack head;
		u64 frames[HT_FRAMES_MAX];
	} record;
	u64 raw[HT_MEMO_SPAN / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

/* Where a walk begins. */
struct stack_start {
	u64 ip, sp, bp;
	u64 ra_addr; /* where the return address stands, if known; else 0 */
	u64 frame0;  /* the call's own place, if it has returned already: ip is then behind a call; else 0 */
};

static __always_inline struct ht_stack_counters *stack_count(void)
{
	return &stack_counters[bpf_get_smp_processor_id() & (HT_CPUS_MAX - 1)];
}

#define STACK_COUNT(what) __sync_fetch_and_add(&stack_count()->what, 1)

static __always_inline struct scratch *scratch_claim(void)
{
	for (u32 i = 0; i < SCRATCHES; i++) {
		u32 index = bpf_get_smp_processor_id() * SCRATCHES + i;
		struct scratch *s = bpf_map_lookup_elem(&scratches, &index);

		if (s && !__sync_val_compare_and_swap(&s->busy, 0, 1))
			return s;
	}
	return NULL;
}

static __always_inline void scratch_release(struct scratch *s)
{
	__sync_lock_test_and_set(&s->busy, 0);
}

/* ---- the memo ---- */

/*
 * The key must tell stacks apart that begin alike (all calls of a wrapper of malloc), so it takes in some return addresses
 * further out. Where they stand follows, for most frames, from the return address before: that much of the rows is kept
 * at hand here. It is a guess for the key's sake only; what the memo says is verified in any case.
 */
#define KEY_FRAMES 8
#define FRAME_SIZES 8192

__u64 frame_sizes[FRAME_SIZES]; /* return address | frame's words << 48 */

static __always_inline __u64 *frame_size_at(u64 ra)
{
	return &frame_sizes[(ra * 0x9E3779B97F4A7C15ULL >> 40) & (FRAME_SIZES - 1)];
}

/* The piece of the stack that most memos need all of; the first bytes of raw hold it, if it could be read. */
#define FIRST_NBYTES 2048

static __always_inline u64 memo_key(struct scratch *s, const struct stack_start *at)
{
	/* Of the stack pointer only what threads with equal stacks have in common. */
	u64 k = (at->ip ^ at->frame0) * 0x9E3779B97F4A7C15ULL + (at->sp & 0xfffff) * 0xD6E8FEB86659FD93ULL;
	u64 place = at->ra_addr ? (at->ra_addr - at->sp) / 8 : FIRST_NBYTES / 8;

	s->raw_nbytes = bpf_probe_read_user(s->raw, FIRST_NBYTES, (void *)at->sp) ? 0 : FIRST_NBYTES;
	if (at->frame0)
		place = (*frame_size_at(at->ip) >> 48) - 1;
	for (int i = 0; i < KEY_FRAMES; i++) {
		u64 ra, size;

		if (place >= s->raw_nbytes / 8)
			break;
		ra = s->raw[place & (FIRST_NBYTES / 8 - 1)];
		k = (k ^ k >> 29 ^ ra) * 0xC2B2AE3D27D4EB4FULL;
		size = *frame_size_at(ra);
		if ((size & ((1ULL << 48) - 1)) != ra)
			break;
		place += size >> 48;
	}
	k ^= k >> 32;
	return k ? k : 1;
}

/* Words placed at pos have not been overwritten, nor are they about to be. */
static __always_inline int memo_words_stand(u64 pos)
{
	return *(volatile u64 *)&memo_pos - pos <= memo_chunks_mask * HT_MEMO_CHUNK;
}

static __always_inline struct memo_chunk *memo_chunk_at(u64 pos)
{
	u32 index = (u32)(pos / HT_MEMO_CHUNK & memo_chunks_mask);

	return bpf_map_lookup_elem(&memo_chunks, &index);
}

struct memo_check {
	const struct memo_chunk *chunk;
	const struct scratch *scratch;
	u64 sp, bad;
	u32 first;
};

static __always_inline u64 memo_word_differs(const struct memo_check *c, u32 i)
{
	u64 word = c->chunk->words[(c->first & (HT_MEMO_CHUNK - 1)) + (i & (HT_MEMO_WORDS - 1))];
	u64 v = c->scratch->raw[word >> MEMO_PLACE_SHIFT & (HT_MEMO_SPAN / 8 - 1)];

	return (v - (c->sp & (u64)((s64)word >> 63))) ^ (u64)((s64)(word << 16) >> 16);
}

/* Four words a turn: the turn itself costs as much as a word. */
static long memo_check_turn(u32 turn, void *arg)
{
	struct memo_check *c = arg;

	for (u32 k = 0; k < 4; k++)
		c->bad |= memo_word_differs(c, turn * 4 + k);
	return c->bad != 0;
}

/* So much of the stack into raw. */
static __always_inline int raw_read(struct scratch *s, u64 sp, u32 span)
{
	u64 nbytes = span;

	barrier_var(nbytes); /* or the bound is tested on a copy: verifiers before 6.4 lose it where the value itself is spilled */
	if (nbytes > HT_MEMO_SPAN || bpf_probe_read_user(s->raw, nbytes, (void *)sp))
		return -1;
	s->raw_nbytes = span;
	return 0;
}

/* The memo's number if it holds for this start, else 0. */
static __always_inline u32 memo_try(struct memo *m, struct scratch *s, const struct stack_start *at)
{
	u32 seq = *(volatile u32 *)&m->seq, id = m->id, span = m->span, nr = m->nr;
	u64 pos = m->pos;
	struct memo_check check = { .chunk = memo_chunk_at(pos), .scratch = s, .sp = at->sp, .first = (u32)pos & (HT_MEMO_CHUNK - 1) };

	if ((seq & 1) || m->ip != at->ip || m->start != at->frame0 || m->gen != *(volatile u64 *)&text_gen ||
	    next_stack - id >= HT_STACK_WINDOW || !check.chunk || !memo_words_stand(pos))
		return 0;
	if (m->bp_used && m->bp != at->bp - at->sp)
		return 0;
	if (span > s->raw_nbytes && raw_read(s, at->sp, span))
		return 0;
	bpf_loop(nr / 4, memo_check_turn, &check, 0);
	/* Neither the memo nor its words were overwritten meanwhile by another CPU. */
	barrier();
	return !check.bad && memo_words_stand(pos) && *(volatile u32 *)&m->seq == seq ? id : 0;
}

static __always_inline struct memo *memo_way(u64 key, u32 way)
{
	u32 index = ((u32)key & memo_sets_mask) * HT_MEMO_WAYS + way;

	return bpf_map_lookup_elem(&memos, &index);
}

static __always_inline u32 memo_find(struct scratch *s, const struct stack_start *at, u64 key)
{
	for (u32 way = 0; way < HT_MEMO_WAYS; way++) {
		struct memo *m = memo_way(key, way);
		u32 id;

		if (!m || m->key != key)
			continue;
		id = memo_try(m, s, at);
		if (id)
			return id;
	}
	return 0;
}

/* The number of words becomes a multiple of four. */
static __always_inline void memo_pad(struct memo_draft *m)
{
	for (int i = 0; i < 3; i++) {
		u32 n = m->nr;

		if (!(n & 3) || n >= HT_MEMO_WORDS)
			return;
		m->words[n] = m->words[0];
		m->nr = n + 1;
	}
}

/* Puts the words into the store. */
static __always_inline int memo_place(struct memo_draft *from, u64 *pos_ret)
{
	struct memo_chunk *chunk;
	u32 nr = from->nr;
	u64 pos;

	barrier_var(nr);
	if (nr > HT_MEMO_WORDS)
		return -1;
	pos = __sync_fetch_and_add(&memo_pos, nr);
	chunk = memo_chunk_at(pos);
	if (!chunk)
		return -1;
	bpf_probe_read_kernel(&chunk->words[pos & (HT_MEMO_CHUNK - 1)], nr * 8, from->words);
	*pos_ret = pos;
	return 0;
}

static __always_inline int memo_is_dead(const struct memo *m)
{
	return !m->key || m->gen != *(volatile u64 *)&text_gen || !memo_words_stand(m->pos);
}

/* The one to give way: a dead one if there is one, else any. */
static __always_inline struct memo *memo_victim(u64 key)
{
	struct memo *m = NULL;

	for (u32 way = 0; way < HT_MEMO_WAYS; way++) {
		m = memo_way(key, way);
		if (!m || memo_is_dead(m))
			return m;
	}
	STACK_COUNT(evictions);
	return memo_way(key, bpf_get_prandom_u32() & (HT_MEMO_WAYS - 1));
}

static __always_inline void memo_keep(struct memo_draft *from, const struct stack_start *at, u64 gen, u32 id, u64 key)
{
	struct memo *m;
	u64 pos;
	u32 seq;

	if (memo_place(from, &pos))
		return;
	m = memo_victim(key);
	if (!m)
		return;
	seq = *(volatile u32 *)&m->seq;
	if ((seq & 1) || __sync_val_compare_and_swap(&m->seq, seq, seq + 1) != seq)
		return; /* another CPU is writing it */
	m->key = key;
	m->id = id;
	m->ip = at->ip;
	m->start = at->frame0;
	m->gen = gen;
	m->bp = from->bp;
	m->pos = pos;
	m->nr = (u16)from->nr;
	m->bp_used = (u16)from->bp_used;
	m->span = from->span;
	__sync_fetch_and_add(&m->seq, 1);
}

/* ---- the walk ---- */

static long walk_turn(u32 turn, void *arg)
{
	struct scratch *s = *(struct scratch **)arg;
	struct walk *w = &s->walk;
	u64 ip = w->ip, sp = w->sp, words;
	long over = walk_step(w, &s->memo, stacks_frames);

	/* How far the next return address lies behind this one. */
	words = (w->sp - sp) / 8;
	if (!over && words && words < 1 << 15)
		*frame_size_at(ip) = ip | words << 48;
	return over;
}

static __always_inline void walk_begin(struct scratch *s, const struct stack_start *at)
{
	struct walk *w = &s->walk;
	struct memo_draft *m = &s->memo;

	w->ip = at->ip;
	w->sp = w->sp0 = at->sp;
	w->bp = at->bp;
	w->bp_from = BP_START;
	w->exact = !at->frame0;
	w->ended = w->cut = w->no_memo = w->nr = w->text = 0;
	w->window_addr = ~0ULL;
	w->ra_addr = at->ra_addr;
	m->bp_used = m->nr = m->span = 0;
}

/* A frame known beforehand, from which nothing is to be unwound. */
static __always_inline void walk_add_frame(struct walk *w, u64 ip)
{
	struct ht_text *t = text_find(w->list, ip, &w->text);

	if (!t)
		return;
	w->frames[0] = (u64)t->object << HT_FRAME_SHIFT | (t->offset + (ip - t->start));
	w->nr = 1;
}

/* By frame pointers alone, the probed function's own is not set up or not any more; but the site knows where its return
 * address stands. */
static __always_inline int walk_first_by_ra(struct walk *w, struct memo_draft *m, u64 ra_addr)
{
	u64 ra;

	walk_add_frame(w, w->ip);
	if (walk_read(w, ra_addr, &ra))
		return 1;
	memo_add(w, m, ra_addr, ra, 0);
	w->ip = ra;
	w->sp = ra_addr + 8;
	w->exact = 0;
	return 0;
}

static __always_inline void walk_run(struct scratch *s, const struct stack_start *at)
{
	struct walk *w = &s->walk;
	u64 version = *(volatile u64 *)&texts_version;
	struct ht_texts *list = &texts[version & 1];
	u64 gen = *(volatile u64 *)&text_gen;

	w->gen = gen;
	walk_begin(s, at);
	w->list = version & 1;
	if (list->gen != gen || !(list->confirmed || list->seq == *(volatile u64 *)&map_seq)) {
		walk_cut(w, HT_CUT_STALE);
		return;
	}
	if (at->frame0)
		walk_add_frame(w, at->frame0);
	if (stacks_mode != HT_STACKS_FP || at->frame0 || !at->ra_addr || !walk_first_by_ra(w, &s->memo, at->ra_addr))
		bpf_loop(HT_FRAMES_MAX + RETURN_INSTANCES_MAX, walk_turn, &s, 0);
	/* What was read may have been of two lists. */
	if (*(volatile u64 *)&texts_version != version || *(volatile u64 *)&text_gen != gen)
		walk_cut(w, HT_CUT_STALE);
	if (!w->cut && !w->ended)
		walk_cut(w, HT_CUT_MAX_FRAMES);
}

/* Sends the frames. 0 if there was no room. */
static __always_inline u32 stack_send(struct scratch *s)
{
	struct ht_ev_stack *e = &s->record.head;
	u32 nr = s->walk.nr, cpu = bpf_get_smp_processor_id();
	void *ring = bpf_map_lookup_elem(&rings, &cpu);

	head_fill(&e->h, HT_EV_STACK, 0, 0xffff);
	e->id = __sync_fetch_and_add(&next_stack, 1) + 1;
	if (nr > HT_FRAMES_MAX)
		nr = HT_FRAMES_MAX;
	e->nr = (u16)nr;
	e->cut = (u8)s->walk.cut;
	e->pad = 0;
	bpf_probe_read_kernel(s->record.frames, nr * 8, s->walk.frames);
	if (ring && !bpf_ringbuf_output(ring, e, sizeof(*e) + nr * 8, BPF_RB_NO_WAKEUP))
		return e->id;
	STACK_COUNT(lost);
	return 0;
}

static __always_inline void cut_count(u64 cut)
{
	barrier_var(cut); /* or clang tests cut - 1, of which verifiers before 6.8 learn nothing about cut */
	if (cut < HT_CUT_NR)
		STACK_COUNT(cut[cut]);
}

static __always_inline u32 stack_walk(struct scratch *s, const struct stack_start *at, u64 key)
{
	struct walk *w = &s->walk;
	u32 id, cut;

	walk_run(s, at);
	cut = w->cut;
	barrier_var(cut); /* or clang reads it again behind its check */
	STACK_COUNT(misses);
	__sync_fetch_and_add(&stack_count()->frames, w->nr);
	if (cut)
		cut_count(cut);
	if (cut == HT_CUT_NO_CODE)
		texts_wanted = 1;
	id = stack_send(s);
	/* What the recorder can mend is tried again the next time. */
	if (w->no_memo || cut == HT_CUT_STALE || cut == HT_CUT_NO_CODE || cut == HT_CUT_UNREADABLE) {
		STACK_COUNT(not_kept);
		return id;
	}
	if (!id)
		return 0;
	memo_pad(&s->memo);
	memo_keep(&s->memo, at, w->gen, id, key);
	return id;
}

/* The number of the stack that begins there, 0 if there is none to be had. A function of its own for the verifier. */
__noinline int stack_capture(const struct stack_start *at)
{
	struct scratch *s;
	u64 key;
	u32 id;

	if (!at)
		return 0;
	s = scratch_claim();
	if (!s) {
		STACK_COUNT(cut[HT_CUT_BUSY]);
		return 0;
	}
	key = memo_key(s, at);
	id = memo_find(s, at, key);
	if (id)
		STACK_COUNT(hits);
	else
		id = stack_walk(s, at, key);
	scratch_release(s);
	return (int)id;
}

/* ---- code comes and goes ---- */

/* Entries of the list that [start, end) touches are void from now on. 1: there were some; -1: too many to follow. */
static __always_inline int texts_void(struct ht_texts *l, u64 start, u64 end)
{
	u32 base = 0, n = l->nr;
	int found = 0;

	/* The last one that begins before `end`: those that overlap stand in front of it, one behind the other. */
	for (int i = 0; i < 12; i++) {
		u32 half = n >> 1;

		base += half & (u32)mask_below(l->texts[(base + half) & (HT_TEXTS_MAX - 1)].start, end);
		n -= half;
	}
	for (u32 k = 0; k < TEXTS_VOID_MAX && l->nr && k <= base; k++) {
		struct ht_text *t = &l->texts[(base - k) & (HT_TEXTS_MAX - 1)];

		if (t->start >= end)
			continue;
		if (t->end <= start) {
			if (t->end > t->start)
				break; /* no earlier one reaches so far */
			continue; /* void already */
		}
		t->end = t->start;
		found = k == TEXTS_VOID_MAX - 1 ? -1 : 1;
	}
	return found;
}

/* Tells the recorder, which may be making a list from mappings that it read before. */
static __always_inline void text_tell(u64 start, u64 end)
{
	u64 seq = __sync_fetch_and_add(&map_seq, 1) + 1;
	struct ht_text_change *c = &text_changes[seq & (HT_TEXT_CHANGES - 1)];

	c->start = start;
	c->end = end;
	__sync_lock_test_and_set(&c->seq, seq);
}

/* Code was mapped there, or what was there has gone. */
static __always_inline void text_changed(u64 start, u64 end, int comes)
{
	struct ht_texts *list = &texts[texts_version & 1];
	int found;
	u64 gen;

	if (comes)
		text_tell(start, end);
	found = texts_void(list, start, end);
	if (!found)
		return;
	if (!comes)
		text_tell(start, end);
	gen = __sync_fetch_and_add(&text_gen, 1) + 1;
	/* All memos are dead. The list, which knows of the change, is not. */
	if (found > 0 && list->gen == gen - 1)
		list->gen = gen;
}

/* A new program: nothing of the old one counts. */
static __always_inline void text_all_gone(void)
{
	text_tell(0, ~0ULL >> 1);
	__sync_fetch_and_add(&text_gen, 1);
}

#endif
