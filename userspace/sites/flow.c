/* SPDX-License-Identifier: BSD-2-Clause */
/* Control flow and data flow of one function. */
#include "flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/tape.h"

#define HAS(set, n) ((set) >> (n) & 1)

/* ---- the graph ---- */

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

/* The call goes to a recorded function, directly or by the PLT. */
static bool calls_recorded(struct builder *b, const struct code_insn *insn)
{
	uint64_t target = insn->target;
	struct code_insn stub;
	const uint8_t *bytes;
	size_t avail;

	if (!target)
		target = through_slot(b, insn); /* no PLT: by the word itself */
	if (!target)
		return false;
	if (b->env->function_at(b->env->arg, target))
		return true;
	bytes = object_code(b->env->obj, target, &avail);
	if (!bytes || !code_decode(b->reader, bytes, avail, target, &stub) || stub.flow != CODE_INDIRECT)
		return false;
	target = through_slot(b, &stub);
	return target && b->env->function_at(b->env->arg, target);
}

static int link_to(struct builder *b, struct flow_node *node, int *edge, uint64_t vaddr)
{
	const struct function *other = vaddr != b->start ? b->env->function_at(b->env->arg, vaddr) : NULL;
	int n;

	/* A jump to the beginning of another recorded function: that call is seen there, if it allocates as well. */
	if (other) {
		node->exit = tape_kind_is_alloc(other->kind) ? FLOW_TAILS : FLOW_LEAVES;
		return 0;
	}
	n = node_make(b, vaddr);
	if (n == -1)
		return -E2BIG;
	if (n < 0) {
		node->exit = FLOW_LEAVES;
		return 0;
	}
	*edge = n;
	return 0;
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
		/* The last instruction of the function: what is called does not come back (__stack_chk_fail, abort). */
		if (node->own && behind >= b->end) {
			node->exit = FLOW_ABORTS;
			return 0;
		}
		break;
	case CODE_NEXT: break;
	}
	return link_to(b, node, &node->next, behind);
}

/* ---- forward: arguments ---- */

static bool value_equal(struct flow_value a, struct flow_value b)
{
	return a.kind == b.kind && a.a == b.a && a.off == b.off;
}

/* Index of the slot at base + disp; -1: not in the frame that is followed. */
static int slot_index(const struct flow_state *s, unsigned base, int32_t disp)
{
	int64_t off;

	if (base >= CODE_NR_REGS || s->reg[base].kind != FLOW_SP)
		return -1;
	off = (int64_t)s->reg[base].off + disp;
	if (off < FLOW_SLOT_LOW || off >= FLOW_SLOT_HIGH || off % 8)
		return -1;
	return (int)(off - FLOW_SLOT_LOW) / 8;
}

/* Slots that an instruction may change without a value that is followed: [*first, *end). A store that is not aligned
 * changes two, so each counts. What is called may write wherever it was given an address of the frame, and above that. */
static void spoilt_slots(const struct code_insn *in, const struct flow_state *s, int *first, int *end)
{
	int64_t low = FLOW_SLOT_HIGH, high = FLOW_SLOT_LOW;
	bool writes = in->effect == CODE_EFFECT_SPOIL || in->effect == CODE_EFFECT_STORE;

	if (writes && in->base < CODE_NR_REGS && s->reg[in->base].kind == FLOW_SP) {
		low = (int64_t)s->reg[in->base].off + in->disp;
		high = in->effect == CODE_EFFECT_STORE ? low + 8 : in->spoilt == CODE_SPOILT_ALL ? FLOW_SLOT_HIGH : low + in->spoilt;
	}
	for (unsigned r = 0; in->flow == CODE_CALL && r < CODE_NR_REGS; r++)
		if (HAS(code_call_clobbers(), r) && s->reg[r].kind == FLOW_SP && s->reg[r].off < low) {
			low = s->reg[r].off;
			high = FLOW_SLOT_HIGH;
		}
	if (low < FLOW_SLOT_LOW)
		low = FLOW_SLOT_LOW;
	if (high > FLOW_SLOT_HIGH)
		high = FLOW_SLOT_HIGH;
	*first = high <= low ? 0 : (int)(low - FLOW_SLOT_LOW) / 8;
	*end = high <= low ? 0 : (int)(high - FLOW_SLOT_LOW + 7) / 8;
}

