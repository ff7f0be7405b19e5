/* SPDX-License-Identifier: BSD-2-Clause */
/* Control flow and data flow of one function. */
#include "flow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/tape.h"
#include "sites/flow_graph.h"

#define HAS(set, n) ((set) >> (n) & 1)

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

/* One factor of the function's product and the other, in either order. */
static bool is_product(const struct function *f, struct flow_value a, struct flow_value b)
{
	return f->mul && a.kind == FLOW_ARG && b.kind == FLOW_ARG &&
	       ((a.a == f->size && b.a == f->mul) || (a.a == f->mul && b.a == f->size));
}

static void forward_flags(const struct code_insn *in, const struct flow_state *before, struct flow_state *after, bool product)
{
	struct flow_value value;

	if (in->flags == CODE_FLAGS_KEPT)
		return;
	after->flags_of = (struct flow_value){ .kind = FLOW_UNKNOWN };
	if (in->flags == CODE_FLAGS_MUL && product)
		after->flags_of = (struct flow_value){ .kind = FLOW_OVERFLOW, .a = FLOW_OVERFLOW_FLAG };
	if (in->flags != CODE_FLAGS_COMPARED || in->compared >= CODE_NR_REGS)
		return;
	value = before->reg[in->compared];
	if (value.kind == FLOW_OVERFLOW ? value.a == FLOW_OVERFLOW_WHOLE || in->compared_byte : !in->compared_byte)
		after->flags_of = value;
	after->flags_with = in->compared_with;
}

/* Effects that make a register's value out of others'. */
static void forward_register(const struct code_insn *in, const struct flow_state *before, struct flow_state *after, bool product)
{
	struct flow_value *dst = &after->reg[in->dst < CODE_NR_REGS ? in->dst : 0];

	if (in->dst >= CODE_NR_REGS)
		return;
	switch (in->effect) {
	case CODE_EFFECT_POP:
	case CODE_EFFECT_MOVE:
	case CODE_EFFECT_LOAD:
	case CODE_EFFECT_LEA: *dst = effect_value(in, before); break;
	case CODE_EFFECT_MUL:
		if (!product || in->base >= CODE_NR_REGS)
			break;
		*dst = (struct flow_value){ .kind = FLOW_PRODUCT };
		after->reg[in->base] = (struct flow_value){ .kind = FLOW_HIGH };
		break;
	case CODE_EFFECT_OVERFLOW:
		if (before->flags_of.kind == FLOW_OVERFLOW && before->flags_of.a == FLOW_OVERFLOW_FLAG)
			*dst = (struct flow_value){ .kind = FLOW_OVERFLOW, .a = FLOW_OVERFLOW_BYTE };
		break;
	case CODE_EFFECT_WIDEN:
		if (in->src < CODE_NR_REGS && before->reg[in->src].kind == FLOW_OVERFLOW)
			*dst = (struct flow_value){ .kind = FLOW_OVERFLOW, .a = FLOW_OVERFLOW_WHOLE };
		break;
	default: break;
	}
}

static void forward(const struct function *f, const struct code_insn *in, const struct flow_state *before,
		    struct flow_state *after)
{
	static const struct flow_value unknown = { .kind = FLOW_UNKNOWN };
	struct flow_value value = effect_value(in, before), sp = before->reg[code_sp_reg()];
	uint32_t destroyed = in->writes | (in->flow == CODE_CALL ? code_call_clobbers() : 0);
	bool product = in->effect == CODE_EFFECT_MUL && in->src < CODE_NR_REGS && in->dst < CODE_NR_REGS &&
		       is_product(f, before->reg[in->src], before->reg[in->dst]);
	int slot, first, end;

	*after = *before;
	after->touched |= in->stores || in->flow == CODE_CALL;
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
	default: slot = -1; break;
	}
	if (slot >= 0)
		after->slot[slot] = value;
	forward_register(in, before, after, product);
	forward_flags(in, before, after, product);
}

/* ---- what a branch tells ---- */

/* Argument `a` is 1: the other factor is the product. */
static void factor_is_one(const struct function *f, unsigned a, struct flow_state *s)
{
	const struct flow_value other = { .kind = FLOW_ARG, .a = a == f->size ? f->mul : f->size };
	const struct flow_value product = { .kind = FLOW_PRODUCT };

	for (int r = 0; r < CODE_NR_REGS; r++)
		if (value_equal(s->reg[r], other))
			s->reg[r] = product;
	for (int i = 0; i < FLOW_NR_SLOTS; i++)
		if (value_equal(s->slot[i], other))
			s->slot[i] = product;
	s->no_overflow = true;
}

static void refine(const struct function *f, const struct code_insn *in, bool taken, struct flow_state *s)
{
	bool equal = in->branch_if == (taken ? CODE_IF_EQUAL : CODE_IF_NOT_EQUAL);
	bool no_overflow = in->branch_if == (taken ? CODE_IF_NO_OVERFLOW : CODE_IF_OVERFLOW);
	struct flow_value v = s->flags_of;

	if (in->flow != CODE_BRANCH)
		return;
	if (v.kind == FLOW_OVERFLOW && v.a == FLOW_OVERFLOW_FLAG) {
		s->no_overflow |= no_overflow;
		return;
	}
	if (!equal)
		return;
	s->no_overflow |= v.kind == FLOW_OVERFLOW && s->flags_with == 0;
	s->null |= v.kind == FLOW_ARG && f->ptr && v.a == f->ptr && s->flags_with == 0;
	if (v.kind == FLOW_ARG && f->mul && (v.a == f->size || v.a == f->mul) && s->flags_with == 1)
		factor_is_one(f, v.a, s);
}

