/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_flow.c - plans that rest on data flow, for functions made for it (below, in assembly). Each plan is compared with
 * what it should be, and then all ways through the function are executed with symbols instead of numbers: each passes
 * one ONE, or one STASH and one FINISH behind it, where the values are that the sites name.
 */
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "random_tape.h"

#include "check.h"
#include "own_symbols.h"
#include "sites/code.h"
#include "sites/cost.h"
#include "sites/survey.h"
#include "ways.h"

#if defined(__x86_64__)

/* ---- the functions ---- */

#define FUNCTION(name, code)                                                  \
	__asm__(".pushsection .text\n"                                        \
		".balign 16\n"                                                \
		".type " #name ", @function\n"                                \
		#name ":\n" code "\n"                                         \
		".size " #name ", . - " #name "\n"                            \
		".popsection\n")

/* Keeps the size in a register and calls somebody else for the block: what most allocators' slow ways do. */
#define BEGIN " push %rbx\n mov %rdi, %rbx\n call t_other\n "
#define END " pop %rbx\n ret\n "

FUNCTION(t_other, "ret");
FUNCTION(t_malloc, "push %rbx\n pop %rbx\n ret");
FUNCTION(t_guard, BEGIN "cmp %rax, %rdx\n jne 1f\n" END "1: call t_other");
FUNCTION(t_clobbered_on_one_way, BEGIN "test %rdi, %rdi\n je 1f\n xor %ebx, %ebx\n 1: nop\n" END);
FUNCTION(t_clobbered_early, BEGIN "jrcxz 1f\n xor %ebx, %ebx\n 1: nop\n" END);
FUNCTION(t_result_by_stack, "sub $24, %rsp\n mov %rdi, 8(%rsp)\n call t_other\n mov %rax, (%rsp)\n nop\n"
			    "mov (%rsp), %rax\n add $24, %rsp\n ret");
FUNCTION(t_loop, BEGIN "nop\n test %rax, %rax\n je t_loop + 4\n" END);
FUNCTION(t_loop_alone, BEGIN "nop\n loop t_loop_alone + 4\n" END);
FUNCTION(t_truncated, "push %rbx\n mov %edi, %ebx\n call t_other\n nop\n" END);
FUNCTION(t_truncated_result, BEGIN "mov %eax, %eax\n nop\n" END);
FUNCTION(t_partial_store, "nop\n sub $24, %rsp\n mov %rdi, 8(%rsp)\n call t_other\n movb $0, 10(%rsp)\n nop\n"
			  "add $24, %rsp\n ret");
FUNCTION(t_store_across, "nop\n sub $24, %rsp\n mov %rdi, 8(%rsp)\n call t_other\n mov %rbx, 12(%rsp)\n nop\n"
			 "add $24, %rsp\n ret");
FUNCTION(t_frame_passed, "nop\n sub $24, %rsp\n mov %rdi, 16(%rsp)\n lea 8(%rsp), %rsi\n call t_other\n nop\n"
			 "add $24, %rsp\n ret");
FUNCTION(t_frame_passed_above, "nop\n sub $24, %rsp\n mov %rdi, (%rsp)\n lea 8(%rsp), %rsi\n call t_other\n nop\n"
			       "add $24, %rsp\n ret");
FUNCTION(t_pushed_size, "push %rdi\n call t_other\n nop\n pop %rdi\n ret");
FUNCTION(t_pushed_result, BEGIN "push %rax\n call t_other\n pop %rax\n" END);
FUNCTION(t_popped_size, "push %rdi\n pop %rcx\n call t_other\n nop\n ret");
FUNCTION(t_null, BEGIN "test %rdx, %rdx\n je 1f\n" END "1: xor %eax, %eax\n" END);
FUNCTION(t_null_on_one_way, "push %rbx\n mov %rdi, %rbx\n jrcxz 1f\n xor %eax, %eax\n nop\n" END
			    "1: call t_other\n nop\n" END);
