/* SPDX-License-Identifier: BSD-2-Clause */
/* dwarf.c - see dwarf.h. */
#include "dwarf.h"

#include <dwarf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "spans.h"

#define NEST_MAX 64 /* scopes within each other that are followed: no compiler comes near it */

struct unit {
	Dwarf_Die die;	/* has the lines */
	Dwarf_Die code; /* has the functions: the same, or the split unit of a .dwo file */
	bool read;	/* its functions are known */
	Dwarf_Die *functions;
	uint32_t nr_functions, cap_functions;
	struct spans spans; /* of the functions */
};

struct dwarf_index {
	Dwarf *dwarf;
	struct unit *units;
	uint32_t nr, cap;
	struct spans spans; /* of the units */
};

/* All runs of addresses of a DIE, to `owner`. */
static int add_ranges(struct spans *spans, Dwarf_Die *die, uint32_t owner)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	int err = 0;

	while (!err && (at = dwarf_ranges(die, at, &base, &start, &end)) > 0)
		err = spans_add(spans, start, end, owner);
	return err;
}

static struct unit *new_unit(struct dwarf_index *x)
{
	if (x->nr == x->cap) {
		uint32_t cap = x->cap ? x->cap * 2 : 64;
		struct unit *units = reallocarray(x->units, cap, sizeof(*units));

		if (!units)
			return NULL;
		x->units = units;
		x->cap = cap;
	}
	x->units[x->nr] = (struct unit){ 0 };
	return &x->units[x->nr++];
}

static int read_units(struct dwarf_index *x)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die, sub;
	uint8_t type;

	while (dwarf_get_units(x->dwarf, cu, &cu, NULL, &type, &die, &sub) == 0) {
		struct unit *u;
		int err;

		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue; /* types, and parts that others import */
		u = new_unit(x);
		if (!u)
			return -ENOMEM;
		u->die = die;
		u->code = type == DW_UT_skeleton && sub.addr ? sub : die;
		err = add_ranges(&x->spans, &die, x->nr - 1);
		if (err)
			return err;
	}
	spans_sort(&x->spans);
	return 0;
}

struct dwarf_index *dwarf_index_new(Dwarf *dwarf)
{
	struct dwarf_index *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->dwarf = dwarf;
	if (read_units(x)) {
		dwarf_index_free(x);
		return NULL;
	}
	return x;
}

void dwarf_index_free(struct dwarf_index *x)
{
	if (!x)
		return;
	for (uint32_t i = 0; i < x->nr; i++) {
		free(x->units[i].functions);
		spans_free(&x->units[i].spans);
	}
	free(x->units);
	spans_free(&x->spans);
	free(x);
}

/* ---- the functions of a unit ---- */

static int add_function(struct unit *u, Dwarf_Die *die)
{
	size_t before = u->spans.nr;
	int err = add_ranges(&u->spans, die, u->nr_functions);

	if (err || u->spans.nr == before)
		return err; /* a declaration, or what is only ever inlined */
	if (u->nr_functions == u->cap_functions) {
		uint32_t cap = u->cap_functions ? u->cap_functions * 2 : 64;
		Dwarf_Die *functions = reallocarray(u->functions, cap, sizeof(*functions));

		if (!functions)
			return -ENOMEM;
		u->functions = functions;
		u->cap_functions = cap;
	}
	u->functions[u->nr_functions++] = *die;
	return 0;
}

/* What functions are found in: also in other functions (nested ones of C, D and others). */
static bool may_hold_functions(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_structure_type || tag == DW_TAG_class_type ||
	       tag == DW_TAG_union_type || tag == DW_TAG_enumeration_type || tag == DW_TAG_subprogram ||
	       tag == DW_TAG_lexical_block;
}

static int read_functions(struct unit *u, Dwarf_Die *parent, unsigned depth)
{
	Dwarf_Die die;
	int more = dwarf_child(parent, &die);

	for (; more == 0; more = dwarf_siblingof(&die, &die)) {
		int tag = dwarf_tag(&die), err = 0;

		if (tag == DW_TAG_subprogram)
			err = add_function(u, &die);
		if (!err && depth < NEST_MAX && may_hold_functions(tag))
			err = read_functions(u, &die, depth + 1);
		if (err)
			return err;
	}
	return 0;
}

