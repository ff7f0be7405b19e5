/* SPDX-License-Identifier: BSD-2-Clause */
/* syscalls.h - counts the system calls by which a process changes its memory, where rights allow. */
#ifndef HEAPTAPE_REPLAY_SYSCALLS_H
#define HEAPTAPE_REPLAY_SYSCALLS_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Counts mmap, munmap, mremap, mprotect, madvise and brk of pid and of all threads that it starts from here on; by a perf
 * event on the raw_syscalls tracepoint, which needs root or the rights for tracefs and perf. A descriptor, or -errno.
 */
int syscalls_open(pid_t pid);
/* 0 or -errno. */
int syscalls_read(int fd, uint64_t *nr_ret);

#endif
