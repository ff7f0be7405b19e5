/* SPDX-License-Identifier: BSD-2-Clause */
/* From edges to sites: a minimum cut chooses. */
#include "plan_flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/tape.h"
#include "sites/cost.h"
#include "sites/cut.h"
#include "sites/plan_edges.h"
#include "sites/plan_site.h"
#include "sites/weight.h"

struct planner {
	const struct plan_env *env;
	struct plan *plan;
	struct edges edges;
};

/*
 * The graph of a cut. A node u with places for sites gets a twin: an arc from u to the twin at the price of one trap at u,
 * and free ways from the twin to where its edges lead. So one trap pays for all edges of u that are crossed. A return
 * probe, at another price, has a twin of its own. Nodes are 0 .. nr - 1, then both kinds of twins, then sink and source.
 */
struct graph {
	struct cut *cut;
	int nr, sink, source;
	bool *has_twin;
};

static bool graph_new(struct graph *g, const struct edges *es)
{
	g->nr = es->flow.nr_nodes;
	g->sink = 3 * g->nr;
	g->source = 3 * g->nr + 1;
	g->cut = cut_new(3 * g->nr + 2, 2 * es->nr + 3 * g->nr + 2);
	g->has_twin = calloc(3 * (size_t)g->nr, sizeof(*g->has_twin));
	return g->cut && g->has_twin;
}

static void graph_free(struct graph *g)
{
	cut_free(g->cut);
	free(g->has_twin);
}

/* An edge that may be crossed at the price of its twin (of all edges there together) and `extra`; twin 0: not at all. */
static void graph_edge(struct graph *g, struct edge *e, int twin, long long twin_cost, long long extra)
{
	int to = e->to >= 0 ? e->to : g->sink;

	e->arc = e->to >= 0 ? cut_arc(g->cut, e->from, to, twin ? extra : CUT_INFINITE) :
			      cut_free_arc(g->cut, e->from, to, twin ? extra : CUT_INFINITE);
	if (!twin)
		return;
	cut_free_arc(g->cut, twin, to, CUT_INFINITE);
	if (!g->has_twin[twin])
		cut_free_arc(g->cut, e->from, twin, twin_cost);
	g->has_twin[twin] = true;
}

static bool first_cut(struct planner *p, struct graph *g)
{
	struct edges *es = &p->edges;

	if (!graph_new(g, es))
		return false;
	for (int i = 0; i < es->nr; i++) {
		struct edge *e = &es->list[i];

		e->arc = -1;
		if (!e->dead)
			graph_edge(g, e, e->may_first ? g->nr + e->from : 0, edges_site_cost(es, e->from), e->extra);
	}
	return cut_solve(g->cut, 0, g->sink) < CUT_INFINITE;
}

static void finish_edge(struct graph *g, const struct edges *es, struct edge *e)
{
	if (e->may_finish)
		graph_edge(g, e, g->nr + e->from, edges_site_cost(es, e->from), 0);
	else
		graph_edge(g, e, e->may_return ? 2 * g->nr + e->from : 0, edges_return_cost(es, e->from), 0);
}

static bool crosses(const struct graph *g, const struct edge *e)
{
	return e->arc >= 0 && cut_crosses(g->cut, e->arc);
}

/* Two sites on one branch that differ in nothing but the way: one site without a condition. */
static bool merge_ways(struct plan *plan, const struct ht_site *site, uint64_t vaddr)
{
	for (unsigned i = 0; i < plan->nr_sites; i++) {
		struct plan_site *ps = &plan->sites[i];
		struct ht_site a = ps->site, b = *site;

		a.cond = b.cond = 0;
		if (ps->vaddr != vaddr || ps->class == SITE_RETURN || memcmp(&a, &b, sizeof(a)) != 0)
			continue;
		ps->site.cond = 0;
		return true;
	}
	return false;
}

static void count_trap(struct plan *plan, const struct flow_node *node, bool is_return, bool entered)
{
	if (is_return)
		plan->traps.returned += node->runs;
	if (!entered && node->insn.emulated)
		plan->traps.emulated += node->runs;
	else if (!entered)
		plan->traps.stepped += node->runs;
}

static bool take_site(struct planner *p, const struct edge *e, const struct ht_site *site, bool is_return)
{
	const struct flow_node *node = &p->edges.flow.nodes[e->from];
	enum site_class class = is_return ? SITE_RETURN : node->insn.emulated ? SITE_EMULATED : SITE_STEPPED;
	struct plan *plan = p->plan;
	struct plan_site *ps;
	bool entered = false;

	for (unsigned i = 0; i < plan->nr_sites; i++) {
		if (plan->sites[i].vaddr != node->insn.vaddr)
			continue;
		if (is_return && plan->sites[i].class == SITE_RETURN)
			return true;
		entered = true;
	}
	if (!is_return && merge_ways(plan, site, node->insn.vaddr))
		return true;
	ps = plan_add_site(p->env, plan, &node->insn, class);
	if (!ps)
		return false;
	ps->site = *site;
	count_trap(plan, node, is_return, entered);
	return true;
}

static struct ht_site finish_site(const struct function *f, int32_t ra_off, struct ht_loc result)
{
	return (struct ht_site){ .kind = f->kind,
				 .role = HT_ROLE_FINISH,
				 .ra_off = ra_off,
				 .size = { .from = HT_FROM_STASH },
				 .ptr = result };
}

