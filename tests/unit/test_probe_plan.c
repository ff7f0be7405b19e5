/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_probe_plan.c - where the planner stands in functions made for it (below, in assembly), and in the allocators that
 * are installed here.
 */
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "own_symbols.h"
#include "formats/tape.h"
#include "sites/code.h"
#include "sites/cost.h"
#include "sites/survey.h"

#if defined(__x86_64__)

/* ---- the functions ---- */

#define FUNCTION(name, code)                                                  \
	__asm__(".pushsection .text\n"                                        \
		".balign 16\n"                                                \
		".type " #name ", @function\n"                                \
		#name ":\n" code "\n"                                         \
		".size " #name ", . - " #name "\n"                            \
		".popsection\n")

/* Computed where no emulated instruction follows: the result is known at the return only. */
#define RESULT " lea (%rdi,%rsi), %rax\n "

FUNCTION(t_push, "push %rbx\n pop %rbx\n" RESULT "ret");
FUNCTION(t_endbr, "endbr64\n push %rbx\n pop %rbx\n" RESULT "ret");
FUNCTION(t_sub_rsp, "sub $24, %rsp\n push %rbx\n pop %rbx\n add $24, %rsp\n" RESULT "ret");
FUNCTION(t_and_rsp, "and $-64, %rsp\n push %rbx\n pop %rbx\n ret");
FUNCTION(t_clobber, "mov %rsi, %rdi\n push %rbx\n pop %rbx\n" RESULT "ret");
FUNCTION(t_clobber_low, "xor %dil, %dil\n push %rbx\n pop %rbx\n ret");
FUNCTION(t_clobber_other, "mov %rdi, %rdx\n push %rbx\n pop %rbx\n ret");
FUNCTION(t_loop, "mov %rdi, %rax\n 1: push %rbx\n pop %rbx\n dec %rsi\n jnz 1b\n ret");
FUNCTION(t_loop_behind, "mov %rdi, %rax\n push %rbx\n 1: dec %rsi\n jnz 1b\n pop %rbx\n ret");
FUNCTION(t_test_je, "test %rdi, %rdi\n je 1f\n mov %rdi, %rdx\n 1:" RESULT "ret");
FUNCTION(t_lock, "lock incl (%rdi)\n push %rbx\n pop %rbx\n ret");
FUNCTION(t_lock_only, "lock incl (%rdi)\n mov %rdi, %rax\n ret");
FUNCTION(t_nop5, ".byte 0x0f, 0x1f, 0x44, 0, 0\n push %rbx\n pop %rbx\n" RESULT "ret");
FUNCTION(t_nop5_only, ".byte 0x0f, 0x1f, 0x44, 0, 0\n mov %rdi, %rax\n ret");
FUNCTION(t_call_first, "call t_push\n ret");
FUNCTION(t_no_code, ".byte 0x06, 0x06");
FUNCTION(t_stub, "jmp t_push");
FUNCTION(t_stub_endbr, "endbr64\n jmp t_push");
FUNCTION(t_stub_of_stranger, "jmp t_endbr");
FUNCTION(t_two_returns, "test %rdi, %rdi\n je 1f\n push %rbx\n pop %rbx\n" RESULT "ret\n 1:" RESULT "ret");
FUNCTION(t_tail, "test %rdi, %rdi\n je t_push_ret\n jmp t_endbr");
FUNCTION(t_push_ret, "push %rbx\n pop %rbx\n" RESULT "ret");
FUNCTION(t_indirect, "test %rdi, %rdi\n je 1f\n jmp *%rax\n 1: ret");
FUNCTION(t_indirect_only, "push %rbx\n pop %rbx\n jmp *%rax");
FUNCTION(t_never_returns, "push %rbx\n call t_push\n ud2");
FUNCTION(t_inner_branch, "push %rbx\n test %rdi, %rdi\n je 1f\n 1: pop %rbx\n ret");


/* t_push is the only other function known as recorded; it is malloc. */
static const struct function *t_push_is_malloc(void *arg, uint64_t vaddr)
{
	(void)arg;
	return vaddr == symbol("t_push").vaddr ? function_find("malloc") : NULL;
}

static struct plan plan_of(const char *symbol_name, const char *as, bool sized)
{
	struct plan_env env = { .obj = self, .function_at = t_push_is_malloc, .cost = cost_here(), .simple = true };
	struct object_symbol sym = symbol(symbol_name);
	struct plan plan = { .function = function_find(as), .vaddr = sym.vaddr, .nbytes = sized ? sym.nbytes : 0 };

