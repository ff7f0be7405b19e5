/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks through an object's functions for an allocator and plans each of them. */
#include "survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FUNCTIONS_MAX = 256 }; /* the table has fewer rows, prefixed twins included */

struct found {
	const struct function *function;
	char symbol[64];
	uint64_t vaddr, nbytes;
};

struct survey {
	struct found functions[FUNCTIONS_MAX];
	unsigned nr_functions;
	struct found enders[4]; /* functions that empty an ending thread's cache */
	unsigned nr_enders;
	bool has_malloc, has_free;
	bool mimalloc, jemalloc, tcmalloc, glibc;
};

/* Symbols that only one allocator has. */
static void survey_marks(struct survey *s, const char *name)
{
	s->mimalloc |= !strcmp(name, "mi_malloc") || !strcmp(name, "mi_version");
	s->jemalloc |= strstr(name, "mallctl") && (!strcmp(name, "mallctl") || !strcmp(name, "je_mallctl") ||
						   !strcmp(name, "_rjem_mallctl"));
	s->tcmalloc |= !strcmp(name, "tc_malloc") || !strcmp(name, "tc_version") || !strcmp(name, "TCMallocInternalMalloc");
	s->glibc |= !strcmp(name, "gnu_get_libc_version") || !strcmp(name, "__libc_malloc");
}

static int survey_symbol(void *arg, const struct object_symbol *sym)
{
	const struct function *f = function_find(sym->name);
	struct survey *s = arg;
	struct found *found = NULL;

	survey_marks(s, sym->name);
	if ((!strcmp(sym->name, "__malloc_arena_thread_freeres") || !strcmp(sym->name, "tcache_thread_shutdown")) &&
	    s->nr_enders < sizeof(s->enders) / sizeof(s->enders[0]))
		s->enders[s->nr_enders++] = (struct found){ .vaddr = sym->vaddr, .nbytes = sym->nbytes };
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

static const struct function *survey_function_at(void *arg, uint64_t vaddr)
{
	const struct survey *s = arg;

	for (unsigned i = 0; i < s->nr_functions; i++)
		if (s->functions[i].vaddr == vaddr)
			return s->functions[i].function;
	return NULL;
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
	else if (strstr(base, "ld-musl") || strstr(base, "libc.musl"))
		found = "musl";
	else if (s->glibc)
		found = "glibc";
	snprintf(name, name_nbytes, "%s", found ? found : base);
}

static int by_rank(const void *a, const void *b)
{
	return function_rank(((const struct found *)a)->function) - function_rank(((const struct found *)b)->function);
}

/* A free that is called directly from its own object is told by the return address. Candidates are only compared with
 * return addresses, so bytes that look like a call and are none do no harm. In a static program all calls are direct:
 * there only those from the functions that empty an ending thread's cache are meant. */
static void find_inner_calls(const struct survey *s, struct allocator *a)
{
	bool program = object_is_executable(a->obj);

	for (unsigned i = 0; i < a->nr_plans; i++) {
		struct plan *plan = &a->plans[i];
		unsigned before = a->nr_inner;

		if (!function_is_free(plan->function) || !plan->nr_sites)
			continue;
		if (!program)
			a->nr_inner += object_direct_calls(a->obj, plan->vaddr, 0, UINT64_MAX, a->inner + a->nr_inner,
							   HT_INNER_MAX - a->nr_inner);
		for (unsigned k = 0; program && k < s->nr_enders; k++)
			a->nr_inner += object_direct_calls(a->obj, plan->vaddr, s->enders[k].vaddr,
							   s->enders[k].vaddr + s->enders[k].nbytes,
							   a->inner + a->nr_inner, HT_INNER_MAX - a->nr_inner);
		if (a->nr_inner > before)
			plan->sites[0].site.flags |= HT_SITE_INNER;
		a->simple[i] = *plan;
	}
}

static int plan_all(struct survey *s, struct object *obj, struct allocator *a)
{
	struct plan_env env = { .obj = obj, .function_at = survey_function_at, .arg = s };

	a->plans = calloc(s->nr_functions, sizeof(*a->plans));
	a->simple = calloc(s->nr_functions, sizeof(*a->simple));
	if (!a->plans || !a->simple)
		return -ENOMEM;
	qsort(s->functions, s->nr_functions, sizeof(s->functions[0]), by_rank);
	for (unsigned i = 0; i < s->nr_functions; i++) {
		const struct found *f = &s->functions[i];

		env.simple = true;
		plan_function(&env, f->function, f->symbol, f->vaddr, f->nbytes, &a->simple[a->nr_plans]);
		env.simple = false;
		plan_function(&env, f->function, f->symbol, f->vaddr, f->nbytes, &a->plans[a->nr_plans++]);
	}
	return 0;
}

int survey_object(struct object *obj, struct allocator **a_ret)
{
	struct survey *s = calloc(1, sizeof(*s));
	struct allocator *a = NULL;
	int result = 0;

	*a_ret = NULL;
	if (!s)
		return -ENOMEM;
	object_each_function(obj, survey_symbol, s);
	if (s->has_malloc && s->has_free) {
		a = calloc(1, sizeof(*a));
		result = a ? plan_all(s, obj, a) : -ENOMEM;
	}
	if (!result && a) {
		name_allocator(s, obj, a->name, sizeof(a->name));
		a->obj = obj;
		find_inner_calls(s, a);
		*a_ret = a;
		result = 1;
	} else if (a) {
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
	free(a->plans);
	free(a->simple);
	free(a);
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
