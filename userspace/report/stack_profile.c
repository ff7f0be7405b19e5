/* SPDX-License-Identifier: BSD-2-Clause */
/* stack_profile.c - see stack_profile.h. */
#include "report/stack_profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/arena.h"

struct maker {
	struct stack_profile *p;
	const struct tape_reader *r;
	struct naming *naming;
	struct index_map modules; /* string number -> index */
	struct index_map places;  /* naming's names, which are one array for each place -> index */
	uint32_t *scratch;	  /* the stack at hand */
	size_t cap_scratch;
};

const char *metric_name(enum metric metric)
{
	static const char *const names[] = { [METRIC_ALLOCATED_BYTES] = "allocated-bytes",
					     [METRIC_ALLOCATED_COUNT] = "allocated-count",
					     [METRIC_LIVE_BYTES] = "live-bytes",
					     [METRIC_LIVE_COUNT] = "live-count" };

	return names[metric];
}

bool metric_is_bytes(enum metric metric)
{
	return metric == METRIC_ALLOCATED_BYTES || metric == METRIC_LIVE_BYTES;
}

static int new_place(struct maker *m, const struct stack_profile_place *place, uint32_t *at_ret)
{
	struct stack_profile *p = m->p;
	uint64_t key = (uint64_t)(uintptr_t)place->names;
	int err;

	if (p->nr_places == p->cap_places) {
		size_t cap = p->cap_places ? p->cap_places * 2 : 1024;
		struct stack_profile_place *places = reallocarray(p->places, cap, sizeof(*places));

		if (!places)
			return -ENOMEM;
		p->places = places;
		p->cap_places = cap;
	}
	err = index_map_set(&m->places, key, (uint32_t)p->nr_places);
	if (err)
		return err;
	p->places[p->nr_places] = *place;
	*at_ret = (uint32_t)p->nr_places++;
	return 0;
}

/* "BUILDID path" cut into its two. */
static int name_module(struct maker *m, struct stack_profile_module *mod, const char *name)
{
	const char *space = name ? strchr(name, ' ') : NULL;
	char *build_id;

	mod->path = naming_text(m->naming, space ? space + 1 : "");
	mod->build_id = "";
	if (!space || (space == name + 1 && *name == '-'))
		return 0;
	build_id = arena_alloc(m->p->arena, (size_t)(space - name) + 1);
	if (!build_id)
		return -ENOMEM;
	memcpy(build_id, name, (size_t)(space - name));
	build_id[space - name] = 0;
	mod->build_id = naming_text(m->naming, build_id);
	return 0;
}

/* The index plus 1 of a module of the tape. */
static int module_of(struct maker *m, uint32_t string, uint32_t *nr_ret)
{
	struct stack_profile *p = m->p;
	uint32_t at = index_map_find(&m->modules, string);
	int err;

	*nr_ret = at + 1;
	if (at != INDEX_NONE)
		return 0;
	if (p->nr_modules == p->cap_modules) {
		size_t cap = p->cap_modules ? p->cap_modules * 2 : 64;
		struct stack_profile_module *modules = reallocarray(p->modules, cap, sizeof(*modules));

		if (!modules)
			return -ENOMEM;
		p->modules = modules;
		p->cap_modules = cap;
	}
	p->modules[p->nr_modules] = (struct stack_profile_module){ 0 };
	err = name_module(m, &p->modules[p->nr_modules], tape_reader_string(m->r, string));
	if (!err)
		err = index_map_set(&m->modules, string, (uint32_t)p->nr_modules);
	if (err)
		return err;
	*nr_ret = (uint32_t)++p->nr_modules;
	return 0;
}

static int place_of_frame(struct maker *m, const struct tape_frame *frames, uint32_t i, uint32_t *at_ret)
{
	struct stack_profile_place place = { .offset = frames[i].offset };
	struct stack_profile_module *mod;
	int err;

	place.names = naming_frame(m->naming, frames, i, &place.nr_names);
	if (!place.names)
		return -ENOMEM;
	*at_ret = index_map_find(&m->places, (uint64_t)(uintptr_t)place.names);
	if (*at_ret != INDEX_NONE)
		return 0;
	err = module_of(m, frames[i].module, &place.module);
	if (err)
		return err;
	mod = &m->p->modules[place.module - 1];
	if (place.offset >= mod->end)
		mod->end = place.offset + 1;
	return new_place(m, &place, at_ret);
}