	plan_function(&env, &plan);
	return plan;
}

static int by_vaddr(const void *a, const void *b)
{
	const struct plan_site *s = a, *t = b;

	return s->site.role != t->site.role ? (int)s->site.role - (int)t->site.role : s->vaddr < t->vaddr ? -1 : s->vaddr > t->vaddr;
}

/* "stash emulated +4 ra=0", sites separated by ", "; then what the plan says about itself. */
static void plan_print(struct plan *plan, char *buf, size_t nbytes)
{
	static const char *const roles[] = { "", "one", "stash", "finish", "give_up", "steer" };
	static const char *const classes[] = { "emulated", "stepped", "return" };
	FILE *out = fmemopen(buf, nbytes, "w");

	qsort(plan->sites, plan->nr_sites, sizeof(plan->sites[0]), by_vaddr);
	for (unsigned i = 0; i < plan->nr_sites; i++) {
		const struct plan_site *ps = &plan->sites[i];

		fprintf(out, "%s%s %s +%" PRIu64 " ra=%d%s", i ? ", " : "", roles[ps->site.role], classes[ps->class],
			ps->vaddr - plan->vaddr, ps->site.ra_off, ps->site.flags & HT_SITE_MAY_TAIL ? " tail" : "");
	}
	if (plan->skipped)
		fprintf(out, "skipped");
	if (!plan->nr_sites && *plan->why)
		fprintf(out, ": %s", plan->why);
	fclose(out);
}

static void test_sites(void)
{
	static const struct {
		const char *symbol, *as, *want;
	} plans[] = {
		{ "t_push", "malloc", "stash emulated +0 ra=0, finish return +0 ra=-8" },
		{ "t_push", "free", "one emulated +0 ra=0" },
		{ "t_push", "realloc", "finish return +0 ra=-8, give_up emulated +0 ra=0" },
		{ "t_push", "mallopt", "steer emulated +0 ra=0" },
		{ "t_endbr", "malloc", "stash emulated +4 ra=0, finish return +4 ra=-8" },
		{ "t_endbr", "free", "one emulated +4 ra=0" },
		/* A return probe needs the stack pointer where it was; a lone entry does not. */
		{ "t_sub_rsp", "malloc", "stash stepped +0 ra=0, finish return +0 ra=-8" },
		{ "t_sub_rsp", "free", "one emulated +4 ra=24" },
		{ "t_sub_rsp", "_Znwm", "stash emulated +4 ra=24, finish stepped +14 ra=0" },
		{ "t_and_rsp", "free", "one stepped +0 ra=0" },
		{ "t_clobber", "free", "one stepped +0 ra=0" },
		{ "t_clobber", "malloc", "stash stepped +0 ra=0, finish return +0 ra=-8" },
		{ "t_clobber_low", "free", "one stepped +0 ra=0" },
		{ "t_clobber_other", "free", "one emulated +3 ra=0" },
		{ "t_clobber_other", "free_aligned_sized", "one stepped +0 ra=0" }, /* the third argument is its size */
		{ "t_loop", "free", "one stepped +0 ra=0" },
		{ "t_loop_behind", "free", "one emulated +3 ra=0" },
		{ "t_test_je", "malloc", "stash emulated +3 ra=0, finish return +3 ra=-8" },
		{ "t_lock", "free", "one emulated +3 ra=0" },
		{ "t_lock_only", "free", ": no probe may stand on its first instruction" },
		{ "t_nop5", "malloc", "stash emulated +5 ra=0, finish return +5 ra=-8" },
		{ "t_nop5_only", "malloc", ": no probe may stand on its first instruction" },
		{ "t_no_code", "malloc", ": no probe may stand on its first instruction" },
		{ "t_stub", "malloc", "skipped: jumps to malloc, which is recorded" },
		{ "t_stub_endbr", "malloc", "skipped: jumps to malloc, which is recorded" },
		/* What may throw gets no return probe, but its return instructions. */
		{ "t_two_returns", "_Znwm", "stash emulated +3 ra=0, finish stepped +11 ra=0, finish stepped +16 ra=0" },
		{ "t_indirect", "_Znwm", "stash emulated +3 ra=0, finish stepped +7 ra=0" },
		{ "t_indirect_only", "_Znwm", ": it may throw, and no return instruction was found" },
		{ "t_never_returns", "_Znwm", ": it may throw, and no return instruction was found" },
		/* A free that may end in another one. */
		{ "t_stub", "free", "one emulated +0 ra=0 tail" },
		{ "t_tail", "free", "one emulated +3 ra=0 tail" },
		{ "t_indirect", "free", "one emulated +3 ra=0 tail" },
		{ "t_inner_branch", "free", "one emulated +0 ra=0" },
	};

	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		struct plan plan = plan_of(plans[i].symbol, plans[i].as, true);
		char text[512];

		plan_print(&plan, text, sizeof(text));
		check_nr++;
		if (strcmp(text, plans[i].want) != 0) {
			check_nr_failed++;
			fprintf(stderr, "%s as %s: \"%s\", not \"%s\"\n", plans[i].symbol, plans[i].as, text, plans[i].want);
		}
	}
}