void flow_state_on_way(const struct flow *flow, int n, bool taken, struct flow_state *s_ret)
{
	*s_ret = flow->nodes[n].in;
	refine(flow->function, &flow->nodes[n].insn, taken, s_ret);
}

/* ---- all ways ---- */

static bool merge_value(struct flow_value *to, struct flow_value v)
{
	if (value_equal(*to, v) || to->kind == FLOW_UNKNOWN)
		return false;
	*to = (struct flow_value){ .kind = FLOW_UNKNOWN };
	return true;
}

static bool merge_must(bool *to, bool v)
{
	bool changed = *to && !v;

	*to &= v;
	return changed;
}

/* True if `into` changed. */
static bool merge(struct flow_state *into, const struct flow_state *from)
{
	bool changed = false;

	if (!into->reached) {
		*into = *from;
		return true;
	}
	for (int i = 0; i < CODE_NR_REGS; i++)
		changed |= merge_value(&into->reg[i], from->reg[i]);
	for (int i = 0; i < FLOW_NR_SLOTS; i++)
		changed |= merge_value(&into->slot[i], from->slot[i]);
	if (into->flags_with != from->flags_with)
		changed |= merge_value(&into->flags_of, (struct flow_value){ .kind = FLOW_UNKNOWN });
	changed |= merge_value(&into->flags_of, from->flags_of);
	changed |= merge_must(&into->no_overflow, from->no_overflow);
	changed |= merge_must(&into->null, from->null);
	changed |= from->touched && !into->touched;
	into->touched |= from->touched;
	return changed;
}

static bool pass_on(struct flow *flow, int from, int to, bool taken, const struct flow_state *after)
{
	struct flow_state on_way = *after;

	if (to < 0)
		return false;
	refine(flow->function, &flow->nodes[from].insn, taken, &on_way);
	return merge(&flow->nodes[to].in, &on_way);
}

static void forward_all(struct flow *flow)
{
	struct flow_state after, *entry = &flow->nodes[0].in;
	bool changed = true;

	for (unsigned n = 1; n <= CODE_NR_ARGS; n++)
		entry->reg[code_arg_reg(n)] = (struct flow_value){ .kind = FLOW_ARG, .a = (uint8_t)n };
	entry->reg[code_sp_reg()] = (struct flow_value){ .kind = FLOW_SP };
	entry->reached = true;
	/* Values only ever fall, something to UNKNOWN, so this ends. */
	while (changed) {
		changed = false;
		for (int i = 0; i < flow->nr_nodes; i++) {
			const struct flow_node *node = &flow->nodes[i];

			if (!node->in.reached)
				continue;
			forward(flow->function, &node->insn, &node->in, &after);
			changed |= pass_on(flow, i, node->next, false, &after);
			changed |= pass_on(flow, i, node->target, true, &after);
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
static void backward(const struct flow_node *node, const struct flow_result *after, struct flow_result *before)
{
	const struct code_insn *in = &node->insn;
	const struct flow_state *s = &node->in;
	uint32_t destroyed = in->writes | (in->flow == CODE_CALL ? code_call_clobbers() : 0);
	bool dst_is = in->dst < CODE_NR_REGS && HAS(after->regs, in->dst);
	int slot, first, end;

	*before = *after;
	if (after->any)
		return;
	before->regs &= ~destroyed;
	if (node->clears && HAS(after->regs, code_result_reg()))
		before->regs |= 1u << code_arg_reg(1);
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
		backward(node, &after, &before);
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
		/* With something left on the stack it is neither a return nor a tail jump. */
		if ((flow->nodes[i].exit == FLOW_RETURNS || flow->nodes[i].exit == FLOW_TAILS) && sp->off)
			return false;
	}
	return true;
}

int flow_build(const struct plan_env *env, struct code_reader *reader, const struct function *f, uint64_t vaddr,
	       uint64_t nbytes, struct flow *flow)
{
	int err;

	memset(flow, 0, sizeof(*flow));
	flow->function = f;
	flow->nodes = calloc(FLOW_INSNS_MAX, sizeof(*flow->nodes));
	if (!flow->nodes)
		return -ENOMEM;
	err = flow_graph_build(env, reader, f, vaddr, nbytes, flow);
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

static struct ht_loc slot_loc(const struct flow_state *s, int slot)
{
	return (struct ht_loc){ .from = HT_FROM_STACK, .disp = FLOW_SLOT_LOW + slot * 8 - s->reg[code_sp_reg()].off };
}

struct ht_loc flow_find(const struct flow_state *s, struct flow_value want)
{
	for (unsigned r = 0; r < CODE_NR_REGS; r++)
		if (value_equal(s->reg[r], want))
			return (struct ht_loc){ .from = HT_FROM_REG, .reg = (uint8_t)r };
	for (int i = 0; i < FLOW_NR_SLOTS; i++)
		if (value_equal(s->slot[i], want))
			return slot_loc(s, i);
	return (struct ht_loc){ .from = HT_FROM_NONE };
}

bool flow_find_result(const struct flow *flow, int n, int at, struct ht_loc *loc_ret)
{
	const struct flow_node *node = &flow->nodes[n];
	/* Of two ways one is meant. Otherwise what a push is about to store does not lie there yet when n is reached. */
	const struct flow_result *r = node->insn.flow == CODE_BRANCH && at >= 0 ? &flow->nodes[at].result : &node->result;

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
			*loc_ret = slot_loc(&node->in, i);
			return true;
		}
	return r->zero;
}
