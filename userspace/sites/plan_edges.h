/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan_edges.h - the ways of a function from instruction to instruction, and what a site on each of them would be.
 */
#ifndef HEAPTAPE_PLAN_EDGES_H
#define HEAPTAPE_PLAN_EDGES_H

#include "sites/flow.h"
#include "sites/plan.h"

enum edge_end {
	EDGE_STAYS,   /* leads to node `to` */
	EDGE_TAILS,   /* into another recorded function */
	EDGE_RETURNS, /* returns, or clears the block and returns it */
	EDGE_LEAVES,  /* to where nobody can follow */
};

struct edge {
	int from, to; /* to: -1 unless EDGE_STAYS */
	enum edge_end end;
	bool taken;   /* of a branch: the way of its condition */
	bool dead;    /* nothing to record is ever on this way: free of NULL */
	struct ht_site first; /* ONE, STASH or GIVE_UP, if may_first */
	struct ht_loc result; /* where the result is, if may_finish */
	bool may_first, may_finish;
	bool may_return;   /* a return probe may stand here: the stack is as it was at the entry */
	bool by_return;    /* the STASH is finished by a return probe on the same instruction */
	long long extra;   /* what the STASH's finish costs besides */
	int arc;           /* in the cut at hand, -1: not part of it */
};

struct edges {
	const struct plan_env *env;
	const struct function *function;
	struct flow flow;
	struct edge list[2 * FLOW_INSNS_MAX];
	int nr;
	bool counted;      /* the weights come from a counted run */
	bool only_returns; /* no FINISH by data flow */
};

/* Follows the function and prices all edges. false: it cannot be followed. edges_free in any case. */
bool edges_build(struct edges *es, const struct plan_env *env, struct code_reader *reader, const struct plan *plan);
void edges_free(struct edges *es);
/* Prices `first` of all edges (again, after only_returns was set). */
void edges_price(struct edges *es);
/* What a trap on node n costs, for all calls that come there; and a return probe there, its trap included. */
long long edges_site_cost(const struct edges *es, int n);
long long edges_return_cost(const struct edges *es, int n);
/* How often calls take this edge, as weight.h counts. */
uint32_t edges_runs(const struct edges *es, const struct edge *e);
/* Marks in `reached` (zeroed, nr_nodes) all nodes that node n leads to, itself included. */
void edges_reach(const struct edges *es, int n, bool *reached);

#endif
