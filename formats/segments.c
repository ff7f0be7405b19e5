/* SPDX-License-Identifier: BSD-2-Clause */
/* segments.c - see segments.h. */
#include "segments.h"

#include <errno.h>

#include "keyframe.h"

/* The last KEYFRAME block says that none follows; one that cannot be read counts as whole, and is refused when it is. */
static bool keyframe_is_whole(struct block_file *f, uint64_t last_block)
{
	struct block_head head;
	struct cursor payload;
	const char *why;
	uint64_t left;

	if (!last_block)
		return false;
	if (block_file_load(f, last_block, &head, &payload, &why) || keyframe_left(&payload, &left, &why))
		return true;
	return left == 0;
}

struct walk {
	struct segment at;        /* the segment being passed */
	uint64_t last_block;      /* its last KEYFRAME block so far, 0: none */
	bool late;                /* the tape starts with a segment */
};

/* The segment at hand has ended. True: the search has too. */
static bool segment_ends(struct block_file *f, struct walk *w, uint64_t end, uint64_t ns, struct segment *found)
{
	if (!w->at.offset)
		return false;
	w->at.end = end;
	w->at.keyframe = keyframe_is_whole(f, w->last_block);
	if (!w->at.keyframe)
		return false;
	if (w->at.ns <= ns || (w->late && !found->keyframe))
		*found = w->at;
	return w->at.ns >= ns;
}

void segments_find(struct block_file *f, uint64_t ns, struct segment *found)
{
	uint64_t offset = FILE_HEAD_NBYTES;
	struct block_head head;
	struct walk w = { 0 };

	*found = (struct segment){ 0 };
	while ((offset = block_file_after(f, offset, &head)) < f->nbytes) {
		if (head.kind == BLOCK_SEGMENT) {
			w.late |= offset == FILE_HEAD_NBYTES;
			if (segment_ends(f, &w, offset, ns, found))
				return;
			w.at = (struct segment){ .offset = offset, .ns = head.first_ns };
			w.last_block = 0;
		} else if (head.kind == BLOCK_KEYFRAME) {
			w.last_block = offset;
		}
		offset += BLOCK_HEAD_NBYTES + head.stored_nbytes;
	}
	segment_ends(f, &w, f->nbytes, ns, found);
}
