/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_export.c - `heaptape export`: a tape's call stacks and what they weigh, for the tools that people use. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "find_options.h"
#include "message.h"
#include "out_file.h"
#include "report/stack_profile.h"
#include "tape_open.h"

struct export {
	const char *path;
	const char *out_path; /* NULL: standard output */
	const struct export_format *format;
	enum metric metric;
	bool salvage, overwrite;
	struct find_options find;
	struct tape_reader *tape;
	struct by_stack stacks;
	struct naming *naming;
	struct stack_profile profile;
};

static void show_progress(void *arg, uint64_t nr_events)
{
	const struct export *x = arg;
	char count[HUMAN_MAX];

	message_progress("%s: %s events", x->path, human_count(count, nr_events));
}

static int say_no_memory(const struct export *x)
{
	message_error("%s: out of memory", x->path);
	return EXIT_FAILED;
}

/* The tape, summed up and named. */
static int read_tape(struct export *x)
{
	struct find find = find_options_for(&x->find, x->tape);
	int err = by_stack_read(x->tape, &x->stacks, show_progress, x);

	message_progress(NULL);
	if (err) {
		tape_print_error(x->path, x->tape, x->stacks.nr_events);
		return EXIT_FAILED;
	}
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
	FILE *out = fdopen(fd, "w");
	int err = out ? x->format->write(&x->profile, x->metric, out) : -errno;

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
	status = read_tape(x);
	if (status == EXIT_DONE) {
		say_what_lacks(x);
		status = write_out(x, fd);
	} else {
		close(fd);
	}
	if (status != EXIT_DONE && x->out_path && !x->overwrite)
		unlink(x->out_path); /* half a profile would stand in the way of the next try */
	if (status == EXIT_DONE && x->out_path && x->format == &export_pprof)
		message_info("next: go tool pprof -http=: %s", x->out_path);
	return status;
}

static int take_format(struct export *x, const struct command *cmd, const char *name)
{
	static const struct export_format *const formats[] = { &export_folded, &export_pprof, &export_speedscope };

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (strcmp(formats[i]->name, name) != 0)
			continue;
		x->format = formats[i];
		return 0;
	}
	return command_usage_error(cmd, "no format '%s'; folded, pprof or speedscope", name);
}

static int take_metric(struct export *x, const struct command *cmd, const char *name)
{
	for (int i = 0; i < METRIC_NR; i++) {
		if (strcmp(metric_name((enum metric)i), name) != 0)
			continue;
		x->metric = (enum metric)i;
		return 0;
	}
	return command_usage_error(cmd, "no metric '%s'; allocated-bytes, allocated-count, live-bytes or live-count", name);
}

static int take_option(struct export *x, const struct command *cmd, int option, const char *value)
{
	switch (option) {
	case 'F': return take_format(x, cmd, value);
	case 'm': return take_metric(x, cmd, value);
	case 'D':
	case 'N': return find_options_take(&x->find, cmd, option, value);
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
	if (!x.format)
		return command_usage_error(cmd, "which --format? folded, pprof or speedscope");
	if (x.format->binary && !x.out_path && isatty(STDOUT_FILENO))
		return command_usage_error(cmd, "%s is nothing for a terminal; give -o FILE", x.format->name);
	x.path = argv[args.next];
	status = run_export(&x);
	stack_profile_free(&x.profile);
	naming_free(x.naming);
	by_stack_free(&x.stacks);
	tape_reader_close(x.tape);
	return status;
}

const struct command cmd_export = {
	.name = "export",
	.synopsis = "FILE --format folded|pprof|speedscope [--metric NAME] [-o FILE [-f]]",
	.summary = "call stacks and what they allocated, for flame graphs, pprof and speedscope",
	.description =
		"Sums up a tape by call stack: what each allocated over the whole recording, or what of it was live at\n"
		"its end. The sums over all stacks are those that info gives. Functions, files, lines and what was\n"
		"inlined come from the recorded binaries and their debug files, told by build id and looked for where\n"
		"distributions put them (/usr/lib/debug, .gnu_debuglink), else from the names that the tape carries\n"
		"(record --embed-symbols); what has no name is MODULE+0xOFFSET. Stacks that were cut hang under\n"
		"[truncated], events without one under [no stack]. pprof holds all four metrics, gzipped.",
	.options = (const struct command_option[]){
		{ "format", 'F', "NAME", "folded (a line a stack, for flame graphs), pprof or speedscope" },
		{ "metric", 'm', "NAME", "allocated-bytes (the default), allocated-count, live-bytes or live-count" },
		{ "output", 'o', "FILE", "write there instead of to standard output" },
		{ "force", 'f', NULL, "overwrite the output file" },
		FIND_OPTION_ROWS,
		{ "salvage", 's', NULL, "pass over damaged blocks, and say how many, instead of failing" },
		{ 0 },
	},
	.run = export_main,
};
