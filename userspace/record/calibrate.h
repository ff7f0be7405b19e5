/* SPDX-License-Identifier: BSD-2-Clause */
/* calibrate.h - what one trap costs on this machine, now. */
#ifndef HEAPTAPE_CALIBRATE_H
#define HEAPTAPE_CALIBRATE_H

#include <stdint.h>

#include "record/kernel.h"

/* Site numbers from here on are not for attach.h: a calibration describes its own spots there. */
enum { CALIBRATE_SITE = HT_SITES_MAX - 2 };

/* Nanoseconds of a trap with the recording program, by its kind. RETURN: what a return probe adds to the trap at the
 * entry that it cannot be without. SHARED is always 0. */
struct trap_costs {
	uint64_t ns[HT_TRAP_NR];
	uint64_t program_ns; /* what of an emulated trap is the program's */
};

/* Times one kind of trap, by calls of a function of this process that are recorded as any other would be (the records are
 * thrown away): the least of many short windows, so that other work on the machine does not count. No site of a target may
 * stand in `k`. Takes some milliseconds for an emulated trap, some tens for the others. -errno. */
int calibrate_trap(struct kernel *k, enum ht_trap trap, struct trap_costs *costs);

/* What so many traps have cost, and how many they are. */
double trap_cost_ns(const struct trap_costs *costs, const uint64_t traps[HT_TRAP_NR]);
/* The same, when the program took program_ns in the mean: with the stacks and the cold caches of a real target. */
double trap_real_cost_ns(const struct trap_costs *costs, const uint64_t traps[HT_TRAP_NR], double program_ns);
uint64_t trap_total(const uint64_t traps[HT_TRAP_NR]);

#endif
