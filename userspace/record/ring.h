/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - segments and keyframes while recording: every so often in one file, or as a ring of files that never exceed
 * a size (TAPE.md "Ring").
 *
 * The caller adds events to the tape's writer and follows the live set; ring_step, called often, does the rest. It waits
 * for a keyframe only where the ring is so small, or the events so many, that the size would be passed. One thread.
 */
#ifndef HEAPTAPE_RING_H
#define HEAPTAPE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "formats/heap.h"
#include "formats/state.h"
#include "record/ring_dump.h"

#define RING_LEAST_NBYTES (1u << 20) /* what four keyframes of a small program and some blocks take */
#define RING_KEYFRAMES_MIN 4

struct ring_opts {
	uint64_t nbytes;    /* 0: no ring but one file */
	uint64_t keep_ns;   /* ring: what is older than this goes too; 0: only the size decides */
	uint64_t period_ns; /* between keyframes, at most; 0: no limit */
};

struct ring;

/*
 * The least size for a program of which so many bytes are resident: four keyframes of it, were all its objects as large as
 * 4 KiB, which is ten times what programs have. Nothing more is known before its calls are seen.
 */
uint64_t ring_least_nbytes(uint64_t resident_nbytes);

/* path: of the file, or of the ring's folder, which is made. -EEXIST unless overwrite. */
int ring_open(const char *path, const struct ring_opts *opts, bool overwrite, struct ring **ring_ret);
/* Fills in what the writer needs, and the path that it opens. */
void ring_prepare(struct ring *r, struct tape_writer_opts *wo, char *path, size_t path_nbytes);
/*
 * The tape's time is now_ns; the live set and the state (NULL: none is told) are what the events added so far make. 0 or -errno of the writer.
 * A live set that outgrows the ring makes it larger, as told by a warning and on the tape: see TAPE.md "Ring".
 */
int ring_step(struct ring *r, struct tape_writer *w, const struct heap *heap, const struct state *state, uint64_t now_ns);
/*
 * Before anything is written: the tape starts with a keyframe of what lived at time 0, which is made as any other is.
 * -errno: the recorder cannot be copied, or the writer failed.
 */
int ring_start_late(struct ring *r, struct tape_writer *w, const struct heap *heap);
/* The same for a tape that starts at `ns`, with all that holds then. */
int ring_begin_at(struct ring *r, struct tape_writer *w, const struct heap *heap, const struct state *state, uint64_t ns);
/* Before the writer is closed: a keyframe that is being made goes onto the tape. */
int ring_finish(struct ring *r, struct tape_writer *w);
/* A copy of what the ring holds is made beside it as one file, named PATH.N.CAUSE; by a copy of the process. */
int ring_dump(struct ring *r, struct tape_writer *w, enum ring_cause cause);
/* The same when the tape is closed; waits for it, and for one under way. 0 or -errno. */
int ring_dump_closed(struct ring *r, enum ring_cause cause);
/* A keyframe is being made. */
bool ring_is_busy(const struct ring *r);
bool ring_is_folder(const struct ring *r);
uint64_t ring_nbytes(const struct ring *r);       /* of all files that are there */
uint64_t ring_limit(const struct ring *r);        /* the size as it is now: see ring_step */
uint64_t ring_nr_keyframes(const struct ring *r); /* whole ones, written so far */
uint64_t ring_keyframe_nbytes(const struct ring *r); /* written so far, of all keyframes */
void ring_free(struct ring *r);
/* Nothing was recorded: what ring_open made goes. */
void ring_remove(struct ring *r);

#endif
