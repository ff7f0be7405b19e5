/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * regions.c - objects of one call stack that die together: what an arena, freed as a whole, would serve as well.
 *
 * A run is what one thread frees with no allocation and no pause of ANALYSIS_TOGETHER_NS between: the end of a request, a tree
 * torn down. Within it the objects of a stack are a group if they are enough. Memory: RUN_STACKS rows a thread; the stacks of
 * a run beyond these are in no group.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/analysis_impl.h"

#define RUN_STACKS 16u
/* What a general heap adds to an object: a header of 8 bytes, and up to the next 16, at least 32 (glibc, mimalloc's and tcmalloc's
 * classes add about as much). */
#define HEADER_NBYTES 8u
#define STEP_NBYTES 16u
#define LEAST_NBYTES 32u

struct run_row {
	uint32_t stack, nr;
	uint64_t nbytes, added_nbytes;
};

struct region_run {
	uint64_t last_ns;
	unsigned nr;
	struct run_row rows[RUN_STACKS];
};

static uint64_t added_to(uint64_t nbytes)
{
	uint64_t taken = (nbytes + HEADER_NBYTES + STEP_NBYTES - 1) / STEP_NBYTES * STEP_NBYTES;

	return (taken > LEAST_NBYTES ? taken : LEAST_NBYTES) - nbytes;
}

static int end_run(struct pass *p, struct region_run *run)
{
	for (unsigned i = 0; i < run->nr; i++) {
		const struct run_row *row = &run->rows[i];
		struct analysis_stack *s;

		if (row->nr < ANALYSIS_GROUP_MIN)
			continue;
		s = pass_stack(p, row->stack);
		if (!s)
			return -ENOMEM;
		s->groups++;
		s->grouped += row->nr;
		s->grouped_nbytes += row->nbytes;
		s->grouped_added_nbytes += row->added_nbytes;
	}
	run->nr = 0;
	return 0;
}

/* Of the thread with this index; NULL: no memory. */
static struct region_run *run_of(struct pass *p, size_t thread)
{
	if (thread >= p->runs_max) {
		size_t max = p->threads_max > thread ? p->threads_max : thread + 1;
		struct region_run *runs = reallocarray(p->runs, max, sizeof(*runs));

		if (!runs)
			return NULL;
		memset(runs + p->runs_max, 0, (max - p->runs_max) * sizeof(*runs));
		p->runs = runs;
		p->runs_max = max;
	}
	return &p->runs[thread];
}

int pass_region_birth(struct pass *p, size_t thread)
{
	return thread < p->runs_max && p->runs[thread].nr ? end_run(p, &p->runs[thread]) : 0;
}

int pass_region_death(struct pass *p, size_t thread, const struct heap_object *dead, uint64_t ns)
{
	struct region_run *run = run_of(p, thread);
	struct run_row *row;
	unsigned i = 0;
	int err;

	if (!run)
		return -ENOMEM;
	if (run->nr && ns - run->last_ns > ANALYSIS_TOGETHER_NS) {
		err = end_run(p, run);
		if (err)
			return err;
	}
	run->last_ns = ns;
	while (i < run->nr && run->rows[i].stack != dead->stack)
		i++;
	if (i == RUN_STACKS)
		return 0;
	row = &run->rows[i];
	if (i == run->nr) {
		run->nr++;
		*row = (struct run_row){ .stack = dead->stack };
	}
	row->nr++;
	row->nbytes += dead->size;
	row->added_nbytes += added_to(dead->size);
	return 0;
}

int pass_regions_end(struct pass *p)
{
	int err = 0;

	for (size_t i = 0; i < p->runs_max && !err; i++)
		err = end_run(p, &p->runs[i]);
	return err;
}
