/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.h - the clock of the records, CLOCK_MONOTONIC, and the one that goes on while the machine is suspended; in ns. */
#ifndef HEAPTAPE_CLOCK_H
#define HEAPTAPE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static inline uint64_t clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static inline uint64_t clock_boottime_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

#endif
