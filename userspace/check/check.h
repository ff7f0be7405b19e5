/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - no plan is believed because it looks right: it is tried on known calls first.
 *
 * A scratch process without rights maps the very file, makes calls of every planned function that it can reach, and
 * writes down what it asked for and got; the probes stand in it as they will in the target. A plan whose events differ
 * from that in anything is replaced by the simple one (plan.h), and the reason is kept.
 */
#ifndef HEAPTAPE_CHECK_H
#define HEAPTAPE_CHECK_H

#include <stdint.h>

#include "check/scratch_run.h"
#include "record/drain.h"
#include "record/kernel.h"

struct check_result {
	unsigned nr_checked, nr_failed;
	unsigned nr_unreached; /* planned, but not to be called from outside */
	uint64_t nr_calls, took_ns;
	char why[256];         /* nothing was checked: the reason; else "" */
};

/* Checks the plans of `a` (plan.check is set) and replaces those that fail or cannot be called and are not simple, by
 * `rules`. Uses the kernel's programs and rings before any site of a target stands. -errno: nothing could be checked, no plan
 * that rests on data flow may be used; res->why says why. */
int check_plans(struct scratch *s, struct kernel *k, struct drain *d, struct allocator *a, const struct plan_rules *rules,
		struct check_result *res);

#endif
