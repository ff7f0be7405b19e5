/* SPDX-License-Identifier: BSD-2-Clause */
/* Usual calls, with a counting probe on each branch. */
#include "counting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/counter.h"

enum { SPOTS_MAX = 1024 }; /* attaching takes about 0.1 ms each */

static int by_vaddr(const void *a, const void *b)
{
	const struct profile_spot *s = a, *t = b;

	return s->vaddr < t->vaddr ? -1 : s->vaddr > t->vaddr;
}

static int place_spots(const struct allocator *a, const struct profile *p, struct counter_place *places)
{
	for (unsigned i = 0; i < p->nr_spots; i++) {
		places[i].cond = p->spots[i].cond;
		if (object_offset(a->obj, p->spots[i].vaddr, &places[i].offset))
			return -ERANGE;
	}
	return 0;
}

static int count(struct scratch *s, struct counter *counter, struct profile *p)
{
	struct counter_place *places = calloc(SPOTS_MAX, sizeof(*places));
	struct ht_count *counts = calloc(SPOTS_MAX, sizeof(*counts));
	int err = places && counts ? place_spots(s->a, p, places) : -ENOMEM;

	if (!err)
		err = scratch_start(s, AREA_COUNT);
	if (!err)
		err = scratch_wait_ready(s);
	if (!err)
		err = counter_attach(counter, s->pid, s->a->obj, places, p->nr_spots, 0);
	if (!err)
		err = scratch_run(s, NULL, NULL);
	scratch_end(s);
	counter_detach(counter);
	if (!err)
		err = counter_read(counter, p->nr_spots, counts);
	for (unsigned i = 0; i < p->nr_spots && !err; i++) {
		p->spots[i].count = counts[i].reached;
		p->spots[i].taken = counts[i].calls;
	}
	free(places);
	free(counts);
	return err;
}

int counting_run(struct scratch *s, struct profile *p)
{
	struct counter *counter = NULL;
	int err;

	memset(p, 0, sizeof(*p));
	p->spots = calloc(SPOTS_MAX, sizeof(*p->spots));
	if (!p->spots)
		return -ENOMEM;
	p->nr_spots = allocator_branches(s->a, p->spots, SPOTS_MAX);
	qsort(p->spots, p->nr_spots, sizeof(*p->spots), by_vaddr);
	err = counter_open(&counter);
	if (!err)
		err = count(s, counter, p);
	counter_close(counter);
	return err;
}

void profile_free(struct profile *p)
{
	free(p->spots);
	memset(p, 0, sizeof(*p));
}