FUNCTION(t_tail, "test %rdi, %rdi\n je t_malloc\n" BEGIN "nop\n" END);
FUNCTION(t_shared, "test %rdi, %rdi\n je t_shared_end\n" BEGIN "nop\n" END);
FUNCTION(t_shared_end, "call t_other\n nop\n ret");
FUNCTION(t_calls_malloc, "push %rbx\n mov %rdi, %rbx\n call t_malloc\n nop\n" END);
FUNCTION(t_result_by_way, BEGIN "cmp %rcx, %rdx\n jl 1f\n" END "1: mov %rdx, %rax\n" END);
FUNCTION(t_result_by_way_back, BEGIN "cmp %rcx, %rdx\n jae 1f\n mov %rdx, %rax\n" END "1:" END);
FUNCTION(t_frame_lost, "push %rbp\n mov %rsp, %rbp\n and $-64, %rsp\n mov %rdi, %rbx\n call t_other\n nop\n"
		       "mov %rbp, %rsp\n pop %rbp\n ret");
FUNCTION(t_frame_kept, "push %rbp\n mov %rsp, %rbp\n mov %rdi, -8(%rbp)\n sub $16, %rsp\n call t_other\n nop\n"
		       "lea (%rbp), %rsp\n pop %rbp\n ret");
FUNCTION(t_frame_huge, "nop\n sub $65560, %rsp\n mov %rdi, 8(%rsp)\n call t_other\n nop\n add $65560, %rsp\n ret");
FUNCTION(t_frame_large, "nop\n sub $2056, %rsp\n mov %rdi, %rbx\n mov %rdi, 8(%rsp)\n call t_other\n nop\n"
			"add $2056, %rsp\n ret");

FUNCTION(t_rep_ret, "push %rbx\n mov %rdi, %rbx\n call t_other\n nop\n pop %rbx\n rep ret");
FUNCTION(t_endbr, "endbr64\n" BEGIN "nop\n" END);
FUNCTION(t_jump_table, BEGIN "and $1, %edx\n lea 1f(%rip), %rcx\n jmp *(%rcx,%rdx,8)\n 1: nop\n" END);
FUNCTION(t_shrink_wrapped, "test %rdi, %rdi\n je 1f\n" BEGIN "nop\n" END "1: xor %eax, %eax\n ret");
FUNCTION(t_size_survives_nowhere, "add $7, %rdi\n shr $3, %rdi\n call t_other\n nop\n ret");
FUNCTION(t_moved_on_one_way, BEGIN "test %rdx, %rdx\n je 1f\n mov %rax, %rcx\n xor %eax, %eax\n mov %rcx, %rax\n 1: nop\n" END);
FUNCTION(t_moved_behind, BEGIN "mov %rax, %rcx\n xor %eax, %eax\n nop\n mov %rcx, %rax\n" END);
/* The cold part lies where a compiler puts it: in another section, behind another symbol. */
FUNCTION(t_cold, BEGIN "test %rax, %rax\n je t_cold.cold\n" END);
__asm__(".pushsection .text.unlikely, \"ax\", @progbits\n.type t_cold.cold, @function\n"
	"t_cold.cold: call t_other\n nop\n pop %rbx\n ret\n.size t_cold.cold, . - t_cold.cold\n.popsection\n");

static struct code_reader *reader;
static uint64_t malloc_vaddr;

static const struct function *t_malloc_is_malloc(void *arg, uint64_t vaddr)
{
	(void)arg;
	return vaddr == malloc_vaddr ? function_find("malloc") : NULL;
}

static struct plan plan_of(const char *symbol_name)
{
	struct plan_env env = { .obj = self, .function_at = t_malloc_is_malloc, .cost = cost_here() };
	struct object_symbol sym = symbol(symbol_name);
	struct plan plan = { .function = function_find("malloc"), .vaddr = sym.vaddr, .nbytes = sym.nbytes };

	plan_function(&env, &plan);
	return plan;
}

static void check_all_ways(const struct plan *plan)
{
	struct ways ways = { .obj = self, .reader = reader, .plan = plan, .other_vaddr = malloc_vaddr };

	ways_walk(&ways);
	CHECK_STR(ways.wrong, "");
	CHECK(ways.nr_ways > 0);
}

