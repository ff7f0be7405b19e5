/* SPDX-License-Identifier: BSD-2-Clause */
/* xorshift.h - random numbers that are the same in every run (Marsaglia 2003), for tests that need no seed. */
#ifndef HEAPTAPE_TEST_XORSHIFT_H
#define HEAPTAPE_TEST_XORSHIFT_H

#include <stdint.h>

static inline uint64_t next_random(uint64_t most)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % most;
}

#endif
