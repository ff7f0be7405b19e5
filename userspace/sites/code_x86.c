/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x86-64 machine code, decoded by capstone.
 *
 * Which instructions the kernel emulates: arch/x86/kernel/uprobes.c, branch_setup_xol_ops and push_setup_xol_ops;
 * measured on 6.18: 1.3 us for these, 6 to 8 us for all others.
 */
#include <capstone/capstone.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sites/code.h"

struct code_reader {
	csh handle;
	cs_insn *insn;
};

/* Capstone's registers, each with its parts, in the order of the encoding. */
static int gpr_number(uint16_t reg)
{
	static const uint16_t names[16][5] = {
		{ X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH },
		{ X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH },
		{ X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH },
		{ X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH },
		{ X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL, 0 },
		{ X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL, 0 },
		{ X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL, 0 },
		{ X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL, 0 },
		{ X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B, 0 },
		{ X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B, 0 },
		{ X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B, 0 },
		{ X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B, 0 },
		{ X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B, 0 },
		{ X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B, 0 },
		{ X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B, 0 },
		{ X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B, 0 },
	};

	for (int n = 0; n < 16; n++)
		for (int part = 0; part < 5; part++)
			if (reg && names[n][part] == reg)
				return n;
	return -1;
}

enum { REG_SP = 4 };

static bool reg_is_high_byte(unsigned reg)
{
	return reg == X86_REG_AH || reg == X86_REG_BH || reg == X86_REG_CH || reg == X86_REG_DH;
}

struct code_reader *code_reader_new(void)
{
	struct code_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &reader->handle) != CS_ERR_OK) {
		free(reader);
		return NULL;
	}
	cs_option(reader->handle, CS_OPT_DETAIL, CS_OPT_ON);
	cs_option(reader->handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
	reader->insn = cs_malloc(reader->handle);
	if (!reader->insn) {
		code_reader_free(reader);
		return NULL;
	}
	return reader;
}

void code_reader_free(struct code_reader *reader)
{
	if (!reader)
		return;
	if (reader->insn)
		cs_free(reader->insn, 1);
	cs_close(&reader->handle);
	free(reader);
}

/* push of a register (REX.B alone may stand before it), short and near jmp, jcc, near call; no prefix before a branch. */
static bool bytes_are_emulated_branch_or_push(const uint8_t *b, size_t n)
{
	if (n == 2 && b[0] == 0x41)
		return b[1] >= 0x50 && b[1] <= 0x57;
	if (n == 1)
		return b[0] >= 0x50 && b[0] <= 0x57;
	if (b[0] == 0xeb || b[0] == 0xe9 || b[0] == 0xe8 || (b[0] >= 0x70 && b[0] <= 0x7f))
		return true;
	return n == 6 && b[0] == 0x0f && b[1] >= 0x80 && b[1] <= 0x8f;
}

/* The nops that were measured as emulated: lengths 1, 2, 3, 4, 6, 8. */
static bool bytes_are_emulated_nop(const uint8_t *b, size_t n)
{
	static const struct {
		uint8_t nbytes, bytes[4];
	} nops[] = {
		{ 1, { 0x90 } },	     { 2, { 0x66, 0x90 } },	  { 3, { 0x0f, 0x1f, 0x00 } },
		{ 4, { 0x0f, 0x1f, 0x40 } }, { 6, { 0x66, 0x0f, 0x1f, 0x44 } }, { 8, { 0x0f, 0x1f, 0x84 } },
	};

	for (size_t i = 0; i < sizeof(nops) / sizeof(nops[0]); i++) {
		size_t compare = n < 4 ? n : n == 4 || n == 8 ? 3 : 4;

		if (nops[i].nbytes == n && !memcmp(nops[i].bytes, b, compare))
			return true;
	}
	return false;
}

/* The kernel puts no probe on lock, es, cs, ss, ds (notrack is ds), nor on a branch with an operand size (is_prefix_bad
 * and branch_setup_xol_ops; each tried on 6.18). */
