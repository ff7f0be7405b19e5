/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dict_reader.c - takes DICT payloads and looks numbers up.
 *
 * Numbers may have gaps (a damaged DICT block, dropped segments), so the tables are hashes: what a tape can make
 * the reader allocate stays in proportion to the entries it really holds.
 */
#include <errno.h>
#include <stdlib.h>

#include "dict.h"

#define TABLE_SLOTS_MIN 256u
#define DICT_NBYTES_MAX ((size_t)1 << 30) /* more is no tape but a bomb: 100 times the largest seen */

struct dict_entry {
	const void *data;
	uint32_t id;     /* 0: a free slot */
	uint32_t nbytes; /* of data */
	bool truncated;  /* stacks */
};

struct dict_table {
	struct dict_entry *slots;
	uint32_t nr_slots; /* power of two, or 0 */
	uint32_t nr;
	uint32_t last_id; /* highest defined */
};

struct dict_reader {
	struct arena arena;
	struct dict_table strings, stacks;
	struct tape_allocator allocators[TAPE_NO_ALLOC]; /* name NULL: not defined */
	uint32_t nr_allocators;
	struct tape_frame frames[DICT_STACK_FRAMES_MAX]; /* scratch: the stack being read */
};

struct dict_reader *dict_reader_new(void)
{
	return calloc(1, sizeof(struct dict_reader));
}

void dict_reader_free(struct dict_reader *d)
{
	if (!d)
		return;
	free(d->strings.slots);
	free(d->stacks.slots);
	arena_free(&d->arena);
	free(d);
}

/* The slot that holds id, or the free one where it belongs. The table has a free slot. */
static struct dict_entry *table_slot(const struct dict_table *t, uint32_t id)
{
	uint32_t i = id * 0x9e3779b1u; /* 2^32 / golden ratio: numbers in a row spread */

	for (i = (i ^ i >> 16) & (t->nr_slots - 1); t->slots[i].id && t->slots[i].id != id;)
		i = (i + 1) & (t->nr_slots - 1);
	return &t->slots[i];
}

static const struct dict_entry *table_find(const struct dict_table *t, uint32_t id)
{
	const struct dict_entry *e = id && id <= t->last_id ? table_slot(t, id) : NULL;

	return e && e->id ? e : NULL;
}

static int table_grow(struct dict_table *t)
{
	struct dict_table grown = *t;

	if ((t->nr + 1) * 2 <= t->nr_slots)
		return 0;
	grown.nr_slots = t->nr_slots ? t->nr_slots * 2 : TABLE_SLOTS_MIN;
	grown.slots = calloc(grown.nr_slots, sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->nr_slots; i++)
		if (t->slots[i].id)
			*table_slot(&grown, t->slots[i].id) = t->slots[i];
	free(t->slots);
	*t = grown;
	return 0;
}

/* Defines e.id, or checks that it was defined the same. */
static int table_define(struct dict_reader *d, struct dict_table *t, struct dict_entry e, const char **why_ret)
{
	const struct dict_entry *there = table_find(t, e.id);

	if (there) {
		if (there->nbytes == e.nbytes && there->truncated == e.truncated &&
		    memcmp(there->data, e.data, e.nbytes) == 0)
			return 0;
		return *why_ret = "dictionary number defined twice, with different content", -EBADMSG;
	}
	if (d->arena.nbytes > DICT_NBYTES_MAX)
		return *why_ret = "dictionaries larger than the format allows", -EBADMSG;
	e.data = table_grow(t) ? NULL : arena_copy(&d->arena, e.data, e.nbytes);
	if (!e.data)
		return *why_ret = "out of memory for the dictionaries", -ENOMEM;
	*table_slot(t, e.id) = e;
	t->nr++;
	if (e.id > t->last_id)
		t->last_id = e.id;
	return 0;
}

static const char entry_cut[] = "dictionary entry reaches beyond its section";

/* A string's bytes; NULL if they are cut off, too many or hold a NUL. */
static const char *take_text(struct cursor *c, uint32_t *nbytes_ret)
{
	uint64_t nbytes = cursor_varint(c);
	const char *s = nbytes <= DICT_STRING_NBYTES_MAX ? (const char *)cursor_take(c, nbytes) : NULL;

	*nbytes_ret = (uint32_t)nbytes;
	return s && !c->bad && !memchr(s, 0, nbytes) ? s : NULL;
}

static int add_string(struct dict_reader *d, uint32_t id, struct cursor *c, const char **why_ret)
{
	char text[DICT_STRING_NBYTES_MAX + 1];
	uint32_t nbytes;
	const char *s = take_text(c, &nbytes);

	if (!s)
		return *why_ret = "string cut off, too long or with a NUL in it", -EBADMSG;
	memcpy(text, s, nbytes);
	text[nbytes] = 0;
	return table_define(d, &d->strings, (struct dict_entry){ .data = text, .id = id, .nbytes = nbytes + 1 }, why_ret);
}

