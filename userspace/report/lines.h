/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines.h - events as lines of text, NDJSON or CSV, for `heaptape dump`.
 *
 * Formatted by hand into a buffer: a tape has millions of lines. Not for several threads.
 */
#ifndef HEAPTAPE_LINES_H
#define HEAPTAPE_LINES_H

#include <stddef.h>

#include "formats/tape.h"
#include "symbols/naming.h"

enum lines_format { LINES_NDJSON, LINES_CSV };

struct lines {
	enum lines_format format;
	int fd;
	const struct tape_reader *tape; /* for strings; may be NULL */
	char *buf;
	size_t nbytes, cap;
	struct naming *naming; /* NULL: stacks are numbers */
	bool first; /* no field stands in the line yet */
	bool detail; /* CSV: the last column was started */
};

/* 0 or -ENOMEM. CSV starts with a line of column names. */
int lines_open(struct lines *l, enum lines_format format, int fd, const struct tape_reader *tape);
/* From here on events with a stack get its frames' names, innermost first. naming stays the caller's. */
void lines_name_stacks(struct lines *l, struct naming *naming);
/* 0 or the -errno of writing; -ENOMEM only with names. */
int lines_put(struct lines *l, const struct tape_event *ev);
/* Writes what is buffered. */
int lines_flush(struct lines *l);
void lines_close(struct lines *l);

#endif
