/* SPDX-License-Identifier: BSD-2-Clause */
/* index_map.c - see index_map.h. */
#include "index_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 256u

int index_map_init(struct index_map *m)
{
	*m = (struct index_map){ .nr_slots = SLOTS_MIN, .round = 1 };
	m->slots = calloc(m->nr_slots, sizeof(*m->slots));
	return m->slots ? 0 : -ENOMEM;
}

void index_map_free(struct index_map *m)
{
	free(m->slots);
	*m = (struct index_map){ 0 };
}

void index_map_clear(struct index_map *m)
{
	m->nr = 0;
	if (++m->round == 0) { /* 2^32 blocks later, old slots must not come back to life */
		memset(m->slots, 0, m->nr_slots * sizeof(*m->slots));
		m->round = 1;
	}
}

int index_map_grow(struct index_map *m)
{
	struct index_map grown = { .nr_slots = m->nr_slots * 2, .nr = m->nr, .round = 1 };

	grown.slots = calloc(grown.nr_slots, sizeof(*grown.slots));
	if (!grown.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->nr_slots; i++) {
		if (m->slots[i].round != m->round)
			continue;
		*index_map_slot(&grown, m->slots[i].key) =
			(struct index_slot){ m->slots[i].key, m->slots[i].value, grown.round };
	}
	free(m->slots);
	*m = grown;
	return 0;
}
