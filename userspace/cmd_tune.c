/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_tune.c - `heaptape tune`: the settings of an allocator that suit a tape. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "message.h"
#include "tune/tune.h"

#define BUDGET_DEFAULT_NS (600ull * 1000000000u)

struct tune_args {
	struct tune tune;
	const char *space;
	bool json;
	struct executor executor;
};

static const char *const figure_names[TUNE_NR] = { "peak_resident", "cpu_ns", "p99_malloc_ns" };

static int take_option(struct tune_args *a, const struct command *cmd, int option, const char *value)
{
	switch (option) {
	case COMMAND_BAD: return EXIT_USAGE + 1;
	case COMMAND_HELP: return EXIT_DONE + 1;
	case 'a': a->tune.alloc = value; break;
	case 's': a->space = value; break;
	case 'j': a->json = true; break;
	case 'J':
	case 'X': return executor_take(&a->executor, cmd, option, value) ? EXIT_USAGE + 1 : 0;
	case 'b':
		if (parse_duration_ns(value, &a->tune.budget_ns) || !a->tune.budget_ns)
			return command_usage_error(cmd, "--budget wants a time such as 10m, not '%s'", value) + 1;
		break;
	}
	return 0;
}

static int parse_args(struct tune_args *a, const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	int option, status;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) != COMMAND_END) {
		status = take_option(a, cmd, option, args.value);
		if (status)
			return status;
	}
	if (argc - args.next != 1)
		return command_usage_error(cmd, argc == args.next ? "which tape?" : "one tape at a time") + 1;
	if (!a->tune.alloc)
		return command_usage_error(cmd, "--alloc names the allocator whose settings are searched") + 1;
	a->tune.tape = argv[args.next];
	return 0;
}

/* ---- the answer ---- */

static void print_figure(const struct tune_choice *c, int f, bool is_default)
{
	static const enum trial_metric as[TUNE_NR] = { TRIAL_PEAK_RESIDENT, TRIAL_CPU_TIME, TRIAL_P99_MALLOC };
	char value[HUMAN_MAX], spread[HUMAN_MAX], gain[32] = "";

	if (!is_default && (c->is_better[f] || c->is_worse[f]))
		snprintf(gain, sizeof(gain), "%+.1f %%", -100 * c->gain[f]);
	else if (!is_default)
		snprintf(gain, sizeof(gain), "=");
	printf("  %9s +-%-9s %-8s", trial_metric_human(as[f], samples_median(&c->samples[f]), value),
	       trial_metric_human(as[f], samples_spread(&c->samples[f]) / 2, spread), gain);
}

static void print_choice(const struct tune_choice *c, bool is_default)
{
	for (int f = 0; f < TUNE_NR; f++)
		print_figure(c, f, is_default);
	printf("  %s\n", is_default ? "(the defaults)" : c->text);
}

static size_t count_front(const struct tune *t)
{
	size_t nr = 0;

	for (size_t i = 0; i < t->nr_choices; i++)
		nr += t->choices[i].on_front;
	return nr;
}

static void print_text(const struct tune *t)
{
	char took[HUMAN_MAX];

	printf("%-32s%-32s%-32s\n", "  peak resident", "CPU time", "p99 malloc");
	print_choice(&t->choices[0], true);
	for (size_t i = 1; i < t->nr_choices; i++)
		if (t->choices[i].on_front)
			print_choice(&t->choices[i], false);
	if (!count_front(t))
		printf("no gain: none of %zu finalists is better than the defaults by more than chance\n", t->nr_finalists);
	printf("%zu choices, %zu runs (%zu more were known), %s; %zu finalists, %d runs of each; '=': no difference shown\n", t->nr_choices, t->nr_runs, t->nr_known,
	       human_ns(took, t->took_ns), t->nr_finalists, TUNE_RUNS);
	if (t->out_of_budget)
		printf("the budget was used up before all choices were tried; --budget allows more\n");
}

static void add_choice(cJSON *list, const struct tune_choice *c, bool is_default)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddItemToArray(list, o);
	cJSON_AddStringToObject(o, "settings", c->text);
	cJSON_AddBoolToObject(o, "on_front", c->on_front);
	for (int f = 0; f < TUNE_NR; f++) {
		cJSON *figure = cJSON_AddObjectToObject(o, figure_names[f]);

		cJSON_AddNumberToObject(figure, "median", samples_median(&c->samples[f]));
		cJSON_AddNumberToObject(figure, "spread", samples_spread(&c->samples[f]));
		if (is_default)
			continue;
		cJSON_AddNumberToObject(figure, "gain", c->gain[f]);
		cJSON_AddNumberToObject(figure, "p", c->p[f]);
		cJSON_AddBoolToObject(figure, "better", c->is_better[f]);
		cJSON_AddBoolToObject(figure, "worse", c->is_worse[f]);
	}
}

