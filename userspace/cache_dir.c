/* SPDX-License-Identifier: BSD-2-Clause */
/* The folder for caches, which must be the user's own. */
#include "cache_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int choose(char *path, size_t path_nbytes)
{
	const char *given = getenv("HEAPTAPE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int len;

	if (given && *given)
		len = strcmp(given, "off") ? snprintf(path, path_nbytes, "%s", given) : -1;
	else if (xdg && *xdg == '/')
		len = snprintf(path, path_nbytes, "%s/heaptape", xdg);
	else if (geteuid() == 0)
		len = snprintf(path, path_nbytes, "/var/cache/heaptape");
	else
		len = home && *home == '/' ? snprintf(path, path_nbytes, "%s/.cache/heaptape", home) : -1;
	if (len < 0)
		return -ENOENT;
	return (size_t)len < path_nbytes ? 0 : -ENAMETOOLONG;
}

int cache_dir(char *path, size_t path_nbytes)
{
	struct stat st;
	int err = choose(path, path_nbytes);

	if (err)
		return err;
	if (mkdir(path, 0700) && errno != EEXIST)
		return -ENOENT;
	if (lstat(path, &st))
		return -errno;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}
