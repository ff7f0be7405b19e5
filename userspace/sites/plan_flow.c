/* SPDX-License-Identifier: BSD-2-Clause */
/* From data flow to sites: each edge of the control flow is a place or none, and a minimum cut chooses. */
#include "plan_flow.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/tape.h"
#include "sites/cut.h"
#include "sites/flow.h"
#include "sites/plan_site.h"

/* Relative prices of a call that passes there; only their order matters. */
enum { COST_ONE = 10, COST_STASH = 25, COST_FINISH = 10 };

struct edge {
	int from, to; /* to: -1 leaves into another recorded function */
	bool taken;   /* BRANCH: the way of the condition */
	enum ht_role role;
	struct ht_site site; /* filled in if cost is finite */
	int cost, arc;
};

struct planner {
	const struct plan_env *env;
	struct plan *plan;
	struct flow flow;
	struct edge edges[2 * FLOW_INSNS_MAX];
	int nr_edges;
};

static struct flow_value arg_value(unsigned n)
{
	return (struct flow_value){ .kind = FLOW_ARG, .a = (uint8_t)n };
}

static bool find_arg(const struct flow *flow, int n, unsigned arg, struct ht_loc *loc)
{
	if (!arg) {
		*loc = (struct ht_loc){ .from = HT_FROM_NONE };
		return true;
	}
	*loc = flow_find(flow, n, arg_value(arg));
	return loc->from != HT_FROM_NONE;
}

static bool find_arguments(const struct flow *flow, int n, const struct function *f, struct ht_site *site)
{
	if (!find_arg(flow, n, f->size, &site->size) || !find_arg(flow, n, f->mul, &site->mul) ||
	    !find_arg(flow, n, f->align, &site->align) || !find_arg(flow, n, f->old, &site->old))
		return false;
	if (f->flags & FUNCTION_LG_ALIGN)
		site->align.xform = HT_XFORM_LG_ALIGN;
	return true;
}

/* An emulated instruction that tells which way the call goes, if it matters. A call is left alone: it breaks with shadow
 * stacks. */
static bool may_stand(const struct flow_node *node)
{
	return node->insn.emulated && node->insn.fit && node->insn.flow != CODE_CALL &&
	       (node->insn.flow != CODE_BRANCH || node->insn.cond);
}

static void edge_site(const struct planner *p, struct edge *e, enum ht_role role)
{
	const struct flow_node *node = &p->flow.nodes[e->from];

	e->role = role;
	e->site.kind = p->plan->function->kind;
	e->site.role = (uint8_t)role;
	e->site.ra_off = -flow_sp(&p->flow, e->from);
	/* Conditions come in pairs that differ in their last bit. */
	e->site.cond = node->insn.flow != CODE_BRANCH ? 0 : e->taken ? node->insn.cond : (uint8_t)(((node->insn.cond - 1) ^ 1) + 1);
}

/* What a site on this edge would cost, and what it would look like. */
static void price_one(struct planner *p, struct edge *e)
{
	const struct flow_node *node = &p->flow.nodes[e->from];
	bool leaves_own = e->to < 0 || !p->flow.nodes[e->to].own;

	e->cost = CUT_INFINITE;
	if (!node->own || !may_stand(node) || !find_arguments(&p->flow, e->from, p->plan->function, &e->site))
		return;
	if (!leaves_own && flow_find_result(&p->flow, e->from, e->to, &e->site.ptr)) {
		edge_site(p, e, HT_ROLE_ONE);
		e->cost = COST_ONE;
		return;
	}
	edge_site(p, e, HT_ROLE_STASH);
	e->site.flags |= leaves_own ? HT_SITE_MAY_TAIL : 0;
	e->cost = COST_STASH;
}

static void price_finish(struct planner *p, struct edge *e)
{
	e->cost = CUT_INFINITE;
	if (e->to < 0 || !may_stand(&p->flow.nodes[e->from]) || !flow_find_result(&p->flow, e->from, e->to, &e->site.ptr))
		return;
	edge_site(p, e, HT_ROLE_FINISH);
	e->site.mul = e->site.align = e->site.old = (struct ht_loc){ .from = HT_FROM_NONE };
	e->site.flags = 0;
	e->site.size = (struct ht_loc){ .from = HT_FROM_STASH };
	e->cost = COST_FINISH;
}

static void collect_edges(struct planner *p)
{
	for (int i = 0; i < p->flow.nr_nodes; i++) {
		const struct flow_node *node = &p->flow.nodes[i];

		if (node->next >= 0)
			p->edges[p->nr_edges++] = (struct edge){ .from = i, .to = node->next };
		if (node->target >= 0 || node->exit == FLOW_TAILS)
			p->edges[p->nr_edges++] = (struct edge){ .from = i, .to = node->target, .taken = true };
	}
}

/* Nodes 0 .. nr - 1 of the flow, then source and sink. With `reached`, of these nodes alone, and a jump to another
 * recorded function needs nothing more. */
static struct cut *make_cut(struct planner *p, void (*price_edge)(struct planner *p, struct edge *e), const bool *reached)
{
	int nr = p->flow.nr_nodes, sink = nr + 1;
	struct cut *c = cut_new(nr + 2, p->nr_edges + 3 * nr + 2);

