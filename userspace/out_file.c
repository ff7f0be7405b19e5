/* SPDX-License-Identifier: BSD-2-Clause */
/* out_file.c - see out_file.h. */
#include "out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "message.h"

/* -f must not truncate the very tape that is being read. */
static bool is_same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int out_file_open(const char *path, const char *tape_path, bool overwrite)
{
	int fd;

	if (is_same_file(tape_path, path)) {
		message_error("%s: this is the tape itself; give another output file", path);
		return -1;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (overwrite ? O_TRUNC : O_EXCL), 0600);

	if (fd < 0 && errno == EEXIST)
		message_error("%s: this file exists; give another name, or -f to overwrite it", path);
	else if (fd < 0)
		message_error("%s: cannot create: %s", path, strerror(errno));
	return fd;
}
