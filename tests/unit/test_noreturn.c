/* SPDX-License-Identifier: BSD-2-Clause */
/* test_noreturn.c - functions that come back and such that do not, and a call that only padding gives away. */
#include "check.h"
#include "own_symbols.h"

#include "sites/cost.h"
#include "sites/noreturn.h"
#include "sites/plan.h"

#if defined(__x86_64__)

#define FUNCTION(name, code)                                                                        \
	__asm__(".pushsection .text\n.balign 16\n.type " #name ", @function\n" #name ":\n.cfi_startproc\n" code \
		"\n.cfi_endproc\n.size " #name ", . - " #name "\n.popsection\n")

FUNCTION(t_ends, "ud2");
FUNCTION(t_loops, "1: hlt\n jmp 1b");
FUNCTION(t_calls_one_that_ends, "push %rbx\n call t_ends\n ret");
FUNCTION(t_both_ways_end, "test %rdi, %rdi\n je t_ends\n call t_loops\n ret");
FUNCTION(t_one_way_returns, "test %rdi, %rdi\n je t_ends\n ret");
FUNCTION(t_indirect, "jmp *%rax");
FUNCTION(t_recursive, "call t_recursive\n ret");
FUNCTION(t_deep_4, "call t_ends\n ret");
FUNCTION(t_deep_3, "call t_deep_4\n ret");
FUNCTION(t_deep_2, "call t_deep_3\n ret");
FUNCTION(t_deep_1, "call t_deep_2\n ret");
FUNCTION(t_too_deep, "call t_deep_1\n ret");
FUNCTION(t_other, "ret");
/* What a compiler makes of an assertion: its message's function would come back if it were asked otherwise. */
FUNCTION(t_padded, "push %rbx\n mov %rdi, %rbx\n call t_other\n cmp %rax, %rdx\n jne 1f\n test %rax, %rax\n je 2f\n pop %rbx\n ret\n"
		   "1: mov %rbx, %rbx\n mov %rbx, %rbx\n mov %rbx, %rbx\n xchg %ax, %ax\n lea t_other(%rip), %rbx\n"
		   "call t_other\n .balign 16\n 2: xor %eax, %eax\n nop\n pop %rbx\n ret");
/* The same, but the label is a loop's head: its padding is run through. */
FUNCTION(t_padded_loop, "push %rbx\n mov %rdi, %rbx\n call t_other\n jmp 2f\n .balign 16\n 2: test %rax, %rax\n jne 2b\n"
			"nop\n pop %rbx\n ret");
__asm__(".pushsection .text\n.type t_last, @function\n.balign 16\nt_last: .cfi_startproc\n ret\n.cfi_endproc\n.size t_last, 1\n.popsection\n");

static struct code_reader *reader;

static void test_functions(void)
{
	static const struct {
		const char *name;
		bool noreturn;
	} functions[] = {
		{ "t_ends", true },	       { "t_loops", true },	  { "t_calls_one_that_ends", true },
		{ "t_both_ways_end", true },   { "t_one_way_returns", false }, { "t_indirect", false },
		{ "t_recursive", false },      { "t_deep_1", true },	  { "t_other", false },
		{ "t_too_deep", false }, /* not followed so far: taken to come back */
	};
	struct noreturn_memo *memo = noreturn_memo_new();

	for (int again = 0; again < 2; again++)
		for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
			bool got = noreturn_function(self, reader, again ? memo : NULL, symbol(functions[i].name).vaddr);

			/* What was found out before is known at any depth. */
			if (again && !strcmp(functions[i].name, "t_too_deep"))
				continue;
			CHECK_EQ(got, functions[i].noreturn);
		}
	noreturn_memo_free(memo);
}

static const struct function *none(void *arg, uint64_t vaddr)
{
	(void)arg;
	(void)vaddr;
	return NULL;
}

static unsigned nr_with_role(const char *name, enum ht_role role)
{
	struct plan_env env = { .obj = self, .function_at = none, .cost = cost_here() };
	struct object_symbol sym = symbol(name);
	struct plan plan = { .function = function_find("malloc"), .vaddr = sym.vaddr, .nbytes = sym.nbytes };
	unsigned nr = 0;

	plan_function(&env, &plan);
	for (unsigned i = 0; i < plan.nr_sites; i++)
		nr += plan.sites[i].site.role == role;
	return nr;
}

/* A plan that rests on nothing but padding has a guard there. */
static void test_guards(void)
{
	CHECK_EQ(nr_with_role("t_padded", HT_ROLE_GUARD), 1);
	CHECK(nr_with_role("t_padded", HT_ROLE_ONE) >= 1);
	CHECK_EQ(nr_with_role("t_padded_loop", HT_ROLE_GUARD), 0);
}

int main(void)
{
	CHECK_EQ(object_open_path("/proc/self/exe", &self), 0);
	reader = code_reader_new();
	if (!self || !reader)
		return check_done();
	test_functions();
	test_guards();
	code_reader_free(reader);
	object_close(self);
	return check_done();
}

#else

int main(void)
{
	printf("SKIP no assembly of this machine\n");
	return 0;
}

#endif
