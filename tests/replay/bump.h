/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bump.h - the simplest allocator, for the tests of replay: hands out preset memory and never takes it back.
 *
 * Included by each alloc_*.c, which is a shared object of its own and adds what is to go wrong. The memory is
 * the object's own (bss); with BUMP_MEMORY=shared in the environment it is a shared mapping, so that whatever
 * private memory the process then has is not the allocator's.
 */
#ifndef HEAPTAPE_TEST_BUMP_H
#define HEAPTAPE_TEST_BUMP_H

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default")))
#define BUMP_NBYTES (1ull << 30)
#define BUMP_ALIGN 16

static char bump_own[BUMP_NBYTES] __attribute__((aligned(4096)));
static char *bump_memory = bump_own;
static _Atomic size_t bump_used;

__attribute__((constructor, unused)) static void bump_choose(void)
{
	const char *want = getenv("BUMP_MEMORY");
	if (!want || strcmp(want, "shared"))
		return;
	void *map = mmap(NULL, BUMP_NBYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map != MAP_FAILED)
		bump_memory = map;
}

/* The size stands in front of the block. */
static inline void *bump_alloc(size_t size, size_t align)
{
	align = align < BUMP_ALIGN ? BUMP_ALIGN : align;
	size_t need = (size + align + BUMP_ALIGN + BUMP_ALIGN - 1) & ~(size_t)(BUMP_ALIGN - 1);
	size_t at = atomic_fetch_add(&bump_used, need);
	if (size > BUMP_NBYTES || at + need > BUMP_NBYTES)
		return NULL;
	uintptr_t block = ((uintptr_t)bump_memory + at + BUMP_ALIGN + align - 1) & ~(uintptr_t)(align - 1);
	((size_t *)block)[-1] = size;
	return (void *)block;
}

static inline size_t bump_size(const void *block)
{
	return block ? ((const size_t *)block)[-1] : 0;
}

static inline void *bump_resize(void *old, size_t size)
{
	size_t kept = bump_size(old);
	void *block = bump_alloc(size, 0);
	if (block && old)
		memcpy(block, old, kept < size ? kept : size);
	return block;
}

#endif