	if (!c)
		return NULL;
	for (int i = 0; i < p->nr_edges; i++) {
		struct edge *e = &p->edges[i];

		e->arc = -1;
		if (reached && !reached[e->from])
			continue;
		price_edge(p, e);
		if (e->to >= 0)
			e->arc = cut_arc(c, e->from, e->to, e->cost);
		else if (!reached)
			e->arc = cut_free_arc(c, e->from, sink, e->cost);
	}
	for (int i = 0; i < nr; i++)
		if (p->flow.nodes[i].exit == FLOW_RETURNS || p->flow.nodes[i].exit == FLOW_LEAVES ||
		    p->flow.nodes[i].exit == FLOW_CLEARS)
			cut_free_arc(c, i, sink, CUT_INFINITE);
	return c;
}

/* Two sites on one branch that differ in nothing but the way: one site without a condition. */
static bool merge_ways(struct plan *plan, const struct edge *e, const struct flow_node *node)
{
	for (unsigned i = 0; i < plan->nr_sites; i++) {
		struct plan_site *ps = &plan->sites[i];
		struct ht_site a = ps->site, b = e->site;

		a.cond = b.cond = 0;
		if (ps->vaddr != node->insn.vaddr || memcmp(&a, &b, sizeof(a)) != 0)
			continue;
		ps->site.cond = 0;
		return true;
	}
	return false;
}

static bool take_crossing(struct planner *p, const struct cut *c)
{
	for (int i = 0; i < p->nr_edges; i++) {
		const struct edge *e = &p->edges[i];
		const struct flow_node *node = &p->flow.nodes[e->from];
		struct plan_site *ps;

		if (e->arc < 0 || !cut_crosses(c, e->arc) || merge_ways(p->plan, e, node))
			continue;
		ps = plan_add_site(p->env, p->plan, &node->insn, SITE_EMULATED);
		if (!ps)
			return false;
		ps->site = e->site;
	}
	return true;
}

static bool planner_begin(struct planner *p, const struct plan_env *env, struct code_reader *reader, struct plan *plan)
{
	p->env = env;
	p->plan = plan;
	if (flow_build(env, reader, plan->function, plan->vaddr, plan->nbytes, &p->flow) || !p->flow.complete)
		return false;
	collect_edges(p);
	return true;
}

static void mark_reached(const struct planner *p, bool *reached)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (int i = 0; i < p->nr_edges; i++) {
			const struct edge *e = &p->edges[i];

			if (e->to < 0 || !reached[e->from] || reached[e->to])
				continue;
			reached[e->to] = changed = true;
		}
	}
}

/* The cut of what lies behind the nodes in `start`: calls that passed a ONE elsewhere need no second trap. */
static bool finish_behind(struct planner *p, const bool *start, bool *reached)
{
	int nr = p->flow.nr_nodes, source = nr, sink = nr + 1;
	struct cut *c;
	bool ok;

	memcpy(reached, start, (size_t)nr * sizeof(*reached));
	mark_reached(p, reached);
	c = make_cut(p, price_finish, reached);
	for (int i = 0; c && i < nr; i++)
		if (start[i])
			cut_free_arc(c, source, i, CUT_INFINITE);
	ok = c && cut_solve(c, source, sink) < CUT_INFINITE && take_crossing(p, c);
	cut_free(c);
	return ok;
}

/* FINISH sites for what the edges crossed by `first` lead into (all of the function if it is NULL). */
static bool finish_from(struct planner *p, const struct cut *first)
{
	bool *nodes = calloc(2 * (size_t)p->flow.nr_nodes, sizeof(*nodes)), *start = nodes;
	bool any = !first, ok;

	if (!nodes)
		return false;
	start[0] = !first;
	for (int i = 0; first && i < p->nr_edges; i++) {
		const struct edge *e = &p->edges[i];

		if (e->arc >= 0 && e->to >= 0 && e->role == HT_ROLE_STASH && cut_crosses(first, e->arc))
			start[e->to] = any = true;
	}
	ok = !any || finish_behind(p, start, nodes + p->flow.nr_nodes);
	free(nodes);
	return ok;
}

static bool has_one(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->nr_sites; i++)
		if (plan->sites[i].site.role == HT_ROLE_ONE)
			return true;
	return false;
}

bool plan_flow_one(const struct plan_env *env, struct code_reader *reader, struct plan *plan)
{
	struct planner *p = calloc(1, sizeof(*p));
	struct cut *c = NULL;
	/* Calls inside are told from the program's by the open call around them: then there must be one. */
	bool ok = p && planner_begin(p, env, reader, plan) && !p->flow.calls_recorded;

	if (ok) {
		c = make_cut(p, price_one, NULL);
		ok = c && cut_solve(c, 0, p->flow.nr_nodes + 1) < CUT_INFINITE && take_crossing(p, c);
	}
	ok = ok && plan->nr_sites && finish_from(p, c);
	if (!ok)
		plan->nr_sites = 0;
	else
		plan->nr_emulated = has_one(plan) ? 1 : 2;
	cut_free(c);
	if (p)
		flow_free(&p->flow);
	free(p);
	return ok;
}

bool plan_flow_finish(const struct plan_env *env, struct code_reader *reader, struct plan *plan)
{
	struct planner *p = calloc(1, sizeof(*p));
	unsigned before = plan->nr_sites;
	bool ok = p && planner_begin(p, env, reader, plan) && finish_from(p, NULL) && plan->nr_sites > before;

	if (!ok)
		plan->nr_sites = before;
	else
		plan->nr_emulated++;
	if (p)
		flow_free(&p->flow);
	free(p);
	return ok;
}
