/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * summary.h - one pass over a tape, counting: what `heaptape info` shows.
 *
 * Calls flagged failed or sub-allocation are counted as such and nowhere else.
 */
#ifndef HEAPTAPE_SUMMARY_H
#define HEAPTAPE_SUMMARY_H

#include "formats/tape.h"

enum summary_family {
	FAMILY_MALLOC,
	FAMILY_CALLOC,
	FAMILY_REALLOC,
	FAMILY_ALIGNED, /* posix_memalign, aligned_alloc, memalign, valloc, pvalloc */
	FAMILY_NEW,
	FAMILY_FREE, /* free, delete, sdallocx */
	FAMILY_NR,
};

struct summary {
	uint64_t families[FAMILY_NR], total; /* successful calls */
	uint64_t kinds[256];                 /* all events by kind */
	uint64_t per_alloc[256];             /* successful calls by allocator number */
	uint64_t requested_nbytes;           /* by successful calls, over all time */
	uint64_t failed, nested, unknown_frees, implied_frees;
	uint64_t lost[TAPE_LOSS_NR], lost_other, lost_total;
	uint64_t threads;                    /* that did anything */
	uint64_t events_with_stack;
	uint32_t stacks, stacks_truncated;
	uint64_t kept_objects, kept_nbytes;  /* of the keyframe with which the tape starts */
	uint64_t segments, keyframes;
	uint64_t start_ns;
	uint64_t live_objects, live_nbytes, peak_nbytes;
	uint64_t suspended_ns;               /* by the marks of a suspended machine; kinds[TAPE_SUSPEND] of them */
	uint64_t marks[TAPE_MARK_NR], mark_ns[TAPE_MARK_NR]; /* how many of each, and when the first stood */
	uint64_t last_ns;
	uint64_t nr_events;                  /* of any kind */
};

/* Key of the family in JSON and text. */
const char *summary_family_name(enum summary_family family);
/*
 * Reads the tape to its end. 0; -ENOMEM; or the reader's error, with what was counted up to there.
 * progress (may be NULL) is called for each block with the events so far.
 */
int summary_read(struct tape_reader *r, struct summary *s, void (*progress)(void *arg, uint64_t nr_events), void *arg);

#endif