/* The return probe finds the stack pointer 8 bytes above the return address that is popped by then. */
static bool take_return(struct planner *p, const struct edge *e)
{
	struct ht_loc result = { .from = HT_FROM_REG, .reg = (uint8_t)code_result_reg() };
	struct ht_site site = finish_site(p->plan->function, -8, result);

	return take_site(p, e, &site, true);
}

static bool take_first(struct planner *p, const struct edge *e)
{
	if (e->end == EDGE_TAILS)
		p->plan->traps.emulated += edges_runs(&p->edges, e); /* the other function's FINISH */
	return take_site(p, e, &e->first, false) && (!e->by_return || take_return(p, e));
}

static bool take_finish(struct planner *p, const struct edge *e)
{
	const struct code_insn *in = &p->edges.flow.nodes[e->from].insn;
	struct ht_site site = finish_site(p->plan->function, -flow_sp(&p->edges.flow, e->from), e->result);

	if (!e->may_finish)
		return take_return(p, e);
	site.cond = in->flow != CODE_BRANCH ? 0 : e->taken ? in->cond : (uint8_t)(((in->cond - 1) ^ 1) + 1);
	return take_site(p, e, &site, false);
}

/* FINISH sites for what the STASHes in `first` lead into: calls that passed a ONE elsewhere need no second trap. */
static bool take_finishes(struct planner *p, const struct graph *first)
{
	struct edges *es = &p->edges;
	size_t nr = (size_t)es->flow.nr_nodes;
	bool *reached = calloc(2 * nr, sizeof(*reached)), *start = reached + nr, any = false;
	struct graph g = { 0 };
	bool ok = reached;

	for (int i = 0; ok && i < es->nr; i++) {
		const struct edge *e = &es->list[i];

		if (!crosses(first, e) || e->first.role == HT_ROLE_ONE || e->by_return || e->to < 0)
			continue;
		start[e->to] = any = true;
		edges_reach(es, e->to, reached);
	}
	if (!any) {
		free(reached);
		return ok;
	}
	ok = graph_new(&g, es);
	for (int i = 0; ok && i < es->nr; i++) {
		struct edge *e = &es->list[i];

		e->arc = -1;
		if (reached[e->from] && e->end != EDGE_TAILS)
			finish_edge(&g, es, e);
	}
	for (int i = 0; ok && i < es->flow.nr_nodes; i++)
		if (start[i])
			cut_free_arc(g.cut, g.source, i, CUT_INFINITE);
	ok = ok && cut_solve(g.cut, g.source, g.sink) < CUT_INFINITE;
	for (int i = 0; ok && i < es->nr; i++)
		ok = !crosses(&g, &es->list[i]) || take_finish(p, &es->list[i]);
	graph_free(&g);
	free(reached);
	return ok;
}

static bool take_guards(struct planner *p)
{
	const struct flow *flow = &p->edges.flow;

	for (unsigned i = 0; i < flow->nr_guards; i++) {
		struct plan_site *ps = plan_add_site(p->env, p->plan, &flow->guards[i], SITE_EMULATED);

		if (!ps)
			return false;
		ps->site.kind = p->plan->function->kind;
		ps->site.role = HT_ROLE_GUARD;
	}
	return true;
}

static void drop_sites(struct plan *plan)
{
	plan->nr_sites = 0;
	plan->traps = (struct plan_traps){ 0 };
}

static bool take_cut(struct planner *p)
{
	struct graph g = { 0 };
	bool ok = first_cut(p, &g);

	for (int i = 0; ok && i < p->edges.nr; i++)
		ok = !crosses(&g, &p->edges.list[i]) || take_first(p, &p->edges.list[i]);
	ok = ok && p->plan->nr_sites && take_finishes(p, &g) && take_guards(p);
	graph_free(&g);
	if (!ok)
		drop_sites(p->plan);
	return ok;
}

static bool has_finish(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->nr_sites; i++)
		if (plan->sites[i].site.role == HT_ROLE_FINISH)
			return true;
	return false;
}

/* FINISH sites are preferred; where the price of return probes turns out lower, those. */
static bool take_cheaper(struct planner *p)
{
	struct plan by_finish;

	if (!take_cut(p))
		by_finish.nr_sites = 0;
	else
		by_finish = *p->plan;
	if (p->env->no_return || (by_finish.nr_sites && !by_finish.traps.returned && !has_finish(&by_finish)))
		return by_finish.nr_sites;
	drop_sites(p->plan);
	p->edges.only_returns = true;
	edges_price(&p->edges);
	if (take_cut(p) && (!by_finish.nr_sites || plan_cost(p->plan, p->env->cost) < plan_cost(&by_finish, p->env->cost)))
		return true;
	if (by_finish.nr_sites)
		*p->plan = by_finish;
	return by_finish.nr_sites;
}

bool plan_flow(const struct plan_env *env, struct code_reader *reader, struct plan *plan)
{
	struct planner *p = calloc(1, sizeof(*p));
	bool ok = false;

	if (p && edges_build(&p->edges, env, reader, plan)) {
		p->env = env;
		p->plan = plan;
		ok = take_cheaper(p);
		plan->counted = p->edges.counted;
	}
	if (p)
		edges_free(&p->edges);
	free(p);
	return ok;
}
