/* SPDX-License-Identifier: BSD-2-Clause */
/* Usual calls, with a counting probe on each branch. */
#include "counting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "record/counter.h"

enum {
	SPOTS_MAX = 1024, /* attaching takes about 0.1 ms each */
	TARGET_NS = 100000000,
};

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

/* Where the calls come from. */
struct source {
	const struct allocator *a;
	pid_t pid;               /* it runs by itself, or: */
	struct scratch *scratch; /* NULL: none */
};

static int run_scratch(struct counter *counter, struct source *source, const struct counter_place *places, unsigned nr)
{
	struct scratch *s = source->scratch;
	int err = scratch_start(s, AREA_COUNT);

	if (!err)
		err = scratch_wait_ready(s);
	if (!err)
		err = counter_attach(counter, s->pid, source->a->obj, places, nr, 0);
	if (!err)
		err = scratch_run(s, NULL, NULL);
	scratch_end(s);
	return err;
}

static int run_target(struct counter *counter, struct source *source, const struct counter_place *places, unsigned nr)
{
	const struct timespec pause = { 0, TARGET_NS };
	int err = counter_attach(counter, source->pid, source->a->obj, places, nr, 0);

	if (!err)
		nanosleep(&pause, NULL);
	return err;
}

static int count(struct source *source, struct counter *counter, struct profile *p)
{
	struct counter_place *places = calloc(SPOTS_MAX, sizeof(*places));
	struct ht_count *counts = calloc(SPOTS_MAX, sizeof(*counts));
	int err = places && counts ? place_spots(source->a, p, places) : -ENOMEM;

	if (!err)
		err = (source->scratch ? run_scratch : run_target)(counter, source, places, p->nr_spots);
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

static int count_source(struct source *source, struct profile *p)
{
	struct counter *counter = NULL;
	int err;

	memset(p, 0, sizeof(*p));
	p->spots = calloc(SPOTS_MAX, sizeof(*p->spots));
	if (!p->spots)
		return -ENOMEM;
	p->nr_spots = allocator_branches(source->a, p->spots, SPOTS_MAX);
	qsort(p->spots, p->nr_spots, sizeof(*p->spots), by_vaddr);
	err = counter_open(&counter);
	if (!err)
		err = count(source, counter, p);
	counter_close(counter);
	return err;
}

int counting_run(struct scratch *s, struct profile *p)
{
	struct source source = { .a = s->a, .scratch = s };

	return count_source(&source, p);
}

int counting_on_target(pid_t pid, const struct allocator *a, struct profile *p)
{
	struct source source = { .a = a, .pid = pid };

	return count_source(&source, p);
}

void profile_free(struct profile *p)
{
	free(p->spots);
	memset(p, 0, sizeof(*p));
}
