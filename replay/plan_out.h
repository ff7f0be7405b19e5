/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan_out.h - writes the operations of a plan file: one growing file, a chain of chunks for each thread.
 *
 * The file is mapped while it is written, so that an operation can be flagged after the fact, and what was
 * written long ago is dropped from this process's memory again. One thread at a time. 0 or -errno.
 */
#ifndef HEAPTAPE_REPLAY_PLAN_OUT_H
#define HEAPTAPE_REPLAY_PLAN_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "replay/plan_file.h"

struct plan_out;

/* A thread's stream. Zero-initialise; then plan_stream_open. */
struct plan_stream {
	uint32_t first_pos, first_nr;
	uint32_t pos;       /* of the next operation */
	uint32_t end;       /* position of the chunk's last operation, kept for PLAN_JUMP */
	uint32_t nr;        /* operations so far: the number of the next one */
	uint32_t chunk_nr;  /* operations in the chunk */
	struct plan_op *op; /* where the next operation goes */
};

/* The file is created without a name in `dir` and lives as long as its descriptor. */
int plan_out_new(const char *dir, struct plan_out **out_ret);
void plan_out_free(struct plan_out *out); /* closes the file unless it was taken */
int plan_stream_open(struct plan_out *out, struct plan_stream *s);
/* Where the stream goes on in a new chunk. For plan_stream_add. */
int plan_stream_grow(struct plan_out *out, struct plan_stream *s);
/* The operation at a position. */
struct plan_op *plan_out_at(struct plan_out *out, uint32_t pos);
/* Puts a table behind the operations; its byte offset in *at_ret. No stream may grow afterwards. */
int plan_out_table(struct plan_out *out, const void *data, size_t nbytes, uint64_t *at_ret);
/* Writes the header (file_nbytes is filled in) and hands over the descriptor. */
int plan_out_finish(struct plan_out *out, struct plan_header *head, int *fd_ret);

/* Adds one operation; *pos_ret (may be NULL) tells where it stands. */
static inline int plan_stream_add(struct plan_out *out, struct plan_stream *s, const struct plan_op *op,
				  uint32_t *pos_ret)
{
	if (s->pos == s->end) {
		int err = plan_stream_grow(out, s);
		if (err)
			return err;
	}
	if (pos_ret)
		*pos_ret = s->pos;
	*s->op++ = *op;
	s->pos++;
	s->nr++;
	return 0;
}

#endif
