/* SPDX-License-Identifier: BSD-2-Clause */
/* child.h - runs a program and waits for it; and what of root's rights is given up before that. */
#ifndef HEAPTAPE_BISECT_CHILD_H
#define HEAPTAPE_BISECT_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHILD_TIMED_OUT = 124 }; /* as of timeout(1) */

struct child {
	const char *const *argv; /* NULL at the end; argv[0] is looked for in PATH */
	const char *dir;         /* to run in, NULL: here */
	const char *log;         /* file for all that it prints; NULL: `output` takes it */
	char *output;            /* of the last run: its stdout (its stderr too, unless quiet_errors), NUL ended; to be freed */
	size_t output_nbytes;
	int drop_errors;         /* stderr goes nowhere */
	uint64_t timeout_ns;     /* 0: none; else it and all that it started is killed then, and the status is CHILD_TIMED_OUT. With a log only. */
};

/* The exit status, 128 + the signal that ended it, or -errno if it could not be started (127: no such program). */
int child_run(struct child *c);
/* From here on SIGINT and the like no longer end us: child_stopped says that one came. What runs just then may have ended by it. */
void child_watch_signals(void);
bool child_stopped(void);
/* The last line with something on it, of a text; "" if there is none. */
const char *text_last_line(const char *text, char *buf, size_t nbytes);
/* The same of a log, or its first line near the end that speaks of an error. */
const char *log_reason(const char *path, char *buf, size_t nbytes);

/*
 * As root: becomes, for good, the user who called sudo, or else the owner of `dir` (NULL: nobody else). Caches are that user's
 * from then on. 1: became somebody else; 0: stays what it is; -errno.
 */
int child_drop_root(const char *dir);

#endif
