/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_dump.c - `heaptape dump`: every event of a tape as a line of text. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "find_options.h"
#include "message.h"
#include "out_file.h"
#include "report/lines.h"
#include "tape_open.h"

struct dump {
	const char *path;
	const char *out_path; /* NULL: standard output */
	enum lines_format format;
	bool salvage, overwrite, stacks;
	struct find_options find;
	struct tape_reader *tape;
	struct naming *naming;
	struct lines lines;
	uint64_t nr_events;
};

/* All events into the lines. 0, or an -errno; *reading_ret tells whose. */
static int dump_events(struct dump *d, bool *reading_ret)
{
	const struct tape_event *evs;
	long nr;
	int err;

	*reading_ret = false;
	while ((nr = tape_reader_next_block(d->tape, &evs)) > 0) {
		for (long i = 0; i < nr; i++) {
			err = lines_put(&d->lines, &evs[i]);
			if (err)
				return err;
		}
		d->nr_events += (uint64_t)nr;
		if (d->out_path)
			message_progress_events(d->path, "reading", d->nr_events, tape_reader_events_told(d->tape));
	}
	message_progress(NULL);
	err = lines_flush(&d->lines); /* what was read before damage is shown also when the rest is refused */
	if (err)
		return err;
	*reading_ret = nr < 0;
	return (int)nr;
}

static int say_failed(const struct dump *d, int err, bool reading)
{
	if (reading)
		tape_print_error(d->path, d->tape, d->nr_events);
	else if (err != -EPIPE) /* the reader of a pipe has seen enough: nothing to tell */
		message_error("%s: cannot write: %s", d->out_path ? d->out_path : "standard output", strerror(-err));
	return EXIT_FAILED;
}

static int dump_to(struct dump *d, int fd)
{
	struct find find = find_options_for(&d->find, d->tape);
	bool reading;
	int err = lines_open(&d->lines, d->format, fd, d->tape);

	if (!err && d->stacks) {
		d->naming = naming_new(d->tape, &find);
		lines_name_stacks(&d->lines, d->naming);
		err = d->naming ? 0 : -ENOMEM;
	}
	if (err) {
		lines_close(&d->lines);
		message_error("%s: out of memory", d->path);
		return EXIT_FAILED;
	}
	err = dump_events(d, &reading);
	lines_close(&d->lines);
	if (err)
		return say_failed(d, err, reading);
	tape_warn_incomplete(d->path, d->tape);
	return EXIT_DONE;
}

static int run_dump(struct dump *d)
{
	int fd, status;

	signal(SIGPIPE, SIG_IGN); /* so that a closed pipe is an error like others */
	d->tape = tape_open(d->path, d->salvage);
	if (!d->tape)
		return EXIT_FAILED;
	if (!d->out_path)
		return dump_to(d, STDOUT_FILENO);
	fd = out_file_open(d->out_path, d->path, d->overwrite);
	if (fd < 0)
		return EXIT_FAILED;
	status = dump_to(d, fd);
	if (close(fd) < 0 && status == EXIT_DONE)
		status = say_failed(d, -errno, false);
	return status;
}

static int take_format(struct dump *d, const char *name)
{
	if (strcmp(name, "ndjson") == 0)
		d->format = LINES_NDJSON;
	else if (strcmp(name, "csv") == 0)
		d->format = LINES_CSV;
	else
		return -EINVAL;
	return 0;
}

/* One option. 0, or the status to leave with plus one. */
static int take_option(struct dump *d, const struct command *cmd, int option, const char *value)
{
	switch (option) {
	case COMMAND_BAD:
		return EXIT_USAGE + 1;
	case COMMAND_HELP:
		return EXIT_DONE + 1;
	case 'F':
		if (take_format(d, value))
			return command_usage_error(cmd, "no format '%s'; ndjson or csv", value) + 1;
		break;
	case 'o':
		d->out_path = value;
		break;
	case 'f':
		d->overwrite = true;
		break;
	case 's':
		d->salvage = true;
		break;
	case 'S':
		d->stacks = true;
		break;
	case 'D':
	case 'N':
		if (find_options_take(&d->find, cmd, option, value))
			return EXIT_USAGE + 1;
		break;
	}
	return 0;
}

static int dump_main(const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	struct dump d = { .format = LINES_NDJSON };
	int option, status;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) != COMMAND_END) {
		status = take_option(&d, cmd, option, args.value);
		if (status)
			return status - 1;
	}
	if (argc - args.next != 1)
		return command_usage_error(cmd, argc == args.next ? "which tape?" : "one tape at a time");
	d.path = argv[args.next];
	status = run_dump(&d);
	naming_free(d.naming);
	tape_reader_close(d.tape);
	return status;
}

const struct command cmd_dump = {
	.name = "dump",
	.synopsis = "FILE [--format ndjson|csv] [--stacks] [-o FILE [-f]] [--salvage]",
	.summary = "every event of a tape as a line of text",
	.description =
		"One event a line, in the order of the tape. The columns are ns (since the start of the recording), tid,\n"
		"cpu, op, addr, size, align, old (a realloc's block before), alloc and stack (numbers, see info); absent\n"
		"ones are left out, or empty in CSV. What only some events have follows: failed, unknown (the block's\n"
		"birth is not on the tape), kept (a keyframe's object, at the time of its birth), implied_free, sub, by (who asked for a mapping), name, cause ...; in CSV in\n"
		"the column detail. With --stacks the key frames holds the stack by name, found as export does.",
	.options = (const struct command_option[]){
		{ "format", 'F', "NAME", "ndjson (the default) or csv" },
		{ "output", 'o', "FILE", "write there instead of to standard output" },
		{ "force", 'f', NULL, "overwrite the output file" },
		{ "stacks", 'S', NULL, "name the frames of each event's call stack, innermost first: function (file:line)" },
		FIND_OPTION_ROWS,
		{ "salvage", 's', NULL, "pass over damaged blocks, and say how many, instead of failing" },
		{ 0 },
	},
	.run = dump_main,
};
