/* SPDX-License-Identifier: BSD-2-Clause */
/* test_message.c - what stands on stderr at which level, and numbers for people. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "message.h"

/* What `say` writes to stderr at a level, for free(). */
static char *said(int level, void (*say)(void))
{
	char *text = calloc(1, 16384);
	int saved = dup(STDERR_FILENO);
	FILE *file = tmpfile();

	dup2(fileno(file), STDERR_FILENO);
	message_level = level;
	say();
	message_level = 0;
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	if (!fread(text, 1, 16383, file))
		*text = '\0';
	fclose(file);
	return text;
}

static void say_all(void)
{
	message_error("e %d", 1);
	message_warn("w");
	message_info("i");
	message_verbose("v");
	message_progress("half done"); /* no terminal: nothing */
	message_progress(NULL);
}

static void test_levels(void)
{
	static const char *const want[] = { "heaptape: e 1\n", "heaptape: e 1\nheaptape: warning: w\nheaptape: i\n",
					    "heaptape: e 1\nheaptape: warning: w\nheaptape: i\nheaptape: v\n" };

	for (int level = -1; level <= 1; level++) {
		char *text = said(level, say_all);

		CHECK_STR(text, want[level + 1]);
		free(text);
	}
}

static char long_word[5001];

static void say_long(void)
{
	message_error("%s", long_word);
	message_error("next");
}

static void test_line_too_long_is_cut_not_overrun(void)
{
	char *text, *end;

	memset(long_word, 'x', sizeof(long_word) - 1);
	text = said(0, say_long);
	end = strchr(text, '\n');
	CHECK(end && end - text > 1000 && end - text < 5000);
	CHECK(end && !strcmp(end + 1, "heaptape: next\n"));
	free(text);
}

struct human {
	uint64_t value;
	const char *text;
};

static void check_human(const char *(*human)(char *buf, uint64_t value), const struct human *want, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		char buf[HUMAN_MAX];

		CHECK_STR(human(buf, want[i].value), want[i].text);
	}
}

#define CHECK_HUMAN(function, ...)                                   \
	do {                                                         \
		static const struct human list[] = __VA_ARGS__;      \
		check_human(function, list, sizeof(list) / sizeof(list[0])); \
	} while (0)

static void test_human_numbers(void)
{
	CHECK_HUMAN(human_nbytes, { { 0, "0 B" }, { 1, "1 B" }, { 1023, "1023 B" }, { 1024, "1.00 KiB" }, { 1536, "1.50 KiB" },
				    { 10239, "10.0 KiB" }, { 10240, "10.0 KiB" }, { 102390, "100 KiB" }, { 102400, "100 KiB" },
				    { 1ull << 20, "1.00 MiB" }, { 3ull << 29, "1.50 GiB" }, { 5ull << 40, "5.00 TiB" },
				    { UINT64_MAX, "16777216 TiB" } });
	CHECK_HUMAN(human_count, { { 0, "0" }, { 9999, "9999" }, { 10000, "10.0 k" }, { 99960, "100 k" }, { 4100000, "4.10 M" },
				   { 2000000000, "2.00 G" }, { UINT64_MAX, "18446744074 G" } });
	CHECK_HUMAN(human_ns, { { 0, "0 ns" }, { 999, "999 ns" }, { 350000, "350 us" }, { 1500000, "1.50 ms" },
				{ 12300000000, "12.3 s" }, { 90000000000, "90.0 s" }, { 119900000000, "120 s" },
				{ 120000000000, "2.00 min" }, { UINT64_MAX, "307445735 min" } });
}

static void test_no_colour_off_a_terminal(void)
{
	int pipes[2];

	CHECK_EQ(pipe(pipes), 0);
	CHECK(!message_wants_colour(pipes[1]));
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	test_levels();
	test_line_too_long_is_cut_not_overrun();
	test_human_numbers();
	test_no_colour_off_a_terminal();
	return check_done();
}
