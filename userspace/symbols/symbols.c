/* SPDX-License-Identifier: BSD-2-Clause */
/* symbols.c - see symbols.h. */
#include "symbols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "formats/arena.h"
#include "formats/index_map.h"
#include "symbols/demangle.h"

struct known_module {
	char *name;
	struct module *module;
	struct index_map places; /* place -> index in symbols.results */
};

struct result {
	const struct tape_name *names;
	unsigned nr;
};

struct symbols {
	struct find find;
	struct perf_map *perf_map;
	struct known_module *modules;
	size_t nr_modules, cap_modules, last_module;
	struct index_map by_name; /* hash of a module's name -> index; two names of one hash are told apart by a walk */
	struct result *results;
	size_t nr_results, cap_results;
	struct index_map texts; /* hash of a text -> index in text_list */
	const char **text_list;
	size_t nr_texts, cap_texts;
	struct arena arena;
};

struct symbols *symbols_new(const struct find *find, struct perf_map *perf_map)
{
	struct symbols *s = calloc(1, sizeof(*s));

	if (!s) {
		perf_map_free(perf_map);
		return NULL;
	}
	elf_version(EV_CURRENT);
	s->find = *find;
	s->perf_map = perf_map;
	if (index_map_init(&s->by_name) || index_map_init(&s->texts)) {
		symbols_free(s);
		return NULL;
	}
	return s;
}

void symbols_free(struct symbols *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr_modules; i++) {
		module_close(s->modules[i].module);
		index_map_free(&s->modules[i].places);
		free(s->modules[i].name);
	}
	free(s->modules);
	free(s->results);
	free(s->text_list);
	index_map_free(&s->by_name);
	index_map_free(&s->texts);
	arena_free(&s->arena);
	perf_map_free(s->perf_map);
	free(s);
}

/* Room for one more of `size` bytes each; list points to the pointer. */
static int grow(void *list, size_t nr, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 64;
	void *old, *bigger;

	if (nr < *cap)
		return 0;
	memcpy(&old, list, sizeof(old)); /* whatever type of pointer it is */
	bigger = reallocarray(old, more, size);
	if (!bigger)
		return -ENOMEM;
	memcpy(list, &bigger, sizeof(bigger));
	*cap = more;
	return 0;
}

/* ---- modules ---- */

static struct known_module *new_module(struct symbols *s, const char *name, uint64_t hash)
{
	struct known_module *m;

	if (grow(&s->modules, s->nr_modules, &s->cap_modules, sizeof(*s->modules)))
		return NULL;
	m = &s->modules[s->nr_modules];
	*m = (struct known_module){ .name = strdup(name) };
	if (m->name)
		m->module = module_open(&s->find, name);
	if (!m->module || index_map_init(&m->places) ||
	    (index_map_find(&s->by_name, hash) == INDEX_NONE && index_map_set(&s->by_name, hash, (uint32_t)s->nr_modules))) {
		module_close(m->module);
		index_map_free(&m->places);
		free(m->name);
		return NULL;
	}
	s->last_module = s->nr_modules++;
	return m;
}

static struct known_module *module_of(struct symbols *s, const char *name)
{
	uint64_t hash;
	uint32_t at;

	if (s->nr_modules && strcmp(s->modules[s->last_module].name, name) == 0)
		return &s->modules[s->last_module];
	hash = XXH3_64bits(name, strlen(name));
	at = index_map_find(&s->by_name, hash);
	if (at == INDEX_NONE)
		return new_module(s, name, hash);
	for (size_t i = at; i < s->nr_modules; i++)
		if (strcmp(s->modules[i].name, name) == 0)
			return &s->modules[s->last_module = i];
	return new_module(s, name, hash);
}

const struct module *symbols_module(struct symbols *s, const char *module)
{
	const struct known_module *m = module_of(s, module);

	return m ? m->module : NULL;
}

