/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.h - the clock of the records: CLOCK_MONOTONIC in nanoseconds. */
#ifndef HEAPTAPE_CLOCK_H
#define HEAPTAPE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

#endif