static void test_returns_of_what_it_jumps_to(void)
{
	struct plan plan = plan_of("t_tail", "_Znwm", true);
	uint64_t ends[2] = { symbol("t_push_ret").vaddr + 6, symbol("t_endbr").vaddr + 10 };
	unsigned nr_found = 0;

	CHECK_EQ(plan.nr_sites, 3);
	for (unsigned i = 1; i < plan.nr_sites; i++) {
		CHECK_EQ(plan.sites[i].site.role, HT_ROLE_FINISH);
		CHECK_EQ(plan.sites[i].first_byte, 0xc3);
		nr_found += plan.sites[i].vaddr == ends[0] || plan.sites[i].vaddr == ends[1];
	}
	CHECK_EQ(nr_found, 2);
}

/* A jump to a function with other arguments, and one to a function that nobody records. */
static void test_no_stubs(void)
{
	struct plan other = plan_of("t_stub", "calloc", true), stranger = plan_of("t_stub_of_stranger", "malloc", true);

	CHECK(!other.skipped && other.nr_sites > 0);
	CHECK(!stranger.skipped && stranger.nr_sites > 0);
}

static void test_indirect_way_out_is_said(void)
{
	struct plan plan = plan_of("t_indirect", "_Znwm", true);

	CHECK(strstr(plan.why, "what leaves by the jump at 0x"));
}

/* A function whose size nobody tells: nothing behind its first instruction is known to belong to it. */
static void test_function_without_a_size(void)
{
	struct plan plan = plan_of("t_endbr", "free", false);

	CHECK_EQ(plan.nr_sites, 1);
	CHECK_EQ(plan.sites[0].vaddr, plan.vaddr);
	CHECK_EQ(plan.sites[0].class, SITE_STEPPED);
	CHECK(plan.sites[0].site.flags & HT_SITE_MAY_TAIL);
}

static void test_call_is_never_emulated_at(void)
{
	struct plan plan = plan_of("t_call_first", "free", true);

	CHECK_EQ(plan.nr_sites, 1); /* there is no other place */
	CHECK_EQ(plan.sites[0].vaddr, plan.vaddr);
}

static bool loc_is(const struct ht_loc *loc, const char *reg, unsigned xform)
{
	return loc->from == HT_FROM_REG && !strcmp(code_reg_name(loc->reg), reg) && loc->xform == xform;
}

static void test_where_the_values_are(void)
{
	struct plan plan = plan_of("t_push", "calloc", true);

	CHECK(loc_is(&plan.sites[0].site.size, "rsi", 0) && loc_is(&plan.sites[0].site.mul, "rdi", 0));
	CHECK_EQ(plan.sites[0].site.ptr.from, HT_FROM_NONE);
	CHECK_EQ(plan.sites[0].site.kind, TAPE_CALLOC);
	CHECK(loc_is(&plan.sites[1].site.ptr, "rax", 0));
	CHECK_EQ(plan.sites[1].site.size.from, HT_FROM_STASH);
	plan = plan_of("t_push", "posix_memalign", true);
	CHECK(loc_is(&plan.sites[0].site.size, "rdx", 0) && loc_is(&plan.sites[0].site.align, "rsi", 0));
	CHECK(loc_is(&plan.sites[0].site.ptr, "rdi", 0) && loc_is(&plan.sites[1].site.ptr, "rax", HT_XFORM_DEREF));
	plan = plan_of("t_push", "reallocarray", true);
	CHECK(loc_is(&plan.sites[0].site.old, "rdi", 0) && loc_is(&plan.sites[0].site.size, "rsi", 0));
	CHECK(loc_is(&plan.sites[0].site.mul, "rdx", 0));
	plan = plan_of("t_push", "mallocx", true);
	CHECK(loc_is(&plan.sites[0].site.align, "rsi", HT_XFORM_LG_ALIGN));
	plan = plan_of("t_push", "mallctl", true);
	CHECK(loc_is(&plan.sites[0].site.ptr, "rdi", HT_XFORM_CSTRING) && loc_is(&plan.sites[0].site.size, "r8", 0));
	plan = plan_of("t_push", "sdallocx", true);
	CHECK(loc_is(&plan.sites[0].site.ptr, "rdi", 0) && loc_is(&plan.sites[0].site.size, "rsi", 0));
}

