/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * around.h - what of the recorded process is in memory around the allocator: its data and stacks, and what it maps for
 * itself (an interpreter's arenas, a compiler's collected heap), from the tape's mappings and page faults.
 *
 * Every anonymous page that came in by a fault on this tape is either the allocator's or counted here, until it is
 * unmapped, dropped or mapped over. The allocator's are mappings made inside its calls, brk's, and those in which it has
 * placed an object (a probe plan without a trap at a function's entry does not see that its mmap came from inside). Pages of mappings that are older than the tape are taken
 * for the allocator's, unless the tape begins with the program itself: then only its image and its stack are older.
 * Follows residency through a struct touch, which must be told of each event behind this. One thread at a time.
 */
#ifndef HEAPTAPE_REPLAY_AROUND_H
#define HEAPTAPE_REPLAY_AROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "formats/tape.h"
#include "replay/touch.h"

struct around;

/* from_exec: the tape begins with the program. NULL if memory ran out. */
struct around *around_new(bool from_exec);
void around_free(struct around *a);
/* A mapping event (TAPE_MMAP .. TAPE_MADVISE) or TAPE_EXEC, before `t` hears of it. 0 or -ENOMEM. */
int around_event(struct around *a, const struct touch *t, const struct tape_event *ev);
/* A page fault that makes memory resident, before `t` hears of it. */
void around_fault(struct around *a, const struct touch *t, uint64_t addr);
/* The allocator has placed an object there. */
void around_object(struct around *a, const struct touch *t, uint64_t addr);
/* Bytes counted now. */
uint64_t around_nbytes(const struct around *a);

#endif
