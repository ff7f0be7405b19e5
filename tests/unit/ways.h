/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ways.h - a plan held against its function's code, with symbols instead of numbers: on each way from the entry to a
 * return there must be one ONE, or one STASH and one FINISH behind it, and the values where the sites say.
 *
 * It believes what code.h says of one instruction; all that follows from several of them it finds out for itself.
 */
#ifndef HEAPTAPE_TEST_WAYS_H
#define HEAPTAPE_TEST_WAYS_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "sites/code.h"
#include "sites/plan.h"

enum {
	STACK_LOW = -4096,
	STACK_HIGH = 128,
	VISITS_MAX = 2, /* of one instruction on one way: a loop is gone through twice */
	INSNS_MAX = 1024,
	PART_OF_MANY = 255, /* byte_nr: of a value longer than a register */
};
#define VALUE_SP (1ll << 40) /* the stack pointer at the entry */
enum { VALUE_ZERO, VALUE_SIZE, VALUE_NEW };

struct world {
	uint64_t pc;
	int64_t reg[CODE_NR_REGS];
	int64_t byte_of[STACK_HIGH - STACK_LOW]; /* value that a byte of the stack is a part of */
	uint8_t byte_nr[STACK_HIGH - STACK_LOW]; /* and which part */
	uint8_t visits[INSNS_MAX];               /* by offset in the test program, modulo */
	int nr_one, nr_stash, nr_finish;
	bool may_tail;
	int64_t ptr, size; /* as the sites saw them */
};

/* A walk through all ways of a plan's function, and what it finds. */
struct ways {
	const struct object *obj;
	struct code_reader *reader;
	const struct plan *plan;
	uint64_t other_vaddr; /* another recorded function: a way that goes there is seen there */
	unsigned nr_ways, nr_insns; /* walked */
	unsigned insns_max;   /* enough of them; 0: no bound */
	unsigned arg;         /* that is the size */
	bool any_tail;        /* a STASH need not say that its call may end in another function */
	char wrong[160];      /* "" : nothing; else the first */
};

__attribute__((format(printf, 3, 4))) static inline void way_check(struct ways *ways, bool holds, const char *fmt, ...)
{
	va_list ap;

	if (holds || *ways->wrong)
		return;
	va_start(ap, fmt);
	vsnprintf(ways->wrong, sizeof(ways->wrong), fmt, ap);
	va_end(ap);
}

static inline int64_t value_new(void)
{
	static int64_t nr_values;

	return VALUE_NEW + nr_values++;
}

static inline void stack_write(struct world *w, int64_t address, int64_t nbytes, int64_t value)
{
	int64_t at = address - VALUE_SP - STACK_LOW;

	for (int64_t i = 0; i < nbytes; i++)
		if (at + i >= 0 && at + i < STACK_HIGH - STACK_LOW) {
			w->byte_of[at + i] = value;
			w->byte_nr[at + i] = nbytes > 8 ? PART_OF_MANY : (uint8_t)i;
		}
}

/* What nobody knows is the same when it is read again. */
static inline int64_t stack_read(struct world *w, int64_t address)
{
	int64_t at = address - VALUE_SP - STACK_LOW;
	bool whole = true, many = true;

	if (at < 0 || at + 8 > STACK_HIGH - STACK_LOW)
		return value_new();
	for (int i = 0; i < 8; i++) {
		whole &= w->byte_of[at + i] == w->byte_of[at] && w->byte_nr[at + i] == i;
		many &= w->byte_nr[at + i] == PART_OF_MANY;
	}
	if (many)
		stack_write(w, address, 8, value_new());
	return whole || many ? w->byte_of[at] : value_new();
}

static inline bool is_stack(int64_t value)
{
	return value > VALUE_SP / 2;
}

/* What is called overwrites all below the stack pointer, and what it gets an address of. */
static inline void world_call(struct world *w)
{
	int64_t sp = w->reg[code_sp_reg()];

	for (unsigned r = 0; r < CODE_NR_REGS; r++) {
		if (!(code_call_clobbers() >> r & 1))
			continue;
		if (is_stack(w->reg[r]))
			stack_write(w, w->reg[r], VALUE_SP + STACK_HIGH - w->reg[r], value_new());
		w->reg[r] = value_new();
	}
	stack_write(w, VALUE_SP + STACK_LOW, sp - VALUE_SP - STACK_LOW, value_new());
}

static inline void world_step(struct world *w, const struct code_insn *in)
{
	const struct world before = *w;
	int64_t sp = before.reg[code_sp_reg()], address = in->base < CODE_NR_REGS ? before.reg[in->base] + in->disp : 0;
	int64_t value = in->src < CODE_NR_REGS ? before.reg[in->src] : value_new();

	for (unsigned r = 0; r < CODE_NR_REGS; r++)
		if ((in->writes >> r & 1) && r != code_sp_reg())
			w->reg[r] = value_new();
	w->reg[code_sp_reg()] += in->sp_delta;
	switch (in->effect) {
	case CODE_EFFECT_MOVE: w->reg[in->dst] = value; break;
	case CODE_EFFECT_LOAD: w->reg[in->dst] = is_stack(address) ? stack_read(w, address) : value_new(); break;
	case CODE_EFFECT_STORE: stack_write(w, address, is_stack(address) ? 8 : 0, value); break;
	case CODE_EFFECT_PUSH: stack_write(w, sp - 8, 8, value); break;
	case CODE_EFFECT_POP: w->reg[in->dst] = stack_read(w, sp); break;
	case CODE_EFFECT_ZERO: w->reg[in->dst] = VALUE_ZERO; break;
	case CODE_EFFECT_LEA: w->reg[in->dst] = is_stack(address) ? address : value_new(); break;
	case CODE_EFFECT_SPOIL: stack_write(w, address, is_stack(address) ? in->spoilt : 0, value_new()); break;
	default: break;
	}
	if (in->flow == CODE_CALL)
		world_call(w);
}

