/* SPDX-License-Identifier: BSD-2-Clause */
/* brake.c - see brake.h. */
#include "record/brake.h"

#define WINDOWS_OVER 2
#define WINDOWS_SETTLE 1 /* the one in which the step was taken */

static enum brake_step next_step(const struct brake *b)
{
	if (b->last < BRAKE_FREE_STACKS && b->free_stacks)
		return BRAKE_FREE_STACKS;
	return b->last < BRAKE_THIN && b->stacks ? BRAKE_THIN : BRAKE_DETACH;
}

enum brake_step brake_look(struct brake *b, double cost_ns, double cpu_ns)
{
	bool is_over = b->limit > 0 && cpu_ns >= (double)BRAKE_BUSY_NS && cost_ns > b->limit * cpu_ns;

	if (b->settle) {
		b->settle--;
		return BRAKE_NONE;
	}
	b->over = is_over ? b->over + 1 : 0;
	if (b->over < WINDOWS_OVER || b->last == BRAKE_DETACH)
		return BRAKE_NONE;
	b->over = 0;
	b->settle = WINDOWS_SETTLE;
	b->last = next_step(b);
	return b->last;
}
