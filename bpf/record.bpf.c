// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/* What runs in the kernel while a tape is recorded: this list, and nothing else. */
#include "vm.bpf.h"
#include "capture.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Allocator sites. Two forms of the same two programs: one link for many sites (6.6), or a perf event for each. */
SEC("uprobe.multi") int multi_entry(struct pt_regs *ctx) { return site_reached(ctx); }
SEC("uprobe.multi") int multi_return(struct pt_regs *ctx) { return site_reached(ctx); }
SEC("uprobe") int perf_entry(struct pt_regs *ctx) { return site_reached(ctx); }
SEC("uretprobe") int perf_return(struct pt_regs *ctx) { return site_reached(ctx); }

/* A language's runtime. */
SEC("uprobe.multi") int multi_capture(struct pt_regs *ctx) { return capture_reached(ctx); }
SEC("uprobe.multi") int multi_capture_return(struct pt_regs *ctx) { return capture_reached(ctx); }
SEC("uprobe") int perf_capture(struct pt_regs *ctx) { return capture_reached(ctx); }
SEC("uretprobe") int perf_capture_return(struct pt_regs *ctx) { return capture_reached(ctx); }

/* The address space. */
SEC("tp/syscalls/sys_enter_mmap") int mmap_enter(struct sys_enter_ctx *ctx) { return map_enter(ctx, HT_MAP_MMAP, 5); }
SEC("tp/syscalls/sys_exit_mmap") int mmap_exit(struct sys_exit_ctx *ctx) { return map_exit(ctx, HT_MAP_MMAP); }
SEC("tp/syscalls/sys_enter_munmap") int munmap_enter(struct sys_enter_ctx *ctx) { return map_enter(ctx, HT_MAP_MUNMAP, 2); }
SEC("tp/syscalls/sys_exit_munmap") int munmap_exit(struct sys_exit_ctx *ctx) { return map_exit(ctx, HT_MAP_MUNMAP); }
SEC("tp/syscalls/sys_enter_mremap") int mremap_enter(struct sys_enter_ctx *ctx) { return map_enter(ctx, HT_MAP_MREMAP, 5); }
SEC("tp/syscalls/sys_exit_mremap") int mremap_exit(struct sys_exit_ctx *ctx) { return map_exit(ctx, HT_MAP_MREMAP); }
SEC("tp/syscalls/sys_enter_brk") int brk_enter(struct sys_enter_ctx *ctx) { return map_enter(ctx, HT_MAP_BRK, 1); }
SEC("tp/syscalls/sys_exit_brk") int brk_exit(struct sys_exit_ctx *ctx) { return map_exit(ctx, HT_MAP_BRK); }
SEC("tp/syscalls/sys_enter_madvise") int madvise_enter(struct sys_enter_ctx *ctx) { return map_enter(ctx, HT_MAP_MADVISE, 3); }
SEC("tp/syscalls/sys_exit_madvise") int madvise_exit(struct sys_exit_ctx *ctx) { return map_exit(ctx, HT_MAP_MADVISE); }

/* Threads and the process. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child) { return process_forked(parent, child); }
SEC("tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *task, const char *comm) { return task_renamed(task, comm); }
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task) { return process_exited(task); }
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task) { return process_execed(task); }
SEC("raw_tp/mark_victim") int on_oom(struct bpf_raw_tracepoint_args *ctx) { return oom_marked(ctx->args[0]); }

/* A child's way out of the call that made it, where children are recorded too. */
SEC("tp/syscalls/sys_exit_clone") int child_clone(struct sys_exit_ctx *ctx) { return child_began(ctx->ret); }
SEC("tp/syscalls/sys_exit_clone3") int child_clone3(struct sys_exit_ctx *ctx) { return child_began(ctx->ret); }
SEC("tp/syscalls/sys_exit_fork") int child_fork(struct sys_exit_ctx *ctx) { return child_began(ctx->ret); }
SEC("tp/syscalls/sys_exit_vfork") int child_vfork(struct sys_exit_ctx *ctx) { return child_began(ctx->ret); }

/* Page faults of the target's own tasks. */
SEC("perf_event") int on_fault(struct bpf_perf_event_data *ctx) { return page_faulted(ctx); }
