/* SPDX-License-Identifier: BSD-2-Clause */
/* test_code.c - what the planner is told about single instructions: a false word here is a false tape. */
#include "check.h"
#include "sites/code.h"

#if defined(__x86_64__)

enum { AT = 0x1000, E = 1, UNFIT = 2, SP_UNKNOWN = 4 };
enum { RAX = 1 << 0, RCX = 1 << 1, RDX = 1 << 2, RBX = 1 << 3, RSP = 1 << 4, RSI = 1 << 6, RDI = 1 << 7, R11 = 1 << 11, R12 = 1 << 12 };

static const struct {
	const char *bytes;
	int nbytes;
	enum code_flow flow;
	unsigned flags;  /* E: emulated */
	unsigned writes; /* at least these, and no argument register beside them */
	int sp_delta;
	uint64_t target, slot;
} insns[] = {
	/* push and pop */
	{ "\x55", 1, CODE_NEXT, E, RSP, -8, 0, 0 },
	{ "\x41\x54", 2, CODE_NEXT, E, RSP, -8, 0, 0 },
	{ "\x48\x55", 2, CODE_NEXT, 0, RSP, -8, 0, 0 }, /* REX.W: not what the kernel looks for */
	{ "\xff\x37", 2, CODE_NEXT, 0, RSP, -8, 0, 0 }, /* push (%rdi) */
	{ "\x6a\x01", 2, CODE_NEXT, 0, RSP, -8, 0, 0 },
	{ "\x5b", 1, CODE_NEXT, 0, RSP | RBX, 8, 0, 0 },
	{ "\x41\x5c", 2, CODE_NEXT, 0, RSP | R12, 8, 0, 0 },
	/* jumps */
	{ "\xeb\x10", 2, CODE_JUMP, E, 0, 0, AT + 0x12, 0 },
	{ "\xe9\xfb\xff\xff\xff", 5, CODE_JUMP, E, 0, 0, AT, 0 },
	{ "\x74\xfe", 2, CODE_BRANCH, E, 0, 0, AT, 0 },
	{ "\x0f\x84\x00\x01\x00\x00", 6, CODE_BRANCH, E, 0, 0, AT + 0x106, 0 },
	{ "\xf2\xe9\x00\x00\x00\x00", 6, CODE_JUMP, 0, 0, 0, AT + 6, 0 }, /* bnd */
	{ "\x66\x74\x00", 3, CODE_BRANCH, UNFIT, 0, 0, 0, 0 },
	{ "\xe3\x02", 2, CODE_BRANCH, 0, 0, 0, AT + 4, 0 },   /* jrcxz */
	{ "\xe2\xfe", 2, CODE_BRANCH, 0, RCX, 0, AT, 0 },     /* loop */
	{ "\xff\xe0", 2, CODE_INDIRECT, 0, 0, 0, 0, 0 },
	{ "\x3e\xff\xe0", 3, CODE_INDIRECT, UNFIT, 0, 0, 0, 0 }, /* notrack: a switch in code built with CET */
	{ "\xff\x25\x00\x20\x00\x00", 6, CODE_INDIRECT, 0, 0, 0, 0, AT + 6 + 0x2000 }, /* a PLT's */
	{ "\xff\x24\xc5\x00\x00\x00\x00", 7, CODE_INDIRECT, 0, 0, 0, 0, 0 },
	/* calls, ends */
	{ "\xe8\x00\x00\x00\x00", 5, CODE_CALL, E, 0, 0, AT + 5, 0 },
	{ "\xff\xd0", 2, CODE_CALL, 0, 0, 0, 0, 0 },
	{ "\xc3", 1, CODE_RETURN, 0, 0, 0, 0, 0 },
	{ "\xf3\xc3", 2, CODE_RETURN, 0, 0, 0, 0, 0 },
	{ "\xc2\x08\x00", 3, CODE_RETURN, 0, 0, 0, 0, 0 },
	{ "\x0f\x0b", 2, CODE_STOP, 0, 0, 0, 0, 0 },
	{ "\xf4", 1, CODE_STOP, UNFIT, 0, 0, 0, 0 },
	{ "\xcc", 1, CODE_STOP, UNFIT, 0, 0, 0, 0 },
	/* nops, by length */
	{ "\x90", 1, CODE_NEXT, E, 0, 0, 0, 0 },
	{ "\x66\x90", 2, CODE_NEXT, E, 0, 0, 0, 0 },
	{ "\x0f\x1f\x00", 3, CODE_NEXT, E, 0, 0, 0, 0 },
	{ "\x0f\x1f\x40\x00", 4, CODE_NEXT, E, 0, 0, 0, 0 },
	{ "\x0f\x1f\x44\x00\x00", 5, CODE_NEXT, UNFIT, 0, 0, 0, 0 },
	{ "\x66\x0f\x1f\x44\x00\x00", 6, CODE_NEXT, E, 0, 0, 0, 0 },
	{ "\x0f\x1f\x80\x00\x00\x00\x00", 7, CODE_NEXT, 0, 0, 0, 0, 0 },
	{ "\x0f\x1f\x84\x00\x00\x00\x00\x00", 8, CODE_NEXT, E, 0, 0, 0, 0 },
	{ "\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00", 10, CODE_NEXT, UNFIT, 0, 0, 0, 0 },
	{ "\xf3\x0f\x1e\xfa", 4, CODE_NEXT, 0, 0, 0, 0, 0 }, /* endbr64 */
	/* prefixes on which no probe may stand */
	{ "\xf0\xff\x07", 3, CODE_NEXT, UNFIT, 0, 0, 0, 0 },
	{ "\x64\xf0\xff\x07", 4, CODE_NEXT, UNFIT, 0, 0, 0, 0 },
	{ "\x64\x48\x8b\x04\x25\x28\x00\x00\x00", 9, CODE_NEXT, 0, RAX, 0, 0, 0 }, /* fs: the stack protector's */
	/* the stack pointer */
	{ "\x48\x83\xec\x18", 4, CODE_NEXT, 0, RSP, -0x18, 0, 0 },
	{ "\x48\x81\xec\x00\x10\x00\x00", 7, CODE_NEXT, 0, RSP, -0x1000, 0, 0 },
	{ "\x48\x83\xc4\x18", 4, CODE_NEXT, 0, RSP, 0x18, 0, 0 },
	{ "\x48\x83\xc4\x80", 4, CODE_NEXT, 0, RSP, -0x80, 0, 0 },
	{ "\x48\x29\xc4", 3, CODE_NEXT, SP_UNKNOWN, RSP, 0, 0, 0 },
	{ "\x48\x83\xe4\xf0", 4, CODE_NEXT, SP_UNKNOWN, RSP, 0, 0, 0 },
	{ "\x48\x8d\x64\x24\xf8", 5, CODE_NEXT, SP_UNKNOWN, RSP, 0, 0, 0 },
	{ "\xc9", 1, CODE_NEXT, SP_UNKNOWN, RSP, 0, 0, 0 },
	{ "\x48\x89\xec", 3, CODE_NEXT, SP_UNKNOWN, RSP, 0, 0, 0 },
	{ "\x48\x94", 2, CODE_NEXT, SP_UNKNOWN, RSP | RAX, 0, 0, 0 }, /* xchg %rax,%rsp */
	/* registers changed: whole, in part, silently */
	{ "\x48\x89\xf7", 3, CODE_NEXT, 0, RDI, 0, 0, 0 },
	{ "\x89\xf7", 2, CODE_NEXT, 0, RDI, 0, 0, 0 },
	{ "\x40\x88\xf7", 3, CODE_NEXT, 0, RDI, 0, 0, 0 },
	{ "\x88\xe2", 2, CODE_NEXT, 0, RDX, 0, 0, 0 },
	{ "\x48\x87\xf7", 3, CODE_NEXT, 0, RDI | RSI, 0, 0, 0 },
	{ "\x48\x99", 2, CODE_NEXT, 0, RDX, 0, 0, 0 },       /* cqo */
	{ "\x48\xf7\xe6", 3, CODE_NEXT, 0, RAX | RDX, 0, 0, 0 }, /* mul %rsi */
	{ "\xf3\x48\xab", 3, CODE_NEXT, 0, RDI | RCX, 0, 0, 0 }, /* rep stos */
	{ "\x0f\xa2", 2, CODE_NEXT, 0, RAX | RBX | RCX | RDX, 0, 0, 0 },
	{ "\x0f\x31", 2, CODE_NEXT, 0, RAX | RDX, 0, 0, 0 },
	{ "\x0f\x05", 2, CODE_NEXT, 0, RCX | R11, 0, 0, 0 }, /* syscall; rax is the kernel's matter */
	{ "\x48\x85\xff", 3, CODE_NEXT, 0, 0, 0, 0, 0 },     /* test */
	{ "\x48\x89\x07", 3, CODE_NEXT, 0, 0, 0, 0, 0 },     /* to memory */
};