/* What is no place in the code, told in brackets. */
static int place_of_note(struct maker *m, const struct tape_name *note, uint32_t *at_ret)
{
	*at_ret = index_map_find(&m->places, (uint64_t)(uintptr_t)note);
	return *at_ret != INDEX_NONE ? 0 : new_place(m, &(struct stack_profile_place){ .names = note, .nr_names = 1 }, at_ret);
}

static int grow_scratch(struct maker *m, size_t nr)
{
	uint32_t *scratch;

	if (nr <= m->cap_scratch)
		return 0;
	scratch = reallocarray(m->scratch, nr, sizeof(*scratch));
	if (!scratch)
		return -ENOMEM;
	m->scratch = scratch;
	m->cap_scratch = nr;
	return 0;
}

static int make_sample(struct maker *m, const struct by_stack_entry *e, struct stack_profile_sample *sample)
{
	static const struct tape_name without = { "[no stack]", "", 0 }, cut = { "[truncated]", "", 0 },
				      lost = { "[stack lost]", "", 0 };
	const struct tape_frame *frames;
	uint32_t nr, at = 0;
	bool truncated;
	int err;

	nr = tape_reader_stack(m->r, e->stack, &frames, &truncated);
	err = grow_scratch(m, (size_t)nr + 1);
	for (; !err && at < nr; at++)
		err = place_of_frame(m, frames, at, &m->scratch[at]);
	if (!err && e->stack == TAPE_NO_STACK)
		err = place_of_note(m, &without, &m->scratch[at++]);
	else if (!err && !frames) /* its dictionary block was damaged */
		err = place_of_note(m, &lost, &m->scratch[at++]);
	else if (!err && (truncated || !nr))
		err = place_of_note(m, &cut, &m->scratch[at++]);
	sample->places = err ? NULL : arena_copy(m->p->arena, m->scratch, at * sizeof(m->scratch[0]));
	sample->nr_places = at;
	memcpy(sample->values, e->values, sizeof(sample->values));
	if (!err && !sample->places)
		err = -ENOMEM;
	return err;
}

static int make_samples(struct maker *m, const struct by_stack *b)
{
	struct stack_profile *p = m->p;
	int err = 0;

	p->samples = calloc(b->nr ? b->nr : 1, sizeof(*p->samples));
	if (!p->samples)
		return -ENOMEM;
	for (size_t i = 0; i < b->nr && !err; i++) {
		err = make_sample(m, &b->entries[i], &p->samples[p->nr_samples++]);
		for (unsigned k = 0; k < METRIC_NR; k++)
			p->sums[k] += b->entries[i].values[k];
	}
	return err;
}

int stack_profile_make(struct stack_profile *p, const struct tape_reader *r, const struct by_stack *b, struct naming *naming)
{
	struct maker m = { .p = p, .r = r, .naming = naming };
	const char *program = tape_reader_meta(r, "target.exe");
	int err = 0;

	*p = (struct stack_profile){ .start_unix_ns = tape_reader_meta_u64(r, "start_unix_ns", 0),
			       .duration_ns = tape_reader_meta_u64(r, "duration_ns", 0),
			       .program = naming_text(naming, program ? program : ""),
			       .arena = calloc(1, sizeof(*p->arena)) };
	if (!p->arena || index_map_init(&m.modules) || index_map_init(&m.places))
		err = -ENOMEM;
	if (!err)
		err = make_samples(&m, b);
	index_map_free(&m.modules);
	index_map_free(&m.places);
	free(m.scratch);
	return err;
}

void stack_profile_free(struct stack_profile *p)
{
	if (p->arena)
		arena_free(p->arena);
	free(p->arena);
	free(p->places);
	free(p->modules);
	free(p->samples);
	*p = (struct stack_profile){ 0 };
}
