/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * choose_stacks.h - which stacks a document names one by one; the others are told as one sum.
 *
 * Each of its figures has its first r->top stacks: live and pinned bytes at the most they are at any moment, allocated bytes,
 * brief objects, calls. Where that is more than r->stacks_max in all, fewer of each. What findings are about is always there.
 */
#ifndef HEAPTAPE_CHOOSE_STACKS_H
#define HEAPTAPE_CHOOSE_STACKS_H

#include "report/report.h"

/* chosen: one for each of the analysis' stacks, all false before. 0 or -ENOMEM. */
int choose_stacks(const struct report *r, bool *chosen);

#endif
