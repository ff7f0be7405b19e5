/* SPDX-License-Identifier: BSD-2-Clause */
/* Small files, read whole. */
#include "files.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_NBYTES_MAX (64u << 20) /* the maps of a process with 500,000 mappings */

static int read_to_end(int fd, char **text_ret, size_t *nbytes_ret)
{
	size_t len = 0, room = 16384;
	char *text = malloc(room);

	if (!text)
		return -ENOMEM;
	for (;;) {
		ssize_t got = read(fd, text + len, room - len - 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int err = -errno;

			free(text);
			return err;
		}
		if (!got)
			break;
		len += (size_t)got;
		if (room - len < 4096) {
			char *more = room < FILE_NBYTES_MAX ? realloc(text, room *= 2) : NULL;

			if (!more) {
				free(text);
				return room < FILE_NBYTES_MAX ? -ENOMEM : -EFBIG;
			}
			text = more;
		}
	}
	text[len] = '\0';
	*text_ret = text;
	if (nbytes_ret)
		*nbytes_ret = len;
	return 0;
}

int file_read_all_at(int dir_fd, const char *name, char **text_ret, size_t *nbytes_ret)
{
	int fd, err;

	*text_ret = NULL;
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = read_to_end(fd, text_ret, nbytes_ret);
	close(fd);
	return err;
}

int file_read_line_at(int dir_fd, const char *name, char *buf, size_t buf_nbytes)
{
	char *text;
	int err;

	buf[0] = '\0';
	err = file_read_all_at(dir_fd, name, &text, NULL);
	if (err)
		return err;
	text[strcspn(text, "\n")] = '\0';
	snprintf(buf, buf_nbytes, "%s", text);
	free(text);
	return 0;
}

int file_read_u64_at(int dir_fd, const char *name, uint64_t *value_ret)
{
	char line[64], *end;
	int err;

	err = file_read_line_at(dir_fd, name, line, sizeof(line));
	if (err)
		return err;
	errno = 0;
	*value_ret = strtoull(line, &end, 10);
	return errno || !isdigit((unsigned char)*line) || *end ? -EBADMSG : 0; /* strtoull takes signs and spaces too */
}

int text_find_kb(const char *text, const char *name, uint64_t *nbytes_ret)
{
	size_t len = strlen(name);
	const char *line;

	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, len) != 0 || line[len] != ':')
			continue;
		*nbytes_ret = strtoull(line + len + 1, NULL, 10) * 1024;
		return 0;
	}
	return -ENOENT;
}
