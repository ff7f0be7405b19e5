/* SPDX-License-Identifier: BSD-2-Clause */
/* Medians of repeated runs, and a replay against what was recorded. */
#include <errno.h>
#include <stdlib.h>

#include "replay/replay.h"

#define SMALL_SHARE 10 /* checkpoints with less than a tenth of the recorded peak say little about its allocator */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static struct figures figures_of(uint64_t *values, size_t nr)
{
	qsort(values, nr, sizeof(*values), compare_u64);
	uint64_t median = nr % 2 ? values[nr / 2] : values[nr / 2 - 1] + (values[nr / 2] - values[nr / 2 - 1]) / 2;
	return (struct figures){ median, values[0], values[nr - 1] };
}

enum metric { METRIC_WALL, METRIC_CPU, METRIC_FAULTS, METRIC_PEAK, METRIC_END };

static uint64_t metric_of(const struct run_result *r, enum metric metric)
{
	switch (metric) {
	case METRIC_WALL: return r->wall_ns;
	case METRIC_CPU: return r->cpu_ns;
	case METRIC_FAULTS: return r->page_faults;
	case METRIC_PEAK: return r->peak_resident;
	default: return r->end_resident;
	}
}

int compare_runs(struct replay_result *r)
{
	struct figures *const to[] = { &r->wall_ns, &r->cpu_ns, &r->page_faults, &r->peak_resident, &r->end_resident };
	uint64_t *values = calloc(r->nr_timed + 1u, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (int m = METRIC_WALL; m <= METRIC_END; m++) {
		size_t nr = 0;
		for (unsigned i = 0; i < r->nr_timed; i++)
			values[nr++] = metric_of(&r->timed[i], (enum metric)m);
		if (m >= METRIC_PEAK)
			values[nr++] = metric_of(&r->measured, (enum metric)m);
		*to[m] = figures_of(values, nr);
	}
	free(values);
	return 0;
}

/*
 * What the recorded process had around its allocator is taken from the tape's page faults, or, where it has none, as what
 * it held when recording began; it is added to the replayed heap as it is, never fitted.
 */
void compare_recorded(struct replay_result *r, const struct plan *plan)
{
	uint64_t peak = 0, nr = 0;
	double sum = 0;
	for (uint32_t i = 0; i < plan->head.nr_checkpoints; i++) {
		uint64_t recorded = plan->checkpoints[i].recorded_anon_nbytes;
		if (recorded != UINT64_MAX && recorded > peak)
			peak = recorded;
	}
	for (uint32_t i = 0; i < plan->head.nr_checkpoints && peak; i++) {
		uint64_t recorded = plan->checkpoints[i].recorded_anon_nbytes;
		if (recorded == UINT64_MAX || recorded < peak / SMALL_SHARE)
			continue;
		uint64_t around = plan->checkpoints[i].around_nbytes;
		if (around == UINT64_MAX || around < plan->facts.start_anon_nbytes)
			around = plan->facts.start_anon_nbytes;
		double replayed = (double)(r->measured.resident[i] + around);
		double off = replayed / (double)recorded - 1;
		sum += off < 0 ? -off : off;
		nr++;
		if ((off < 0 ? -off : off) > (r->fidelity_worst < 0 ? -r->fidelity_worst : r->fidelity_worst)) {
			r->fidelity_worst = off;
			r->fidelity_worst_ns = plan->checkpoints[i].ns;
		}
	}
	r->has_fidelity = nr != 0;
	r->fidelity_mean = nr ? sum / (double)nr : 0;
}
