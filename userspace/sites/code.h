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

struct code_insn {
	uint64_t vaddr;
	uint8_t nbytes;
	enum code_flow flow;
	uint64_t target;    /* JUMP, BRANCH; direct CALL (0: indirect) */
	uint64_t slot;      /* INDIRECT: the address is read from this vaddr; 0: from somewhere else */
	bool emulated;      /* this kernel's breakpoint handler emulates it, whatever the registers hold */
	bool fit;           /* a probe may stand here (no lock prefix, no five-byte nop inside a function ...) */
	uint32_t writes;    /* bit n: general register n is changed */
	int32_t sp_delta;   /* bytes added to the stack pointer */
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
const char *code_reg_name(unsigned reg);

#endif
