/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The simple planner: the first emulated instruction at which the arguments are intact, plus a return probe (or, for
 * functions that throw, the return instructions).
 */
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/tape.h"
#include "sites/code.h"
#include "sites/cost.h"
#include "sites/plan_flow.h"
#include "sites/plan_site.h"

enum {
	ENTRY_INSNS_MAX = 64,    /* looked at for a place to stand at the entry */
	EXPLORE_INSNS_MAX = 4096, /* followed in search of return instructions */
	FUNCTION_NBYTES_MAX = 65536,
};

struct entry_point {
	struct code_insn insn;
	int32_t sp_delta; /* stack pointer here minus at the entry */
};

static bool plan_give_up(struct plan *plan, const char *why)
{
	plan->nr_sites = 0;
	plan->traps = (struct plan_traps){ 0 };
	snprintf(plan->why, sizeof(plan->why), "%s", why);
	return false;
}

static bool insn_at(const struct plan_env *env, struct code_reader *reader, uint64_t vaddr, struct code_insn *insn)
{
	size_t nbytes;
	const uint8_t *bytes = object_code(env->obj, vaddr, &nbytes);

	return bytes && code_decode(reader, bytes, nbytes, vaddr, insn);
}

static uint32_t needed_regs(const struct function *f)
{
	const uint8_t args[] = { f->size, f->mul, f->ptr, f->old, f->align };
	uint32_t regs = 0;

	for (size_t i = 0; i < sizeof(args); i++)
		if (args[i])
			regs |= 1u << code_arg_reg(args[i]);
	return regs;
}

/* Some branch of the function leads to (from, to]: an instruction there may run more than once in a call. */
static bool has_branch_into(const struct plan_env *env, struct code_reader *reader, const struct plan *plan, uint64_t from,
			    uint64_t to)
{
	uint64_t end = plan->vaddr + (plan->nbytes < FUNCTION_NBYTES_MAX ? plan->nbytes : FUNCTION_NBYTES_MAX);
	struct code_insn insn;

	for (uint64_t at = plan->vaddr; at < end; at += insn.nbytes) {
		if (!insn_at(env, reader, at, &insn))
			return at == plan->vaddr; /* data behind the code: what came before was read */
		if ((insn.flow == CODE_JUMP || insn.flow == CODE_BRANCH) && insn.target > from && insn.target <= to)
			return true;
	}
	return false;
}

/* The place at the entry: the first emulated instruction with all arguments intact, else the first instruction. */
static bool find_entry(const struct plan_env *env, struct code_reader *reader, const struct plan *plan, bool sp_must_stay,
		       struct entry_point *entry)
{
	uint32_t needed = needed_regs(plan->function);
	struct entry_point first, at = { .sp_delta = 0 };
	uint64_t vaddr = plan->vaddr;

	if (!insn_at(env, reader, vaddr, &first.insn))
		return false;
	first.sp_delta = 0;
	for (int i = 0; i < ENTRY_INSNS_MAX; i++) {
		if (!insn_at(env, reader, vaddr, &at.insn) || (i && vaddr >= plan->vaddr + plan->nbytes))
			break;
		/* A call would be emulated too, but breaks with shadow stacks. */
		if (at.insn.emulated && at.insn.fit && at.insn.flow != CODE_CALL) {
			if (i && has_branch_into(env, reader, plan, plan->vaddr, vaddr))
				break;
			*entry = at;
			return true;
		}
		if (at.insn.flow != CODE_NEXT || (at.insn.writes & needed) || at.insn.sp_unknown ||
		    (sp_must_stay && at.insn.sp_delta))
			break;
		at.sp_delta += at.insn.sp_delta;
		vaddr += at.insn.nbytes;
	}
	*entry = first;
	return first.insn.fit;
}

static struct ht_loc arg_loc(unsigned arg, uint8_t xform)
{
	if (!arg)
		return (struct ht_loc){ .from = HT_FROM_NONE };
	return (struct ht_loc){ .from = HT_FROM_REG, .reg = (uint8_t)code_arg_reg(arg), .xform = xform };
}

struct plan_site *plan_add_site(const struct plan_env *env, struct plan *plan, const struct code_insn *insn,
				enum site_class class)
{
	struct plan_site *ps;
	const uint8_t *byte;
	size_t avail;

