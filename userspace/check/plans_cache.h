/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache.h - plans that a check has borne out, remembered: by build id and code of the object, kernel, planner and what the
 * target forbids.
 *
 * One file each in the folder of cache_dir.h.
 * A file that is not the user's own, damaged, or does not fit the object in every site is not used.
 */
#ifndef HEAPTAPE_PLANS_CACHE_H
#define HEAPTAPE_PLANS_CACHE_H

#include <stdint.h>

#include "check/check.h"

/* What is remembered beside the plans. */
struct plans_note {
	uint32_t nr_checked, nr_failed, nr_unreached, counted;
	uint64_t nr_calls;
};

/* 1: the plans of `a` are filled in; 0: nothing fits; -errno. */
int plans_cache_load(struct allocator *a, const struct plan_rules *rules, struct plans_note *note_ret);
/* -errno; what cannot be written is no error of the caller's. */
int plans_cache_store(const struct allocator *a, const struct plan_rules *rules, const struct plans_note *note);

#endif
