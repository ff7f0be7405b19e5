/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_export.c - `heaptape export`: a tape's call stacks and what they weigh, or its course, for the tools that people use. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "find_options.h"
#include "message.h"
#include "out_file.h"
#include "report/course.h"
#include "report/stack_profile.h"
#include "tape_open.h"

#define POINTS_MAX 1000000u

struct export {
	const char *path;
	const char *out_path; /* NULL: standard output */
	const struct export_format *format; /* one of the two is set */
	const struct course_format *course;
	enum metric metric;
	enum course_table table;
	uint64_t nr_points; /* 0: the format's own */
	const char *allocator; /* whose objects alone; NULL: all that are no sub-allocations */
	bool has_metric, has_table;
	bool salvage, overwrite;
	struct find_options find;
	struct tape_reader *tape;
	struct by_stack stacks;
	struct naming *naming;
	struct stack_profile profile;
	struct analysis analysis;
};

static void show_progress(void *arg, uint64_t nr_events)
{
	const struct export *x = arg;

	message_progress_events(x->path, "reading", nr_events, tape_reader_events_told(x->tape));
}

static int say_no_memory(const struct export *x)
{
	message_error("%s: out of memory", x->path);
	return EXIT_FAILED;
}

static void show_analysis(void *arg, const char *what, uint64_t nr_events)
{
	const struct export *x = arg;

	message_progress_events(x->path, what, nr_events, tape_reader_events_told(x->tape));
}

static int say_read_failed(const struct export *x, int err, uint64_t nr_events)
{
	if (err == -ENOENT && x->allocator)
		message_error("%s: no call of an allocator that is called %s is on it; heaptape info %s lists those that there are", x->path,
			      x->allocator, x->path);
	else
		tape_print_error(x->path, x->tape, nr_events);
	return EXIT_FAILED;
}

/* The tape, analysed and named. */
static int read_course(struct export *x)
{
	struct analysis_opts opts = { .to_ns = UINT64_MAX, .at_ns = UINT64_MAX, .progress = show_analysis, .progress_arg = x,
				     .allocator = x->allocator };
	struct find find = find_options_for(&x->find, x->tape);
	int err;

	opts.nr_points = x->nr_points ? (unsigned)x->nr_points : x->course->nr_points;
	err = analysis_read(x->tape, &opts, &x->analysis);
	message_progress(NULL);
	if (err)
		return say_read_failed(x, err, x->analysis.nr_events);
	x->naming = naming_new(x->tape, &find);
	if (!x->naming)
		return say_no_memory(x);
	tape_warn_incomplete(x->path, x->tape);
	return EXIT_DONE;
}

/* The tape, summed up and named. */
static int read_stacks(struct export *x)
{
	struct find find = find_options_for(&x->find, x->tape);
	int err = by_stack_read(x->tape, &x->stacks, x->allocator, show_progress, x);

	message_progress(NULL);
	if (err)
		return say_read_failed(x, err, x->stacks.nr_events);
	x->naming = naming_new(x->tape, &find);
	if (!x->naming || stack_profile_make(&x->profile, x->tape, &x->stacks, x->naming))
		return say_no_memory(x);
	tape_warn_incomplete(x->path, x->tape);
	return EXIT_DONE;
}

/* What a reader of the result must know: stacks that are not there, names that are not known. */
static void say_what_lacks(const struct export *x)
{
	const struct by_stack_entry *first = x->stacks.nr ? &x->stacks.entries[0] : NULL;
	struct naming_counts counts;

	if (x->course && x->table != COURSE_STACKS)
		return;
	naming_counts(x->naming, &counts);
	if (first && first->stack == TAPE_NO_STACK && x->stacks.nr == 1)
		message_warn("%s: no event has a call stack; all is under [no stack]", x->path);
	if (counts.modules_missing)
		message_warn("%" PRIu64 " of %" PRIu64 " places have no name: %u of the recorded binaries %s not on this machine "
			     "(or other builds); give --debug-dir, or record with --embed-symbols",
			     counts.unnamed, counts.places, counts.modules_missing, counts.modules_missing == 1 ? "is" : "are");
	message_verbose("%" PRIu64 " places: %" PRIu64 " named from files of this machine, %" PRIu64 " by the tape, %" PRIu64 " not",
			counts.places, counts.named_here, counts.named_by_tape, counts.unnamed);
}

