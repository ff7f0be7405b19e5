/* SPDX-License-Identifier: BSD-2-Clause */
/* Results as JSON. Numbers are at most 2^53 and so exact. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/replay.h"

const char *plan_order_name(unsigned order)
{
	return order == PLAN_ORDER_STRICT ? "strict" : "deps";
}

const char *plan_touch_name(unsigned touch)
{
	static const char *const names[] = { [PLAN_TOUCHING_FAULTS] = "faults", [PLAN_TOUCHING_ALL] = "all",
					     [PLAN_TOUCHING_NONE] = "none", [PLAN_TOUCHING_FIRST] = "first" };
	return names[touch % 4];
}

const char *plan_placement_name(unsigned placement)
{
	static const char *const names[] = { [PLAN_PLACE_STEADY] = "steady", [PLAN_PLACE_EXACT] = "exact",
					     [PLAN_PLACE_OFF] = "off" };
	return names[placement % 3];
}

static void add_u64(cJSON *to, const char *key, uint64_t value)
{
	cJSON_AddNumberToObject(to, key, (double)value);
}

static void add_texts(cJSON *array, const struct text_list *t)
{
	for (size_t i = 0; i < t->nr; i++)
		cJSON_AddItemToArray(array, cJSON_CreateString(t->list[i]));
}

static void add_allocator(cJSON *to, const struct tested *a)
{
	cJSON *o = cJSON_AddObjectToObject(to, "allocator");
	cJSON_AddStringToObject(o, "name", a->name);
	cJSON_AddStringToObject(o, "path", a->path);
	cJSON_AddStringToObject(o, "build_id", a->build_id);
	cJSON *settings = cJSON_AddObjectToObject(o, "settings");
	for (size_t i = 0; i < a->nr_settings; i++) {
		char *key = strdup(a->settings[i]), *equals = key ? strchr(key, '=') : NULL;
		if (equals) {
			*equals = '\0';
			cJSON_AddStringToObject(settings, key, equals + 1);
		}
		free(key);
	}
	cJSON_AddBoolToObject(o, "settings_recorded", a->settings_recorded);
	cJSON_AddStringToObject(o, "label", a->label);
}

static void add_split(cJSON *to, const char *key, const struct run_result *m, const struct split *s)
{
	cJSON *o = cJSON_AddObjectToObject(to, key);
	add_u64(o, "requested", s->requested);
	if (m->has_usable)
		add_u64(o, "internal", s->internal);
	else
		cJSON_AddNullToObject(o, "internal");
	add_u64(o, "holes", s->holes);
	add_u64(o, "retained", s->retained);
	add_u64(o, "metadata", s->metadata);
	add_u64(o, "resident", s->resident);
	add_u64(o, "unresident", s->unresident);
	add_u64(o, "outside", s->outside);
}

/* occupancy: how full the pages are on which objects of this size lie, with objects of all sizes. */
static void add_classes(cJSON *to, const char *key, const struct size_classes *classes)
{
	cJSON *list = cJSON_AddArrayToObject(to, key);
	for (size_t i = 0; i < classes->nr; i++) {
		const struct size_class *c = &classes->list[i];
		cJSON *o = cJSON_CreateObject();
		cJSON_AddItemToArray(list, o);
		add_u64(o, "size", c->usable);
		add_u64(o, "objects", c->nr);
		add_u64(o, "requested", c->requested);
		add_u64(o, "usable", c->given);
		add_u64(o, "pages", c->pages_nbytes);
		cJSON_AddNumberToObject(o, "occupancy", c->pages_nbytes ? (double)c->pages_used / (double)c->pages_nbytes : 0);
	}
}

static void add_figures(cJSON *to, const char *key, const struct figures *f)
{
	cJSON *o = cJSON_AddObjectToObject(to, key);
	add_u64(o, "median", f->median);
	add_u64(o, "min", f->min);
	add_u64(o, "max", f->max);
}

static void add_spread(cJSON *to, const struct replay_result *r)
{
	cJSON *o = cJSON_AddObjectToObject(to, "spread");
	add_figures(o, "wall_ns", &r->wall_ns);
	add_figures(o, "cpu_ns", &r->cpu_ns);
	add_figures(o, "page_faults", &r->page_faults);
	add_figures(o, "peak_resident", &r->peak_resident);
	add_figures(o, "end_resident", &r->end_resident);
}

