/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bisect.h - finds the first bad one of a line, by a figure that is measured as often as it takes.
 *
 * Both ends are measured first; only if they are apart by more than their spread does it go on. Each step is repeated
 * until its side is certain, else it is skipped. All runs are kept in a file as they are made, so that the same
 * search goes on where it was. One thread at a time. 0 or -errno with the reason in `why`; -EINTR: told to stop.
 */
#ifndef HEAPTAPE_BISECT_BISECT_H
#define HEAPTAPE_BISECT_BISECT_H

#include <stdio.h>

#include "bisect/line.h"
#include "executor/executor.h"
#include "trials/trials.h"

#define BISECT_ENDS_RUNS 7   /* of each end at first, and twice that if they are not apart by then */
#define BISECT_STEP_RUNS 15  /* of a step, at most */

struct revision {
	char *id, *title;  /* title may be NULL */
	char *reason;      /* it is skipped because of this; NULL: it is not */
	struct samples samples;
	enum side side;
	size_t place;
};

enum bisect_outcome { BISECT_FOUND, BISECT_ENDS_ALIKE, BISECT_OPEN };

struct bisect {
	/* Set by the caller. */
	struct trials *trials;
	struct line *line;
	enum trial_metric metric; /* TRIAL_NR: the script's number */
	const char *script, *settings; /* settings: "KEY=VALUE,...", NULL: none */
	struct executor *executor; /* of the runs; NULL: one after the other, as scripts' are in any case */
	const char *state_path;   /* NULL: nothing is kept */
	/* What came of it. */
	struct revision *revisions; /* by line->place once it has ended */
	size_t nr_revisions;
	struct threshold threshold;
	enum bisect_outcome outcome;
	char *message, *before;   /* of the first bad one; the one before it */
	bool compared;            /* the two were measured, and both came through */
	struct run_result measured[2]; /* before, first bad */
	char compare_why[1024];   /* why not */
	char why[1200];
};

int bisect_run(struct bisect *b);
void bisect_free(struct bisect *b);
struct revision *bisect_find(struct bisect *b, const char *id);

/* bisect_state.c */
int bisect_state_load(struct bisect *b); /* 0, also if there is none; -EBADMSG: it is none of ours */
int bisect_state_save(const struct bisect *b);
/* Adds one; its texts are taken as copies. NULL: no memory. */
struct revision *bisect_add(struct bisect *b, const char *id);

/* bisect_report.c */
void bisect_print(const struct bisect *b, FILE *out);
char *bisect_json(const struct bisect *b); /* to be freed, NULL: no memory */

#endif
