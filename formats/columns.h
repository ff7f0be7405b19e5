/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns.h - what both sides of the column codec must agree on: shapes, and how addresses are predicted
 * (TAPE.md "EVENTS").
 *
 * Most allocators give back, for a size class, the block that the thread freed last. So the codec keeps, within a
 * block of events, a pile of freed addresses for each (class, thread), and codes a birth by its depth in the pile.
 */
#ifndef HEAPTAPE_COLUMNS_H
#define HEAPTAPE_COLUMNS_H

#include <stdint.h>
#include <string.h>

#include "tape.h"

/* A shape: kind | flags << 8 | alloc << 16 | fields << 24. */
enum shape_field { HAS_ADDR = 1, HAS_SIZE = 2, HAS_OLD = 4, HAS_ARG = 8, HAS_STACK = 16, HAS_ALL = 31 };

static inline uint32_t shape_of(const struct tape_event *ev)
{
	uint32_t has = (ev->addr ? HAS_ADDR : 0) | (ev->size ? HAS_SIZE : 0) | (ev->old ? HAS_OLD : 0) |
		       (ev->arg ? HAS_ARG : 0) | (ev->stack ? HAS_STACK : 0);

	return ev->kind | (uint32_t)ev->flags << 8 | (uint32_t)ev->alloc << 16 | has << 24;
}

/* TAPE_FREE .. TAPE_GIVE_UP: addr is a block that goes. */
static inline bool kind_is_gone(unsigned kind)
{
	return kind >= TAPE_FREE && kind <= TAPE_GIVE_UP;
}

/* TAPE_MALLOC .. TAPE_NEW, as tape_kind_is_alloc, which is not inline. */
static inline bool kind_is_birth(unsigned kind)
{
	return kind >= TAPE_MALLOC && kind <= TAPE_NEW;
}

#define ADDRESS_SHIFT_MAX 12 /* a page is as much as anybody aligns everything to */
#define WORDS_NR_MAX 16383u /* entries of a column's inline dictionary: two varint bytes */

/* How sizes fall into classes: the encoding byte of COLUMN_PICK. */
enum class_rule {
	CLASS_STEPS = 1,   /* chunks of 16 bytes after a head of 8: glibc */
	CLASS_QUARTERS = 2, /* 16 apart up to 128, then four to each doubling: jemalloc and its like */
	CLASS_NR,
};

static inline uint32_t class_quarters(uint64_t size)
{
	unsigned log;

	if (size <= 128)
		return size <= 8 ? 0 : (uint32_t)(size + 15) / 16;
	log = 63 - (unsigned)__builtin_clzll(size - 1);
	return 9 + (log - 7) * 4 + (uint32_t)((size - 1) >> (log - 2) & 3);
}

static inline uint32_t class_steps(uint64_t size)
{
	if (size > 4096)
		return 257 + 63 - (uint32_t)__builtin_clzll(size);
	return size <= 24 ? 1 : (uint32_t)(size + 7) / 16;
}

#define PILE_DEPTH 64u /* 8 lose a third of glibc's hits, 256 gain nothing */
#define PILES_NR 512u

struct pile {
	uint64_t addrs[PILE_DEPTH]; /* a ring: the newest in front of `head` */
	uint32_t head, nr;
	uint64_t near; /* last address given out by this class and thread */
};

struct piles {
	struct pile known[PILES_NR]; /* blocks born in this block of events, by class and thread */
	struct pile unknown;         /* blocks of earlier ones: their size is not known here */
	enum class_rule rule;
};

static inline void piles_reset(struct piles *p, enum class_rule rule)
{
	p->rule = rule;
	p->unknown.head = p->unknown.nr = 0;
	for (uint32_t i = 0; i < PILES_NR; i++) {
		p->known[i].head = p->known[i].nr = 0;
		p->known[i].near = 0;
	}
}

/* Different classes and threads may share a pile: both sides share it alike. */
static inline struct pile *pile_of(struct piles *p, uint64_t size, uint32_t tid)
{
	uint32_t class = p->rule == CLASS_STEPS ? class_steps(size) : class_quarters(size);

	return &p->known[(class + tid * 37) % PILES_NR];
}

static inline void pile_push(struct pile *p, uint64_t addr)
{
	p->addrs[p->head++ % PILE_DEPTH] = addr;
	p->nr += p->nr < PILE_DEPTH;
}

/* Depth of addr, 0 for the newest; PILE_DEPTH if it is not there. */
static inline uint32_t pile_find(const struct pile *p, uint64_t addr)
{
	for (uint32_t depth = 0; depth < p->nr; depth++)
		if (p->addrs[(p->head - 1 - depth) % PILE_DEPTH] == addr)
			return depth;
	return PILE_DEPTH;
}

/* Takes out the address at a depth below nr. */
static inline uint64_t pile_take(struct pile *p, uint32_t depth)
{
	uint64_t addr = p->addrs[(p->head - 1 - depth) % PILE_DEPTH];

	for (; depth; depth--)
		p->addrs[(p->head - 1 - depth) % PILE_DEPTH] = p->addrs[(p->head - depth) % PILE_DEPTH];
	p->head--;
	p->nr--;
	return addr;
}

/* What COLUMN_PICK holds for a birth. */
enum pick {
	PICK_FRESH = 0,                          /* the address stands in COLUMN_FRESH */
	PICK_SAME = 1,                           /* a realloc in place */
	PICK_KNOWN = 2,                          /* + depth in the pile of its class */
	PICK_UNKNOWN = PICK_KNOWN + PILE_DEPTH,  /* + depth in the pile of blocks of unknown size */
};

#endif
