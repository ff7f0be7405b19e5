/* SPDX-License-Identifier: BSD-2-Clause */
/* test_trim.c - a cache is kept below its size: what was not used for longest goes, folders and links stay. */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache_dir.h"
#include "check.h"

#define EACH (64u << 10)

static char folder[] = "/tmp/heaptape-trim-XXXXXX";

static void make(const char *name, time_t used)
{
	static char bytes[EACH];
	int fd, dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	memset(bytes, 1, sizeof(bytes)); /* no hole: what counts is room on the disk */
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK(write(fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes));
	fsync(fd); /* a file system may give room only then */
	close(fd);
	CHECK(!utimensat(dir, name, (struct timespec[]){ { .tv_sec = used }, { .tv_sec = used } }, 0));
	close(dir);
}

static bool is_there(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return !access(path, F_OK);
}

int main(void)
{
	char path[256];

	CHECK(mkdtemp(folder) != NULL);
	make("old", 1000);
	make("new", 3000);
	make("middle", 2000);
	snprintf(path, sizeof(path), "%s/folder", folder);
	mkdir(path, 0700);
	trim_folder(folder, 4 * EACH);
	CHECK(is_there("old") && is_there("middle") && is_there("new"));
	trim_folder(folder, 2 * EACH + EACH / 2);
	CHECK(!is_there("old") && is_there("middle") && is_there("new"));
	trim_folder(folder, 0);
	CHECK(!is_there("middle") && !is_there("new") && is_there("folder"));
	trim_folder("/nothing/there", 0);
	rmdir(path);
	CHECK(!rmdir(folder));
	return check_done();
}
