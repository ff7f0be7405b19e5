/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tune.h - searches an allocator's settings for those that suit a tape.
 *
 * Each value alone first, then pairs of those that helped, on the tape's first eighth; the better half on its first half; the best of
 * these and the defaults on the whole tape, many times in turns (successive halving: Jamieson and Talwalkar, 2016). A
 * gain is one only by a rank test with Holm's correction over all that is claimed. One thread at a time.
 */
#ifndef HEAPTAPE_TUNE_TUNE_H
#define HEAPTAPE_TUNE_TUNE_H

#include "executor/executor.h"
#include "trials/trials.h"
#include "tune/settings.h"

#define TUNE_FINALISTS_MAX 6
#define TUNE_RUNS 8 /* of each finalist, timed; and as many that take latencies. The least p is then 2/12870 */

enum tune_figure { TUNE_RESIDENT, TUNE_CPU, TUNE_P99, TUNE_NR };

struct tune_choice {
	char *text;    /* "KEY=VALUE,KEY=VALUE"; "" is the defaults */
	char *error;   /* why it was given up */
	int first[2], second[2]; /* setting and value; first[0] < 0: the defaults; second[0] < 0: a single one */
	double quick[2];         /* resident and CPU time of its last run on a shortened tape */
	struct samples samples[TUNE_NR];
	double gain[TUNE_NR]; /* share of the defaults' median that is saved; less than 0: it costs more */
	double p[TUNE_NR];    /* corrected */
	bool kept, is_better[TUNE_NR], is_worse[TUNE_NR], on_front;
};

struct tune {
	/* Set by the caller. */
	const char *tape, *alloc; /* as for --alloc */
	const struct settings *settings;
	uint64_t budget_ns;
	struct executor *executor; /* of the runs; NULL: one after the other */
	/* What came of it. */
	struct tune_choice *choices; /* [0]: the defaults */
	size_t nr_choices, nr_runs, nr_known, nr_finalists; /* known: runs that were made before and are not made again */
	bool out_of_budget; /* some were never tried */
	uint64_t took_ns;
	char why[700];
};

int tune_run(struct tune *t); /* 0 or -errno after saying why in t->why */
void tune_free(struct tune *t);

#endif
