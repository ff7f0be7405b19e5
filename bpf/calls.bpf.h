/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Which calls a thread has open, what a site finds in its registers, and whether one call is made inside another.
 */
#ifndef HEAPTAPE_CALLS_BPF_H
#define HEAPTAPE_CALLS_BPF_H

#include "cond.bpf.h"
#include "stack.bpf.h"

/* The bounds of what an allocator puts on the stack between a call and a call inside it, and of one thread's stack. */
#define NESTED_STACK_MAX 65536
#define THREAD_STACK_MAX (8 << 20)

/* Numbers of formats/tape.h that the programs look at (kinds on disk never change). */
enum { KIND_REALLOC = 3, KIND_FREE = 10 };

struct open_call {
	u64 sp0; /* address of the call's return address: names the frame */
	u64 size, old, align, ptr;
	u64 ra;  /* return address, where the call may end by a tail jump; else 0 */
	u64 ip;  /* of the site where it began */
	u32 seq; /* thread_state.seq when the call began */
	u16 site, func;
	u8 obj;
	u8 lost; /* its first record found no room: write none, it is counted */
	u8 pad[6];
};

struct map_call {
	u64 arg[5];
	u64 ip;
	u32 nr; /* enum ht_map_call + 1; 0: none under way */
	u32 obj;
	u32 open;
	u32 pad;
};

struct thread_state {
	u32 nr_open;
	u32 seq;       /* allocation calls of this thread that have ended */
	u64 last_addr; /* result of the last of them, and its seq */
	u64 last_sp0;  /* its frame */
	u32 last_seq;
	u8 last_obj, last_valid; /* valid: nothing was freed there since by this thread */
	u8 free_valid, free_obj, free_lost, tail_valid;
	u64 free_addr, free_sp0, tail_ra;
	u64 nested_sp0; /* frame of a nested call under way, 0: none */
	u64 own_sp0;    /* frame of the allocator's own free to come, 0: none */
	struct open_call open[HT_OPEN_MAX];
	struct map_call map;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_state);
} threads SEC(".maps");

/* For sites that are compared with others of the same function (HT_SITE_REFERENCE): the one must not see the other's calls. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_state);
} reference_threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HT_SITES_MAX);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, u32);
	__type(value, struct ht_site);
} sites SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HT_OBJECTS_MAX);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, u32);
	__type(value, struct ht_object);
} objects SEC(".maps");

/* A site reached: the registers (copied to the stack, so that a variable index is legal) and what belongs to it. */
struct hit {
	u64 r[17];
	u64 sp0;
	struct thread_state *thread;
	const struct ht_site *site;
	u16 site_nr;
};

