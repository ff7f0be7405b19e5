/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap_table.h - where the live set's objects lie: found by address, at most 40 bytes each.
 *
 * Objects lie packed (28 bytes) in chunks that never move; an open-addressing table of their numbers, hashed by
 * address and at most 70 % full, finds them: at most 28 + 4 / 0.35 = 39.4 bytes an object. What does not fit the
 * packing (an address above 2^56, a size above 2^40 ...) is a contradictory tape's, and kept whole, apart.
 */
#ifndef HEAPTAPE_HEAP_TABLE_H
#define HEAPTAPE_HEAP_TABLE_H

#include "heap.h"

#define HEAP_ADDR_BITS 56 /* user addresses of five-level page tables */
#define HEAP_SIZE_BITS 40
#define HEAP_TID_BITS 24  /* the kernel's limit is 2^22 */
#define HEAP_BORN_BITS 56 /* two years */

struct __attribute__((packed, aligned(4))) heap_packed {
	uint64_t addr : HEAP_ADDR_BITS, kind : 8; /* kind: TAPE_NONE if free, HEAP_WIDE if kept apart */
	uint64_t size : HEAP_SIZE_BITS, tid : HEAP_TID_BITS;
	uint64_t born_ns : HEAP_BORN_BITS, alloc : 8; /* HEAP_WIDE: born_ns is the index in `wide` */
	uint32_t stack;                               /* free: the next free object's number */
};

#define HEAP_WIDE 0xff  /* no event kind */
#define HEAP_FOUND 0x80 /* beside the kind: heap_object.found */

struct heap_table {
	struct heap_packed **chunks;
	uint32_t nr_chunks, cap_chunks;
	uint32_t nr_used;    /* object numbers below were handed out */
	uint32_t first_free; /* UINT32_MAX if none */
	uint32_t *slots;     /* object number + 1; 0 is a free slot */
	uint64_t mask, nr_max;
	uint64_t nr; /* objects in the table */
	struct heap_object *wide;
	size_t nr_wide, cap_wide, first_free_wide;
};

/* 0 or -ENOMEM. */
int heap_table_init(struct heap_table *t);
void heap_table_free(struct heap_table *t);
void heap_table_clear(struct heap_table *t);
/* No object may be at its address. 0 or -ENOMEM. */
int heap_table_add(struct heap_table *t, const struct heap_object *obj);
bool heap_table_remove(struct heap_table *t, uint64_t addr, struct heap_object *obj_ret);
bool heap_table_find(const struct heap_table *t, uint64_t addr, struct heap_object *obj_ret);
/* Brings what a later call will look at near: first its slot, then, when that is there, the object that it names. */
void heap_table_prefetch_slot(const struct heap_table *t, uint64_t addr);
void heap_table_prefetch_object(const struct heap_table *t, uint64_t addr);
int heap_table_each(const struct heap_table *t, int (*fn)(void *arg, const struct heap_object *obj), void *arg);

#endif