/* ---- the plans ---- */

static int by_vaddr(const void *a, const void *b)
{
	const struct plan_site *s = a, *t = b;

	return s->vaddr != t->vaddr ? (s->vaddr < t->vaddr ? -1 : 1) : (int)s->site.cond - (int)t->site.cond;
}

static void loc_print(FILE *out, const char *what, const struct ht_loc *loc)
{
	if (loc->from == HT_FROM_REG)
		fprintf(out, " %s=%s", what, code_reg_name(loc->reg));
	else if (loc->from == HT_FROM_STACK)
		fprintf(out, " %s=%d(rsp)", what, loc->disp);
	else if (loc->from == HT_FROM_STASH)
		fprintf(out, " %s=stash", what);
}

/* "one +4 ra=8 cond=5 size=rbx ptr=rax", sites separated by ", "; "simple" for what does not rest on data flow. */
static void plan_print(struct plan *plan, char *buf, size_t nbytes)
{
	static const char *const roles[] = { "", "one", "stash", "finish", "give_up", "steer" };
	FILE *out = fmemopen(buf, nbytes, "w");

	qsort(plan->sites, plan->nr_sites, sizeof(plan->sites[0]), by_vaddr);
	if (!plan->by_flow)
		fprintf(out, plan->nr_sites ? "simple" : "none");
	for (unsigned i = 0; plan->by_flow && i < plan->nr_sites; i++) {
		const struct plan_site *ps = &plan->sites[i];

		fprintf(out, "%s%s +%" PRId64 " ra=%d", i ? ", " : "", roles[ps->site.role], (int64_t)(ps->vaddr - plan->vaddr),
			ps->site.ra_off);
		if (ps->site.cond)
			fprintf(out, " cond=%u", ps->site.cond);
		loc_print(out, "size", &ps->site.size);
		loc_print(out, "ptr", &ps->site.ptr);
		if (ps->site.flags & HT_SITE_MAY_TAIL)
			fprintf(out, " tail");
	}
	fclose(out);
}

