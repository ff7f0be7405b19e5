/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * small_alloc.c - an allocator of one file, for the tests of bisect, tune and shrink.
 *
 * Size classes, spans of 64 KiB, free lists, one lock. What makes a revision worse stands in knobs.h: KNOB_PAD bytes
 * between blocks (holes), KNOB_META bytes written for each span (metadata), KNOB_NOISE random bytes held (peak),
 * KNOB_CRASH. With KNOB_BEST, the environment's SMALL_PAD sets the padding: the further from the best, the more. With
 * KNOB_PLANTED it fails where a block of 7777 bytes is asked for while one of 3333 lives.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "knobs.h"

#ifndef KNOB_NOISE
#define KNOB_NOISE 0
#endif

#define EXPORT __attribute__((visibility("default")))
#define HEAP_NBYTES (4ull << 30)
#define SPAN_NBYTES (64u << 10)
#define CLASSES_NR 128

/* In front of each block. */
struct head {
	uint32_t class_nr, back; /* bytes from the block's true start */
	uint64_t asked;
};

static atomic_flag lock = ATOMIC_FLAG_INIT;
static char *heap, *heap_end, *meta;
static char *span[CLASSES_NR], *span_end[CLASSES_NR];
static void *free_list[CLASSES_NR];
static size_t pad = KNOB_PAD;

static void take(void)
{
	while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
		;
}

static void give(void)
{
	atomic_flag_clear_explicit(&lock, memory_order_release);
}

/* 16 steps of 64 bytes, then powers of two. */
static unsigned class_of(size_t size)
{
	return size <= 1024 ? (unsigned)((size + 63) / 64) : 17 + (unsigned)(64 - __builtin_clzll(size - 1)) - 11;
}

static size_t class_size(unsigned c)
{
	return c <= 16 ? c * 64 : 1024ull << (c - 16);
}

static void *map(size_t nbytes)
{
	void *p = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void begin(void)
{
	unsigned char noise = 0;

	heap = map(HEAP_NBYTES);
	meta = map(HEAP_NBYTES / SPAN_NBYTES * (KNOB_META + 1));
	heap_end = heap ? heap + HEAP_NBYTES : NULL;
#ifdef KNOB_BEST
	const char *text = getenv("SMALL_PAD");
	long off = (text ? strtol(text, NULL, 10) : 0) - KNOB_BEST;

	pad = (size_t)(off < 0 ? -off : off) * 16;
#endif
	if (KNOB_NOISE && getrandom(&noise, 1, 0) == 1) {
		char *held = map(KNOB_NOISE + 1ull);

		memset(held, 1, KNOB_NOISE / 256ull * noise);
	}
}

static void *new_block(unsigned c)
{
	size_t stride = class_size(c) + pad;
	char *block;

	if (span[c] + stride > span_end[c] || !span[c]) {
		size_t nbytes = stride > SPAN_NBYTES ? (stride + SPAN_NBYTES - 1) / SPAN_NBYTES * SPAN_NBYTES : SPAN_NBYTES;

		if (nbytes > (size_t)(heap_end - heap))
			return NULL;
		memset(meta, 1, KNOB_META);
		meta += KNOB_META;
		span[c] = heap;
		span_end[c] = heap += nbytes;
	}
	block = span[c];
	span[c] += stride;
	return block;
}

#ifdef KNOB_PLANTED
static _Atomic int lives;
#endif

static void *allocate(size_t size, size_t align)
{
	size_t need = size + sizeof(struct head) + (align > 16 ? align : 0);
	unsigned c = class_of(need);
	char *block;

	if (size > HEAP_NBYTES / 4 || KNOB_CRASH)
		return KNOB_CRASH ? *(void *volatile *)8 : NULL;
#ifdef KNOB_PLANTED
	lives += size == 3333;
	if (size == 7777 && lives)
		abort();
#endif
	take();
	if (!heap)
		begin();
	block = free_list[c];
	if (block)
		free_list[c] = *(void **)block;
	else
		block = new_block(c);
	give();
	if (!block)
		return NULL;
	uintptr_t at = (uintptr_t)block + sizeof(struct head);

	if (align > 16)
		at = (at + align - 1) & ~(uintptr_t)(align - 1);
	((struct head *)at)[-1] = (struct head){ c, (uint32_t)(at - (uintptr_t)block), size };
	return (void *)at;
}

EXPORT void *malloc(size_t size)
{
	return allocate(size, 0);
}

EXPORT void free(void *p)
{
	struct head h;
	char *block;

	if (!p)
		return;
	h = ((struct head *)p)[-1];
	block = (char *)p - h.back;
#ifdef KNOB_PLANTED
	lives -= h.asked == 3333;
#endif
	take();
	*(void **)block = free_list[h.class_nr];
	free_list[h.class_nr] = block;
	give();
}

EXPORT size_t malloc_usable_size(void *p)
{
	return p ? class_size(((struct head *)p)[-1].class_nr) - ((struct head *)p)[-1].back : 0;
}

EXPORT void *calloc(size_t nr, size_t size)
{
	size_t nbytes;
	void *p = __builtin_mul_overflow(nr, size, &nbytes) ? NULL : allocate(nbytes, 0);

	return p ? memset(p, 0, nbytes) : NULL;
}

EXPORT void *realloc(void *old, size_t size)
{
	size_t had = malloc_usable_size(old);
	void *p = old && size <= had ? old : allocate(size, 0);

	if (p && old && p != old) {
		memcpy(p, old, had < size ? had : size);
		free(old);
	}
	return p;
}

EXPORT int posix_memalign(void **ret, size_t align, size_t size)
{
	*ret = allocate(size, align);
	return *ret ? 0 : ENOMEM;
}

EXPORT void *aligned_alloc(size_t align, size_t size)
{
	return allocate(size, align);
}

EXPORT void *memalign(size_t align, size_t size)
{
	return allocate(size, align);
}
