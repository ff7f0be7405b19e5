/* SPDX-License-Identifier: BSD-2-Clause */
/* ring_dump.h - copies of a tape beside it, each made by a forked copy of the recorder. One at a time, others wait. */
#ifndef HEAPTAPE_RING_DUMP_H
#define HEAPTAPE_RING_DUMP_H

#include <stdbool.h>
#include <sys/types.h>

struct ring_dump {
	pid_t pid; /* 0: none runs */
	bool last; /* recording is over */
	char path[4200];
};

/* Why a copy is made. */
enum ring_cause { RING_SIGNAL, RING_RSS, RING_EXIT, RING_OOM, RING_CAUSE_NR };

/* As in the copy's name and on its tape. */
const char *ring_cause_name(enum ring_cause cause);
/*
 * Copies what the tape at `path` holds now to path.N.CAUSE, N the first number that no copy has. -EBUSY while another runs.
 */
int ring_dump_start(struct ring_dump *d, const char *path, enum ring_cause cause);
/* Tells when one has ended; does not wait. */
void ring_dump_step(struct ring_dump *d);
void ring_dump_finish(struct ring_dump *d);

#endif
