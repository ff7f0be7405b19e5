/* SPDX-License-Identifier: BSD-2-Clause */
/* naming.c - see naming.h. */
#include "naming.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/arena.h"
#include "formats/index_map.h"
#include "utf8.h"

struct named {
	uint64_t offset;
	uint32_t module;
	bool first; /* a frame 0: its offset is that of the instruction itself */
	uint32_t nr;
	const struct tape_name *names; /* NULL: a free slot */
};

struct naming {
	struct tape_reader *r;
	struct symbols *symbols;
	struct named *slots;
	size_t nr_slots, nr; /* slots: a power of two, or 0 */
	struct arena arena;
	struct naming_counts counts;
	struct index_map missing; /* modules that were counted */
};

#define SLOTS_MIN 1024u

struct naming *naming_new(struct tape_reader *r, const struct find *find)
{
	struct naming *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->r = r;
	n->symbols = symbols_new(find, NULL);
	if (!n->symbols || index_map_init(&n->missing) || tape_reader_load_names(r)) {
		naming_free(n);
		return NULL;
	}
	return n;
}

void naming_free(struct naming *n)
{
	if (!n)
		return;
	symbols_free(n->symbols);
	free(n->slots);
	index_map_free(&n->missing);
	arena_free(&n->arena);
	free(n);
}

const char *naming_text(struct naming *n, const char *text)
{
	char *clean = arena_alloc(&n->arena, 2 * strlen(text) + 1);

	if (!clean)
		return "";
	utf8_clean(text, clean);
	return clean;
}

/* "libc.so.6+0x1234" */
static const char *place_text(struct naming *n, const char *module, uint64_t offset)
{
	const char *path = module ? strchr(module, ' ') : NULL, *base;
	char text[512];

	path = path ? path + 1 : "?";
	base = strrchr(path, '/');
	base = base && base[1] ? base + 1 : path;
	if (strncmp(path, "//", 2) == 0) { /* the kernel's way to call what is no file */
		snprintf(text, sizeof(text), "[%.256s]+0x%" PRIx64, path + 2, offset);
		return naming_text(n, text);
	}
	snprintf(text, sizeof(text), "%.256s+0x%" PRIx64, base, offset);
	return naming_text(n, text);
}

static bool all_have_functions(const struct tape_name *names, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (!*names[i].function)
			return false;
	return nr > 0;
}

/* What is known here is as good as what the tape knows, or better. */
static bool is_enough(const struct tape_name *here, uint32_t nr_here, const struct tape_name *tape, uint32_t nr_tape)
{
	if (!nr_tape)
		return nr_here > 0;
	return all_have_functions(here, nr_here) && (here[0].line || !tape[0].line);
}

static void count_missing(struct naming *n, uint32_t module, const char *name)
{
	const struct module *m = name ? symbols_module(n->symbols, name) : NULL;

	if (!m || module_state(m) != MODULE_MISSING || index_map_find(&n->missing, module) != INDEX_NONE)
		return;
	if (index_map_set(&n->missing, module, 0) == 0)
		n->counts.modules_missing++;
}

/* Copies names, makes their texts fit for output, and gives those without a function their place. */
static const struct tape_name *keep(struct naming *n, const struct tape_name *names, uint32_t nr, const char *module,
				    uint64_t offset)
{
	struct tape_name *kept = arena_alloc(&n->arena, nr * sizeof(*kept));

	for (uint32_t i = 0; kept && i < nr; i++) {
		kept[i].function = *names[i].function ? naming_text(n, names[i].function) : place_text(n, module, offset);
		kept[i].file = *names[i].file ? naming_text(n, names[i].file) : "";
		kept[i].line = names[i].line;
	}
	return kept;
}

static const struct tape_name *look_up(struct naming *n, uint32_t module, uint64_t offset, uint64_t place, uint32_t *nr_ret)
{
	static const struct tape_name nothing = { "", "", 0 };
	const char *name = tape_reader_string(n->r, module);
	const struct tape_name *here = NULL, *tape = NULL, *best;
	uint32_t nr_here = name ? symbols_find(n->symbols, name, place, &here) : 0;
	uint32_t nr_tape = tape_reader_names(n->r, module, place, &tape);

	n->counts.places++;
	if (is_enough(here, nr_here, tape, nr_tape)) {
		best = here;
		*nr_ret = nr_here;
		n->counts.named_here++;
	} else if (nr_tape) {
		best = tape;
		*nr_ret = nr_tape;
		n->counts.named_by_tape++;
	} else {
		best = &nothing;
		*nr_ret = 1;
		n->counts.unnamed++;
		count_missing(n, module, name);
	}
	return keep(n, best, *nr_ret, name, offset);
}

static struct named *slot_of(struct named *slots, size_t nr_slots, uint32_t module, uint64_t offset, bool first)
{
	uint64_t i = (offset * 2 + first + ((uint64_t)module << 40)) * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */

	i = (i >> 20) & (nr_slots - 1);
	while (slots[i].names && (slots[i].module != module || slots[i].offset != offset || slots[i].first != first))
		i = (i + 1) & (nr_slots - 1);
	return &slots[i];
}

static int grow(struct naming *n)
{
	size_t nr_slots = n->nr_slots ? n->nr_slots * 2 : SLOTS_MIN;
	struct named *slots;

	if ((n->nr + 1) * 2 <= n->nr_slots)
		return 0;
	slots = calloc(nr_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < n->nr_slots; i++)
		if (n->slots[i].names)
			*slot_of(slots, nr_slots, n->slots[i].module, n->slots[i].offset, n->slots[i].first) = n->slots[i];
	free(n->slots);
	n->slots = slots;
	n->nr_slots = nr_slots;
	return 0;
}

const struct tape_name *naming_frame(struct naming *n, const struct tape_frame *frames, uint32_t i, uint32_t *nr_ret)
{
	struct named *slot, fresh = { frames[i].offset, frames[i].module, i == 0, 0, NULL };

	*nr_ret = 0;
	if (grow(n))
		return NULL;
	slot = slot_of(n->slots, n->nr_slots, fresh.module, fresh.offset, fresh.first);
	if (!slot->names) {
		fresh.names = look_up(n, fresh.module, fresh.offset, tape_frame_place(frames, i), &fresh.nr);
		if (!fresh.names)
			return NULL;
		*slot = fresh;
		n->nr++;
	}
	*nr_ret = slot->nr;
	return slot->names;
}

void naming_counts(const struct naming *n, struct naming_counts *counts)
{
	*counts = n->counts;
}
