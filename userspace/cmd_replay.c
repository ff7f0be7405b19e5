/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_replay.c - `heaptape replay`: plays a tape back against allocators and compares them. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd_report.h"
#include "command.h"
#include "executor/executor.h"
#include "message.h"
#include "out_file.h"
#include "replay/plan_cache.h"
#include "replay/replay.h"
#include "report/replay_table.h"
#include "tape_open.h"
#include "target/own_programs.h"

#define ENV_META "target.env."

struct replay_args {
	const char *path;
	struct plan_opts plan;
	struct replay_opts replay;
	struct executor executor;
	bool json, csv, force, keep_plan;
	const char *out_path; /* NULL: none */
	bool out_html;
	FILE *out;
	uint64_t *at_ns;
	struct tested *tested;
	size_t nr_tested;
};

/* ---- options ---- */

enum { OPT_ALLOC = 'a', OPT_JSON = 'j', OPT_FORCE = 'f', OPT_OUT = 'o', OPT_OTHER = 256 };

static const struct command_option options[] = {
	{ "alloc", OPT_ALLOC, "NAME|PATH[,KEY=VALUE...]",
	  "An allocator to play the tape against: glibc, jemalloc, mimalloc, tcmalloc, or the path of a shared\n"
	  "object that exports malloc. KEY=VALUE are environment variables it is started with, as in\n"
	  "glibc,MALLOC_ARENA_MAX=1. Any number of times; without it, all named ones that are installed." },
	{ "order", 0, "deps|strict",
	  "deps: threads wait only where an object passes from one to another (default). strict: every event in\n"
	  "the tape's order." },
	{ "pace", 0, "max|1x|Nx",
	  "max: as fast as it goes (default). 1x: with the recorded pauses; 10x: ten times faster." },
	{ "clock", 0, "tape|real",
	  "What allocators read as the time: tape time (default), so that they purge as recorded; or real." },
	{ "touch", 0, "faults|all|none|first",
	  "What is written of each object: what the tape's page faults tell (default); everything; nothing; the\n"
	  "first byte." },
	{ "placement", 0, "steady|exact|off",
	  "Threads run on the CPUs they were recorded on, moves included: steady leaves out stays under 10 ms\n"
	  "(default)." },
	{ "skew", 0, "T", "How far threads may run ahead of each other, in tape time (default 20ms)." },
	{ "repeat", 0, "N", "Timed runs for each allocator (default 1); figures of time are their medians." },
	{ "latency", 0, "on|off", "One more run that takes the time of each call (default off)." },
	{ "verify", 0, NULL, "One more run that checks each object: no overlap, alignment, first and last word intact." },
	{ "timeout", 0, "T", "Give an allocator up when nothing moves for this long (default 60s)." },
	{ "layout", 0, "fixed|random",
	  "fixed: the player's address space lies the same in each run (default), since allocators draw random\n"
	  "numbers from addresses: jemalloc purges by them. random: as programs are started." },
	{ "at", 0, "T[,T...]",
	  "Measure at these moments of tape time (90s, 5m) too, beside the 200 that are spread evenly." },
	{ "plan-cache", 0, "on|off",
	  "Keep the compiled plan beside the tape, as FILE.plan, and take it from there the next time (default on)." },
	{ "csv", 0, NULL, "Print results as comma separated values, a line an allocator." },
	EXECUTOR_OPTION_ROWS,
	{ "json", OPT_JSON, NULL, "Print results as JSON." },
	{ "out", OPT_OUT, "FILE",
	  "Write results to FILE too: JSON if its name ends in .json; if in .html, the report of the tape with the\n"
	  "allocators side by side in it." },
	{ "force", OPT_FORCE, NULL, "Play a tape that needs more memory than is free; overwrite FILE." },
	{ NULL, 0, NULL, NULL },
};

enum { INDEX_ORDER = 1, INDEX_PACE, INDEX_CLOCK, INDEX_TOUCH, INDEX_PLACEMENT, INDEX_SKEW, INDEX_REPEAT, INDEX_LATENCY,
       INDEX_VERIFY, INDEX_TIMEOUT, INDEX_LAYOUT, INDEX_AT,
       INDEX_PLAN_CACHE, INDEX_CSV };

/* Index of value in a NULL-ended list, or -1. */
static int choose(const char *value, const char *const *list)
{
	for (int i = 0; list[i]; i++) {
		if (!strcmp(value, list[i]))
			return i;
	}
	return -1;
}

