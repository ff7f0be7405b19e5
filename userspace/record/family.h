/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * family.h - what the recorders of a process and of its children share (record --follow-fork).
 *
 * Each process has a recorder of its own, a copy (fork) of its parent's. All of them see one piece of shared memory: who records,
 * what has become of whom, whether all are to end; one table of held processes (bpf/events.h), which the kernel's programs
 * fill; and some sets of programs loaded beforehand, so that a child need not stand while they are verified. A guard, which holds no probe,
 * lets go whomever a dead recorder has left standing. Made by the first recorder; its copies inherit it.
 */
#ifndef HEAPTAPE_FAMILY_H
#define HEAPTAPE_FAMILY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "record/kernel.h"

#define FAMILY_LIMIT 64      /* processes recorded at once, unless asked otherwise */
#define FAMILY_LIMIT_MAX 512 /* beyond, their programs would slow every system call of the machine */
#define FAMILY_LISTED 4096   /* processes that are told of at the end; all have their tapes */

struct family;

enum family_state { FAMILY_RUNS, FAMILY_ENDED, FAMILY_FAILED };

/* What is told of a process at the end. */
struct family_process {
	pid_t pid, parent; /* parent 0: the first */
	char file[32];     /* in the folder */
	uint64_t start_ns; /* on the tapes' clock */
	uint64_t held_ns;  /* how long it stood at its start; 0: it did not */
	uint64_t calls, lost, live_nbytes, unknown_frees;
	int state;         /* enum family_state */
};

struct family_totals {
	unsigned nr_processes;   /* ever recorded, the first too */
	unsigned nr_failed;      /* whose recorder failed or died */
	unsigned nr_left_out;    /* children that could not be recorded */
	unsigned nr_loaded_late; /* children that stood until programs were loaded: no spare ones were left */
};

/* limit: processes at once. -errno. */
int family_new(unsigned limit, struct family **f_ret);
int family_held_fd(const struct family *f);
/* Loads the spare programs; ko as for the first process's. -errno, *why_ret as of kernel_open. */
int family_load_spares(struct family *f, const struct kernel_opts *ko, const char **why_ret);
/* The caller becomes the first recorder, and the guard is started. -errno. */
int family_begin(struct family *f, pid_t pid, const char *file);
/* The first recorder, now and then: a guard that was killed is followed by another. True: it was. */
bool family_renew_guard(struct family *f);
/* The first recorder is done, and so are all others: the guard ends. */
void family_free(struct family *f);

/* ---- recorders ---- */

/* A place for one more recorder, kept by the caller until family_become; -1: the limit is reached, or all are to end. */
int family_enter(struct family *f);
/* The place is not needed after all. */
void family_leave(struct family *f, int place);
/* The place is the copy's from now on; both the copy (pid 0: itself) and its maker call this. */
void family_become(struct family *f, int place, pid_t pid);
/* Closes what the copy does not need: every descriptor but those of the family, 0 to 2, and the nr given. */
void family_close_others(const struct family *f, const int *keep, unsigned nr);
/* Programs that are loaded already, waited for a little; given back by family_leave, or before. False: none have come free, and it is the
 * caller's turn to load some, which he says when he has. */
bool family_take_spare(struct family *f, int place, struct kernel *k_ret);
void family_give_spare(struct family *f, int place);
void family_loaded(struct family *f, int place);
void family_count_left_out(struct family *f);
/* The process's row in what is told at the end; NULL: the list is full. */
struct family_process *family_process_new(struct family *f, int place, pid_t pid, pid_t parent);
/* All recordings are to end; cause: a number of the caller's, not below 0, the first one's counts. */
void family_ask_end(struct family *f, int cause);
/* -1: nobody has asked. */
int family_end_asked(const struct family *f);
/* Other recorders than the first are at work. */
bool family_is_busy(struct family *f);
void family_totals(const struct family *f, struct family_totals *totals_ret);
const struct family_process *family_process(const struct family *f, unsigned i);

/* ---- held processes ---- */

/* tgid in the first pid namespace. NULL: it is not in the table. */
struct ht_held *family_held(const struct family *f, uint32_t tgid);
/* Waits until it stands. -ETIME: it never did; -ECANCELED: it was let go. */
int family_wait_standing(const struct ht_held *h);
/* False: somebody has let it go before. */
bool family_let_go(struct ht_held *h);
/* The process that the recorder follows, numbered as it numbers it, where it stands of itself; NULL: it does not. */
struct ht_held *family_held_by_pid(const struct family *f, pid_t pid);
/* Lets go all whom this recorder holds for longer than that. */
void family_lose_patience(struct family *f, uint64_t ns);

#endif
