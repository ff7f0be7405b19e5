/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dict_writer.c - gives equal strings and stacks equal numbers, and collects the new ones for the next DICT block.
 *
 * Both are interned as bytes: a stack as the varints that also go to the file. What a segment uses is noted by
 * number and written in ascending order, whether it is new or was written in an earlier segment.
 */
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "dict.h"

#define INTERN_SLOTS_MIN 1024u

/* Open addressing; id 0 is a free slot, which is why numbers start at 1. */
struct intern_slot {
	uint32_t hash, id;
};

struct intern_entry {
	const uint8_t *data;
	uint32_t nbytes;
	uint32_t segment; /* the last one that wrote it, counted from 1 */
};

struct intern {
	struct intern_slot *slots;
	uint32_t nr_slots; /* power of two */
	struct intern_entry *entries; /* by number, [0] unused */
	uint32_t nr, cap;
};

/* Numbers that wait for a block. */
struct pending {
	uint32_t *ids;
	uint32_t nr, cap;
	size_t nbytes; /* of their entries, at most */
};

struct dict_writer {
	struct arena arena;
	uint32_t segment; /* from 1 */
	struct intern strings, stacks;
	struct {
		char *name, *path, *build_id;
	} allocators[TAPE_NO_ALLOC];
	uint32_t nr_allocators, nr_allocators_written; /* the latter: in this segment */
	struct pending strings_pending, stacks_pending;
	struct bytes key; /* scratch: the stack being looked up */
};

struct dict_writer *dict_writer_new(void)
{
	struct dict_writer *d = calloc(1, sizeof(*d));

	if (d)
		d->segment = 1;
	return d;
}

static void intern_free(struct intern *t)
{
	free(t->slots);
	free(t->entries);
}

void dict_writer_free(struct dict_writer *d)
{
	if (!d)
		return;
	intern_free(&d->strings);
	intern_free(&d->stacks);
	free(d->strings_pending.ids);
	free(d->stacks_pending.ids);
	bytes_free(&d->key);
	arena_free(&d->arena);
	free(d);
}

static void slot_put(struct intern_slot *slots, uint32_t nr_slots, struct intern_slot s)
{
	uint32_t i = s.hash & (nr_slots - 1);

	while (slots[i].id)
		i = (i + 1) & (nr_slots - 1);
	slots[i] = s;
}