	if (plan->nr_sites == PLAN_SITES_MAX)
		return NULL;
	ps = &plan->sites[plan->nr_sites];
	memset(ps, 0, sizeof(*ps));
	if (object_offset(env->obj, insn->vaddr, &ps->offset))
		return NULL;
	byte = object_code(env->obj, insn->vaddr, &avail);
	ps->first_byte = *byte;
	ps->vaddr = insn->vaddr;
	ps->class = class;
	memcpy(ps->insn, insn->text, sizeof(ps->insn));
	plan->nr_sites++;
	return ps;
}

static struct plan_site *add_site(const struct plan_env *env, struct plan *plan, const struct code_insn *insn, int32_t sp_delta,
				  enum ht_role role, enum site_class class)
{
	struct plan_site *ps = plan_add_site(env, plan, insn, class);

	if (!ps)
		return NULL;
	ps->site.kind = plan->function->kind;
	ps->site.role = (uint8_t)role;
	ps->site.ra_off = -sp_delta;
	return ps;
}

static void count_trap(struct plan *plan, const struct code_insn *insn)
{
	if (insn->emulated)
		plan->traps.emulated += PLAN_USUAL_CALLS;
	else
		plan->traps.stepped += PLAN_USUAL_CALLS;
}

static enum site_class class_of(const struct code_insn *insn)
{
	return insn->emulated ? SITE_EMULATED : SITE_STEPPED;
}

static void fill_arguments(struct ht_site *site, const struct function *f)
{
	site->size = arg_loc(f->size, HT_XFORM_NONE);
	site->mul = arg_loc(f->mul, HT_XFORM_NONE);
	site->ptr = arg_loc(f->ptr, f->flags & FUNCTION_NAMED ? HT_XFORM_CSTRING : HT_XFORM_NONE);
	site->old = arg_loc(f->old, HT_XFORM_NONE);
	site->align = arg_loc(f->align, f->flags & FUNCTION_LG_ALIGN ? HT_XFORM_LG_ALIGN : HT_XFORM_NONE);
}

static void fill_result(struct ht_site *site, const struct function *f)
{
	site->size.from = HT_FROM_STASH;
	site->ptr = (struct ht_loc){ .from = HT_FROM_REG,
				     .reg = (uint8_t)code_result_reg(),
				     .xform = f->flags & FUNCTION_BY_POINTER ? HT_XFORM_DEREF : HT_XFORM_NONE };
}

/* Code reached from a function without calls: a bit set over the object's executable bytes would be large, a list is not. */
struct explore {
	uint64_t seen[EXPLORE_INSNS_MAX];
	uint64_t todo[EXPLORE_INSNS_MAX];
	unsigned nr_seen, nr_todo;
};

static bool explore_mark(struct explore *ex, uint64_t vaddr)
{
	for (unsigned i = 0; i < ex->nr_seen; i++)
		if (ex->seen[i] == vaddr)
			return false;
	if (ex->nr_seen == EXPLORE_INSNS_MAX)
		return false;
	ex->seen[ex->nr_seen++] = vaddr;
	return true;
}

/* Follows straight code from vaddr; adds a FINISH site at a return. false: the way leads where no site can follow. */
static bool explore_run(const struct plan_env *env, struct code_reader *reader, struct plan *plan, struct explore *ex,
			uint64_t vaddr)
{
	struct code_insn insn;

	for (; explore_mark(ex, vaddr); vaddr += insn.nbytes) {
		if (!insn_at(env, reader, vaddr, &insn))
			return plan_give_up(plan, "its code could not be decoded");
		if ((insn.flow == CODE_BRANCH || insn.flow == CODE_JUMP) && ex->nr_todo < EXPLORE_INSNS_MAX)
			ex->todo[ex->nr_todo++] = insn.target;
		if (insn.flow == CODE_RETURN) {
			struct plan_site *ps = add_site(env, plan, &insn, 0, HT_ROLE_FINISH, class_of(&insn));

			if (!ps)
				return plan_give_up(plan, "too many ways out");
			fill_result(&ps->site, plan->function);
			return true;
		}
		if (insn.flow == CODE_INDIRECT) {
			uint64_t target;

			if (insn.slot && object_slot_function(env->obj, insn.slot, &target) && ex->nr_todo < EXPLORE_INSNS_MAX)
				ex->todo[ex->nr_todo++] = target;
			else if (!*plan->why)
				snprintf(plan->why, sizeof(plan->why), "what leaves by the jump at 0x%llx is not seen",
					 (unsigned long long)insn.vaddr);
			return true;
		}
		if (insn.flow == CODE_JUMP || insn.flow == CODE_STOP)
			return true;
	}
	return ex->nr_seen < EXPLORE_INSNS_MAX || plan_give_up(plan, "its code is too long to follow");
}