static int say_write_failed(const struct export *x, int err)
{
	if (err == -ENOMEM)
		return say_no_memory(x);
	if (err != -EPIPE) /* the reader of a pipe has seen enough: nothing to tell */
		message_error("%s: cannot write: %s", x->out_path ? x->out_path : "standard output", strerror(-err));
	return EXIT_FAILED;
}

static int write_out(const struct export *x, int fd)
{
	struct report r = { .path = x->path, .tape = x->tape, .naming = x->naming, .analysis = &x->analysis };
	FILE *out = fdopen(fd, "w");
	int err = -errno;

	if (out)
		err = x->format ? x->format->write(&x->profile, x->metric, out) : x->course->write(&r, x->table, out);
	if (out && (fflush(out) || ferror(out)) && !err)
		err = errno ? -errno : -EIO;
	if (out && fclose(out) && !err)
		err = -errno;
	return err ? say_write_failed(x, err) : EXIT_DONE;
}

static int run_export(struct export *x)
{
	int fd, status;

	signal(SIGPIPE, SIG_IGN); /* so that a closed pipe is an error like others */
	x->tape = tape_open(x->path, x->salvage);
	if (!x->tape)
		return EXIT_FAILED;
	/* Before the work, so that a name that cannot be is told at once. */
	fd = x->out_path ? out_file_open(x->out_path, x->path, x->overwrite) : dup(STDOUT_FILENO);
	if (fd < 0)
		return EXIT_FAILED;
	status = x->format ? read_stacks(x) : read_course(x);
	if (status == EXIT_DONE) {
		status = write_out(x, fd);
		say_what_lacks(x); /* names are looked for as they are written */
	} else {
		close(fd);
	}
	if (status != EXIT_DONE && x->out_path && !x->overwrite)
		unlink(x->out_path); /* half a profile would stand in the way of the next try */
	if (status == EXIT_DONE && x->out_path && x->format == &export_pprof)
		message_info("next: go tool pprof -http=: %s", x->out_path);
	if (status == EXIT_DONE && x->out_path && x->course == &course_perfetto)
		message_info("next: open %s in ui.perfetto.dev, or in trace_processor", x->out_path);
	return status;
}

static int take_format(struct export *x, const struct command *cmd, const char *name)
{
	static const struct export_format *const formats[] = { &export_folded, &export_pprof, &export_speedscope };
	static const struct course_format *const courses[] = { &course_perfetto, &course_csv };

	x->format = NULL;
	x->course = NULL;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(formats[i]->name, name) != 0)
			continue;
		x->format = formats[i];
		return 0;
	}
	for (size_t i = 0; i < sizeof(courses) / sizeof(courses[0]); i++) {
		if (strcmp(courses[i]->name, name) != 0)
			continue;
		x->course = courses[i];
		return 0;
	}
	return command_usage_error(cmd, "no format '%s'; folded, pprof, speedscope, perfetto or csv", name);
}

static int take_metric(struct export *x, const struct command *cmd, const char *name)
{
	for (int i = 0; i < METRIC_NR; i++) {
		if (strcmp(metric_name((enum metric)i), name) != 0)
			continue;
		x->metric = (enum metric)i;
		x->has_metric = true;
		return 0;
	}
	return command_usage_error(cmd, "no metric '%s'; allocated-bytes, allocated-count, live-bytes or live-count", name);
}

static int take_table(struct export *x, const struct command *cmd, const char *name)
{
	for (int i = 0; i < COURSE_NR; i++) {
		if (strcmp(course_table_name((enum course_table)i), name) != 0)
			continue;
		x->table = (enum course_table)i;
		x->has_table = true;
		return 0;
	}
	return command_usage_error(cmd, "no table '%s'; time, stacks, sizes, threads, pairs or runtime", name);
}

static int take_points(struct export *x, const struct command *cmd, const char *value)
{
	if (!parse_count(value, &x->nr_points) && x->nr_points && x->nr_points <= POINTS_MAX)
		return 0;
	return command_usage_error(cmd, "--points wants a number from 1 to %u, not '%s'", POINTS_MAX, value);
}