/* "max", "1x", "2.5x" -> thousandths of the recorded speed, 0 for max. */
static int parse_pace(const char *text, uint64_t *milli_ret)
{
	char *end;
	*milli_ret = 0;
	if (!strcmp(text, "max"))
		return 0;
	double times = strtod(text, &end);
	if (end == text || strcmp(end, "x") || !(times >= 0.001 && times <= 1e6))
		return -EINVAL;
	*milli_ret = (uint64_t)(times * 1000 + 0.5);
	return 0;
}

static int add_tested(struct replay_args *args, const char *text)
{
	char why[512];
	struct tested *list = reallocarray(args->tested, args->nr_tested + 1, sizeof(*list));
	if (!list) {
		message_error("out of memory");
		return EXIT_FAILED;
	}
	args->tested = list;
	int err = tested_parse(text, &list[args->nr_tested], why, sizeof(why));
	if (err) {
		message_error("--alloc %s: %s", text, why);
		return err == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
	}
	args->nr_tested++;
	return EXIT_DONE;
}

static bool set_choice(int *to, const char *value, const char *const *list)
{
	*to = choose(value, list);
	return *to >= 0;
}

/* "90s,5m" in tape time. False if one of them is no time. */
static bool add_moments(struct replay_args *args, const char *text)
{
	for (const char *piece = text; *piece;) {
		size_t nbytes = strcspn(piece, ",");
		char one[64];
		uint64_t *list;

		if (!nbytes || nbytes >= sizeof(one))
			return false;
		memcpy(one, piece, nbytes);
		one[nbytes] = '\0';
		list = reallocarray(args->at_ns, args->plan.nr_at + 1, sizeof(*list));
		if (!list)
			return false;
		args->plan.at_ns = args->at_ns = list;
		if (parse_duration_ns(one, &list[args->plan.nr_at]))
			return false;
		args->plan.nr_at++;
		piece += nbytes + (piece[nbytes] == ',');
	}
	return args->plan.nr_at;
}

/* False if the value is none that the option takes. */
static bool set_option(struct replay_args *args, int index, const char *value)
{
	uint64_t n;
	int i = 0;
	switch (index) {
	case INDEX_ORDER:
		if (!set_choice(&i, value, (const char *const[]){ "deps", "strict", NULL }))
			return false;
		args->plan.order = (enum plan_order)i;
		return true;
	case INDEX_TOUCH:
		if (!set_choice(&i, value, (const char *const[]){ "faults", "all", "none", "first", NULL }))
			return false;
		args->plan.touch = (enum plan_touch)i;
		return true;
	case INDEX_PLACEMENT:
		if (!set_choice(&i, value, (const char *const[]){ "steady", "exact", "off", NULL }))
			return false;
		args->plan.placement = (enum plan_placement)i;
		return true;
	case INDEX_CLOCK:
		if (!set_choice(&i, value, (const char *const[]){ "tape", "real", NULL }))
			return false;
		args->replay.clock_tape = i == 0;
		return true;
	case INDEX_LAYOUT:
		if (!set_choice(&i, value, (const char *const[]){ "fixed", "random", NULL }))
			return false;
		args->replay.layout_fixed = i == 0;
		return true;
	case INDEX_LATENCY:
		if (!set_choice(&i, value, (const char *const[]){ "off", "on", NULL }))
			return false;
		args->replay.latency = i == 1;
		return true;
	case INDEX_PACE: return !parse_pace(value, &args->replay.pace_milli);
	case INDEX_SKEW: return !parse_duration_ns(value, &args->plan.skew_ns) && args->plan.skew_ns;
	case INDEX_TIMEOUT: return !parse_duration_ns(value, &args->replay.timeout_ns) && args->replay.timeout_ns;
	case INDEX_REPEAT:
		if (parse_count(value, &n) || !n || n > 1000)
			return false;
		args->replay.repeat = (unsigned)n;
		return true;
	case INDEX_PLAN_CACHE:
		if (!set_choice(&i, value, (const char *const[]){ "on", "off", NULL }))
			return false;
		args->keep_plan = i == 0;
		return true;
	case INDEX_AT: return add_moments(args, value);
	case INDEX_CSV: args->csv = true; return true;
	case INDEX_VERIFY: args->replay.verify = true; return true;
	default: return false;
	}
}

