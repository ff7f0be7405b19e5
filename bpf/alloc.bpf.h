/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * A site was reached: one small program serves all sites, told by the cookie which one it is.
 *
 * What is decided here, because only here it can be exact while records may get lost:
 *  - a call inside a call of the same allocator makes no record (realloc that calls malloc): it begins while an
 *    outer call of the same thread and allocator is open, and its return address lies in the allocator's own code,
 *    or it stands at the very same frame (a tail jump);
 *  - a wrapper's result makes no record: an inner call of the same thread gave the same address meanwhile.
 * Everything else that rests on addresses (wrappers' frees, sub-allocations) is decided in user space.
 */
#ifndef HEAPTAPE_ALLOC_BPF_H
#define HEAPTAPE_ALLOC_BPF_H

#include "calls.bpf.h"

/* A result is out: what frees and wrappers after it must know. */
static __always_inline void result_note(const struct hit *hit, u64 addr)
{
	struct thread_state *t = hit->thread;

	t->seq++;
	t->last_sp0 = hit->sp0;
	t->last_obj = hit->site->obj;
	t->last_valid = 1;
	t->last_addr = addr;
	t->last_seq = t->seq;
	t->tail_valid = 0;
	if (t->free_addr == addr)
		t->free_valid = 0;
}

/* A check of plans, in another process or side by side on the target: nobody keeps what it sees. */
static __always_inline int hit_is_check(const struct hit *hit)
{
	return hit->site->obj >= HT_OBJECTS_MAX - 2;
}

/* The stack of the call at hand. One that has returned already began at `began_ip`. */
static __always_inline u32 hit_stack(const struct hit *hit, u64 began_ip)
{
	struct stack_start at = { .ip = hit->r[16], .sp = hit->r[4], .bp = hit->r[5] };
	u8 thin = site_thin[hit->site_nr & (HT_SITES_MAX - 1)];

	if (!stacks_mode || hit_is_check(hit))
		return 0;
	if (thin && (thin == HT_THIN_ALL || (bpf_get_prandom_u32() & ((1u << (thin & 15)) - 1))))
		return 0;
	if (hit->site->ra_off < 0)
		at.frame0 = began_ip;
	else
		at.ra_addr = hit->sp0;
	return (u32)stack_capture(&at);
}

static __always_inline int alloc_emit(u16 site_nr, u8 kind, u64 addr, u64 size, u64 old, u64 align, u32 stack)
{
	if (!old && !align && kind != KIND_REALLOC) {
		struct ht_ev_alloc *e = ring_reserve(sizeof(*e));

		if (!e)
			return -1;
		head_fill(&e->h, HT_EV_ALLOC, 0, site_nr);
		e->addr = addr;
		e->size = size;
		e->stack = stack;
		e->pad = 0;
		ring_submit(e);
	} else {
		struct ht_ev_call *e = ring_reserve(sizeof(*e));

		if (!e)
			return -1;
		head_fill(&e->h, HT_EV_CALL, 0, site_nr);
		e->addr = addr;
		e->size = size;
		e->old = old;
		e->align = align;
		e->stack = stack;
		e->pad = 0;
		ring_submit(e);
	}
	return 0;
}

/* The call that `o` began has this result. */
static __always_inline void call_finish(const struct hit *hit, struct open_call *o, u64 addr)
{
	struct thread_state *t = hit->thread;
	const struct ht_site *began;
	u64 size;
	u32 nr;

	if (t->last_seq > o->seq && t->last_addr == addr) {
		count_nested(); /* a wrapper: the inner call owns the event */
		return;
	}
	result_note(hit, addr);
	if (o->lost)
		return;
	size = o->size;
	nr = o->site;
	began = bpf_map_lookup_elem(&sites, &nr);
	if (!began)
		return;
	if (alloc_emit(o->site, began->kind, addr, size, o->old, o->align, hit_stack(hit, o->ip)))
		count_lost(HT_LOSS_RING_FULL, 1);
}

static __always_inline void role_finish(const struct hit *hit)
{
	const struct ht_site *site = hit->site;
	struct thread_state *t = hit->thread;
	struct open_call *o = call_close(hit);
	u64 addr;

	if (t->nested_sp0 == hit->sp0)
		t->nested_sp0 = 0;
	if (!o)
		return;
	addr = loc_value(&site->ptr, hit->r, o->ptr);
	if (site->ptr.xform == HT_XFORM_DEREF)
		addr = addr ? 0 : user_word(o->ptr);
	call_finish(hit, o, addr);
}

static __always_inline void role_stash(const struct hit *hit)
{
	if (call_is_nested(hit)) {
		hit->thread->nested_sp0 = hit->sp0;
		count_nested();
		return;
	}
	if (call_open(hit, 0))
		count_lost(HT_LOSS_STASH_FULL, 1);
}

/* All enclosing calls of this thread lose their record with the inner one: they are one call of the program. */
static __always_inline void lose_enclosing(struct thread_state *t)
{
	for (u32 i = 0; i < HT_OPEN_MAX; i++) {
		if (i >= t->nr_open)
			break;
		t->open[i].lost = 1;
	}
}

static __always_inline void role_give_up(const struct hit *hit)
{
	struct thread_state *t = hit->thread;
	u64 old = loc_value(&hit->site->old, hit->r, 0);
	struct ht_ev_free *e;
	u8 lost = 0;

	if (call_is_nested(hit)) {
		t->nested_sp0 = hit->sp0;
		count_nested();
		return;
	}
	if (old) {
		e = ring_reserve(sizeof(*e));
		if (e) {
			head_fill(&e->h, HT_EV_GIVE_UP, 0, hit->site_nr);
			e->addr = old;
			e->size = size_value(hit->site, hit->r, 0);
			ring_submit(e);
			if (t->nr_open && t->nr_open <= HT_OPEN_MAX) {
				struct open_call *o = &t->open[(t->nr_open - 1) & (HT_OPEN_MAX - 1)];

				/* The wrapper around this call was counted as lost, but its call is seen here after all. */
				if (o->lost && o->old == old) {
					o->lost = 0;
					count_lost(HT_LOSS_RING_FULL, -1);
				}
			}
		} else {
			lost = 1;
			count_lost(HT_LOSS_RING_FULL, 1);
			if (t->nr_open && t->nr_open <= HT_OPEN_MAX &&
			    t->open[(t->nr_open - 1) & (HT_OPEN_MAX - 1)].old == old) {
				if (t->open[(t->nr_open - 1) & (HT_OPEN_MAX - 1)].lost)
					count_lost(HT_LOSS_RING_FULL, -1); /* already counted, with the wrapper */
				lose_enclosing(t);
			}
		}
	}
	if (call_open(hit, lost) && !lost)
		count_lost(HT_LOSS_STASH_FULL, 1);
}

/* This free is the tail of the free at hand before: same block, same frame, same caller, one allocator. */
static __always_inline int free_is_tail(const struct hit *hit, u64 addr)
{
	struct thread_state *t = hit->thread;
	int tail = 0;
	u64 ra;

	if (!t->tail_valid && !(hit->site->flags & HT_SITE_MAY_TAIL))
		return 0;
	ra = user_word(hit->sp0);
	if (t->tail_valid)
		tail = t->free_addr == addr && t->free_sp0 == hit->sp0 && t->tail_ra == ra && t->free_obj == hit->site->obj;
	t->tail_valid = !!(hit->site->flags & HT_SITE_MAY_TAIL);
	t->tail_ra = ra;
	return tail;
}

/* The inner free of a wrapper: the free before was of the same block, and its code called here, or tail-jumped here from
 * another object (operator delete of an allocator that goes through the PLT to a preloaded free). */
static __always_inline int free_is_inner(const struct hit *hit, u64 addr)
{
	struct thread_state *t = hit->thread;

	if (!t->free_valid || t->free_addr != addr || t->free_sp0 < hit->sp0)
		return 0;
	if (t->free_sp0 == hit->sp0)
		return t->free_obj != hit->site->obj;
	return in_text_of(t->free_obj, user_word(hit->sp0));
}

/* The allocator frees a block of its own: no call of the program's. */
static __always_inline int free_is_own(const struct hit *hit)
{
	u32 nr = hit->site->obj;
	struct ht_object *o;
	u64 ra;

	/* The read of the return address costs as much as all else of a free: announced ones need none. */
	if (!(hit->site->flags & HT_SITE_INNER) && hit->thread->own_sp0 != hit->sp0)
		return 0;
	hit->thread->own_sp0 = 0;
	o = bpf_map_lookup_elem(&objects, &nr);
	ra = user_word(hit->sp0);
	for (u32 i = 0; o && i < HT_INNER_MAX && o->inner_ra[i]; i++)
		if (o->inner_ra[i] == ra)
			return 1;
	return 0;
}

/* Room for a free's record; with its stack already in, if frees carry one. */
static __always_inline struct ht_ev_free *free_reserve(const struct hit *hit, u8 *type)
{
	struct ht_ev_free_at *e;
	u32 stack;

	*type = HT_EV_FREE;
	if (!stacks_frees || hit_is_check(hit))
		return ring_reserve(sizeof(struct ht_ev_free));
	stack = hit_stack(hit, 0);
	e = ring_reserve(sizeof(*e));
	if (!e)
		return NULL;
	*type = HT_EV_FREE_AT;
	e->stack = stack;
	e->pad = 0;
	return &e->f;
}

static __always_inline void role_free(const struct hit *hit)
{
	struct thread_state *t = hit->thread;
	u64 addr = loc_value(&hit->site->ptr, hit->r, 0);
	struct ht_ev_free *e;
	int inner;
	u8 type;

	if (!addr)
		return;
	if (free_is_own(hit) || free_is_tail(hit, addr) || call_is_nested(hit)) {
		count_nested();
		return;
	}
	inner = free_is_inner(hit, addr);
	e = free_reserve(hit, &type);
	if (e) {
		head_fill(&e->h, type, inner && !t->free_lost ? HT_EVF_INNER : 0,
			  hit->site_nr);
		e->addr = addr;
		e->size = size_value(hit->site, hit->r, 0);
		ring_submit(e);
		if (inner && t->free_lost)
			count_lost(HT_LOSS_RING_FULL, -1); /* the wrapper's record was lost, but the call is seen here */
	} else if (!(inner && t->free_lost)) {
		count_lost(HT_LOSS_RING_FULL, 1);
	}
	if (t->last_addr == addr)
		t->last_valid = 0;
	t->free_valid = 1;
	t->free_lost = !e;
	t->free_addr = addr;
	t->free_sp0 = hit->sp0;
	t->free_obj = hit->site->obj;
}

/* An open call of this allocator that tail-jumped into the function at hand: same frame, same caller. */
static __always_inline int ends_by_tail(const struct hit *hit)
{
	struct thread_state *t = hit->thread;
	u32 top = t->nr_open - 1;
	struct open_call *o;

	if (top >= HT_OPEN_MAX)
		return 0;
	o = open_call_at(t, top);
	return o->ra && o->sp0 == hit->sp0 && o->obj == hit->site->obj && o->func != hit->site->func &&
	       o->ra == user_word(hit->sp0);
}

/* A wrapper that is itself recorded by one trap: the call inside it gave this address last, from deeper on the stack. */
static __always_inline int is_wrapper(const struct hit *hit, u64 addr)
{
	struct thread_state *t = hit->thread;

	return addr && t->last_addr == addr && t->last_obj != hit->site->obj && t->last_sp0 <= hit->sp0 && t->last_valid;
}

/* One-trap allocation: size and result are both known here. */
static __always_inline void role_one_alloc(const struct hit *hit)
{
	const struct ht_site *site = hit->site;
	u64 addr = loc_value(&site->ptr, hit->r, 0);

	if (ends_by_tail(hit)) {
		struct open_call *o = call_close(hit);

		if (o)
			call_finish(hit, o, addr);
		return;
	}
	if (is_wrapper(hit, addr)) {
		hit->thread->last_valid = 0;
		count_nested();
		return;
	}
	if (call_is_nested(hit)) {
		count_nested();
		return;
	}
	result_note(hit, addr);
	if (alloc_emit(hit->site_nr, site->kind, addr, size_value(site, hit->r, 0), loc_value(&site->old, hit->r, 0),
		       loc_value(&site->align, hit->r, 0), hit_stack(hit, 0)))
		count_lost(HT_LOSS_RING_FULL, 1);
}

static __always_inline void role_steer(const struct hit *hit)
{
	struct ht_ev_steer *e = ring_reserve(sizeof(*e));

	if (!e) {
		count_other_lost();
		return;
	}
	head_fill(&e->h, HT_EV_STEER, 0, hit->site_nr);
	e->arg0 = loc_value(&hit->site->ptr, hit->r, 0);
	e->arg1 = loc_value(&hit->site->size, hit->r, 0);
	e->name[0] = 0;
	if (hit->site->ptr.xform == HT_XFORM_CSTRING)
		bpf_probe_read_user_str(e->name, sizeof(e->name), (void *)e->arg0);
	ring_submit(e);
}

#define TIMED_NS_MAX 50000

static __always_inline int site_serve(struct pt_regs *ctx, u32 nr, struct ht_site *site)
{
	struct hit hit = { .site = site };

	if (!cond_holds(hit.site->cond, ctx->flags))
		return 0;
	regs_copy(hit.r, ctx);
	hit.site_nr = (u16)nr;
	hit.sp0 = hit.r[4] + (s64)hit.site->ra_off;
	hit.thread = hit.site->flags & HT_SITE_REFERENCE ?
			     bpf_task_storage_get(&reference_threads, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE) :
			     thread_get();
	if (!hit.thread) {
		/* A FINISH without a beginning is nothing; anything else is a call that nobody will see. */
		if (hit.site->role != HT_ROLE_FINISH)
			count_lost(HT_LOSS_MAP_FULL, 1);
		return 0;
	}
	switch (hit.site->role) {
	case HT_ROLE_ONE:
		if (hit.site->kind >= KIND_FREE)
			role_free(&hit);
		else
			role_one_alloc(&hit);
		break;
	case HT_ROLE_STASH: role_stash(&hit); break;
	case HT_ROLE_FINISH: role_finish(&hit); break;
	case HT_ROLE_GIVE_UP: role_give_up(&hit); break;
	case HT_ROLE_STEER: role_steer(&hit); break;
	case HT_ROLE_OWN: hit.thread->own_sp0 = hit.r[4] - sizeof(u64); break; /* where the call will put its return address */
	case HT_ROLE_GUARD: count_lost(HT_LOSS_PLAN, 1); break;
	}
	return 0;
}

/*
 * Kernels from 6.13 on take the stack of a program that needs much of it from a piece of memory a CPU. An uprobe's program may be
 * preempted there, and the same program of another thread on that CPU then writes over it: seen to end in an Oops on 7.3. A
 * program with a tail call in it is left on the kernel stack; this one is never made.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} nowhere SEC(".maps");

__u32 tail_call_wanted; /* always 0, but the verifier cannot know */

static __always_inline void stay_on_kernel_stack(void *ctx)
{
	if (tail_call_wanted)
		bpf_tail_call(ctx, &nowhere, 0);
}

static __always_inline int site_reached(struct pt_regs *ctx)
{
	u32 nr = (u32)bpf_get_attach_cookie(ctx);
	struct ht_site *site = bpf_map_lookup_elem(&sites, &nr);
	struct ht_counters *c = counters_get();
	u64 begin = 0;

	stay_on_kernel_stack(ctx);
	if (!site)
		return 0;
	if (!(__sync_fetch_and_add(&c->traps[site->trap & (HT_TRAP_NR - 1)], 1) & (HT_TIMED_EVERY - 1)))
		begin = bpf_ktime_get_ns();
	site_serve(ctx, nr, site);
	if (begin) {
		begin = bpf_ktime_get_ns() - begin;
		if (begin < TIMED_NS_MAX) { /* or something else ran meanwhile */
			c->timed_ns += begin;
			c->timed++;
		}
	}
	return 0;
}

#endif
