/* SPDX-License-Identifier: BSD-2-Clause */
/* Hands out one block twice in a while. */
#include "bump_rest.h"

static _Atomic unsigned nr_calls;
static void *_Atomic before;

EXPORT void *malloc(size_t size)
{
	void *again = before;
	if (++nr_calls % 1000 == 0 && size <= bump_size(again))
		return again;
	return before = bump_alloc(size, 0);
}

EXPORT void free(void *block)
{
	(void)block;
}