static int take_out(struct replay_args *args, const struct command *cmd, const char *path)
{
	const char *dot = strrchr(path, '.');

	args->out_path = path;
	args->out_html = dot && !strcmp(dot, ".html");
	if (args->out_html || (dot && !strcmp(dot, ".json")))
		return EXIT_DONE;
	return command_usage_error(cmd, "-o %s: its name tells the format, .html or .json", path);
}

/* EXIT_DONE to go on, or the status to end with; COMMAND_HELP when help was shown. */
static int parse_args(const struct command *cmd, struct replay_args *args, int argc, char **argv)
{
	struct command_args walk = { 0 };
	int opt, status = EXIT_DONE;
	while (status == EXIT_DONE && (opt = command_next_option_anywhere(cmd, &walk, argc, argv)) != COMMAND_END) {
		if (opt == COMMAND_HELP)
			return COMMAND_HELP;
		if (opt == COMMAND_BAD)
			return EXIT_USAGE;
		if (opt == OPT_JSON)
			args->json = true;
		else if (opt == 'J' || opt == 'X')
			status = executor_take(&args->executor, cmd, opt, walk.value);
		else if (opt == OPT_FORCE)
			args->force = true;
		else if (opt == OPT_OUT)
			status = take_out(args, cmd, walk.value);
		else if (opt == OPT_ALLOC)
			status = add_tested(args, walk.value);
		else if (!set_option(args, opt - OPT_OTHER, walk.value))
			status = command_usage_error(cmd, "--%s %s: not one of its values (%s)", options[opt - OPT_OTHER].name,
						     walk.value, options[opt - OPT_OTHER].arg);
	}
	if (status != EXIT_DONE)
		return status;
	if (walk.next + 1 != argc)
		return command_usage_error(cmd, walk.next == argc ? "no tape was named" : "one tape at a time");
	args->path = argv[walk.next];
	return EXIT_DONE;
}

/* ---- progress ---- */

static void show_planning(void *arg, const char *what, uint64_t done, uint64_t all)
{
	(void)arg;
	message_progress_events("", what, done, all);
}

static void show_run(void *arg, const char *allocator, const char *what, uint32_t done, uint32_t all)
{
	(void)arg;
	message_progress("%s, %s: %u %%", allocator, what, (unsigned)(100ull * done / (all ? all : 1)));
}

/* ---- what is tested ---- */

static int find_player(char *path, size_t nbytes)
{
	int err = own_program_find("heaptape-player", path, nbytes);

	if (err)
		message_error("heaptape-player is missing beside heaptape; build or install it again");
	return err;
}

static int add_installed(struct replay_args *args)
{
	for (size_t i = 0; tested_names[i]; i++) {
		if (!tested_installed(tested_names[i]))
			continue;
		int status = add_tested(args, tested_names[i]);
		if (status != EXIT_DONE)
			return status;
	}
	return EXIT_DONE;
}

/* The tape's allocator runs as recorded, unless settings were given for it. */
static int take_recorded_settings(const struct tape_reader *r, struct tested *t)
{
	const char *key, *value;
	for (size_t i = 0; tape_reader_meta_at(r, i, &key, &value); i++) {
		if (strncmp(key, ENV_META, strlen(ENV_META)))
			continue;
		int err = tested_add_setting(t, key + strlen(ENV_META), value);
		if (err)
			return err;
		t->settings_recorded = true;
	}
	return 0;
}

static bool is_steered(const struct tape_reader *r, const struct plan *plan, const struct tested *t)
{
	const struct tape_allocator *a = tape_reader_allocator(r, plan->facts.recorded_alloc);
	return a && (!strcmp(a->name, t->name) || (*a->build_id && !strcmp(a->build_id, t->build_id)));
}

/* ---- the verb ---- */

static int refuse_memory(const struct replay_args *args, const struct plan *plan)
{
	uint64_t available = memory_available(), needed = plan->facts.peak_touched_nbytes;
	char a[HUMAN_MAX], b[HUMAN_MAX];
	bool touches = plan->head.touch == PLAN_TOUCHING_FAULTS || plan->head.touch == PLAN_TOUCHING_ALL;
	if (args->force || !touches || !available || needed <= available)
		return 0;
	message_error("%s: at its peak %s are live and touched, %s are free here; use a larger machine, or -f to try "
		      "all the same", args->path, human_nbytes(a, needed), human_nbytes(b, available));
	return -ENOMEM;
}