static bool bytes_have_bad_prefix(const uint8_t *b, size_t n, bool branch)
{
	for (size_t i = 0; i < n; i++) {
		switch (b[i]) {
		case 0xf0: case 0x26: case 0x2e: case 0x36: case 0x3e: return true;
		case 0x66:
			if (branch)
				return true;
			break;
		case 0x64: case 0x65: case 0x67: case 0xf2: case 0xf3: break;
		default: return false; /* no prefix any more */
		}
	}
	return false;
}

static void insn_flow(const cs_insn *in, struct code_insn *insn)
{
	const cs_x86 *x86 = &in->detail->x86;
	bool direct = x86->op_count == 1 && x86->operands[0].type == X86_OP_IMM;
	bool jump = false, call = false, ret = false;

	for (unsigned i = 0; i < in->detail->groups_count; i++) {
		jump |= in->detail->groups[i] == CS_GRP_JUMP;
		call |= in->detail->groups[i] == CS_GRP_CALL;
		ret |= in->detail->groups[i] == CS_GRP_RET || in->detail->groups[i] == CS_GRP_IRET;
	}
	jump |= in->id == X86_INS_LOOP || in->id == X86_INS_LOOPE || in->id == X86_INS_LOOPNE; /* no jumps to capstone */
	insn->target = direct && (jump || call) ? (uint64_t)x86->operands[0].imm : 0;
	if ((jump || call) && x86->op_count == 1 && x86->operands[0].type == X86_OP_MEM && x86->operands[0].mem.base == X86_REG_RIP)
		insn->slot = in->address + in->size + (uint64_t)x86->operands[0].mem.disp;
	if (ret)
		insn->flow = CODE_RETURN;
	else if (call)
		insn->flow = CODE_CALL;
	else if (jump && in->id == X86_INS_JMP)
		insn->flow = direct ? CODE_JUMP : CODE_INDIRECT;
	else if (jump)
		insn->flow = CODE_BRANCH;
	else if (in->id == X86_INS_HLT || in->id == X86_INS_INT3 || in->id == X86_INS_UD2)
		insn->flow = CODE_STOP;
	else
		insn->flow = CODE_NEXT;
}

static void insn_stack_pointer(const cs_insn *in, struct code_insn *insn)
{
	const cs_x86 *x86 = &in->detail->x86;

	switch (in->id) {
	case X86_INS_PUSH: insn->sp_delta = -8; return;
	case X86_INS_POP: insn->sp_delta = 8; return;
	case X86_INS_CALL: return; /* balanced by the return */
	case X86_INS_SUB:
	case X86_INS_ADD:
		if (insn->writes >> REG_SP & 1) {
			if (x86->operands[0].type == X86_OP_IMM) /* AT&T order: source first */
				insn->sp_delta = (int32_t)(in->id == X86_INS_ADD ? x86->operands[0].imm : -x86->operands[0].imm);
			else
				insn->sp_unknown = true;
		}
		return;
	default: insn->sp_unknown = insn->flow != CODE_RETURN && (insn->writes >> REG_SP & 1); return;
	}
}

/* Operands that an effect can name: a whole register, or 8 bytes at a register plus a constant. */
static int operand_reg(const cs_x86_op *op)
{
	return op->type == X86_OP_REG && op->size == 8 ? gpr_number((uint16_t)op->reg) : -1;
}

static bool operand_mem(const cs_x86_op *op, struct code_insn *insn)
{
	int base = op->type == X86_OP_MEM ? gpr_number((uint16_t)op->mem.base) : -1;

	if (base < 0 || op->mem.index != X86_REG_INVALID || op->mem.segment != X86_REG_INVALID)
		return false;
	if (op->mem.disp != (int32_t)op->mem.disp)
		return false;
	insn->base = (uint8_t)base;
	insn->disp = (int32_t)op->mem.disp;
	return true;
}