/* The stack pointer or an address of the frame, moved; unknown if it gets too far away. */
static struct flow_value value_move(struct flow_value v, int32_t by)
{
	int64_t off = (int64_t)v.off + by;

	if (v.kind != FLOW_SP || off < INT16_MIN || off > INT16_MAX)
		return (struct flow_value){ .kind = FLOW_UNKNOWN };
	v.off = (int16_t)off;
	return v;
}

/* The value that an effect gives to its destination, before the instruction destroys anything. */
static struct flow_value effect_value(const struct code_insn *in, const struct flow_state *s)
{
	struct flow_value v = { .kind = FLOW_UNKNOWN };
	int slot;

	switch (in->effect) {
	case CODE_EFFECT_MOVE:
	case CODE_EFFECT_STORE:
	case CODE_EFFECT_PUSH: return in->src < CODE_NR_REGS ? s->reg[in->src] : v;
	case CODE_EFFECT_LOAD: slot = slot_index(s, in->base, in->disp); return slot >= 0 ? s->slot[slot] : v;
	case CODE_EFFECT_POP: slot = slot_index(s, code_sp_reg(), 0); return slot >= 0 ? s->slot[slot] : v;
	case CODE_EFFECT_LEA: return value_move(s->reg[in->base], in->disp);
	default: return v;
	}
}

static void forward(const struct code_insn *in, const struct flow_state *before, struct flow_state *after)
{
	static const struct flow_value unknown = { .kind = FLOW_UNKNOWN };
	struct flow_value value = effect_value(in, before), sp = before->reg[code_sp_reg()];
	uint32_t destroyed = in->writes | (in->flow == CODE_CALL ? code_call_clobbers() : 0);
	int slot, first, end;

	*after = *before;
	spoilt_slots(in, before, &first, &end);
	for (int i = first; i < end; i++)
		after->slot[i] = unknown;
	/* What is called has its own frame below the stack pointer. */
	for (int i = 0; in->flow == CODE_CALL && i < FLOW_NR_SLOTS && FLOW_SLOT_LOW + 8 * i < sp.off; i++)
		after->slot[i] = unknown;
	for (unsigned r = 0; r < CODE_NR_REGS; r++)
		if (HAS(destroyed, r))
			after->reg[r] = unknown;
	/* The stack pointer moves by what is known, a call brings it back. */
	if (in->flow == CODE_CALL || !HAS(in->writes, code_sp_reg()) || !in->sp_unknown)
		after->reg[code_sp_reg()] = in->flow == CODE_CALL ? sp : value_move(sp, in->sp_delta);
	switch (in->effect) {
	case CODE_EFFECT_STORE: slot = slot_index(before, in->base, in->disp); break;
	case CODE_EFFECT_PUSH: slot = slot_index(before, code_sp_reg(), -8); break;
	default:
		slot = -1;
		if (in->dst < CODE_NR_REGS && (in->effect == CODE_EFFECT_POP || in->effect == CODE_EFFECT_MOVE ||
					       in->effect == CODE_EFFECT_LOAD || in->effect == CODE_EFFECT_LEA))
			after->reg[in->dst] = value;
	}
	if (slot >= 0)
		after->slot[slot] = value;
}

static bool merge_value(struct flow_value *to, struct flow_value v)
{
	if (to->kind == FLOW_UNSEEN ? v.kind == FLOW_UNSEEN : value_equal(*to, v) || to->kind == FLOW_UNKNOWN)
		return false;
	*to = to->kind == FLOW_UNSEEN ? v : (struct flow_value){ .kind = FLOW_UNKNOWN };
	return true;
}

/* True if `into` changed. */
static bool merge(struct flow_state *into, const struct flow_state *from)
{
	bool changed = false;

	for (int i = 0; i < CODE_NR_REGS; i++)
		changed |= merge_value(&into->reg[i], from->reg[i]);
	for (int i = 0; i < FLOW_NR_SLOTS; i++)
		changed |= merge_value(&into->slot[i], from->slot[i]);
	return changed;
}

