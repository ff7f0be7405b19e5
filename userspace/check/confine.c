/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a dynamic linker and an allocator need: memory, reading files, threads, clocks. Everything else fails with EPERM.
 */
#include "confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef __NR_uretprobe
#define __NR_uretprobe 335 /* the way back of a return probe, 6.11 and later */
#endif
#define NR_UPROBE 336 /* the way into a probe on a five-byte nop, 6.18 */

static const unsigned short allowed[] = {
	__NR_read, __NR_pread64, __NR_close, __NR_openat, __NR_open, __NR_readlink, __NR_readlinkat, __NR_access, __NR_faccessat,
	__NR_fstat, __NR_stat, __NR_lstat, __NR_newfstatat, __NR_statx, __NR_lseek, __NR_getdents64, __NR_fcntl, __NR_getcwd,
	__NR_mmap, __NR_mprotect, __NR_munmap, __NR_mremap, __NR_madvise, __NR_brk, __NR_mincore, __NR_mbind, __NR_get_mempolicy,
	__NR_membarrier, __NR_rseq, __NR_arch_prctl, __NR_set_tid_address, __NR_set_robust_list, __NR_futex, __NR_clone,
	__NR_clone3, __NR_sched_yield, __NR_sched_getaffinity, __NR_sched_setaffinity, __NR_getcpu, __NR_nanosleep,
	__NR_clock_nanosleep, __NR_clock_gettime, __NR_clock_getres, __NR_gettimeofday, __NR_time, __NR_getrandom, __NR_getpid,
	__NR_gettid, __NR_getuid, __NR_geteuid, __NR_getgid, __NR_getegid, __NR_getrlimit, __NR_prlimit64, __NR_getrusage,
	__NR_sysinfo, __NR_uname, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_sigaltstack, __NR_pause,
	__NR_restart_syscall, __NR_prctl, __NR_execveat, __NR_exit, __NR_exit_group, __NR_write, __NR_tgkill, __NR_uretprobe,
	NR_UPROBE,
};

enum { NR_ALLOWED = sizeof(allowed) / sizeof(allowed[0]), HEAD = 4, X32_BIT = 0x40000000 };

int confine_system_calls(void)
{
	struct sock_filter f[HEAD + NR_ALLOWED + 2];
	struct sock_fprog program = { .len = sizeof(f) / sizeof(f[0]), .filter = f };

	f[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	f[1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, HEAD + NR_ALLOWED - 2);
	f[2] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	f[3] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, HEAD + NR_ALLOWED - 4, 0);
	for (int i = 0; i < NR_ALLOWED; i++)
		f[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
							   (unsigned char)(NR_ALLOWED - i), 0);
	f[HEAD + NR_ALLOWED] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	f[HEAD + NR_ALLOWED + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? -errno : 0;
}