static void test_costs(void)
{
	struct plan plan = plan_of("t_push", "malloc", true);

	CHECK(plan.traps.emulated == PLAN_USUAL_CALLS && !plan.traps.stepped && plan.traps.returned == PLAN_USUAL_CALLS);
	plan = plan_of("t_two_returns", "_Znwm", true);
	CHECK(plan.traps.emulated == PLAN_USUAL_CALLS && plan.traps.stepped == PLAN_USUAL_CALLS && !plan.traps.returned); /* of one call */
	plan = plan_of("t_lock_only", "free", true);
	CHECK(!plan.traps.emulated && !plan.traps.stepped && !plan.traps.returned);
}

/* ---- the allocators installed here ---- */

/* Where the tests' machine has a library; NULL. */
static const char *library_path(const char *file, char *buf, size_t nbytes)
{
	static const char *const dirs[] = { "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(buf, nbytes, "%s/%s", dirs[i], file);
		if (!access(buf, R_OK))
			return buf;
	}
	return NULL;
}

static bool has_role(const struct plan *plan, enum ht_role role)
{
	for (unsigned i = 0; i < plan->nr_sites; i++)
		if (plan->sites[i].site.role == role)
			return true;
	return false;
}

static void check_plan(const struct allocator *a, const struct plan *plan)
{
	bool alloc = tape_kind_is_alloc(plan->function->kind);
	unsigned failed = check_nr_failed;

	if (plan->skipped || !plan->nr_sites)
		return;
	if (alloc) {
		CHECK(has_role(plan, plan->function->kind == TAPE_REALLOC ? HT_ROLE_GIVE_UP : HT_ROLE_STASH) ||
		      has_role(plan, HT_ROLE_ONE));
		/* Emulated traps alone: it may end in another recorded function, whose sites finish the call. */
		CHECK(has_role(plan, HT_ROLE_FINISH) || has_role(plan, HT_ROLE_ONE) || (!plan->traps.returned && !plan->traps.stepped));
	}
	if (check_nr_failed != failed)
		fprintf(stderr, "  that was %s of %s\n", plan->symbol, a->name);
	for (unsigned i = 0; i < plan->nr_sites; i++) {
		const struct plan_site *ps = &plan->sites[i];
		size_t avail;
		const uint8_t *code = object_code(a->obj, ps->vaddr, &avail);
		uint64_t offset;

		CHECK(code && *code == ps->first_byte && *code != 0xf0); /* lock: the kernel refuses */
		CHECK(!object_offset(a->obj, ps->vaddr, &offset) && offset == ps->offset);
		CHECK(ps->class != SITE_RETURN || (ps->site.ra_off == -8 && !(plan->function->flags & FUNCTION_THROWS)));
	}
}

struct every {
	const struct allocator *a;
	unsigned nr, nr_missing;
};

static int symbol_has_plan(void *arg, const struct object_symbol *sym)
{
	struct every *every = arg;

	if (!function_find(sym->name))
		return 0;
	every->nr++;
	for (unsigned i = 0; i < every->a->nr_plans; i++)
		if (every->a->plans[i].vaddr == sym->vaddr)
			return 0;
	every->nr_missing++;
	fprintf(stderr, "%s has no plan\n", sym->name);
	return 0;
}

