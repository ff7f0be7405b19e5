/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ways.h - a plan held against its function's code, with symbols instead of numbers: on each way from the entry to a
 * return there must be one ONE, or one STASH (GIVE_UP) and one FINISH or return probe behind it, and the values where the
 * sites say; a free of NULL needs none.
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

#include "formats/tape.h"
#include "sites/code.h"
#include "sites/noreturn.h"
#include "sites/plan.h"

enum {
	STACK_LOW = -4096,
	STACK_HIGH = 128,
	VISITS_MAX = 2, /* of one instruction on one way: a loop is gone through twice */
	INSNS_MAX = 1024,
	PART_OF_MANY = 255, /* byte_nr: of a value longer than a register */
};
#define VALUE_SP (1ll << 40) /* the stack pointer at the entry */
#define VALUE_MIXED (1ll << 38) /* from here on, that far: below what is taken for an address of the stack */
/* VALUE_ARGS + n is argument n. OVERFLOW: not 0 if the function's product does not fit in 64 bits; FLAG: that as a flag. */
enum { VALUE_ZERO, VALUE_ARGS, VALUE_PRODUCT = 16, VALUE_HIGH, VALUE_OVERFLOW, VALUE_OVERFLOW_FLAG, VALUE_NEW = 32 };
enum known { UNKNOWN, YES, NO };

struct world {
	uint64_t pc;
	int64_t reg[CODE_NR_REGS];
	int64_t byte_of[STACK_HIGH - STACK_LOW]; /* value that a byte of the stack is a part of */
	uint8_t byte_nr[STACK_HIGH - STACK_LOW]; /* and which part */
	uint8_t visits[INSNS_MAX];               /* by offset in the test program, modulo */
	int nr_one, nr_stash, nr_finish;
	bool may_tail;
	bool returns;      /* a return probe was passed: it sees the result */
	bool guarded;      /* a guard was passed: what is wrong from here on is counted as lost */
	bool touched;      /* something was called or stored */
	int64_t flags_of;  /* the flags tell whether this value ... */
	uint8_t flags_with; /* ... is this */
	uint8_t null, overflow, one; /* enum known: the block freed, the product, and that a factor of it is 1 */
	int64_t ptr;       /* as the sites saw it */
	bool right;        /* the site that began the call had all arguments right */
};

/* A walk through all ways of a plan's function, and what it finds. */
struct ways {
	const struct object *obj;
	struct code_reader *reader;
	const struct plan *plan;
	uint64_t other_vaddr; /* another recorded function: a way that goes there is seen there */
	unsigned nr_ways, nr_insns; /* walked */
	unsigned insns_max;   /* enough of them; 0: no bound */
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

/* Bytes of several values: the same bytes are the same value when they are read again. */
static inline int64_t value_mixed(const int64_t *of, const uint8_t *nr)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a: Fowler, Noll, Vo */

