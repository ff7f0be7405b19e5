/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - an analysis for people and for programs.
 *
 * All functions print what has been computed and own nothing. Text is made for 100 columns; bytes as KiB and MiB in text,
 * as numbers in JSON.
 */
#ifndef HEAPTAPE_REPORT_H
#define HEAPTAPE_REPORT_H

#include <stdio.h>

#include "analyze/analysis.h"
#include "analyze/findings.h"
#include "formats/tape.h"
#include "symbols/naming.h"

enum report_by { REPORT_SCREEN, REPORT_BY_STACK, REPORT_BY_SIZE, REPORT_BY_THREAD, REPORT_BY_MODULE, REPORT_BY_REGION };

struct report {
	const char *path;
	struct tape_reader *tape; /* read to its end */
	struct naming *naming;
	const struct analysis *analysis;
	const struct finding *findings;
	size_t nr_findings;
	unsigned top; /* rows of a table */
	unsigned stacks_max;     /* JSON: at most so many stacks in all; 0: no limit */
	unsigned name_max;       /* JSON: names of code are cut behind so many bytes; 0: never */
	const char *replay_json; /* JSON: what `replay --json` printed, to go with it; NULL: nothing */
	bool colour;
};

/* report_text.c: one screen, or one table. 0 or -ENOMEM. */
int report_print(const struct report *r, enum report_by by, FILE *out);
/* report_json.c: all of it; stacks: the `top` ones by each of their figures. 0 or -ENOMEM. */
int report_print_json(const struct report *r, FILE *out);
/* The same as text, to be freed; NULL: no memory. */
char *report_json(const struct report *r);
/* report_html.c: one file for any browser. 0, -ENOMEM, or -ENOTSUP: heaptape was built without it. */
int report_print_html(const struct report *r, FILE *out);
bool report_has_html(void);
/* "worker 4711", or "thread 4711" where it has no name. */
const char *report_thread_name(const struct tape_reader *tape, const struct analysis_thread *t, char *buf, size_t nbytes);

#endif
