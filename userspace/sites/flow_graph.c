/* SPDX-License-Identifier: BSD-2-Clause */
/* Control flow of one function, followed to its ends. */
#include "flow_graph.h"

#include <errno.h>
#include <stdlib.h>

#include "formats/tape.h"
#include "sites/noreturn.h"

enum {
	LABEL_ALIGN = 16,          /* that compilers pad to */
	EXTENT_NBYTES_MAX = 16384, /* searched for branches */
};

struct builder {
	const struct plan_env *env;
	struct code_reader *reader;
	const struct function *function;
	uint64_t start, end; /* of the function itself */
	struct flow *flow;
	int todo[FLOW_INSNS_MAX];
	int nr_todo;
};

static int node_at(const struct flow *flow, uint64_t vaddr)
{
	for (int i = 0; i < flow->nr_nodes; i++)
		if (flow->nodes[i].insn.vaddr == vaddr)
			return i;
	return -1;
}

/* The node of an address, made if it is new; -1: no room, -2: no code there. */
static int node_make(struct builder *b, uint64_t vaddr)
{
	struct flow *flow = b->flow;
	int n = node_at(flow, vaddr);
	const uint8_t *bytes;
	size_t avail;

	if (n >= 0)
		return n;
	if (flow->nr_nodes == FLOW_INSNS_MAX)
		return -1;
	n = flow->nr_nodes;
	bytes = object_code(b->env->obj, vaddr, &avail);
	if (!bytes || !code_decode(b->reader, bytes, avail, vaddr, &flow->nodes[n].insn))
		return -2;
	flow->nodes[n].next = flow->nodes[n].target = -1;
	flow->nodes[n].own = vaddr >= b->start && vaddr < b->end;
	flow->nr_nodes++;
	b->todo[b->nr_todo++] = n;
	return n;
}

/* Where a jump ends that goes through a word of the dynamic linker's; 0: not in this object. */
static uint64_t through_slot(const struct builder *b, const struct code_insn *insn)
{
	uint64_t vaddr;

	return insn->slot && object_slot_function(b->env->obj, insn->slot, &vaddr) ? vaddr : 0;
}

/* The word of the dynamic linker's that a call goes through, by the PLT or without; 0: it is direct. */
static uint64_t call_slot(struct builder *b, const struct code_insn *insn)
{
	struct code_insn stub;
	const uint8_t *bytes;
	size_t avail;

	if (!insn->target)
		return insn->slot;
	bytes = object_code(b->env->obj, insn->target, &avail);
	return bytes && code_decode(b->reader, bytes, avail, insn->target, &stub) && stub.flow == CODE_INDIRECT ? stub.slot : 0;
}

/* The call goes to a function that is recorded as a call of its own, directly or by the PLT. */
static bool calls_recorded(struct builder *b, const struct code_insn *insn)
{
	const struct function *f = insn->target ? b->env->function_at(b->env->arg, insn->target) : NULL;
	uint64_t slot = call_slot(b, insn), target;

	if (!f && slot && object_slot_function(b->env->obj, slot, &target))
		f = b->env->function_at(b->env->arg, target);
	return f && !(f->flags & FUNCTION_STEERS);
}

/* To another object, or to what the dynamic linker chooses for this processor (memset). */
static bool calls_elsewhere(struct builder *b, const struct code_insn *insn)
{
	uint64_t slot = call_slot(b, insn), target;

	return slot && !object_slot_function(b->env->obj, slot, &target);
}

static int link_to(struct builder *b, struct flow_node *node, int *edge, uint64_t vaddr)
{
	const struct function *other = vaddr != b->start ? b->env->function_at(b->env->arg, vaddr) : NULL;
	int n;

	/* A jump to the beginning of another recorded function: that call is seen there, if it allocates as well. */
	if (other) {
		node->exit = tape_kind_is_alloc(other->kind) ? FLOW_TAILS : FLOW_LEAVES;
		node->exits_by_next = edge == &node->next;
		return 0;
	}
	n = node_make(b, vaddr);
	if (n == -1)
		return -E2BIG;
	if (n < 0) {
		node->exit = FLOW_LEAVES;
		node->exits_by_next = edge == &node->next;
		return 0;
	}
	*edge = n;
	return 0;
}

/* Nothing but padding between a call and the next function: what is called does not come back (__stack_chk_fail, abort). */
static bool call_ends_function(struct builder *b, uint64_t call, uint64_t behind)
{
	uint64_t start, end;
	struct code_insn insn;

	if (!object_extent(b->env->obj, call, &start, &end) || end == UINT64_MAX)
		return false;
	while (behind < end) {
		size_t avail;
		const uint8_t *bytes = object_code(b->env->obj, behind, &avail);

		if (!bytes || !code_decode(b->reader, bytes, avail, behind, &insn) || !insn.padding)
			return false;
		behind += insn.nbytes;
	}
	return true;
}

