/* SPDX-License-Identifier: BSD-2-Clause */
/* names_writer.c - see names.h. A text stands once in a block: functions and files repeat from place to place. */
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "arena.h"
#include "index_map.h"
#include "names.h"

struct names_writer {
	struct bytes pending;
	uint32_t nr_pending;
	uint64_t last_place;
	struct index_map words; /* hash of a text -> its index in texts */
	const char **texts;	/* of the block that is being filled, from 0 */
	uint32_t nr_texts, cap_texts;
	struct arena arena;
};

struct names_writer *names_writer_new(void)
{
	struct names_writer *n = calloc(1, sizeof(*n));

	if (n && index_map_init(&n->words)) {
		free(n);
		return NULL;
	}
	return n;
}

void names_writer_free(struct names_writer *n)
{
	if (!n)
		return;
	bytes_free(&n->pending);
	index_map_free(&n->words);
	free(n->texts);
	arena_free(&n->arena);
	free(n);
}

static int texts_grow(struct names_writer *n)
{
	uint32_t cap = n->cap_texts ? n->cap_texts * 2 : 256;
	const char **texts;

	if (n->nr_texts < n->cap_texts)
		return 0;
	texts = reallocarray(n->texts, cap, sizeof(*texts));
	if (!texts)
		return -ENOMEM;
	n->texts = texts;
	n->cap_texts = cap;
	return 0;
}

/* A text as a word: the number of an equal one of this block, or 0 and the text itself. */
static int put_word(struct names_writer *n, const char *text)
{
	size_t nbytes = strnlen(text, NAMES_TEXT_NBYTES_MAX);
	uint64_t hash = XXH3_64bits(text, nbytes);
	uint32_t at = index_map_find(&n->words, hash);
	char *copy;

	if (bytes_reserve(&n->pending, nbytes + 2 * VARINT_NBYTES_MAX))
		return -ENOMEM;
	/* Two texts of one hash: the second stands there as often as it is used. */
	if (at != INDEX_NONE && strncmp(n->texts[at], text, nbytes) == 0 && !n->texts[at][nbytes]) {
		bytes_put_varint(&n->pending, at + 1);
		return 0;
	}
	copy = texts_grow(n) ? NULL : arena_alloc(&n->arena, nbytes + 1);
	if (!copy || (at == INDEX_NONE && index_map_set(&n->words, hash, n->nr_texts)))
		return -ENOMEM;
	memcpy(copy, text, nbytes);
	copy[nbytes] = 0;
	n->texts[n->nr_texts++] = copy;
	bytes_put_varint(&n->pending, 0);
	bytes_put_varint(&n->pending, nbytes);
	return bytes_append(&n->pending, text, nbytes);
}

static int put_name(struct names_writer *n, const struct tape_name *name)
{
	int err = put_word(n, name->function);

	if (!err)
		err = put_word(n, name->file);
	if (!err)
		err = bytes_reserve(&n->pending, VARINT_NBYTES_MAX);
	if (!err)
		bytes_put_varint(&n->pending, name->line);
	return err;
}

int names_writer_add(struct names_writer *n, uint32_t module, uint64_t place, const struct tape_name *names, uint32_t nr)
{
	uint32_t nr_put = nr < NAMES_NR_MAX ? nr : NAMES_NR_MAX;
	int err;

	if (!module)
		return -EINVAL;
	if (!nr)
		return 0;
	err = bytes_reserve(&n->pending, 3 * VARINT_NBYTES_MAX);
	if (err)
		return err;
	bytes_put_varint(&n->pending, module);
	bytes_put_varint(&n->pending, zigzag(place - n->last_place));
	bytes_put_varint(&n->pending, nr_put);
	for (uint32_t i = 0; i < nr_put && !err; i++)
		err = put_name(n, &names[i + 1 == nr_put ? nr - 1 : i]);
	n->last_place = place;
	n->nr_pending++;
	return err;
}

uint32_t names_writer_pending(const struct names_writer *n)
{
	return n->nr_pending;
}

const struct bytes *names_writer_payload(const struct names_writer *n)
{
	return &n->pending;
}

void names_writer_taken(struct names_writer *n)
{
	n->pending.nbytes = 0;
	n->nr_pending = 0;
	n->last_place = 0;
	n->nr_texts = 0;
	index_map_clear(&n->words);
	arena_free(&n->arena);
}
