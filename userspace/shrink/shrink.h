/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shrink.h - the smallest tape for which a command still ends with status 0 (Zeller and Hildebrandt, Simplifying and
 * isolating failure-inducing input, 2002).
 *
 * What is taken away is whole: an object with its birth, its resizes and its end, so that each candidate is a valid tape; or a
 * whole kind of events that are no calls. First those, then threads, then objects by chunks of time, then the time
 * between events. The tape's events are held in memory. One thread at a time.
 */
#ifndef HEAPTAPE_SHRINK_SHRINK_H
#define HEAPTAPE_SHRINK_SHRINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/tape.h"

struct shrink_size {
	uint64_t nr_events, nr_calls, duration_ns;
	uint32_t nr_threads;
};

struct shrink {
	/* Set by the caller. */
	struct tape_reader *reader;
	const char *check;   /* command of a shell; HEAPTAPE_TAPE names the candidate */
	const char *folder;  /* private, for candidates */
	uint64_t budget_ns;  /* 0: as long as it takes */
	void (*progress)(void *arg, const struct shrink_size *now, uint64_t nr_checks); /* may be NULL */
	/* What came of it. */
	struct shrink_size before, after;
	uint64_t nr_checks;
	bool stopped;        /* by a signal or the budget: smaller ones may be there */
	struct shrink_impl *impl;
};

/*
 * 0; -ENOEXEC: the command does not end with 0 for the whole tape; -EAGAIN: not each time, so that nothing could be concluded; else
 * -errno of reader or writer. shrink_free in any case.
 */
int shrink_run(struct shrink *s);
/* Writes the smallest tape found. 0 or -errno. */
int shrink_write(struct shrink *s, const char *path, bool overwrite);
void shrink_free(struct shrink *s);

#endif
