/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hist.h - a histogram with 16 buckets for each power of two: any value within 6 %, in a fixed 4 KiB.
 *
 * The player fills buckets (hist_index), the parent adds them up and asks for quantiles (hist.c).
 */
#ifndef HEAPTAPE_REPLAY_HIST_H
#define HEAPTAPE_REPLAY_HIST_H

#include <stdint.h>

#define HIST_BUCKETS 512u /* reaches 2^35 ticks, about ten seconds; longer ones fall into the last */

static inline unsigned hist_index(uint64_t value)
{
	if (value < 16)
		return (unsigned)value;
	unsigned log2 = 63u - (unsigned)__builtin_clzll(value);
	unsigned index = (log2 - 3) * 16 + (unsigned)(value >> (log2 - 4) & 15);
	return index < HIST_BUCKETS ? index : HIST_BUCKETS - 1;
}

/* The smallest value of a bucket. */
uint64_t hist_value(unsigned index);
void hist_add(uint64_t *sum, const uint64_t *buckets);
uint64_t hist_count(const uint64_t *buckets);
/* The value that a share q (0 to 1) of all values does not exceed, within the bucket's width; 0 if empty. */
uint64_t hist_quantile(const uint64_t *buckets, double q);
uint64_t hist_max(const uint64_t *buckets);

#endif
