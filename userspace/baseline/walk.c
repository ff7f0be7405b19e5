/* SPDX-License-Identifier: BSD-2-Clause */
/* walk.c - see walk.h: what all walkers share. */
#include "baseline/walk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct walker *const walkers[] = { &walk_glibc };

const struct walker *walk_find(const char *allocator)
{
	for (size_t i = 0; i < sizeof(walkers) / sizeof(walkers[0]); i++)
		if (!strcmp(walkers[i]->allocator, allocator))
			return walkers[i];
	return NULL;
}

int walk_add(struct walk *w, uint64_t addr, uint64_t usable, uint32_t owner)
{
	if (w->nr == w->room) {
		size_t room = w->room ? 2 * w->room : 65536;
		struct walk_block *blocks = reallocarray(w->blocks, room, sizeof(*blocks));

		if (!blocks)
			return walk_fail(w, -ENOMEM, "out of memory at %zu blocks", w->nr);
		w->blocks = blocks;
		w->room = room;
	}
	w->blocks[w->nr++] = (struct walk_block){ addr, usable, owner };
	return 0;
}

int walk_fail(struct walk *w, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	return err;
}

void walk_clear(struct walk *w)
{
	w->nr = 0;
	w->nr_free = 0;
	w->differs = false;
	w->why[0] = '\0';
}

void walk_end(struct walk *w)
{
	if (w->state)
		w->walker->close(w);
	w->state = NULL;
	free(w->blocks);
	w->blocks = NULL;
	w->nr = w->room = 0;
}
