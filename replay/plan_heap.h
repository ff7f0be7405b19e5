/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan_heap.h - what the planner knows of live objects: address -> slot, and what each slot's object is.
 *
 * Slots are dense and reused, but only where the plan's order makes sure that the player has finished with
 * the former object: by the thread that freed it, or by any thread once the window of the free has passed.
 * Memory follows the number of live objects. One thread at a time; 0 or -ENOMEM.
 */
#ifndef HEAPTAPE_REPLAY_PLAN_HEAP_H
#define HEAPTAPE_REPLAY_PLAN_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_NO_SLOT UINT32_MAX
/* In the address map, for objects that are on the tape but not in the plan. */
#define PLAN_SLOT_LEFT_OUT (UINT32_MAX - 1)

struct plan_object {
	uint64_t size;
	/* The last operation on it: whoever comes next from another thread waits for this one. */
	uint32_t thread, op, pos;
	uint32_t window;
	uint32_t next; /* free slots: the next one of the list */
	uint8_t birth; /* enum plan_kind */
	bool aligned;
	bool large;    /* followed by touch.c */
};

struct plan_freelist {
	uint32_t head, nr;
};
#define PLAN_FREELIST_EMPTY ((struct plan_freelist){ .head = PLAN_NO_SLOT })

struct plan_heap {
	/* address map: open addressing, linear probing; key 0 is empty */
	uint64_t *keys;
	uint32_t *slots;
	size_t mask, nr;
	struct plan_object *objects; /* by slot */
	uint32_t nr_slots, slots_max;
	/* free slots of all threads, oldest first */
	uint32_t old_head, old_tail;
};

int plan_heap_init(struct plan_heap *h);
void plan_heap_clear(struct plan_heap *h);
/* PLAN_NO_SLOT if nothing lives at addr. */
uint32_t plan_heap_find(const struct plan_heap *h, uint64_t addr);
void plan_heap_prefetch(const struct plan_heap *h, uint64_t addr);
/* addr must not be in the map. */
int plan_heap_insert(struct plan_heap *h, uint64_t addr, uint32_t slot);
/* What was there, or PLAN_NO_SLOT. */
uint32_t plan_heap_remove(struct plan_heap *h, uint64_t addr);
/* A slot for a new object of the thread with this list; slots freed in windows below `settled` are anybody's. */
int plan_slot_take(struct plan_heap *h, struct plan_freelist *own, uint32_t settled, uint32_t *slot_ret);
/* objects[slot] says by whom and in which window it was freed. */
void plan_slot_give(struct plan_heap *h, struct plan_freelist *own, uint32_t slot);
/* The thread ends: its slots become anybody's, once `window` has passed. */
void plan_slot_give_all(struct plan_heap *h, struct plan_freelist *own, uint32_t window);

#endif
