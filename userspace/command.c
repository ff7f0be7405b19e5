/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks a verb's options by its row, and prints help and man page from the same row. */
#include "command.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

#define OPTION_BASE 256 /* what an option without a letter returns, plus its index */
#define OPTION_HELP 255

struct walk {
	struct option *longs;
	char *shorts;
};

static size_t options_count(const struct command *cmd)
{
	size_t n = 0;

	while (cmd->options && cmd->options[n].name)
		n++;
	return n;
}

static void walk_free(struct walk *walk)
{
	if (!walk)
		return;
	free(walk->longs);
	free(walk->shorts);
	free(walk);
}

static struct walk *walk_new(const struct command *cmd, const char *mode)
{
	size_t n = options_count(cmd);
	struct walk *walk = calloc(1, sizeof(*walk));
	char *s;

	if (!walk)
		return NULL;
	walk->longs = calloc(n + 4, sizeof(*walk->longs));
	walk->shorts = malloc(2 * n + strlen(mode) + 5);
	if (!walk->longs || !walk->shorts) {
		walk_free(walk);
		return NULL;
	}
	s = stpcpy(walk->shorts, mode);
	*s++ = ':'; /* getopt tells a missing argument apart from an unknown option */
	for (size_t i = 0; i < n; i++) {
		const struct command_option *opt = &cmd->options[i];

		walk->longs[i] = (struct option){
			.name = opt->name,
			.has_arg = opt->arg ? required_argument : no_argument,
			.val = opt->letter ? opt->letter : OPTION_BASE + (int)i,
		};
		if (opt->letter) {
			*s++ = opt->letter;
			if (opt->arg)
				*s++ = ':';
		}
	}
	walk->longs[n] = (struct option){ .name = "help", .val = OPTION_HELP };
	walk->longs[n + 1] = (struct option){ .name = "quiet", .val = 'q' };
	walk->longs[n + 2] = (struct option){ .name = "verbose", .val = 'v' };
	strcpy(s, "qv");
	return walk;
}

/* '?' of getopt, which has three causes. */
static void say_unknown(const struct command *cmd, const struct walk *walk, const char *word)
{
	bool known = optopt >= OPTION_HELP || (isalnum(optopt) && strchr(walk->shorts, optopt));

	if (known)
		command_usage_error(cmd, "option '%.*s' takes no argument", (int)strcspn(word, "="), word);
	else if (optopt) /* a letter, perhaps one of several in a word that getopt has not left yet */
		command_usage_error(cmd, "unknown option '-%c'", optopt);
	else
		command_usage_error(cmd, "unknown option '%s'", word);
}

static int walk_next(const struct command *cmd, struct command_args *args, int argc, char **argv, const char *mode)
{
	struct walk *walk = args->impl;
	int got, result;

	if (!walk) {
		walk = args->impl = walk_new(cmd, mode);
		if (!walk) {
			message_error("%s: out of memory", cmd->name);
			return COMMAND_BAD;
		}
		optind = 0;
	}
	opterr = 0;
	while ((got = getopt_long(argc, argv, walk->shorts, walk->longs, NULL)) == 'q' || got == 'v')
		message_level = got == 'q' ? -1 : 1;
	args->value = optarg;
	args->next = optind;
	if (got != -1 && got != '?' && got != ':' && got != OPTION_HELP)
		return got;

	if (got == '?') {
		say_unknown(cmd, walk, argv[optind - 1]);
		result = COMMAND_BAD;
	} else if (got == ':') {
		command_usage_error(cmd, "option '%s' needs an argument", argv[optind - 1]);
		result = COMMAND_BAD;
	} else if (got == OPTION_HELP) {
		command_print_help(cmd, stdout);
		result = COMMAND_HELP;
	} else {
		result = COMMAND_END;
	}
	walk_free(walk);
	args->impl = NULL;
	return result;
}

int command_next_option(const struct command *cmd, struct command_args *args, int argc, char **argv)
{
	return walk_next(cmd, args, argc, argv, "+");
}

int command_next_option_anywhere(const struct command *cmd, struct command_args *args, int argc, char **argv)
{
	return walk_next(cmd, args, argc, argv, "");
}

int command_usage_error(const struct command *cmd, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	message_error("%s: %s; see heaptape %s --help", cmd->name, what, cmd->name);
	return EXIT_USAGE;
}

/* Continuation lines of an option's help stand under its first. */
static void print_indented(FILE *out, const char *text, int indent)
{
	const char *end;

	while ((end = strchr(text, '\n'))) {
		fprintf(out, "%.*s\n%*s", (int)(end - text), text, indent, "");
		text = end + 1;
	}
	fprintf(out, "%s\n", text);
}

