/* SPDX-License-Identifier: BSD-2-Clause */
/* live_sums.c - see live_sums.h. */
#include "record/live_sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int live_sums_init(struct live_sums *l)
{
	*l = (struct live_sums){ 0 };
	return index_map_init(&l->of);
}

void live_sums_free(struct live_sums *l)
{
	index_map_free(&l->of);
	free(l->list);
	*l = (struct live_sums){ 0 };
}

static struct live_stack *row_of(struct live_sums *l, uint32_t stack)
{
	uint32_t i = index_map_find(&l->of, stack);

	if (i != INDEX_NONE)
		return &l->list[i];
	if (l->nr == l->room) {
		size_t room = l->room ? 2 * l->room : 1024;
		struct live_stack *list = reallocarray(l->list, room, sizeof(*list));

		if (!list)
			return NULL;
		l->list = list;
		l->room = room;
	}
	if (index_map_set(&l->of, stack, (uint32_t)l->nr))
		return NULL;
	l->list[l->nr] = (struct live_stack){ .stack = stack };
	return &l->list[l->nr++];
}

static int end_object(struct live_sums *l, const struct heap_object *o)
{
	struct live_stack *s = row_of(l, o->stack);

	if (!s)
		return -ENOMEM;
	s->live--;
	s->live_nbytes -= o->size;
	l->deaths++;
	return 0;
}

int live_sums_apply(struct live_sums *l, const struct tape_event *ev, const struct heap_change *change)
{
	struct live_stack *s;
	int err;

	for (size_t i = 0; i < l->nr && ev->kind == TAPE_EXEC; i++)
		l->list[i].live = l->list[i].live_nbytes = 0;
	err = change->died ? end_object(l, &change->dead) : 0;

	if (!err && change->implied)
		err = end_object(l, &change->ended);
	if (err || !change->born)
		return err;
	s = row_of(l, ev->stack);
	if (!s)
		return -ENOMEM;
	s->live++;
	s->live_nbytes += ev->size;
	if (ev->flags & TAPE_KEPT)
		return 0;
	s->births++;
	l->births++;
	l->born_nbytes += ev->size;
	return 0;
}

unsigned live_sums_top(struct live_sums *l, struct live_stack *top, unsigned max)
{
	unsigned nr = 0;

	for (size_t i = 0; i < l->nr; i++) {
		struct live_stack *s = &l->list[i];
		unsigned at = nr;

		while (at && top[at - 1].live_nbytes < s->live_nbytes)
			at--;
		if (s->live_nbytes && at < max) {
			nr += nr < max;
			memmove(&top[at + 1], &top[at], (nr - 1 - at) * sizeof(*top));
			top[at] = *s;
		}
		s->live_nbytes_before = s->live_nbytes;
		s->births_before = s->births;
	}
	return nr;
}