/* null where they could not be counted: the reason stands beside it. */
static void add_syscalls(cJSON *o, const struct run_result *t)
{
	if (t->has_syscalls) {
		add_u64(o, "memory_syscalls", t->syscalls);
		return;
	}
	cJSON_AddNullToObject(o, "memory_syscalls");
	cJSON_AddStringToObject(o, "memory_syscalls_why",
				t->syscalls_error == ENOENT ? "no tracefs; mount -t tracefs tracefs /sys/kernel/tracing" :
							      strerror(t->syscalls_error));
}

static void add_runs(cJSON *to, const struct replay_result *r)
{
	cJSON *runs = cJSON_AddArrayToObject(to, "runs");
	for (unsigned i = 0; i < r->nr_timed; i++) {
		const struct run_result *t = &r->timed[i];
		cJSON *o = cJSON_CreateObject();
		cJSON_AddItemToArray(runs, o);
		add_u64(o, "wall_ns", t->wall_ns);
		add_u64(o, "cpu_ns", t->cpu_ns);
		add_u64(o, "page_faults", t->page_faults);
		add_syscalls(o, t);
		add_u64(o, "voluntary_switches", t->switches);
		add_u64(o, "peak_resident", t->peak_resident);
		add_u64(o, "end_resident", t->end_resident);
	}
}

static void add_latency(cJSON *to, const struct replay_result *r)
{
	static const char *const calls[] = { [CONTROL_HIST_MALLOC] = "malloc", [CONTROL_HIST_FREE] = "free",
					     [CONTROL_HIST_REALLOC] = "realloc" };
	static const char *const names[] = { [LATENCY_P50] = "p50", [LATENCY_P99] = "p99", [LATENCY_P999] = "p99_9",
					     [LATENCY_MAX] = "max" };
	if (!r->has_latency) {
		cJSON_AddNullToObject(to, "latency_ns");
		return;
	}
	cJSON_AddNumberToObject(to, "latency_cost_ns", r->latency_cost_ns);
	cJSON *o = cJSON_AddObjectToObject(to, "latency_ns");
	for (int h = 0; h < CONTROL_HIST_NR; h++) {
		cJSON *call = cJSON_AddObjectToObject(o, calls[h]);
		for (int i = 0; i < LATENCY_NR; i++)
			cJSON_AddNumberToObject(call, names[i], r->latency_ns[h][i]);
	}
}

/* [[ns, calls], ...]: how many calls took so long, or up to 6 % longer. */
static void add_histograms(cJSON *to, const struct replay_result *r)
{
	static const char *const calls[] = { [CONTROL_HIST_MALLOC] = "malloc", [CONTROL_HIST_FREE] = "free",
					     [CONTROL_HIST_REALLOC] = "realloc" };
	if (!r->has_latency)
		return;
	cJSON *o = cJSON_AddObjectToObject(to, "latency_histogram");
	for (int h = 0; h < CONTROL_HIST_NR; h++) {
		cJSON *list = cJSON_AddArrayToObject(o, calls[h]);
		for (unsigned i = 0; i < HIST_BUCKETS; i++) {
			double pair[2] = { (double)hist_value(i) * r->ns_per_tick, (double)r->latency_hists[h][i] };
			if (r->latency_hists[h][i])
				cJSON_AddItemToArray(list, cJSON_CreateDoubleArray(pair, 2));
		}
	}
}

static void add_timeline(cJSON *to, const struct plan *plan, const struct run_result *m)
{
	cJSON *timeline = cJSON_AddArrayToObject(to, "timeline");
	for (uint32_t i = 0; i < plan->head.nr_checkpoints; i++) {
		cJSON *o = cJSON_CreateObject();
		cJSON_AddItemToArray(timeline, o);
		add_u64(o, "ns", plan->checkpoints[i].ns);
		add_u64(o, "live", plan->checkpoints[i].live_nbytes);
		add_u64(o, "resident", m->resident[i]);
		if (plan->checkpoints[i].around_nbytes != UINT64_MAX)
			add_u64(o, "process", m->resident[i] + plan->checkpoints[i].around_nbytes);
	}
}

static uint64_t not_applicable(const struct plan_facts *f, const struct replay_result *r)
{
	return f->nr_unknown_frees + f->nr_steers - (r->is_steered ? f->nr_steers_planned : 0);
}

