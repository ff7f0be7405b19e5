/* SPDX-License-Identifier: BSD-2-Clause */
/* Expands the name of a tape. */
#include "tape_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int tape_path_expand(const char *template, pid_t pid, time_t now, char *path, size_t path_nbytes)
{
	size_t len = 0;

	for (; *template; template++) {
		char piece[256] = { *template, '\0' };

		if (*template == '%') {
			switch (*++template) {
			case 'p': snprintf(piece, sizeof(piece), "%d", pid); break;
			case 't': snprintf(piece, sizeof(piece), "%lld", (long long)now); break;
			case 'h':
				if (gethostname(piece, sizeof(piece) - 1))
					return -errno;
				break;
			case '%': break;
			default: return -EINVAL;
			}
		}
		if (len + strlen(piece) >= path_nbytes)
			return -ENAMETOOLONG;
		len = (size_t)(stpcpy(path + len, piece) - path);
	}
	path[len] = '\0';
	return len ? 0 : -EINVAL;
}
