/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * passage.h - whether every thread of a process has left the call that it may have been in.
 *
 * A thread has left it when it has made two recorded calls since; or has run for longer than a call takes; or slept again
 * and again; or slept all the while that the others did one of these, which rules out that it waits for a lock that one of them held.
 */
#ifndef HEAPTAPE_PASSAGE_H
#define HEAPTAPE_PASSAGE_H

#include <stdbool.h>

#include "formats/index_map.h"
#include "target/process.h"

struct passage_thread;

struct passage {
	const struct process *process;
	struct passage_thread *threads;
	unsigned nr, room;
	struct index_map of; /* tid -> index */
};

/* The threads that are there now. 0 or -errno; passage_end in any case. */
int passage_begin(struct passage *p, const struct process *process);
/* A record of this thread came. */
void passage_note(struct passage *p, uint32_t tid);
/* Looks again: how many threads are not known to be out. */
unsigned passage_look(struct passage *p);
void passage_end(struct passage *p);

#endif
