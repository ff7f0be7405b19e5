/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules out of libdw's CFI. Of expressions those are known that compilers and libc write: a word's address or value
 * at a register plus a constant (realigned stacks, signal frames), and the PLT's.
 */
#include "rule.h"

#include <dwarf.h>

enum { OFF_MAX = 1 << 30 };

#if defined(__x86_64__)
enum { REG_BP = 6, REG_SP = 7, REG_RA = 16, PLT_ENTRY_MASK = 15 };
#else
#error "rule.c: DWARF registers of this architecture are not described yet"
#endif

struct ht_rule rule_cut(int cause)
{
	return (struct ht_rule){ .cfa = HT_CFA_NONE, .cfa_off = cause, .ra_off = -8 };
}

/* Register plus constant, at the beginning of an expression: 1 if it is that. */
static int op_register(const Dwarf_Op *op, int *reg_ret, int64_t *off_ret)
{
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31) {
		*reg_ret = op->atom - DW_OP_breg0;
		*off_ret = (int64_t)op->number;
	} else if (op->atom == DW_OP_bregx) {
		*reg_ret = (int)op->number;
		*off_ret = (int64_t)op->number2;
	} else {
		return 0;
	}
	return *off_ret > -OFF_MAX && *off_ret < OFF_MAX;
}

/* rsp + 8, and 8 more behind the push of a PLT entry: breg7 8, breg16 0, lit15, and, litN, ge, lit3, shl, plus. */
static int cfa_of_plt(const Dwarf_Op *ops, size_t nr, struct ht_rule *rule)
{
	static const uint8_t shape[] = { DW_OP_breg0 + REG_SP, DW_OP_breg0 + REG_RA, DW_OP_lit15, DW_OP_and, 0, DW_OP_ge, DW_OP_lit3,
					 DW_OP_shl, DW_OP_plus };

	if (nr != sizeof(shape))
		return 0;
	for (size_t i = 0; i < nr; i++)
		if (shape[i] && ops[i].atom != shape[i])
			return 0;
	if (ops[4].atom < DW_OP_lit0 || ops[4].atom > DW_OP_lit0 + PLT_ENTRY_MASK || ops[1].number)
		return 0;
	rule->cfa = HT_CFA_PLT;
	rule->cfa_off = (int32_t)ops[0].number;
	rule->cfa_add = ops[4].atom - DW_OP_lit0;
	return 1;
}

static int cfa_of_ops(const Dwarf_Op *ops, size_t nr, struct ht_rule *rule)
{
	int64_t off;
	int reg;

	if (cfa_of_plt(ops, nr, rule))
		return 1;
	if (!nr || !op_register(&ops[0], &reg, &off) || (reg != REG_BP && reg != REG_SP))
		return 0;
	rule->cfa_off = (int32_t)off;
	if (nr == 1) {
		rule->cfa = reg == REG_BP ? HT_CFA_BP : HT_CFA_SP;
		return 1;
	}
	if (ops[1].atom != DW_OP_deref || nr > 3)
		return 0;
	if (nr == 3) {
		if (ops[2].atom != DW_OP_plus_uconst || ops[2].number >= OFF_MAX)
			return 0;
		rule->cfa_add = (int32_t)ops[2].number;
	}
	rule->cfa = reg == REG_BP ? HT_CFA_BP_DEREF : HT_CFA_SP_DEREF;
	return 1;
}

enum where { WHERE_SAME, WHERE_UNDEFINED, WHERE_CFA, WHERE_BP, WHERE_SP, WHERE_ELSE };

/* Where the caller's register stands. */
static enum where register_place(Dwarf_Frame *frame, int regno, int16_t *off_ret)
{
	Dwarf_Op mem[3], *ops;
	enum where where = WHERE_ELSE;
	int64_t off = 0;
	size_t nr;
	int reg;

	if (dwarf_frame_register(frame, regno, mem, &ops, &nr))
		return WHERE_ELSE;
	if (!nr)
		return ops ? WHERE_UNDEFINED : WHERE_SAME;
	if (ops[0].atom == DW_OP_call_frame_cfa) {
		/* The CFA, alone or plus a constant; or under an expression that does not use it. */
		if (nr == 1)
			where = WHERE_CFA;
		ops++;
		nr--;
	}
	if (nr == 1 && ops[0].atom == DW_OP_plus_uconst) {
		where = WHERE_CFA;
		off = (int64_t)ops[0].number;
	} else if (nr == 1 && op_register(&ops[0], &reg, &off) && (reg == REG_BP || reg == REG_SP)) {
		where = reg == REG_BP ? WHERE_BP : WHERE_SP;
	}
	if (off < INT16_MIN || off > INT16_MAX)
		return WHERE_ELSE;
	*off_ret = (int16_t)off;
	return where;
}

static void rule_bp_place(Dwarf_Frame *frame, struct ht_rule *rule)
{
	switch (register_place(frame, REG_BP, &rule->bp_off)) {
	case WHERE_SAME: rule->bp = HT_BP_SAME; break;
	case WHERE_CFA: rule->bp = HT_BP_CFA; break;
	case WHERE_BP: rule->bp = HT_BP_BP; break;
	case WHERE_SP: rule->bp = HT_BP_SP; break;
	default: rule->bp = HT_BP_LOST; break;
	}
}

struct ht_rule rule_of_frame(Dwarf_Frame *frame)
{
	struct ht_rule rule = { 0 };
	bool signal_frame = false;
	Dwarf_Op *ops;
	size_t nr;

	/* A register's value, not an address, would be told by DW_OP_stack_value behind it: no shape here has that. */
	if (dwarf_frame_info(frame, NULL, NULL, &signal_frame) < -1)
		return rule_cut(HT_CUT_RULE);
	switch (register_place(frame, REG_RA, &rule.ra_off)) {
	case WHERE_UNDEFINED: return (struct ht_rule){ .ra = HT_RA_END };
	case WHERE_CFA: rule.ra = HT_RA_CFA; break;
	case WHERE_SP: rule.ra = HT_RA_SP; break;
	default: return rule_cut(HT_CUT_RULE);
	}
	if (dwarf_frame_cfa(frame, &ops, &nr) || !cfa_of_ops(ops, nr, &rule))
		return rule_cut(HT_CUT_RULE);
	rule_bp_place(frame, &rule);
	if (signal_frame)
		rule.flags = HT_RULE_SIGNAL;
	return rule;
}
