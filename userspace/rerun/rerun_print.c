/* SPDX-License-Identifier: BSD-2-Clause */
/* rerun_print.c - what was found, as a table for a person and as JSON. */
#include "rerun/rerun.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_number.h"
#include "message.h"
#include "utf8.h"

static const char *human(char *buf, int figure, double value)
{
	switch (rerun_figures[figure].unit) {
	case RERUN_BYTES: return human_nbytes(buf, (uint64_t)value);
	case RERUN_NS: return human_ns(buf, (uint64_t)value);
	default: return human_count(buf, (uint64_t)value);
	}
}

/* "+12.3 %", "x20" where that would be too wide, "=" where no difference is shown, "" of the base itself. */
static void print_change(const struct verdict_of *v, bool last)
{
	char text[32] = "";

	if (v->kind == VERDICT_NONE)
		snprintf(text, sizeof(text), "=");
	else if (v->kind != VERDICT_REFERENCE && v->change >= 10)
		snprintf(text, sizeof(text), "x%.0f", 1 + v->change);
	else if (v->kind != VERDICT_REFERENCE)
		snprintf(text, sizeof(text), "%+.1f %%", 100 * v->change);
	printf(last ? "%s%s" : "%s%9s", last && *text ? "  " : "", text);
}

static int name_width(const struct rerun *r)
{
	size_t width = 8;

	for (size_t i = 0; i < r->nr_variants; i++)
		width = strlen(r->variants[i].variant->name) + 2 > width ? strlen(r->variants[i].variant->name) + 2 : width;
	return (int)width;
}

static bool is_known(const struct rerun *r, int figure)
{
	return !r->opts.no_record || !rerun_figures[figure].needs_tape;
}

static void print_table(const struct rerun *r, int width)
{
	char value[HUMAN_MAX], name[VARIANT_NAME_MAX + 3];

	printf("%-*s", width, "variant");
	for (int f = 0; f < RERUN_NR; f++)
		printf("%*s%*s", f == RERUN_PEAK_RESIDENT ? 14 : 10, rerun_figures[f].title, f < RERUN_NR - 1 ? 9 : 0, "");
	printf("\n");
	for (size_t i = 0; i < r->nr_variants; i++) {
		const struct rerun_variant *v = &r->variants[i];

		snprintf(name, sizeof(name), "%s%s", v->variant->name, i == r->opts.base ? " *" : "");
		printf("%-*s", width, name);
		for (int f = 0; f < RERUN_NR && !*v->error; f++) {
			if (!is_known(r, f)) {
				printf("%10s%9s", "-", "");
				continue;
			}
			printf("%*s", f == RERUN_PEAK_RESIDENT ? 14 : 10, human(value, f, samples_median(&v->samples[f])));
			print_change(&v->verdicts[f], f == RERUN_NR - 1);
		}
		printf("%s\n", *v->error ? "  failed, see below" : "");
	}
}

/* Half the range, as a share of the median. */
static double noise_of(const struct samples *s)
{
	double median = samples_median(s);

	return median > 0 ? (samples_max(s) - samples_min(s)) / 2 / median : 0;
}

static void print_noise(const struct rerun *r)
{
	const struct rerun_variant *base = &r->variants[r->opts.base];

	if (*base->error)
		return;
	if (r->opts.nr_repeats > 1) {
		printf("Noise, half the range of %u runs of %s:", base->nr_runs, base->variant->name);
		for (int f = 0, nr = 0; f < RERUN_NR; f++)
			if (is_known(r, f))
				printf("%s %s %.1f %%", nr++ ? "," : "", rerun_figures[f].title, 100 * noise_of(&base->samples[f]));
		printf(".\n");
	}
	if (r->opts.nr_repeats >= VERDICT_RUNS_MIN)
		printf("Medians of %u runs; = no difference shown (rank test at %.2f, Holm's correction, beyond %.1f %%).\n",
		       base->nr_runs, VERDICT_P, 100 * VERDICT_SHARE);
	else
		printf("%s: what differs may be chance; --repeat %d or more tells.\n",
		       base->nr_runs == 1 ? "One run of each" : "Few runs of each", VERDICT_RUNS_MIN);
}

static void print_rule(const struct found_rule *f, const char *what)
{
	char title[2 * sizeof(f->title) + 1];

	utf8_clean(f->title, title);
	printf("  %s %s [%s]\n", what, title, f->rule);
}