/* Two operands, AT&T order: source first. */
static void effect_of_mov(const cs_x86 *x86, struct code_insn *insn)
{
	const cs_x86_op *from = &x86->operands[0], *to = &x86->operands[1];
	int src = operand_reg(from), dst = operand_reg(to);

	if (src >= 0 && dst >= 0) {
		insn->effect = CODE_EFFECT_MOVE;
		insn->src = (uint8_t)src;
		insn->dst = (uint8_t)dst;
	} else if (dst >= 0 && from->size == 8 && operand_mem(from, insn)) {
		insn->effect = CODE_EFFECT_LOAD;
		insn->dst = (uint8_t)dst;
	} else if (src >= 0 && operand_mem(to, insn)) {
		insn->effect = CODE_EFFECT_STORE;
		insn->src = (uint8_t)src;
	} else if (dst >= 0 && from->type == X86_OP_IMM && from->imm == 0) {
		insn->effect = CODE_EFFECT_ZERO;
		insn->dst = (uint8_t)dst;
	}
}

/* xor of a register with itself; the 32-bit form clears all of it. */
static void effect_of_xor(const cs_x86 *x86, struct code_insn *insn)
{
	const cs_x86_op *a = &x86->operands[0], *b = &x86->operands[1];

	if (x86->op_count != 2 || a->type != X86_OP_REG || b->type != X86_OP_REG || a->reg != b->reg || a->size < 4)
		return;
	insn->effect = CODE_EFFECT_ZERO;
	insn->dst = (uint8_t)gpr_number((uint16_t)a->reg);
}

static void insn_effect(const cs_insn *in, struct code_insn *insn)
{
	const cs_x86 *x86 = &in->detail->x86;
	const cs_x86_op *ops = x86->operands;

	insn->dst = insn->src = insn->base = CODE_NO_REG;
	switch (in->id) {
	case X86_INS_MOV:
		if (x86->op_count == 2)
			effect_of_mov(x86, insn);
		return;
	case X86_INS_XOR: effect_of_xor(x86, insn); return;
	case X86_INS_PUSH:
		insn->effect = CODE_EFFECT_PUSH;
		if (operand_reg(&ops[0]) >= 0)
			insn->src = (uint8_t)operand_reg(&ops[0]);
		return;
	case X86_INS_POP:
		insn->effect = operand_reg(&ops[0]) >= 0 ? CODE_EFFECT_POP : CODE_EFFECT_NONE;
		if (insn->effect)
			insn->dst = (uint8_t)operand_reg(&ops[0]);
		return;
	case X86_INS_LEA:
		if (x86->op_count == 2 && operand_reg(&ops[1]) >= 0 && operand_mem(&ops[0], insn)) {
			insn->effect = CODE_EFFECT_LEA;
			insn->dst = (uint8_t)operand_reg(&ops[1]);
		}
		return;
	case X86_INS_MUL:
		if (x86->op_count == 1 && operand_reg(&ops[0]) >= 0) {
			insn->effect = CODE_EFFECT_MUL;
			insn->src = (uint8_t)operand_reg(&ops[0]);
			insn->dst = 0;  /* rax */
			insn->base = 2; /* rdx */
		}
		return;
	case X86_INS_SETO:
		if (ops[0].type == X86_OP_REG) {
			insn->effect = CODE_EFFECT_OVERFLOW;
			insn->dst = (uint8_t)gpr_number((uint16_t)ops[0].reg);
		}
		return;
	case X86_INS_MOVZX:
		if (ops[0].type == X86_OP_REG && ops[0].size == 1 && ops[1].type == X86_OP_REG && ops[1].size >= 4 &&
		    !reg_is_high_byte(ops[0].reg)) {
			insn->effect = CODE_EFFECT_WIDEN;
			insn->src = (uint8_t)gpr_number((uint16_t)ops[0].reg);
			insn->dst = (uint8_t)gpr_number((uint16_t)ops[1].reg);
		}
		return;
	default: return;
	}
}

