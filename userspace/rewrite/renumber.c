/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * renumber.c - see renumber.h.
 *
 * Free numbers lie on piles by size class and thread, as the tape's codec predicts addresses (formats/columns.h): so they
 * cost next to nothing there.
 */
#include "rewrite/renumber.h"

#include <errno.h>
#include <stdlib.h>

#include "formats/columns.h"

#define NUMBER_SHIFT 4 /* objects of an allocator are aligned */

struct free_numbers {
	uint32_t *numbers;
	uint32_t nr, cap;
};

struct renumber {
	struct heap *heap; /* by real addresses; an object's stack is its number */
	struct free_numbers piles[PILES_NR];
	uint32_t last; /* the highest number given out */
};

struct renumber *renumber_new(void)
{
	struct renumber *n = calloc(1, sizeof(*n));

	if (n && !(n->heap = heap_new())) {
		free(n);
		return NULL;
	}
	return n;
}

void renumber_free(struct renumber *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < PILES_NR; i++)
		free(n->piles[i].numbers);
	heap_free(n->heap);
	free(n);
}

static struct free_numbers *numbers_of(struct renumber *n, uint64_t size, uint32_t tid)
{
	return &n->piles[(class_steps(size) + tid * 37) % PILES_NR];
}

static uint32_t take_number(struct renumber *n, uint64_t size, uint32_t tid)
{
	struct free_numbers *f = numbers_of(n, size, tid);

	return f->nr ? f->numbers[--f->nr] : ++n->last;
}

static int give_number(struct renumber *n, const struct heap_object *dead, uint32_t tid)
{
	struct free_numbers *f = numbers_of(n, dead->size, tid);

	if (f->nr == f->cap) {
		uint32_t cap = f->cap ? f->cap * 2 : 64;
		uint32_t *numbers = reallocarray(f->numbers, cap, sizeof(*numbers));

		if (!numbers)
			return -ENOMEM;
		f->numbers = numbers;
		f->cap = cap;
	}
	f->numbers[f->nr++] = dead->stack;
	return 0;
}

static uint64_t addr_of(uint32_t number)
{
	return (uint64_t)number << NUMBER_SHIFT;
}

/* What takes the address of a live object, or is resized in place, takes its number. */
static uint32_t number_of_birth(struct renumber *n, const struct tape_event *ev)
{
	struct heap_object there;

	if (!ev->addr)
		return 0;
	return heap_find(n->heap, ev->addr, &there) ? there.stack : take_number(n, ev->size, ev->tid);
}

static int renumber_call(struct renumber *n, struct tape_event *ev)
{
	struct tape_event real = *ev;
	struct heap_change change;
	uint32_t number = tape_kind_is_alloc(ev->kind) ? number_of_birth(n, ev) : 0;
	int err;

	real.stack = number;
	err = heap_apply(n->heap, &real, &change);
	ev->addr = tape_kind_is_alloc(ev->kind) ? addr_of(number) : change.died ? addr_of(change.dead.stack) : 0;
	ev->old = ev->kind == TAPE_REALLOC && change.died ? addr_of(change.dead.stack) : 0;
	if (!err && change.died && change.dead.stack != number)
		err = give_number(n, &change.dead, ev->tid);
	if (!err && change.implied && change.ended.stack != number)
		err = give_number(n, &change.ended, ev->tid);
	return err;
}

/* A block given up keeps its number until its realloc has come. */
static int renumber_give_up(struct renumber *n, struct tape_event *ev)
{
	struct tape_event real = *ev;
	struct heap_object there;
	struct heap_change change;
	int err;

	ev->addr = heap_find(n->heap, ev->addr, &there) ? addr_of(there.stack) : 0;
	err = heap_apply(n->heap, &real, &change);
	return !err && change.implied ? give_number(n, &change.ended, ev->tid) : err;
}

/* A failed realloc names an object that lives on; a block given up for it comes back. */
static int renumber_failed(struct renumber *n, struct tape_event *ev)
{
	struct tape_event real = *ev;
	struct heap_object there;
	int err = heap_apply(n->heap, &real, NULL);

	ev->addr = 0;
	ev->old = ev->old && heap_find(n->heap, ev->old, &there) ? addr_of(there.stack) : 0;
	return err;
}

int renumber_event(struct renumber *n, struct tape_event *ev)
{
	if (ev->kind == TAPE_EXEC)
		return heap_apply(n->heap, ev, NULL); /* the numbers of all that ends are not used again */
	if (ev->kind == TAPE_GIVE_UP)
		return renumber_give_up(n, ev);
	if (!tape_kind_is_call(ev->kind))
		return 0;
	return ev->flags & TAPE_FAILED ? renumber_failed(n, ev) : renumber_call(n, ev);
}