static __always_inline struct thread_state *thread_get(void)
{
	return bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline void regs_copy(u64 *r, struct pt_regs *c)
{
	r[0] = c->ax;
	r[1] = c->cx;
	r[2] = c->dx;
	r[3] = c->bx;
	r[4] = c->sp;
	r[5] = c->bp;
	r[6] = c->si;
	r[7] = c->di;
	r[8] = c->r8;
	r[9] = c->r9;
	r[10] = c->r10;
	r[11] = c->r11;
	r[12] = c->r12;
	r[13] = c->r13;
	r[14] = c->r14;
	r[15] = c->r15;
	r[16] = c->ip;
}

static __always_inline u64 user_word(u64 addr)
{
	u64 v = 0;

	bpf_probe_read_user(&v, sizeof(v), (void *)addr);
	return v;
}

static __always_inline u64 loc_value(const struct ht_loc *l, const u64 *r, u64 stashed)
{
	u64 v = 0;

	switch (l->from) {
	case HT_FROM_STASH: return stashed;
	case HT_FROM_REG: v = r[l->reg & 15]; break;
	case HT_FROM_REG32: v = (u32)r[l->reg & 15]; break;
	case HT_FROM_STACK: v = user_word(r[4] + (s64)l->disp); break;
	case HT_FROM_MEM: v = user_word(r[l->reg & 15] + (s64)l->disp); break;
	default: return 0;
	}
	if (l->xform == HT_XFORM_LG_ALIGN)
		v = v & 63 ? 1ULL << (v & 63) : 0;
	return v;
}

/* Requested bytes; a product that does not fit is larger than any memory. */
static __always_inline u64 size_value(const struct ht_site *site, const u64 *r, u64 stashed)
{
	u64 size = loc_value(&site->size, r, stashed), mul, product;

	if (site->mul.from == HT_FROM_NONE)
		return size;
	mul = loc_value(&site->mul, r, 0);
	if (site->mul.xform == HT_XFORM_HIGH)
		return mul ? ~0ULL : size;
	product = size * mul;
	barrier_var(product); /* or clang makes it a 128-bit multiplication, which BPF has not */
	return mul && product / mul != size ? ~0ULL : product;
}

static __always_inline int in_text_of(u32 obj, u64 addr)
{
	struct ht_object *o = bpf_map_lookup_elem(&objects, &obj);

	return o && addr >= o->text_start && addr < o->text_end;
}

/* The mask holds what the callers have tested already: verifiers before 6.8 lose that where clang goes on with a copy. */
static __always_inline struct open_call *open_call_at(struct thread_state *t, u32 i)
{
	barrier_var(i);
	return &t->open[i & (HT_OPEN_MAX - 1)];
}

/* The call at hand is made by an open call of the same allocator. */
static __always_inline int call_is_nested(const struct hit *hit)
{
	struct thread_state *t = hit->thread;
	u64 ra = 0;

	for (u32 i = 0; i < HT_OPEN_MAX; i++) {
		struct open_call *o = &t->open[i];

		if (i >= t->nr_open)
			break;
		if (o->obj != hit->site->obj || o->sp0 < hit->sp0 || o->sp0 - hit->sp0 > NESTED_STACK_MAX)
			continue;
		if (o->sp0 == hit->sp0) {
			if (o->func != hit->site->func)
				return 1;
			continue; /* a call that never ended (longjmp), not one around this one */
		}
		/* A tail jump of a nested call, whose return address the kernel has replaced by its trampoline's. */
		if (t->nested_sp0 == hit->sp0)
			return 1;
		if (!ra)
			ra = user_word(hit->sp0);
		if (in_text_of(o->obj, ra))
			return 1;
	}
	return 0;
}

/* Open calls whose frame is gone (longjmp, or an exception thrown through them): this call's frame covers theirs. */
static __always_inline void drop_dead_calls(struct thread_state *t, u64 sp0, u16 func, u8 obj)
{
	for (u32 i = 0; i < HT_OPEN_MAX; i++) {
		u32 top = t->nr_open - 1;
		struct open_call *o;

		if (top >= HT_OPEN_MAX)
			return;
		o = open_call_at(t, top);
		if (o->sp0 > sp0 || sp0 - o->sp0 > THREAD_STACK_MAX)
			return;
		/* At the same frame: another allocator's wrapper tail-jumped here, and is still open. */
		if (o->sp0 == sp0 && (o->obj != obj || o->func != func))
			return;
		t->nr_open = top;
	}
}

static __always_inline int call_open(const struct hit *hit, u8 lost)
{
	struct thread_state *t = hit->thread;
	const struct ht_site *site = hit->site;
	struct open_call *o;
	u32 n;

	drop_dead_calls(t, hit->sp0, site->func, site->obj);
	n = t->nr_open;
	if (n >= HT_OPEN_MAX)
		return -1;
	o = open_call_at(t, n);
	o->sp0 = hit->sp0;
	o->size = size_value(site, hit->r, 0);
	o->old = loc_value(&site->old, hit->r, 0);
	o->align = loc_value(&site->align, hit->r, 0);
	o->ptr = loc_value(&site->ptr, hit->r, 0);
	o->ra = site->flags & HT_SITE_MAY_TAIL ? user_word(hit->sp0) : 0;
	o->seq = t->seq;
	o->ip = hit->r[16];
	o->site = hit->site_nr;
	o->func = site->func;
	o->obj = site->obj;
	o->lost = lost;
	t->nr_open = n + 1;
	return 0;
}

/* The open call that ends at this frame, taken out (with all above it: they are gone); NULL if it began unseen. */
static __always_inline struct open_call *call_close(const struct hit *hit)
{
	struct thread_state *t = hit->thread;

	for (u32 k = 0; k < HT_OPEN_MAX; k++) {
		u32 i = HT_OPEN_MAX - 1 - k;
		struct open_call *o = &t->open[i];

		if (i >= t->nr_open || o->sp0 != hit->sp0 || o->obj != hit->site->obj)
			continue;
		t->nr_open = i;
		return o;
	}
	return NULL;
}

#endif