	for (int i = 0; i < 8; i++)
		hash = ((hash ^ (uint64_t)of[i]) * 0x100000001b3u ^ nr[i]) * 0x100000001b3u;
	return VALUE_MIXED + (int64_t)(hash % VALUE_MIXED);
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
	return whole || many ? w->byte_of[at] : value_mixed(w->byte_of + at, w->byte_nr + at);
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

static inline bool is_product(const struct function *f, int64_t a, int64_t b)
{
	int64_t size = VALUE_ARGS + f->size, mul = VALUE_ARGS + f->mul;

	return f->mul && ((a == size && b == mul) || (a == mul && b == size));
}

static inline void world_step(struct world *w, const struct code_insn *in, const struct plan *plan)
{
	const struct world before = *w;
	int64_t sp = before.reg[code_sp_reg()], address = in->base < CODE_NR_REGS ? before.reg[in->base] + in->disp : 0;
	int64_t value = in->src < CODE_NR_REGS ? before.reg[in->src] : value_new();

	for (unsigned r = 0; r < CODE_NR_REGS; r++)
		if ((in->writes >> r & 1) && r != code_sp_reg())
			w->reg[r] = value_new();
	w->reg[code_sp_reg()] += in->sp_delta;
	if (in->flags != CODE_FLAGS_KEPT)
		w->flags_of = value_new();
	switch (in->effect) {
	case CODE_EFFECT_MOVE: w->reg[in->dst] = value; break;
	case CODE_EFFECT_LOAD: w->reg[in->dst] = is_stack(address) ? stack_read(w, address) : value_new(); break;
	case CODE_EFFECT_STORE: stack_write(w, address, is_stack(address) ? 8 : 0, value); break;
	case CODE_EFFECT_PUSH: stack_write(w, sp - 8, 8, value); break;
	case CODE_EFFECT_POP: w->reg[in->dst] = stack_read(w, sp); break;
	case CODE_EFFECT_ZERO: w->reg[in->dst] = VALUE_ZERO; break;
	case CODE_EFFECT_LEA: w->reg[in->dst] = is_stack(address) ? address : value_new(); break;
	case CODE_EFFECT_SPOIL: stack_write(w, address, is_stack(address) ? in->spoilt : 0, value_new()); break;
	case CODE_EFFECT_MUL:
		if (is_product(plan->function, before.reg[in->dst], before.reg[in->src])) {
			w->reg[in->dst] = VALUE_PRODUCT;
			w->reg[in->base] = VALUE_HIGH;
			w->flags_of = VALUE_OVERFLOW_FLAG;
		}
		break;
	case CODE_EFFECT_OVERFLOW:
		if (before.flags_of == VALUE_OVERFLOW_FLAG)
			w->reg[in->dst] = VALUE_OVERFLOW;
		break;
	case CODE_EFFECT_WIDEN:
		if (value == VALUE_OVERFLOW)
			w->reg[in->dst] = VALUE_OVERFLOW;
		break;
	default: break;
	}
	if (in->flags == CODE_FLAGS_COMPARED && (!in->compared_byte || before.reg[in->compared] == VALUE_OVERFLOW)) {
		w->flags_of = before.reg[in->compared];
		w->flags_with = in->compared_with;
	}
	w->touched |= in->stores || in->flow == CODE_CALL;
	if (in->flow == CODE_CALL)
		world_call(w);
}

/* What a way of a branch tells; false: nobody can go it, after what was told before. */
static inline bool world_learns(struct world *w, const struct code_insn *in, const struct function *f, bool taken)
{
	bool equal = in->branch_if == (taken ? CODE_IF_EQUAL : CODE_IF_NOT_EQUAL);
	bool unequal = in->branch_if == (taken ? CODE_IF_NOT_EQUAL : CODE_IF_EQUAL);
	uint8_t *known = NULL, told = equal ? YES : NO;
	int64_t v = w->flags_of;

	if (v == VALUE_OVERFLOW_FLAG) {
		known = in->branch_if == CODE_IF_OVERFLOW || in->branch_if == CODE_IF_NO_OVERFLOW ? &w->overflow : NULL;
		told = in->branch_if == (taken ? CODE_IF_OVERFLOW : CODE_IF_NO_OVERFLOW) ? YES : NO;
	} else if (equal || unequal) {
		if (v == VALUE_OVERFLOW && w->flags_with == 0) {
			known = &w->overflow;
			told = equal ? NO : YES;
		} else if (f->ptr && v == VALUE_ARGS + f->ptr && w->flags_with == 0) {
			known = &w->null;
		} else if (f->mul && (v == VALUE_ARGS + f->size || v == VALUE_ARGS + f->mul) && w->flags_with == 1 && equal) {
			w->one = YES;
			w->overflow = w->overflow == YES ? YES : NO;
		}
	}
	if (!known)
		return true;
	if (*known && *known != told)
		return false;
	*known = told;
	return true;
}

static inline int64_t loc_value(struct world *w, const struct ht_loc *loc)
{
	switch (loc->from) {
	case HT_FROM_REG: return w->reg[loc->reg];
	case HT_FROM_STACK: return stack_read(w, w->reg[code_sp_reg()] + loc->disp);
	default: return VALUE_ZERO;
	}
}

/* As much as was asked for: the size, or size and mul, or their product where it is known to fit or the high half tells. */
static inline bool size_is_right(struct world *w, const struct function *f, const struct ht_site *site)
{
	int64_t size = loc_value(w, &site->size), mul = loc_value(w, &site->mul);

	if (!f->size)
		return true;
	if (!f->mul)
		return size == VALUE_ARGS + f->size && site->mul.from == HT_FROM_NONE;
	if (site->mul.from != HT_FROM_NONE)
		return site->mul.xform == HT_XFORM_HIGH ? size == VALUE_PRODUCT && mul == VALUE_HIGH : is_product(f, size, mul);
	if (w->overflow != NO)
		return false;
	return size == VALUE_PRODUCT || (w->one == YES && (size == VALUE_ARGS + f->size || size == VALUE_ARGS + f->mul));
}

static inline bool arguments_are_right(struct world *w, const struct function *f, const struct ht_site *site)
{
	return size_is_right(w, f, site) && (!f->old || loc_value(w, &site->old) == VALUE_ARGS + f->old) &&
	       (!f->align || loc_value(w, &site->align) == VALUE_ARGS + f->align);
}

static inline void pass_site(struct ways *ways, struct world *w, const struct plan_site *ps)
{
	const struct ht_site *site = &ps->site;
	bool begins = site->role != HT_ROLE_FINISH, ends = site->role == HT_ROLE_FINISH && w->nr_stash;

	if (site->role == HT_ROLE_GUARD) {
		w->guarded = true;
		return;
	}
	if (ps->class == SITE_RETURN) {
		way_check(ways, w->reg[code_sp_reg()] == VALUE_SP, "a return probe where the return address is not on top");
		w->returns = true;
		return;
	}
	way_check(ways, w->reg[code_sp_reg()] + site->ra_off == VALUE_SP, "the return address is not where the site at +%" PRId64 " says",
		  (int64_t)(ps->vaddr - ways->plan->vaddr));
	w->nr_one += site->role == HT_ROLE_ONE;
	w->nr_stash += begins && site->role != HT_ROLE_ONE;
	w->nr_finish += ends; /* without a call that has begun it does nothing */
	if (begins)
		w->right = arguments_are_right(w, ways->plan->function, site);
	if (site->role == HT_ROLE_GIVE_UP || site->kind >= TAPE_FREE)
		way_check(ways, !w->touched, "a block is given up after it may be reused");
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

static inline void way_of_free_ends(struct ways *ways, const struct world *w)
{
	way_check(ways, w->nr_one == 1 || (w->null == YES && !w->nr_one), "a way passes %d sites that free", w->nr_one);
	way_check(ways, !w->nr_one || (w->right && w->ptr == VALUE_ARGS + ways->plan->function->ptr),
		  "a way on which the block is not where the plan says");
}

static inline void way_ends(struct ways *ways, const struct world *w, bool returns)
{
	int nr_finish = w->nr_finish + (w->returns && w->nr_stash && !w->nr_finish);

	ways->nr_ways++;
	if (w->guarded)
		return;
	if (ways->plan->function->kind >= TAPE_FREE) {
		way_of_free_ends(ways, w);
		return;
	}
	way_check(ways, w->nr_one + w->nr_stash == 1, "a way passes %d sites that begin a call", w->nr_one + w->nr_stash);
	way_check(ways, w->right, "a way on which an argument is not where the plan says");
	if (returns) {
		way_check(ways, w->nr_one ? !nr_finish : nr_finish == 1, "a way passes %d sites that end a call", nr_finish);
		way_check(ways, nr_finish > w->nr_finish || w->ptr == w->reg[code_result_reg()],
			  "a way on which the result is not where the plan says");
	} else {
		way_check(ways, w->nr_stash && w->may_tail, "a way into another function that the plan does not know of");
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
	if (in->flow == CODE_CALL && in->target && noreturn_function(ways->obj, ways->reader, NULL, in->target))
		return false;
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
			if (world_learns(other, &in, ways->plan->function, true)) {
				pass_sites(ways, other, &in, true);
				world_step(other, &in, ways->plan);
				other->pc = in.target;
				walk(ways, other);
			}
			if (!world_learns(w, &in, ways->plan->function, false))
				break;
		}
		pass_sites(ways, w, &in, in.flow == CODE_JUMP);
		if (in.flow == CODE_RETURN) {
			way_ends(ways, w, true);
			break;
		}
		world_step(w, &in, ways->plan);
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
	*w = (struct world){ .pc = ways->plan->vaddr, .ptr = -1, .flags_of = -1 };
	for (unsigned r = 0; r < CODE_NR_REGS; r++)
		w->reg[r] = value_new();
	stack_write(w, VALUE_SP + STACK_LOW, STACK_HIGH - STACK_LOW, value_new());
	w->reg[code_sp_reg()] = VALUE_SP;
	for (unsigned n = 1; n <= CODE_NR_ARGS; n++)
		w->reg[code_arg_reg(n)] = VALUE_ARGS + (int)n;
	walk(ways, w);
	free(w);
}

#endif
