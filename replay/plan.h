/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan.h - compiles a tape into a play plan: each thread's operations on dense object slots, with the waits
 * that matter.
 *
 * Correctness needs an order only where an object changes threads; those waits are kept, unless a wait before
 * or the passing of time implies them. Time is cut into windows (half of the skew allowed, less where much is
 * allocated): no thread enters a window before all threads have left the last but one, so threads never drift
 * further apart than the skew, and what is two windows old needs no wait. At checkpoints all threads stand
 * still, so the live set there is exactly the tape's.
 *
 * Compiling streams: two passes over the tape, memory by live objects and threads. One thread at a time.
 */
#ifndef HEAPTAPE_REPLAY_PLAN_H
#define HEAPTAPE_REPLAY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/tape.h"
#include "replay/plan_file.h"
#include "replay/touch.h"

struct plan_opts {
	enum plan_order order;
	enum plan_touch touch;
	enum plan_placement placement;
	uint64_t skew_ns;        /* 0: PLAN_SKEW_DEFAULT_NS */
	uint32_t nr_checkpoints; /* evenly spread over the tape, the end included; 0: PLAN_CHECKPOINTS_DEFAULT */
	const uint64_t *at_ns;   /* further ones, tape time, in any order; those outside of what is replayed are left out */
	uint32_t nr_at;
	const char *dir;         /* where the plan file goes; NULL: $TMPDIR or /tmp */
	/* May be NULL; nr_events_all is 0 while it is not known. */
	void (*progress)(void *arg, const char *what, uint64_t nr_events, uint64_t nr_events_all);
	void *progress_arg;
};

#define PLAN_SKEW_DEFAULT_NS 20000000ull
#define PLAN_CHECKPOINTS_DEFAULT 200u

/* What became of the tape's events, and other facts that results carry. */
struct plan_facts {
	uint64_t nr_planned;       /* calls in the plan that the tape has too */
	uint64_t nr_kept;          /* objects of a keyframe, made before the first call */
	uint64_t nr_found, found_nbytes; /* of these, such as lived before the recording: sizes are those reserved, ages unknown */
	uint64_t nr_births, nr_deaths; /* that the player will execute, implied frees included */
	uint64_t nr_failed, nr_sub, nr_nested;
	uint64_t nr_runtime;       /* objects of a language's runtime, left out */
	uint64_t nr_unknown_frees; /* left out */
	uint64_t nr_unknown_reallocs; /* played as malloc */
	uint64_t nr_implied_frees; /* added */
	uint64_t nr_steers, nr_steers_planned; /* planned: played on the allocator that they were made for */
	uint64_t nr_own_calls;     /* the thread library's, left out: its callocs, and frees of those blocks */
	bool own_calls_assumed;
	uint64_t nr_execs;
	uint64_t first_ns, last_ns; /* the part of the tape that is replayed */
	uint64_t nr_lost, lost_from_ns, lost_to_ns;
	uint64_t nr_faults;        /* on the tape; 0: touching is assumed */
	uint64_t nr_waits, nr_waits_dropped;
	uint64_t nr_moves, nr_moves_dropped; /* between CPUs; dropped: stays under 10 ms */
	uint32_t nr_cpus_seen;
	uint64_t trap_ns, trap_total_ns; /* taken off the tape's time: for each call of a thread, and in all */
	uint64_t nr_live, live_nbytes;   /* at the end */
	uint64_t peak_nbytes;            /* of live bytes */
	uint64_t peak_touched_nbytes;    /* of live bytes that the player will touch */
	uint32_t peak_checkpoint;        /* the one with most live bytes */
	uint64_t start_anon_nbytes;      /* of the recorded process when recording began, without the blocks that are known to have lived then */
	uint8_t recorded_alloc;          /* allocator number that made most calls, TAPE_NO_ALLOC: none */
	struct touch_sums touched;       /* of large objects */
	uint64_t touched_small_nbytes;   /* small objects, or all where nothing is known: written whole */
};

struct plan {
	int fd;
	struct plan_header head;
	struct plan_facts facts;
	struct plan_checkpoint *checkpoints; /* head.nr_checkpoints */
	struct plan_thread *threads;         /* head.nr_threads */
};

/* Reads the tape from its start to its end. 0, -errno of the reader (tape_reader_error tells more), -ENOMEM, -ENOSPC,
 * -EFBIG (more than 4 billion operations), -ENODATA (no call to replay). plan_free in any case. */
int plan_build(struct tape_reader *r, const struct plan_opts *opts, struct plan *plan);
void plan_free(struct plan *plan);
/* The most that the recorded process held around its allocator at any checkpoint; 0 if it is not known. */
uint64_t plan_around_peak(const struct plan *plan);

#endif