static void add_fidelity(cJSON *to, const struct replay_result *r)
{
	if (!r->has_fidelity) {
		cJSON_AddNullToObject(to, "fidelity");
		return;
	}
	cJSON *o = cJSON_AddObjectToObject(to, "fidelity");
	cJSON_AddNumberToObject(o, "mean", r->fidelity_mean);
	cJSON_AddNumberToObject(o, "worst", r->fidelity_worst);
	add_u64(o, "worst_ns", r->fidelity_worst_ns);
}

static void add_verdicts(cJSON *to, const struct replay_result *r)
{
	static const char *const metrics[METRIC_NR] = { "wall_ns", "cpu_ns", "page_faults", "peak_resident", "end_resident" };
	static const char *const kinds[] = { "reference", "too few runs", "no difference shown", "differs" };
	cJSON *o = cJSON_AddObjectToObject(to, "verdicts");
	cJSON_AddStringToObject(o, "against", r->reference ? r->reference->label : "");
	for (int m = 0; m < METRIC_NR; m++) {
		const struct verdict *v = &r->verdicts[m];
		cJSON *one = cJSON_AddObjectToObject(o, metrics[m]);
		cJSON_AddStringToObject(one, "verdict", kinds[v->kind]);
		cJSON_AddNumberToObject(one, "difference", v->share);
		if (v->p < 0)
			cJSON_AddNullToObject(one, "p");
		else
			cJSON_AddNumberToObject(one, "p", v->p);
	}
}

static double events_per_s(const struct replay_report *rep, const struct replay_result *r)
{
	return r->wall_ns.median ? 1e9 * (double)rep->plan->facts.nr_planned / (double)r->wall_ns.median : 0;
}

static void add_figures_of_result(cJSON *o, const struct replay_report *rep, const struct replay_result *r)
{
	const struct run_result *m = &r->measured;
	add_u64(o, "events", rep->plan->facts.nr_planned);
	add_u64(o, "wall_ns", r->wall_ns.median);
	add_u64(o, "cpu_ns", r->cpu_ns.median);
	cJSON_AddNumberToObject(o, "events_per_s", events_per_s(rep, r));
	add_u64(o, "peak_resident", m->peak_resident);
	add_u64(o, "end_resident", m->end_resident);
	add_u64(o, "process_resident", m->process_resident);
	add_u64(o, "process_anon", m->process_anon);
	add_split(o, "end_split", m, &m->end_split);
	add_split(o, "peak_split", m, &m->peak_split);
	add_classes(o, "end_size_classes", &m->end_classes);
	add_classes(o, "peak_size_classes", &m->peak_classes);
	add_u64(o, "page_faults", r->page_faults.median);
	add_u64(o, "not_applicable", not_applicable(&rep->plan->facts, r));
	cJSON_AddBoolToObject(o, "verified", r->verified);
	add_fidelity(o, r);
	add_latency(o, r);
	add_histograms(o, r);
	add_verdicts(o, r);
	add_spread(o, r);
	add_runs(o, r);
	add_timeline(o, rep->plan, m);
}

static void add_result(cJSON *to, const struct replay_report *rep, const struct replay_result *r)
{
	cJSON *o = cJSON_CreateObject();
	cJSON_AddItemToArray(to, o);
	add_allocator(o, r->tested);
	cJSON_AddBoolToObject(o, "recorded", r->is_recorded);
	cJSON *warnings = cJSON_AddArrayToObject(o, "warnings");
	add_texts(warnings, rep->warnings);
	add_texts(warnings, &r->warnings);
	if (r->error.kind) {
		cJSON *e = cJSON_AddObjectToObject(o, "error");
		cJSON_AddStringToObject(e, "kind", r->error.kind);
		cJSON_AddStringToObject(e, "text", r->error.text);
		return;
	}
	add_figures_of_result(o, rep, r);
}

static void add_pace(cJSON *to, uint64_t pace_milli)
{
	char text[32] = "max";
	if (pace_milli)
		snprintf(text, sizeof(text), "%gx", (double)pace_milli / 1000);
	cJSON_AddStringToObject(to, "pace", text);
}

