/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The way out of the kernel: one ring a CPU (one ring's lock would be the limit from about four busy CPUs), and losses. */
#ifndef HEAPTAPE_RING_BPF_H
#define HEAPTAPE_RING_BPF_H

#include "types.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#include "events.h"

/* The inner map is only a pattern; the recorder makes one ring of the size asked for, for each CPU. */
struct ring_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, HT_CPUS_MAX);
	__type(key, u32);
	__array(values, struct ring_map);
} rings SEC(".maps");

/* One a CPU, read by the recorder through its mapping: a system call on a map would keep perf-event programs that come up
 * on that CPU meanwhile from running (bpf_prog_active). */
struct ht_counters counters[HT_CPUS_MAX];

static __always_inline struct ht_counters *counters_get(void)
{
	return &counters[bpf_get_smp_processor_id() & (HT_CPUS_MAX - 1)];
}

static __always_inline void count_lost(u32 cause, s64 calls)
{
	struct ht_counters *c = counters_get();

	if (cause >= HT_LOSS_NR)
		return;
	/* Atomic: a preempted program of the same CPU may be in the middle of the same addition. */
	__sync_fetch_and_add(&c->lost[cause], calls);
	c->lost_last_ts = bpf_ktime_get_ns();
}

static __always_inline void count_nested(void)
{
	__sync_fetch_and_add(&counters_get()->nested, 1);
}

static __always_inline void count_other_lost(void)
{
	__sync_fetch_and_add(&counters_get()->other_lost, 1);
}

/* Index of the control ring: the number of CPUs. Set before loading. */
const volatile __u32 control_ring;

/* Room for one record in a ring, or NULL; the caller counts the loss. */
static __always_inline void *ring_reserve_in(u32 index, u64 nbytes)
{
	void *ring = bpf_map_lookup_elem(&rings, &index);

	return ring ? bpf_ringbuf_reserve(ring, nbytes, 0) : (void *)0;
}

static __always_inline void *ring_reserve(u64 nbytes)
{
	return ring_reserve_in(bpf_get_smp_processor_id(), nbytes);
}

static __always_inline void *ring_reserve_control(u64 nbytes)
{
	return ring_reserve_in(control_ring, nbytes);
}

static __always_inline void head_fill(struct ht_ev_head *h, u8 type, u8 flags, u16 site)
{
	h->type = type;
	h->flags = flags;
	h->site = site;
	h->tid = (u32)bpf_get_current_pid_tgid();
	h->ts = bpf_ktime_get_ns();
}

static __always_inline void head_fill_control(struct ht_ev_head *h, u8 type, u8 flags)
{
	head_fill(h, type, flags, (u16)bpf_get_smp_processor_id());
}

/* No wake-up: the recorder comes round every few milliseconds, a wake-up for each record would cost more than the trap. */
static __always_inline void ring_submit(void *record)
{
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

#endif
