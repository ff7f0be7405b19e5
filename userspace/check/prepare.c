/* SPDX-License-Identifier: BSD-2-Clause */
/* Plans: remembered, else counted, made, checked and remembered. */
#include "prepare.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check/plans_cache.h"
#include "check/counting.h"
#include "check/live.h"
#include "clock.h"
#include "sites/cost.h"

struct prepare {
	struct kernel *kernel;
	struct drain *drain;
	struct allocator *a;
	const struct prepare_opts *opts;
	struct prepare_result *res;
	struct plan_rules rules;
};

/* What the target does not bear. */
static void find_restrictions(struct prepare *p)
{
	struct cost_target target = { .stacks_move = object_has_moving_stacks(p->a->obj) };

	if (p->opts->target)
		process_restrictions(p->opts->target, &target.seccomp, &target.shadow_stack);
	p->rules.no_calls = target.shadow_stack;
	p->rules.no_return = cost_no_return(p->rules.cost, &target);
}

static void plan_simply(struct prepare *p, const char *why)
{
	p->rules.simple = true;
	allocator_plan(p->a, &p->rules);
	p->res->how = PREPARED_SIMPLE;
	snprintf(p->res->why, sizeof(p->res->why), "%s", why);
}

static bool take_remembered(struct prepare *p)
{
	struct plans_note note;

	if (p->opts->no_cache || plans_cache_load(p->a, &p->rules, &note) != 1)
		return false;
	p->res->how = PREPARED_CACHED;
	p->res->counted = note.counted;
	p->res->check.nr_checked = note.nr_checked;
	p->res->check.nr_failed = note.nr_failed;
	p->res->check.nr_unreached = note.nr_unreached;
	p->res->check.nr_calls = note.nr_calls;
	return true;
}

static void remember(struct prepare *p)
{
	struct check_result *check = &p->res->check;
	struct plans_note note = { .nr_checked = check->nr_checked,
				   .nr_failed = check->nr_failed,
				   .nr_unreached = check->nr_unreached,
				   .nr_calls = check->nr_calls,
				   .counted = p->res->counted };

	/* What cannot be kept is found out again the next time. */
	if (!p->opts->no_cache)
		plans_cache_store(p->a, &p->rules, &note);
}

/* Counting may fail where checking does not (no uprobe_multi and little time): then each way is as likely as the other. */
static int plan_and_check(struct prepare *p)
{
	struct profile profile = { 0 };
	struct scratch scratch;
	int err = scratch_new(p->a, &scratch);

	if (!err) {
		p->res->counted = !counting_run(&scratch, &profile);
		p->rules.profile = p->res->counted ? &profile : NULL;
		allocator_plan(p->a, &p->rules);
		err = check_plans(&scratch, p->kernel, p->drain, p->a, &p->rules, &p->res->check);
		p->rules.profile = NULL;
	}
	scratch_free(&scratch);
	profile_free(&profile);
	if (err)
		return err;
	p->res->how = PREPARED_CHECKED;
	remember(p);
	return 0;
}

static int check_on_target(struct prepare *p, const char *refusal)
{
	struct profile profile = { 0 };
	struct live_result live;
	int err;

	if (!p->opts->target || !p->opts->target_runs) {
		plan_simply(p, refusal);
		return 0;
	}
	p->res->counted = !counting_on_target(p->opts->target->pid, p->a, &profile);
	p->rules.profile = p->res->counted ? &profile : NULL;
	err = live_check(p->kernel, p->drain, p->opts->target, p->a, &p->rules, &live);
	p->rules.profile = NULL;
	profile_free(&profile);
	if (err == -ENOMEM)
		return err;
	if (err || !live.nr_agreed) {
		char why[sizeof(p->res->why)];

		snprintf(why, sizeof(why), "%s; compared on the target: %s", refusal, err ? strerror(-err) : live.why);
		plan_simply(p, why);
		return 0;
	}
	p->res->how = PREPARED_LIVE;
	p->res->check = (struct check_result){ .nr_checked = live.nr_agreed,
					       .nr_failed = live.nr_disagreed,
					       .nr_unreached = live.nr_unseen,
					       .nr_calls = live.nr_calls };
	return 0;
}

static int prepare(struct prepare *p)
{
	const char *refusal;

	if (p->opts->simple) {
		plan_simply(p, "");
		return 0;
	}
	if (take_remembered(p))
		return 0;
	if (!p->kernel) {
		plan_simply(p, "a check needs the rights that recording needs");
		return 0;
	}
	refusal = scratch_refusal(p->a);
	if (refusal)
		return check_on_target(p, refusal);
	if (plan_and_check(p))
		plan_simply(p, p->res->check.why[0] ? p->res->check.why : "out of memory");
	return 0;
}

int prepare_plans(struct kernel *k, struct drain *d, struct allocator *a, const struct prepare_opts *opts,
		  struct prepare_result *res)
{
	struct prepare p = { .kernel = k, .drain = d, .a = a, .opts = opts, .res = res, .rules = { .cost = cost_here() } };
	uint64_t begin = clock_monotonic_ns();
	int err;

	memset(res, 0, sizeof(*res));
	find_restrictions(&p);
	err = prepare(&p);
	res->took_ns = clock_monotonic_ns() - begin;
	return err;
}
