/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyframe.h - the live set as KEYFRAME blocks, and what holds beside it as STATE blocks (TAPE.md).
 *
 * Encoding asks nothing of the tape's writer, so that a copy of the process can do it while events go on.
 */
#ifndef HEAPTAPE_KEYFRAME_H
#define HEAPTAPE_KEYFRAME_H

#include "bytes.h"
#include "heap.h"
#include "state.h"

#define KEYFRAME_BLOCK_EVENTS 65536u

struct keyframe {
	struct bytes blocks; /* for tape_writer_keyframe */
	uint32_t *stacks;    /* numbers that its objects name */
	size_t nr_stacks;
	uint32_t *strings; /* and those of the state's threads, for tape_writer_use_strings */
	size_t nr_strings;
	uint64_t nr_objects;
};

/* All objects of the heap, and the state (NULL: none is told), as of ns. Memory: 8 bytes an object, beside the blocks. 0 or
 * -ENOMEM; free in any case. */
int keyframe_encode(const struct heap *heap, const struct state *state, uint64_t ns, uint64_t unit_ns, struct keyframe *k);
/* The same, each block being handed to `put` as soon as it is made, and kept no longer; put's error ends it. */
int keyframe_encode_to(const struct heap *heap, const struct state *state, uint64_t ns, uint64_t unit_ns,
		       int (*put)(void *arg, const struct bytes *block), void *arg, struct keyframe *k);
void keyframe_free(struct keyframe *k);

/* Of a KEYFRAME or STATE block's payload: takes the number of events in the keyframe's later blocks off its front. */
int keyframe_left(struct cursor *payload, uint64_t *left_ret, const char **why_ret);

#endif
