/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks through an object's functions for an allocator, and has them planned. */
#include "survey.h"

#include <errno.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sites/cost.h"
#include "sites/flow.h"
#include "sites/noreturn.h"
#include "sites/signatures.h"
#include "symbols/find.h"

enum { FUNCTIONS_MAX = 256 }; /* the table has fewer rows, prefixed twins included */

struct named {
	const struct function *function;
	char symbol[64];
	uint64_t vaddr, nbytes;
};

struct survey {
	struct named functions[FUNCTIONS_MAX];
	unsigned nr_functions;
	struct named enders[4]; /* functions that empty an ending thread's cache */
	unsigned nr_enders;
	bool has_malloc, has_free;
	bool mimalloc, jemalloc, tcmalloc, glibc, musl;
};

/* Symbols that only one allocator has. */
static void survey_marks(struct survey *s, const char *name)
{
	s->mimalloc |= !strcmp(name, "mi_malloc") || !strcmp(name, "mi_version");
	s->jemalloc |= strstr(name, "mallctl") && (!strcmp(name, "mallctl") || !strcmp(name, "je_mallctl") ||
						   !strcmp(name, "_rjem_mallctl"));
	s->tcmalloc |= !strcmp(name, "tc_malloc") || !strcmp(name, "tc_version") || !strcmp(name, "TCMallocInternalMalloc");
	s->glibc |= !strcmp(name, "gnu_get_libc_version") || !strcmp(name, "__libc_malloc");
	s->musl |= !strcmp(name, "__libc_malloc_impl");
}

static int survey_symbol(void *arg, const struct object_symbol *sym)
{
	const struct function *f = function_find(sym->name);
	struct survey *s = arg;
	struct named *found = NULL;

	survey_marks(s, sym->name);
	if ((!strcmp(sym->name, "__malloc_arena_thread_freeres") || !strcmp(sym->name, "tcache_thread_shutdown")) &&
	    s->nr_enders < sizeof(s->enders) / sizeof(s->enders[0]))
		s->enders[s->nr_enders++] = (struct named){ .vaddr = sym->vaddr, .nbytes = sym->nbytes };
	if (!f)
		return 0;
	s->has_malloc |= function_is_malloc(f);
	s->has_free |= function_is_free(f);
	for (unsigned i = 0; i < s->nr_functions && !found; i++)
		if (s->functions[i].vaddr == sym->vaddr)
			found = &s->functions[i];
	if (found && function_rank(found->function) <= function_rank(f))
		return 0;
	if (!found && s->nr_functions == FUNCTIONS_MAX)
		return 0;
	if (!found)
		found = &s->functions[s->nr_functions++];
	found->function = f;
	found->vaddr = sym->vaddr;
	if (sym->nbytes)
		found->nbytes = sym->nbytes;
	snprintf(found->symbol, sizeof(found->symbol), "%s", sym->name);
	return 0;
}

/* A stripped program with libc inside: the names are in its debug file, if that is on this machine. */
static void survey_debug_file(struct survey *s, const struct object *obj)
{
	struct find find = { .root_fd = -1 };
	struct found binary = find_binary(&find, object_path(obj), object_build_id(obj));
	struct found debug = find_debug(&find, binary.elf ? &binary : NULL, object_path(obj), object_build_id(obj));

	if (debug.elf)
		object_each_function_in(obj, debug.elf, survey_symbol, s);
	found_close(&debug);
	found_close(&binary);
}

static bool is_static(const struct object *obj)
{
	size_t nr_phdrs = 0;
	GElf_Phdr ph;

	if (elf_getphdrnum(object_elf(obj), &nr_phdrs))
		return false;
	for (size_t i = 0; i < nr_phdrs; i++)
		if (gelf_getphdr(object_elf(obj), (int)i, &ph) && ph.p_type == PT_INTERP)
			return false;
	return object_is_executable(obj);
}

static bool has_allocator(const struct survey *s)
{
	return s->has_malloc && s->has_free;
}

/* Without names: the debug file's, else a known libc by its code. `found` says which. */
static int survey_stripped(struct survey *s, const struct object *obj, char *found, size_t nbytes)
{
	int result;

	*found = '\0';
	if (!object_is_executable(obj) || has_allocator(s) || object_has_symbols(obj))
		return 0;
	survey_debug_file(s, obj);
	if (has_allocator(s) || !is_static(obj))
		return 0;
	result = signatures_find(obj, survey_symbol, s, found, nbytes);
	if (result <= 0)
		*found = '\0';
	return result < 0 ? result : 0;
}

static int no_symbol(void *arg, const struct object_symbol *sym)
{
	(void)arg;
	(void)sym;
	return 0;
}

void survey_why_none(const struct object *obj, char *why, size_t nbytes)
{
	*why = '\0';
	if (object_is_executable(obj) && !object_has_symbols(obj) && is_static(obj))
		signatures_find(obj, no_symbol, NULL, why, nbytes);
}

static void name_allocator(const struct survey *s, const struct object *obj, char *name, size_t name_nbytes)
{
	const char *path = object_path(obj), *base = strrchr(path, '/');
	const char *found = NULL;

	base = base ? base + 1 : path;
	/* mimalloc and tcmalloc also define glibc's second names. */
	if (s->mimalloc)
		found = "mimalloc";
	else if (s->tcmalloc)
		found = "tcmalloc";
	else if (s->jemalloc)
		found = "jemalloc";
	else if (s->musl || strstr(path, "musl")) /* a static program's own symbol; libc.so has none */
		found = "musl";
	else if (s->glibc)
		found = "glibc";
	snprintf(name, name_nbytes, "%s", found ? found : base);
}

