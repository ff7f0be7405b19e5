/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * estimate.h - what recording a process will cost it, before it is recorded.
 *
 * Counts the target's calls for a while at the sites where they would be recorded: those that begin a call, so each call
 * takes one trap and no record is made. What the whole plans would take follows from the plans and from the calibrated
 * cost of each kind of trap.
 */
#ifndef HEAPTAPE_ESTIMATE_H
#define HEAPTAPE_ESTIMATE_H

#include <stdint.h>

#include "record/calibrate.h"
#include "sites/survey.h"
#include "target/process.h"

struct estimate {
	/* Measured. */
	uint64_t duration_ns;
	uint64_t calls;                     /* calls inside calls included: they are traps as well */
	uint64_t counted_traps[HT_TRAP_NR]; /* that the counting itself took */
	uint64_t traps[HT_TRAP_NR];         /* that a recording would have taken for the same calls */
	struct trap_costs costs;
	uint64_t busy_ns;                   /* the target's CPU time meanwhile, the counting's traps included; 0: unknown */
	unsigned nr_busy;                   /* threads that ran, at most as many as there are CPUs */
	/* Concluded. */
	double calls_per_s;                 /* as counted */
	double cpus;                        /* that the traps of a recording will take */
	double recorded_calls_per_s;        /* fewer than calls_per_s where a busy thread has no time left for the traps */
	char error[256];                    /* "" unless estimate_run failed */
};

/* Counts for duration_ns and concludes. 0, or -errno with est->error in words. Needs the rights that recording needs. */
int estimate_run(const struct process *p, struct allocator *const *list, unsigned nr, uint64_t duration_ns,
		 struct estimate *est);
/* From what was measured to the figures. */
void estimate_conclude(struct estimate *est);

#endif
