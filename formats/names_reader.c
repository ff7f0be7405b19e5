/* SPDX-License-Identifier: BSD-2-Clause */
/* names_reader.c - see names.h. A hash by module and place; texts are stored once a block, as they were written. */
#include <errno.h>
#include <stdlib.h>

#include "arena.h"
#include "dict.h"
#include "names.h"

#define SLOTS_MIN 256u
#define NBYTES_MAX ((size_t)1 << 30) /* as for dictionaries: more is a bomb */

struct place_slot {
	uint64_t place;
	const struct tape_name *names;
	uint32_t module; /* 0: a free slot */
	uint32_t nr;
};

struct names_reader {
	struct arena arena;
	struct place_slot *slots;
	uint32_t nr_slots; /* power of two, or 0 */
	uint32_t nr;
	const char **words; /* of the block at hand, from 0 */
	size_t nr_words, cap_words;
	struct place_slot *fresh; /* of the block at hand: known once all of it proved right */
	size_t nr_fresh, cap_fresh;
};

struct names_reader *names_reader_new(void)
{
	return calloc(1, sizeof(struct names_reader));
}

void names_reader_free(struct names_reader *n)
{
	if (!n)
		return;
	free(n->slots);
	free(n->words);
	free(n->fresh);
	arena_free(&n->arena);
	free(n);
}

static struct place_slot *slot_of(struct place_slot *slots, uint32_t nr_slots, uint32_t module, uint64_t place)
{
	uint64_t i = (place + ((uint64_t)module << 40)) * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */

	for (i = (i >> 32) & (nr_slots - 1); slots[i].module && (slots[i].module != module || slots[i].place != place);)
		i = (i + 1) & (nr_slots - 1);
	return &slots[i];
}

static int grow(struct names_reader *n)
{
	uint32_t nr_slots = n->nr_slots ? n->nr_slots * 2 : SLOTS_MIN;
	struct place_slot *slots;

	if ((n->nr + 1) * 2 <= n->nr_slots)
		return 0;
	slots = calloc(nr_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < n->nr_slots; i++)
		if (n->slots[i].module)
			*slot_of(slots, nr_slots, n->slots[i].module, n->slots[i].place) = n->slots[i];
	free(n->slots);
	n->slots = slots;
	n->nr_slots = nr_slots;
	return 0;
}

static int fresh_grow(struct names_reader *n)
{
	size_t cap = n->cap_fresh ? n->cap_fresh * 2 : 256;
	struct place_slot *fresh;

	if (n->nr_fresh < n->cap_fresh)
		return 0;
	fresh = reallocarray(n->fresh, cap, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	n->fresh = fresh;
	n->cap_fresh = cap;
	return 0;
}

static const char no_memory[] = "out of memory for the names";

static int add_word(struct names_reader *n, struct cursor *c, const char **why_ret)
{
	uint64_t nbytes = cursor_varint(c);
	const char *s = nbytes <= DICT_STRING_NBYTES_MAX ? (const char *)cursor_take(c, nbytes) : NULL;
	char *copy;

	if (!s || c->bad || memchr(s, 0, nbytes))
		return *why_ret = "name cut off, too long or with a NUL in it", -EBADMSG;
	if (n->nr_words == n->cap_words) {
		size_t cap = n->cap_words ? n->cap_words * 2 : 256;
		const char **words = reallocarray(n->words, cap, sizeof(*words));

		if (!words)
			return *why_ret = no_memory, -ENOMEM;
		n->words = words;
		n->cap_words = cap;
	}
	copy = arena_alloc(&n->arena, nbytes + 1);
	if (!copy)
		return *why_ret = no_memory, -ENOMEM;
	memcpy(copy, s, nbytes);
	copy[nbytes] = 0;
	n->words[n->nr_words++] = copy;
	return 0;
}

static int take_word(struct names_reader *n, struct cursor *c, const char **word_ret, const char **why_ret)
{
	uint64_t k = cursor_varint(c);

	if (k == 0 && !c->bad) {
		int err = add_word(n, c, why_ret);

		if (err)
			return err;
		k = n->nr_words;
	}
	if (c->bad || k > n->nr_words)
		return *why_ret = "name cut off, or a number without a text", -EBADMSG;
	*word_ret = n->words[k - 1];
	return 0;
}

static int take_name(struct names_reader *n, struct cursor *c, struct tape_name *name, const char **why_ret)
{
	int err = take_word(n, c, &name->function, why_ret);
	uint64_t line;

	if (!err)
		err = take_word(n, c, &name->file, why_ret);
	if (err)
		return err;
	line = cursor_varint(c);
	if (c->bad || line > UINT32_MAX)
		return *why_ret = "line number cut off or impossible", -EBADMSG;
	name->line = (uint32_t)line;
	return 0;
}

static int take_place(struct names_reader *n, struct cursor *c, uint64_t *place, const char **why_ret)
{
	uint64_t module = cursor_varint(c), step = cursor_varint(c), nr = cursor_varint(c);
	struct tape_name *names;

	*place += unzigzag(step);
	if (c->bad || !module || module > DICT_ID_MAX || !nr || nr > NAMES_NR_MAX)
		return *why_ret = "place cut off, or with an impossible module or number of names", -EBADMSG;
	if (n->arena.nbytes > NBYTES_MAX)
		return *why_ret = "names larger than the format allows", -EBADMSG;
	names = fresh_grow(n) ? NULL : arena_alloc(&n->arena, nr * sizeof(*names));
	if (!names)
		return *why_ret = no_memory, -ENOMEM;
	for (uint64_t i = 0; i < nr; i++) {
		int err = take_name(n, c, &names[i], why_ret);

		if (err)
			return err;
	}
	n->fresh[n->nr_fresh++] = (struct place_slot){ *place, names, (uint32_t)module, (uint32_t)nr };
	return 0;
}

static int keep_fresh(struct names_reader *n, const char **why_ret)
{
	for (size_t i = 0; i < n->nr_fresh; i++) {
		struct place_slot *slot;

		if (grow(n))
			return *why_ret = no_memory, -ENOMEM;
		slot = slot_of(n->slots, n->nr_slots, n->fresh[i].module, n->fresh[i].place);
		n->nr += !slot->module;
		*slot = n->fresh[i];
	}
	return 0;
}

int names_reader_add(struct names_reader *n, struct cursor payload, uint32_t nr, const char **why_ret)
{
	uint64_t place = 0;

	n->nr_words = n->nr_fresh = 0;
	for (; nr; nr--) {
		int err = take_place(n, &payload, &place, why_ret);

		if (err)
			return err;
	}
	if (cursor_left(&payload))
		return *why_ret = "more bytes than its places need", -EBADMSG;
	return keep_fresh(n, why_ret);
}

uint32_t names_reader_find(const struct names_reader *n, uint32_t module, uint64_t place, const struct tape_name **names_ret)
{
	const struct place_slot *slot = n->nr_slots && module ? slot_of(n->slots, n->nr_slots, module, place) : NULL;

	*names_ret = slot && slot->module ? slot->names : NULL;
	return *names_ret ? slot->nr : 0;
}

uint64_t names_reader_nr_places(const struct names_reader *n)
{
	return n->nr;
}