/* A FINISH site at each return instruction that the function can reach, in what it jumps to as well. */
static bool plan_returns(const struct plan_env *env, struct code_reader *reader, struct plan *plan)
{
	struct explore *ex = calloc(1, sizeof(*ex));
	unsigned before = plan->nr_sites;
	bool ok = true;

	if (!ex)
		return plan_give_up(plan, "out of memory");
	ex->todo[ex->nr_todo++] = plan->vaddr;
	while (ok && ex->nr_todo)
		ok = explore_run(env, reader, plan, ex, ex->todo[--ex->nr_todo]);
	free(ex);
	if (ok && plan->nr_sites == before)
		return plan_give_up(plan, "it may throw, and no return instruction was found");
	if (ok)
		plan->traps.stepped += PLAN_USUAL_CALLS;
	return ok;
}

/* Begins with a jump to another recorded function that does the same with the same arguments: that one is enough. */
static bool is_stub(const struct plan_env *env, struct code_reader *reader, struct plan *plan)
{
	const struct function *f = plan->function, *g;
	struct code_insn insn;
	uint64_t at = plan->vaddr;

	if (!insn_at(env, reader, at, &insn))
		return false;
	if (!strncmp(insn.text, "endbr64", 7) && !insn_at(env, reader, at + insn.nbytes, &insn))
		return false;
	g = insn.flow == CODE_JUMP ? env->function_at(env->arg, insn.target) : NULL;
	if (!g || g->size != f->size || g->mul != f->mul || g->ptr != f->ptr || g->old != f->old || g->align != f->align)
		return false;
	plan->skipped = true;
	snprintf(plan->why, sizeof(plan->why), "jumps to %s, which is recorded", g->name);
	return true;
}

static bool may_tail_jump(const struct plan_env *env, struct code_reader *reader, const struct plan *plan)
{
	struct code_insn insn;

	if (!plan->nbytes)
		return true; /* nobody knows */
	for (uint64_t at = plan->vaddr; at < plan->vaddr + plan->nbytes; at += insn.nbytes) {
		if (!insn_at(env, reader, at, &insn) || insn.flow == CODE_INDIRECT)
			return true;
		if ((insn.flow == CODE_JUMP || insn.flow == CODE_BRANCH) &&
		    (insn.target < plan->vaddr || insn.target >= plan->vaddr + plan->nbytes))
			return true;
	}
	return false;
}

static bool kind_frees(unsigned kind)
{
	return kind == TAPE_FREE || kind == TAPE_DELETE || kind == TAPE_SDALLOCX;
}

/* The plan that rests on data flow, if it is no dearer than the simple one. */
static bool plan_by_flow(const struct plan_env *env, struct code_reader *reader, struct plan *plan)
{
	const struct function *f = plan->function;
	struct plan *flow;
	bool better;

	if ((f->flags & (FUNCTION_STEERS | FUNCTION_BY_POINTER)) || !plan->nbytes)
		return false;
	flow = malloc(sizeof(*flow));
	if (!flow)
		return false;
	*flow = *plan;
	flow->nr_sites = 0;
	flow->traps = (struct plan_traps){ 0 };
	flow->why[0] = '\0';
	/* A free behind its NULL check is the better one at the same price. */
	better = plan_flow(env, reader, flow) &&
		 (!plan->nr_sites || plan_cost(flow, env->cost) < plan_cost(plan, env->cost) + kind_frees(f->kind));
	if (better) {
		*plan = *flow;
		plan->by_flow = true;
		for (unsigned i = 0; kind_frees(f->kind) && may_tail_jump(env, reader, plan) && i < plan->nr_sites; i++)
			plan->sites[i].site.flags |= HT_SITE_MAY_TAIL;
	}
	free(flow);
	return better;
}

uint64_t plan_cost(const struct plan *plan, const struct cost *cost)
{
	return (uint64_t)plan->traps.emulated * (unsigned)cost->emulated + (uint64_t)plan->traps.stepped * (unsigned)cost->stepped +
	       (uint64_t)plan->traps.returned * (unsigned)cost->returned;
}

