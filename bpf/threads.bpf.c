// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* Where each thread of a process keeps its thread-local data: what no file of /proc tells. */
#include "types.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "threads.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before loading: 0 where the kernel (from 6.1 on) is asked for one process's threads only. */
const volatile __u32 only_tgid;

SEC("iter/task")
int list_threads(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct ht_thread_pointer t;

	if (!task || (only_tgid && (__u32)task->tgid != only_tgid))
		return 0;
	t.tid = (__u64)task->pid;
	t.pointer = task->thread.fsbase;
	bpf_seq_write(ctx->meta->seq, &t, sizeof(t));
	return 0;
}