static struct unit *unit_at(struct dwarf_index *x, uint64_t vaddr)
{
	uint32_t at = spans_find(&x->spans, vaddr);
	struct unit *u = at == SPANS_NONE ? NULL : &x->units[at];

	if (u && !u->read) {
		u->read = true; /* what fails once is not tried for every place */
		read_functions(u, &u->code, 0);
		spans_sort(&u->spans);
	}
	return u;
}

/* ---- one place ---- */

static bool covers(Dwarf_Die *die, uint64_t vaddr)
{
	return dwarf_haspc(die, vaddr) > 0;
}

/* The function inlined into `die` that holds vaddr, blocks between them passed through. */
static bool inlined_at(Dwarf_Die *die, uint64_t vaddr, Dwarf_Die *inlined_ret, unsigned depth)
{
	Dwarf_Die child;
	int more = dwarf_child(die, &child);

	for (; more == 0; more = dwarf_siblingof(&child, &child)) {
		int tag = dwarf_tag(&child);

		if (tag == DW_TAG_inlined_subroutine && covers(&child, vaddr)) {
			*inlined_ret = child;
			return true;
		}
		if ((tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block) && depth < NEST_MAX &&
		    (!dwarf_hasattr(&child, DW_AT_low_pc) || covers(&child, vaddr)) &&
		    inlined_at(&child, vaddr, inlined_ret, depth + 1))
			return true;
	}
	return false;
}

static const char *text_of(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;

	return dwarf_formstring(dwarf_attr_integrate(die, name, &attr));
}

static uint64_t number_of(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;
	Dwarf_Word value = 0;

	return dwarf_formudata(dwarf_attr(die, name, &attr), &value) == 0 ? value : 0;
}

static void name_function(Dwarf_Die *die, struct dwarf_name *name)
{
	name->linkage = text_of(die, DW_AT_linkage_name);
	if (!name->linkage)
		name->linkage = text_of(die, DW_AT_MIPS_linkage_name);
	name->name = text_of(die, DW_AT_name);
}

/* Where vaddr's own line is. */
static void name_line(struct unit *u, uint64_t vaddr, struct dwarf_name *name)
{
	Dwarf_Line *line = dwarf_getsrc_die(&u->die, vaddr);
	int number = 0;

	if (!line)
		return;
	name->file = dwarf_linesrc(line, NULL, NULL);
	if (dwarf_lineno(line, &number) == 0 && number > 0)
		name->line = (uint32_t)number;
}

/* Where the call stood that was inlined: in the function around it. */
static void name_call(struct unit *u, Dwarf_Die *inlined, struct dwarf_name *outer)
{
	uint64_t file = number_of(inlined, DW_AT_call_file), line = number_of(inlined, DW_AT_call_line);
	Dwarf_Files *files;
	size_t nr;

	if (dwarf_getsrcfiles(&u->code, &files, &nr) == 0 && file < nr)
		outer->file = dwarf_filesrc(files, file, NULL, NULL);
	outer->line = line <= UINT32_MAX ? (uint32_t)line : 0;
}

unsigned dwarf_index_find(struct dwarf_index *x, uint64_t vaddr, struct dwarf_name names[DWARF_DEPTH_MAX])
{
	struct unit *u = unit_at(x, vaddr);
	uint32_t at = u ? spans_find(&u->spans, vaddr) : SPANS_NONE;
	Dwarf_Die chain[DWARF_DEPTH_MAX]; /* outermost first */
	unsigned nr = 0;

	if (!u)
		return 0;
	if (at == SPANS_NONE) { /* code without a function: a line may still be known */
		names[0] = (struct dwarf_name){ 0 };
		name_line(u, vaddr, &names[0]);
		return names[0].file != NULL;
	}
	chain[nr++] = u->functions[at];
	while (nr < DWARF_DEPTH_MAX && inlined_at(&chain[nr - 1], vaddr, &chain[nr], 0))
		nr++;
	for (unsigned i = 0; i < nr; i++) {
		Dwarf_Die *die = &chain[nr - 1 - i];

		names[i] = (struct dwarf_name){ 0 };
		name_function(die, &names[i]);
		if (i)
			name_call(u, die + 1, &names[i]);
		else
			name_line(u, vaddr, &names[i]);
	}
	return nr;
}
