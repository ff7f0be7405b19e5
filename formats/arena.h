/* SPDX-License-Identifier: BSD-2-Clause */
/* arena.h - memory that is given in pieces, never moves, and is freed as one: what dictionaries are made of. */
#ifndef HEAPTAPE_ARENA_H
#define HEAPTAPE_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_chunk *chunks; /* the newest first */
	size_t used;                /* of the newest */
	size_t nbytes;              /* of all chunks: what the arena costs */
};

/* Aligned to 8. NULL when memory is out. */
void *arena_alloc(struct arena *a, size_t nbytes);
void *arena_copy(struct arena *a, const void *data, size_t nbytes);
void arena_free(struct arena *a);

#endif
