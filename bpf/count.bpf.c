// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Counts calls and keeps nothing else: what an estimate runs in the kernel. */
#include "types.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cond.bpf.h"
#include "count.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HT_SITES_MAX);
	__type(key, u32);
	__type(value, struct ht_count);
} counts SEC(".maps");

static __always_inline int count_reached(struct pt_regs *ctx)
{
	u64 cookie = bpf_get_attach_cookie(ctx);
	u32 nr = (u32)cookie;
	struct ht_count *c = bpf_map_lookup_elem(&counts, &nr);

	if (!c)
		return 0;
	/* Atomic: a preempted program of the same CPU may be in the middle of the same addition. */
	__sync_fetch_and_add(&c->reached, 1);
	if (cond_holds((u8)(cookie >> HT_COUNT_COND_SHIFT), ctx->flags))
		__sync_fetch_and_add(&c->calls, 1);
	return 0;
}

SEC("uprobe.multi") int count_multi(struct pt_regs *ctx) { return count_reached(ctx); }
SEC("uprobe") int count_perf(struct pt_regs *ctx) { return count_reached(ctx); }