static void test_installed_allocator(const char *path, const char *name)
{
	struct allocator *a = NULL;
	const struct plan_rules rules = { .cost = cost_here() };
	struct every every = { 0 };
	struct object *obj;

	CHECK_EQ(object_open_path(path, &obj), 0);
	CHECK_EQ(survey_object(obj, &a), 1);
	if (!a)
		return;
	CHECK_STR(a->name, name);
	allocator_plan(a, &rules);
	CHECK_EQ(allocator_nr_unrecorded(a), 0);
	CHECK(allocator_nr_sites(a) >= 10);
	every.a = a;
	object_each_function(a->obj, symbol_has_plan, &every);
	CHECK(every.nr >= 8);
	CHECK_EQ(every.nr_missing, 0);
	for (unsigned i = 0; i < a->nr_plans; i++) {
		check_plan(a, &a->plans[i]);
		for (unsigned k = 0; k < i; k++)
			CHECK(a->plans[i].vaddr != a->plans[k].vaddr); /* aliases once */
		if (!a->plans[i].nr_sites && !a->plans[i].skipped)
			fprintf(stderr, "%s: %s: %s\n", name, a->plans[i].symbol, a->plans[i].why);
	}
	allocator_free(a);
}

static void test_installed_allocators(void)
{
	static const struct {
		const char *file, *name;
	} libraries[] = { { "libjemalloc.so.2", "jemalloc" },
			  { "libmimalloc.so.2", "mimalloc" },
			  { "libtcmalloc_minimal.so.4", "tcmalloc" } };
	char path[128];
	Dl_info libc;

	CHECK(dladdr((void *)(uintptr_t)gnu_get_libc_version, &libc));
	test_installed_allocator(libc.dli_fname, "glibc");
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		if (library_path(libraries[i].file, path, sizeof(path)))
			test_installed_allocator(path, libraries[i].name);
		else
			printf("SKIP %s: %s is not installed\n", libraries[i].name, libraries[i].file);
	}
}

static void test_object_without_an_allocator(void)
{
	char path[128];
	struct allocator *a;
	struct object *obj;

	if (!library_path("libm.so.6", path, sizeof(path))) {
		printf("SKIP an object without malloc: no libm.so.6\n");
		return;
	}
	CHECK_EQ(object_open_path(path, &obj), 0);
	CHECK_EQ(survey_object(obj, &a), 0);
	CHECK(!a);
	object_close(obj); /* stayed ours */
	allocator_free(NULL);
}

/* ---- the table of functions ---- */

static void test_function_names(void)
{
	static const struct {
		const char *symbol, *row;
	} names[] = {
		{ "malloc", "malloc" },		  { "__libc_malloc", "malloc" },     { "je_malloc", "malloc" },
		{ "_rjem_mallocx", "mallocx" },	  { "mi_free", "free" },	     { "tc_cfree", "cfree" },
		{ "rpmalloc", "malloc" },	  { "_Znwm", "_Znwm" },		     { "mi_new", "mi_new" },
		{ "tc_new", "tc_new" },		  { "mi_malloc_aligned", "mi_malloc_aligned" },
		{ "__libc_memalign", "memalign" }, { "je__Znwm", NULL },	     { "__Znwm", NULL },
		{ "xmalloc", NULL },		  { "malloc_usable_size", NULL },    { "my_malloc", NULL },
		{ "Malloc", NULL },		  { "", NULL },			     { "je_", NULL },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct function *f = function_find(names[i].symbol);

		if (names[i].row)
			CHECK_STR(f ? f->name : NULL, names[i].row);
		else
			CHECK(!f);
	}
	CHECK(function_is_malloc(function_find("je_malloc")) && !function_is_malloc(function_find("calloc")));
	CHECK(function_is_free(function_find("mi_free")) && !function_is_free(function_find("cfree")));
	CHECK(function_rank(function_find("malloc")) < function_rank(function_find("_Znwm")));
}

int main(void)
{
	CHECK_EQ(object_open_path("/proc/self/exe", &self), 0);
	if (!self)
		return check_done();
	test_sites();
	test_returns_of_what_it_jumps_to();
	test_no_stubs();
	test_indirect_way_out_is_said();
	test_function_without_a_size();
	test_call_is_never_emulated_at();
	test_where_the_values_are();
	test_costs();
	object_close(self);
	test_installed_allocators();
	test_object_without_an_allocator();
	test_function_names();
	return check_done();
}

#else

int main(void)
{
	printf("SKIP no assembly of this machine\n");
	return 0;
}

#endif
