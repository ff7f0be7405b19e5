// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* feed.bpf.c - fills a ring with records that lie ready in user space, so that what empties it can be timed by itself. */
#include "bpf/types.h"

#include <bpf/bpf_helpers.h>

#include "bpf/events.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring_0 SEC(".maps"), ring_1 SEC(".maps");

/* Records of one size in user space; a free takes the first bytes of its own. */
struct feed {
	u64 records, nr, ring;
};

static long feed_one(u32 i, struct feed *f)
{
	const struct ht_ev_alloc *from = (const struct ht_ev_alloc *)f->records + i;
	u64 head;
	void *record;

	if (bpf_copy_from_user(&head, sizeof(head), from))
		return 1;
	if ((head & 0xff) == HT_EV_FREE) {
		record = f->ring ? bpf_ringbuf_reserve(&ring_1, sizeof(struct ht_ev_free), 0) : bpf_ringbuf_reserve(&ring_0, sizeof(struct ht_ev_free), 0);
		if (!record)
			return 1;
		bpf_copy_from_user(record, sizeof(struct ht_ev_free), from);
	} else {
		record = f->ring ? bpf_ringbuf_reserve(&ring_1, sizeof(struct ht_ev_alloc), 0) : bpf_ringbuf_reserve(&ring_0, sizeof(struct ht_ev_alloc), 0);
		if (!record)
			return 1;
		bpf_copy_from_user(record, sizeof(struct ht_ev_alloc), from);
	}
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

/* How many it wrote. */
SEC("syscall") int feed(struct feed *ctx)
{
	struct feed f = { ctx->records, ctx->nr, ctx->ring };

	return (int)bpf_loop((u32)f.nr, feed_one, &f, 0);
}
