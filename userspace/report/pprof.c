/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pprof.c - the gzipped protocol buffer that `go tool pprof` reads, with all four metrics; the one asked for is its default.
 *
 * A tape has offsets in files, a profile has addresses: each module gets a range of its own, at a multiple of 2^40, so that
 * address less start is the offset. All is named already, and the flags that say so keep the tool from looking itself.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zlib.h>

#include "formats/arena.h"
#include "report/pprof.pb-c.h"
#include "report/stack_profile.h"

#define MODULE_SHIFT 40

struct maker {
	const struct stack_profile *p;
	struct arena arena;
	Pprof__Profile out;
	struct index_map strings;   /* hash -> number */
	struct index_map functions; /* numbers of name and file -> index */
	size_t cap_strings, cap_functions;
	bool failed; /* memory is out: what was made is not used */
};

static void *make(struct maker *m, size_t nr, size_t nbytes)
{
	void *p = nbytes && nr > SIZE_MAX / 2 / nbytes ? NULL : arena_alloc(&m->arena, nr * nbytes);

	if (p)
		memset(p, 0, nr * nbytes);
	m->failed |= !p;
	return p;
}

/* Room for one more pointer. */
static bool grow(struct maker *m, void *list, size_t nr, size_t *cap)
{
	size_t more = *cap ? *cap * 2 : 1024;
	void *old, *bigger;

	if (nr < *cap)
		return true;
	memcpy(&old, list, sizeof(old));
	bigger = reallocarray(old, more, sizeof(void *));
	if (!bigger)
		return !(m->failed = true);
	memcpy(list, &bigger, sizeof(bigger));
	*cap = more;
	return true;
}

/* A text's number. Texts of one hash are told apart by giving the later one as many entries as it has uses. */
static int64_t string_of(struct maker *m, const char *text)
{
	uint64_t hash = XXH3_64bits(text, strlen(text));
	uint32_t at = index_map_find(&m->strings, hash);

	if (at != INDEX_NONE && strcmp(m->out.string_table[at], text) == 0)
		return at;
	if (!grow(m, &m->out.string_table, m->out.n_string_table, &m->cap_strings))
		return 0;
	if (at == INDEX_NONE && index_map_set(&m->strings, hash, (uint32_t)m->out.n_string_table))
		m->failed = true;
	m->out.string_table[m->out.n_string_table] = (char *)(uintptr_t)text;
	return (int64_t)m->out.n_string_table++;
}

static uint64_t function_of(struct maker *m, const struct tape_name *name)
{
	int64_t text = string_of(m, name->function), file = string_of(m, name->file);
	uint64_t key = (uint64_t)text << 32 | (uint64_t)file;
	uint32_t at = index_map_find(&m->functions, key);
	Pprof__Function *f;

	if (at != INDEX_NONE)
		return at + 1;
	f = make(m, 1, sizeof(*f));
	if (!f || !grow(m, &m->out.function, m->out.n_function, &m->cap_functions) ||
	    index_map_set(&m->functions, key, (uint32_t)m->out.n_function)) {
		m->failed = true;
		return 0;
	}
	pprof__function__init(f);
	f->id = m->out.n_function + 1;
	f->name = f->system_name = text;
	f->filename = file;
	m->out.function[m->out.n_function++] = f;
	return f->id;
}

static Pprof__ValueType *value_type(struct maker *m, const char *type, const char *unit)
{
	Pprof__ValueType *v = make(m, 1, sizeof(*v));

	if (!v)
		return NULL;
	pprof__value_type__init(v);
	v->type = string_of(m, type);
	v->unit = string_of(m, unit);
	return v;
}

/* The names that heap profiles of other programs bear, so that the tools' habits fit. */
static void make_types(struct maker *m, enum metric metric)
{
	static const char *const types[METRIC_NR] = { [METRIC_ALLOCATED_BYTES] = "alloc_space",
						      [METRIC_ALLOCATED_COUNT] = "alloc_objects",
						      [METRIC_LIVE_BYTES] = "inuse_space",
						      [METRIC_LIVE_COUNT] = "inuse_objects" };

	m->out.sample_type = make(m, METRIC_NR, sizeof(*m->out.sample_type));
	for (unsigned i = 0; i < METRIC_NR && m->out.sample_type; i++) {
		m->out.sample_type[i] = value_type(m, types[i], metric_is_bytes((enum metric)i) ? "bytes" : "count");
		m->out.n_sample_type++;
	}
	m->out.default_sample_type = string_of(m, types[metric]);
	m->out.period_type = value_type(m, "space", "bytes");
	m->out.period = 1; /* every allocation is there */
}

/* Code that was in no file has addresses already; nor does any file reach beyond its range. */
static bool has_mapping(const struct stack_profile *p, uint32_t module)
{
	const struct stack_profile_module *mod = module ? &p->modules[module - 1] : NULL;

	return mod && mod->end <= 1ull << MODULE_SHIFT && module < 1u << (63 - MODULE_SHIFT) && strncmp(mod->path, "//", 2) != 0;
}

static void make_mapping(struct maker *m, uint32_t module)
{
	const struct stack_profile_module *mod = &m->p->modules[module - 1];
	Pprof__Mapping *map = make(m, 1, sizeof(*map));

	if (!map)
		return;
	pprof__mapping__init(map);
	map->id = module;
	map->memory_start = (uint64_t)module << MODULE_SHIFT;
	map->memory_limit = map->memory_start + ((mod->end + 4095) & ~4095ull);
	map->filename = string_of(m, mod->path);
	map->build_id = string_of(m, mod->build_id);
	map->has_functions = map->has_filenames = map->has_line_numbers = map->has_inline_frames = true;
	m->out.mapping[m->out.n_mapping++] = map;
}

