/* SPDX-License-Identifier: BSD-2-Clause */
/* bump_rest.h - every function but malloc and free, so that a wrong allocator is wrong in one thing only. */
#ifndef HEAPTAPE_TEST_BUMP_REST_H
#define HEAPTAPE_TEST_BUMP_REST_H

#include "bump.h"

EXPORT void *malloc(size_t size);

EXPORT void *calloc(size_t nr, size_t size)
{
	return bump_alloc(nr * size, 0);
}

EXPORT void *realloc(void *old, size_t size)
{
	return bump_resize(old, size);
}

EXPORT int posix_memalign(void **block_ret, size_t align, size_t size)
{
	*block_ret = bump_alloc(size, align);
	return *block_ret ? 0 : ENOMEM;
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
	return bump_alloc(size, align);
}

EXPORT void *memalign(size_t align, size_t size)
{
	return bump_alloc(size, align);
}

EXPORT void *valloc(size_t size)
{
	return bump_alloc(size, 4096);
}

EXPORT void *pvalloc(size_t size)
{
	return bump_alloc((size + 4095) & ~(size_t)4095, 4096);
}

EXPORT size_t malloc_usable_size(void *block)
{
	return bump_size(block);
}

#endif
