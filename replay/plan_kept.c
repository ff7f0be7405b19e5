/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan_kept.c - the objects of the keyframe with which a tape starts: made before the first call, in the order of their
 * births, which is what the allocator under test saw of the past.
 */
#include <errno.h>
#include <stdlib.h>

#include "replay/plan_build.h"

void builder_note_kept(struct builder *b, const struct tape_event *ev)
{
	if (b->nr_kept == b->kept_max) {
		size_t max = b->kept_max ? b->kept_max * 2 : 4096;
		struct tape_event *kept = reallocarray(b->kept, max, sizeof(*kept));
		if (!kept) {
			b->err = -ENOMEM;
			return;
		}
		b->kept = kept;
		b->kept_max = max;
	}
	b->kept[b->nr_kept++] = *ev;
}

static int compare_births(const void *a, const void *b)
{
	const struct tape_event *x = a, *y = b;
	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* A thread of which nothing is heard any more is not started for the sake of what it once made. */
static void place(struct builder *b, struct tape_event *ev)
{
	ev->ns = b->survey.first_ns;
	if (index_map_find(&b->survey.tids, ev->tid) == INDEX_NONE)
		ev->tid = b->first_tid;
	builder_kept(b, ev);
}

void builder_place_kept(struct builder *b)
{
	size_t nr_given = 0;
	b->kept_placed = true;
	if (!b->nr_kept)
		return;
	builder_advance(b, b->survey.first_ns);
	/* Pairs of a birth and its give-up stand in front: others may live at those addresses. */
	while (nr_given + 1 < b->nr_kept && b->kept[nr_given + 1].kind == TAPE_GIVE_UP)
		nr_given += 2;
	qsort(b->kept + nr_given, b->nr_kept - nr_given, sizeof(*b->kept), compare_births);
	for (size_t i = 0; i < b->nr_kept && !b->err; i++)
		place(b, &b->kept[i]);
	free(b->kept);
	b->kept = NULL;
	b->nr_kept = b->kept_max = 0;
}