static void forward_all(struct flow *flow)
{
	struct flow_state after, *entry = &flow->nodes[0].in;
	bool changed = true;

	for (int i = 0; i < CODE_NR_REGS; i++)
		entry->reg[i].kind = FLOW_UNKNOWN;
	for (int i = 0; i < FLOW_NR_SLOTS; i++)
		entry->slot[i].kind = FLOW_UNKNOWN;
	for (unsigned n = 1; n <= CODE_NR_ARGS; n++)
		entry->reg[code_arg_reg(n)] = (struct flow_value){ .kind = FLOW_ARG, .a = (uint8_t)n };
	entry->reg[code_sp_reg()] = (struct flow_value){ .kind = FLOW_SP };
	/* Values only ever fall, UNSEEN to something to UNKNOWN, so this ends. */
	while (changed) {
		changed = false;
		for (int i = 0; i < flow->nr_nodes; i++) {
			const struct flow_node *node = &flow->nodes[i];

			if (node->in.reg[code_sp_reg()].kind == FLOW_UNSEEN)
				continue;
			forward(&node->insn, &node->in, &after);
			if (node->next >= 0)
				changed |= merge(&flow->nodes[node->next].in, &after);
			if (node->target >= 0)
				changed |= merge(&flow->nodes[node->target].in, &after);
		}
	}
}

/* ---- backward: the result ---- */

static void result_move(struct flow_result *r, bool was, uint32_t regs, int slot)
{
	if (!was)
		return;
	r->regs |= regs;
	if (slot >= 0)
		r->slots[slot / 64] |= 1ull << (slot % 64);
}

static bool slot_has(const struct flow_result *r, int slot)
{
	return slot >= 0 && HAS(r->slots[slot / 64], slot % 64);
}

/* Where the result is before `in`, given where it is behind it. */
static void backward(const struct code_insn *in, const struct flow_state *s, const struct flow_result *after,
		     struct flow_result *before)
{
	uint32_t destroyed = in->writes | (in->flow == CODE_CALL ? code_call_clobbers() : 0);
	bool dst_is = in->dst < CODE_NR_REGS && HAS(after->regs, in->dst);
	int slot, first, end;

	*before = *after;
	if (after->any)
		return;
	before->regs &= ~destroyed;
	spoilt_slots(in, s, &first, &end);
	for (int i = first; i < end; i++)
		before->slots[i / 64] &= ~(1ull << (i % 64));
	switch (in->effect) {
	case CODE_EFFECT_MOVE: result_move(before, dst_is, 1u << (in->src & 31), -1); break;
	case CODE_EFFECT_LOAD: result_move(before, dst_is, 0, slot_index(s, in->base, in->disp)); break;
	case CODE_EFFECT_POP: result_move(before, dst_is, 0, slot_index(s, code_sp_reg(), 0)); break;
	case CODE_EFFECT_STORE:
	case CODE_EFFECT_PUSH:
		slot = in->effect == CODE_EFFECT_PUSH ? slot_index(s, code_sp_reg(), -8) : slot_index(s, in->base, in->disp);
		if (slot >= 0)
			before->slots[slot / 64] &= ~(1ull << (slot % 64));
		result_move(before, slot_has(after, slot) && in->src < CODE_NR_REGS, 1u << (in->src & 31), -1);
		break;
	case CODE_EFFECT_ZERO: before->zero |= dst_is; break;
	default: break;
	}
}

static void intersect(struct flow_result *into, const struct flow_result *with)
{
	if (with->any)
		return;
	if (into->any) {
		*into = *with;
		return;
	}
	into->regs &= with->regs;
	for (size_t i = 0; i < sizeof(into->slots) / sizeof(into->slots[0]); i++)
		into->slots[i] &= with->slots[i];
	into->zero &= with->zero;
}

static bool result_equal(const struct flow_result *a, const struct flow_result *b)
{
	return a->regs == b->regs && a->zero == b->zero && a->any == b->any && !memcmp(a->slots, b->slots, sizeof(a->slots));
}

static bool result_update(struct flow *flow, int n)
{
	struct flow_node *node = &flow->nodes[n];
	struct flow_result after = { .any = true }, before;

	switch (node->exit) {
	case FLOW_RETURNS: before = (struct flow_result){ .regs = 1u << code_result_reg() }; break;
	case FLOW_CLEARS: before = (struct flow_result){ .regs = 1u << code_arg_reg(1) }; break;
	case FLOW_TAILS:
	case FLOW_LEAVES:
		/* One way out is not followed, so nothing is known of all ways. */
		before = (struct flow_result){ 0 };
		break;
	default:
		if (node->next >= 0)
			intersect(&after, &flow->nodes[node->next].result);
		if (node->target >= 0)
			intersect(&after, &flow->nodes[node->target].result);
		backward(&node->insn, &node->in, &after, &before);
	}
	if (result_equal(&before, &node->result))
		return false;
	node->result = before;
	return true;
}

