/* SPDX-License-Identifier: BSD-2-Clause */
/* module.c - see module.h. DWARF says most; where there is none, or it is silent, the ELF symbols name the function. */
#include "module.h"

#include <stdlib.h>
#include <string.h>

#include "symbols/build_id.h"
#include "symbols/segments.h"
#include "symbols/symtab.h"

struct module {
	char *path;
	char build_id[BUILD_ID_TEXT_MAX];
	enum module_state state;
	struct found binary, debug, shared;
	struct segments segments;
	struct symtab *symtab;
	Dwarf *dwarf, *shared_dwarf;
	struct dwarf_index *index;
};

static const char deleted[] = " (deleted)";

/* "BUILDID path", "-" for no build id; the kernel's word about a file that was unlinked is no part of its path. */
static bool take_name(struct module *m, const char *name)
{
	const char *space = strchr(name, ' ');
	size_t nbytes = space ? (size_t)(space - name) : 0;
	char *tail;

	m->path = strdup(space ? space + 1 : name);
	if (!m->path)
		return false;
	if (nbytes && nbytes < sizeof(m->build_id) && !(nbytes == 1 && *name == '-')) {
		memcpy(m->build_id, name, nbytes);
		m->build_id[nbytes] = 0;
	}
	tail = strstr(m->path, deleted);
	if (tail && tail > m->path && !tail[sizeof(deleted) - 1])
		*tail = 0;
	return true;
}

static void load_dwarf(struct module *m, const struct find *find)
{
	const struct found *from = m->debug.elf ? &m->debug : &m->binary;
	bool shares;

	m->dwarf = dwarf_begin_elf(from->elf, DWARF_C_READ, NULL);
	if (!m->dwarf)
		return;
	m->shared = find_shared(find, m->dwarf, from->path, &shares);
	if (m->shared.elf)
		m->shared_dwarf = dwarf_begin_elf(m->shared.elf, DWARF_C_READ, NULL);
	/* libdw would take what it finds under the name, another build's too, and give wrong names. */
	if (shares && !m->shared_dwarf)
		return;
	if (m->shared_dwarf)
		dwarf_setalt(m->dwarf, m->shared_dwarf);
	m->index = dwarf_index_new(m->dwarf);
}

/* Its own DWARF is as good as a debug file's, and cannot be another build's. */
static bool has_dwarf(Elf *elf)
{
	Dwarf *dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	Dwarf_CU *cu = NULL;
	bool has = dwarf && dwarf_get_units(dwarf, NULL, &cu, NULL, NULL, NULL, NULL) == 0;

	dwarf_end(dwarf);
	return has;
}

static void load(struct module *m, const struct find *find)
{
	m->binary = find_binary(find, m->path, m->build_id);
	if (!m->binary.elf || !has_dwarf(m->binary.elf))
		m->debug = find_debug(find, m->binary.elf ? &m->binary : NULL, m->path, m->build_id);
	if (m->binary.elf && segments_of(m->binary.elf, &m->segments)) {
		m->state = MODULE_FOUND;
		m->symtab = symtab_new(m->path, m->binary.fd, m->debug.path, m->debug.fd);
	} else if (m->debug.elf && segments_of_debug(m->debug.elf, &m->segments)) {
		m->state = MODULE_DEBUG_ONLY;
		m->symtab = symtab_new(m->path, m->debug.fd, NULL, -1);
	} else {
		m->state = MODULE_MISSING;
		return;
	}
	load_dwarf(m, find);
}

struct module *module_open(const struct find *find, const char *name)
{
	struct module *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->binary = m->debug = m->shared = FOUND_NONE;
	if (!take_name(m, name)) {
		module_close(m);
		return NULL;
	}
	if (strncmp(m->path, "//anon", 6) == 0)
		m->state = MODULE_NO_FILE;
	else
		load(m, find);
	return m;
}

void module_close(struct module *m)
{
	if (!m)
		return;
	dwarf_index_free(m->index);
	dwarf_end(m->dwarf);
	dwarf_end(m->shared_dwarf);
	symtab_free(m->symtab);
	found_close(&m->shared);
	found_close(&m->debug);
	found_close(&m->binary);
	free(m->path);
	free(m);
}

enum module_state module_state(const struct module *m)
{
	return m->state;
}

const char *module_path(const struct module *m)
{
	return m->path;
}

const char *module_build_id(const struct module *m)
{
	return m->build_id;
}

unsigned module_find(struct module *m, uint64_t offset, struct dwarf_name names[DWARF_DEPTH_MAX])
{
	const char *symbol;
	uint64_t vaddr;
	unsigned nr;

	if (!segments_vaddr(&m->segments, offset, &vaddr))
		return 0;
	nr = m->index ? dwarf_index_find(m->index, vaddr, names) : 0;
	symbol = m->symtab ? symtab_find(m->symtab, vaddr) : NULL;
	if (!nr && symbol) {
		names[0] = (struct dwarf_name){ .linkage = symbol };
		return 1;
	}
	/* The outermost function is the one that has a symbol; DWARF with lines alone does not tell its namespaces. */
	if (nr && symbol && !names[nr - 1].linkage && (!names[nr - 1].name || symbol[0] == '_'))
		names[nr - 1].linkage = symbol;
	return nr;
}
