/* SPDX-License-Identifier: BSD-2-Clause */
/* Only the four functions that everybody uses: libc's malloc_usable_size would crash on its blocks. */
#include "bump.h"

EXPORT void *malloc(size_t size)
{
	return bump_alloc(size, 0);
}

EXPORT void free(void *block)
{
	(void)block;
}

EXPORT void *calloc(size_t nr, size_t size)
{
	return bump_alloc(nr * size, 0);
}

EXPORT void *realloc(void *old, size_t size)
{
	return bump_resize(old, size);
}
