/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.h - a live process, held by file descriptors so that a reused pid is never mistaken for it.
 *
 * Nothing here changes the process. Functions return -errno; -ESRCH when the process is gone.
 */
#ifndef HEAPTAPE_PROCESS_H
#define HEAPTAPE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	pid_t pid;   /* of the process (thread group) */
	int proc_fd; /* /proc/PID */
	int mem_fd;  /* /proc/PID/mem for reading, -1 without the right */
	int pid_fd;  /* readable when the process has ended */
};

enum process_refusal {
	PROCESS_OK,
	PROCESS_KERNEL_THREAD,
	PROCESS_32BIT,
	PROCESS_IS_THREAD, /* the number is a thread's, *tgid_ret is its process */
	PROCESS_ZOMBIE,
};

/* Opens pid. -ESRCH, -EACCES/-EPERM, ... */
int process_open(pid_t pid, struct process *p);
void process_close(struct process *p);
/* Whether such a process can be recorded at all. */
int process_check(const struct process *p, enum process_refusal *refusal_ret, pid_t *tgid_ret);
bool process_is_alive(const struct process *p);
/* Opens mem_fd anew: the old one keeps showing the address space from before an exec. */
void process_reopen_mem(struct process *p);

/* Reads the target's memory: all of it or -EFAULT. */
int process_read(const struct process *p, uint64_t addr, void *buf, size_t nbytes);

/* Calls fn for each thread until it returns non-zero, and returns that. */
int process_each_thread(const struct process *p, int (*fn)(void *arg, pid_t tid), void *arg);
/* Name of a thread; "" if it is gone. */
void process_thread_name(const struct process *p, pid_t tid, char name[16]);

/* Paths and words of the target, for free(); NULL if they cannot be read. cmdline: arguments quoted for a shell. */
char *process_exe(const struct process *p);
char *process_cmdline(const struct process *p);

/* Calls fn for each setting of an allocator in the environment the process was started with. */
int process_each_setting(const struct process *p, int (*fn)(void *arg, const char *name, const char *value), void *arg);

/* Whether system calls of the process are filtered, and whether it has shadow stacks (false where the kernel does not say). */
void process_restrictions(const struct process *p, bool *seccomp_ret, bool *shadow_stack_ret);

/* Resident bytes by kind, from /proc/PID/status (no walk of the page tables, no lock of the target's). */
struct process_resident {
	uint64_t anon, file, shmem;
};
int process_resident(const struct process *p, struct process_resident *resident_ret);

#endif
