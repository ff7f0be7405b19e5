/* SPDX-License-Identifier: BSD-2-Clause */
/* Frequencies along the control flow, from counts where there are some. */
#include "weight.h"

#include <stdlib.h>
#include <string.h>

enum { OTHERS_MAX = 256 };
enum { COUNTED_CALLS_MIN = 64 }; /* fewer say nothing about what is usual */

const struct profile_spot *profile_find(const struct profile *profile, uint64_t vaddr)
{
	unsigned low = 0, high = profile ? profile->nr_spots : 0;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (profile->spots[mid].vaddr == vaddr)
			return &profile->spots[mid];
		if (profile->spots[mid].vaddr < vaddr)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static bool is_listed(const struct profile_spot *spots, unsigned nr, uint64_t vaddr)
{
	for (unsigned i = 0; i < nr; i++)
		if (spots[i].vaddr == vaddr)
			return true;
	return false;
}

unsigned flow_branches(const struct flow *flow, struct profile_spot *spots, unsigned nr, unsigned room)
{
	int nr_others = 0; /* in code that the function only jumps to: its slow ways */

	for (int i = 0; i < flow->nr_nodes && nr < room; i++) {
		const struct code_insn *in = &flow->nodes[i].insn;

		if (!flow->nodes[i].own && nr_others++ > OTHERS_MAX)
			continue;
		if (i && (in->flow != CODE_BRANCH || !in->cond || !in->emulated))
			continue;
		if (in->fit && !is_listed(spots, nr, in->vaddr))
			spots[nr++] = (struct profile_spot){ .vaddr = in->vaddr, .cond = in->flow == CODE_BRANCH ? in->cond : 0 };
	}
	return nr;
}

/* Nodes in an order in which each comes behind those that lead to it, loops cut. */
struct order {
	int *nodes;   /* of the graph, in reverse */
	int *stack;
	uint8_t *ways; /* of each node: successors looked at, plus 1; 0: not come to */
	int nr_nodes, nr_stack;
};

static void order_visit(struct order *o, int n)
{
	if (n < 0 || o->ways[n])
		return;
	o->ways[n] = 1;
	o->stack[o->nr_stack++] = n;
}

static bool order_make(struct order *o, const struct flow *flow)
{
	size_t nr = (size_t)flow->nr_nodes;

	o->nodes = malloc(nr * sizeof(*o->nodes));
	o->stack = malloc(nr * sizeof(*o->stack));
	o->ways = calloc(nr, sizeof(*o->ways));
	if (!o->nodes || !o->stack || !o->ways)
		return false;
	order_visit(o, 0);
	while (o->nr_stack) {
		int n = o->stack[o->nr_stack - 1];

		switch (o->ways[n]++) {
		case 1: order_visit(o, flow->nodes[n].next); break;
		case 2: order_visit(o, flow->nodes[n].target); break;
		default:
			o->nodes[o->nr_nodes++] = n;
			o->nr_stack--;
		}
	}
	return true;
}

static void order_free(struct order *o)
{
	free(o->nodes);
	free(o->stack);
	free(o->ways);
}

/* Below a few calls in a thousand, how many is chance. */
static uint32_t power_of_two(double v)
{
	uint32_t w = WEIGHT_MAX;

	while (w > WEIGHT_RARE && v < 0.75 * w)
		w /= 2;
	return v > 0 ? w : WEIGHT_NEVER;
}

bool flow_weigh(struct flow *flow, const struct profile *profile)
{
	const struct profile_spot *entry = profile_find(profile, flow->nodes[0].insn.vaddr);
	bool counted = entry && entry->count >= COUNTED_CALLS_MIN;
	double *in = calloc((size_t)flow->nr_nodes, sizeof(*in));
	struct order o = { 0 };

	for (int i = 0; i < flow->nr_nodes; i++)
		flow->nodes[i].count = flow->nodes[i].taken = flow->nodes[i].not_taken = flow->nodes[i].runs = WEIGHT_ENTRY;
	if (!in || !order_make(&o, flow)) {
		order_free(&o);
		free(in);
		return false;
	}
	in[0] = WEIGHT_ENTRY;
	for (int k = o.nr_nodes - 1; k >= 0; k--) {
		struct flow_node *node = &flow->nodes[o.nodes[k]];
		const struct profile_spot *spot = counted ? profile_find(profile, node->insn.vaddr) : NULL;
		double count = in[o.nodes[k]], taken = node->insn.flow == CODE_BRANCH ? count / 2 : count;

		if (spot) {
			count = (double)spot->count * WEIGHT_ENTRY / (double)entry->count;
			taken = (double)spot->taken * WEIGHT_ENTRY / (double)entry->count;
		}
		if (node->target >= 0)
			in[node->target] += taken;
		if (node->next >= 0)
			in[node->next] += node->insn.flow == CODE_BRANCH ? count - taken : count;
		node->runs = count > WEIGHT_MAX ? WEIGHT_MAX : (uint32_t)(count + 0.5);
		node->count = power_of_two(count);
		node->taken = power_of_two(taken);
		node->not_taken = power_of_two(count - taken);
	}
	order_free(&o);
	free(in);
	return counted;
}
