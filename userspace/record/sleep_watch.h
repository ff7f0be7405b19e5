/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sleep_watch.h - whether the machine was suspended: CLOCK_BOOTTIME goes on then, CLOCK_MONOTONIC, the tape's clock, does
 * not.
 */
#ifndef HEAPTAPE_SLEEP_WATCH_H
#define HEAPTAPE_SLEEP_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct sleep_watch {
	bool begun;
	uint64_t offset_ns; /* of CLOCK_BOOTTIME before CLOCK_MONOTONIC, at the last look */
};

/* Both clocks now, boot_ns read between two readings of the other. How long the machine slept since the last look, 0: not. */
uint64_t sleep_watch_look(struct sleep_watch *w, uint64_t before_ns, uint64_t boot_ns, uint64_t after_ns);
/* The same by this machine's clocks. */
uint64_t sleep_watch_now(struct sleep_watch *w);

#endif
