/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * types.h - the few kernel types that the programs need, for CO-RE: only the fields that are read.
 * The loader finds their real offsets in the running kernel's BTF.
 */
#ifndef HEAPTAPE_BPF_TYPES_H
#define HEAPTAPE_BPF_TYPES_H

#include <linux/bpf.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;
typedef __s64 s64;

#if defined(__TARGET_ARCH_x86)
/* User registers at a probe: this layout is the processor's signal ABI and does not move. */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax;
	unsigned long ip, cs, flags, sp, ss;
};
#else
#error "bpf/types.h: registers of this architecture are not described yet"
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Return probes under way, innermost first: their return addresses are not on the stack. */
struct return_instance {
	unsigned long stack;          /* where the return address stood */
	unsigned long orig_ret_vaddr;
	struct return_instance *next;
};

struct uprobe_task {
	struct return_instance *return_instances;
};

struct mm_struct;

struct thread_struct {
	unsigned long fsbase;
};

struct task_struct {
	struct uprobe_task *utask;
	struct mm_struct *mm;
	int pid;
	int tgid;
	char comm[16];
	struct thread_struct thread;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* Tracepoints syscalls/sys_enter_* and sys_exit_*: the format files say so, the same since 3.x. */
struct sys_enter_ctx {
	u64 common;
	long nr;
	unsigned long args[6];
};

struct sys_exit_ctx {
	u64 common;
	long nr;
	long ret;
};

/* Context of a perf-event program (UAPI linux/bpf_perf_event.h, whose pt_regs would clash with ours). */
struct bpf_perf_event_data {
	struct pt_regs regs;
	u64 sample_period;
	u64 addr;
};

#endif