/* A register compared with itself (test) or with a small constant (cmp). */
static bool compares(const cs_insn *in, struct code_insn *insn)
{
	const cs_x86_op *from = &in->detail->x86.operands[0], *with = &in->detail->x86.operands[1];
	bool itself = in->id == X86_INS_TEST && from->type == X86_OP_REG && with->type == X86_OP_REG && from->reg == with->reg;
	bool constant = in->id == X86_INS_CMP && from->type == X86_OP_IMM && (uint64_t)from->imm <= 1 && with->type == X86_OP_REG;

	if (in->detail->x86.op_count != 2 || (!itself && !constant) || reg_is_high_byte(with->reg) ||
	    (with->size != 8 && with->size != 1))
		return false;
	insn->compared = (uint8_t)gpr_number((uint16_t)with->reg);
	insn->compared_with = itself ? 0 : (uint8_t)from->imm;
	insn->compared_byte = with->size == 1;
	return true;
}

/* Named one by one: what is not here is taken to change them. */
static bool keeps_flags(const cs_insn *in)
{
	switch (in->id) {
	case X86_INS_MOV:
	case X86_INS_MOVABS:
	case X86_INS_MOVZX:
	case X86_INS_MOVSX:
	case X86_INS_MOVSXD:
	case X86_INS_LEA:
	case X86_INS_PUSH:
	case X86_INS_POP:
	case X86_INS_NOP:
	case X86_INS_SETO: return true;
	default: return false;
	}
}

static void insn_flags(const cs_insn *in, struct code_insn *insn)
{
	static const enum code_if by_cond[] = { CODE_IF_OTHER, CODE_IF_OVERFLOW, CODE_IF_NO_OVERFLOW, CODE_IF_OTHER,
						CODE_IF_OTHER, CODE_IF_EQUAL, CODE_IF_NOT_EQUAL };

	insn->flags = CODE_FLAGS_LOST;
	if (compares(in, insn))
		insn->flags = CODE_FLAGS_COMPARED;
	else if (insn->effect == CODE_EFFECT_MUL)
		insn->flags = CODE_FLAGS_MUL;
	else if (keeps_flags(in) || insn->flow == CODE_BRANCH || insn->flow == CODE_JUMP)
		insn->flags = CODE_FLAGS_KEPT;
	if (insn->flow == CODE_BRANCH && insn->cond < sizeof(by_cond) / sizeof(by_cond[0]))
		insn->branch_if = by_cond[insn->cond];
}

static void insn_stores(const cs_insn *in, struct code_insn *insn)
{
	const cs_x86 *x86 = &in->detail->x86;

	insn->stores = insn->effect == CODE_EFFECT_SPOIL && insn->base != REG_SP;
	insn->stores |= x86->prefix[0] == X86_PREFIX_LOCK || in->id == X86_INS_XCHG || in->id == X86_INS_SYSCALL;
	for (uint8_t i = 0; i < x86->op_count; i++)
		insn->stores |= x86->operands[i].type == X86_OP_MEM && (x86->operands[i].access & CS_AC_WRITE) &&
				gpr_number((uint16_t)x86->operands[i].mem.base) != REG_SP;
}

/* Memory that is written in a way that no effect above tells. */
static void insn_spoil(const cs_insn *in, struct code_insn *insn)
{
	const cs_x86 *x86 = &in->detail->x86;

	switch (in->id) {
	case X86_INS_STOSB:
	case X86_INS_STOSW:
	case X86_INS_STOSD:
	case X86_INS_STOSQ:
	case X86_INS_MOVSB:
	case X86_INS_MOVSW:
	case X86_INS_MOVSQ:
		/* As many as rcx says, from rdi on. */
		insn->effect = CODE_EFFECT_SPOIL;
		insn->base = 7;
		insn->disp = 0;
		insn->spoilt = CODE_SPOILT_ALL;
		return;
	default: break;
	}
	for (uint8_t i = 0; i < x86->op_count && insn->effect == CODE_EFFECT_NONE; i++) {
		const cs_x86_op *op = &x86->operands[i];

		if (op->type == X86_OP_MEM && (op->access & CS_AC_WRITE) && operand_mem(op, insn)) {
			insn->effect = CODE_EFFECT_SPOIL;
			insn->spoilt = op->size ? op->size : 64;
		}
	}
}