static void test_single_instructions(void)
{
	struct code_reader *reader = code_reader_new();
	const unsigned arguments = RDI | RSI | RDX | RCX | 1 << 8 | 1 << 9;

	for (size_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		const uint8_t *bytes = (const uint8_t *)insns[i].bytes;
		struct code_insn in;
		unsigned failed = check_nr_failed;

		CHECK(code_decode(reader, bytes, (size_t)insns[i].nbytes, AT, &in));
		CHECK_EQ(in.nbytes, insns[i].nbytes);
		CHECK_EQ(in.flow, insns[i].flow);
		CHECK_EQ(in.emulated, !!(insns[i].flags & E));
		CHECK_EQ(in.fit, !(insns[i].flags & UNFIT));
		CHECK_EQ(in.writes & insns[i].writes, insns[i].writes);
		CHECK_EQ(in.writes & arguments & ~insns[i].writes, 0);
		CHECK_EQ(in.sp_unknown, !!(insns[i].flags & SP_UNKNOWN));
		CHECK_EQ(in.sp_delta, insns[i].sp_delta);
		if (!(insns[i].flags & UNFIT))
			CHECK_EQ(in.target, insns[i].target);
		CHECK_EQ(in.slot, insns[i].slot);
		CHECK(in.text[0] && strlen(in.text) < sizeof(in.text));
		if (check_nr_failed != failed)
			fprintf(stderr, "  that was: %s\n", in.text);
		/* Cut off anywhere, it is none, or a shorter one, and nothing behind the cut is read. */
		for (int n = 0; n < insns[i].nbytes; n++)
			if (code_decode(reader, bytes, (size_t)n, AT, &in))
				CHECK(in.nbytes <= n);
	}
	code_reader_free(reader);
	code_reader_free(NULL);
}

static void test_bytes_that_are_no_instruction(void)
{
	struct code_reader *reader = code_reader_new();
	struct code_insn in;

	CHECK(!code_decode(reader, (const uint8_t *)"\x06", 1, AT, &in)); /* push %es: not in 64-bit mode */
	CHECK(!code_decode(reader, (const uint8_t *)"\xff\xff", 2, AT, &in));
	CHECK(!code_decode(reader, (const uint8_t *)"\x66\x66\x66", 3, AT, &in));
	code_reader_free(reader);
}

static void test_calling_convention(void)
{
	static const char *const args[] = { "rdi", "rsi", "rdx", "rcx", "r8", "r9" };

	for (unsigned n = 1; n <= CODE_NR_ARGS; n++)
		CHECK_STR(code_reg_name(code_arg_reg(n)), args[n - 1]);
	CHECK_STR(code_reg_name(code_result_reg()), "rax");
	CHECK_STR(code_reg_name(99), "?");
}

int main(void)
{
	test_single_instructions();
	test_bytes_that_are_no_instruction();
	test_calling_convention();
	return check_done();
}

#else

int main(void)
{
	printf("SKIP no code tables for this machine\n");
	return 0;
}

#endif
