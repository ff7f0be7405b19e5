/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The address space, threads, faults: everything on the tape that is not a call of an allocator. */
#ifndef HEAPTAPE_VM_BPF_H
#define HEAPTAPE_VM_BPF_H

#include "alloc.bpf.h"
#include "follow.bpf.h"

#define PROT_EXEC_BIT 4
#define MAP_ANONYMOUS_BIT 0x20

static __always_inline u64 user_ip(void)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

	return regs ? BPF_CORE_READ(regs, ip) : 0;
}

static __always_inline void map_emit(const struct map_call *m, u8 type, s64 ret)
{
	struct ht_ev_map *e = ring_reserve_control(sizeof(*e));

	if (!e) {
		count_other_lost();
		return;
	}
	head_fill_control(&e->h, type, m->open ? HT_EVF_OPEN : 0);
	e->call = m->nr - 1;
	e->obj = m->obj;
	for (int i = 0; i < 5; i++)
		e->arg[i] = m->arg[i];
	e->ret = ret;
	e->ip = m->ip;
	ring_submit(e);
}

/* Reading an argument that the call does not have would make the kernel refuse the program. */
static __always_inline int map_enter(struct sys_enter_ctx *ctx, u32 call, const int nr_args)
{
	struct thread_state *t;
	struct map_call *m;

	if (!is_target())
		return 0;
	t = thread_get();
	if (!t) {
		count_other_lost();
		return 0;
	}
	m = &t->map;
	m->nr = call + 1;
	m->arg[0] = ctx->args[0];
	m->arg[1] = nr_args > 1 ? ctx->args[1] : 0;
	m->arg[2] = nr_args > 2 ? ctx->args[2] : 0;
	m->arg[3] = nr_args > 3 ? ctx->args[3] : 0;
	m->arg[4] = nr_args > 4 ? ctx->args[4] : 0;
	m->ip = user_ip();
	m->open = t->nr_open != 0;
	m->obj = 0;
	if (t->nr_open && t->nr_open <= HT_OPEN_MAX)
		m->obj = t->open[(t->nr_open - 1) & (HT_OPEN_MAX - 1)].obj;
	/* What gives memory back is told before it happens: from then on another thread may get the same addresses. */
	if (call != HT_MAP_MMAP)
		map_emit(m, HT_EV_MAP_ENTER, 0);
	return 0;
}

/* What a call of these may do to listed code. */
static __always_inline void map_change_text(const struct map_call *m, u32 call, s64 ret)
{
	if (!stacks_mode || (u64)ret >= -4096ULL)
		return;
	switch (call) {
	case HT_MAP_MMAP: text_changed((u64)ret, (u64)ret + m->arg[1], m->arg[2] & PROT_EXEC_BIT); break;
	case HT_MAP_MUNMAP: text_changed(m->arg[0], m->arg[0] + m->arg[1], 0); break;
	case HT_MAP_MREMAP:
		text_changed(m->arg[0], m->arg[0] + m->arg[1], 0);
		text_changed((u64)ret, (u64)ret + m->arg[2], 0);
		break;
	}
}

static __always_inline int map_exit(struct sys_exit_ctx *ctx, u32 call)
{
	struct thread_state *t;

	if (!is_target())
		return 0;
	t = thread_get();
	if (!t || t->map.nr != call + 1)
		return 0;
	map_change_text(&t->map, call, ctx->ret);
	map_emit(&t->map, HT_EV_MAP_EXIT, ctx->ret);
	/* arg[4] of mmap is the file; code from a file may bring an allocator. */
	if (hold_mode && call == HT_MAP_MMAP && (s64)ctx->ret > 0 && (t->map.arg[2] & PROT_EXEC_BIT) && !(t->map.arg[3] & MAP_ANONYMOUS_BIT))
		hold_target();
	t->map.nr = 0;
	return 0;
}

/* -1: there was no room. */
static __always_inline int thread_emit(struct task_struct *task, u8 type, u8 flags, u32 sub, const char *comm)
{
	struct ht_ev_thread *e = ring_reserve_control(sizeof(*e));

	if (!e) {
		count_other_lost();
		return -1;
	}
	head_fill_control(&e->h, type, flags);
	if (task)
		e->h.tid = BPF_CORE_READ(task, pid);
	e->sub = sub;
	e->pad = 0;
	__builtin_memset(e->comm, 0, sizeof(e->comm));
	if (comm)
		bpf_probe_read_kernel(e->comm, sizeof(e->comm), comm);
	ring_submit(e);
	return 0;
}

