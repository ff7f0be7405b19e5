/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.c - what each event does to the live set: see heap.h. Where objects lie is heap_table.c's matter.
 */
#include "heap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap_table.h"
#include "index_map.h"

/* An object that its thread has given up and not yet got back resized. */
struct given {
	bool pending;
	uint32_t tid;
	struct heap_object obj;
};

struct heap {
	struct heap_table table;
	struct given *given; /* one for each thread that ever gave up */
	uint32_t nr_given, cap_given;
	uint32_t nr_pending;
	struct index_map given_of; /* tid -> index of given */
	uint64_t live_nbytes, peak_nbytes;
};

struct heap *heap_new(void)
{
	struct heap *h = calloc(1, sizeof(*h));

	if (h && (heap_table_init(&h->table) || index_map_init(&h->given_of))) {
		heap_free(h);
		return NULL;
	}
	return h;
}

void heap_free(struct heap *h)
{
	if (!h)
		return;
	heap_table_free(&h->table);
	index_map_free(&h->given_of);
	free(h->given);
	free(h);
}

static void change_dead(struct heap_change *change, const struct heap_object *obj)
{
	change->died = true;
	change->dead = *obj;
}

/* An object that ended without an event of its own; where `ended` is taken already, `dead` tells it. */
static void change_ended(struct heap_change *change, const struct heap_object *obj)
{
	if (change->implied && !change->died) {
		change_dead(change, obj);
		return;
	}
	change->implied = true;
	change->ended = *obj;
}

/* The thread's given-up object, if one is pending. */
static struct given *given_of(const struct heap *h, uint32_t tid)
{
	uint32_t i = h->nr_pending ? index_map_find(&h->given_of, tid) : INDEX_NONE;

	return i != INDEX_NONE && h->given[i].pending ? &h->given[i] : NULL;
}

static int given_put(struct heap *h, uint32_t tid, const struct heap_object *obj)
{
	uint32_t i = index_map_find(&h->given_of, tid);

	if (i == INDEX_NONE) {
		if (h->nr_given == h->cap_given) {
			uint32_t cap = h->cap_given ? h->cap_given * 2 : 64;
			struct given *given = reallocarray(h->given, cap, sizeof(*given));

			if (!given)
				return -ENOMEM;
			h->given = given;
			h->cap_given = cap;
		}
		if (index_map_set(&h->given_of, tid, h->nr_given))
			return -ENOMEM;
		i = h->nr_given++;
	}
	h->given[i] = (struct given){ .pending = true, .tid = tid, .obj = *obj };
	h->nr_pending++;
	return 0;
}

static void given_take(struct heap *h, struct given *g)
{
	g->pending = false;
	h->nr_pending--;
}

/* The thread makes another call than the realloc it gave an object up for: that object is gone. */
static void given_abandon(struct heap *h, uint32_t tid, struct heap_change *change)
{
	struct given *g = given_of(h, tid);

	if (!g)
		return;
	given_take(h, g);
	h->live_nbytes -= g->obj.size;
	change_ended(change, &g->obj);
}

static int birth(struct heap *h, const struct heap_object *obj, struct heap_change *change)
{
	struct heap_object there;
	int err;

	if (heap_table_remove(&h->table, obj->addr, &there)) {
		h->live_nbytes -= there.size;
		change_ended(change, &there);
	}
	err = heap_table_add(&h->table, obj);
	if (err)
		return err;
	h->live_nbytes += obj->size;
	change->born = true;
	if (h->live_nbytes > h->peak_nbytes)
		h->peak_nbytes = h->live_nbytes;
	return 0;
}

static int birth_of(struct heap *h, const struct tape_event *ev, struct heap_change *change)
{
	struct heap_object obj = { .addr = ev->addr,
				   .size = ev->size,
				   .born_ns = ev->ns,
				   .tid = ev->tid,
				   .stack = ev->stack,
				   .alloc = ev->alloc,
				   .kind = ev->kind,
				   .found = ev->flags & TAPE_KEPT && ev->flags & TAPE_UNKNOWN };

	return ev->addr ? birth(h, &obj, change) : 0;
}

static void death(struct heap *h, uint64_t addr, struct heap_change *change)
{
	if (!addr)
		return;
	if (heap_table_remove(&h->table, addr, &change->dead)) {
		h->live_nbytes -= change->dead.size;
		change->died = true;
	} else {
		change->unknown = true;
	}
}

static int give_up(struct heap *h, const struct tape_event *ev, struct heap_change *change)
{
	struct heap_object obj;

	given_abandon(h, ev->tid, change);
	/* An unknown block is told by the realloc, which is the call. */
	return heap_table_remove(&h->table, ev->addr, &obj) ? given_put(h, ev->tid, &obj) : 0;
}

