/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * course.h - an analysis for tools that draw and count: the course of a recording as a trace of Perfetto, or a table as CSV.
 */
#ifndef HEAPTAPE_COURSE_H
#define HEAPTAPE_COURSE_H

#include <stdio.h>

#include "report/report.h"

enum course_table { COURSE_TIME, COURSE_STACKS, COURSE_SIZES, COURSE_THREADS, COURSE_PAIRS, COURSE_RUNTIME, COURSE_NR };

struct course_format {
	const char *name;
	bool binary;        /* not for terminals */
	unsigned nr_points; /* of the time line, unless told otherwise */
	/* Writes all of it. 0 or -ENOMEM; errors of `out` itself are left in it. */
	int (*write)(const struct report *r, enum course_table table, FILE *out);
};

extern const struct course_format course_perfetto, course_csv;

const char *course_table_name(enum course_table table); /* as --table takes it */

#endif
