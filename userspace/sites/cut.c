/* SPDX-License-Identifier: BSD-2-Clause */
/* Minimum cut by augmenting paths, shortest first. */
#include "cut.h"

#include <stdlib.h>
#include <string.h>

struct arc {
	int to, next; /* arcs 2i and 2i + 1 are each other's reverse */
	long long room;
};

struct cut {
	int nr_nodes, nr_arcs, max_arcs;
	struct arc *arcs;
	int *first;  /* of each node, -1: none */
	int *via;    /* arc by which a search came */
	int *queue;
	bool *behind; /* the node lies on the sink's side */
};

struct cut *cut_new(int nr_nodes, int max_arcs)
{
	struct cut *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->nr_nodes = nr_nodes;
	c->max_arcs = 2 * max_arcs;
	c->arcs = calloc((size_t)c->max_arcs, sizeof(*c->arcs));
	c->first = malloc((size_t)nr_nodes * sizeof(*c->first));
	c->via = malloc((size_t)nr_nodes * sizeof(*c->via));
	c->queue = malloc((size_t)nr_nodes * sizeof(*c->queue));
	c->behind = calloc((size_t)nr_nodes, sizeof(*c->behind));
	if (!c->arcs || !c->first || !c->via || !c->queue || !c->behind) {
		cut_free(c);
		return NULL;
	}
	for (int i = 0; i < nr_nodes; i++)
		c->first[i] = -1;
	return c;
}

void cut_free(struct cut *c)
{
	if (!c)
		return;
	free(c->arcs);
	free(c->first);
	free(c->via);
	free(c->queue);
	free(c->behind);
	free(c);
}

static int arc_add(struct cut *c, int from, int to, long long room, long long room_back)
{
	int n = c->nr_arcs;

	if (n + 2 > c->max_arcs)
		return -1;
	c->arcs[n] = (struct arc){ to, c->first[from], room };
	c->first[from] = n;
	c->arcs[n + 1] = (struct arc){ from, c->first[to], room_back };
	c->first[to] = n + 1;
	c->nr_arcs += 2;
	return n;
}

int cut_arc(struct cut *c, int from, int to, long long cost)
{
	return arc_add(c, from, to, cost, CUT_INFINITE);
}

int cut_free_arc(struct cut *c, int from, int to, long long cost)
{
	return arc_add(c, from, to, cost, 0);
}

static bool search(struct cut *c, int source, int sink)
{
	int head = 0, tail = 0;

	for (int i = 0; i < c->nr_nodes; i++)
		c->via[i] = -1;
	c->queue[tail++] = source;
	while (head < tail && c->via[sink] < 0) {
		int n = c->queue[head++];

		for (int a = c->first[n]; a >= 0; a = c->arcs[a].next)
			if (c->arcs[a].room > 0 && c->arcs[a].to != source && c->via[c->arcs[a].to] < 0) {
				c->via[c->arcs[a].to] = a;
				c->queue[tail++] = c->arcs[a].to;
			}
	}
	return c->via[sink] >= 0;
}

static long long augment(struct cut *c, int source, int sink)
{
	long long room = CUT_INFINITE;

	for (int n = sink; n != source; n = c->arcs[c->via[n] ^ 1].to)
		if (c->arcs[c->via[n]].room < room)
			room = c->arcs[c->via[n]].room;
	for (int n = sink; n != source; n = c->arcs[c->via[n] ^ 1].to) {
		c->arcs[c->via[n]].room -= room;
		c->arcs[c->via[n] ^ 1].room += room;
	}
	return room;
}

/* Nodes from which the sink can still be reached lie behind the cut that is nearest to it. */
static void mark_behind(struct cut *c, int sink)
{
	int head = 0, tail = 0;

	memset(c->behind, 0, (size_t)c->nr_nodes * sizeof(*c->behind));
	c->behind[sink] = true;
	c->queue[tail++] = sink;
	while (head < tail) {
		int n = c->queue[head++];

		for (int a = c->first[n]; a >= 0; a = c->arcs[a].next) {
			int from = c->arcs[a].to; /* of the arc a ^ 1, which leads to n */

			if (c->arcs[a ^ 1].room > 0 && !c->behind[from]) {
				c->behind[from] = true;
				c->queue[tail++] = from;
			}
		}
	}
}

long long cut_solve(struct cut *c, int source, int sink)
{
	long long cost = 0;

	while (cost < CUT_INFINITE && search(c, source, sink))
		cost += augment(c, source, sink);
	if (cost < CUT_INFINITE)
		mark_behind(c, sink);
	return cost;
}

bool cut_crosses(const struct cut *c, int arc)
{
	return !c->behind[c->arcs[arc ^ 1].to] && c->behind[c->arcs[arc].to];
}
