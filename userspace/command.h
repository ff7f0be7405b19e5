/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * command.h - what a sub-command is: one row (name, usage, options) and one function.
 *
 * main's usage, `heaptape VERB --help` and the man pages are all made from the row. A verb lives in
 * cmd_VERB.c as `const struct command cmd_VERB`; only verbs and main decide on the exit status:
 * 0 done, 1 failed, 2 wrong usage.
 */
#ifndef HEAPTAPE_COMMAND_H
#define HEAPTAPE_COMMAND_H

#include <stdint.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command_option {
	const char *name; /* long name without dashes; NULL ends the list */
	char letter;      /* short form, 0 if none */
	const char *arg;  /* name of the argument in the help, NULL if the option takes none */
	const char *help; /* one or more sentences; '\n' breaks the line */
};

struct command {
	const char *name;
	const char *synopsis; /* behind "heaptape NAME", e.g. "FILE [--json]" */
	const char *summary;  /* one line; NULL: a verb that programs use, not shown to people */
	const char *description; /* paragraphs for the man page and --help */
	const struct command_option *options;
	int (*run)(const struct command *cmd, int argc, char **argv); /* argv[0] is the verb */
};

/* Walks argv by cmd->options. Zero-initialise; afterwards argv[args.next] is the first operand. */
struct command_args {
	int next;
	const char *value; /* argument of the option just returned */
	void *impl;        /* freed at the end of the walk */
};

/* -q, -v and --help are every verb's and are handled here. Returns the letter or, where an option has none, 256 + its index in cmd->options; -1 at the end of the
 * options; COMMAND_BAD after printing what is wrong. --help prints and returns COMMAND_HELP.
 * Operands and options may not mix: parsing stops at the first operand or at "--". */
enum { COMMAND_END = -1, COMMAND_BAD = -2, COMMAND_HELP = -3 };
int command_next_option(const struct command *cmd, struct command_args *args, int argc, char **argv);
/* The same, but options may stand behind operands too (for verbs that take no "-- CMD"). */
int command_next_option_anywhere(const struct command *cmd, struct command_args *args, int argc, char **argv);
/* "heaptape VERB: what; see heaptape VERB --help" on stderr; returns EXIT_USAGE. */
int command_usage_error(const struct command *cmd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void command_print_help(const struct command *cmd, FILE *out);
void command_print_man(const struct command *cmd, FILE *out);

extern const struct command *const commands[]; /* ends with NULL */

/* Parse "30s", "500ms", "2m", "1.5h" (a bare number: seconds), "64M", "2G" (1024-based), plain counts. 0 or -EINVAL / -ERANGE. */
int parse_duration_ns(const char *text, uint64_t *ns_ret);
int parse_nbytes(const char *text, uint64_t *nbytes_ret);
int parse_count(const char *text, uint64_t *count_ret);

#endif
