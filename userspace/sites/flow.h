/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow.h - what is known at each instruction of a function: where its arguments live, and where its result already is.
 *
 * Forward, from the entry: which registers and stack slots hold which argument (or the product of two: calloc), and what
 * branches have told about them. Backward, from
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
	FLOW_GUARDS_MAX = 4,
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

enum flow_value_kind {
	FLOW_UNKNOWN,
	FLOW_ARG,
	FLOW_SP,
	FLOW_PRODUCT,  /* low 64 bits of the function's size times its mul */
	FLOW_HIGH,     /* the high ones */
	FLOW_OVERFLOW, /* not 0 if they are not 0 */
};
enum { FLOW_OVERFLOW_BYTE, FLOW_OVERFLOW_WHOLE, FLOW_OVERFLOW_FLAG };

struct flow_value {
	uint8_t kind; /* enum flow_value_kind */
	uint8_t a;    /* ARG: its number; OVERFLOW: how much of the place holds it */
	int16_t off;  /* SP: stack pointer at the entry plus off */
};

/* Before an instruction. Everything but `touched` holds on all ways here. */
struct flow_state {
	struct flow_value reg[CODE_NR_REGS];
	struct flow_value slot[FLOW_NR_SLOTS];
	struct flow_value flags_of; /* the flags tell how this value stands to flags_with */
	uint8_t flags_with;
	bool reached;
	bool no_overflow; /* the product is below 2^64 */
	bool null;        /* the function's block (ptr) is NULL */
	bool touched;     /* on some way here, something was called or stored outside of the frame */
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
	bool exits_by_next; /* by falling out of its end, not by its jump */
	bool clears;      /* calloc: a call taken for memset, as FLOW_CLEARS is */
	bool own;         /* inside the function itself, not in code that others may share */
	uint32_t count, taken, not_taken; /* weights: times it runs, its branch is taken, and is not; see weight.h */
	uint32_t runs;         /* count, not rounded */
	struct flow_state in;
	struct flow_result result;
};

struct flow {
	const struct function *function;
	struct flow_node *nodes; /* [0] is the entry */
	int nr_nodes;
	bool complete; /* the code was followed to its ends, and the stack pointer is known everywhere */
	/* Where the code would go on if a call came back that is taken not to. */
	struct code_insn guards[FLOW_GUARDS_MAX];
	unsigned nr_guards;
	bool calls_recorded; /* it calls another function that is recorded */
};

/* Follows `f` at vaddr. -ENOMEM, or -E2BIG when the code is too long to follow. flow_free in any case. */
int flow_build(const struct plan_env *env, struct code_reader *reader, const struct function *f, uint64_t vaddr,
	       uint64_t nbytes, struct flow *flow);
void flow_free(struct flow *flow);

/* What is known on one way out of node n, at the time when n is reached: of a branch, what its being taken tells. */
void flow_state_on_way(const struct flow *flow, int n, bool taken, struct flow_state *s_ret);
/* A place that holds `want`; from HT_FROM_NONE if none does. Registers before stack slots. */
struct ht_loc flow_find(const struct flow_state *s, struct flow_value want);
/* A place that holds the result before node n if the way goes on to node `at`, one of n's successors (-1: it leaves); false
 * if none does. from HT_FROM_NONE: the result is NULL. */
bool flow_find_result(const struct flow *flow, int n, int at, struct ht_loc *loc_ret);
/* Stack pointer before node n minus at the entry. */
int flow_sp(const struct flow *flow, int n);

#endif
