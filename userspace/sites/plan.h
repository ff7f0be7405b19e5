/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan.h - where to stand: the sites at which each call of a function is seen exactly once.
 *
 * A probe's cost is decided by the instruction it sits on: the kernel emulates a few and must single-step all others,
 * at five times the price. A plan is an array of sites plus what they cost. Pure: reads machine code, touches no process.
 *
 * A return probe puts the address of a trampoline where the return address was; a C++ exception that has to pass such a
 * frame ends the program. Functions that may throw therefore get sites at their return instructions instead.
 */
#ifndef HEAPTAPE_PLAN_H
#define HEAPTAPE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/events.h"
#include "sites/functions.h"
#include "target/object.h"

enum { PLAN_SITES_MAX = 48, PLAN_INSN_MAX = 64, PLAN_WHY_MAX = 128 };

/* What a trap on an instruction makes the kernel do. */
enum site_class { SITE_EMULATED, SITE_STEPPED, SITE_RETURN };

struct plan_site {
	struct ht_site site;  /* obj and func are filled in when it is attached */
	enum site_class class;
	uint64_t vaddr;       /* of the instruction; SITE_RETURN: of the function's entry or a push behind it */
	uint64_t offset;      /* the same in the file */
	uint8_t first_byte;   /* what stands there when nobody probes */
	char insn[PLAN_INSN_MAX]; /* disassembled, for people */
};

enum plan_check {
	PLAN_CHECK_NONE,
	PLAN_CHECK_PASSED, /* known calls in a scratch process */
	PLAN_CHECK_LIVE,   /* side by side with the simple plan on the target itself */
	PLAN_CHECK_FAILED, /* and was replaced */
};

/* Traps of PLAN_USUAL_CALLS usual calls. */
enum { PLAN_USUAL_CALLS = 1024 };
struct plan_traps {
	uint32_t emulated, stepped, returned;
};

struct plan {
	const struct function *function;
	char symbol[64];       /* the name it was found by */
	uint64_t vaddr, nbytes; /* the function; nbytes 0: the file does not say */
	bool called_inside;    /* a free that its own object calls, too */
	struct plan_site sites[PLAN_SITES_MAX];
	unsigned nr_sites;
	struct plan_traps traps;
	bool counted;          /* what is usual was counted, not guessed */
	bool skipped;          /* needs no probe: see why */
	bool by_flow;          /* rests on data flow: not to be used unchecked */
	enum plan_check check;
	char why[PLAN_WHY_MAX]; /* no sites: the reason; otherwise what is remarkable, or "" */
};

/* Where a jump leads that is no part of the function: asked so that a stub of another planned function needs no probe. */
struct cost;
struct profile;
struct noreturn_memo;
struct plan_env {
	const struct object *obj;
	/* The row of the recorded function that begins at vaddr, NULL if none does. */
	const struct function *(*function_at)(void *arg, uint64_t vaddr);
	void *arg;
	const struct cost *cost;
	const uint64_t *inner;   /* behind the object's own calls of its free (survey.h) */
	unsigned nr_inner;
	bool no_calls;           /* no probe on a call: its emulation breaks with shadow stacks */
	const char *no_return;   /* why no return probe may be used in the target, NULL: one may */
	const struct profile *profile; /* how often instructions run; NULL: not counted */
	struct noreturn_memo *noreturn; /* answers of noreturn.h, or NULL */
	bool simple; /* only plans that need no check: entry, and return probe or return instructions */
};

/* What the traps of PLAN_USUAL_CALLS calls cost, COST_EMULATED for each that is emulated. */
uint64_t plan_cost(const struct plan *plan, const struct cost *cost);

/* Plans the function that `plan` names (function, symbol, vaddr, nbytes, called_inside); all else is filled in. Never fails:
 * without a way, the plan has no sites and says why. */
void plan_function(const struct plan_env *env, struct plan *plan);

#endif
