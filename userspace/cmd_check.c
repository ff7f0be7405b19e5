/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_check.c - `heaptape check`: is one allocator worse than another on this tape? One verdict, for scripts. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "message.h"
#include "trials/trials.h"

enum { EXIT_NOT_WORSE = 0, EXIT_WORSE = 1, EXIT_UNSURE = 2 };

#define RUNS_FIRST 5     /* of each, before the first look */
#define RUNS_MAX 20
#define LOOKS_MAX 3      /* at 5, 10 and 20 runs; each look is a test of its own, so each has its part of the level */
#define LEVEL 0.05
#define GROWTH_DEFAULT 0.03

enum verdict_word { NOT_WORSE, WORSE, UNSURE };
static const char *const verdict_words[] = { "not worse", "worse", "could not tell" };

struct check {
	const char *path, *texts[2]; /* --lib, --against */
	enum trial_metric metric;
	double max_growth;
	unsigned repeat;
	bool json;
	struct tested tested[2];
	struct samples samples[2];
	double p; /* of the last look; -1: none was made */
	char why[700];
};

/* ---- options ---- */

/* "3%" or "0.03". */
static bool parse_growth(const char *text, double *growth_ret)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || (*end && strcmp(end, "%")) || !(value >= 0 && value < 1e6))
		return false;
	*growth_ret = *end ? value / 100 : value;
	return true;
}

/* One option. 0, or the status to leave with plus one. */
static int take_option(struct check *c, const struct command *cmd, int option, const char *value)
{
	uint64_t n;

	switch (option) {
	case COMMAND_BAD: return EXIT_USAGE + 1;
	case COMMAND_HELP: return EXIT_DONE + 1;
	case 'l': c->texts[0] = value; break;
	case 'a': c->texts[1] = value; break;
	case 'j': c->json = true; break;
	case 'm':
		c->metric = trial_metric_parse(value);
		if (c->metric == TRIAL_NR)
			return command_usage_error(cmd, "no metric '%s'; one of " TRIAL_METRIC_LIST, value) + 1;
		break;
	case 'g':
		if (!parse_growth(value, &c->max_growth))
			return command_usage_error(cmd, "--max-growth wants a share such as 3%%, not '%s'", value) + 1;
		break;
	case 'r':
		if (parse_count(value, &n) || n < RUNS_FIRST || n > 1000)
			return command_usage_error(cmd, "--repeat %s: %d to 1000; with fewer runs nothing is certain", value,
						   RUNS_FIRST) + 1;
		c->repeat = (unsigned)n;
		break;
	}
	return 0;
}

static int parse_args(struct check *c, const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	int option, status;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) != COMMAND_END) {
		status = take_option(c, cmd, option, args.value);
		if (status)
			return status;
	}
	if (argc - args.next != 1)
		return command_usage_error(cmd, argc == args.next ? "which tape?" : "one tape at a time") + 1;
	if (!c->texts[0] || !c->texts[1])
		return command_usage_error(cmd, "--lib names what is judged, --against what it is judged by") + 1;
	c->path = argv[args.next];
	return 0;
}

/* ---- the verdict ---- */

static int add_run(struct check *c, struct trials *t, int which)
{
	struct run_error error;
	double value;
	int err = trials_run(t, &c->tested[which], c->metric, &value, &error);

	if (err == -ECANCELED)
		snprintf(c->why, sizeof(c->why), "%s did not get through the replay: %s: %s", c->texts[which], error.kind, error.text);
	else if (err)
		snprintf(c->why, sizeof(c->why), "replay of %s: %s", c->path, strerror(-err));
	return err ? err : samples_add(&c->samples[which], value);
}

/* In turns, so that a machine that slows down slows both. */
static int add_runs(struct check *c, struct trials *t, unsigned goal)
{
	int err = 0;

	while (!err && c->samples[1].nr < goal) {
		message_progress("run %zu of %u at most, twice", c->samples[1].nr + 1, c->repeat);
		err = add_run(c, t, 0);
		if (!err)
			err = add_run(c, t, 1);
	}
	message_progress(NULL);
	return err;
}

/* The limit is what the other one takes, grown as far as it may. */
static enum verdict_word look(struct check *c, unsigned nr_looks)
{
	double limit = 1 + c->max_growth;

	c->p = samples_test(&c->samples[0], &c->samples[1], limit);
	/* Equal figures have no ranks, and are no growth. */
	if (samples_max(&c->samples[0]) <= samples_min(&c->samples[1]) * limit)
		return NOT_WORSE;
	if (c->p < 0 || c->p >= LEVEL / nr_looks)
		return UNSURE;
	return samples_median(&c->samples[0]) > samples_median(&c->samples[1]) * limit ? WORSE : NOT_WORSE;
}

static unsigned count_looks(unsigned repeat)
{
	unsigned nr = 1;

	for (unsigned runs = RUNS_FIRST; nr < LOOKS_MAX && runs < repeat; nr++)
		runs *= 2;
	return nr;
}

static enum verdict_word judge(struct check *c, struct trials *t)
{
	unsigned nr_looks = count_looks(c->repeat), goal = RUNS_FIRST;
	enum verdict_word verdict = UNSURE;

	for (unsigned i = 0; i < nr_looks && verdict == UNSURE; i++, goal *= 2) {
		if (i + 1 == nr_looks || goal > c->repeat)
			goal = c->repeat;
		if (add_runs(c, t, goal))
			return UNSURE;
		verdict = look(c, nr_looks);
	}
	if (verdict == UNSURE)
		snprintf(c->why, sizeof(c->why), "after %zu runs of each the difference is within what chance makes; more may tell (--repeat), "
			 "or a wider limit (--max-growth)", c->samples[0].nr);
	return verdict;
}