/* Branches of [start, end) to `target`: some from before it, none from behind it (a loop's). */
static bool jumped_to_from_before(struct builder *b, uint64_t start, uint64_t end, uint64_t target)
{
	struct code_insn insn;
	bool jumped = false;

	for (uint64_t at = start; at < end; at += insn.nbytes) {
		size_t avail;
		const uint8_t *bytes = object_code(b->env->obj, at, &avail);

		if (!bytes || !code_decode(b->reader, bytes, avail, at, &insn))
			return false;
		if ((insn.flow != CODE_BRANCH && insn.flow != CODE_JUMP) || insn.target != target)
			continue;
		if (at >= target)
			return false;
		jumped = true;
	}
	return jumped;
}

/*
 * A compiler pads in front of a label that is only jumped to (gcc's -falign-jumps) and of the head of a loop, of no other: a
 * call with such padding behind it, up to a label that is no loop's head, does not come back (an assertion's message, which
 * would if it were asked otherwise). Nothing proves that, so a guard stands on the padding: a call that does come
 * back is counted as lost, not recorded wrongly.
 */
static bool call_is_padded(struct builder *b, uint64_t call, uint64_t behind)
{
	uint64_t start, end, label = behind;
	struct code_insn insn, first = { 0 };

	if (b->flow->nr_guards == FLOW_GUARDS_MAX || !object_extent(b->env->obj, call, &start, &end) || end == UINT64_MAX ||
	    end - start > EXTENT_NBYTES_MAX)
		return false;
	while (label % LABEL_ALIGN) {
		size_t avail;
		const uint8_t *bytes = object_code(b->env->obj, label, &avail);

		if (!bytes || !code_decode(b->reader, bytes, avail, label, &insn) || !insn.padding)
			return false;
		if (label == behind)
			first = insn;
		label += insn.nbytes;
	}
	if (label == behind || !first.fit || !first.emulated || !jumped_to_from_before(b, start, end, label))
		return false;
	b->flow->guards[b->flow->nr_guards++] = first;
	return true;
}

static int link_node(struct builder *b, int n)
{
	struct flow_node *node = &b->flow->nodes[n]; /* the array does not move */
	uint64_t behind = node->insn.vaddr + node->insn.nbytes, through;
	int err;

	switch (node->insn.flow) {
	case CODE_RETURN: node->exit = FLOW_RETURNS; return 0;
	case CODE_STOP: node->exit = FLOW_ABORTS; return 0;
	case CODE_JUMP: return link_to(b, node, &node->target, node->insn.target);
	case CODE_INDIRECT:
		through = through_slot(b, &node->insn);
		if (through)
			return link_to(b, node, &node->target, through);
		/* A compiler ends calloc by a jump to memset through the PLT. */
		node->exit = b->function->kind == TAPE_CALLOC && node->insn.slot ? FLOW_CLEARS : FLOW_LEAVES;
		return 0;
	case CODE_BRANCH:
		err = link_to(b, node, &node->target, node->insn.target);
		if (err)
			return err;
		break;
	case CODE_CALL:
		b->flow->calls_recorded |= calls_recorded(b, &node->insn);
		node->clears = b->function->kind == TAPE_CALLOC && calls_elsewhere(b, &node->insn);
		if ((node->own && behind >= b->end) || call_ends_function(b, node->insn.vaddr, behind) ||
		    (node->insn.target && noreturn_function(b->env->obj, b->reader, b->env->noreturn, node->insn.target)) ||
		    call_is_padded(b, node->insn.vaddr, behind)) {
			node->exit = FLOW_ABORTS;
			return 0;
		}
		break;
	case CODE_NEXT: break;
	}
	return link_to(b, node, &node->next, behind);
}

int flow_graph_build(const struct plan_env *env, struct code_reader *reader, const struct function *f, uint64_t vaddr,
		     uint64_t nbytes, struct flow *flow)
{
	struct builder *b = calloc(1, sizeof(*b));
	int err = 0;

	if (!b)
		return -ENOMEM;
	*b = (struct builder){ .env = env, .reader = reader, .function = f, .start = vaddr, .end = vaddr + nbytes, .flow = flow };
	if (node_make(b, vaddr) < 0)
		err = -E2BIG;
	while (!err && b->nr_todo)
		err = link_node(b, b->todo[--b->nr_todo]);
	free(b);
	return err;
}