static void print_json(const struct tune *t)
{
	cJSON *o = cJSON_CreateObject(), *list;
	char *text;

	cJSON_AddStringToObject(o, "tape", t->tape);
	cJSON_AddStringToObject(o, "alloc", t->alloc);
	cJSON_AddNumberToObject(o, "choices", (double)t->nr_choices);
	cJSON_AddNumberToObject(o, "runs", (double)t->nr_runs);
	cJSON_AddNumberToObject(o, "runs_known", (double)t->nr_known);
	cJSON_AddNumberToObject(o, "took_ns", (double)t->took_ns);
	cJSON_AddBoolToObject(o, "out_of_budget", t->out_of_budget);
	cJSON_AddBoolToObject(o, "gain", count_front(t) > 0);
	list = cJSON_AddArrayToObject(o, "finalists");
	for (size_t i = 0; i < t->nr_choices; i++)
		if (t->choices[i].kept)
			add_choice(list, &t->choices[i], i == 0);
	list = cJSON_AddArrayToObject(o, "failed");
	for (size_t i = 0; i < t->nr_choices; i++) {
		cJSON *one = t->choices[i].error ? cJSON_CreateObject() : NULL;

		if (!one)
			continue;
		cJSON_AddItemToArray(list, one);
		cJSON_AddStringToObject(one, "settings", t->choices[i].text);
		cJSON_AddStringToObject(one, "why", t->choices[i].error);
	}
	text = cJSON_PrintUnformatted(o);
	cJSON_Delete(o);
	puts(text ? text : "");
	free(text);
}

static int tune_main(const struct command *cmd, int argc, char **argv)
{
	struct tune_args a = { .tune = { .budget_ns = BUDGET_DEFAULT_NS } };
	struct settings *own = NULL;
	char why[600], name[64];
	int status = parse_args(&a, cmd, argc, argv), err;

	if (status)
		return status - 1;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(a.tune.alloc, ","), a.tune.alloc);
	if (a.space) {
		a.tune.settings = own = settings_read(a.space, why, sizeof(why));
		if (!own) {
			message_error("%s", why);
			return EXIT_FAILED;
		}
	} else {
		a.tune.settings = settings_find(name);
	}
	if (!a.tune.settings)
		return command_usage_error(cmd, "no table of settings for '%s'; --space FILE brings one", name);
	a.tune.executor = &a.executor;
	err = tune_run(&a.tune);
	if (!err && executor_warning(&a.executor))
		message_warn("%s", executor_warning(&a.executor));
	if (err && *a.tune.why)
		message_error("%s", a.tune.why);
	if (!err && a.json)
		print_json(&a.tune);
	else if (!err)
		print_text(&a.tune);
	tune_free(&a.tune);
	settings_free(own);
	return err ? EXIT_FAILED : EXIT_DONE;
}

const struct command cmd_tune = {
	.name = "tune",
	.synopsis = "FILE --alloc NAME|PATH [--space FILE] [--budget T] [--jobs N] [--json]",
	.summary = "the settings of an allocator that suit a tape",
	.description =
		"Tries each value of each setting alone, then pairs of those that helped, on the first eighth of the tape; the better\n"
		"half on its first half; the best of these on the whole tape, eight times, in turns with the defaults. What is\n"
		"printed are the settings that are better than the defaults in peak resident memory, CPU time or p99 of malloc by\n"
		"more than chance (rank test, Holm's correction), less those that another one beats: the Pareto front. If there are\n"
		"none, it says so. Settings are printed as --alloc NAME,... takes them. Runs are kept in the cache folder, by tape,\n"
		"library and settings, and not made again.\n\n"
		"Exit status: 0 done, whether there is a gain or not; 1 failed; 2 wrong usage.",
	.options = (const struct command_option[]){
		{ "alloc", 'a', "NAME|PATH[,KEY=VALUE...]", "glibc, jemalloc, mimalloc or tcmalloc; a path only with --space." },
		{ "space", 's', "FILE", "Settings to try instead of the built-in table: a variable a line, its values behind it (1 2 8..12)." },
		{ "budget", 'b', "T", "About how long it may take (default 10m). The final runs are shortened to fit, down to one finalist." },
		EXECUTOR_OPTION_ROWS,
		{ "json", 'j', NULL, "Print the finalists with their figures as JSON." },
		{ 0 },
	},
	.run = tune_main,
};