static int by_rank(const void *a, const void *b)
{
	return function_rank(((const struct named *)a)->function) - function_rank(((const struct named *)b)->function);
}

/* A free that is called directly from its own object is told by the return address. Candidates are only compared with
 * return addresses, so bytes that look like a call and are none do no harm. In a static program all calls are direct:
 * there only those from the functions that empty an ending thread's cache are meant. */
static unsigned find_inner_calls(const struct survey *s, const struct object *obj, const struct plan *plan, uint64_t *inner,
				 unsigned room)
{
	unsigned nr = 0;

	if (!function_is_free(plan->function))
		return 0;
	if (!object_is_executable(obj))
		return object_direct_calls(obj, plan->vaddr, 0, UINT64_MAX, inner, room);
	for (unsigned k = 0; k < s->nr_enders; k++)
		nr += object_direct_calls(obj, plan->vaddr, s->enders[k].vaddr, s->enders[k].vaddr + s->enders[k].nbytes,
					  inner + nr, room - nr);
	return nr;
}

/* For symbols that do not say how long their function is (assembly). 0: the file does not tell either. */
static uint64_t extent_nbytes(const struct object *obj, uint64_t vaddr)
{
	uint64_t start, end;

	return object_extent(obj, vaddr, &start, &end) && start == vaddr && end != UINT64_MAX ? end - start : 0;
}

static int list_functions(struct survey *s, struct allocator *a)
{
	a->plans = calloc(s->nr_functions, sizeof(*a->plans));
	a->noreturn = noreturn_memo_new();
	if (!a->plans || !a->noreturn)
		return -ENOMEM;
	qsort(s->functions, s->nr_functions, sizeof(s->functions[0]), by_rank);
	for (unsigned i = 0; i < s->nr_functions; i++) {
		const struct named *f = &s->functions[i];
		struct plan *plan = &a->plans[a->nr_plans++];
		unsigned nr;

		plan->function = f->function;
		memcpy(plan->symbol, f->symbol, sizeof(plan->symbol));
		plan->vaddr = f->vaddr;
		plan->nbytes = f->nbytes ? f->nbytes : extent_nbytes(a->obj, f->vaddr);
		nr = find_inner_calls(s, a->obj, plan, a->inner + a->nr_inner, HT_INNER_MAX - a->nr_inner);
		plan->called_inside = nr > 0;
		a->nr_inner += nr;
	}
	return 0;
}

static const struct function *function_at(void *arg, uint64_t vaddr)
{
	const struct allocator *a = arg;

	for (unsigned i = 0; i < a->nr_plans; i++)
		if (a->plans[i].vaddr == vaddr)
			return a->plans[i].function;
	return NULL;
}

void allocator_plan_one(struct allocator *a, unsigned i, const struct plan_rules *rules)
{
	struct plan_env env = { .obj = a->obj,
				.function_at = function_at,
				.arg = a,
				.cost = rules->cost,
				.inner = a->inner,
				.nr_inner = a->nr_inner,
				.no_calls = rules->no_calls,
				.no_return = rules->no_return,
				.profile = rules->profile,
				.noreturn = a->noreturn,
				.simple = rules->simple };

	plan_function(&env, &a->plans[i]);
}

void allocator_plan(struct allocator *a, const struct plan_rules *rules)
{
	for (unsigned i = 0; i < a->nr_plans; i++)
		allocator_plan_one(a, i, rules);
}

int survey_object(struct object *obj, struct allocator **a_ret)
{
	struct survey *s = calloc(1, sizeof(*s));
	struct allocator *a = NULL;
	char found[sizeof(a->found)];
	int result;

	*a_ret = NULL;
	if (!s)
		return -ENOMEM;
	object_each_function(obj, survey_symbol, s);
	result = survey_stripped(s, obj, found, sizeof(found));
	if (!result && has_allocator(s)) {
		a = calloc(1, sizeof(*a));
		if (a)
			a->obj = obj;
		result = a ? list_functions(s, a) : -ENOMEM;
	}
	if (!result && a) {
		name_allocator(s, obj, a->name, sizeof(a->name));
		memcpy(a->found, found, sizeof(a->found));
		*a_ret = a;
		result = 1;
	} else if (a) {
		a->obj = NULL;
		allocator_free(a);
	}
	free(s);
	return result;
}

void allocator_free(struct allocator *a)
{
	if (!a)
		return;
	object_close(a->obj);
	noreturn_memo_free(a->noreturn);
	free(a->plans);
	free(a);
}

unsigned allocator_branches(const struct allocator *a, struct profile_spot *spots, unsigned room)
{
	struct plan_env env = { .obj = a->obj, .function_at = function_at, .arg = (void *)(uintptr_t)a, .cost = cost_here(),
				.noreturn = a->noreturn };
	struct code_reader *reader = code_reader_new();
	unsigned nr = 0;

	for (unsigned i = 0; i < a->nr_plans && reader; i++) {
		const struct plan *plan = &a->plans[i];
		struct flow flow = { 0 };

		if (plan->nbytes && !flow_build(&env, reader, plan->function, plan->vaddr, plan->nbytes, &flow))
			nr = flow_branches(&flow, spots, nr, room);
		flow_free(&flow);
	}
	code_reader_free(reader);
	return nr;
}

unsigned allocator_nr_sites(const struct allocator *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->nr_plans; i++)
		n += a->plans[i].nr_sites;
	return n;
}

unsigned allocator_nr_unrecorded(const struct allocator *a)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->nr_plans; i++)
		n += !a->plans[i].nr_sites && !a->plans[i].skipped;
	return n;
}
