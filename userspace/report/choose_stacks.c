/* SPDX-License-Identifier: BSD-2-Clause */
/* choose_stacks.c - see choose_stacks.h. */
#include "report/choose_stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIGURES = 5 };
/* By one figure: the most that it was at any moment. */
struct ranked {
	uint64_t figures[FIGURES];
	uint32_t index; /* in the analysis */
};
static int sorted_by;

static int by_figure(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	uint64_t u = x->figures[sorted_by], v = y->figures[sorted_by];

	return u != v ? (u < v ? 1 : -1) : (x->index > y->index) - (x->index < y->index);
}

static void raise_to(uint64_t *figure, uint64_t value)
{
	*figure = value > *figure ? value : *figure;
}

/* Both lists are in order of stack numbers. */
static void raise_by_moments(struct ranked *list, const struct analysis *a)
{
	for (size_t m = 0; m < a->nr_moments; m++) {
		size_t at = 0;

		for (size_t i = 0; i < a->moments[m].nr_stacks; i++) {
			const struct moment_stack *s = &a->moments[m].stacks[i];

			while (at < a->nr_stacks && a->stacks[at].stack < s->stack)
				at++;
			if (at == a->nr_stacks)
				break;
			raise_to(&list[at].figures[0], s->live_nbytes);
			raise_to(&list[at].figures[2], s->pinned_nbytes);
		}
	}
}

static struct ranked *list_figures(const struct analysis *a)
{
	struct ranked *list = calloc(a->nr_stacks + 1, sizeof(*list));

	for (size_t i = 0; list && i < a->nr_stacks; i++) {
		const struct analysis_stack *s = &a->stacks[i];

		list[i] = (struct ranked){ { s->live_nbytes, s->born_nbytes, s->pinned_nbytes, s->soon, s->births }, (uint32_t)i };
	}
	if (list)
		raise_by_moments(list, a);
	return list;
}

/* Its best place by any of the figures; UINT32_MAX where all are zero. Stacks that findings are about come first. */
static int rank_stacks(const struct report *r, uint32_t *ranks)
{
	const struct analysis *a = r->analysis;
	struct ranked *list = list_figures(a);

	if (!list)
		return -ENOMEM;
	memset(ranks, 0xff, a->nr_stacks * sizeof(*ranks));
	for (sorted_by = 0; sorted_by < FIGURES; sorted_by++) {
		qsort(list, a->nr_stacks, sizeof(*list), by_figure);
		for (uint32_t i = 0; i < a->nr_stacks && list[i].figures[sorted_by]; i++)
			if (i < ranks[list[i].index])
				ranks[list[i].index] = i;
	}
	free(list);
	for (size_t i = 0; i < a->nr_stacks; i++)
		for (size_t f = 0; f < r->nr_findings; f++)
			for (unsigned k = 0; k < r->findings[f].nr_stacks; k++)
				if (r->findings[f].stacks[k] == a->stacks[i].stack)
					ranks[i] = 0;
	return 0;
}

/* Ranks below this are shown: `top` by each figure, or fewer if those are too many in all. */
static uint32_t choose_limit(const struct report *r, const uint32_t *ranks)
{
	uint32_t limit = r->top;
	size_t nr;

	do {
		nr = 0;
		for (size_t i = 0; i < r->analysis->nr_stacks; i++)
			nr += ranks[i] < limit;
		if (!r->stacks_max || nr <= r->stacks_max)
			return limit;
		limit -= limit / 16 + 1;
	} while (limit);
	return 1;
}

int choose_stacks(const struct report *r, bool *chosen)
{
	uint32_t *ranks = calloc(r->analysis->nr_stacks + 1, sizeof(*ranks)), limit;
	int err = ranks ? rank_stacks(r, ranks) : -ENOMEM;

	limit = err ? 0 : choose_limit(r, ranks);
	for (size_t i = 0; i < r->analysis->nr_stacks && !err; i++)
		chosen[i] = ranks[i] < limit;
	free(ranks);
	return err;
}
