/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tables.h - the target's executable mappings and their rows, kept in the kernel while a recording runs.
 *
 * tables_update looks at the mappings, loads what is new and brings a new list into force; bpf/stack.bpf.h says by
 * which protocol. Objects get numbers that are never given again, so a frame that says "object 7, offset 0x1234" can be
 * named whenever it is read, also after the object has gone. Belongs to the recording thread.
 */
#ifndef HEAPTAPE_TABLES_H
#define HEAPTAPE_TABLES_H

#include "target/process.h"
#include "unwind/store.h"

struct tables;

struct tables_totals {
	uint64_t objects, rows, nbytes; /* nbytes: of kernel memory that holds rows */
	uint64_t updates;
	uint64_t unread; /* objects whose file could not be read, or that have no .eh_frame */
};

/* mode: HT_STACKS_EH or HT_STACKS_FP. */
struct tables *tables_new(const struct unwind_kernel *uk, enum ht_stacks_mode mode);
/* In a copy of the process: the same files for another process, by other programs. Their rows need not be found again. 0 or -ENOMEM. */
int tables_branch(struct tables *t, const struct unwind_kernel *uk);
/* Calls fn with each descriptor that it holds. */
void tables_each_fd(const struct tables *t, void (*fn)(void *arg, int fd), void *arg);
void tables_free(struct tables *t);
/* The list in force does not hold for what is mapped now, or lacks code that a stack has come to. */
bool tables_are_stale(const struct tables *t);
bool tables_lack_code(const struct tables *t);
/* -errno if the mappings cannot be read. *changed_ret: the list is another than before. */
int tables_update(struct tables *t, const struct process *p, bool *changed_ret);
/* "BUILDID path" of an object number; NULL if there is none. Object 0 is code without a file: its frames hold addresses. */
const char *tables_module(const struct tables *t, unsigned object);
void tables_totals(const struct tables *t, struct tables_totals *totals_ret);

#endif
