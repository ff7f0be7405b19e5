/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prepare.h - from an allocator that was found to plans that may be used: remembered, or counted, planned and checked.
 */
#ifndef HEAPTAPE_PREPARE_H
#define HEAPTAPE_PREPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "check/check.h"
#include "target/process.h"

enum prepared {
	PREPARED_SIMPLE,  /* plans that need no check, since they were asked for or no check was possible */
	PREPARED_CACHED,  /* as an earlier check has left them */
	PREPARED_CHECKED, /* in a scratch process, now */
	PREPARED_LIVE,    /* side by side with the simple ones, on the target itself */
};

struct prepare_opts {
	bool simple;   /* no plan that needs a check */
	bool no_cache; /* neither read nor write what is remembered */
	const struct process *target; /* whose peculiarities count, NULL: none */
	bool target_runs; /* and it makes calls now, so that plans can be compared on it */
};

struct prepare_result {
	enum prepared how;
	bool counted; /* what is usual was counted */
	char why[256]; /* PREPARED_SIMPLE although not asked for: the reason; else "" */
	struct check_result check; /* PREPARED_CHECKED, and remembered for PREPARED_CACHED */
	uint64_t took_ns;
};

/* Fills in the plans of `a`. k and d may be NULL (without rights): then only what is remembered is used, or the plans are
 * PREPARED_SIMPLE. Before any site of the target stands. -errno only if memory is short. */
int prepare_plans(struct kernel *k, struct drain *d, struct allocator *a, const struct prepare_opts *opts,
		  struct prepare_result *res);

#endif
