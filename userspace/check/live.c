/* SPDX-License-Identifier: BSD-2-Clause */
/* Plan and reference side by side on a live process. */
#include "live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check/judge.h"
#include "clock.h"
#include "record/attach.h"

#define LIVE_NS 2000000000ull
enum {
	CALLS_ENOUGH = 20000, /* in all */
	CALLS_MIN = 200,      /* of a function, before its plan is believed */
	PAUSE_NS = 1000000,
};

struct live {
	struct kernel *kernel;
	struct drain *drain;
	const struct process *process;
	struct allocator *a;
	struct allocator reference; /* a's object and functions, simple plans */
	struct attach *lanes[2];
	struct compare *compare;
	uint64_t begin_ns, end_ns; /* between them all sites of both stand */
	struct ht_counters counters; /* as of then */
	uint64_t nr_records;
};

/* The number of a function is its plan's, in both. */
static int add_record(struct live *l, const struct ht_ev_head *h)
{
	struct ht_ev_call call;

	if (!judge_call_of(h, &call))
		return 0;
	if (h->ts < l->begin_ns || h->ts > l->end_ns)
		return 0;
	for (unsigned lane = 0; lane < 2; lane++) {
		const struct attach_site *site = attach_site(l->lanes[lane], h->site);
		const struct plan *plans = lane ? l->reference.plans : l->a->plans;

		if (!site || !site->plan)
			continue;
		l->nr_records++;
		return compare_add(l->compare, lane, (unsigned)(site->plan - plans), &call);
	}
	return 0;
}

static int take_records(struct live *l)
{
	const struct ht_ev_head *h;
	unsigned cpu;
	int err = 0;

	while (!err && (h = drain_next(l->drain, &cpu)))
		err = add_record(l, h);
	return err;
}

static bool lost_some(const struct live *l)
{
	struct ht_counters now;

	kernel_counters(l->kernel, &now);
	return memcmp(now.lost, l->counters.lost, sizeof(now.lost)) != 0;
}

/* *lost_ret: some of these calls one plan may have seen and the other not, for want of room; they are left alone. */
static int collect(struct live *l, bool *lost_ret)
{
	size_t nbytes;
	int err = drain_collect(l->drain, clock_monotonic_ns(), &nbytes);

	*lost_ret = lost_some(l);
	return err || *lost_ret ? err : take_records(l);
}

/* While the probes were put in place nobody drained. */
static int begin(struct live *l)
{
	const struct ht_ev_head *h;
	size_t nbytes;
	unsigned cpu;
	int err = drain_collect(l->drain, clock_monotonic_ns(), &nbytes);

	kernel_counters(l->kernel, &l->counters);
	l->begin_ns = clock_monotonic_ns();
	do
		h = err ? NULL : drain_next(l->drain, &cpu);
	while (h);
	return err;
}

static int run(struct live *l)
{
	const struct timespec pause = { 0, PAUSE_NS };
	const struct ht_ev_head *h;
	uint64_t deadline_ns;
	bool lost = false;
	size_t nbytes;
	unsigned cpu;
	int err = begin(l);

	deadline_ns = l->begin_ns + LIVE_NS;
	l->end_ns = UINT64_MAX;
	while (!err && !lost && l->nr_records < 2 * CALLS_ENOUGH && clock_monotonic_ns() < deadline_ns &&
	       process_is_alive(l->process)) {
		nanosleep(&pause, NULL);
		err = collect(l, &lost);
	}
	l->end_ns = clock_monotonic_ns();
	if (!err && !lost)
		err = collect(l, &lost);
	attach_detach(l->lanes[0]);
	attach_detach(l->lanes[1]);
	/* What came while they were taken away is nobody's. */
	if (!err)
		err = drain_collect(l->drain, clock_monotonic_ns(), &nbytes);
	drain_finish(l->drain);
	do
		h = drain_next(l->drain, &cpu);
	while (h);
	return err;
}

/* The simple plans first: a record that only they make, at the beginning, is before begin_ns. */
static int attach_both(struct live *l)
{
	static const enum attach_lane lanes[] = { ATTACH_CHECK, ATTACH_REFERENCE };
	int err = 0;

	for (int lane = 1; lane >= 0 && !err; lane--) {
		l->lanes[lane] = attach_new(l->kernel, l->process->pid, lanes[lane]);
		err = l->lanes[lane] ? attach_allocator(l->lanes[lane], lane ? &l->reference : l->a,
							lane ? ATTACH_REFERENCE_OBJ : ATTACH_CHECK_OBJ) :
				       -ENOMEM;
	}
	return err;
}

static void settle(struct live *l, const struct plan_rules *simple, struct live_result *res)
{
	for (unsigned i = 0; i < l->a->nr_plans; i++) {
		struct plan *plan = &l->a->plans[i];
		int64_t agreed = compare_agreed(l->compare, i);

		if (!plan->by_flow)
			continue;
		if (agreed >= CALLS_MIN) {
			plan->check = PLAN_CHECK_LIVE;
			res->nr_agreed++;
			res->nr_calls += (uint64_t)agreed;
			continue;
		}
		allocator_plan_one(l->a, i, simple);
		plan->check = agreed < 0 ? PLAN_CHECK_FAILED : PLAN_CHECK_NONE;
		res->nr_disagreed += agreed < 0;
		res->nr_unseen += agreed >= 0;
		snprintf(plan->why, sizeof(plan->why), agreed < 0 ? "differed from the simple plan on the target" :
								    "too few calls to compare it on the target: simple plan");
	}
	if (!res->nr_agreed)
		snprintf(res->why, sizeof(res->why), "%u functions made too few calls in %.0f s, %u differed", res->nr_unseen,
			 LIVE_NS / 1e9, res->nr_disagreed);
}

int live_check(struct kernel *k, struct drain *d, const struct process *p, struct allocator *a,
	       const struct plan_rules *rules, struct live_result *res)
{
	struct live l = { .kernel = k, .drain = d, .process = p, .a = a, .reference = *a };
	struct plan_rules simple = *rules;
	int err = 0;

	memset(res, 0, sizeof(*res));
	simple.simple = true;
	l.compare = compare_new(a->nr_plans);
	l.reference.plans = calloc(a->nr_plans, sizeof(*a->plans));
	if (!l.compare || !l.reference.plans)
		err = -ENOMEM;
	else
		memcpy(l.reference.plans, a->plans, a->nr_plans * sizeof(*a->plans));
	if (!err) {
		allocator_plan(&l.reference, &simple);
		allocator_plan(a, rules);
		err = attach_both(&l);
	}
	if (!err)
		err = run(&l);
	if (!err)
		settle(&l, &simple, res);
	attach_free(l.lanes[0]);
	attach_free(l.lanes[1]);
	compare_free(l.compare);
	free(l.reference.plans);
	return err;
}
