/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Processes that stop themselves until probes stand in them: children at their birth, and any followed one where it maps code.
 * events.h (struct ht_held) says how they are let go.
 */
#ifndef HEAPTAPE_FOLLOW_BPF_H
#define HEAPTAPE_FOLLOW_BPF_H

#include "ring.bpf.h"

#define SIGCONT_NR 18
#define SIGSTOP_NR 19

/* Set before loading. pid_ns: the recorder's own pid namespace if that is not the first one, else 0. */
const volatile __u64 pid_ns_dev, pid_ns_ino;

/* Set by the recorder, the target last. */
__u32 target_tgid = HT_NOBODY; /* as the recorder numbers it */
__u32 recorder_pid, hold_mode; /* enum ht_hold_mode */
__u32 follows;                 /* children are recorded too */
__u32 nr_holds;                /* stops the target has made by way of the table */
__u32 nr_untold;               /* children that no record tells of: the ring was full */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ht_held_table);
} held SEC(".maps");

/* Wakes the recorder at once: what it says stands in the control ring and in the table. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} doorbell SEC(".maps");

static __always_inline void doorbell_ring(void)
{
	u32 once = 1;

	bpf_ringbuf_output(&doorbell, &once, sizeof(once), BPF_RB_FORCE_WAKEUP);
}

/* The current process's number as the recorder's namespace has it; 0: it is not seen from there. */
static __always_inline u32 current_pid(void)
{
	struct bpf_pidns_info ns;

	if (!pid_ns_ino)
		return (u32)(bpf_get_current_pid_tgid() >> 32);
	if (bpf_get_ns_current_pid_tgid(pid_ns_dev, pid_ns_ino, &ns, sizeof(ns)))
		return 0;
	return ns.tgid;
}

static __always_inline int is_target(void)
{
	u32 pid = current_pid();

	return pid && pid == *(volatile u32 *)&target_tgid;
}

static __always_inline struct ht_held_table *held_table(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&held, &zero);
}

static __always_inline struct ht_held *held_find(u32 tgid)
{
	struct ht_held_table *table = held_table();

	for (u32 i = 0; table && i < HT_HELD_PROBES; i++) {
		struct ht_held *h = &table->places[(tgid + i) & (HT_HELD_MAX - 1)];

		if (h->tgid == tgid)
			return h;
	}
	return NULL;
}

/* A place for the process, in that state from now on. */
static __always_inline struct ht_held *held_take(u32 tgid, u32 pid, u32 state)
{
	struct ht_held_table *table = held_table();

	for (u32 i = 0; table && i < HT_HELD_PROBES; i++) {
		struct ht_held *h = &table->places[(tgid + i) & (HT_HELD_MAX - 1)];

		if (h->tgid || __sync_val_compare_and_swap(&h->tgid, 0, tgid))
			continue;
		h->pid = pid;
		h->recorder = recorder_pid;
		h->since_ns = bpf_ktime_get_ns();
		__sync_lock_test_and_set(&h->state, state);
		return h;
	}
	return NULL;
}

/* The signal comes first: whoever finds the process standing may let it go by a SIGCONT. */
static __always_inline void held_stop(struct ht_held *h, u32 from)
{
	u32 was;

	h->pid = current_pid();
	if (!h->pid || bpf_send_signal(SIGSTOP_NR)) {
		__sync_lock_test_and_set(&h->state, HT_HELD_GONE);
		return;
	}
	was = __sync_val_compare_and_swap(&h->state, from, HT_HELD_STANDS);
	if (was != from && was != HT_HELD_STANDS)
		bpf_send_signal(SIGCONT_NR); /* let go meanwhile */
}

/* In a child's own first step. */
static __always_inline int child_began(long ret)
{
	struct ht_held *h = ret ? NULL : held_find((u32)(bpf_get_current_pid_tgid() >> 32));

	if (!h || h->state != HT_HELD_BORN)
		return 0;
	held_stop(h, HT_HELD_BORN);
	doorbell_ring();
	return 0;
}

/* The current process shares the memory of one that this recorder follows. */
static __always_inline struct ht_held *held_sharer(void)
{
	struct ht_held *h = follows ? held_find((u32)(bpf_get_current_pid_tgid() >> 32)) : NULL;

	return h && h->state == HT_HELD_SHARES && h->recorder == recorder_pid ? h : NULL;
}

/* Where the target has mapped code, or replaced its program. */
static __always_inline void hold_target(void)
{
	u32 tgid = (u32)(bpf_get_current_pid_tgid() >> 32);
	struct ht_held *h;

	if (hold_mode == HT_HOLD_CHILD)
		bpf_send_signal(SIGSTOP_NR);
	if (hold_mode != HT_HOLD_FOLLOWED)
		return;
	h = held_find(tgid);
	if (!h)
		h = held_take(tgid, current_pid(), HT_HELD_BORN);
	else if (__sync_val_compare_and_swap(&h->state, HT_HELD_GONE, HT_HELD_BORN) == HT_HELD_GONE)
		h->since_ns = bpf_ktime_get_ns();
	if (!h)
		return;
	if (h->state == HT_HELD_BORN)
		held_stop(h, HT_HELD_BORN);
	__sync_fetch_and_add(&nr_holds, 1);
	doorbell_ring();
}

#endif