static void print_findings(const struct rerun *r)
{
	const struct rerun_variant *base = &r->variants[r->opts.base];

	if (*base->error)
		return;
	printf("\nFindings on %s:%s\n", base->variant->name, base->nr_rules ? "" : " none");
	for (unsigned k = 0; k < base->nr_rules; k++)
		if (rerun_has_rule(base, base->rules[k].rule))
			print_rule(&base->rules[k], "-");
	for (size_t i = 0; i < r->nr_variants; i++) {
		const struct rerun_variant *v = &r->variants[i];
		unsigned nr = 0;

		for (unsigned k = 0; k < v->nr_rules && !*v->error; k++)
			nr += rerun_has_rule(v, v->rules[k].rule) && !rerun_has_rule(base, v->rules[k].rule);
		for (unsigned k = 0; k < base->nr_rules && !*v->error; k++)
			nr += rerun_has_rule(base, base->rules[k].rule) && !rerun_has_rule(v, base->rules[k].rule);
		if (i == r->opts.base || *v->error)
			continue;
		printf("%s: %s\n", v->variant->name, nr ? "" : "the same");
		for (unsigned k = 0; k < base->nr_rules; k++)
			if (rerun_has_rule(base, base->rules[k].rule) && !rerun_has_rule(v, base->rules[k].rule))
				print_rule(&base->rules[k], "gone:");
		for (unsigned k = 0; k < v->nr_rules; k++)
			if (rerun_has_rule(v, v->rules[k].rule) && !rerun_has_rule(base, v->rules[k].rule))
				print_rule(&v->rules[k], "new: ");
	}
}

/* What recording added: the runs of the same variant beside each other. */
static void print_plain(const struct rerun *r, int width)
{
	static const int shown[] = { RERUN_PEAK_RESIDENT, RERUN_CPU, RERUN_WALL };
	char value[HUMAN_MAX];

	printf("\n%-*s%21s%21s%21s   without recording, and what recording adds\n", width, "variant", "peak resident", "CPU time", "time");
	for (size_t i = 0; i < r->nr_variants; i++) {
		const struct rerun_variant *v = &r->variants[i];

		if (*v->error)
			continue;
		printf("%-*s", width, v->variant->name);
		for (size_t k = 0; k < sizeof(shown) / sizeof(shown[0]); k++) {
			double plain = samples_median(&v->plain[shown[k]]);

			printf("%12s", human(value, shown[k], plain));
			if (plain > 0)
				printf("%+7.1f %%", 100 * (samples_median(&v->samples[shown[k]]) / plain - 1));
			else
				printf("%9s", "");
		}
		printf("\n");
	}
}

/* A replay beside reality. */
static void print_predictions(const struct rerun *r, int width)
{
	char real[HUMAN_MAX], said[HUMAN_MAX];

	if (*r->variants[r->opts.base].error)
		return;
	printf("\n%-*s%14s%34s\n", width, "variant", "peak resident", "a replay of the base's tape says");
	for (size_t i = 0; i < r->nr_variants; i++) {
		const struct rerun_variant *v = &r->variants[i];
		double peak = samples_median(&v->samples[RERUN_PEAK_RESIDENT]), predicted = (double)v->prediction.peak_resident;

		printf("%-*s%14s", width, v->variant->name, *v->error ? "-" : human(real, RERUN_PEAK_RESIDENT, peak));
		if (!v->prediction.peak_resident)
			printf("      nothing: %s\n", v->prediction.why);
		else if (*v->error || peak <= 0)
			printf("%18s\n", human(said, RERUN_PEAK_RESIDENT, predicted));
		else
			printf("%18s%+9.1f %%\n", human(said, RERUN_PEAK_RESIDENT, predicted), 100 * (predicted / peak - 1));
	}
}

static void print_troubles(const struct rerun *r)
{
	for (size_t i = 0; i < r->nr_variants; i++) {
		const struct rerun_variant *v = &r->variants[i];

		if (*v->error)
			printf("\n%s: failed: %s\n", v->variant->name, v->error);
		if (v->nr_cut)
			printf("\n%s: %u of %u runs were ended by --duration\n", v->variant->name, v->nr_cut, v->nr_runs);
		if (v->nr_runs && !v->runs[0].calls && !r->opts.no_record)
			printf("\n%s: not one call is on its first tape: peak live and findings say nothing (is its allocator one that cannot be recorded?)\n",
			       v->variant->name);
		if (v->lost)
			printf("\n%s: %llu calls are lost on its tapes: peak live and findings may lack some\n", v->variant->name,
			       (unsigned long long)v->lost);
	}
}

void rerun_print(const struct rerun *r)
{
	int width = name_width(r);

	print_table(r, width);
	print_noise(r);
	if (r->opts.plain)
		print_plain(r, width);
	if (r->opts.predict)
		print_predictions(r, width);
	if (!r->opts.no_record)
		print_findings(r);
	print_troubles(r);
}

/* ---- JSON ---- */

static void add_text(cJSON *to, const char *key, const char *text)
{
	char *clean = malloc(2 * strlen(text) + 1);

	if (clean)
		utf8_clean(text, clean);
	if (to && clean && key)
		cJSON_AddStringToObject(to, key, clean);
	else if (to && clean)
		cJSON_AddItemToArray(to, cJSON_CreateString(clean));
	free(clean);
}

static void add_texts(cJSON *to, const char *key, char *const *list)
{
	cJSON *array = cJSON_AddArrayToObject(to, key);

	for (; list && *list; list++)
		add_text(array, NULL, *list);
}

