/* SPDX-License-Identifier: BSD-2-Clause */
/* Files of variants: words as a shell parts them, and every way in which a line can be wrong. */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rerun/variants.h"

static struct variants v;
static char why[800];

static int read_text(const char *text, size_t nbytes)
{
	char path[] = "/tmp/test_variants.XXXXXX";
	int fd = mkstemp(path), err;

	CHECK(fd >= 0 && write(fd, text, nbytes) == (ssize_t)nbytes);
	close(fd);
	variants_free(&v);
	err = variants_read(path, &v, why, sizeof(why));
	unlink(path);
	return err;
}

static void test_words(void)
{
	static const char text[] = "# all\n\n  a:\r\nb-1.x+: X=1 Y='a b' \"Z=\\\"q\\\" 'r'\" unset:HOME # said\nc:W=\\#1 E= -- +RTS '' -A64m\\ n # no\nd: --";

	CHECK(!read_text(text, sizeof(text) - 1));
	CHECK(v.nr == 4);
	CHECK(!strcmp(v.list[0].name, "a") && !v.list[0].nr_env && !v.list[0].nr_args);
	CHECK(!strcmp(v.list[1].name, "b-1.x+") && v.list[1].nr_env == 4 && !v.list[1].env[4]);
	CHECK(!strcmp(v.list[1].env[0], "X=1") && !strcmp(v.list[1].env[1], "Y=a b"));
	CHECK(!strcmp(v.list[1].env[2], "Z=\"q\" 'r'") && !strcmp(v.list[1].env[3], "HOME"));
	CHECK(v.list[2].nr_env == 2 && !strcmp(v.list[2].env[0], "W=#1") && !strcmp(v.list[2].env[1], "E="));
	CHECK(v.list[2].nr_args == 3 && !strcmp(v.list[2].args[0], "+RTS") && !*v.list[2].args[1] && !strcmp(v.list[2].args[2], "-A64m n"));
	CHECK(!v.list[3].nr_args);
}

static void test_arguments(void)
{
	static const char text[] = "a: -- x y\nb:\n";
	char *behind[] = { "cmd", "1", NULL }, *within[] = { "cmd", "{}", "2", NULL }, **argv;

	CHECK(!read_text(text, sizeof(text) - 1));
	argv = variant_argv(&v.list[0], behind);
	CHECK(!strcmp(argv[1], "1") && !strcmp(argv[2], "x") && !strcmp(argv[3], "y") && !argv[4]);
	free(argv);
	argv = variant_argv(&v.list[0], within);
	CHECK(!strcmp(argv[1], "x") && !strcmp(argv[2], "y") && !strcmp(argv[3], "2") && !argv[4]);
	free(argv);
	argv = variant_argv(&v.list[1], within);
	CHECK(!strcmp(argv[1], "2") && !argv[2]);
	free(argv);
}

static void test_wrong_lines(void)
{
	static const char *const wrong[] = { "", "\n#\n", ":\n", "a\n", "a b:\n", "../a:\n", "-a:\n", ".a:\n", "a:\na:\n", "a: x\n", "a: =1\n",
					     "a: 'x=1\n", "a: x=1\"\n", "a: alloc:\n", "a: unset:\n", "a: unset:X=1\n", "a: 1=2\n",
					     "a: alloc:glibc,LD_PRELOAD=x\n" };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		*why = '\0';
		CHECK(read_text(wrong[i], strlen(wrong[i])) < 0 && *why);
	}
	CHECK(read_text("a: X=\0001\n", 9) < 0 && strstr(why, "line 1: this is no text"));
	CHECK(read_text("a:\\", 3) == 0 || *why); /* a backslash at the very end */
}

static void test_too_many(void)
{
	char text[VARIANTS_MAX * 8 + 16];
	size_t n = 0;

	for (int i = 0; i < VARIANTS_MAX; i++)
		n += (size_t)sprintf(text + n, "v%d:\n", i);
	CHECK(!read_text(text, n) && v.nr == VARIANTS_MAX);
	n += (size_t)sprintf(text + n, "more:\n");
	CHECK(read_text(text, n) < 0 && strstr(why, "more than 64"));
}

static void test_glibc(void)
{
	CHECK(!read_text("a: alloc:glibc,MALLOC_ARENA_MAX=1 X=2\n", 38));
	CHECK(v.list[0].has_alloc && v.list[0].nr_env == 3);
	CHECK(!strcmp(v.list[0].env[0], "LD_PRELOAD") && !strcmp(v.list[0].env[1], "MALLOC_ARENA_MAX=1"));
}

int main(void)
{
	test_words();
	test_arguments();
	test_wrong_lines();
	test_too_many();
	test_glibc();
	variants_free(&v);
	return check_done();
}
