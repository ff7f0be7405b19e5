/* SPDX-License-Identifier: BSD-2-Clause */
/* arena.c - see arena.h. */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_NBYTES (64u << 10) /* holds some hundred stacks; the last one is on average half empty */

struct arena_chunk {
	struct arena_chunk *next;
	size_t cap;
	_Alignas(8) unsigned char data[];
};

void *arena_alloc(struct arena *a, size_t nbytes)
{
	struct arena_chunk *chunk = a->chunks;
	void *p;

	if (nbytes > (size_t)1 << 40)
		return NULL;
	nbytes = (nbytes + 7) & ~(size_t)7;
	if (!chunk || chunk->cap - a->used < nbytes) {
		size_t cap = nbytes > CHUNK_NBYTES ? nbytes : CHUNK_NBYTES;

		chunk = malloc(sizeof(*chunk) + cap);
		if (!chunk)
			return NULL;
		*chunk = (struct arena_chunk){ .next = a->chunks, .cap = cap };
		a->chunks = chunk;
		a->used = 0;
		a->nbytes += sizeof(*chunk) + cap;
	}
	p = chunk->data + a->used;
	a->used += nbytes;
	return p;
}

void *arena_copy(struct arena *a, const void *data, size_t nbytes)
{
	void *p = arena_alloc(a, nbytes);

	if (p && nbytes)
		memcpy(p, data, nbytes);
	return p;
}

void arena_free(struct arena *a)
{
	while (a->chunks) {
		struct arena_chunk *chunk = a->chunks;

		a->chunks = chunk->next;
		free(chunk);
	}
	*a = (struct arena){ 0 };
}
