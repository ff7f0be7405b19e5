/* SPDX-License-Identifier: BSD-2-Clause */
/* symtab.c - see symtab.h. libdwfl merges the tables, and unpacks .gnu_debugdata; its own lookup goes through all symbols. */
#include "symtab.h"

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_BACK 16 /* functions that a lookup passes in search of one that reaches so far: aliases, local labels */

struct sym {
	uint64_t start, end; /* end == start: the symbol says no size */
	const char *name;
	bool local;
};

struct symtab {
	Dwfl *dwfl;
	const char *debug_path;
	int debug_fd;
	struct sym *syms;
	size_t nr;
};

/* libdwfl asks for what has been found before; it must not search, least of all the network. */
static int no_elf(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base, char **path, Elf **elf)
{
	(void)mod, (void)userdata, (void)name, (void)base, (void)path, (void)elf;
	return -1;
}

static int the_debug_file(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base, const char *path,
			  const char *link, GElf_Word crc, char **path_ret)
{
	const struct symtab *t = *userdata;

	(void)mod, (void)name, (void)base, (void)path, (void)link, (void)crc;
	if (!t || t->debug_fd < 0)
		return -1;
	*path_ret = strdup(t->debug_path);
	return fcntl(t->debug_fd, F_DUPFD_CLOEXEC, 0);
}

static const Dwfl_Callbacks callbacks = { .find_elf = no_elf, .find_debuginfo = the_debug_file };

static bool is_function(const GElf_Sym *sym, const char *name)
{
	unsigned type = GELF_ST_TYPE(sym->st_info);

	if (!name || !*name || sym->st_shndx == SHN_UNDEF)
		return false;
	/* Assembler often gives no type; names with a dollar mark kinds of bytes (arm64). */
	return type == STT_FUNC || type == STT_GNU_IFUNC || (type == STT_NOTYPE && *name != '$');
}

/* Start-up code that compilers put in front of a program: without a size, and no function of the program's. */
static bool is_start_up(const char *name)
{
	return !strcmp(name, "frame_dummy") || !strcmp(name, "register_tm_clones") || !strcmp(name, "deregister_tm_clones") ||
	       !strcmp(name, "__do_global_dtors_aux");
}

/* By start; at one start the one to be told first: with a size, global, with fewer underscores in front. */
static int compare(const void *pa, const void *pb)
{
	const struct sym *a = pa, *b = pb;
	bool a_sized = a->end > a->start, b_sized = b->end > b->start;
	size_t a_under, b_under;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	if (a_sized != b_sized)
		return a_sized ? -1 : 1;
	if (a->local != b->local)
		return a->local ? 1 : -1;
	a_under = strspn(a->name, "_");
	b_under = strspn(b->name, "_");
	if (a_under != b_under)
		return a_under < b_under ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int read_symbols(struct symtab *t, Dwfl_Module *mod)
{
	int nr = dwfl_module_getsymtab(mod);
	GElf_Addr bias = 0;

	if (nr <= 0)
		return 0; /* a file without symbols is no error */
	if (!dwfl_module_getelf(mod, &bias))
		return -1;
	t->syms = calloc((size_t)nr, sizeof(*t->syms));
	if (!t->syms)
		return -1;
	for (int i = 0; i < nr; i++) {
		GElf_Sym sym;
		GElf_Addr addr;
		const char *name = dwfl_module_getsym_info(mod, i, &sym, &addr, NULL, NULL, NULL);

		if (!is_function(&sym, name) || (!sym.st_size && is_start_up(name)))
			continue;
		addr -= bias;
		t->syms[t->nr++] = (struct sym){ .start = addr,
						 .end = addr + (sym.st_size < UINT32_MAX ? sym.st_size : 0),
						 .name = name,
						 .local = GELF_ST_BIND(sym.st_info) == STB_LOCAL };
	}
	qsort(t->syms, t->nr, sizeof(*t->syms), compare);
	return 0;
}

struct symtab *symtab_new(const char *path, int fd, const char *debug_path, int debug_fd)
{
	struct symtab *t = calloc(1, sizeof(*t));
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	Dwfl_Module *mod;
	void **userdata;

	if (!t || own < 0)
		goto fail;
	t->debug_path = debug_path ? debug_path : "";
	t->debug_fd = debug_fd;
	t->dwfl = dwfl_begin(&callbacks);
	if (!t->dwfl)
		goto fail;
	dwfl_report_begin(t->dwfl);
	mod = dwfl_report_elf(t->dwfl, path, path, own, 0, true);
	if (!mod)
		goto fail;
	own = -1; /* libdwfl's now */
	dwfl_report_end(t->dwfl, NULL, NULL);
	dwfl_module_info(mod, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
	*userdata = t;
	if (read_symbols(t, mod))
		goto fail;
	return t;
fail:
	if (own >= 0)
		close(own);
	symtab_free(t);
	return NULL;
}

void symtab_free(struct symtab *t)
{
	if (!t)
		return;
	dwfl_end(t->dwfl);
	free(t->syms);
	free(t);
}

/* The number of symbols that start at or before vaddr. */
static size_t count_up_to(const struct symtab *t, uint64_t vaddr)
{
	size_t lo = 0, hi = t->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->syms[mid].start <= vaddr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static size_t first_at_same_start(const struct symtab *t, size_t i)
{
	while (i && t->syms[i - 1].start == t->syms[i].start)
		i--;
	return i;
}

const char *symtab_find(const struct symtab *t, uint64_t vaddr)
{
	size_t nr = count_up_to(t, vaddr), nearest;

	if (!nr)
		return NULL;
	nearest = first_at_same_start(t, nr - 1);
	for (size_t i = nr, k = 0; i && k < LOOK_BACK; k++) {
		i = first_at_same_start(t, i - 1);
		if (vaddr < t->syms[i].end)
			return t->syms[i].name;
	}
	/* A symbol without a size reaches to the next one. */
	return t->syms[nearest].end == t->syms[nearest].start ? t->syms[nearest].name : NULL;
}
