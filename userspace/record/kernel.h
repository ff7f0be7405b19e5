/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.h - the programs in the kernel: loaded, with their rings and counters.
 *
 * Belongs to the recording thread. Everything goes away with the process, however it ends: nothing is pinned.
 */
#ifndef HEAPTAPE_KERNEL_H
#define HEAPTAPE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/events.h"
#include "unwind/store.h"

struct record_bpf; /* the skeleton */

enum kernel_backend {
	KERNEL_AUTO,
	KERNEL_MULTI, /* uprobe_multi links, Linux 6.6 and later */
	KERNEL_PERF,  /* a perf event for each site */
};

struct kernel_opts {
	pid_t pid;                  /* as this process's pid namespace numbers it; 0: kernel_target says it later */
	enum ht_hold_mode hold;
	enum kernel_backend backend;
	size_t ring_nbytes;         /* of each CPU, a power of two of at least a page */
	bool mappings, faults;
	bool captures;              /* programs for probes in a language's runtime (captures.h) */
	bool follows;               /* children may be recorded too: they are held, by way of the table */
	bool family_head;           /* ... by these programs, for all recorders of the family */
	bool small;                 /* one of many: fewer memos */
	int held_fd;                /* the table of held processes (follows) */
	enum ht_stacks_mode stacks;
	bool free_stacks;
	unsigned max_frames;
};

struct kernel {
	struct record_bpf *skel;
	enum kernel_backend backend; /* decided: never KERNEL_AUTO */
	int *ring_fds; /* nr_cpus + 1: the last is the control ring */
	unsigned nr_cpus;
	struct ht_shard **shards; /* room for rows that was made beforehand */
	unsigned nr_shards;
	bool has_tracepoints; /* syscall tracepoints are attached */
	int tracepoint_err;   /* why not, -errno */
	int *fault_fds; /* perf events, one a thread */
	unsigned nr_fault_fds;
	int fault_err;        /* the first thread's page faults that could not be had, -errno */
	int err_followed;     /* why children cannot be held, -errno */
	int oom_err;          /* why kills for lack of memory are not told from other exits, -errno; 0: they are */
};

/* Loads; attaches threads and process events, and the mapping tracepoints if asked for. -errno; *why_ret (static text)
 * says at which step. */
int kernel_open(const struct kernel_opts *opts, struct kernel *k, const char **why_ret);
/* CPUs that may ever be there: as many rings are made. */
unsigned kernel_nr_cpus(void);
/* Whom the programs are about from here on; HT_NOBODY: nobody. hold: enum ht_hold_mode. The counters go on. */
void kernel_target(struct kernel *k, pid_t pid, unsigned hold);
/* The target's children are held, and told of, from here on, or not any more. */
void kernel_follow(struct kernel *k, bool on);
/* Used for another target before, which must not show: to be called while it is about nobody. */
void kernel_reset(struct kernel *k);
/* How often the target has stopped itself by way of the table. */
uint32_t kernel_nr_holds(const struct kernel *k);
/* Children that no record tells of. */
uint32_t kernel_nr_untold(const struct kernel *k);
/* A descriptor that is readable when something was said that the recorder must act on at once. */
int kernel_doorbell(const struct kernel *k);
/* The table of held processes. fd, or -errno. */
int kernel_new_held_table(void);
/* Page faults of one more thread (and the threads it makes from now on). */
int kernel_watch_faults(struct kernel *k, pid_t tid);
/* Detaches everything but the sites' links, which belong to attach.h. */
void kernel_close(struct kernel *k);
/* Sums over all CPUs; no system call. */
void kernel_counters(const struct kernel *k, struct ht_counters *sum_ret);
/* Of 2^lg calls at the site one carries a stack from now on; HT_THIN_ALL: none. */
void kernel_thin_stacks(const struct kernel *k, unsigned site_nr, uint8_t lg);
/* The target has ended, killed by the kernel for lack of memory. */
bool kernel_target_oom(const struct kernel *k);
/* Where unwind tables go; valid while k is open. */
void kernel_unwind(const struct kernel *k, struct unwind_kernel *uk_ret);
/* Sums over all CPUs; no system call. */
void kernel_stack_counters(const struct kernel *k, struct ht_stack_counters *sum_ret);
/* How often the kernel left out a run of a site's program, since another BPF program was running on that CPU. Asked once,
 * at the end: the question itself keeps perf-event programs of this CPU from running. */
uint64_t kernel_missed_runs(const struct kernel *k);
/* Whether this kernel has uprobe_multi: tried, not guessed from its version. */
bool kernel_has_multi(void);
/* What this kernel is too old for, in words ("attach cookies (Linux 5.15), ..."), each tried; false: nothing that is known
 * lacks. */
bool kernel_is_too_old(char *lacks, size_t lacks_nbytes);
#define KERNEL_OLDEST "Linux 5.17"

#endif
