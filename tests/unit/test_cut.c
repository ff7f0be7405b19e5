/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cut.c - the minimum cut of small random graphs against all ways to split their nodes. */
#include "random_tape.h"

#include "check.h"
#include "sites/cut.h"

enum { NODES_MAX = 9, ARCS_MAX = 24, SOURCE = 0 };

struct test_arc {
	int from, to;
	long long cost;
	bool is_free; /* may be crossed backwards */
	int number;
};

struct graph {
	int nr_nodes, sink;
	struct test_arc arcs[ARCS_MAX];
	int nr_arcs;
};

static struct graph random_graph(struct rng *r)
{
	struct graph g = { .nr_nodes = 2 + (int)rng_below(r, NODES_MAX - 1) };

	g.sink = g.nr_nodes - 1;
	g.nr_arcs = (int)rng_below(r, ARCS_MAX + 1);
	for (int i = 0; i < g.nr_arcs; i++) {
		struct test_arc *a = &g.arcs[i];

		a->from = (int)rng_below(r, (uint64_t)g.nr_nodes);
		a->to = (int)rng_below(r, (uint64_t)g.nr_nodes);
		a->cost = rng_below(r, 4) ? 1 + (int)rng_below(r, 30) : CUT_INFINITE;
		a->is_free = !rng_below(r, 5);
	}
	return g;
}

/* Cost of the split whose bit n says that node n lies on the sink's side. */
static long long split_cost(const struct graph *g, unsigned behind)
{
	long long cost = 0;

	for (int i = 0; i < g->nr_arcs; i++) {
		const struct test_arc *a = &g->arcs[i];
		bool from = behind >> a->from & 1, to = behind >> a->to & 1;

		if ((from && !to && !a->is_free) || (!from && to && a->cost >= CUT_INFINITE))
			return CUT_INFINITE;
		if (!from && to)
			cost += a->cost;
	}
	return cost;
}

static long long cheapest_split(const struct graph *g)
{
	long long least = CUT_INFINITE;

	for (unsigned behind = 0; behind < 1u << g->nr_nodes; behind++) {
		long long cost;

		if ((behind >> SOURCE & 1) || !(behind >> g->sink & 1))
			continue;
		cost = split_cost(g, behind);
		least = cost < least ? cost : least;
	}
	return least;
}

/* Every way from a node to the sink, without a node twice, crosses `left` arcs more. */
static bool ways_cross(const struct graph *g, const struct cut *c, int node, unsigned visited, int left)
{
	if (left < 0)
		return false;
	if (node == g->sink)
		return left == 0;
	for (int i = 0; i < g->nr_arcs; i++) {
		const struct test_arc *a = &g->arcs[i];

		if (a->from == node && !a->is_free && !(visited >> a->to & 1) &&
		    !ways_cross(g, c, a->to, visited | 1u << a->to, left - cut_crosses(c, a->number)))
			return false;
	}
	return true;
}

/* No way crosses, comes back by free arcs and crosses again: not asked of them. But each way has to cross. */
static bool sink_is_cut_off(const struct graph *g, const struct cut *c)
{
	unsigned reached = 1u << SOURCE, before;

	do {
		before = reached;
		for (int i = 0; i < g->nr_arcs; i++)
			if ((reached >> g->arcs[i].from & 1) && !cut_crosses(c, g->arcs[i].number))
				reached |= 1u << g->arcs[i].to;
	} while (reached != before);
	return !(reached >> g->sink & 1);
}

static struct cut *cut_of(struct graph *g)
{
	struct cut *c = cut_new(g->nr_nodes, g->nr_arcs);

	for (int i = 0; c && i < g->nr_arcs; i++) {
		struct test_arc *a = &g->arcs[i];

		a->number = a->is_free ? cut_free_arc(c, a->from, a->to, a->cost) : cut_arc(c, a->from, a->to, a->cost);
		CHECK(a->number >= 0);
	}
	return c;
}

static void test_random_graphs(void)
{
	struct rng r = rng_seeded("test_cut");
	unsigned nr_cuts = 0;

	for (int round = 0; round < 20000 && !check_nr_failed; round++) {
		struct graph g = random_graph(&r);
		struct cut *c = cut_of(&g);
		long long want = cheapest_split(&g), got, paid = 0;

		CHECK(c);
		if (!c)
			return;
		got = cut_solve(c, SOURCE, g.sink);
		CHECK_EQ(got < CUT_INFINITE ? got : CUT_INFINITE, want);
		if (got < CUT_INFINITE) {
			nr_cuts += got > 0;
			for (int i = 0; i < g.nr_arcs; i++)
				paid += cut_crosses(c, g.arcs[i].number) ? g.arcs[i].cost : 0;
			CHECK_EQ(paid, want);
			CHECK(sink_is_cut_off(&g, c));
			CHECK(ways_cross(&g, c, SOURCE, 1u << SOURCE, 1));
		}
		cut_free(c);
		if (check_nr_failed)
			fprintf(stderr, "that was round %d\n", round);
	}
	CHECK(nr_cuts > 1000);
}

/* Of two equal cuts the one nearest to the sink: more is known there. */
static void test_nearest_to_the_sink(void)
{
	struct cut *c = cut_new(4, 3);
	int first = cut_arc(c, 0, 1, 10), second = cut_arc(c, 1, 2, 10), last = cut_arc(c, 2, 3, CUT_INFINITE);

	CHECK_EQ(cut_solve(c, 0, 3), 10);
	CHECK(!cut_crosses(c, first) && cut_crosses(c, second) && !cut_crosses(c, last));
	cut_free(c);
}

/* Crossing an arc inside a loop would be paid once, but happen again and again. */
static void test_no_cut_inside_a_loop(void)
{
	struct cut *c = cut_new(4, 5);

	cut_arc(c, 0, 1, CUT_INFINITE);
	cut_arc(c, 1, 2, 1);
	cut_arc(c, 2, 1, CUT_INFINITE);
	cut_arc(c, 2, 3, CUT_INFINITE);
	CHECK(cut_solve(c, 0, 3) >= CUT_INFINITE);
	cut_free(c);
}

static void test_full(void)
{
	struct cut *c = cut_new(2, 1);

	CHECK(cut_arc(c, 0, 1, 1) >= 0);
	CHECK_EQ(cut_arc(c, 0, 1, 1), -1);
	CHECK_EQ(cut_free_arc(c, 0, 1, 1), -1);
	CHECK_EQ(cut_solve(c, 0, 1), 1);
	cut_free(c);
	cut_free(NULL);
}

int main(void)
{
	test_random_graphs();
	test_nearest_to_the_sink();
	test_no_cut_inside_a_loop();
	test_full();
	return check_done();
}