static void backward_all(struct flow *flow)
{
	bool changed = true;

	for (int i = 0; i < flow->nr_nodes; i++) {
		memset(&flow->nodes[i].result, 0, sizeof(flow->nodes[i].result));
		flow->nodes[i].result.any = true;
	}
	/* The greatest fixpoint: sets only ever shrink. */
	while (changed) {
		changed = false;
		for (int i = flow->nr_nodes - 1; i >= 0; i--)
			changed |= result_update(flow, i);
	}
}

/* ---- both ---- */

static bool stack_pointer_known(const struct flow *flow)
{
	for (int i = 0; i < flow->nr_nodes; i++) {
		const struct flow_value *sp = &flow->nodes[i].in.reg[code_sp_reg()];

		if (sp->kind != FLOW_SP && flow->nodes[i].exit != FLOW_ABORTS)
			return false;
		if (flow->nodes[i].exit == FLOW_RETURNS && sp->off)
			return false;
	}
	return true;
}

int flow_build(const struct plan_env *env, struct code_reader *reader, const struct function *f, uint64_t vaddr,
	       uint64_t nbytes, struct flow *flow)
{
	struct builder *b = calloc(1, sizeof(*b));
	int err = 0;

	memset(flow, 0, sizeof(*flow));
	flow->nodes = calloc(FLOW_INSNS_MAX, sizeof(*flow->nodes));
	if (!b || !flow->nodes) {
		free(b);
		return -ENOMEM;
	}
	*b = (struct builder){ .env = env, .reader = reader, .function = f, .start = vaddr, .end = vaddr + nbytes, .flow = flow };
	if (node_make(b, vaddr) < 0)
		err = -E2BIG;
	while (!err && b->nr_todo)
		err = link_node(b, b->todo[--b->nr_todo]);
	free(b);
	if (err)
		return err;
	forward_all(flow);
	flow->complete = stack_pointer_known(flow);
	if (flow->complete)
		backward_all(flow);
	return 0;
}

void flow_free(struct flow *flow)
{
	free(flow->nodes);
	memset(flow, 0, sizeof(*flow));
}

int flow_sp(const struct flow *flow, int n)
{
	return flow->nodes[n].in.reg[code_sp_reg()].off;
}

static struct ht_loc slot_loc(const struct flow *flow, int n, int slot)
{
	return (struct ht_loc){ .from = HT_FROM_STACK, .disp = FLOW_SLOT_LOW + slot * 8 - flow_sp(flow, n) };
}

struct ht_loc flow_find(const struct flow *flow, int n, struct flow_value want)
{
	const struct flow_state *s = &flow->nodes[n].in;

	for (unsigned r = 0; r < CODE_NR_REGS; r++)
		if (value_equal(s->reg[r], want))
			return (struct ht_loc){ .from = HT_FROM_REG, .reg = (uint8_t)r };
	for (int i = 0; i < FLOW_NR_SLOTS; i++)
		if (value_equal(s->slot[i], want))
			return slot_loc(flow, n, i);
	return (struct ht_loc){ .from = HT_FROM_NONE };
}

bool flow_find_result(const struct flow *flow, int n, int at, struct ht_loc *loc_ret)
{
	const struct flow_node *node = &flow->nodes[n];
	/* Of two ways one is meant. Otherwise what a push is about to store does not lie there yet when n is reached. */
	const struct flow_result *r = node->insn.flow == CODE_BRANCH ? &flow->nodes[at].result : &node->result;

	*loc_ret = (struct ht_loc){ .from = HT_FROM_NONE };
	if (r->any)
		return false; /* nothing returns from there */
	for (unsigned reg = 0; reg < CODE_NR_REGS; reg++)
		if (HAS(r->regs, reg)) {
			*loc_ret = (struct ht_loc){ .from = HT_FROM_REG, .reg = (uint8_t)reg };
			return true;
		}
	for (int i = 0; i < FLOW_NR_SLOTS; i++)
		if (slot_has(r, i)) {
			*loc_ret = slot_loc(flow, n, i);
			return true;
		}
	return r->zero;
}
