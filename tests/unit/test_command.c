/* SPDX-License-Identifier: BSD-2-Clause */
/* test_command.c - options as people type them, and the numbers in them; what is wrong with them is said by name. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "command.h"
#include "message.h"

static const struct command_option test_options[] = {
	{ "pid", 'p', "PID", "a process" },
	{ "force", 'f', NULL, "at any price" },
	{ "json", 0, NULL, "for scripts" },
	{ "duration", 0, "T", "how long\nin units" },
	{ NULL, 0, NULL, NULL },
};

static const struct command test_command = {
	.name = "try", .synopsis = "[FILE]", .summary = "Tries things", .description = "A.\n.B 'c' \\d", .options = test_options,
};

enum { OPT_JSON = 256 + 2, OPT_DURATION = 256 + 3 };

/* Diverts stdout or stderr into a file, whose text is fetched for free(). */
struct divert {
	int fd, saved;
	FILE *file;
};

static struct divert divert_begin(int fd)
{
	struct divert d = { .fd = fd, .file = tmpfile() };

	fflush(NULL);
	d.saved = dup(fd);
	dup2(fileno(d.file), fd);
	return d;
}

static char *divert_end(struct divert *d)
{
	char *text = calloc(1, 8192);

	fflush(NULL);
	dup2(d->saved, d->fd);
	close(d->saved);
	rewind(d->file);
	if (!fread(text, 1, 8191, d->file))
		*text = '\0';
	fclose(d->file);
	return text;
}

typedef int (*next_option)(const struct command *cmd, struct command_args *args, int argc, char **argv);

/* The walk as text: "p=7 f json | FILE", then what was said on stderr. */
static char *walk(next_option next, const char *words)
{
	struct divert err = divert_begin(STDERR_FILENO), out = divert_begin(STDOUT_FILENO);
	struct command_args args = { 0 };
	char line[512], *argv[32], *text = NULL, *said;
	size_t text_nbytes;
	FILE *to = open_memstream(&text, &text_nbytes);
	int argc = 0, got;

	snprintf(line, sizeof(line), "%s", words);
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	while ((got = next(&test_command, &args, argc, argv)) >= 0) {
		if (got >= 256)
			fprintf(to, "%s", test_options[got - 256].name);
		else
			fputc(got, to);
		fprintf(to, args.value ? "=%s " : " ", args.value);
	}
	if (got == COMMAND_END) {
		fprintf(to, "|");
		for (int i = args.next; i < argc; i++)
			fprintf(to, " %s", argv[i]);
	} else {
		fprintf(to, "%s ", got == COMMAND_BAD ? "BAD" : "HELP");
	}
	said = divert_end(&out);
	fprintf(to, "%.12s", said);
	free(said);
	said = divert_end(&err);
	fprintf(to, "%s", said);
	free(said);
	fclose(to);
	return text;
}

static void test_walk(void)
{
	static const struct {
		const char *words, *want;
		bool anywhere;
	} walks[] = {
		{ "try", "|", false },
		{ "try FILE", "| FILE", false },
		{ "try -p 7 -f --json FILE", "p=7 f json | FILE", false },
		{ "try -p7 --pid=8 --pid 9", "p=7 p=8 p=9 |", false },
		{ "try -fp7", "f p=7 |", false },
		{ "try --dur 3s", "duration=3s |", false }, /* the start of a name is enough */
		{ "try -q -v -f", "f |", false },
		{ "try -p -f", "p=-f |", false }, /* an argument may look like an option */
		{ "try --duration=", "duration= |", false },
		{ "try FILE -f", "| FILE -f", false },
		{ "try -f -- -p 7", "f | -p 7", false },
		{ "try -", "| -", false },
		{ "try FILE -f", "f | FILE", true },
		{ "try A -f B --json C", "f json | A B C", true },
		{ "try A -- -f", "| A -f", true },
		{ "try -p", "BAD heaptape: try: option '-p' needs an argument; see heaptape try --help\n", false },
		{ "try -f --duration", "f BAD heaptape: try: option '--duration' needs an argument; see heaptape try --help\n", false },
		{ "try -x", "BAD heaptape: try: unknown option '-x'; see heaptape try --help\n", false },
		{ "try -fx", "f BAD heaptape: try: unknown option '-x'; see heaptape try --help\n", false },
		{ "try -xf", "BAD heaptape: try: unknown option '-x'; see heaptape try --help\n", false },
		{ "try FILE -x", "BAD heaptape: try: unknown option '-x'; see heaptape try --help\n", true },
		{ "try --bogus", "BAD heaptape: try: unknown option '--bogus'; see heaptape try --help\n", false },
		{ "try FILE --bogus=1 -f", "BAD heaptape: try: unknown option '--bogus=1'; see heaptape try --help\n", true },
		{ "try --json=1", "BAD heaptape: try: option '--json' takes no argument; see heaptape try --help\n", false },
		{ "try -f --help -x", "f HELP usage: heapt", false },
		{ "try -h", "BAD heaptape: try: unknown option '-h'; see heaptape try --help\n", false },
	};

	for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
		char *text = walk(walks[i].anywhere ? command_next_option_anywhere : command_next_option, walks[i].words);

		CHECK_STR(text, walks[i].want);
		free(text);
		message_level = 0;
	}
}

