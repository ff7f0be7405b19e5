/* SPDX-License-Identifier: BSD-2-Clause */
/* Edges of the control flow as places for sites. */
#include "plan_edges.h"

#include <stdlib.h>
#include <string.h>

#include "formats/tape.h"
#include "sites/cost.h"
#include "sites/weight.h"

static const struct flow_node *node_of(const struct edges *es, int n)
{
	return &es->flow.nodes[n];
}

/* A call is left alone: its emulation breaks with shadow stacks. */
static bool may_stand(const struct flow_node *node)
{
	return node->insn.fit && node->insn.flow != CODE_CALL && (node->insn.flow != CODE_BRANCH || node->insn.cond);
}

long long edges_site_cost(const struct edges *es, int n)
{
	const struct flow_node *node = node_of(es, n);
	int each = node->insn.emulated ? es->env->cost->emulated : es->env->cost->stepped;

	/* One more for each site: of two plans that cost the same, the one with fewer. */
	return (long long)each * node->count + 1;
}

long long edges_return_cost(const struct edges *es, int n)
{
	return edges_site_cost(es, n) + (long long)es->env->cost->returned * node_of(es, n)->count;
}

uint32_t edges_runs(const struct edges *es, const struct edge *e)
{
	const struct flow_node *node = node_of(es, e->from);

	if (node->insn.flow != CODE_BRANCH)
		return node->count;
	return e->taken ? node->taken : node->not_taken;
}

/* ---- the list ---- */

static void add_edge(struct edges *es, int from, int to, enum edge_end end, bool taken)
{
	struct flow_state s;

	flow_state_on_way(&es->flow, from, taken, &s);
	es->list[es->nr++] = (struct edge){ .from = from, .to = to, .end = end, .taken = taken, .arc = -1, .dead = s.null };
}

static void collect(struct edges *es)
{
	for (int i = 0; i < es->flow.nr_nodes; i++) {
		const struct flow_node *node = node_of(es, i);

		if (!node->in.reached)
			continue;
		if (node->next >= 0)
			add_edge(es, i, node->next, EDGE_STAYS, false);
		if (node->target >= 0)
			add_edge(es, i, node->target, EDGE_STAYS, true);
		switch (node->exit) {
		case FLOW_TAILS: add_edge(es, i, -1, EDGE_TAILS, !node->exits_by_next); break;
		case FLOW_LEAVES: add_edge(es, i, -1, EDGE_LEAVES, !node->exits_by_next); break;
		case FLOW_RETURNS:
		case FLOW_CLEARS: add_edge(es, i, -1, EDGE_RETURNS, true); break;
		default: break;
		}
	}
}

void edges_reach(const struct edges *es, int n, bool *reached)
{
	bool changed = true;

	reached[n] = true;
	while (changed) {
		changed = false;
		for (int i = 0; i < es->nr; i++) {
			const struct edge *e = &es->list[i];

			if (e->to < 0 || !reached[e->from] || reached[e->to])
				continue;
			reached[e->to] = changed = true;
		}
	}
}

/* ---- what each would be ---- */

static struct flow_value value_of(uint8_t kind, unsigned arg)
{
	return (struct flow_value){ .kind = kind, .a = (uint8_t)arg };
}

static bool find_arg(const struct flow_state *s, unsigned arg, struct ht_loc *loc)
{
	*loc = (struct ht_loc){ .from = HT_FROM_NONE };
	if (arg)
		*loc = flow_find(s, value_of(FLOW_ARG, arg));
	return !arg || loc->from != HT_FROM_NONE;
}

/* Size times mul: both, or their product where it is known to fit or its high half is there to tell. */
static bool find_size(const struct function *f, const struct flow_state *s, struct ht_site *site)
{
	if (find_arg(s, f->size, &site->size) && find_arg(s, f->mul, &site->mul))
		return true;
	site->size = flow_find(s, value_of(FLOW_PRODUCT, 0));
	site->mul = flow_find(s, value_of(FLOW_HIGH, 0));
	if (!f->mul || site->size.from == HT_FROM_NONE || (!s->no_overflow && site->mul.from == HT_FROM_NONE))
		return false;
	if (s->no_overflow)
		site->mul = (struct ht_loc){ .from = HT_FROM_NONE };
	else
		site->mul.xform = HT_XFORM_HIGH;
	return true;
}

static bool find_arguments(const struct function *f, const struct flow_state *s, struct ht_site *site)
{
	if (!find_size(f, s, site) || !find_arg(s, f->align, &site->align) || !find_arg(s, f->old, &site->old))
		return false;
	if (f->flags & FUNCTION_LG_ALIGN)
		site->align.xform = HT_XFORM_LG_ALIGN;
	return true;
}

static void fill_site(const struct edges *es, struct edge *e, enum ht_role role)
{
	const struct code_insn *in = &node_of(es, e->from)->insn;

	e->first.kind = es->function->kind;
	e->first.role = (uint8_t)role;
	e->first.ra_off = -flow_sp(&es->flow, e->from);
	/* Conditions come in pairs that differ in their last bit. */
	e->first.cond = in->flow != CODE_BRANCH ? 0 : e->taken ? in->cond : (uint8_t)(((in->cond - 1) ^ 1) + 1);
	e->may_first = true;
}

static void price_free(struct edges *es, struct edge *e)
{
	const struct flow_node *node = node_of(es, e->from);

	if (!node->own || !may_stand(node) || node->in.touched || !find_arg(&node->in, es->function->ptr, &e->first.ptr) ||
	    !find_arg(&node->in, es->function->size, &e->first.size))
		return;
	fill_site(es, e, HT_ROLE_ONE);
	e->extra = 0;
}

