/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * state.h - what holds at a point of a tape beside the live set: mappings, the program break, threads with their names, and
 * sub-allocations. It follows tape events, and tells itself as events again (TAPE.md "STATE").
 *
 * A handle belongs to one thread at a time. Failures are -ENOMEM only.
 */
#ifndef HEAPTAPE_STATE_H
#define HEAPTAPE_STATE_H

#include "heap.h"
#include "tape.h"

struct state;

/* page_nbytes: a power of two; mappings are whole pages. */
struct state *state_new(uint64_t page_nbytes);
void state_free(struct state *s);
/* Whether the event is one that this follows; the others may be given to it too. */
static inline bool state_concerns(const struct tape_event *ev)
{
	return ev->kind >= TAPE_MMAP || ev->flags & TAPE_SUB;
}
int state_apply(struct state *s, const struct tape_event *ev);
/* A copy of the process has none of its threads. */
void state_drop_threads(struct state *s);
/* The sub-allocations that live. */
const struct heap *state_subs(const struct state *s);
/*
 * Calls fn for each event that makes it, until fn returns non-zero, and returns that: TAPE_MMAP for each mapping in
 * ascending order, TAPE_BRK, TAPE_THREAD_START of threads that live, and the births of sub-allocations (TAPE_SUB).
 */
int state_each(const struct state *s, int (*fn)(void *arg, const struct tape_event *ev), void *arg);

/* What state_each may tell, and so all that a STATE block may hold. */
static inline bool state_may_hold(const struct tape_event *ev)
{
	if (tape_kind_is_alloc(ev->kind))
		return ev->flags & TAPE_SUB;
	return ev->kind == TAPE_MMAP || ev->kind == TAPE_BRK || ev->kind == TAPE_THREAD_START;
}

#endif
