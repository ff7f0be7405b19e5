/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * index_map.h - a hash from 64-bit keys to 32-bit indices that is emptied in no time: what an encoder asks
 * "where in this block did I see that?". Open addressing, at most half full; memory is kept between blocks.
 */
#ifndef HEAPTAPE_INDEX_MAP_H
#define HEAPTAPE_INDEX_MAP_H

#include <stdbool.h>
#include <stdint.h>

#define INDEX_NONE UINT32_MAX

struct index_slot {
	uint64_t key;
	uint32_t value;
	uint32_t round; /* the slot is in use when this is the map's round */
};

struct index_map {
	struct index_slot *slots;
	uint32_t nr_slots; /* power of two */
	uint32_t nr;
	uint32_t round;
};

/* 0 or -ENOMEM. */
int index_map_init(struct index_map *m);
void index_map_free(struct index_map *m);
/* Forgets all keys. */
void index_map_clear(struct index_map *m);
/* Doubles the table. 0 or -ENOMEM. */
int index_map_grow(struct index_map *m);

static inline struct index_slot *index_map_slot(const struct index_map *m, uint64_t key)
{
	uint64_t i = key * 0x9e3779b97f4a7c15u; /* 2^64 / golden ratio */

	for (i = (i >> 32) & (m->nr_slots - 1); m->slots[i].round == m->round && m->slots[i].key != key;)
		i = (i + 1) & (m->nr_slots - 1);
	return &m->slots[i];
}

/* Where the search for a key begins: to prefetch. */
static inline const struct index_slot *index_map_home(const struct index_map *m, uint64_t key)
{
	return &m->slots[(key * 0x9e3779b97f4a7c15u >> 32) & (m->nr_slots - 1)];
}

static inline uint32_t index_map_find(const struct index_map *m, uint64_t key)
{
	const struct index_slot *s = index_map_slot(m, key);

	return s->round == m->round ? s->value : INDEX_NONE;
}

/* Sets key's value, new or known. 0 or -ENOMEM. */
static inline int index_map_set(struct index_map *m, uint64_t key, uint32_t value)
{
	struct index_slot *s;

	if (__builtin_expect(m->nr * 2 >= m->nr_slots, 0)) {
		int err = index_map_grow(m);

		if (err)
			return err;
	}
	s = index_map_slot(m, key);
	m->nr += s->round != m->round;
	*s = (struct index_slot){ key, value, m->round };
	return 0;
}

#endif
