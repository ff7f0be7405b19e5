/* SPDX-License-Identifier: BSD-2-Clause */
#include "analyze/one_allocator.h"

#include <string.h>

/* By name: one that is described again after an exec has another number. */
static bool is_asked(struct one_allocator *o, const struct tape_reader *r, uint8_t number)
{
	const struct tape_allocator *alloc;

	if (o->known[number])
		return o->known[number] == 1;
	alloc = number == TAPE_NO_ALLOC ? NULL : tape_reader_allocator(r, number);
	o->known[number] = alloc && !strcmp(alloc->name, o->name) ? 1 : 2;
	if (o->known[number] == 1 && o->number == TAPE_NO_ALLOC)
		o->number = number;
	return o->known[number] == 1;
}

bool one_allocator_counts(struct one_allocator *o, const struct tape_reader *r, const struct tape_event *ev, struct tape_event *own_ret)
{
	*own_ret = *ev;
	if (!o->name || (!tape_kind_is_call(ev->kind) && ev->kind != TAPE_GIVE_UP))
		return true;
	own_ret->flags &= (uint8_t)~TAPE_SUB;
	return is_asked(o, r, ev->alloc);
}
