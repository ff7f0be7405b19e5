/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rerun_predict.c - what a replay of the base's first tape says about the other variants, to be held against their runs.
 *
 * A replay knows the program as it was under the base: a variant with other arguments is another program to it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "rerun/rerun.h"
#include "trials/trials.h"

#define ENV_META "target.env." /* TAPE.md, "Meta keys" */

static bool same_arguments(const struct variant *a, const struct variant *b)
{
	if (a->nr_args != b->nr_args)
		return false;
	for (size_t i = 0; i < a->nr_args; i++)
		if (strcmp(a->args[i], b->args[i]) != 0)
			return false;
	return true;
}

static bool names_variable(const struct variant *v, const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < v->nr_env; i++)
		if (!strncmp(v->env[i], key, len) && (v->env[i][len] == '=' || !v->env[i][len]))
			return true;
	return false;
}

/* What the variant sets, and what it has from our own environment, as the base's process had it. */
static int add_settings(const struct trials *t, const struct variant *v, struct tested *a)
{
	const char *key, *value, *ours;
	char name[256];
	int err = 0;

	for (size_t i = 0; i < v->nr_env && !err; i++) {
		size_t len = strcspn(v->env[i], "=");

		if (!v->env[i][len] || !strncmp(v->env[i], "LD_", 3) || len >= sizeof(name))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)len, v->env[i]);
		if (!tested_setting(a, name))
			err = tested_add_setting(a, name, v->env[i] + len + 1);
	}
	for (size_t i = 0; !err && tape_reader_meta_at(t->reader, i, &key, &value); i++) {
		if (strncmp(key, ENV_META, strlen(ENV_META)) != 0)
			continue;
		key += strlen(ENV_META);
		ours = getenv(key);
		if (ours && !names_variable(v, key) && !tested_setting(a, key))
			err = tested_add_setting(a, key, ours);
	}
	return err;
}

/* The allocator that the variant names, or the one on the tape. */
static int make_tested(const struct trials *t, const struct variant *v, struct tested *a, char *why, size_t why_nbytes)
{
	const struct tape_allocator *found = tape_reader_allocator(t->reader, t->plan.facts.recorded_alloc);
	const char *text = v->has_alloc ? v->alloc.label : NULL;
	int err;

	for (size_t i = 0; found && !text && tested_names[i]; i++)
		text = strcmp(tested_names[i], found->name) ? NULL : found->name;
	if (!text && found)
		text = found->path;
	if (!text) {
		snprintf(why, why_nbytes, "the tape names no allocator");
		return -ENOENT;
	}
	err = tested_parse(text, a, why, why_nbytes);
	if (!err && (err = add_settings(t, v, a))) {
		snprintf(why, why_nbytes, "out of memory");
		tested_free(a);
	}
	return err;
}

/* With what the program had around its allocator, as the kernel's count of a real run has it. */
static uint64_t peak_of(const struct plan *plan, const struct run_result *res)
{
	uint64_t peak = 0;

	for (uint32_t i = 0; i < plan->head.nr_checkpoints; i++) {
		uint64_t around = plan->checkpoints[i].around_nbytes, sum = res->resident[i] + (around == UINT64_MAX ? 0 : around);

		peak = sum > peak ? sum : peak;
	}
	return peak;
}

static int predict(struct trials *t, const struct variant *v, struct prediction *p)
{
	struct run_result *res = calloc(1, sizeof(*res)); /* histograms are too large for a stack */
	struct run_error error = { 0 };
	struct tested a;
	int err = res ? 0 : -ENOMEM;

	if (!err && !make_tested(t, v, &a, p->why, sizeof(p->why))) {
		err = trials_once(t, &a, CONTROL_USABLE, res, &error);
		if (!err)
			p->peak_resident = peak_of(&t->plan, res);
		else if (err == -ECANCELED)
			snprintf(p->why, sizeof(p->why), "%s", error.text);
		tested_free(&a);
		err = err == -ECANCELED ? 0 : err;
	}
	if (res)
		run_result_free(res);
	free(res);
	return err;
}

int rerun_predict(struct rerun *r)
{
	const struct rerun_variant *base = &r->variants[r->opts.base];
	struct trials t;
	int err;

	if (*base->error)
		return 0;
	err = trials_open(&t, base->runs[0].tape);
	for (size_t i = 0; i < r->nr_variants; i++) {
		struct rerun_variant *v = &r->variants[i];

		if (err) {
			snprintf(v->prediction.why, sizeof(v->prediction.why), "the base's tape cannot be replayed");
			continue;
		}
		message_progress("%s: replay of %s's tape", v->variant->name, base->variant->name);
		if (same_arguments(v->variant, base->variant))
			err = predict(&t, v->variant, &v->prediction);
		else
			snprintf(v->prediction.why, sizeof(v->prediction.why), "its arguments are not the base's");
	}
	message_progress(NULL);
	trials_close(&t);
	return err;
}
