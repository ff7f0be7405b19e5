/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * code.h - machine code as the planner needs to see it. One implementation for each processor (code_x86.c).
 */
#ifndef HEAPTAPE_CODE_H
#define HEAPTAPE_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum code_flow {
	CODE_NEXT,     /* goes on behind it */
	CODE_JUMP,     /* always to target */
	CODE_BRANCH,   /* to target or on */
	CODE_CALL,     /* comes back behind it */
	CODE_RETURN,
	CODE_INDIRECT, /* to somewhere that the code alone does not tell */
	CODE_STOP,     /* trap or halt: nothing behind it */
};

/* What an instruction does to values, as far as following them needs it; everything else is CODE_EFFECT_NONE and
 * destroys what code_insn.writes says. Whole registers only: a part of one is not its value. */
enum code_effect {
	CODE_EFFECT_NONE,
	CODE_EFFECT_MOVE,  /* dst = src */
	CODE_EFFECT_LOAD,  /* dst = 8 bytes at base + disp */
	CODE_EFFECT_STORE, /* 8 bytes at base + disp = src */
	CODE_EFFECT_PUSH,  /* src, or nothing that is followed (CODE_NO_REG) */
	CODE_EFFECT_POP,   /* dst */
	CODE_EFFECT_ZERO,  /* dst = 0 */
	CODE_EFFECT_LEA,   /* dst = base + disp */
	CODE_EFFECT_SPOIL, /* some of the spoilt bytes at base + disp change to nothing that is followed */
	CODE_EFFECT_MUL,   /* dst = its low, base = its high 64 bits: dst * src, unsigned; flags: whether base is not 0 */
	CODE_EFFECT_OVERFLOW, /* low byte of dst = whether the last MUL overflowed, the rest stays */
	CODE_EFFECT_WIDEN, /* dst = low byte of src */
};
/* What the flags say behind an instruction. */
enum code_flags {
	CODE_FLAGS_KEPT,
	CODE_FLAGS_LOST,     /* nothing that is followed */
	CODE_FLAGS_COMPARED, /* how register `compared` stands to `compared_with` */
	CODE_FLAGS_MUL,      /* whether the multiplication overflowed */
};
enum code_if { CODE_IF_OTHER, CODE_IF_EQUAL, CODE_IF_NOT_EQUAL, CODE_IF_OVERFLOW, CODE_IF_NO_OVERFLOW };
enum { CODE_NO_REG = 31, CODE_NR_REGS = 16, CODE_SPOILT_ALL = 255 };

struct code_insn {
	uint64_t vaddr;
	uint8_t nbytes;
	enum code_flow flow;
	uint64_t target;    /* JUMP, BRANCH; direct CALL (0: indirect) */
	uint64_t slot;      /* INDIRECT, indirect CALL: the address is read from this vaddr; 0: from somewhere else */
	bool emulated;      /* this kernel's breakpoint handler emulates it, whatever the registers hold */
	bool padding;       /* does nothing: a nop, or a trap that is never reached */
	bool fit;           /* a probe may stand here (no lock or segment prefix, no five-byte nop ...) */
	uint32_t writes;    /* bit n: general register n is changed */
	int32_t sp_delta;   /* bytes added to the stack pointer */
	uint8_t effect;     /* enum code_effect */
	uint8_t dst, src, base;
	int32_t disp;
	uint8_t spoilt;     /* CODE_EFFECT_SPOIL: bytes, CODE_SPOILT_ALL: nobody knows how many */
	uint8_t cond;       /* BRANCH: condition code plus 1, as struct ht_site.cond; 0: none that can be asked */
	uint8_t branch_if;  /* enum code_if: when a BRANCH is taken, as far as it is followed */
	uint8_t flags;      /* enum code_flags */
	uint8_t compared, compared_with; /* a register, and 0 or 1 */
	bool compared_byte; /* only its low byte was looked at */
	bool stores;        /* writes memory other than at the stack pointer, or with a lock */
	bool sp_unknown;    /* the stack pointer changes by an amount that the code alone does not tell */
	char text[64];
};

struct code_reader; /* for one thread at a time */

struct code_reader *code_reader_new(void);
void code_reader_free(struct code_reader *reader);
/* Decodes one instruction; false if the bytes are none. */
bool code_decode(struct code_reader *reader, const uint8_t *bytes, size_t nbytes, uint64_t vaddr, struct code_insn *insn);

enum { CODE_NR_ARGS = 6 };
/* Register number of the n-th integer argument (from 1). */
unsigned code_arg_reg(unsigned n);
unsigned code_result_reg(void);
unsigned code_sp_reg(void);
/* Bit n: a called function may change register n. */
uint32_t code_call_clobbers(void);
const char *code_reg_name(unsigned reg);
/* Of a condition code plus 1, as struct ht_site.cond. */
const char *code_cond_name(unsigned cond);

#endif
