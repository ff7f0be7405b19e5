/* SPDX-License-Identifier: BSD-2-Clause */
/* bisect_report.c - what a search has found: for people, and as JSON. */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "bisect/bisect.h"
#include "message.h"

#define BAR_COLUMNS 30
#define TITLE_COLUMNS 50

static const char *const side_words[] = { [SIDE_UNKNOWN] = "skip", [SIDE_GOOD] = "good", [SIDE_BAD] = "bad" };

/* Commits shortened, libraries without their folder. */
static const char *name_of(const struct revision *rev, char buf[64])
{
	const char *slash = strrchr(rev->id, '/');

	snprintf(buf, 64, "%.*s", slash ? 40 : 12, slash ? slash + 1 : rev->id);
	return buf;
}

static void print_table(const struct bisect *b, FILE *out)
{
	double most = 0;

	for (size_t i = 0; i < b->nr_revisions; i++)
		most = samples_max(&b->revisions[i].samples) > most ? samples_max(&b->revisions[i].samples) : most;
	for (size_t i = 0; i < b->nr_revisions; i++) {
		const struct revision *rev = &b->revisions[i];
		char name[64], value[HUMAN_MAX] = "-", bar[BAR_COLUMNS + 1] = "";
		double median = samples_median(&rev->samples);

		if (rev->samples.nr) {
			trial_metric_human(b->metric, median, value);
			memset(bar, '#', most > 0 && median > 0 ? (size_t)(median / most * BAR_COLUMNS + 0.5) : 0);
		}
		fprintf(out, "  %-12s %-4s %10s %3zu runs  %-*s  %.*s\n", name_of(rev, name), rev->reason ? "skip" : side_words[rev->side], value,
			rev->samples.nr, BAR_COLUMNS, bar, TITLE_COLUMNS,
			rev->reason ? rev->reason : rev->title ? rev->title : "");
	}
}

static void print_split(const char *what, const struct split *s, FILE *out)
{
	char v[6][HUMAN_MAX];

	fprintf(out, "  %-16s %10s %10s %10s %10s %10s %10s\n", what, human_nbytes(v[0], s->resident), human_nbytes(v[1], s->requested),
		human_nbytes(v[2], s->internal), human_nbytes(v[3], s->holes), human_nbytes(v[4], s->retained),
		human_nbytes(v[5], s->metadata));
}

static void print_comparison(const struct bisect *b, FILE *out)
{
	if (!b->compared) {
		fprintf(out, "\nnot compared with the one before: %s\n", b->compare_why);
		return;
	}
	fprintf(out, "\nwhat grew:       %12s %10s %10s %10s %10s %10s\n", "resident", "requested", "internal", "holes", "retained", "metadata");
	print_split("at peak, before", &b->measured[0].peak_split, out);
	print_split("at peak, after", &b->measured[1].peak_split, out);
	print_split("at end, before", &b->measured[0].end_split, out);
	print_split("at end, after", &b->measured[1].end_split, out);
}

static void print_message(const char *message, FILE *out)
{
	while (message && *message) {
		size_t n = strcspn(message, "\n");

		fprintf(out, "%s%.*s\n", n ? "    " : "", (int)n, message);
		message += n + (message[n] == '\n');
	}
}

void bisect_print(const struct bisect *b, FILE *out)
{
	char spread[HUMAN_MAX];
	double most = 0;

	switch (b->outcome) {
	case BISECT_FOUND:
		fprintf(out, "first bad: %s\n", b->line->current);
		print_message(b->message, out);
		break;
	case BISECT_OPEN:
		fprintf(out, "the first bad one could be any of these; all but the last were skipped or stand before it:\n");
		for (size_t i = 0; i < b->line->nr_open; i++)
			fprintf(out, "  %s\n", b->line->open[i]);
		break;
	case BISECT_ENDS_ALIKE:
		for (size_t i = 0; i < b->nr_revisions; i++)
			most = samples_spread(&b->revisions[i].samples) > most ? samples_spread(&b->revisions[i].samples) : most;
		fprintf(out, "no regression: the ends do not differ by more than their spread (%s)\n", trial_metric_human(b->metric, most, spread));
		break;
	}
	fprintf(out, "\n%s along the way, from good to bad:\n", b->metric == TRIAL_NR ? "the script's number" : trial_metric_names[b->metric]);
	print_table(b, out);
	if (b->outcome == BISECT_FOUND)
		print_comparison(b, out);
}