/* The condition code stands in the low bits of the opcode: 70+cc, or 0f 80+cc. */
static uint8_t branch_cond(const cs_insn *in)
{
	if (in->bytes[0] >= 0x70 && in->bytes[0] <= 0x7f)
		return (uint8_t)(in->bytes[0] - 0x70 + 1);
	if (in->size == 6 && in->bytes[0] == 0x0f && in->bytes[1] >= 0x80 && in->bytes[1] <= 0x8f)
		return (uint8_t)(in->bytes[1] - 0x80 + 1);
	return 0;
}

bool code_decode(struct code_reader *reader, const uint8_t *bytes, size_t nbytes, uint64_t vaddr, struct code_insn *insn)
{
	uint64_t address = vaddr;
	cs_regs read, written;
	uint8_t nr_read, nr_written;
	const cs_insn *in = reader->insn;

	memset(insn, 0, sizeof(*insn));
	if (!cs_disasm_iter(reader->handle, &bytes, &nbytes, &address, reader->insn))
		return false;
	insn->vaddr = vaddr;
	insn->nbytes = (uint8_t)in->size;
	snprintf(insn->text, sizeof(insn->text), "%.15s%s%.44s", in->mnemonic, *in->op_str ? " " : "", in->op_str);
	insn_flow(in, insn);
	if (cs_regs_access(reader->handle, in, read, &nr_read, written, &nr_written) != CS_ERR_OK) {
		insn->writes = ~0u; /* nothing can be said: nothing survives */
		insn->sp_unknown = true;
		insn->flags = CODE_FLAGS_LOST;
		insn->stores = true;
		return true;
	}
	for (uint8_t i = 0; i < nr_written; i++) {
		int n = gpr_number(written[i]);

		if (n >= 0)
			insn->writes |= 1u << n;
	}
	if (in->id == X86_INS_SYSCALL)
		insn->writes |= 1u << 0 | 1u << 1 | 1u << 11; /* rax rcx r11, which capstone does not say */
	insn_stack_pointer(in, insn);
	insn_effect(in, insn);
	insn_spoil(in, insn);
	if (insn->flow == CODE_BRANCH)
		insn->cond = branch_cond(in);
	insn_flags(in, insn);
	insn_stores(in, insn);
	insn->emulated = bytes_are_emulated_branch_or_push(in->bytes, in->size) || bytes_are_emulated_nop(in->bytes, in->size);
	insn->padding = in->id == X86_INS_NOP || in->id == X86_INS_INT3;
	/* The optimised five-byte nop is a call that overwrites the red zone of a leaf function (6.18). */
	insn->fit = !bytes_have_bad_prefix(in->bytes, in->size, insn->flow == CODE_JUMP || insn->flow == CODE_BRANCH ||
								  insn->flow == CODE_CALL) &&
		    !(in->id == X86_INS_NOP && in->size == 5) && in->id != X86_INS_HLT && in->id != X86_INS_INT3;
	return true;
}

unsigned code_arg_reg(unsigned n)
{
	static const uint8_t regs[CODE_NR_ARGS + 1] = { 0, 7, 6, 2, 1, 8, 9 }; /* rdi rsi rdx rcx r8 r9 */

	return regs[n <= CODE_NR_ARGS ? n : 0];
}

unsigned code_result_reg(void)
{
	return 0;
}

unsigned code_sp_reg(void)
{
	return REG_SP;
}

uint32_t code_call_clobbers(void)
{
	return 1u << 0 | 1u << 1 | 1u << 2 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 11;
}

const char *code_reg_name(unsigned reg)
{
	static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8",
					     "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip" };

	return reg < sizeof(names) / sizeof(names[0]) ? names[reg] : "?";
}

const char *code_cond_name(unsigned cond)
{
	static const char *const names[] = { "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g" };

	return cond && cond <= sizeof(names) / sizeof(names[0]) ? names[cond - 1] : "?";
}