void command_print_help(const struct command *cmd, FILE *out)
{
	enum { COLUMN = 28 };

	fprintf(out, "usage: heaptape %s %s\n\n%s.\n", cmd->name, cmd->synopsis, cmd->summary);
	if (cmd->description)
		fprintf(out, "\n%s\n", cmd->description);
	fprintf(out, "\noptions:\n");
	for (size_t i = 0, n = options_count(cmd); i < n; i++) {
		const struct command_option *opt = &cmd->options[i];
		char left[80];
		int len;

		len = opt->letter ? snprintf(left, sizeof(left), "  -%c, ", opt->letter) :
				    snprintf(left, sizeof(left), "      ");
		len += snprintf(left + len, sizeof(left) - (size_t)len, "--%s%s%s", opt->name, opt->arg ? " " : "",
				opt->arg ? opt->arg : "");
		if (len >= COLUMN)
			fprintf(out, "%s\n%*s", left, COLUMN, "");
		else
			fprintf(out, "%-*s", COLUMN, left);
		print_indented(out, opt->help, COLUMN);
	}
	fprintf(out, "%-*s%s\n%-*s%s\n%-*s%s\n", COLUMN, "  -q, --quiet", "errors only on stderr", COLUMN,
		"  -v, --verbose", "say more on stderr", COLUMN, "      --help", "this text");
	fprintf(out, "\nexit status: 0 done, 1 failed, 2 wrong usage\n");
}

/* Text as roff: a backslash, and a dot or quote at the start of a line, mean something there. */
static void print_roff(FILE *out, const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		if (*text == '\\' || *text == '-')
			fputc('\\', out);
		fputc(*text, out);
		line_start = *text == '\n';
	}
	fputc('\n', out);
}

void command_print_man(const struct command *cmd, FILE *out)
{
	char title[32];
	size_t i;

	for (i = 0; cmd->name[i] && i < sizeof(title) - 1; i++)
		title[i] = (char)toupper((unsigned char)cmd->name[i]);
	title[i] = '\0';
	fprintf(out, ".TH HEAPTAPE-%s 1 \"\" \"heaptape %s\"\n.SH NAME\nheaptape\\-%s \\- ", title, HEAPTAPE_VERSION, cmd->name);
	print_roff(out, cmd->summary);
	fprintf(out, ".SH SYNOPSIS\n.B heaptape %s\n", cmd->name);
	print_roff(out, cmd->synopsis);
	if (cmd->description) {
		fprintf(out, ".SH DESCRIPTION\n.nf\n");
		print_roff(out, cmd->description);
		fprintf(out, ".fi\n");
	}
	fprintf(out, ".SH OPTIONS\n");
	for (size_t k = 0, n = options_count(cmd); k < n; k++) {
		const struct command_option *opt = &cmd->options[k];

		fprintf(out, ".TP\n");
		if (opt->letter)
			fprintf(out, "\\fB\\-%c\\fR, ", opt->letter);
		fprintf(out, "\\fB\\-\\-%s\\fR%s%s\n", opt->name, opt->arg ? " " : "", opt->arg ? opt->arg : "");
		print_roff(out, opt->help);
	}
	fprintf(out, ".SH EXIT STATUS\n0 done, 1 failed, 2 wrong usage\n");
}

/* A number with an optional fraction, then one of the suffixes (NULL name ends them). */
struct suffix {
	const char *name;
	double factor;
};

static int parse_scaled(const char *text, const struct suffix *suffixes, uint64_t *value_ret)
{
	double value;
	char *end;

	if (!isdigit((unsigned char)*text) || text[strspn(text, "0")] == 'x' || text[strspn(text, "0")] == 'X')
		return -EINVAL; /* strtod takes signs, names and hexadecimals too */
	errno = 0;
	value = strtod(text, &end);
	if (errno)
		return -ERANGE;
	for (; suffixes->name; suffixes++) {
		if (strcmp(end, suffixes->name) != 0)
			continue;
		value *= suffixes->factor;
		if (value >= 9.2e18)
			return -ERANGE;
		*value_ret = (uint64_t)(value + 0.5);
		return 0;
	}
	return -EINVAL;
}

int parse_duration_ns(const char *text, uint64_t *ns_ret)
{
	static const struct suffix suffixes[] = { { "", 1e9 }, { "s", 1e9 },   { "ms", 1e6 }, { "us", 1e3 },
						  { "ns", 1 }, { "m", 60e9 }, { "h", 3600e9 }, { NULL, 0 } };

	return parse_scaled(text, suffixes, ns_ret);
}

int parse_nbytes(const char *text, uint64_t *nbytes_ret)
{
	static const struct suffix suffixes[] = {
		{ "", 1 },		   { "B", 1 },		      { "K", 1024 },	       { "KiB", 1024 },
		{ "M", 1048576.0 },	   { "MiB", 1048576.0 },      { "G", 1073741824.0 },   { "GiB", 1073741824.0 },
		{ "T", 1099511627776.0 }, { "TiB", 1099511627776.0 }, { NULL, 0 },
	};

	return parse_scaled(text, suffixes, nbytes_ret);
}

int parse_count(const char *text, uint64_t *count_ret)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*count_ret = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	return *end ? -EINVAL : 0;
}
