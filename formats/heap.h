/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.h - the live set of a tape, and the split of resident memory.
 *
 * The live set follows tape events: which objects are alive, who made them. Pure: no process, no file.
 * A handle belongs to one thread at a time. Memory: at most 40 bytes a live object (table load included).
 * Failures are -ENOMEM only; an event that contradicts the heap is told in struct heap_change, never an error.
 */
#ifndef HEAPTAPE_HEAP_H
#define HEAPTAPE_HEAP_H

#include "tape.h"

struct heap;

struct heap_object {
	uint64_t addr;
	uint64_t size; /* requested bytes */
	uint64_t born_ns;
	uint32_t tid;
	uint32_t stack;
	uint8_t alloc;
	uint8_t kind; /* of the event that made it */
	bool found;   /* not seen to be born: it lived when the recording began, and size is what its allocator reserves */
};

/* What one event did to the live set. */
struct heap_change {
	bool born, died;         /* a realloc sets both; a failed one none */
	bool unknown;            /* a free or resize of an address that holds no object */
	bool implied;            /* `ended` was live at the new object's address */
	struct heap_object dead; /* died: the object that ended (realloc: as it was) */
	struct heap_object ended; /* implied: the object that ended without a free */
};

struct heap *heap_new(void);
void heap_free(struct heap *h);
/*
 * Applies one event, change may be NULL. Kinds other than calls are ignored, as are events flagged TAPE_FAILED
 * or TAPE_SUB; TAPE_EXEC ends all objects. A keyframe's events (TAPE_KEPT) are no calls of their threads. TAPE_GIVE_UP takes the object out of the table and keeps it with its
 * thread until that thread's TAPE_REALLOC (or ends it at that thread's next other call): it counts as live until then.
 */
int heap_apply(struct heap *h, const struct tape_event *ev, struct heap_change *change);
/*
 * Hints that make large heaps faster: call `far` for an event some HEAP_FAR places ahead of the one that is applied, `near` for
 * one HEAP_NEAR ahead. Nothing else depends on them.
 */
enum { HEAP_FAR = 24, HEAP_NEAR = 12 };
void heap_prefetch_far(const struct heap *h, const struct tape_event *ev);
void heap_prefetch_near(const struct heap *h, const struct tape_event *ev);
/* The live object that starts at addr; false if none does. */
bool heap_find(const struct heap *h, uint64_t addr, struct heap_object *obj_ret);
uint64_t heap_nr_objects(const struct heap *h);
uint64_t heap_live_nbytes(const struct heap *h);
uint64_t heap_peak_nbytes(const struct heap *h); /* of heap_live_nbytes, over all events so far */
/* Calls fn for every live object, in no order, until it returns non-zero, and returns that. */
int heap_each(const struct heap *h, int (*fn)(void *arg, const struct heap_object *obj), void *arg);

/* The objects that threads have given up and not yet got back (heap_each tells them too), each with its thread. */
int heap_each_given(const struct heap *h, int (*fn)(void *arg, uint32_t tid, const struct heap_object *obj), void *arg);

/* ---- the split (see README and TAPE.md "Words") ---- */

/* One live object as the split sees it. usable >= requested; usable == requested where the allocator cannot tell. */
struct split_object {
	uint64_t addr, requested, usable;
};

/* A run of the allocator's mappings, page aligned, not overlapping another. */
struct split_range {
	uint64_t start, end;
	const uint8_t *resident; /* bit i: page i is in memory */
	const uint8_t *held;     /* bit i: page i has held some object since it became resident */
};

/* Bytes. requested + internal + holes + retained + metadata == resident. */
struct split {
	uint64_t requested, internal, holes, retained, metadata, resident;
	uint64_t unresident; /* requested bytes of live objects on pages that are not in memory */
	uint64_t outside;    /* requested bytes of live objects outside all ranges (should be 0) */
};

/*
 * Each part by its own rule: a resident page that no object touches is `retained` or `metadata` by its held bit;
 * of any other resident page the bytes inside [addr, addr+requested) are `requested`, those inside
 * [addr+requested, addr+usable) `internal`, the rest `holes`. Sorts objs by address in place. Ranges sorted by start.
 * -EINVAL if objects overlap (*overlap_ret, may be NULL, names the first), ranges overlap or are not page aligned.
 */
int split_compute(struct split_object *objs, size_t nr_objs, const struct split_range *ranges, size_t nr_ranges,
		  uint64_t page_size, struct split *split_ret, uint64_t *overlap_ret);

#endif
