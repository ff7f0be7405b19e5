/* SPDX-License-Identifier: BSD-2-Clause */
/* Nothing wrong with it: what remains in the figures is the player's. */
#include "bump_rest.h"

EXPORT void *malloc(size_t size)
{
	return bump_alloc(size, 0);
}

EXPORT void free(void *block)
{
	(void)block;
}