static int resize(struct heap *h, const struct tape_event *ev, struct heap_change *change)
{
	struct given *g = given_of(h, ev->tid);

	if (g && g->obj.addr == ev->old) {
		given_take(h, g);
		h->live_nbytes -= g->obj.size;
		change_dead(change, &g->obj);
	} else {
		death(h, ev->old, change);
		given_abandon(h, ev->tid, change);
	}
	return birth_of(h, ev, change);
}

/* A realloc that failed leaves its block as it was: one given up for it comes back. */
static int resize_failed(struct heap *h, const struct tape_event *ev, struct heap_change *change)
{
	struct given *g = given_of(h, ev->tid);
	struct heap_object there;

	if (!g || g->obj.addr != ev->old)
		return 0;
	given_take(h, g);
	if (heap_table_remove(&h->table, g->obj.addr, &there)) {
		h->live_nbytes -= there.size;
		change_ended(change, &there);
	}
	return heap_table_add(&h->table, &g->obj);
}

static void end_all(struct heap *h)
{
	heap_table_clear(&h->table);
	for (uint32_t i = 0; i < h->nr_given; i++)
		h->given[i].pending = false;
	h->nr_pending = 0;
	h->live_nbytes = 0;
}

/* Of a keyframe: the realloc that made an object is long over. */
static bool is_kept_realloc(const struct tape_event *ev)
{
	return ev->kind == TAPE_REALLOC && ev->flags & TAPE_KEPT;
}

static int apply(struct heap *h, const struct tape_event *ev, struct heap_change *change)
{
	switch (ev->kind) {
	case TAPE_REALLOC:
		return is_kept_realloc(ev) ? birth_of(h, ev, change) : resize(h, ev, change);
	case TAPE_MALLOC:
	case TAPE_CALLOC:
	case TAPE_POSIX_MEMALIGN:
	case TAPE_ALIGNED_ALLOC:
	case TAPE_MEMALIGN:
	case TAPE_VALLOC:
	case TAPE_PVALLOC:
	case TAPE_NEW:
		if (!(ev->flags & TAPE_KEPT))
			given_abandon(h, ev->tid, change);
		return birth_of(h, ev, change);
	case TAPE_FREE:
	case TAPE_DELETE:
	case TAPE_SDALLOCX:
		death(h, ev->addr, change);
		given_abandon(h, ev->tid, change);
		return 0;
	case TAPE_GIVE_UP:
		return give_up(h, ev, change);
	case TAPE_EXEC:
		end_all(h);
		return 0;
	default:
		return 0;
	}
}

int heap_apply(struct heap *h, const struct tape_event *ev, struct heap_change *change)
{
	struct heap_change unasked;

	if (!change)
		change = &unasked;
	change->born = change->died = change->unknown = change->implied = false;
	if (ev->flags & TAPE_SUB)
		return 0;
	if (ev->flags & TAPE_FAILED)
		return ev->kind == TAPE_REALLOC ? resize_failed(h, ev, change) : 0;
	return apply(h, ev, change);
}

static uint64_t looked_at(const struct tape_event *ev)
{
	return ev->kind == TAPE_REALLOC && ev->old ? ev->old : ev->addr;
}

void heap_prefetch_far(const struct heap *h, const struct tape_event *ev)
{
	heap_table_prefetch_slot(&h->table, looked_at(ev));
}

void heap_prefetch_near(const struct heap *h, const struct tape_event *ev)
{
	heap_table_prefetch_object(&h->table, looked_at(ev));
}

bool heap_find(const struct heap *h, uint64_t addr, struct heap_object *obj_ret)
{
	return heap_table_find(&h->table, addr, obj_ret);
}

uint64_t heap_nr_objects(const struct heap *h)
{
	return h->table.nr + h->nr_pending;
}

uint64_t heap_live_nbytes(const struct heap *h)
{
	return h->live_nbytes;
}

uint64_t heap_peak_nbytes(const struct heap *h)
{
	return h->peak_nbytes;
}

int heap_each(const struct heap *h, int (*fn)(void *arg, const struct heap_object *obj), void *arg)
{
	int stop = heap_table_each(&h->table, fn, arg);

	for (uint32_t i = 0; i < h->nr_given && !stop && h->nr_pending; i++)
		if (h->given[i].pending)
			stop = fn(arg, &h->given[i].obj);
	return stop;
}

int heap_each_given(const struct heap *h, int (*fn)(void *arg, uint32_t tid, const struct heap_object *obj), void *arg)
{
	int stop = 0;

	for (uint32_t i = 0; i < h->nr_given && !stop && h->nr_pending; i++)
		if (h->given[i].pending)
			stop = fn(arg, h->given[i].tid, &h->given[i].obj);
	return stop;
}