/* What lies behind an edge. */
struct behind {
	bool *reached;
	bool finishable; /* every way from there passes places for a FINISH */
	bool tails;      /* some way leads to another recorded function, or to where nobody sees */
};

/* No way from node n to an end passes only edges without a place for a FINISH: the infinite arcs of the cut to come,
 * those against each edge included. */
static bool is_finishable(const struct edges *es, int n, const bool *reached)
{
	bool *bare = calloc((size_t)es->flow.nr_nodes, sizeof(*bare)), changed = true, ok = bare;

	if (bare)
		bare[n] = true;
	while (ok && changed) {
		changed = false;
		for (int i = 0; i < es->nr && ok; i++) {
			const struct edge *e = &es->list[i];

			if (!reached[e->from])
				continue;
			if (e->to >= 0 && bare[e->to] && !bare[e->from])
				bare[e->from] = changed = true;
			if (!bare[e->from] || e->may_finish || e->may_return || e->end == EDGE_TAILS)
				continue;
			ok = e->to >= 0;
			if (ok && !bare[e->to])
				bare[e->to] = changed = true;
		}
	}
	free(bare);
	return ok;
}

static struct behind look_behind(const struct edges *es, const struct edge *e, bool *reached)
{
	struct behind b = { .reached = reached };

	if (e->to < 0) {
		b.tails = true;
		b.finishable = e->end == EDGE_TAILS; /* by that function's own sites */
		return b;
	}
	memset(reached, 0, (size_t)es->flow.nr_nodes * sizeof(*reached));
	edges_reach(es, e->to, reached);
	b.finishable = is_finishable(es, e->to, reached);
	for (int i = 0; i < es->nr; i++)
		b.tails |= reached[es->list[i].from] && (es->list[i].end == EDGE_TAILS || es->list[i].end == EDGE_LEAVES);
	return b;
}

static void price_stash(struct edges *es, struct edge *e, bool *reached)
{
	bool leaves_own = e->to < 0 || !node_of(es, e->to)->own;
	struct behind b = look_behind(es, e, reached);

	e->by_return = !b.finishable || (es->only_returns && e->end != EDGE_TAILS);
	if (e->by_return && !e->may_return)
		return;
	fill_site(es, e, es->function->kind == TAPE_REALLOC ? HT_ROLE_GIVE_UP : HT_ROLE_STASH);
	e->first.flags = leaves_own || b.tails ? HT_SITE_MAY_TAIL : 0;
	/* Two more, for the second site: of two plans that cost the same, the one with fewer. */
	e->extra = 2 + (e->by_return ? (long long)es->env->cost->returned * node_of(es, e->from)->count :
				       (long long)es->env->cost->emulated * edges_runs(es, e));
}

static void price_alloc(struct edges *es, struct edge *e, bool *reached)
{
	const struct flow_node *node = node_of(es, e->from);
	bool leaves_own = e->end == EDGE_TAILS || e->end == EDGE_LEAVES || (e->to >= 0 && !node_of(es, e->to)->own);
	/* Calls inside are told from the program's by the open call around them: then there must be one. */
	bool must_open = es->function->kind == TAPE_REALLOC || es->flow.calls_recorded;
	struct flow_state s;

	if (!node->own || !may_stand(node))
		return;
	flow_state_on_way(&es->flow, e->from, e->taken, &s);
	if (!find_arguments(es->function, &s, &e->first))
		return;
	if (!must_open && !leaves_own && e->may_finish) {
		e->first.ptr = e->result;
		fill_site(es, e, HT_ROLE_ONE);
		e->extra = 0;
	} else if (e->end != EDGE_RETURNS && !(must_open && s.touched)) {
		price_stash(es, e, reached);
	}
}

static void price_finish(struct edges *es, struct edge *e)
{
	e->may_finish = (e->end == EDGE_STAYS || e->end == EDGE_RETURNS) && may_stand(node_of(es, e->from)) &&
			flow_find_result(&es->flow, e->from, e->to, &e->result);
	e->may_return = !es->env->no_return && !(es->function->flags & FUNCTION_THROWS) && !flow_sp(&es->flow, e->from) &&
			may_stand(node_of(es, e->from)) && e->end != EDGE_RETURNS;
}

static bool kind_frees(unsigned kind)
{
	return kind == TAPE_FREE || kind == TAPE_DELETE || kind == TAPE_SDALLOCX;
}

void edges_price(struct edges *es)
{
	bool *reached = malloc((size_t)es->flow.nr_nodes * sizeof(*reached));

	for (int i = 0; i < es->nr; i++) {
		es->list[i].may_first = es->list[i].by_return = false;
		memset(&es->list[i].first, 0, sizeof(es->list[i].first));
		price_finish(es, &es->list[i]);
	}
	for (int i = 0; i < es->nr && reached; i++) {
		if (kind_frees(es->function->kind))
			price_free(es, &es->list[i]);
		else
			price_alloc(es, &es->list[i], reached);
	}
	free(reached);
}

bool edges_build(struct edges *es, const struct plan_env *env, struct code_reader *reader, const struct plan *plan)
{
	memset(es, 0, sizeof(*es));
	es->env = env;
	es->function = plan->function;
	if (flow_build(env, reader, plan->function, plan->vaddr, plan->nbytes, &es->flow) || !es->flow.complete)
		return false;
	es->counted = flow_weigh(&es->flow, env->profile);
	collect(es);
	edges_price(es);
	return true;
}

void edges_free(struct edges *es)
{
	flow_free(&es->flow);
}
