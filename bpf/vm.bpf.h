/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The address space, threads, faults: everything on the tape that is not a call of an allocator. */
#ifndef HEAPTAPE_VM_BPF_H
#define HEAPTAPE_VM_BPF_H

#include "alloc.bpf.h"

/* Set before loading. pid_ns: the recorder's own pid namespace if that is not the first one, else 0. */
const volatile __u32 target_tgid;
const volatile __u64 pid_ns_dev, pid_ns_ino;
/* The target is the recorder's own child: it stops itself where code has been mapped, until probes stand there. */
const volatile __u8 hold_child;

#define SIGSTOP_NR 19
#define PROT_EXEC_BIT 4
#define MAP_ANONYMOUS_BIT 0x20

static __always_inline int is_target(void)
{
	struct bpf_pidns_info ns;

	if (!pid_ns_ino)
		return (u32)(bpf_get_current_pid_tgid() >> 32) == target_tgid;
	if (bpf_get_ns_current_pid_tgid(pid_ns_dev, pid_ns_ino, &ns, sizeof(ns)))
		return 0;
	return ns.tgid == target_tgid;
}

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
	if (hold_child && call == HT_MAP_MMAP && (t->map.arg[2] & PROT_EXEC_BIT) && !(t->map.arg[3] & MAP_ANONYMOUS_BIT))
		bpf_send_signal(SIGSTOP_NR);
	t->map.nr = 0;
	return 0;
}

static __always_inline int thread_emit(struct task_struct *task, u8 type, u8 flags, u32 sub, const char *comm)
{
	struct ht_ev_thread *e = ring_reserve_control(sizeof(*e));

	if (!e) {
		count_other_lost();
		return 0;
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

static __always_inline int process_forked(struct task_struct *parent, struct task_struct *child)
{
	if (!is_target())
		return 0;
	if (BPF_CORE_READ(child, tgid) == BPF_CORE_READ(parent, tgid))
		return thread_emit(child, HT_EV_THREAD, HT_EVF_START, 0, child->comm);
	return thread_emit(NULL, HT_EV_FORK, 0, BPF_CORE_READ(child, pid), child->comm);
}

static __always_inline int task_renamed(struct task_struct *task, const char *comm)
{
	if (!is_target() || BPF_CORE_READ(task, tgid) != (int)(bpf_get_current_pid_tgid() >> 32))
		return 0;
	return thread_emit(task, HT_EV_THREAD, 0, 0, comm);
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
	if (!is_target())
		return 0;
	oom_check();
	return thread_emit(task, HT_EV_THREAD, HT_EVF_EXIT, 0, NULL);
}

static __always_inline int process_execed(struct task_struct *task)
{
	if (!is_target())
		return 0;
	text_all_gone();
	thread_emit(task, HT_EV_EXEC, 0, 0, task->comm);
	if (hold_child)
		bpf_send_signal(SIGSTOP_NR);
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