/* Of a child that is to be recorded. It does not run yet. */
static __always_inline int child_born(struct task_struct *child, u32 tgid, int shares)
{
	struct ht_held *h = held_take(tgid, 0, shares ? HT_HELD_SHARES : HT_HELD_BORN);
	u8 flags = (h ? HT_EVF_HELD : 0) | (shares ? HT_EVF_SHARES : 0);

	if (!thread_emit(NULL, HT_EV_FORK, flags, tgid, child->comm)) {
		if (!shares)
			doorbell_ring();
		return 0;
	}
	/* No record, no recorder: it must not stop. */
	__sync_fetch_and_add(&nr_untold, 1);
	if (h)
		__sync_lock_test_and_set(&h->state, HT_HELD_GONE);
	return 0;
}

static __always_inline int process_forked(struct task_struct *parent, struct task_struct *child)
{
	int target = is_target();
	u32 tgid;

	if (!target && !held_sharer())
		return 0;
	tgid = (u32)BPF_CORE_READ(child, tgid);
	if (target && tgid == (u32)BPF_CORE_READ(parent, tgid)) {
		thread_emit(child, HT_EV_THREAD, HT_EVF_START, 0, child->comm);
		return 0;
	}
	if (tgid == (u32)BPF_CORE_READ(parent, tgid))
		return 0; /* a thread of a child that has no memory of its own yet */
	if (follows)
		return child_born(child, tgid, BPF_CORE_READ(child, mm) == BPF_CORE_READ(parent, mm));
	thread_emit(NULL, HT_EV_FORK, 0, tgid, child->comm);
	return 0;
}

static __always_inline int task_renamed(struct task_struct *task, const char *comm)
{
	if (!is_target() || BPF_CORE_READ(task, tgid) != (int)(bpf_get_current_pid_tgid() >> 32))
		return 0;
	thread_emit(task, HT_EV_THREAD, 0, 0, comm);
	return 0;
}

/* Whom the kernel last killed for lack of memory, in the numbers of the first pid namespace; is the target among them? */
#define OOM_VICTIMS 8 /* a power of two; between being marked and ending there are milliseconds */
#define PID_NUMBERS (1u << 22) /* the kernel's PID_MAX_LIMIT */
__u32 oom_victims[OOM_VICTIMS], nr_oom_victims, target_oom;

/* Linux before 6.9 tells the number of a thread, later ones the task. */
static __always_inline int oom_marked(u64 victim)
{
	u32 id = victim < PID_NUMBERS ? (u32)victim : (u32)BPF_CORE_READ((struct task_struct *)victim, tgid);

	oom_victims[__sync_fetch_and_add(&nr_oom_victims, 1) & (OOM_VICTIMS - 1)] = id;
	return 0;
}

static __always_inline void oom_check(void)
{
	u64 ids = bpf_get_current_pid_tgid();

	for (u32 i = 0; i < OOM_VICTIMS; i++)
		if (oom_victims[i] && (oom_victims[i] == (u32)ids || oom_victims[i] == (u32)(ids >> 32)))
			target_oom = 1;
}

static __always_inline int process_exited(struct task_struct *task)
{
	struct ht_held *h;

	if (!is_target()) {
		h = held_sharer();
		if (h && BPF_CORE_READ(task, pid) == BPF_CORE_READ(task, tgid))
			__sync_lock_test_and_set(&h->state, HT_HELD_GONE);
		return 0;
	}
	oom_check();
	thread_emit(task, HT_EV_THREAD, HT_EVF_EXIT, 0, NULL);
	return 0;
}

static __always_inline int process_execed(struct task_struct *task)
{
	struct ht_held *h;

	if (!is_target()) {
		h = held_sharer();
		if (!h)
			return 0;
		/* Its memory is its own from here on. */
		h->since_ns = bpf_ktime_get_ns();
		if (thread_emit(NULL, HT_EV_CHILD, HT_EVF_HELD, h->tgid, task->comm)) {
			__sync_fetch_and_add(&nr_untold, 1);
			__sync_lock_test_and_set(&h->state, HT_HELD_GONE);
			return 0;
		}
		held_stop(h, HT_HELD_SHARES);
		doorbell_ring();
		return 0;
	}
	text_all_gone();
	thread_emit(task, HT_EV_EXEC, 0, 0, task->comm);
	if (hold_mode == HT_HOLD_AT_EXEC)
		hold_mode = HT_HOLD_FOLLOWED;
	if (hold_mode)
		hold_target();
	return 0;
}

/* The event is inherited by threads born later; were it ever inherited by a child process, that is not the target. */
static __always_inline int page_faulted(struct bpf_perf_event_data *ctx)
{
	struct ht_ev_free *e;
	u64 addr = ctx->addr;

	if (!is_target())
		return 0;
	e = ring_reserve(sizeof(*e));
	if (!e) {
		count_other_lost();
		return 0;
	}
	head_fill(&e->h, HT_EV_FAULT, 0, 0xffff);
	e->addr = addr;
	e->size = 0;
	ring_submit(e);
	return 0;
}

#endif
