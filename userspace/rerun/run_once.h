/* SPDX-License-Identifier: BSD-2-Clause */
/* run_once.h - one run of a program from its beginning to its end, recorded or not, in a process of its own. */
#ifndef HEAPTAPE_RERUN_RUN_ONCE_H
#define HEAPTAPE_RERUN_RUN_ONCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "replay/tested.h"

struct once_order {
	char *const *argv, *const *env; /* see launch.h */
	const char *user;
	const char *input, *log; /* files: its stdin (NULL: nothing), its stdout and stderr */
	const char *tape;        /* NULL: it is not recorded */
	uint64_t duration_ns;
	const struct tested *alloc; /* without a recording: whether it is mapped is looked for; NULL: none */
};

struct once_outcome {
	char error[512];  /* "" unless the run could not be made */
	int status;       /* as of waitpid */
	bool cut;         /* it was ended when the time was up */
	bool stopped;     /* a signal asked us to end */
	uint64_t wall_ns, cpu_ns, faults;
	bool alloc_seen;
	uint64_t peak_resident, end_resident; /* anonymous; of a run that is not recorded */
	uint64_t calls, lost, cost_ns;        /* of one that is */
};

/* 0, with what went wrong in outcome->error and status; -errno if not even a process could be had. child_watch_signals was called. */
int run_once(const struct once_order *order, struct once_outcome *outcome);

#endif
