/* SPDX-License-Identifier: BSD-2-Clause */
/* test_perf_map.c - lists of made code: addresses used again, lines that are none, files that are another's. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "symbols/symbols.h"

static struct perf_map *map_of(const char *text, uid_t uid)
{
	FILE *f = tmpfile();

	fputs(text, f);
	fflush(f);
	return perf_map_read(dup(fileno(f)), uid); /* the file itself ends with the program */
}

static void test_perf_map(void)
{
	struct find find = { .root_fd = -1 };
	struct perf_map *m = map_of("1000 100 old\n2000 80 LazyCompile:*add /app/a.js:3\nnonsense\n1040 20 new one\n\n"
				    "3000 0 empty\nffffffffffffff00 200 wraps\n20f0 20 behind",
				    getuid());
	const struct tape_name *names;
	struct symbols *s;

	CHECK(m != NULL);
	CHECK_STR(perf_map_find(m, 0x1000), "old");
	CHECK_STR(perf_map_find(m, 0x1040), "new one");
	CHECK_STR(perf_map_find(m, 0x105f), "new one");
	CHECK(perf_map_find(m, 0x1060) == NULL); /* was old's, which has lost its place */
	CHECK(perf_map_find(m, 0x1100) == NULL);
	CHECK_STR(perf_map_find(m, 0x207f), "LazyCompile:*add /app/a.js:3");
	CHECK(perf_map_find(m, 0x2080) == NULL);
	CHECK(perf_map_find(m, 0x3000) == NULL);
	CHECK_STR(perf_map_find(m, 0x2100), "behind");
	CHECK(perf_map_find(m, 0xfff) == NULL);
	s = symbols_new(&find, m);
	CHECK_EQ(symbols_find(s, "- //anon", 0x2010, &names), 1);
	CHECK_STR(names ? names[0].function : NULL, "LazyCompile:*add /app/a.js:3");
	CHECK_EQ(symbols_find(s, "- //anon", 0x9010, &names), 0);
	symbols_free(s);
	CHECK(map_of("", getuid()) == NULL);
	CHECK(map_of("no map at all\n", getuid()) == NULL);
	CHECK(perf_map_read(-1, 0) == NULL);
	if (getuid() != 0) /* root's own lists are believed by all */
		CHECK(map_of("1000 100 another user's\n", getuid() + 1) == NULL);
}

int main(void)
{
	test_perf_map();
	return check_done();
}
