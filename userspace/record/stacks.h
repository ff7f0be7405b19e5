/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stacks.h - stacks of a recording: keeps the kernel's unwind tables true, and gives the kernel's stacks their numbers
 * on the tape.
 *
 * The kernel tells a new stack once, under a number of its own, ahead of the first record that names it; the same stack
 * may come again under another number. Belongs to the recording thread.
 */
#ifndef HEAPTAPE_STACKS_H
#define HEAPTAPE_STACKS_H

#include "formats/tape.h"
#include "record/kernel.h"
#include "target/process.h"

struct stacks;

/* mode must not be HT_STACKS_NONE. */
struct stacks *stacks_new(const struct kernel *k, enum ht_stacks_mode mode, struct tape_writer *writer);
void stacks_free(struct stacks *st);
/* In a copy of the process, for another target: files and their rows, and what the tape's writer knows of them, go on; numbers
 * begin anew. 0 or -ENOMEM. */
int stacks_branch(struct stacks *st, const struct kernel *k);
/* Calls fn with each descriptor that it holds. */
void stacks_each_fd(const struct stacks *st, void (*fn)(void *arg, int fd), void *arg);
/* A site of a recorded function in the file: stacks that begin there are told from the function's entry on, so that calls from
 * one place are one stack, whichever way through the function they took. -ENOMEM, or -errno of the tape's writer. */
int stacks_site(struct stacks *st, const char *build_id, const char *path, uint64_t site_offset, uint64_t entry_offset);
/* Follows code that came or went since the last call; looks at two words if nothing did. -errno if the target's
 * mappings cannot be read. */
int stacks_follow(struct stacks *st, const struct process *p, uint64_t now_ns);
/* A stack's frames. -errno of the tape's writer, -ENOMEM. */
int stacks_take(struct stacks *st, const struct ht_ev_stack *e);
/* The tape's number of the kernel's stack `id`; TAPE_NO_STACK for 0 and for one that was never told. */
uint32_t stacks_number(const struct stacks *st, uint32_t id);
/* What is to be counted from here on. */
void stacks_start(struct stacks *st);
/* Counts onto the tape, at its end. */
int stacks_write_totals(const struct stacks *st);

#endif