/* Room for one more entry, at most half of the slots in use. */
static int intern_grow(struct intern *t)
{
	if (t->nr + 1 >= t->cap) {
		uint32_t cap = t->cap ? t->cap * 2 : INTERN_SLOTS_MIN;
		struct intern_entry *entries = reallocarray(t->entries, cap, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		t->entries = entries;
		t->cap = cap;
	}
	if ((t->nr + 1) * 2 > t->nr_slots) {
		uint32_t nr_slots = t->nr_slots ? t->nr_slots * 2 : INTERN_SLOTS_MIN;
		struct intern_slot *slots = calloc(nr_slots, sizeof(*slots));

		if (!slots)
			return -ENOMEM;
		for (uint32_t i = 0; i < t->nr_slots; i++)
			if (t->slots[i].id)
				slot_put(slots, nr_slots, t->slots[i]);
		free(t->slots);
		t->slots = slots;
		t->nr_slots = nr_slots;
	}
	return 0;
}

static uint32_t intern_find(const struct intern *t, const uint8_t *data, uint32_t nbytes, uint32_t hash)
{
	if (!t->nr_slots)
		return 0;
	for (uint32_t i = hash & (t->nr_slots - 1); t->slots[i].id; i = (i + 1) & (t->nr_slots - 1)) {
		const struct intern_entry *e = &t->entries[t->slots[i].id];

		if (t->slots[i].hash == hash && e->nbytes == nbytes && memcmp(e->data, data, nbytes) == 0)
			return t->slots[i].id;
	}
	return 0;
}

/* Notes that this segment needs the entry. */
static int want(struct dict_writer *d, struct intern *t, struct pending *p, uint32_t id)
{
	struct intern_entry *e = &t->entries[id];

	if (p->nr == p->cap) {
		uint32_t cap = p->cap ? p->cap * 2 : 256;
		uint32_t *ids = reallocarray(p->ids, cap, sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		p->ids = ids;
		p->cap = cap;
	}
	p->ids[p->nr++] = id;
	p->nbytes += e->nbytes + 2 * VARINT_NBYTES_MAX;
	e->segment = d->segment;
	return 0;
}

int dict_writer_use_string(struct dict_writer *d, uint64_t id)
{
	if (!id || id > d->strings.nr || d->strings.entries[id].segment == d->segment)
		return 0;
	return want(d, &d->strings, &d->strings_pending, (uint32_t)id);
}

/* A stack needs its modules' names too. */
int dict_writer_use_stack(struct dict_writer *d, uint32_t id)
{
	struct cursor c;
	uint64_t nr;
	int err;

	if (!id || id > d->stacks.nr || d->stacks.entries[id].segment == d->segment)
		return 0;
	err = want(d, &d->stacks, &d->stacks_pending, id);
	c = cursor_of(d->stacks.entries[id].data, d->stacks.entries[id].nbytes);
	for (nr = cursor_varint(&c) >> 1; nr && !err; nr--) {
		err = dict_writer_use_string(d, cursor_varint(&c));
		cursor_varint(&c);
	}
	return err;
}

static void forget(struct pending *p)
{
	p->nr = 0;
	p->nbytes = 0;
}

void dict_writer_segment(struct dict_writer *d)
{
	d->segment++;
	d->nr_allocators_written = 0;
	forget(&d->strings_pending);
	forget(&d->stacks_pending);
}

/* *id_ret: the number of the equal entry, which may be new. */
static int intern(struct dict_writer *d, struct intern *t, const uint8_t *data, uint32_t nbytes, uint32_t *id_ret)
{
	uint32_t hash = (uint32_t)XXH3_64bits(data, nbytes);
	uint8_t *copy;
	int err;

	*id_ret = intern_find(t, data, nbytes, hash);
	if (*id_ret)
		return 0;
	if (t->nr >= DICT_ID_MAX)
		return -ENOSPC;
	err = intern_grow(t);
	if (err)
		return err;
	copy = arena_copy(&d->arena, data, nbytes);
	if (!copy)
		return -ENOMEM;
	*id_ret = ++t->nr;
	t->entries[*id_ret] = (struct intern_entry){ copy, nbytes, 0 };
	slot_put(t->slots, t->nr_slots, (struct intern_slot){ hash, *id_ret });
	return 0;
}

static uint32_t cut_length(const char *s)
{
	return (uint32_t)strnlen(s, DICT_STRING_NBYTES_MAX);
}

static void put_text(struct bytes *b, const char *s)
{
	uint32_t nbytes = cut_length(s);

	bytes_put_varint(b, nbytes);
	memcpy(b->data + b->nbytes, s, nbytes);
	b->nbytes += nbytes;
}

int dict_writer_string(struct dict_writer *d, const char *s, uint32_t *id_ret)
{
	int err = intern(d, &d->strings, (const uint8_t *)s, cut_length(s), id_ret);

	return err ? err : dict_writer_use_string(d, *id_ret);
}

int dict_writer_stack(struct dict_writer *d, const struct tape_frame *frames, uint32_t nr_frames, bool truncated,
		      uint32_t *id_ret)
{
	struct bytes *key = &d->key;
	int err;

	if (nr_frames > DICT_STACK_FRAMES_MAX) {
		nr_frames = DICT_STACK_FRAMES_MAX;
		truncated = true;
	}
	key->nbytes = 0;
	err = bytes_reserve(key, (2 * (size_t)nr_frames + 1) * VARINT_NBYTES_MAX);
	if (err)
		return err;
	bytes_put_varint(key, (uint64_t)nr_frames << 1 | truncated);
	for (uint32_t i = 0; i < nr_frames; i++) {
		bytes_put_varint(key, frames[i].module);
		bytes_put_varint(key, frames[i].offset);
	}
	err = intern(d, &d->stacks, key->data, (uint32_t)key->nbytes, id_ret);
	return err ? err : dict_writer_use_stack(d, *id_ret);
}

static bool same_allocator(const struct dict_writer *d, uint32_t i, const struct tape_allocator *a)
{
	return !strcmp(d->allocators[i].name, a->name) && !strcmp(d->allocators[i].path, a->path) &&
	       !strcmp(d->allocators[i].build_id, a->build_id);
}

static char *arena_text(struct arena *a, const char *s)
{
	return arena_copy(a, s, strlen(s) + 1);
}

int dict_writer_allocator(struct dict_writer *d, const struct tape_allocator *a, uint8_t *id_ret)
{
	struct tape_allocator full = { a->name ? a->name : "", a->path ? a->path : "", a->build_id ? a->build_id : "" };
	uint32_t i;

	for (i = 0; i < d->nr_allocators && !same_allocator(d, i, &full); i++)
		;
	*id_ret = (uint8_t)i;
	if (i < d->nr_allocators)
		return 0;
	if (i == TAPE_NO_ALLOC)
		return -ENOSPC;
	d->allocators[i].name = arena_text(&d->arena, full.name);
	d->allocators[i].path = arena_text(&d->arena, full.path);
	d->allocators[i].build_id = arena_text(&d->arena, full.build_id);
	if (!d->allocators[i].name || !d->allocators[i].path || !d->allocators[i].build_id)
		return -ENOMEM;
	d->nr_allocators++;
	return 0;
}

/* Strings are interned without the NUL that a caller wants behind them. */
static const char *string_of(const struct dict_writer *d, uint32_t id, char text[DICT_STRING_NBYTES_MAX + 1])
{
	if (!id || id > d->strings.nr)
		return NULL;
	memcpy(text, d->strings.entries[id].data, d->strings.entries[id].nbytes);
	text[d->strings.entries[id].nbytes] = 0;
	return text;
}

/* The name of the module that was asked for last. */
struct module_text {
	char text[DICT_STRING_NBYTES_MAX + 1];
	uint32_t module;
};

static int each_frame_of(const struct dict_writer *d, uint32_t stack, struct module_text *name, dict_frame_fn *fn, void *arg)
{
	const struct intern_entry *e = &d->stacks.entries[stack];
	struct cursor c = cursor_of(e->data, e->nbytes);
	uint64_t nr = cursor_varint(&c) >> 1;

	for (uint64_t i = 0; i < nr; i++) {
		uint32_t module = (uint32_t)cursor_varint(&c);
		uint64_t offset = cursor_varint(&c);
		int stop;

		if (module != name->module && string_of(d, module, name->text))
			name->module = module;
		stop = module && module == name->module ? fn(arg, module, name->text, offset - (i && offset)) : 0;
		if (stop)
			return stop;
	}
	return 0;
}

int dict_writer_each_frame(const struct dict_writer *d, dict_frame_fn *fn, void *arg)
{
	struct module_text name = { .module = 0 };
	int stop = 0;

	for (uint32_t id = 1; id <= d->stacks.nr && !stop; id++)
		stop = each_frame_of(d, id, &name, fn, arg);
	return stop;
}

int dict_writer_stack_frames(const struct dict_writer *d, uint32_t stack, dict_frame_fn *fn, void *arg)
{
	struct module_text name = { .module = 0 };

	return stack && stack <= d->stacks.nr ? each_frame_of(d, stack, &name, fn, arg) : 0;
}

/* ---- the DICT block ---- */

static size_t allocators_nbytes(const struct dict_writer *d)
{
	return (size_t)(d->nr_allocators - d->nr_allocators_written) *
	       (3 * (DICT_STRING_NBYTES_MAX + VARINT_NBYTES_MAX) + VARINT_NBYTES_MAX);
}

size_t dict_writer_pending_nbytes(const struct dict_writer *d)
{
	return d->strings_pending.nbytes + d->stacks_pending.nbytes;
}

uint32_t dict_writer_pending(const struct dict_writer *d)
{
	return d->strings_pending.nr + d->stacks_pending.nr + d->nr_allocators - d->nr_allocators_written;
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Entries in the order of their numbers. Strings get their length in front, which a stack has within. */
static void put_entries(const struct intern *t, struct pending *p, bool lengths, struct bytes *out)
{
	uint32_t last = 0;

	qsort(p->ids, p->nr, sizeof(*p->ids), compare_ids);
	for (uint32_t i = 0; i < p->nr; i++) {
		const struct intern_entry *e = &t->entries[p->ids[i]];

		bytes_put_varint(out, p->ids[i] - last);
		last = p->ids[i];
		if (lengths)
			bytes_put_varint(out, e->nbytes);
		memcpy(out->data + out->nbytes, e->data, e->nbytes);
		out->nbytes += e->nbytes;
	}
	forget(p);
}

static void put_allocators(struct dict_writer *d, struct bytes *out)
{
	for (uint32_t i = d->nr_allocators_written, last = 0; i < d->nr_allocators; i++) {
		bytes_put_varint(out, i + 1 - last);
		last = i + 1;
		put_text(out, d->allocators[i].name);
		put_text(out, d->allocators[i].path);
		put_text(out, d->allocators[i].build_id);
	}
	d->nr_allocators_written = d->nr_allocators;
}

/* The section's length stands in front of it: so it is made in `section` first. */
static void put_section(enum dict_type type, uint32_t nr, const struct bytes *section, struct bytes *out)
{
	bytes_put_u8(out, (uint8_t)type);
	bytes_put_varint(out, nr);
	bytes_put_varint(out, section->nbytes);
	memcpy(out->data + out->nbytes, section->data, section->nbytes);
	out->nbytes += section->nbytes;
}

int dict_writer_take(struct dict_writer *d, struct bytes *out)
{
	size_t nbytes = dict_writer_pending_nbytes(d) + allocators_nbytes(d) + DICT_NR * (1 + 2 * VARINT_NBYTES_MAX);
	uint32_t nr;

	d->key.nbytes = 0;
	if (bytes_reserve(out, nbytes) || bytes_reserve(&d->key, nbytes))
		return -ENOMEM;
	if ((nr = d->strings_pending.nr)) {
		put_entries(&d->strings, &d->strings_pending, true, &d->key);
		put_section(DICT_STRING, nr, &d->key, out);
	}
	d->key.nbytes = 0;
	if ((nr = d->stacks_pending.nr)) {
		put_entries(&d->stacks, &d->stacks_pending, false, &d->key);
		put_section(DICT_STACK, nr, &d->key, out);
	}
	d->key.nbytes = 0;
	if ((nr = d->nr_allocators - d->nr_allocators_written)) {
		put_allocators(d, &d->key);
		put_section(DICT_ALLOCATOR, nr, &d->key, out);
	}
	return 0;
}