/* What of the tape became what, so that nothing is missing silently. */
static void add_plan(cJSON *to, const struct plan *plan)
{
	const struct plan_facts *f = &plan->facts;
	cJSON *o = cJSON_AddObjectToObject(to, "plan");
	add_u64(o, "events", f->nr_planned);
	add_u64(o, "threads", plan->head.nr_threads);
	add_u64(o, "slots", plan->head.nr_slots);
	add_u64(o, "waits", f->nr_waits);
	add_u64(o, "waits_dropped", f->nr_waits_dropped);
	add_u64(o, "moves", f->nr_moves);
	add_u64(o, "moves_dropped", f->nr_moves_dropped);
	add_u64(o, "failed", f->nr_failed);
	add_u64(o, "sub_allocations", f->nr_sub);
	add_u64(o, "nested", f->nr_nested);
	add_u64(o, "runtime_objects", f->nr_runtime);
	add_u64(o, "unknown_frees", f->nr_unknown_frees);
	add_u64(o, "unknown_reallocs", f->nr_unknown_reallocs);
	add_u64(o, "implied_frees", f->nr_implied_frees);
	add_u64(o, "steers", f->nr_steers);
	add_u64(o, "steers_played", f->nr_steers_planned);
	add_u64(o, "thread_library_calls", f->nr_own_calls);
	add_u64(o, "lost", f->nr_lost);
	add_u64(o, "kept_objects", f->nr_kept);
	add_u64(o, "baseline_objects", f->nr_found);
	add_u64(o, "baseline_bytes", f->found_nbytes);
	add_u64(o, "first_ns", f->first_ns);
	add_u64(o, "last_ns", f->last_ns);
	add_u64(o, "trap_ns", f->trap_ns);
	add_u64(o, "trap_total_ns", f->trap_total_ns);
	add_u64(o, "live_at_end", f->live_nbytes);
	add_u64(o, "peak_live", f->peak_nbytes);
	add_u64(o, "touched_known", f->touched.known);
	add_u64(o, "untouched_known", f->touched.untouched);
	add_u64(o, "touched_assumed", f->touched.assumed);
	add_u64(o, "touched_small", f->touched_small_nbytes);
}

/* The recorded resident set at the checkpoints, where the tape has it. */
static void add_recorded(cJSON *to, const struct plan *plan)
{
	cJSON *timeline = cJSON_AddArrayToObject(to, "recorded_anon");
	for (uint32_t i = 0; i < plan->head.nr_checkpoints; i++) {
		const struct plan_checkpoint *c = &plan->checkpoints[i];
		if (c->recorded_anon_nbytes == UINT64_MAX)
			continue;
		cJSON *o = cJSON_CreateObject();
		cJSON_AddItemToArray(timeline, o);
		add_u64(o, "ns", c->ns);
		add_u64(o, "anon", c->recorded_anon_nbytes);
	}
}

/* What the recorded process held around its allocator: the most, and at the end. */
static void add_around(cJSON *to, const struct plan *plan)
{
	uint64_t peak = plan_around_peak(plan), end = plan->checkpoints[plan->head.nr_checkpoints - 1].around_nbytes;
	if (end == UINT64_MAX) {
		cJSON_AddNullToObject(to, "around_allocator");
		return;
	}
	cJSON *o = cJSON_AddObjectToObject(to, "around_allocator");
	add_u64(o, "peak", peak);
	add_u64(o, "end", end);
}

char *replay_json(const struct replay_report *r)
{
	cJSON *o = cJSON_CreateObject();
	cJSON_AddStringToObject(o, "tape", r->tape);
	cJSON_AddStringToObject(o, "order", plan_order_name(r->plan->head.order));
	add_pace(o, r->opts->pace_milli);
	cJSON_AddStringToObject(o, "clock", r->opts->clock_tape ? "tape" : "real");
	cJSON_AddStringToObject(o, "layout", r->opts->layout_fixed ? "fixed" : "random");
	cJSON_AddStringToObject(o, "touch", plan_touch_name(r->plan->head.touch));
	cJSON_AddStringToObject(o, "placement", plan_placement_name(r->plan->head.placement));
	add_u64(o, "repeat", r->opts->repeat);
	cJSON *map = cJSON_AddArrayToObject(o, "cpu_map");
	for (uint32_t i = 0; i < r->map->nr; i++)
		cJSON_AddItemToArray(map, cJSON_CreateNumber(r->map->to[i]));
	add_texts(cJSON_AddArrayToObject(o, "warnings"), r->warnings);
	add_plan(o, r->plan);
	add_recorded(o, r->plan);
	add_around(o, r->plan);
	cJSON *results = cJSON_AddArrayToObject(o, "results");
	for (size_t i = 0; i < r->nr_results; i++)
		add_result(results, r, &r->results[i]);
	char *text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}