static int explain_plan_error(const struct replay_args *args, const struct tape_reader *r, int err)
{
	const char *why = tape_reader_error(r);
	const char *dir = getenv("TMPDIR");
	if (err == -ENODATA)
		message_error("%s: no allocation call on this tape, nothing to replay", args->path);
	else if (err == -ENOSPC || err == -EACCES || err == -EROFS)
		message_error("the play plan cannot be written to %s: %s; set TMPDIR to a directory with room",
			      dir ? dir : "/tmp", strerror(-err));
	else
		message_error("%s: %s", args->path, why && *why ? why : strerror(-err));
	return EXIT_FAILED;
}

/* To the file, behind what is printed. */
static int write_out(const struct replay_args *args, char *json)
{
	if (args->out_html)
		return report_page_write(args->path, args->out, args->out_path, json);
	if (fprintf(args->out, "%s\n", json) > 0 && !fflush(args->out))
		return EXIT_DONE;
	message_error("%s: cannot write: %s", args->out_path, strerror(errno));
	return EXIT_FAILED;
}

/* 0, -ENOMEM, or an exit status that is none. */
static int print_report(const struct replay_args *args, const struct replay_report *report)
{
	char *json = args->json || args->out ? replay_json(report) : NULL;
	int status = EXIT_DONE;

	if (!json && (args->json || args->out))
		return -ENOMEM;
	if (args->csv)
		replay_csv(report, stdout);
	else if (args->json)
		puts(json);
	else
		replay_table_print(report, stdout);
	if (args->out)
		status = write_out(args, json);
	free(json);
	return status;
}

static void show_outputs(const struct replay_result *results, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (results[i].measured.output)
			message_verbose("%s printed:\n%s", results[i].tested->label, results[i].measured.output);
	}
}

static int replay_plan(struct replay_args *args, struct tape_reader *r, const struct plan *plan)
{
	struct text_list warnings = { 0 };
	struct cpu_map map;
	struct replay_result *results = calloc(args->nr_tested, sizeof(*results));
	int err = results ? cpu_map_make(plan, &map) : -ENOMEM, failed = 0;
	if (!err)
		err = replay_warn_tape(r, plan, &map, &warnings);
	if (!err)
		err = replay_warn_layout(&args->replay, &warnings);
	args->replay.tape_path = args->path;
	executor_use(&args->executor, &args->replay);
	for (size_t i = 0; i < args->nr_tested && !err; i++) {
		results[i].tested = &args->tested[i];
		results[i].is_steered = is_steered(r, plan, &args->tested[i]);
		/* With other settings it is another allocator. */
		results[i].is_recorded = results[i].is_steered && !args->tested[i].nr_settings;
		if (results[i].is_recorded)
			err = take_recorded_settings(r, &args->tested[i]);
	}
	if (!err)
		err = replay_run(plan, &map, &args->replay, results, args->nr_tested);
	message_progress(NULL);
	if (!err && executor_warning(&args->executor))
		err = text_list_add(&warnings, "%s", executor_warning(&args->executor));
	if (!err) {
		struct replay_report report = { args->path, plan, &args->replay, &map, &warnings, results,
						args->nr_tested };
		err = print_report(args, &report);
		show_outputs(results, args->nr_tested);
	}
	if (err < 0)
		message_error("replay of %s: %s", args->path, *args->executor.why ? args->executor.why : strerror(-err));
	for (size_t i = 0; i < args->nr_tested && results; i++) {
		failed |= results[i].error.kind != NULL;
		replay_result_free(&results[i]);
	}
	free(results);
	text_list_free(&warnings);
	return err || failed ? EXIT_FAILED : EXIT_DONE;
}

static void tell_kept(const struct replay_args *args, const struct plan *plan, int err)
{
	char nbytes[HUMAN_MAX];

	if (!err)
		message_info("the compiled plan is kept in %s.plan (%s); --plan-cache off keeps none", args->path,
			     human_nbytes(nbytes, plan->head.file_nbytes));
	else if (err == -EEXIST)
		message_warn("%s.plan is no plan of heaptape's and stays as it is; the plan is not kept", args->path);
	else if (err != -ENOENT)
		message_verbose("the plan is not kept beside the tape: %s", strerror(-err));
}