/* A walk given up half-way frees nothing of the next one's, and the next begins anew. */
static void test_quiet_and_verbose_set_the_level(void)
{
	char *text = walk(command_next_option, "try -q");

	CHECK_EQ(message_level, -1);
	free(text);
	text = walk(command_next_option, "try --verbose");
	CHECK_EQ(message_level, 1);
	free(text);
	message_level = 0;
}

static char *printed(void (*print)(const struct command *cmd, FILE *out))
{
	char *text = NULL;
	size_t nbytes;
	FILE *out = open_memstream(&text, &nbytes);

	print(&test_command, out);
	fclose(out);
	return text;
}

static void test_help_names_every_option(void)
{
	char *text = printed(command_print_help);

	CHECK(strstr(text, "usage: heaptape try [FILE]\n\nTries things.\n"));
	CHECK(strstr(text, "\n  -p, --pid PID             a process\n"));
	CHECK(strstr(text, "\n      --json                for scripts\n"));
	CHECK(strstr(text, "\n      --duration T          how long\n                            in units\n"));
	CHECK(strstr(text, "\n  -q, --quiet "));
	free(text);
}

/* A line that begins with a dot or quote would be a request to roff, and a backslash an escape. */
static void test_man_page_escapes(void)
{
	char *text = printed(command_print_man);

	CHECK(strstr(text, ".TH HEAPTAPE-TRY 1 "));
	CHECK(strstr(text, "\nA.\n\\&.B 'c' \\\\d\n"));
	CHECK(strstr(text, "\\fB\\-p\\fR, \\fB\\-\\-pid\\fR PID\n"));
	free(text);
}

struct parsed {
	const char *text;
	int err;
	uint64_t value;
};

static void check_parse(int (*parse)(const char *text, uint64_t *value_ret), const struct parsed *want, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint64_t value = 0;
		int err = parse(want[i].text, &value);

		check_nr++;
		if (err == want[i].err && (err || value == want[i].value))
			continue;
		check_nr_failed++;
		fprintf(stderr, "\"%s\": %d, %" PRIu64 "\n", want[i].text, err, value);
	}
}

#define CHECK_PARSE(parse, list) check_parse(parse, list, sizeof(list) / sizeof((list)[0]))

static void test_durations(void)
{
	static const struct parsed list[] = {
		{ "30s", 0, 30000000000 }, { "30", 0, 30000000000 },   { "500ms", 0, 500000000 }, { "2m", 0, 120000000000 },
		{ "1.5h", 0, 5400000000000 }, { "7us", 0, 7000 },      { "9ns", 0, 9 },		  { "0", 0, 0 },
		{ "0.5s", 0, 500000000 }, { "", -EINVAL, 0 },	       { "s", -EINVAL, 0 },	  { "-1s", -EINVAL, 0 },
		{ "+1s", -EINVAL, 0 },	  { " 1s", -EINVAL, 0 },       { "1 s", -EINVAL, 0 },	  { "1s ", -EINVAL, 0 },
		{ "1d", -EINVAL, 0 },	  { "1S", -EINVAL, 0 },	       { "1ss", -EINVAL, 0 },	  { "nan", -EINVAL, 0 },
		{ "inf", -EINVAL, 0 },	  { "1..5s", -EINVAL, 0 },     { "0x10s", -EINVAL, 0 },	  { "300000000h", -ERANGE, 0 },
		{ "1e400s", -ERANGE, 0 }, { "9300000000s", -ERANGE, 0 },
	};

	CHECK_PARSE(parse_duration_ns, list);
}

static void test_sizes(void)
{
	static const struct parsed list[] = {
		{ "0", 0, 0 },		{ "1", 0, 1 },		 { "64M", 0, 64 << 20 },      { "64MiB", 0, 64 << 20 },
		{ "2G", 0, 2ull << 30 }, { "1.5K", 0, 1536 },	 { "3T", 0, 3ull << 40 },     { "12B", 0, 12 },
		{ "1KiB", 0, 1024 },	{ "-1", -EINVAL, 0 },	 { "M", -EINVAL, 0 },	      { "1MB", -EINVAL, 0 },
		{ "1m", -EINVAL, 0 },	{ "1M1", -EINVAL, 0 },	 { "99999999999T", -ERANGE, 0 }, { "0x10", -EINVAL, 0 },
		{ "", -EINVAL, 0 },	{ "1,5M", -EINVAL, 0 },
	};

	CHECK_PARSE(parse_nbytes, list);
}

static void test_counts(void)
{
	static const struct parsed list[] = {
		{ "0", 0, 0 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "007", 0, 7 },
		{ "-1", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "1.5", -EINVAL, 0 },
		{ "12abc", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 },
	};

	CHECK_PARSE(parse_count, list);
}

int main(void)
{
	test_walk();
	test_quiet_and_verbose_set_the_level();
	test_help_names_every_option();
	test_man_page_escapes();
	test_durations();
	test_sizes();
	test_counts();
	return check_done();
}
