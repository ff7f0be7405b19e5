/* SPDX-License-Identifier: BSD-2-Clause */
/* plan_site.h - adding a site to a plan, for the planners. */
#ifndef HEAPTAPE_PLAN_SITE_H
#define HEAPTAPE_PLAN_SITE_H

#include "sites/code.h"
#include "sites/plan.h"

/* A site on `insn`, its ht_site zero; NULL if the plan is full or the instruction lies outside the file's code. */
struct plan_site *plan_add_site(const struct plan_env *env, struct plan *plan, const struct code_insn *insn,
				enum site_class class);

#endif