static void test_plans(void)
{
	static const struct {
		const char *symbol, *want;
	} plans[] = {
		{ "t_guard", "one +12 ra=8 cond=5 size=rbx ptr=rax" },
		/* At the branch both still is known; behind it, the size is not. */
		{ "t_clobbered_on_one_way", "one +12 ra=8 size=rbx ptr=rax" },
		{ "t_clobbered_early", "stash +0 ra=0 size=rdi, finish +13 ra=8 size=stash ptr=rax" },
		{ "t_result_by_stack", "one +18 ra=24 size=8(rsp) ptr=0(rsp)" },
		/* Not at the nop, which runs once a round. */
		{ "t_loop", "one +13 ra=8 cond=6 size=rbx ptr=rax" },
		{ "t_loop_alone", "simple" },
		{ "t_truncated", "stash +0 ra=0 size=rdi, finish +8 ra=8 size=stash ptr=rax" },
		{ "t_truncated_result", "one +11 ra=8 size=rbx ptr=rax" },
		{ "t_partial_store", "stash +0 ra=0 size=rdi, finish +20 ra=24 size=stash ptr=rax" },
		{ "t_store_across", "stash +0 ra=0 size=rdi, finish +20 ra=24 size=stash ptr=rax" },
		{ "t_frame_passed", "stash +0 ra=0 size=rdi, finish +20 ra=24 size=stash ptr=rax" },
		{ "t_frame_passed_above", "one +19 ra=24 size=0(rsp) ptr=rax" },
		{ "t_pushed_size", "one +6 ra=8 size=0(rsp) ptr=rax" },
		{ "t_pushed_result", "one +9 ra=8 size=rbx ptr=rax" },
		/* The call overwrites what lies below the stack pointer. */
		{ "t_popped_size", "stash +0 ra=0 size=rdi, finish +7 ra=0 size=stash ptr=rax" },
		{ "t_null", "one +12 ra=8 cond=5 size=rbx, one +12 ra=8 cond=6 size=rbx ptr=rax" },
		{ "t_null_on_one_way", "one +8 ra=8 size=rbx ptr=rax, one +16 ra=8 size=rbx ptr=rax" },
		{ "t_tail", "stash +3 ra=0 cond=5 size=rdi tail, one +18 ra=8 size=rbx ptr=rax" },
		{ "t_calls_malloc", "stash +0 ra=0 size=rdi, finish +9 ra=8 size=stash ptr=rax" },
		{ "t_result_by_way", "one +12 ra=8 cond=13 size=rbx ptr=rdx, one +12 ra=8 cond=14 size=rbx ptr=rax" },
		{ "t_result_by_way_back", "one +12 ra=8 cond=3 size=rbx ptr=rdx, one +12 ra=8 cond=4 size=rbx ptr=rax" },
		{ "t_rep_ret", "one +9 ra=8 size=rbx ptr=rax" },
		{ "t_endbr", "one +13 ra=8 size=rbx ptr=rax" },
		{ "t_jump_table", "simple" },
		{ "t_shrink_wrapped", "one +3 ra=0 cond=5 size=rdi, one +14 ra=8 size=rbx ptr=rax" },
		{ "t_size_survives_nowhere", "stash +0 ra=0 size=rdi, finish +13 ra=0 size=stash ptr=rax" },
		{ "t_moved_on_one_way", "one +22 ra=8 size=rbx ptr=rax" },
		{ "t_moved_behind", "one +14 ra=8 size=rbx ptr=rcx" },
		{ "t_frame_lost", "simple" },
		{ "t_frame_kept", "one +17 ra=24 size=8(rsp) ptr=rax" },
		{ "t_frame_huge", "simple" },
		{ "t_frame_large", "one +21 ra=2056 size=rbx ptr=rax" },
	};

	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		struct plan plan = plan_of(plans[i].symbol);
		unsigned failed = check_nr_failed;
		char text[512];

		plan_print(&plan, text, sizeof(text));
		CHECK_STR(text, plans[i].want);
		if (plan.by_flow)
			check_all_ways(&plan);
		if (check_nr_failed != failed)
			fprintf(stderr, "that was %s\n", plans[i].symbol);
	}
}

/* The way into code that others jump to as well begins with a STASH; its FINISH stands in that code. */
static void test_shared_code(void)
{
	struct plan plan = plan_of("t_shared");
	uint64_t end = symbol("t_shared_end").vaddr;
	unsigned nr_finish = 0;

	CHECK(plan.by_flow);
	CHECK_EQ(plan.nr_sites, 3);
	check_all_ways(&plan);
	for (unsigned i = 0; i < plan.nr_sites; i++) {
		const struct ht_site *site = &plan.sites[i].site;

		CHECK(site->role != HT_ROLE_STASH || (site->flags & HT_SITE_MAY_TAIL));
		CHECK_EQ(site->role == HT_ROLE_FINISH, plan.sites[i].vaddr >= end);
		nr_finish += site->role == HT_ROLE_FINISH;
	}
	CHECK_EQ(nr_finish, 1);
}

/* A cold part far away and behind another symbol is followed; no call of it is missed or seen twice. */
static void test_cold_part(void)
{
	struct plan plan = plan_of("t_cold");
	struct object_symbol cold = symbol("t_cold.cold");
	bool ends_there = false;

	CHECK(plan.by_flow);
	check_all_ways(&plan);
	for (unsigned i = 0; i < plan.nr_sites; i++)
		ends_there |= plan.sites[i].vaddr - cold.vaddr < cold.nbytes;
	CHECK(ends_there);
}

static void test_costs(void)
{
	struct plan one = plan_of("t_guard"), two = plan_of("t_truncated");

	CHECK(one.traps.emulated == PLAN_USUAL_CALLS && !one.traps.stepped && !one.traps.returned);
	CHECK(two.traps.emulated == 2 * PLAN_USUAL_CALLS && !two.traps.stepped && !two.traps.returned);
}