static int add_stack(struct dict_reader *d, uint32_t id, struct cursor *c, const char **why_ret)
{
	uint64_t head = cursor_varint(c), nr = head >> 1;

	if (c->bad || nr > DICT_STACK_FRAMES_MAX)
		return *why_ret = "stack cut off or with too many frames", -EBADMSG;
	memset(d->frames, 0, nr * sizeof(d->frames[0])); /* padding too: stacks are compared as bytes */
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t module = cursor_varint(c);

		if (module > UINT32_MAX)
			return *why_ret = "stack frame with an impossible module", -EBADMSG;
		d->frames[i].module = (uint32_t)module;
		d->frames[i].offset = cursor_varint(c);
	}
	if (c->bad)
		return *why_ret = entry_cut, -EBADMSG;
	return table_define(d, &d->stacks,
			    (struct dict_entry){ .data = d->frames,
						 .id = id,
						 .nbytes = (uint32_t)(nr * sizeof(d->frames[0])),
						 .truncated = head & 1 },
			    why_ret);
}

static char *take_field(struct dict_reader *d, struct cursor *c)
{
	uint32_t nbytes;
	const char *s = take_text(c, &nbytes);
	char *copy = s ? arena_alloc(&d->arena, nbytes + 1) : NULL;

	if (!copy)
		return NULL;
	memcpy(copy, s, nbytes);
	copy[nbytes] = 0;
	return copy;
}

static int add_allocator(struct dict_reader *d, uint32_t id, struct cursor *c, const char **why_ret)
{
	struct tape_allocator *a, got = { 0 };

	if (id > TAPE_NO_ALLOC)
		return *why_ret = "allocator number out of range", -EBADMSG;
	if (d->arena.nbytes > DICT_NBYTES_MAX)
		return *why_ret = "dictionaries larger than the format allows", -EBADMSG;
	a = &d->allocators[id - 1];
	got.name = take_field(d, c);
	got.path = got.name ? take_field(d, c) : NULL;
	got.build_id = got.path ? take_field(d, c) : NULL;
	if (!got.build_id)
		return *why_ret = "allocator entry cut off", -EBADMSG;
	if (a->name && (strcmp(a->name, got.name) || strcmp(a->path, got.path) || strcmp(a->build_id, got.build_id)))
		return *why_ret = "allocator number defined twice, with different content", -EBADMSG;
	*a = got;
	if (id > d->nr_allocators)
		d->nr_allocators = id;
	return 0;
}

static int add_entry(struct dict_reader *d, uint8_t type, uint32_t id, struct cursor *c, const char **why_ret)
{
	switch (type) {
	case DICT_STRING:
		return add_string(d, id, c, why_ret);
	case DICT_STACK:
		return add_stack(d, id, c, why_ret);
	default:
		return add_allocator(d, id, c, why_ret);
	}
}

static int add_section(struct dict_reader *d, uint8_t type, uint64_t nr, struct cursor c, const char **why_ret)
{
	uint64_t id = 0;

	for (; nr; nr--) {
		uint64_t step = cursor_varint(&c);
		int err;

		if (c.bad)
			return *why_ret = entry_cut, -EBADMSG;
		if (step == 0 || step > DICT_ID_MAX - id)
			return *why_ret = "dictionary numbers do not rise, or rise too far", -EBADMSG;
		id += step;
		err = add_entry(d, type, (uint32_t)id, &c, why_ret);
		if (err)
			return err;
	}
	return cursor_left(&c) ? (*why_ret = "dictionary section longer than its entries", -EBADMSG) : 0;
}

int dict_reader_add(struct dict_reader *d, struct cursor payload, const char **why_ret)
{
	while (cursor_left(&payload)) {
		uint8_t type = cursor_u8(&payload);
		uint64_t nr = cursor_varint(&payload);
		struct cursor section = cursor_part(&payload, cursor_varint(&payload));
		int err;

		if (payload.bad)
			return *why_ret = "dictionary section cut off", -EBADMSG;
		if (type < DICT_STRING || type >= DICT_NR)
			continue; /* a later writer's: skipped by its length */
		err = add_section(d, type, nr, section, why_ret);
		if (err)
			return err;
	}
	return 0;
}

const char *dict_reader_string(const struct dict_reader *d, uint32_t id)
{
	const struct dict_entry *e = table_find(&d->strings, id);

	return e ? e->data : NULL;
}

uint32_t dict_reader_stack(const struct dict_reader *d, uint32_t id, const struct tape_frame **frames_ret,
			   bool *truncated_ret)
{
	const struct dict_entry *e = table_find(&d->stacks, id);

	if (frames_ret)
		*frames_ret = e ? e->data : NULL;
	if (truncated_ret)
		*truncated_ret = e && e->truncated;
	return e ? (uint32_t)(e->nbytes / sizeof(struct tape_frame)) : 0;
}

const struct tape_allocator *dict_reader_allocator(const struct dict_reader *d, uint32_t id)
{
	return id < d->nr_allocators && d->allocators[id].name ? &d->allocators[id] : NULL;
}

uint32_t dict_reader_nr_allocators(const struct dict_reader *d)
{
	return d->nr_allocators;
}

uint32_t dict_reader_nr_stacks(const struct dict_reader *d)
{
	return d->stacks.last_id;
}
