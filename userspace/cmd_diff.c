/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_diff.c - `heaptape diff`: two tapes of one program, before and after a change. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "find_options.h"
#include "message.h"
#include "report/diff.h"
#include "tape_open.h"

#define TOP_DEFAULT 20

struct side {
	const char *path;
	struct find_options find;
	struct analysis analysis;
	struct report report;
};

struct diff_args {
	struct analysis_opts opts;
	uint64_t top;
	bool json, salvage;
	struct side sides[2];
};

static void show_progress(void *arg, const char *what, uint64_t nr_events)
{
	const struct side *s = arg;

	message_progress_events(s->path, what, nr_events, tape_reader_events_told(s->report.tape));
}

/* EXIT_DONE, or the status to end with after saying why. */
static int read_side(struct diff_args *x, struct side *s)
{
	struct analysis_opts opts = x->opts;
	struct find find;
	int err;

	s->report = (struct report){ .path = s->path, .tape = tape_open(s->path, x->salvage), .analysis = &s->analysis,
				     .top = x->top ? (unsigned)x->top : TOP_DEFAULT };
	if (!s->report.tape)
		return EXIT_FAILED;
	opts.progress = show_progress;
	opts.progress_arg = s;
	err = analysis_read(s->report.tape, &opts, &s->analysis);
	message_progress(NULL);
	if (err && err != -ENOMEM) {
		tape_print_error(s->path, s->report.tape, s->analysis.nr_events);
		return EXIT_FAILED;
	}
	find = find_options_for(&s->find, s->report.tape);
	s->report.naming = err ? NULL : naming_new(s->report.tape, &find);
	if (s->report.naming)
		return EXIT_DONE;
	message_error("%s: out of memory", s->path);
	return EXIT_FAILED;
}

static void close_side(struct side *s)
{
	naming_free(s->report.naming);
	analysis_free(&s->analysis);
	if (s->report.tape)
		tape_reader_close(s->report.tape);
}

static int run_diff(struct diff_args *x)
{
	struct diff d = { 0 };
	int status = read_side(x, &x->sides[0]), err;

	if (status == EXIT_DONE)
		status = read_side(x, &x->sides[1]);
	if (status == EXIT_DONE) {
		err = diff_make(&d, &x->sides[0].report, &x->sides[1].report);
		if (!err && x->json)
			err = diff_print_json(&d, stdout);
		else if (!err)
			diff_print(&d, stdout);
		if (err) {
			message_error("diff: %s", strerror(-err));
			status = EXIT_FAILED;
		}
	}
	diff_free(&d);
	for (int i = 0; i < 2; i++) {
		if (status == EXIT_DONE)
			tape_warn_incomplete(x->sides[i].path, x->sides[i].report.tape);
		close_side(&x->sides[i]);
	}
	return status;
}

static int take_option(struct diff_args *x, const struct command *cmd, int option, const char *value)
{
	switch (option) {
	case 'A':
		x->opts.peak = !strcmp(value, "peak");
		if (x->opts.peak || !parse_duration_ns(value, &x->opts.at_ns))
			return 0;
		return command_usage_error(cmd, "--at wants a time such as 90s or 5m, or peak, not '%s'", value);
	case 't':
		if (!parse_count(value, &x->top) && x->top && x->top <= 1000000)
			return 0;
		return command_usage_error(cmd, "--top wants a number from 1 on, not '%s'", value);
	case 'j': x->json = true; return 0;
	case 's': x->salvage = true; return 0;
	default:
		if (find_options_take(&x->sides[0].find, cmd, option, value))
			return EXIT_USAGE;
		return find_options_take(&x->sides[1].find, cmd, option, value);
	}
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct diff_args x = { .opts = { .to_ns = UINT64_MAX, .at_ns = UINT64_MAX } };
	struct command_args args = { 0 };
	int opt;

	while ((opt = command_next_option_anywhere(cmd, &args, argc, argv)) != COMMAND_END) {
		if (opt == COMMAND_HELP)
			return EXIT_DONE;
		if (opt == COMMAND_BAD || take_option(&x, cmd, opt, args.value))
			return EXIT_USAGE;
	}
	if (args.next + 2 != argc)
		return command_usage_error(cmd, "two tapes are compared: before and after");
	x.sides[0].path = argv[args.next];
	x.sides[1].path = argv[args.next + 1];
	return run_diff(&x);
}

const struct command cmd_diff = {
	.name = "diff",
	.synopsis = "BEFORE AFTER [--at TIME|peak] [--top N] [--json]",
	.summary = "two tapes of one program: what a change has done, by the split and by call stack",
	.description = "Stacks of the two tapes count as the same if their functions have the same names, so that code may have moved\n"
		       "between them. Sorted by how much the live bytes differ.",
	.options = (const struct command_option[]){
		{ "at", 'A', "TIME|peak", "the moment that is compared, on each tape (default: its end)" },
		{ "top", 't', "N", "rows (default 20)" },
		{ "json", 'j', NULL, "print results as JSON" },
		{ "salvage", 's', NULL, "pass over damaged blocks and say how many there were" },
		FIND_OPTION_ROWS,
		{ NULL, 0, NULL, NULL },
	},
	.run = run,
};