static void add_samples(cJSON *to, const char *key, const struct samples *s)
{
	cJSON *o = cJSON_AddObjectToObject(to, key), *runs = cJSON_AddArrayToObject(o, "runs");

	add_u64(o, "median", (uint64_t)samples_median(s));
	add_u64(o, "least", (uint64_t)samples_min(s));
	add_u64(o, "most", (uint64_t)samples_max(s));
	for (size_t i = 0; i < s->nr; i++)
		cJSON_AddItemToArray(runs, cJSON_CreateNumber(s->list[i]));
}

static void add_figures(cJSON *to, const struct rerun *r, const struct rerun_variant *v)
{
	static const char *const verdicts[] = { [VERDICT_REFERENCE] = "base", [VERDICT_TOO_FEW] = "too few runs", [VERDICT_NONE] = "none",
						[VERDICT_DIFFERS] = "differs" };

	for (int f = 0; f < RERUN_NR; f++) {
		const struct verdict_of *d = &v->verdicts[f];
		cJSON *o;

		if (!is_known(r, f))
			continue;
		add_samples(to, rerun_figures[f].key, &v->samples[f]);
		o = cJSON_GetObjectItem(to, rerun_figures[f].key);
		cJSON_AddStringToObject(o, "verdict", verdicts[d->kind]);
		if (d->kind != VERDICT_REFERENCE)
			cJSON_AddNumberToObject(o, "change", d->change);
		if (d->p >= 0)
			cJSON_AddNumberToObject(o, "p", d->p);
	}
}

static void add_findings(cJSON *to, const struct rerun_variant *v, const struct rerun_variant *base)
{
	cJSON *list = cJSON_AddArrayToObject(to, "findings"), *o, *gone;

	for (unsigned i = 0; i < v->nr_rules; i++) {
		o = cJSON_CreateObject();
		cJSON_AddItemToArray(list, o);
		cJSON_AddStringToObject(o, "rule", v->rules[i].rule);
		add_text(o, "title", v->rules[i].title);
		add_u64(o, "runs", v->rules[i].nr);
		cJSON_AddBoolToObject(o, "new", !*base->error && rerun_has_rule(v, v->rules[i].rule) && !rerun_has_rule(base, v->rules[i].rule));
	}
	gone = cJSON_AddArrayToObject(to, "findings_gone");
	for (unsigned i = 0; i < base->nr_rules && !*base->error; i++)
		if (rerun_has_rule(base, base->rules[i].rule) && !rerun_has_rule(v, base->rules[i].rule))
			cJSON_AddItemToArray(gone, cJSON_CreateString(base->rules[i].rule));
}

static void add_variant(cJSON *list, const struct rerun *r, const struct rerun_variant *v)
{
	cJSON *o = cJSON_CreateObject(), *runs, *plain;

	cJSON_AddItemToArray(list, o);
	cJSON_AddStringToObject(o, "name", v->variant->name);
	add_texts(o, "environment", v->variant->env);
	add_texts(o, "arguments", v->variant->args);
	if (*v->error) {
		add_text(o, "error", v->error);
		return;
	}
	add_u64(o, "runs_ended_by_duration", v->nr_cut);
	add_u64(o, "lost", v->lost);
	add_figures(o, r, v);
	if (r->opts.no_record)
		return;
	add_findings(o, v, &r->variants[r->opts.base]);
	runs = cJSON_AddArrayToObject(o, "runs");
	for (unsigned i = 0; i < v->nr_runs; i++) {
		cJSON *run = cJSON_CreateObject();

		cJSON_AddItemToArray(runs, run);
		if (r->opts.keep)
			add_text(run, "tape", v->runs[i].tape);
		add_u64(run, "calls", v->runs[i].calls);
		add_u64(run, "lost", v->runs[i].lost);
		add_u64(run, "recording_ns", v->runs[i].cost_ns);
	}
	if (v->prediction.peak_resident)
		add_u64(o, "predicted_peak_resident", v->prediction.peak_resident);
	else if (r->opts.predict)
		add_text(o, "not_predicted", v->prediction.why);
	if (!r->opts.plain)
		return;
	plain = cJSON_AddObjectToObject(o, "plain");
	for (int f = 0; f < RERUN_NR; f++)
		if (!rerun_figures[f].needs_tape)
			add_samples(plain, rerun_figures[f].key, &v->plain[f]);
}

int rerun_print_json(const struct rerun *r)
{
	cJSON *root = cJSON_CreateObject(), *list;
	char *text;

	add_texts(root, "command", r->opts.argv);
	add_u64(root, "repeat", r->opts.nr_repeats);
	cJSON_AddBoolToObject(root, "recorded", !r->opts.no_record);
	cJSON_AddStringToObject(root, "base", r->variants[r->opts.base].variant->name);
	list = cJSON_AddArrayToObject(root, "variants");
	for (size_t i = 0; i < r->nr_variants; i++)
		add_variant(list, r, &r->variants[i]);
	text = cJSON_Print(root);
	cJSON_Delete(root);
	if (!text)
		return -ENOMEM;
	puts(text);
	cJSON_free(text);
	return 0;
}
