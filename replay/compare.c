/* SPDX-License-Identifier: BSD-2-Clause */
/* Medians of repeated runs, and a replay against what was recorded. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "replay/rank_test.h"
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
	for (int m = METRIC_WALL; m < METRIC_NR; m++) {
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

/* ---- verdicts ---- */

static const struct replay_result *reference_of(const struct replay_result *results, size_t nr)
{
	const struct replay_result *first = NULL;
	for (size_t i = 0; i < nr; i++) {
		if (results[i].error.kind)
			continue;
		if (results[i].is_recorded)
			return &results[i];
		first = first ? first : &results[i];
	}
	return first;
}

/* The timed runs' values, to be freed; NULL: no memory. */
static uint64_t *values_of(const struct replay_result *r, enum metric metric)
{
	uint64_t *values = calloc(r->nr_timed + 1u, sizeof(*values));
	for (unsigned i = 0; i < r->nr_timed && values; i++)
		values[i] = metric_of(&r->timed[i], metric);
	return values;
}

/* Share and p before the correction; -1 where nothing is tested. */
static int test_metric(const struct replay_result *r, const struct replay_result *reference, enum metric metric,
		       struct verdict *v)
{
	uint64_t *mine = values_of(r, metric), *theirs = values_of(reference, metric);
	int err = mine && theirs ? 0 : -ENOMEM;
	if (!err) {
		double a = (double)figures_of(mine, r->nr_timed).median;
		double b = (double)figures_of(theirs, reference->nr_timed).median;
		v->share = b > 0 ? a / b - 1 : 0;
		v->p = -1;
		if (r->nr_timed >= VERDICT_RUNS_MIN && reference->nr_timed >= VERDICT_RUNS_MIN)
			v->p = rank_test(mine, r->nr_timed, theirs, reference->nr_timed);
		err = v->p < -1 ? -ENOMEM : 0;
	}
	free(mine);
	free(theirs);
	return err;
}

static bool is_large_enough(const struct verdict *v, const struct replay_result *reference, enum metric metric,
			    uint64_t nr_threads)
{
	double share = v->share < 0 ? -v->share : v->share;
	double nbytes = metric == METRIC_PEAK ? share * (double)reference->peak_resident.median :
			metric == METRIC_END  ? share * (double)reference->end_resident.median :
						(double)UINT64_MAX;
	return share > VERDICT_SHARE && nbytes > (double)(PLAN_PAGE * nr_threads);
}

static int compare_metric(struct replay_result *results, size_t nr, const struct replay_result *reference,
			  enum metric metric, const struct plan *plan)
{
	double *p = calloc(nr, sizeof(*p));
	size_t nr_tests = 0;
	int err = p ? 0 : -ENOMEM;
	for (size_t i = 0; i < nr && !err; i++) {
		struct replay_result *r = &results[i];
		struct verdict *v = &r->verdicts[metric];
		if (r->error.kind)
			continue;
		*v = (struct verdict){ .kind = VERDICT_REFERENCE, .p = -1 };
		r->reference = reference->tested;
		if (r == reference)
			continue;
		err = test_metric(r, reference, metric, v);
		v->kind = v->p < 0 ? VERDICT_TOO_FEW : VERDICT_NONE;
		if (v->p >= 0)
			p[nr_tests++] = v->p;
	}
	holm(p, nr_tests);
	nr_tests = 0;
	for (size_t i = 0; i < nr && !err; i++) {
		struct verdict *v = &results[i].verdicts[metric];
		if (results[i].error.kind || v->kind != VERDICT_NONE)
			continue;
		v->p = p[nr_tests++];
		if (v->p < VERDICT_P && is_large_enough(v, reference, metric, plan->head.nr_threads))
			v->kind = VERDICT_DIFFERS;
	}
	free(p);
	return err;
}

int compare_allocators(struct replay_result *results, size_t nr_results, const struct plan *plan)
{
	const struct replay_result *reference = reference_of(results, nr_results);
	int err = 0;
	for (int m = METRIC_WALL; m < METRIC_NR && reference && !err; m++)
		err = compare_metric(results, nr_results, reference, (enum metric)m, plan);
	return err;
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
