/* SPDX-License-Identifier: BSD-2-Clause */
/* ring_dump.h - copies of a tape beside it, each made by a forked copy of the recorder. One at a time, others wait. */
#ifndef HEAPTAPE_RING_DUMP_H
#define HEAPTAPE_RING_DUMP_H

#include <stdbool.h>
#include <sys/types.h>

struct ring_dump {
	pid_t pid; /* 0: none runs */
	char path[4200];
};

/* Copies what the tape at `path` holds now to path.1, or the first such name that is free. -EBUSY while another runs. */
int ring_dump_start(struct ring_dump *d, const char *path);
/* Tells when one has ended; does not wait. */
void ring_dump_step(struct ring_dump *d);
void ring_dump_finish(struct ring_dump *d);

#endif
