/* SPDX-License-Identifier: BSD-2-Clause */
/* heap_table.c - see heap_table.h. */
#include "heap_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_NR 4096u
#define SLOTS_MIN 1024u
#define NONE UINT32_MAX

static_assert(sizeof(struct heap_packed) == 28, "the promise of 40 bytes an object rests on it");

static struct heap_packed *packed_at(const struct heap_table *t, uint32_t number)
{
	return &t->chunks[number / CHUNK_NR][number % CHUNK_NR];
}

static uint64_t addr_at(const struct heap_table *t, uint32_t number)
{
	const struct heap_packed *p = packed_at(t, number);

	return p->kind == HEAP_WIDE ? t->wide[p->born_ns].addr : p->addr;
}

static uint64_t home_of(const struct heap_table *t, uint64_t addr)
{
	return (addr * 0x9e3779b97f4a7c15u >> 28) & t->mask; /* 2^64 / golden ratio; the middle bits mix best */
}

static int set_slots(struct heap_table *t, uint64_t nr_slots)
{
	uint32_t *slots = reallocarray(t->slots, nr_slots, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	memset(slots, 0, nr_slots * sizeof(*slots));
	t->slots = slots;
	t->mask = nr_slots - 1;
	t->nr_max = nr_slots / 10 * 7;
	return 0;
}

int heap_table_init(struct heap_table *t)
{
	*t = (struct heap_table){ .first_free = NONE, .first_free_wide = SIZE_MAX };
	return set_slots(t, SLOTS_MIN);
}

void heap_table_free(struct heap_table *t)
{
	for (uint32_t i = 0; i < t->nr_chunks; i++)
		free(t->chunks[i]);
	free(t->chunks);
	free(t->slots);
	free(t->wide);
	*t = (struct heap_table){ 0 };
}

void heap_table_clear(struct heap_table *t)
{
	memset(t->slots, 0, (t->mask + 1) * sizeof(*t->slots));
	t->nr = t->nr_used = 0;
	t->first_free = NONE;
	t->nr_wide = 0;
	t->first_free_wide = SIZE_MAX;
}

static void slot_put(struct heap_table *t, uint32_t number)
{
	uint64_t i = home_of(t, addr_at(t, number));

	while (t->slots[i])
		i = (i + 1) & t->mask;
	t->slots[i] = number + 1;
}

/* The objects themselves tell the addresses, so the slots are made anew in place: no time at which both stand. */
static int grow(struct heap_table *t)
{
	int err = set_slots(t, (t->mask + 1) * 2);

	if (err)
		return err;
	for (uint32_t i = 0; i < t->nr_used; i++)
		if (packed_at(t, i)->kind != TAPE_NONE)
			slot_put(t, i);
	return 0;
}

static int add_chunk(struct heap_table *t)
{
	if (t->nr_chunks == t->cap_chunks) {
		uint32_t cap = t->cap_chunks ? t->cap_chunks * 2 : 16;
		struct heap_packed **chunks = reallocarray(t->chunks, cap, sizeof(*chunks));

		if (!chunks)
			return -ENOMEM;
		t->chunks = chunks;
		t->cap_chunks = cap;
	}
	t->chunks[t->nr_chunks] = malloc(CHUNK_NR * sizeof(struct heap_packed));
	return t->chunks[t->nr_chunks] ? (t->nr_chunks++, 0) : -ENOMEM;
}

/* A number for a new object, NONE when memory is out. */
static uint32_t new_number(struct heap_table *t)
{
	uint32_t number = t->first_free;

	if (number != NONE) {
		t->first_free = packed_at(t, number)->stack;
		return number;
	}
	if (t->nr_used == NONE - 1 || (t->nr_used / CHUNK_NR == t->nr_chunks && add_chunk(t)))
		return NONE;
	return t->nr_used++;
}

static bool fits(const struct heap_object *o)
{
	return !(o->addr >> HEAP_ADDR_BITS) && !(o->size >> HEAP_SIZE_BITS) && !(o->tid >> HEAP_TID_BITS) &&
	       !(o->born_ns >> HEAP_BORN_BITS) && o->kind != TAPE_NONE && !(o->kind & HEAP_FOUND);
}

static int add_wide(struct heap_table *t, struct heap_packed *p, const struct heap_object *obj)
{
	size_t i = t->first_free_wide;

	if (i != SIZE_MAX) {
		t->first_free_wide = t->wide[i].born_ns;
	} else {
		if (t->nr_wide == t->cap_wide) {
			size_t cap = t->cap_wide ? t->cap_wide * 2 : 64;
			struct heap_object *wide = reallocarray(t->wide, cap, sizeof(*wide));

			if (!wide)
				return -ENOMEM;
			t->wide = wide;
			t->cap_wide = cap;
		}
		i = t->nr_wide++;
	}
	t->wide[i] = *obj;
	*p = (struct heap_packed){ .kind = HEAP_WIDE, .born_ns = i };
	return 0;
}

static void drop_number(struct heap_table *t, uint32_t number)
{
	struct heap_packed *p = packed_at(t, number);

	p->kind = TAPE_NONE;
	p->stack = t->first_free;
	t->first_free = number;
}

static int pack(struct heap_table *t, uint32_t number, const struct heap_object *obj)
{
	struct heap_packed *p = packed_at(t, number);

	if (!fits(obj))
		return add_wide(t, p, obj);
	p->addr = obj->addr;
	p->kind = obj->kind | (obj->found ? HEAP_FOUND : 0);
	p->size = obj->size;
	p->tid = obj->tid & ((1u << HEAP_TID_BITS) - 1);
	p->born_ns = obj->born_ns;
	p->alloc = obj->alloc;
	p->stack = obj->stack;
	return 0;
}

static void unpack(const struct heap_table *t, uint32_t number, struct heap_object *obj_ret)
{
	const struct heap_packed *p = packed_at(t, number);

	if (p->kind == HEAP_WIDE) {
		*obj_ret = t->wide[p->born_ns];
		return;
	}
	*obj_ret = (struct heap_object){ .addr = p->addr,
					 .size = p->size,
					 .born_ns = p->born_ns,
					 .tid = p->tid,
					 .stack = p->stack,
					 .alloc = p->alloc,
					 .kind = p->kind & (uint8_t)~HEAP_FOUND,
					 .found = p->kind & HEAP_FOUND };
}

int heap_table_add(struct heap_table *t, const struct heap_object *obj)
{
	uint32_t number;
	int err;

	if (t->nr >= t->nr_max) {
		err = grow(t);
		if (err)
			return err;
	}
	number = new_number(t);
	if (number == NONE)
		return -ENOMEM;
	err = pack(t, number, obj);
	if (err) {
		drop_number(t, number);
		return err;
	}
	slot_put(t, number);
	t->nr++;
	return 0;
}

/* The slot of the object at addr; one that is free if there is none. */
static uint64_t slot_of(const struct heap_table *t, uint64_t addr)
{
	uint64_t i = home_of(t, addr);

	while (t->slots[i] && addr_at(t, t->slots[i] - 1) != addr)
		i = (i + 1) & t->mask;
	return i;
}

/* Frees slot i; those behind it that had to step aside move up, so that no search breaks off early. */
static void slot_clear(struct heap_table *t, uint64_t i)
{
	for (uint64_t j = (i + 1) & t->mask; t->slots[j]; j = (j + 1) & t->mask) {
		uint64_t home = home_of(t, addr_at(t, t->slots[j] - 1));

		if (((j - home) & t->mask) >= ((j - i) & t->mask)) {
			t->slots[i] = t->slots[j];
			i = j;
		}
	}
	t->slots[i] = 0;
}

bool heap_table_remove(struct heap_table *t, uint64_t addr, struct heap_object *obj_ret)
{
	uint64_t i = slot_of(t, addr);
	uint32_t number = t->slots[i] - 1;

	if (!t->slots[i])
		return false;
	unpack(t, number, obj_ret);
	slot_clear(t, i);
	if (packed_at(t, number)->kind == HEAP_WIDE) {
		size_t wide = packed_at(t, number)->born_ns;

		t->wide[wide].born_ns = t->first_free_wide;
		t->first_free_wide = wide;
	}
	drop_number(t, number);
	t->nr--;
	return true;
}

void heap_table_prefetch_slot(const struct heap_table *t, uint64_t addr)
{
	__builtin_prefetch(&t->slots[home_of(t, addr)]);
}

void heap_table_prefetch_object(const struct heap_table *t, uint64_t addr)
{
	uint32_t slot = t->slots[home_of(t, addr)];

	if (slot)
		__builtin_prefetch(packed_at(t, slot - 1));
}

bool heap_table_find(const struct heap_table *t, uint64_t addr, struct heap_object *obj_ret)
{
	uint64_t i = slot_of(t, addr);

	if (!t->slots[i])
		return false;
	unpack(t, t->slots[i] - 1, obj_ret);
	return true;
}

int heap_table_each(const struct heap_table *t, int (*fn)(void *arg, const struct heap_object *obj), void *arg)
{
	int stop = 0;

	for (uint32_t i = 0; i < t->nr_used && !stop; i++) {
		struct heap_object obj;

		if (packed_at(t, i)->kind == TAPE_NONE)
			continue;
		unpack(t, i, &obj);
		stop = fn(arg, &obj);
	}
	return stop;
}
