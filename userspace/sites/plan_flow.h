/* SPDX-License-Identifier: BSD-2-Clause */
/* plan_flow.h - the cheapest plan of a function that its data flow allows. */
#ifndef HEAPTAPE_PLAN_FLOW_H
#define HEAPTAPE_PLAN_FLOW_H

#include "sites/code.h"
#include "sites/plan.h"

/*
 * Fills in the cheapest set of sites (cost.h, weight.h) with these properties:
 *  - an allocation passes exactly one ONE, at which arguments and result are known, or one STASH, at which the arguments
 *    are, and behind it a FINISH at which the result is, or a return probe where no such place exists;
 *  - a realloc passes a GIVE_UP in the place of ONE or STASH, before anything is called or stored;
 *  - a free of a block that is not NULL passes one ONE, before anything is called or stored.
 * False, and no sites, if there is none.
 */
bool plan_flow(const struct plan_env *env, struct code_reader *reader, struct plan *plan);

#endif
