/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dict_writer.c - gives equal strings and stacks equal numbers, and collects the new ones for the next DICT block.
 *
 * Both are interned as bytes: a stack as the varints that also go to the file.
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
};

struct intern {
	struct intern_slot *slots;
	uint32_t nr_slots; /* power of two */
	struct intern_entry *entries; /* by number, [0] unused */
	uint32_t nr, cap;
};

struct dict_writer {
	struct arena arena;
	struct intern strings, stacks;
	struct {
		char *name, *path, *build_id;
	} allocators[TAPE_NO_ALLOC];
	uint32_t nr_allocators;
	struct bytes pending[DICT_NR];
	uint32_t nr_pending[DICT_NR], last_id[DICT_NR];
	struct bytes key; /* scratch: the stack being looked up */
};

struct dict_writer *dict_writer_new(void)
{
	return calloc(1, sizeof(struct dict_writer));
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
	for (unsigned i = 0; i < DICT_NR; i++)
		bytes_free(&d->pending[i]);
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

/* Appends "number, content" to what waits for the next block. `room` bytes were reserved by the caller. */
static void pending_start(struct dict_writer *d, enum dict_type type, uint32_t id)
{
	bytes_put_varint(&d->pending[type], id - d->last_id[type]);
	d->last_id[type] = id;
	d->nr_pending[type]++;
}

/* *id_ret: the number of the equal entry; *new_ret: it was not there and now is, but not yet among the pending. */
static int intern(struct dict_writer *d, struct intern *t, const uint8_t *data, uint32_t nbytes, uint32_t *id_ret,
		  bool *new_ret)
{
	uint32_t hash = (uint32_t)XXH3_64bits(data, nbytes);
	uint8_t *copy;
	int err;

	*id_ret = intern_find(t, data, nbytes, hash);
	*new_ret = !*id_ret;
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
	t->entries[*id_ret] = (struct intern_entry){ copy, nbytes };
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
	uint32_t nbytes = cut_length(s);
	bool is_new;
	int err;

	err = bytes_reserve(&d->pending[DICT_STRING], nbytes + 2 * VARINT_NBYTES_MAX);
	if (err)
		return err;
	err = intern(d, &d->strings, (const uint8_t *)s, nbytes, id_ret, &is_new);
	if (err || !is_new)
		return err;
	pending_start(d, DICT_STRING, *id_ret);
	put_text(&d->pending[DICT_STRING], s);
	return 0;
}

int dict_writer_stack(struct dict_writer *d, const struct tape_frame *frames, uint32_t nr_frames, bool truncated,
		      uint32_t *id_ret)
{
	struct bytes *key = &d->key;
	bool is_new;
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
	err = bytes_reserve(&d->pending[DICT_STACK], key->nbytes + VARINT_NBYTES_MAX);
	if (err)
		return err;
	err = intern(d, &d->stacks, key->data, (uint32_t)key->nbytes, id_ret, &is_new);
	if (err || !is_new)
		return err;
	pending_start(d, DICT_STACK, *id_ret);
	return bytes_append(&d->pending[DICT_STACK], key->data, key->nbytes);
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
	struct bytes *b = &d->pending[DICT_ALLOCATOR];
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
	if (!d->allocators[i].name || !d->allocators[i].path || !d->allocators[i].build_id ||
	    bytes_reserve(b, 3 * (DICT_STRING_NBYTES_MAX + VARINT_NBYTES_MAX) + VARINT_NBYTES_MAX))
		return -ENOMEM;
	d->nr_allocators++;
	pending_start(d, DICT_ALLOCATOR, i + 1);
	put_text(b, full.name);
	put_text(b, full.path);
	put_text(b, full.build_id);
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

int dict_writer_each_frame(const struct dict_writer *d,
			   int (*fn)(void *arg, uint32_t module, const char *module_name, uint64_t place), void *arg)
{
	char text[DICT_STRING_NBYTES_MAX + 1];
	uint32_t in_text = 0;

	for (uint32_t id = 1; id <= d->stacks.nr; id++) {
		const struct intern_entry *e = &d->stacks.entries[id];
		struct cursor c = cursor_of(e->data, e->nbytes);
		uint64_t nr = cursor_varint(&c) >> 1;

		for (uint64_t i = 0; i < nr; i++) {
			uint32_t module = (uint32_t)cursor_varint(&c);
			uint64_t offset = cursor_varint(&c);
			int stop;

			if (module != in_text && string_of(d, module, text))
				in_text = module;
			stop = module && module == in_text ? fn(arg, module, text, offset - (i && offset)) : 0;
			if (stop)
				return stop;
		}
	}
	return 0;
}

size_t dict_writer_pending_nbytes(const struct dict_writer *d)
{
	return d->pending[DICT_STRING].nbytes + d->pending[DICT_STACK].nbytes + d->pending[DICT_ALLOCATOR].nbytes;
}

uint32_t dict_writer_pending(const struct dict_writer *d)
{
	return d->nr_pending[DICT_STRING] + d->nr_pending[DICT_STACK] + d->nr_pending[DICT_ALLOCATOR];
}

int dict_writer_take(struct dict_writer *d, struct bytes *out)
{
	int err = bytes_reserve(out, dict_writer_pending_nbytes(d) + DICT_NR * (1 + 2 * VARINT_NBYTES_MAX));

	if (err)
		return err;
	for (unsigned type = DICT_STRING; type < DICT_NR; type++) {
		struct bytes *b = &d->pending[type];

		if (!d->nr_pending[type])
			continue;
		bytes_put_u8(out, (uint8_t)type);
		bytes_put_varint(out, d->nr_pending[type]);
		bytes_put_varint(out, b->nbytes);
		memcpy(out->data + out->nbytes, b->data, b->nbytes);
		out->nbytes += b->nbytes;
		b->nbytes = 0;
		d->nr_pending[type] = d->last_id[type] = 0;
	}
	return 0;
}
