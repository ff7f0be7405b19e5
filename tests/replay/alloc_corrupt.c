/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes into blocks that are in use. */
#include "bump_rest.h"

static _Atomic unsigned nr_calls;
static char *_Atomic victim;

EXPORT void *malloc(size_t size)
{
	char *hit = victim;
	char *block = bump_alloc(size < 64 ? 64 : size, 0);
	if (hit)
		*hit ^= 1;
	victim = ++nr_calls % 500 ? NULL : block;
	return block;
}

EXPORT void free(void *block)
{
	(void)block;
}
