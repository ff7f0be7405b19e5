/* SPDX-License-Identifier: BSD-2-Clause */
/* segments.h - where on a tape reading can begin: segments whose keyframe is whole (TAPE.md "SEGMENT"). */
#ifndef HEAPTAPE_SEGMENTS_H
#define HEAPTAPE_SEGMENTS_H

#include "block_file.h"

struct segment {
	uint64_t offset; /* of its SEGMENT block; 0: the tape's start, which is none */
	uint64_t end;    /* behind its last block */
	uint64_t ns;
	bool keyframe;   /* whole, or damaged: reading it tells */
};

/*
 * The last segment with a keyframe that starts at or before ns; where the tape starts with a segment (and so misses what
 * came before) at least the first one that has a keyframe. Otherwise the tape's start. Goes from head to head.
 */
void segments_find(struct block_file *f, uint64_t ns, struct segment *found);

#endif
