/* SPDX-License-Identifier: BSD-2-Clause */
/* Plans against the truth, in a scratch process. */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check/judge.h"
#include "clock.h"
#include "record/attach.h"
#include "sites/inventory.h"

enum {
	ROUNDS_MAX = 8,     /* functions that may fail one after the other */
	CALLS_MIN = 1000,   /* fewer, and the scratch process has not done its work */
};

struct check {
	struct scratch *scratch;
	struct kernel *kernel;
	struct drain *drain;
	struct allocator *a;
	const struct plan_rules *rules;
	struct check_result *res;
	struct judge *judge;
};

static int take_records(struct check *c)
{
	const struct ht_ev_head *h;
	unsigned cpu;
	int err = 0;

	while (!err && (h = drain_next(c->drain, &cpu)))
		err = judge_add(c->judge, h);
	return err;
}

static int keep_records(void *arg)
{
	struct check *c = arg;
	size_t nbytes;
	int err = drain_collect(c->drain, clock_monotonic_ns(), &nbytes);

	return err ? err : take_records(c);
}

static int keep_last_records(struct check *c)
{
	int err = keep_records(c);

	drain_finish(c->drain);
	return err ? err : take_records(c);
}

/* The same file as the scratch process has it mapped: its plans are the same, its addresses its own. */
static struct allocator *find_twin(const struct check *c, const struct inventory *inv)
{
	struct stat ours, theirs;

	if (fstat(object_fd(c->a->obj), &ours))
		return NULL;
	for (unsigned i = 0; i < inventory_nr(inv); i++) {
		struct allocator *twin = inventory_get(inv, i);

		if (!fstat(object_fd(twin->obj), &theirs) && theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev &&
		    twin->nr_plans == c->a->nr_plans)
			return twin;
	}
	return NULL;
}

static int run_probed(struct check *c, struct attach *at, const struct process *p, struct inventory *inv)
{
	const struct plan_site *missing;
	struct allocator *twin;
	unsigned nr_new;
	int err;

	err = inventory_update(inv, p, &nr_new);
	twin = err ? NULL : find_twin(c, inv);
	if (!twin)
		return err ? err : -ENOENT;
	memcpy(twin->plans, c->a->plans, twin->nr_plans * sizeof(*twin->plans));
	err = attach_allocator(at, twin, ATTACH_CHECK_OBJ);
	if (!err && attach_check(at, p, twin, &missing) > 0)
		err = -ENXIO;
	if (!err)
		err = scratch_run(c->scratch, keep_records, c);
	attach_detach(at);
	return err ? err : keep_last_records(c);
}

static int check_round(struct check *c)
{
	struct inventory *inv = inventory_new();
	struct attach *at = NULL;
	struct process p = { .proc_fd = -1, .mem_fd = -1, .pid_fd = -1 };
	int err;

	judge_free(c->judge);
	c->judge = judge_new();
	err = inv && c->judge ? scratch_start(c->scratch, AREA_CHECK) : -ENOMEM;
	if (!err)
		err = scratch_wait_ready(c->scratch);
	if (!err)
		err = process_open(c->scratch->pid, &p);
	at = err ? NULL : attach_new(c->kernel, c->scratch->pid, ATTACH_CHECK);
	if (!err)
		err = at ? run_probed(c, at, &p, inv) : -ENOMEM;
	scratch_end(c->scratch);
	process_close(&p);
	attach_free(at);
	inventory_free(inv);
	return err;
}

static void use_simple(struct check *c, unsigned plan, enum plan_check check, const char *why)
{
	struct plan_rules simple = *c->rules;

	simple.simple = true;
	allocator_plan_one(c->a, plan, &simple);
	c->a->plans[plan].check = check;
	snprintf(c->a->plans[plan].why, sizeof(c->a->plans[plan].why), "%s", why);
}

/* What no check has borne out must not be used. */
static void settle(struct check *c, bool checked)
{
	bool reached[AREA_FUNCTIONS_MAX * 2] = { 0 };

	for (unsigned i = 0; checked && i < c->scratch->nr_functions; i++)
		if (c->scratch->area->functions[i].found)
			reached[c->scratch->plan_of[i]] = true;
	for (unsigned i = 0; i < c->a->nr_plans; i++) {
		struct plan *plan = &c->a->plans[i];

		if (!plan->nr_sites || plan->check == PLAN_CHECK_FAILED)
			continue;
		if (reached[i]) {
			plan->check = PLAN_CHECK_PASSED;
			c->res->nr_checked++;
		} else {
			c->res->nr_unreached++;
			if (plan->by_flow)
				use_simple(c, i, PLAN_CHECK_NONE, "not to be called by the check: simple plan");
		}
	}
}

/* The log is written by a process that runs the target's code: its numbers are looked at before they are used. The
 * process has ended by now. */
static bool calls_are_sane(const struct check *c, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		if (c->scratch->area->calls[i].function >= c->scratch->nr_functions ||
		    c->scratch->area->calls[i].thread > AREA_THREADS)
			return false;
	return nr > 0;
}

static int check_rounds(struct check *c, char *why, size_t why_nbytes)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		unsigned plan;
		uint32_t nr;
		int wrong, err = check_round(c);

		if (err)
			return err;
		nr = c->scratch->area->nr_calls;
		if (nr > AREA_CALLS_MAX)
			nr = AREA_CALLS_MAX;
		c->res->nr_calls += nr;
		if (!calls_are_sane(c, nr))
			return -EBADMSG;
		wrong = judge_find_wrong(c->judge, c->scratch->area, nr, why, why_nbytes);
		if (wrong < 0)
			return nr > CALLS_MIN ? 0 : -ENODATA;
		plan = c->scratch->plan_of[wrong];
		if (!c->a->plans[plan].by_flow)
			return -EPROTO; /* the simple plan does not hold either */
		use_simple(c, plan, PLAN_CHECK_FAILED, why);
		c->res->nr_failed++;
	}
	return -EPROTO;
}

int check_plans(struct scratch *s, struct kernel *k, struct drain *d, struct allocator *a, const struct plan_rules *rules,
		struct check_result *res)
{
	struct check c = { .scratch = s, .kernel = k, .drain = d, .a = a, .rules = rules, .res = res };
	uint64_t begin = clock_monotonic_ns();
	char why[PLAN_WHY_MAX] = "";
	int err;

	memset(res, 0, sizeof(*res));
	err = check_rounds(&c, why, sizeof(why));
	if (err)
		snprintf(res->why, sizeof(res->why), "the scratch process could not be used: %s%s%s", strerror(-err),
			 *why ? "; " : "", why);
	settle(&c, !err);
	judge_free(c.judge);
	res->took_ns = clock_monotonic_ns() - begin;
	return err;
}