/* The plan that is kept beside the tape, or a new one. *new_ret: one that can be kept. */
static int get_plan(struct replay_args *args, struct tape_reader *r, struct plan *plan, bool *new_ret)
{
	int err = args->keep_plan ? plan_cache_load(args->path, &args->plan, plan) : -ENOENT;
	char *dir;

	if (!err) {
		message_verbose("the plan is taken from %s.plan", args->path);
		return tape_reader_skim(r); /* the plan has no facts about target and allocators */
	}
	args->plan.dir = dir = args->keep_plan ? plan_cache_dir(args->path) : NULL;
	err = plan_build(r, &args->plan, plan);
	if (dir && (err == -ENOSPC || err == -EACCES || err == -EROFS || err == -EDQUOT)) {
		/* Where nothing is kept there may be room. */
		free(dir);
		args->plan.dir = dir = NULL;
		err = plan_build(r, &args->plan, plan);
	}
	message_progress(NULL);
	*new_ret = !err && dir;
	free(dir);
	return err;
}

static int replay_tape(struct replay_args *args)
{
	struct plan plan = { .fd = -1 };
	bool is_new = false;
	int status;
	struct tape_reader *r = tape_open(args->path, false);
	if (!r)
		return EXIT_FAILED;
	int err = get_plan(args, r, &plan, &is_new);
	if (err)
		status = explain_plan_error(args, r, err);
	else if (refuse_memory(args, &plan))
		status = EXIT_FAILED;
	else {
		if (is_new)
			tell_kept(args, &plan, plan_cache_keep(args->path, &args->plan, &plan));
		status = replay_plan(args, r, &plan);
	}
	tape_warn_incomplete(args->path, r);
	plan_free(&plan);
	tape_reader_close(r);
	return status;
}

static void tell_next(const struct replay_args *args)
{
	if (args->out_html)
		message_info("next: open %s in a browser", args->out_path);
	else
		message_info("next: heaptape report %s --replay %s -o report.html", args->path, args->out_path);
}

/* Opened before the work, so that a name that cannot be is told at once; half of one is left nowhere. */
static int replay_to_file(struct replay_args *args)
{
	int fd, status;

	if (args->out_html && !report_page_is_there(args->out_path))
		return EXIT_FAILED;
	fd = out_file_open(args->out_path, args->path, args->force);
	args->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (!args->out)
		return EXIT_FAILED;
	status = replay_tape(args);
	bool is_written = ftell(args->out) > 0;
	if (fclose(args->out)) {
		message_error("%s: cannot write: %s", args->out_path, strerror(errno));
		status = EXIT_FAILED;
	}
	if (!is_written)
		unlink(args->out_path);
	else if (status == EXIT_DONE)
		tell_next(args);
	return status;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	char player[PATH_MAX + 64];
	struct replay_args args = {
		.plan = { .progress = show_planning }, .keep_plan = true,
		.replay = { .clock_tape = true, .layout_fixed = true, .repeat = 1, .progress = show_run, .player = player },
	};
	int status = parse_args(cmd, &args, argc, argv);
	if (status == EXIT_DONE && find_player(player, sizeof(player)))
		status = EXIT_FAILED;
	if (status == EXIT_DONE && !args.nr_tested)
		status = add_installed(&args);
	if (status == EXIT_DONE)
		status = args.out_path ? replay_to_file(&args) : replay_tape(&args);
	for (size_t i = 0; i < args.nr_tested; i++)
		tested_free(&args.tested[i]);
	free(args.tested);
	free(args.at_ns);
	return status == COMMAND_HELP ? EXIT_DONE : status;
}

const struct command cmd_replay = {
	.name = "replay",
	.synopsis = "FILE [--alloc NAME|PATH[,KEY=VALUE...]]... [-o FILE.html|FILE.json] [OPTIONS]",
	.summary = "play a tape back against allocators and compare them",
	.description =
		"Compiles the tape into a plan and executes it in a small process of its own for each allocator: one thread\n"
		"for each recorded thread, on the recorded CPUs, with the recorded touches. Resident memory is measured from\n"
		"outside at 200 moments of tape time. No root is needed.\n\n"
		"Exit status: 0 if all allocators came through, 1 if one failed (its result says why) or the tape cannot be\n"
		"read, 2 for wrong usage.",
	.options = options,
	.run = run,
};