static bool plan_simple(const struct plan_env *env, struct code_reader *reader, struct plan *plan)
{
	const struct function *f = plan->function;
	bool one = kind_frees(f->kind) || (f->flags & FUNCTION_STEERS);
	bool throws = f->flags & FUNCTION_THROWS;
	enum ht_role role = HT_ROLE_STASH;
	struct entry_point entry;
	struct plan_site *ps;

	if (!find_entry(env, reader, plan, !one && !throws, &entry))
		return plan_give_up(plan, "no probe may stand on its first instruction");
	if (f->flags & FUNCTION_STEERS)
		role = HT_ROLE_STEER;
	else if (one)
		role = HT_ROLE_ONE;
	else if (f->kind == TAPE_REALLOC)
		role = HT_ROLE_GIVE_UP;
	ps = add_site(env, plan, &entry.insn, entry.sp_delta, role, class_of(&entry.insn));
	if (!ps)
		return plan_give_up(plan, "its code lies outside the file's executable segments");
	fill_arguments(&ps->site, f);
	if (kind_frees(f->kind) && may_tail_jump(env, reader, plan))
		ps->site.flags |= HT_SITE_MAY_TAIL;
	count_trap(plan, &entry.insn);
	if (one)
		return true;
	if (throws)
		return plan_returns(env, reader, plan);
	if (env->no_return) {
		char why[PLAN_WHY_MAX];

		snprintf(why, sizeof(why), "it needs a return probe, and %s", env->no_return);
		return plan_give_up(plan, why);
	}
	/* The return probe finds the stack pointer 8 bytes above the return address that is popped by then. */
	ps = add_site(env, plan, &entry.insn, 8, HT_ROLE_FINISH, SITE_RETURN);
	if (!ps)
		return plan_give_up(plan, "too many sites");
	fill_result(&ps->site, f);
	plan->traps.returned += PLAN_USUAL_CALLS;
	return true;
}

/* The call in front of `behind` is an instruction, by the code from its function's beginning on: bytes that only look like
 * one must not be probed. */
static bool call_before(const struct plan_env *env, struct code_reader *reader, uint64_t behind, struct code_insn *insn)
{
	uint64_t start, end;

	if (!object_extent(env->obj, behind - 1, &start, &end) || behind - start > FUNCTION_NBYTES_MAX)
		return false;
	for (uint64_t at = start; at < behind; at += insn->nbytes)
		if (!insn_at(env, reader, at, insn))
			return false;
	return insn->vaddr + insn->nbytes == behind && insn->flow == CODE_CALL && insn->emulated && insn->fit;
}

/* Announces the object's own calls of its free; where that cannot be, each free looks at its return address. */
static void plan_own_calls(const struct plan_env *env, struct code_reader *reader, struct plan *plan)
{
	unsigned before = plan->nr_sites;
	bool announced = !env->no_calls;

	for (unsigned i = 0; i < env->nr_inner && announced; i++) {
		struct code_insn insn;
		struct plan_site *ps = NULL;

		if (call_before(env, reader, env->inner[i], &insn))
			ps = insn.target == plan->vaddr ? plan_add_site(env, plan, &insn, SITE_EMULATED) : NULL;
		else
			announced = false;
		if (ps) {
			ps->site.kind = plan->function->kind;
			ps->site.role = HT_ROLE_OWN;
		}
	}
	if (announced)
		return;
	plan->nr_sites = before;
	for (unsigned i = 0; i < plan->nr_sites; i++)
		plan->sites[i].site.flags |= HT_SITE_INNER;
}

static void plan_reset(struct plan *plan)
{
	const struct plan old = *plan;

	memset(plan, 0, sizeof(*plan));
	plan->function = old.function;
	memcpy(plan->symbol, old.symbol, sizeof(plan->symbol));
	plan->vaddr = old.vaddr;
	plan->nbytes = old.nbytes;
	plan->called_inside = old.called_inside;
}

void plan_function(const struct plan_env *env, struct plan *plan)
{
	struct code_reader *reader = code_reader_new();

	plan_reset(plan);
	if (!reader) {
		plan_give_up(plan, "capstone could not be set up");
	} else if (!is_stub(env, reader, plan)) {
		plan_simple(env, reader, plan);
		if (!env->simple)
			plan_by_flow(env, reader, plan);
	}
	if (plan->called_inside && plan->nr_sites && reader)
		plan_own_calls(env, reader, plan);
	code_reader_free(reader);
}