/* ---- JSON ---- */

static void add_revision(cJSON *list, const struct revision *rev)
{
	cJSON *o = cJSON_CreateObject(), *runs;

	cJSON_AddItemToArray(list, o);
	cJSON_AddStringToObject(o, "id", rev->id);
	cJSON_AddStringToObject(o, "title", rev->title ? rev->title : "");
	cJSON_AddStringToObject(o, "side", rev->reason ? "skip" : side_words[rev->side]);
	if (rev->reason)
		cJSON_AddStringToObject(o, "reason", rev->reason);
	if (rev->samples.nr)
		cJSON_AddNumberToObject(o, "median", samples_median(&rev->samples));
	else
		cJSON_AddNullToObject(o, "median");
	runs = cJSON_AddArrayToObject(o, "runs");
	for (size_t i = 0; i < rev->samples.nr; i++)
		cJSON_AddItemToArray(runs, cJSON_CreateNumber(rev->samples.list[i]));
}

static void add_split(cJSON *to, const char *key, const struct split *s)
{
	cJSON *o = cJSON_AddObjectToObject(to, key);

	cJSON_AddNumberToObject(o, "resident", (double)s->resident);
	cJSON_AddNumberToObject(o, "requested", (double)s->requested);
	cJSON_AddNumberToObject(o, "internal", (double)s->internal);
	cJSON_AddNumberToObject(o, "holes", (double)s->holes);
	cJSON_AddNumberToObject(o, "retained", (double)s->retained);
	cJSON_AddNumberToObject(o, "metadata", (double)s->metadata);
}

static void add_found(cJSON *o, const struct bisect *b)
{
	cJSON *first = cJSON_AddObjectToObject(o, "first_bad"), *side;

	cJSON_AddStringToObject(first, "id", b->line->current);
	cJSON_AddStringToObject(first, "message", b->message ? b->message : "");
	cJSON_AddStringToObject(first, "before", b->before ? b->before : "");
	if (!b->compared) {
		cJSON_AddStringToObject(first, "not_compared", b->compare_why);
		return;
	}
	for (int i = 0; i < 2; i++) {
		side = cJSON_AddObjectToObject(first, i ? "split_after" : "split_before");
		add_split(side, "peak", &b->measured[i].peak_split);
		add_split(side, "end", &b->measured[i].end_split);
	}
}

char *bisect_json(const struct bisect *b)
{
	static const char *const outcomes[] = { "found", "ends alike", "only skipped ones left" };
	cJSON *o = cJSON_CreateObject(), *list;
	char *text;

	cJSON_AddStringToObject(o, "tape", b->trials->path);
	cJSON_AddStringToObject(o, "metric", b->metric == TRIAL_NR ? "script" : trial_metric_names[b->metric]);
	cJSON_AddStringToObject(o, "outcome", outcomes[b->outcome]);
	cJSON_AddStringToObject(o, "good", b->line->good);
	cJSON_AddStringToObject(o, "bad", b->line->bad);
	cJSON_AddNumberToObject(o, "threshold", b->threshold.at);
	cJSON_AddBoolToObject(o, "bad_is_higher", b->threshold.bad_is_higher);
	list = cJSON_AddArrayToObject(o, "revisions");
	for (size_t i = 0; i < b->nr_revisions; i++)
		add_revision(list, &b->revisions[i]);
	if (b->outcome == BISECT_FOUND)
		add_found(o, b);
	list = cJSON_AddArrayToObject(o, "candidates");
	for (size_t i = 0; i < b->line->nr_open; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(b->line->open[i]));
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	return text;
}
