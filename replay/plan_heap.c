/* SPDX-License-Identifier: BSD-2-Clause */
/* The planner's address map and its slots. */
#include "replay/plan_heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FREELIST_MAX 1024 /* more than this and a thread shares what it frees, or memory would follow the tape's length */

static size_t home_of(const struct plan_heap *h, uint64_t addr)
{
	/* Fibonacci hashing; the low 4 bits of an address say nothing. */
	return (size_t)((addr >> 4) * 0x9e3779b97f4a7c15ull >> 20) & h->mask;
}

int plan_heap_init(struct plan_heap *h)
{
	*h = (struct plan_heap){ .mask = 1023, .old_head = PLAN_NO_SLOT, .old_tail = PLAN_NO_SLOT };
	h->keys = calloc(h->mask + 1, sizeof(*h->keys));
	h->slots = calloc(h->mask + 1, sizeof(*h->slots));
	if (!h->keys || !h->slots) {
		plan_heap_clear(h);
		return -ENOMEM;
	}
	return 0;
}

void plan_heap_clear(struct plan_heap *h)
{
	free(h->keys);
	free(h->slots);
	free(h->objects);
	*h = (struct plan_heap){ 0 };
}

void plan_heap_prefetch(const struct plan_heap *h, uint64_t addr)
{
	size_t i = home_of(h, addr);
	__builtin_prefetch(&h->keys[i]);
	__builtin_prefetch(&h->slots[i]);
}

static size_t find_index(const struct plan_heap *h, uint64_t addr)
{
	size_t i = home_of(h, addr);
	while (h->keys[i] && h->keys[i] != addr)
		i = (i + 1) & h->mask;
	return i;
}

uint32_t plan_heap_find(const struct plan_heap *h, uint64_t addr)
{
	size_t i = find_index(h, addr);
	return h->keys[i] ? h->slots[i] : PLAN_NO_SLOT;
}

static int grow_map(struct plan_heap *h)
{
	struct plan_heap bigger = { .mask = h->mask * 2 + 1 };
	bigger.keys = calloc(bigger.mask + 1, sizeof(*bigger.keys));
	bigger.slots = malloc((bigger.mask + 1) * sizeof(*bigger.slots));
	if (!bigger.keys || !bigger.slots) {
		free(bigger.keys);
		free(bigger.slots);
		return -ENOMEM;
	}
	for (size_t i = 0; i <= h->mask; i++) {
		if (!h->keys[i])
			continue;
		size_t j = find_index(&bigger, h->keys[i]);
		bigger.keys[j] = h->keys[i];
		bigger.slots[j] = h->slots[i];
	}
	free(h->keys);
	free(h->slots);
	h->keys = bigger.keys;
	h->slots = bigger.slots;
	h->mask = bigger.mask;
	return 0;
}

int plan_heap_insert(struct plan_heap *h, uint64_t addr, uint32_t slot)
{
	if ((h->nr + 1) * 3 > (h->mask + 1) * 2) {
		int err = grow_map(h);
		if (err)
			return err;
	}
	size_t i = find_index(h, addr);
	h->keys[i] = addr;
	h->slots[i] = slot;
	h->nr++;
	return 0;
}

uint32_t plan_heap_remove(struct plan_heap *h, uint64_t addr)
{
	size_t i = find_index(h, addr);
	if (!h->keys[i])
		return PLAN_NO_SLOT;
	uint32_t slot = h->slots[i];
	/* Close the gap: whoever probed across it moves back. */
	for (size_t j = (i + 1) & h->mask; h->keys[j]; j = (j + 1) & h->mask) {
		size_t home = home_of(h, h->keys[j]);
		if (((j - home) & h->mask) < ((j - i) & h->mask))
			continue;
		h->keys[i] = h->keys[j];
		h->slots[i] = h->slots[j];
		i = j;
	}
	h->keys[i] = 0;
	h->nr--;
	return slot;
}

static int new_slot(struct plan_heap *h, uint32_t *slot_ret)
{
	if (h->nr_slots == h->slots_max) {
		if (h->slots_max >= PLAN_SLOT_LEFT_OUT / 2)
			return -ENOMEM;
		uint32_t max = h->slots_max ? h->slots_max * 2 : 1024;
		struct plan_object *objects = reallocarray(h->objects, max, sizeof(*objects));
		if (!objects)
			return -ENOMEM;
		h->objects = objects;
		h->slots_max = max;
	}
	*slot_ret = h->nr_slots++;
	return 0;
}

int plan_slot_take(struct plan_heap *h, struct plan_freelist *own, uint32_t settled, uint32_t *slot_ret)
{
	uint32_t slot = own->head;
	if (slot != PLAN_NO_SLOT) {
		own->head = h->objects[slot].next;
		own->nr--;
		*slot_ret = slot;
		return 0;
	}
	slot = h->old_head;
	if (slot != PLAN_NO_SLOT && h->objects[slot].window < settled) {
		h->old_head = h->objects[slot].next;
		if (h->old_head == PLAN_NO_SLOT)
			h->old_tail = PLAN_NO_SLOT;
		*slot_ret = slot;
		return 0;
	}
	return new_slot(h, slot_ret);
}

static void give_to_all(struct plan_heap *h, uint32_t slot)
{
	h->objects[slot].next = PLAN_NO_SLOT;
	if (h->old_tail == PLAN_NO_SLOT)
		h->old_head = slot;
	else
		h->objects[h->old_tail].next = slot;
	h->old_tail = slot;
}

void plan_slot_give(struct plan_heap *h, struct plan_freelist *own, uint32_t slot)
{
	if (own->nr >= FREELIST_MAX) {
		give_to_all(h, slot);
		return;
	}
	h->objects[slot].next = own->head;
	own->head = slot;
	own->nr++;
}

void plan_slot_give_all(struct plan_heap *h, struct plan_freelist *own, uint32_t window)
{
	while (own->head != PLAN_NO_SLOT) {
		uint32_t slot = own->head;
		own->head = h->objects[slot].next;
		h->objects[slot].window = window;
		give_to_all(h, slot);
	}
	own->nr = 0;
}
