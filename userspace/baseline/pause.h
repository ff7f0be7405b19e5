/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pause.h - a process stopped for a moment, and set going again whatever becomes of whoever stopped it.
 *
 * A small copy of the caller waits on a pipe: when its other end closes, by any death, the process gets its SIGCONT.
 */
#ifndef HEAPTAPE_PAUSE_H
#define HEAPTAPE_PAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "target/process.h"

struct pause_guard {
	const struct process *process;
	int go_fd;     /* closing it sets the process going */
	pid_t pid;     /* of the copy */
	uint64_t since_ns;
};

/* Stops all threads and waits until they stand. -EALREADY: somebody else has stopped it; -ETIME: they do not. */
int pause_begin(const struct process *p, struct pause_guard *guard);
/* Sets it going; how long it stood. */
uint64_t pause_end(struct pause_guard *guard);

#endif
