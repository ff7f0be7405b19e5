/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weight.h - how often each instruction of a function runs: what decides which of two sites is the cheaper one.
 *
 * Counted where somebody has counted (a run of known calls, see check/profile.h); elsewhere each way of a branch
 * is taken for equally likely. Pure.
 */
#ifndef HEAPTAPE_WEIGHT_H
#define HEAPTAPE_WEIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "sites/flow.h"

enum { WEIGHT_ENTRY = 1024, WEIGHT_MAX = 16 * WEIGHT_ENTRY, WEIGHT_RARE = 16, WEIGHT_NEVER = 1 };

struct profile_spot {
	uint64_t vaddr;
	uint64_t count, taken; /* times it ran, and that its branch was taken */
	uint8_t cond;          /* when it is taken, as struct ht_site.cond; 0: always */
};

/* Instructions counted, sorted by vaddr. */
struct profile {
	struct profile_spot *spots;
	unsigned nr_spots;
};

/* NULL if it was not counted. profile may be NULL. */
const struct profile_spot *profile_find(const struct profile *profile, uint64_t vaddr);

/* The places to count in a function: its entry and its branches. Those that are in `spots` already (nr of them) are
 * left out. The new number, at most room. */
unsigned flow_branches(const struct flow *flow, struct profile_spot *spots, unsigned nr, unsigned room);

/* Fills count and taken of all nodes: runs for each WEIGHT_ENTRY calls, in powers of two from WEIGHT_RARE on, so that a small
 * difference between two countings makes no other plan; WEIGHT_NEVER if never. Returns whether the function was counted. */
bool flow_weigh(struct flow *flow, const struct profile *profile);

#endif