/* ---- the answer ---- */

static double growth(const struct check *c)
{
	double against = samples_median(&c->samples[1]);

	return against > 0 ? samples_median(&c->samples[0]) / against - 1 : 0;
}

static void add_side(cJSON *to, const char *key, const struct check *c, int which)
{
	cJSON *o = cJSON_AddObjectToObject(to, key), *runs;
	const struct samples *s = &c->samples[which];

	cJSON_AddStringToObject(o, "label", c->texts[which]);
	cJSON_AddStringToObject(o, "path", c->tested[which].path ? c->tested[which].path : "");
	cJSON_AddStringToObject(o, "build_id", c->tested[which].build_id ? c->tested[which].build_id : "");
	if (s->nr)
		cJSON_AddNumberToObject(o, "median", samples_median(s));
	else
		cJSON_AddNullToObject(o, "median");
	runs = cJSON_AddArrayToObject(o, "runs");
	for (size_t i = 0; i < s->nr; i++)
		cJSON_AddItemToArray(runs, cJSON_CreateNumber(s->list[i]));
}

static int print_json(const struct check *c, enum verdict_word verdict)
{
	cJSON *o = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(o, "tape", c->path);
	cJSON_AddStringToObject(o, "verdict", verdict_words[verdict]);
	cJSON_AddStringToObject(o, "why", c->why);
	cJSON_AddStringToObject(o, "metric", trial_metric_names[c->metric]);
	cJSON_AddNumberToObject(o, "max_growth", c->max_growth);
	if (c->samples[0].nr && c->samples[1].nr)
		cJSON_AddNumberToObject(o, "growth", growth(c));
	else
		cJSON_AddNullToObject(o, "growth");
	if (c->p < 0)
		cJSON_AddNullToObject(o, "p");
	else
		cJSON_AddNumberToObject(o, "p", c->p);
	add_side(o, "lib", c, 0);
	add_side(o, "against", c, 1);
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	if (!text)
		return -ENOMEM;
	puts(text);
	free(text);
	return 0;
}

static void print_text(const struct check *c, enum verdict_word verdict)
{
	char a[HUMAN_MAX], b[HUMAN_MAX];

	if (c->samples[0].nr && c->samples[1].nr)
		printf("%s: %s %s, %s %s: %+.2f %%, %.4g %% allowed, %zu runs of each\n", verdict_words[verdict],
		       trial_metric_names[c->metric], trial_metric_human(c->metric, samples_median(&c->samples[0]), a), "against",
		       trial_metric_human(c->metric, samples_median(&c->samples[1]), b), growth(c) * 100, c->max_growth * 100,
		       c->samples[1].nr);
	else
		printf("%s\n", verdict_words[verdict]);
}

static int tell(const struct check *c, enum verdict_word verdict)
{
	if (!c->json)
		print_text(c, verdict);
	else if (print_json(c, verdict))
		message_error("out of memory");
	if (*c->why)
		message_error("could not tell: %s", c->why);
	return verdict == WORSE ? EXIT_WORSE : verdict == UNSURE ? EXIT_UNSURE : EXIT_NOT_WORSE;
}

static int check_main(const struct command *cmd, int argc, char **argv)
{
	struct check c = { .max_growth = GROWTH_DEFAULT, .repeat = RUNS_MAX, .p = -1 };
	struct trials t;
	int status = parse_args(&c, cmd, argc, argv), err = 0;

	if (status)
		return status - 1;
	if (trials_open(&t, c.path)) {
		trials_close(&t);
		return EXIT_UNSURE;
	}
	for (int i = 0; i < 2 && !err; i++) {
		char why[512];

		err = trials_tested(&t, c.texts[i], &c.tested[i], why, sizeof(why));
		if (err)
			snprintf(c.why, sizeof(c.why), "--%s %s: %s", i ? "against" : "lib", c.texts[i], why);
	}
	status = tell(&c, err ? UNSURE : judge(&c, &t));
	for (int i = 0; i < 2; i++) {
		tested_free(&c.tested[i]);
		samples_free(&c.samples[i]);
	}
	trials_close(&t);
	return status;
}

const struct command cmd_check = {
	.name = "check",
	.synopsis = "FILE --lib A --against B [--max-growth 3%] [--metric M] [--repeat N] [--json]",
	.summary = "is an allocator worse than another on this tape: one verdict for a script",
	.description =
		"Plays the tape against both in turns, five times each, and judges by a rank test whether A takes more than B and the\n"
		"growth that is allowed; more runs follow while that is open. The level of 5 % is shared by the looks.\n\n"
		"Exit status: 0 not worse; 1 worse, with confidence; 2 could not tell (the reason is printed), or wrong usage\n"
		"(nothing is printed but how it is used).",
	.options = (const struct command_option[]){
		{ "lib", 'l', "NAME|PATH[,KEY=VALUE...]", "The allocator that is judged, as for replay's --alloc." },
		{ "against", 'a', "NAME|PATH[,KEY=VALUE...]", "The one that it is judged by." },
		{ "max-growth", 'g', "SHARE", "What it may take more (default 3%); with 0% only equal or clearly smaller figures pass." },
		{ "metric", 'm', "M", TRIAL_METRIC_LIST "\n" TRIAL_METRIC_HELP },
		{ "repeat", 'r', "N", "Runs of each at most (default 20, at least 5)." },
		{ "json", 'j', NULL, "Print verdict, figures of each run and p as JSON." },
		{ 0 },
	},
	.run = check_main,
};