void symbols_each_module(const struct symbols *s, void (*fn)(void *arg, const struct module *m), void *arg)
{
	for (size_t i = 0; i < s->nr_modules; i++)
		fn(arg, s->modules[i].module);
}

/* ---- texts ---- */

/* One copy of each text. "" for NULL, or when memory is out: a name less is no reason to fail. */
static const char *keep_text(struct symbols *s, const char *text)
{
	uint64_t hash;
	uint32_t at;
	char *copy;

	if (!text || !*text)
		return "";
	hash = XXH3_64bits(text, strlen(text));
	at = index_map_find(&s->texts, hash);
	if (at != INDEX_NONE && strcmp(s->text_list[at], text) == 0)
		return s->text_list[at];
	copy = arena_copy(&s->arena, text, strlen(text) + 1);
	if (!copy)
		return "";
	if (at == INDEX_NONE && !grow(&s->text_list, s->nr_texts, &s->cap_texts, sizeof(*s->text_list)) &&
	    !index_map_set(&s->texts, hash, (uint32_t)s->nr_texts))
		s->text_list[s->nr_texts++] = copy;
	return copy;
}

/* memcpy@@GLIBC_2.14: which version it is does not matter to who reads a stack. */
static const char *keep_symbol(struct symbols *s, const char *symbol)
{
	size_t nbytes = strcspn(symbol + 1, "@") + 1;
	char *name, *plain = strndup(symbol, nbytes);
	const char *kept;

	name = plain ? demangle(plain) : NULL;
	kept = keep_text(s, name ? name : plain);
	free(name);
	free(plain);
	return kept;
}

static struct tape_name name_of(struct symbols *s, const struct dwarf_name *d)
{
	const char *symbol = d->linkage && *d->linkage ? d->linkage : NULL;
	struct tape_name name = { .function = "", .file = keep_text(s, d->file), .line = d->line };

	/* An unmangled symbol may carry a compiler's suffix (.constprop.0) that the source's name lacks. */
	if (symbol && (symbol[0] == '_' || !d->name))
		name.function = keep_symbol(s, symbol);
	else
		name.function = keep_text(s, d->name);
	if (symbol && d->name && strcmp(name.function, symbol) == 0)
		name.function = keep_text(s, d->name);
	return name;
}

/* ---- places ---- */

static unsigned look_up(struct symbols *s, struct known_module *m, uint64_t place, struct tape_name names[DWARF_DEPTH_MAX])
{
	struct dwarf_name found[DWARF_DEPTH_MAX];
	const char *jit;
	unsigned nr;

	if (module_state(m->module) == MODULE_NO_FILE) {
		jit = s->perf_map ? perf_map_find(s->perf_map, place) : NULL;
		names[0] = (struct tape_name){ keep_text(s, jit), "", 0 };
		return jit != NULL;
	}
	nr = module_find(m->module, place, found);
	for (unsigned i = 0; i < nr; i++)
		names[i] = name_of(s, &found[i]);
	return nr;
}

unsigned symbols_find(struct symbols *s, const char *module, uint64_t place, const struct tape_name **names_ret)
{
	struct tape_name names[DWARF_DEPTH_MAX], *kept;
	struct known_module *m = module_of(s, module);
	uint32_t at = m ? index_map_find(&m->places, place) : INDEX_NONE;
	unsigned nr;

	*names_ret = NULL;
	if (!m)
		return 0;
	if (at != INDEX_NONE) {
		*names_ret = s->results[at].names;
		return s->results[at].nr;
	}
	nr = look_up(s, m, place, names);
	kept = arena_copy(&s->arena, names, nr * sizeof(names[0]));
	if (!kept || grow(&s->results, s->nr_results, &s->cap_results, sizeof(*s->results)) ||
	    index_map_set(&m->places, place, (uint32_t)s->nr_results))
		return 0;
	s->results[s->nr_results++] = (struct result){ kept, nr };
	*names_ret = nr ? kept : NULL;
	return nr;
}
