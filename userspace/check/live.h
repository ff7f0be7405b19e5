/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * live.h - plans compared with the simple ones on the target itself, for what no scratch process can load: programs with
 * their own allocator, deleted files, another libc.
 *
 * Both stand at the same time for a while, each with state of its own in the kernel, and both make records of every call.
 */
#ifndef HEAPTAPE_LIVE_H
#define HEAPTAPE_LIVE_H

#include <stdint.h>

#include "record/drain.h"
#include "record/kernel.h"
#include "sites/survey.h"
#include "target/process.h"

struct live_result {
	unsigned nr_agreed, nr_disagreed, nr_unseen; /* functions */
	uint64_t nr_calls; /* on which both agreed */
	char why[128];     /* nr_agreed 0: the reason */
};

/* Plans `a`, compares, and leaves the plans of those functions that agreed in enough calls, and the simple ones of all
 * others. Takes at most two seconds. Before any site of the target stands. -errno: no plan may be used. */
int live_check(struct kernel *k, struct drain *d, const struct process *p, struct allocator *a,
	       const struct plan_rules *rules, struct live_result *res);

/* ---- the comparison alone ---- */

struct ht_ev_call;
struct compare;

struct compare *compare_new(unsigned nr_functions);
void compare_free(struct compare *c);
/* A call as one of the two (lane 0 or 1) has seen it, in the order of time for each thread and lane. -ENOMEM. */
int compare_add(struct compare *c, unsigned lane, unsigned function, const struct ht_ev_call *call);
/* Calls of a function on which both agreed, or -1: they differed. Calls under way when the comparison began or ended are
 * seen by one of them alone, and are no difference. */
int64_t compare_agreed(const struct compare *c, unsigned function);

#endif
