/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyframer.h - a keyframe made by a forked copy of the recorder, while this one goes on draining.
 *
 * The copy sees the live set as it was at the fork and touches nothing but a piece of anonymous memory; what it made is
 * then appended to the tape in slices. One at a time. The caller's process has one thread.
 */
#ifndef HEAPTAPE_KEYFRAMER_H
#define HEAPTAPE_KEYFRAMER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "formats/heap.h"
#include "formats/state.h"

struct keyframer {
	pid_t pid; /* of the copy; 0: none runs */
	int fd;    /* what it makes; -1: none */
	uint8_t *made;
	size_t nbytes;
	size_t next; /* offset of the blocks that are to be appended */
	size_t end;
};

enum keyframer_state { KEYFRAMER_IDLE, KEYFRAMER_BUSY, KEYFRAMER_DONE, KEYFRAMER_FAILED };

#define KEYFRAMER_NEW ((struct keyframer){ .fd = -1 })

/* In a forked copy: ends with its parent, and holds none of its descriptors (probes!) but `fd`. */
void keyframer_become_copy(int fd);
/* The live set (and state, NULL: none) as of now, which is `ns` on the tape. 0 or -errno. */
int keyframer_start(struct keyframer *k, const struct heap *heap, const struct state *state, uint64_t ns, uint64_t unit_ns);
/*
 * Does not wait. DONE or FAILED are told once; the copy may fail for lack of memory, and the tape then lacks this keyframe.
 * Negative: the tape's writer failed.
 */
int keyframer_step(struct keyframer *k, struct tape_writer *w);
/* The copy has ended, well or not: there is something to do for keyframer_step. */
bool keyframer_has_ended(const struct keyframer *k);
/* Waits for the copy and appends all. */
int keyframer_finish(struct keyframer *k, struct tape_writer *w);
void keyframer_close(struct keyframer *k);

#endif
