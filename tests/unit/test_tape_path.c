/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tape_path.c - the name of a tape: what is replaced, what is refused, and never a byte beyond the buffer. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "record/tape_path.h"

static void test_letters(void)
{
	char host[256] = "", want[300], path[512];

	gethostname(host, sizeof(host) - 1);
	CHECK_EQ(tape_path_expand("a-%p-%t%%.tape", 123, 1700000000, path, sizeof(path)), 0);
	CHECK_STR(path, "a-123-1700000000%.tape");
	CHECK_EQ(tape_path_expand("%h", 1, 0, path, sizeof(path)), 0);
	CHECK_STR(path, host);
	CHECK_EQ(tape_path_expand("%h%h/%p%p", 9, 0, path, sizeof(path)), 0);
	snprintf(want, sizeof(want), "%.100s%.100s/99", host, host);
	CHECK_STR(path, want);
}

static void test_refused(void)
{
	char path[64];

	CHECK_EQ(tape_path_expand("", 1, 0, path, sizeof(path)), -EINVAL);
	CHECK_EQ(tape_path_expand("x%", 1, 0, path, sizeof(path)), -EINVAL);
	CHECK_EQ(tape_path_expand("%s", 1, 0, path, sizeof(path)), -EINVAL);
	CHECK_EQ(tape_path_expand("%P", 1, 0, path, sizeof(path)), -EINVAL);
}

/* The buffer is allocated at its exact size, so that a sanitizer sees what lies behind. */
static void test_length(void)
{
	for (size_t room = 1; room < 20; room++) {
		char *path = malloc(room);

		CHECK_EQ(tape_path_expand("abc-%p.tape", 1234, 0, path, room), room > 13 ? 0 : -ENAMETOOLONG);
		if (room > 13)
			CHECK_STR(path, "abc-1234.tape");
		free(path);
	}
}

int main(void)
{
	test_letters();
	test_refused();
	test_length();
	return check_done();
}
