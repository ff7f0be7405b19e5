/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * survey.h - what the planner has to know of a tape before its first operation: a first pass over it.
 *
 * Where the last exec is, whether page faults were recorded, what was lost, which allocator made most calls,
 * and which callocs were the thread library's own (see survey_own_calls). Memory follows the number of threads.
 */
#ifndef HEAPTAPE_REPLAY_SURVEY_H
#define HEAPTAPE_REPLAY_SURVEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/index_map.h"
#include "formats/tape.h"
#include "replay/slack.h"

/* An event is named by its ordinal: its number on the tape, from 0. */
struct survey_birth {
	uint64_t calloc; /* ordinal of the thread library's calloc, UINT64_MAX: none seen */
	uint64_t start;  /* ordinal of the TAPE_THREAD_START */
	uint32_t creator; /* tid; only with calloc */
};

struct survey {
	uint64_t nr_events, nr_calls;
	uint64_t first;    /* ordinal of the first event to replay: behind the last exec */
	uint64_t first_ns; /* its time, or the keyframe's */
	uint64_t last_ns;
	uint64_t nr_kept;   /* objects of the keyframe with which the tape starts */
	uint64_t nr_kept_events; /* of it and its state: these come before all others */
	struct slack *slack; /* NULL unless blocks of before the recording were found */
	struct index_map tids; /* of all events behind it: a thread that made an object may be long gone */
	uint64_t nr_execs;
	uint64_t nr_faults, nr_write_faults;
	uint64_t nr_lost, lost_from_ns, lost_to_ns;
	uint64_t nr_nested;
	uint64_t nr_by_alloc[256];
	uint8_t runtime_alloc; /* number under which a language's runtime made objects, TAPE_NO_ALLOC: none did. They are not replayed */
	uint32_t nr_cpus_seen; /* highest CPU + 1 */
	/* Births of threads whose calloc was found, in order of `start`. */
	struct survey_birth *births;
	size_t nr_births, births_max;
	uint64_t *own_calls; /* ordinals of those callocs, sorted */
	bool own_calls_assumed; /* told by size alone: the tape has neither stacks nor mappings */
};

/* Reads the tape to its end and rewinds it. 0, or what the reader returned, or -ENOMEM; free in any case.
 * progress may be NULL. */
int survey_run(struct tape_reader *r, struct survey *s, void (*progress)(void *arg, uint64_t nr_events), void *arg);
void survey_free(struct survey *s);

#endif