/* ---- damaged files ---- */

enum { FLIP_ROUNDS_MAX = 300, FLIPS_MAX = 64, HANG_S = 60 };
#define FLIP_NS 3000000000ull /* in all */

static uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static size_t file_read(const char *path, uint8_t **bytes_ret)
{
	FILE *f = fopen(path, "rb");
	struct stat st;
	size_t nbytes = 0;

	*bytes_ret = NULL;
	if (f && !fstat(fileno(f), &st)) {
		*bytes_ret = malloc((size_t)st.st_size);
		nbytes = *bytes_ret ? fread(*bytes_ret, 1, (size_t)st.st_size, f) : 0;
	}
	if (f)
		fclose(f);
	return nbytes;
}

static bool file_write(const char *path, const uint8_t *bytes, size_t nbytes)
{
	FILE *f = fopen(path, "wb");
	bool ok = f && fwrite(bytes, 1, nbytes, f) == nbytes;

	return f && !fclose(f) && ok;
}

/* 1: an allocator still; 0: none; -errno: no object any more. */
static int survey_file(const char *path)
{
	struct allocator *a;
	struct object *obj;
	int result = object_open_path(path, &obj);

	if (result)
		return result;
	result = survey_object(obj, &a);
	if (result == 1) {
		const struct plan_rules rules = { .cost = cost_here() };

		allocator_plan(a, &rules);
		allocator_free(a);
	} else {
		object_close(obj);
	}
	return result;
}

static void flip_bits(struct rng *r, const uint8_t *good, uint8_t *bad, size_t nbytes)
{
	/* Half of the rounds leave the headers and tables in front alone, so that the code is looked at. */
	size_t from = rng_below(r, 2) ? nbytes / 4 : 0;

	memcpy(bad, good, nbytes);
	for (uint64_t n = 1 + rng_below(r, FLIPS_MAX); n; n--)
		bad[from + rng_below(r, nbytes - from)] ^= (uint8_t)(1 << rng_below(r, 8));
}

static void test_damaged_objects(void)
{
	static const char *const libraries[] = { "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0", "/usr/lib64/libmimalloc.so.2",
						 "/usr/lib/libmimalloc.so.2" };
	struct rng r = rng_seeded("test_flow");
	char dir[] = "/tmp/test_flow.XXXXXX", path[64];
	uint8_t *good = NULL, *bad;
	unsigned nr_rounds = 0, nr_allocators = 0;
	uint64_t begin = clock_ns();
	size_t nbytes = 0;

	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]) && !good; i++)
		nbytes = file_read(libraries[i], &good);
	if (!good) {
		printf("SKIP damaged objects: no libmimalloc\n");
		return;
	}
	bad = malloc(nbytes);
	CHECK(bad && mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/library.so", dir);
	CHECK(file_write(path, good, nbytes));
	CHECK_EQ(survey_file(path), 1);
	alarm(HANG_S);
	for (; nr_rounds < FLIP_ROUNDS_MAX && clock_ns() - begin < FLIP_NS; nr_rounds++) {
		flip_bits(&r, good, bad, nbytes);
		unlink(path);
		CHECK(file_write(path, bad, nbytes));
		nr_allocators += survey_file(path) == 1;
	}
	alarm(0);
	printf("%u damaged objects, %u of them still allocators\n", nr_rounds, nr_allocators);
	CHECK(nr_rounds && nr_allocators);
	unlink(path);
	rmdir(dir);
	free(good);
	free(bad);
}

int main(void)
{
	CHECK_EQ(object_open_path("/proc/self/exe", &self), 0);
	reader = code_reader_new();
	if (!self || !reader)
		return check_done();
	malloc_vaddr = symbol("t_malloc").vaddr;
	test_plans();
	test_shared_code();
	test_cold_part();
	test_costs();
	code_reader_free(reader);
	object_close(self);
	test_damaged_objects();
	return check_done();
}

#else

int main(void)
{
	printf("SKIP no assembly of this machine\n");
	return 0;
}

#endif
