/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow.h - what is known at each instruction of a function: where its arguments live, and where its result already is.
 *
 * Forward, from the entry: which registers and stack slots hold which argument. Backward, from
 * the returns: which registers and stack slots hold what becomes the result on every path from here on. Both are
 * fixpoints over the control-flow graph of the function and of the code it tail-jumps to inside its object. Classic data
 * flow analysis; every answer errs on the side of "not known". Pure.
 */
#ifndef HEAPTAPE_FLOW_H
#define HEAPTAPE_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "sites/code.h"
#include "sites/plan.h"

enum {
	FLOW_INSNS_MAX = 2048,
	FLOW_SLOT_LOW = -1024, /* bytes from the entry's stack pointer: frames that are followed */
	FLOW_SLOT_HIGH = 64,   /* the return address at 0, arguments on the stack above it */
	FLOW_NR_SLOTS = (FLOW_SLOT_HIGH - FLOW_SLOT_LOW) / 8,
};

/* How an instruction leaves the code that is followed. */
enum flow_exit {
	FLOW_STAYS,
	FLOW_RETURNS,
	FLOW_TAILS,   /* jumps to another recorded function */
	FLOW_LEAVES,  /* to where the code alone does not tell */
	FLOW_CLEARS,  /* calloc: taken for a tail jump to memset, which returns its first argument; the check must bear it out */
	FLOW_ABORTS,  /* does not come back: nothing to see there */
};

enum flow_value_kind { FLOW_UNSEEN, FLOW_UNKNOWN, FLOW_ARG, FLOW_SP };

struct flow_value {
	uint8_t kind; /* enum flow_value_kind */
	uint8_t a;    /* ARG: its number */
	int16_t off;  /* SP: stack pointer at the entry plus off */
};

/* Before an instruction. */
struct flow_state {
	struct flow_value reg[CODE_NR_REGS];
	struct flow_value slot[FLOW_NR_SLOTS];
};

/* Where the result is, before an instruction. */
struct flow_result {
	uint32_t regs;
	uint64_t slots[(FLOW_NR_SLOTS + 63) / 64];
	bool zero; /* the result is NULL from here on */
	bool any;  /* no path from here returns: every location will do */
};

struct flow_node {
	struct code_insn insn;
	int next, target; /* indices, -1: none */
	enum flow_exit exit;
	bool own;         /* inside the function itself, not in code that others may share */
	struct flow_state in;
	struct flow_result result;
};

struct flow {
	struct flow_node *nodes; /* [0] is the entry */
	int nr_nodes;
	bool complete; /* the code was followed to its ends, and the stack pointer is known everywhere */
	bool calls_recorded; /* it calls another function that is recorded */
};

/* Follows `f` at vaddr. -ENOMEM, or -E2BIG when the code is too long to follow. flow_free in any case. */
int flow_build(const struct plan_env *env, struct code_reader *reader, const struct function *f, uint64_t vaddr,
	       uint64_t nbytes, struct flow *flow);
void flow_free(struct flow *flow);

/* A place that holds `want` before node n; from HT_FROM_NONE if none does. Registers before stack slots. */
struct ht_loc flow_find(const struct flow *flow, int n, struct flow_value want);
/* A place that holds the result before node n if the way goes on to node `at`, one of n's successors; false if none
 * does. from HT_FROM_NONE: the result is NULL. */
bool flow_find_result(const struct flow *flow, int n, int at, struct ht_loc *loc_ret);
/* Stack pointer before node n minus at the entry. */
int flow_sp(const struct flow *flow, int n);

#endif
