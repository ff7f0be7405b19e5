/* SPDX-License-Identifier: BSD-2-Clause */
/* Which runs are made for each allocator, and what is made of them. */
#include "replay/replay.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GLIBC_ARENAS_PER_CPU 8 /* malloc/arena.c, NARENAS_FROM_NCORES on 64-bit machines */

int text_list_add(struct text_list *t, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	char **list = n < 0 ? NULL : reallocarray(t->list, t->nr + 1, sizeof(*list));
	if (!list) {
		free(n < 0 ? NULL : text);
		return -ENOMEM;
	}
	t->list = list;
	t->list[t->nr++] = text;
	return 0;
}

void text_list_free(struct text_list *t)
{
	for (size_t i = 0; i < t->nr; i++)
		free(t->list[i]);
	free(t->list);
	*t = (struct text_list){ 0 };
}

/* ---- CPUs ---- */

/* Recorded CPU n is played on the n-th CPU that we may use, counted round where there are fewer. */
int cpu_map_make(const struct plan *plan, struct cpu_map *map)
{
	cpu_set_t *set = CPU_ALLOC(PLAN_CPUS_MAX);
	size_t nbytes = CPU_ALLOC_SIZE(PLAN_CPUS_MAX);
	uint16_t ours[PLAN_CPUS_MAX];
	uint32_t seen = plan->facts.nr_cpus_seen, recorded = plan->head.nr_cpus;
	*map = (struct cpu_map){ .nr_told = recorded };
	if (!set)
		return -ENOMEM;
	if (sched_getaffinity(0, nbytes, set)) {
		CPU_FREE(set);
		return -errno;
	}
	for (unsigned i = 0; i < PLAN_CPUS_MAX; i++) {
		if (CPU_ISSET_S(i, nbytes, set))
			ours[map->nr_here++] = (uint16_t)i;
	}
	CPU_FREE(set);
	map->nr = seen > recorded ? seen : recorded;
	map->nr = map->nr < PLAN_CPUS_MAX ? map->nr : PLAN_CPUS_MAX;
	map->shared = map->nr > map->nr_here;
	for (uint32_t i = 0; i < map->nr; i++)
		map->to[i] = ours[i % map->nr_here];
	return 0;
}

/* ---- one run ---- */

struct progress {
	const struct replay_opts *opts;
	const char *allocator, *what;
};

static void forward_progress(void *arg, uint32_t done, uint32_t all)
{
	const struct progress *p = arg;
	if (p->opts->progress)
		p->opts->progress(p->opts->progress_arg, p->allocator, p->what, done, all);
}

static bool sets_arenas(const struct tested *a)
{
	const char *tunables = tested_setting(a, "GLIBC_TUNABLES");
	return tested_setting(a, "MALLOC_ARENA_MAX") || tested_setting(a, "MALLOC_ARENA_TEST") ||
	       (tunables && strstr(tunables, "glibc.malloc.arena_"));
}

/*
 * glibc asks the kernel itself how many CPUs the calling thread may use, when its arenas run out, and takes 8 for
 * each: in a player with pinned threads that would be 8. It is told what it would have found.
 */
static int make_env(const struct tested *a, uint32_t nr_cpus, char ***env_ret, char *arena_max, size_t nbytes)
{
	char **env = calloc(a->nr_settings + 2, sizeof(*env));
	if (!env)
		return -ENOMEM;
	memcpy(env, a->settings ? a->settings : (char *[]){ NULL }, a->nr_settings * sizeof(*env));
	if (!a->preload && nr_cpus && !sets_arenas(a)) {
		snprintf(arena_max, nbytes, "MALLOC_ARENA_MAX=%u", nr_cpus * GLIBC_ARENAS_PER_CPU);
		env[a->nr_settings] = arena_max;
	}
	*env_ret = env;
	return 0;
}

int replay_once(const struct plan *plan, const struct cpu_map *map, const struct replay_opts *opts, const struct tested *a,
		bool is_steered, uint32_t flags, const char *what, struct run_result *res)
{
	struct progress progress = { opts, a->label, what };
	char **env, arena_max[64];
	int err = make_env(a, map->nr_told ? map->nr_told : map->nr_here, &env, arena_max, sizeof(arena_max));
	if (err)
		return err;
	flags |= opts->clock_tape ? CONTROL_CLOCK_TAPE : 0;
	flags |= is_steered ? CONTROL_STEER : 0;
	flags |= map->nr_told ? CONTROL_MACHINE : 0;
	flags |= plan->head.placement != PLAN_PLACE_OFF ? CONTROL_PIN : 0;
	struct measure_opts m = {
		.launch = { .player = opts->player, .preload = a->preload ? a->path : NULL, .env = env, .flags = flags,
			    .pace_milli = opts->pace_milli, .nr_cpus = map->nr_told, .cpu_map = map->to,
			    .nr_cpu_map = map->nr, .nr_cpus_here = map->nr_here,
			    .layout_fixed = opts->layout_fixed },
		.timeout_ns = opts->timeout_ns ? opts->timeout_ns : REPLAY_TIMEOUT_NS,
		.progress = forward_progress,
		.progress_arg = &progress,
	};
	err = measure_run(plan, a, &m, res);
	free(env);
	return err;
}

