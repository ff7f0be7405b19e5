// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * What heaptape is compared with: a program that does nothing, and the usual way to trace an allocator (arguments kept by
 * thread in a hash at the entry, completed by a return probe, frees at the first instruction).
 */
#include "bpf/types.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* As large as heaptape's. */
struct record {
	u64 ts;
	u32 tid, kind;
	u64 addr, size, stack;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, u32);
	__type(value, u64);
} sizes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring SEC(".maps");

static __always_inline void emit(u32 kind, u64 addr, u64 size)
{
	struct record *r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);

	if (!r)
		return;
	r->ts = bpf_ktime_get_ns();
	r->tid = (u32)bpf_get_current_pid_tgid();
	r->kind = kind;
	r->addr = addr;
	r->size = size;
	r->stack = 0;
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
}

SEC("uprobe.multi") int empty(struct pt_regs *ctx) { return 0; }

SEC("uprobe.multi") int malloc_enter(struct pt_regs *ctx)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	u64 size = ctx->di;

	bpf_map_update_elem(&sizes, &tid, &size, BPF_ANY);
	return 0;
}

SEC("uprobe.multi") int malloc_return(struct pt_regs *ctx)
{
	u32 tid = (u32)bpf_get_current_pid_tgid();
	u64 *size = bpf_map_lookup_elem(&sizes, &tid);

	if (!size)
		return 0;
	emit(1, ctx->ax, *size);
	bpf_map_delete_elem(&sizes, &tid);
	return 0;
}

SEC("uprobe.multi") int free_enter(struct pt_regs *ctx)
{
	if (ctx->di)
		emit(10, ctx->di, 0);
	return 0;
}