static inline int64_t loc_value(struct world *w, const struct ht_loc *loc)
{
	switch (loc->from) {
	case HT_FROM_REG: return w->reg[loc->reg];
	case HT_FROM_STACK: return stack_read(w, w->reg[code_sp_reg()] + loc->disp);
	default: return VALUE_ZERO;
	}
}

static inline void pass_site(struct ways *ways, struct world *w, const struct plan_site *ps)
{
	const struct ht_site *site = &ps->site;
	bool begins = site->role != HT_ROLE_FINISH, ends = site->role == HT_ROLE_FINISH && w->nr_stash;

	way_check(ways, w->reg[code_sp_reg()] + site->ra_off == VALUE_SP, "the return address is not where the site at +%" PRId64 " says",
		  (int64_t)(ps->vaddr - ways->plan->vaddr));
	w->nr_one += site->role == HT_ROLE_ONE;
	w->nr_stash += begins && site->role != HT_ROLE_ONE;
	w->nr_finish += ends; /* without a call that has begun it does nothing */
	if (begins)
		w->size = loc_value(w, &site->size);
	if (site->role == HT_ROLE_ONE || ends)
		w->ptr = loc_value(w, &site->ptr);
	w->may_tail |= site->flags & HT_SITE_MAY_TAIL;
}

static inline void pass_sites(struct ways *ways, struct world *w, const struct code_insn *in, bool taken)
{
	for (unsigned i = 0; i < ways->plan->nr_sites; i++) {
		const struct plan_site *ps = &ways->plan->sites[i];
		bool holds = !ps->site.cond || (ps->site.cond == in->cond) == taken;

		if (ps->vaddr == in->vaddr && holds)
			pass_site(ways, w, ps);
	}
}

static inline void way_ends(struct ways *ways, const struct world *w, bool returns)
{
	ways->nr_ways++;
	way_check(ways, w->nr_one + w->nr_stash == 1, "a way passes %d sites that begin a call", w->nr_one + w->nr_stash);
	way_check(ways, w->size == VALUE_SIZE, "a way on which the size is not where the plan says");
	if (returns) {
		way_check(ways, w->nr_one ? !w->nr_finish : w->nr_finish == 1, "a way passes %d sites that end a call", w->nr_finish);
		way_check(ways, w->ptr == w->reg[code_result_reg()], "a way on which the result is not where the plan says");
	} else {
		way_check(ways, w->nr_stash && (w->may_tail || ways->any_tail), "a way into another function that the plan does not know of");
	}
}

/* False: this way is not to be followed any further. */
static inline bool way_begins(struct ways *ways, struct world *w, struct code_insn *in)
{
	uint64_t end = ways->plan->vaddr + ways->plan->nbytes;
	const uint8_t *bytes;
	size_t avail;
	bool own;

	if (*ways->wrong || (ways->insns_max && ways->nr_insns++ >= ways->insns_max))
		return false;
	if (w->pc == ways->other_vaddr) {
		/* With something left on the stack it is no tail jump, and no compiler's code. */
		if (w->reg[code_sp_reg()] == VALUE_SP)
			way_ends(ways, w, false);
		return false;
	}
	bytes = object_code(ways->obj, w->pc, &avail);
	if (!bytes || !code_decode(ways->reader, bytes, avail, w->pc, in))
		return false;
	own = w->pc >= ways->plan->vaddr && w->pc < end;
	/* An indirect jump leads where nobody can follow; a call at the function's end does not come back. */
	return w->visits[w->pc % INSNS_MAX]++ < VISITS_MAX && in->flow != CODE_STOP && in->flow != CODE_INDIRECT &&
	       !(in->flow == CODE_CALL && own && w->pc + in->nbytes >= end);
}

static inline void walk(struct ways *ways, const struct world *from)
{
	struct world *w = malloc(2 * sizeof(*w)), *other = w + 1; /* too large for a deep stack */
	struct code_insn in;

	if (!w)
		return;
	for (*w = *from; way_begins(ways, w, &in); w->pc += in.nbytes) {
		if (in.flow == CODE_BRANCH) {
			*other = *w;
			other->pc = in.target;
			pass_sites(ways, other, &in, true);
			world_step(other, &in);
			walk(ways, other);
		}
		pass_sites(ways, w, &in, in.flow == CODE_JUMP);
		if (in.flow == CODE_RETURN) {
			way_ends(ways, w, true);
			break;
		}
		world_step(w, &in);
		if (in.flow == CODE_JUMP)
			w->pc = in.target - in.nbytes;
	}
	free(w);
}

/* All ways from the entry on, each loop gone through twice. */
static inline void ways_walk(struct ways *ways)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w)
		return;
	*w = (struct world){ .pc = ways->plan->vaddr, .size = -1, .ptr = -1 };
	for (unsigned r = 0; r < CODE_NR_REGS; r++)
		w->reg[r] = value_new();
	stack_write(w, VALUE_SP + STACK_LOW, STACK_HIGH - STACK_LOW, value_new());
	w->reg[code_sp_reg()] = VALUE_SP;
	w->reg[code_arg_reg(ways->arg)] = VALUE_SIZE;
	walk(ways, w);
	free(w);
}

#endif