/* The tools take the first for the program itself. */
static void make_mappings(struct maker *m)
{
	const struct stack_profile *p = m->p;

	m->out.mapping = make(m, p->nr_modules, sizeof(*m->out.mapping));
	for (int programs = 1; programs >= 0; programs--)
		for (uint32_t i = 1; i <= p->nr_modules && !m->failed; i++)
			if (has_mapping(p, i) && (strcmp(p->modules[i - 1].path, p->program) == 0) == programs)
				make_mapping(m, i);
}

static void make_lines(struct maker *m, const struct stack_profile_place *place, Pprof__Location *loc)
{
	loc->line = make(m, place->nr_names, sizeof(*loc->line));
	for (uint32_t i = 0; i < place->nr_names && !m->failed; i++) {
		Pprof__Line *line = make(m, 1, sizeof(*line));

		if (!line)
			return;
		pprof__line__init(line);
		line->function_id = function_of(m, &place->names[i]);
		line->line = place->names[i].line;
		loc->line[loc->n_line++] = line;
	}
}

static void make_locations(struct maker *m)
{
	const struct stack_profile *p = m->p;

	m->out.location = make(m, p->nr_places, sizeof(*m->out.location));
	for (size_t i = 0; i < p->nr_places && !m->failed; i++) {
		const struct stack_profile_place *place = &p->places[i];
		Pprof__Location *loc = make(m, 1, sizeof(*loc));

		if (!loc)
			return;
		pprof__location__init(loc);
		loc->id = i + 1;
		loc->mapping_id = has_mapping(p, place->module) ? place->module : 0;
		loc->address = (loc->mapping_id << MODULE_SHIFT) + place->offset;
		make_lines(m, place, loc);
		m->out.location[m->out.n_location++] = loc;
	}
}

static void make_sample(struct maker *m, const struct stack_profile_sample *from)
{
	Pprof__Sample *s = make(m, 1, sizeof(*s));

	if (!s)
		return;
	pprof__sample__init(s);
	s->location_id = make(m, from->nr_places, sizeof(*s->location_id));
	s->value = make(m, METRIC_NR, sizeof(*s->value));
	if (m->failed)
		return;
	s->n_location_id = from->nr_places;
	for (uint32_t i = 0; i < from->nr_places; i++)
		s->location_id[i] = from->places[i] + 1;
	s->n_value = METRIC_NR;
	for (unsigned i = 0; i < METRIC_NR; i++)
		s->value[i] = (int64_t)from->values[i];
	m->out.sample[m->out.n_sample++] = s;
}

static void make_profile(struct maker *m, enum metric metric)
{
	const struct stack_profile *p = m->p;

	string_of(m, "");
	make_types(m, metric);
	make_mappings(m);
	make_locations(m);
	m->out.sample = make(m, p->nr_samples, sizeof(*m->out.sample));
	for (size_t i = 0; i < p->nr_samples && !m->failed; i++)
		make_sample(m, &p->samples[i]);
	m->out.time_nanos = (int64_t)p->start_unix_ns;
	m->out.duration_nanos = (int64_t)p->duration_ns;
}

/* gzip with nothing in its head that changes from run to run. */
static int write_gzip(const uint8_t *data, size_t nbytes, FILE *out)
{
	z_stream z = { 0 };
	uint8_t part[65536];
	int got = Z_OK;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16 /* gzip, not zlib */, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	z.next_in = (Bytef *)(uintptr_t)data;
	while (got == Z_OK) {
		size_t left = nbytes - (size_t)(z.next_in - data);

		z.avail_in = left > UINT32_MAX ? UINT32_MAX : (uInt)left;
		z.next_out = part;
		z.avail_out = sizeof(part);
		got = deflate(&z, left > UINT32_MAX ? Z_NO_FLUSH : Z_FINISH);
		fwrite(part, 1, sizeof(part) - z.avail_out, out);
	}
	deflateEnd(&z);
	return got == Z_STREAM_END ? 0 : -EIO;
}

static int pack_and_write(const struct maker *m, FILE *out)
{
	size_t nbytes = pprof__profile__get_packed_size(&m->out);
	uint8_t *packed = malloc(nbytes ? nbytes : 1);
	int err = -ENOMEM;

	if (packed) {
		pprof__profile__pack(&m->out, packed);
		err = write_gzip(packed, nbytes, out);
	}
	free(packed);
	return err;
}

static int write_pprof(const struct stack_profile *p, enum metric metric, FILE *out)
{
	struct maker m = { .p = p };
	int err = -ENOMEM;

	pprof__profile__init(&m.out);
	m.out.string_table = NULL;
	if (!index_map_init(&m.strings) && !index_map_init(&m.functions)) {
		make_profile(&m, metric);
		err = m.failed ? -ENOMEM : pack_and_write(&m, out);
	}
	index_map_free(&m.strings);
	index_map_free(&m.functions);
	free(m.out.string_table);
	free(m.out.function);
	arena_free(&m.arena);
	return err;
}

const struct export_format export_pprof = { .name = "pprof", .binary = true, .write = write_pprof };
