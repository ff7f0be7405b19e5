/* SPDX-License-Identifier: BSD-2-Clause */
/* plan_flow.h - plans that rest on the data flow of a function: one trap a call, or two emulated ones. */
#ifndef HEAPTAPE_PLAN_FLOW_H
#define HEAPTAPE_PLAN_FLOW_H

#include "sites/code.h"
#include "sites/plan.h"

/*
 * Fills in the cheapest set of emulated sites that every call passes exactly once with size and result known; where a
 * way leads into code that others share, or into another recorded function, a STASH stands at its beginning instead.
 * False, and plan untouched but for why, if there is none.
 */
bool plan_flow_one(const struct plan_env *env, struct code_reader *reader, struct plan *plan);
/* Adds FINISH sites at which the result is known, for a plan whose first site keeps the arguments. */
bool plan_flow_finish(const struct plan_env *env, struct code_reader *reader, struct plan *plan);

#endif