/* What was asked for has a meaning for the format. */
static int check_options(const struct export *x, const struct command *cmd)
{
	if (!x->format && !x->course)
		return command_usage_error(cmd, "which --format? folded, pprof, speedscope, perfetto or csv");
	if (x->has_metric && !x->format)
		return command_usage_error(cmd, "%s has no --metric: it holds them all", x->course->name);
	if (x->has_table && x->course != &course_csv)
		return command_usage_error(cmd, "--table is for csv");
	if (x->nr_points && (!x->course || (x->has_table && x->table != COURSE_TIME)))
		return command_usage_error(cmd, "--points is for the time line of perfetto and csv");
	return 0;
}

static int take_option(struct export *x, const struct command *cmd, int option, const char *value)
{
	switch (option) {
	case 'F': return take_format(x, cmd, value);
	case 'm': return take_metric(x, cmd, value);
	case 't': return take_table(x, cmd, value);
	case 'p': return take_points(x, cmd, value);
	case 'D':
	case 'N': return find_options_take(&x->find, cmd, option, value);
	case 'a': x->allocator = value; break;
	case 'o': x->out_path = value; break;
	case 'f': x->overwrite = true; break;
	case 's': x->salvage = true; break;
	}
	return 0;
}

static int export_main(const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	struct export x = { 0 };
	int option, status;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) >= 0) {
		status = take_option(&x, cmd, option, args.value);
		if (status)
			return status;
	}
	if (option != COMMAND_END)
		return option == COMMAND_HELP ? EXIT_DONE : EXIT_USAGE;
	if (argc - args.next != 1)
		return command_usage_error(cmd, argc == args.next ? "which tape?" : "one tape at a time");
	status = check_options(&x, cmd);
	if (status)
		return status;
	if ((x.format ? x.format->binary : x.course->binary) && !x.out_path && isatty(STDOUT_FILENO))
		return command_usage_error(cmd, "%s is nothing for a terminal; give -o FILE", x.format ? x.format->name : x.course->name);
	x.path = argv[args.next];
	status = run_export(&x);
	stack_profile_free(&x.profile);
	analysis_free(&x.analysis);
	naming_free(x.naming);
	by_stack_free(&x.stacks);
	tape_reader_close(x.tape);
	return status;
}

const struct command cmd_export = {
	.name = "export",
	.synopsis = "FILE --format folded|pprof|speedscope|perfetto|csv [--metric NAME | --table NAME] [-o FILE [-f]]",
	.summary = "call stacks, the time line and tables, for flame graphs, pprof, speedscope, Perfetto and CSV",
	.description =
		"Sums up a tape by call stack: what each allocated over the whole recording, or what of it was live at\n"
		"its end. The sums over all stacks are those that info gives. Functions, files, lines and what was\n"
		"inlined come from the recorded binaries and their debug files, told by build id and looked for where\n"
		"distributions put them (/usr/lib/debug, .gnu_debuglink), else from the names that the tape carries\n"
		"(record --embed-symbols); what has no name is MODULE+0xOFFSET. Stacks that were cut hang under\n"
		"[truncated], events without one under [no stack]. pprof holds all four metrics, gzipped.\n\n"
		"perfetto is the course of the recording: live and resident bytes, the split, rates, threads and losses as\n"
		"counters and tracks. csv is one table of what `report` shows, with a head line; columns name their units.",
	.options = (const struct command_option[]){
		{ "format", 'F', "NAME", "folded (a line a stack, for flame graphs), pprof, speedscope, perfetto or csv" },
		{ "metric", 'm', "NAME", "allocated-bytes (the default), allocated-count, live-bytes or live-count" },
		{ "table", 't', "NAME", "csv: time (the default), stacks, sizes, threads, pairs (who frees whose objects) or runtime (what\n"
				  "a language's runtime held at each collection)" },
		{ "points", 'p', "N", "moments of the time line (default: 200 in csv, 2,000 in perfetto)" },
		{ "allocator", 'a', "NAME", "the objects of this allocator alone, also those that lie inside another's objects" },
		{ "output", 'o', "FILE", "write there instead of to standard output" },
		{ "force", 'f', NULL, "overwrite the output file" },
		FIND_OPTION_ROWS,
		{ "salvage", 's', NULL, "pass over damaged blocks, and say how many, instead of failing" },
		{ 0 },
	},
	.run = export_main,
};