int replay_orders(const struct plan *plan, const struct cpu_map *map, const struct replay_opts *opts, struct run_order *orders, size_t nr)
{
	int err = 0;

	if (opts->execute)
		return opts->execute(opts->execute_arg, plan, map, opts, orders, nr);
	for (size_t i = 0; i < nr && !err; i++) {
		const struct run_order *o = &orders[i];
		const struct run_error *before = NULL;

		for (size_t k = 0; k < i && !before; k++)
			if (orders[k].tested == o->tested && orders[k].res->error.kind)
				before = &orders[k].res->error;
		if (before)
			o->res->error = *before;
		else
			err = replay_once(plan, map, opts, o->tested, o->is_steered, o->flags, o->what, o->res);
	}
	return err;
}

/* ---- many runs ---- */

static void take_latencies(struct replay_result *r, const struct run_result *run)
{
	static const double q[] = { [LATENCY_P50] = 0.5, [LATENCY_P99] = 0.99, [LATENCY_P999] = 0.999 };
	r->has_latency = true;
	r->latency_cost_ns = (double)run->ticks_cost * run->ns_per_tick;
	r->ns_per_tick = run->ns_per_tick;
	memcpy(r->latency_hists, run->hists, sizeof(r->latency_hists));
	for (int h = 0; h < CONTROL_HIST_NR; h++) {
		for (int i = 0; i < LATENCY_MAX; i++)
			r->latency_ns[h][i] = (double)hist_quantile(run->hists[h], q[i]) * run->ns_per_tick;
		r->latency_ns[h][LATENCY_MAX] = (double)hist_max(run->hists[h]) * run->ns_per_tick;
	}
}

/* What the runs are for. */
enum phase { PHASE_VERIFY, PHASE_MEASURE, PHASE_TIME, PHASE_LATENCY };

struct phase_runs {
	struct run_order *orders;
	struct replay_result **of; /* whose each is */
	struct run_result *aside;  /* runs whose figures are taken out of them: NULL in other phases */
	size_t nr;
};

static int make_orders(const struct replay_opts *opts, enum phase phase, struct replay_result *results, size_t nr_results,
		       struct phase_runs *runs)
{
	static const uint32_t flags[] = { CONTROL_VERIFY, CONTROL_USABLE, 0, CONTROL_LATENCY };
	static const char *const what[] = { "verifying", "measuring", "timing", "taking latencies" };
	unsigned rounds = phase == PHASE_TIME && opts->repeat > 1 ? opts->repeat : 1;
	bool aside = phase == PHASE_VERIFY || phase == PHASE_LATENCY;

	*runs = (struct phase_runs){ .orders = calloc(rounds * nr_results + 1, sizeof(*runs->orders)),
				     .of = calloc(rounds * nr_results + 1, sizeof(*runs->of)),
				     .aside = aside ? calloc(nr_results + 1, sizeof(*runs->aside)) : NULL };
	if (!runs->orders || !runs->of || (aside && !runs->aside))
		return -ENOMEM;
	for (unsigned round = 0; round < rounds; round++) {
		for (size_t i = 0; i < nr_results; i++) {
			struct replay_result *r = &results[i];

			if (r->error.kind)
				continue;
			if (phase == PHASE_TIME && !r->timed)
				r->timed = calloc(rounds, sizeof(*r->timed));
			if (phase == PHASE_TIME && !r->timed)
				return -ENOMEM;
			runs->of[runs->nr] = r;
			runs->orders[runs->nr++] = (struct run_order){
				.tested = r->tested, .is_steered = r->is_steered, .flags = flags[phase], .what = what[phase],
				.res = aside ? &runs->aside[i] : phase == PHASE_MEASURE ? &r->measured : &r->timed[r->nr_timed++] };
		}
	}
	return 0;
}

static int do_phase(const struct plan *plan, const struct cpu_map *map, const struct replay_opts *opts, enum phase phase,
		    struct replay_result *results, size_t nr_results)
{
	struct phase_runs runs;
	int err = make_orders(opts, phase, results, nr_results, &runs);

	if (!err)
		err = replay_orders(plan, map, opts, runs.orders, runs.nr);
	for (size_t i = 0; i < runs.nr; i++) {
		struct replay_result *r = runs.of[i];
		const struct run_result *res = runs.orders[i].res;

		if (!r->error.kind)
			r->error = res->error;
		r->verified |= !err && phase == PHASE_VERIFY && !res->error.kind;
		if (!err && phase == PHASE_LATENCY && !res->error.kind)
			take_latencies(r, res);
		if (runs.aside)
			run_result_free(runs.orders[i].res);
	}
	free(runs.orders);
	free(runs.of);
	free(runs.aside);
	return err;
}

int replay_run(const struct plan *plan, const struct cpu_map *map, const struct replay_opts *opts,
	       struct replay_result *results, size_t nr_results)
{
	int err = opts->verify ? do_phase(plan, map, opts, PHASE_VERIFY, results, nr_results) : 0;

	if (!err)
		err = do_phase(plan, map, opts, PHASE_MEASURE, results, nr_results);
	if (!err)
		err = do_phase(plan, map, opts, PHASE_TIME, results, nr_results);
	if (!err && opts->latency)
		err = do_phase(plan, map, opts, PHASE_LATENCY, results, nr_results);
	for (size_t i = 0; i < nr_results && !err; i++) {
		if (!results[i].error.kind)
			err = compare_runs(&results[i]);
		if (!err && !results[i].error.kind && results[i].is_recorded)
			compare_recorded(&results[i], plan);
		if (!err)
			err = replay_warn_result(&results[i], plan);
	}
	return err ? err : compare_allocators(results, nr_results, plan);
}

void replay_result_free(struct replay_result *r)
{
	for (unsigned i = 0; i < r->nr_timed; i++)
		run_result_free(&r->timed[i]);
	free(r->timed);
	run_result_free(&r->measured);
	text_list_free(&r->warnings);
}
