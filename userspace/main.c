/* SPDX-License-Identifier: BSD-2-Clause */
/* heaptape - records every allocation of a live process and plays it back against any allocator. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "message.h"

static void print_usage(FILE *out)
{
	fprintf(out, "usage: heaptape VERB [OPTIONS]\n\n"
		     "Records every allocation of a live process onto a tape, and plays it back against any allocator.\n\n");
	for (const struct command *const *cmd = commands; *cmd; cmd++)
		if ((*cmd)->summary)
			fprintf(out, "  %-8s %s\n", (*cmd)->name, (*cmd)->summary);
	fprintf(out, "\n'heaptape VERB --help' tells more; 'heaptape man VERB | man -l -' shows its manual page.\n"
		     "first steps:  sudo heaptape record -p PID -o app.tape --duration 30s\n"
		     "              heaptape replay app.tape\n");
}

static const struct command *command_find(const char *name)
{
	for (const struct command *const *cmd = commands; *cmd; cmd++)
		if (!strcmp((*cmd)->name, name))
			return *cmd;
	return NULL;
}

static int run_man(const char *name)
{
	const struct command *cmd = name ? command_find(name) : NULL;

	if (!cmd) {
		message_error("man: name a verb, e.g. heaptape man record");
		return EXIT_USAGE;
	}
	command_print_man(cmd, stdout);
	return EXIT_DONE;
}

/* What was printed must have arrived: a full disk behind stdout is a failure. */
static int finish_output(int status)
{
	bool failed = fflush(stdout) != 0;

	if (!(failed | ferror(stdout)) || status != EXIT_DONE)
		return status;
	message_error("the output could not be written");
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	const struct command *cmd;

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		print_usage(stdout);
		return finish_output(EXIT_DONE);
	}
	if (!strcmp(argv[1], "--version")) {
		printf("heaptape %s\n", HEAPTAPE_VERSION);
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "man"))
		return finish_output(run_man(argv[2]));
	cmd = command_find(argv[1]);
	if (!cmd) {
		message_error("no verb '%s'; 'heaptape --help' lists them", argv[1]);
		return EXIT_USAGE;
	}
	return finish_output(cmd->run(cmd, argc - 1, argv + 1));
}
