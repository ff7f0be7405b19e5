/* SPDX-License-Identifier: BSD-2-Clause */
/* test_files.c - small files of /proc: whole, however long; numbers that are none are refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "target/files.h"

/* A path to a file with this text; one at a time. */
static const char *file_with(const char *text, size_t nbytes)
{
	static char path[64];
	static int fd = -1;

	if (fd >= 0)
		close(fd);
	fd = memfd_create("file", MFD_CLOEXEC);
	CHECK_EQ(write(fd, text, nbytes), (ssize_t)nbytes);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}

static void test_whole_at_any_length(void)
{
	/* Around the buffer's sizes: 16 KiB, doubled while less than 4 KiB are left. */
	static const size_t lengths[] = { 0, 1, 4095, 4096, 12287, 12288, 12289, 16383, 16384, 16385, 28671, 28673, 1000000 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char *bytes = malloc(lengths[i] + 1), *text;
		size_t nbytes = 77;

		for (size_t k = 0; k < lengths[i]; k++)
			bytes[k] = (char)(1 + k % 251);
		CHECK_EQ(file_read_all_at(AT_FDCWD, file_with(bytes, lengths[i]), &text, &nbytes), 0);
		CHECK_EQ(nbytes, lengths[i]);
		CHECK(text && !memcmp(text, bytes, lengths[i]) && !text[lengths[i]]);
		free(text);
		free(bytes);
	}
}

static void test_not_to_be_read(void)
{
	char path[64], *text = (char *)path;
	int fd = memfd_create("huge", MFD_CLOEXEC);

	CHECK_EQ(file_read_all_at(AT_FDCWD, "/nonexistent", &text, NULL), -ENOENT);
	CHECK(!text);
	CHECK_EQ(file_read_all_at(AT_FDCWD, "/tmp", &text, NULL), -EISDIR);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK_EQ(ftruncate(fd, 1ll << 40), 0);
	CHECK_EQ(file_read_all_at(AT_FDCWD, path, &text, NULL), -EFBIG); /* no end in sight */
	CHECK(!text);
	close(fd);
}

static void test_lines(void)
{
	char line[8];

	CHECK_EQ(file_read_line_at(AT_FDCWD, file_with("one\ntwo\n", 8), line, sizeof(line)), 0);
	CHECK_STR(line, "one");
	CHECK_EQ(file_read_line_at(AT_FDCWD, file_with("", 0), line, sizeof(line)), 0);
	CHECK_STR(line, "");
	CHECK_EQ(file_read_line_at(AT_FDCWD, file_with("0123456789\n", 11), line, sizeof(line)), 0);
	CHECK_STR(line, "0123456");
	CHECK_EQ(file_read_line_at(AT_FDCWD, "/nonexistent", line, sizeof(line)), -ENOENT);
	CHECK_STR(line, "");
}

static void test_numbers(void)
{
	static const struct {
		const char *text;
		int err;
		uint64_t value;
	} numbers[] = {
		{ "0\n", 0, 0 },       { "42", 0, 42 },	      { "18446744073709551615\n", 0, UINT64_MAX }, { "max\n", -EBADMSG, 0 },
		{ "\n", -EBADMSG, 0 }, { "", -EBADMSG, 0 },   { "12 34\n", -EBADMSG, 0 },		   { "-1\n", -EBADMSG, 0 },
		{ "0x10\n", -EBADMSG, 0 }, { "99999999999999999999\n", -EBADMSG, 0 }, { "+5\n", -EBADMSG, 0 },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t value = 0;

		CHECK_EQ(file_read_u64_at(AT_FDCWD, file_with(numbers[i].text, strlen(numbers[i].text)), &value), numbers[i].err);
		if (!numbers[i].err)
			CHECK_EQ(value, numbers[i].value);
	}
}

static void test_kilobytes_by_name(void)
{
	const char *text = "Name:\tRssAnon: 5 kB\nRssAnonymous:\t 7 kB\nRssAnon:\t     123 kB\nRssFile:\t0 kB";
	uint64_t nbytes = 0;

	CHECK_EQ(text_find_kb(text, "RssAnon", &nbytes), 0); /* of a line of its own, not within another's */
	CHECK_EQ(nbytes, 123 * 1024);
	CHECK_EQ(text_find_kb(text, "RssFile", &nbytes), 0);
	CHECK_EQ(nbytes, 0);
	CHECK_EQ(text_find_kb(text, "Rss", &nbytes), -ENOENT);
	CHECK_EQ(text_find_kb("", "Rss", &nbytes), -ENOENT);
}

int main(void)
{
	test_whole_at_any_length();
	test_not_to_be_read();
	test_lines();
	test_numbers();
	test_kilobytes_by_name();
	return check_done();
}
