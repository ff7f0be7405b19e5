/* SPDX-License-Identifier: BSD-2-Clause */
/* The folder for caches, which must be the user's own. */
#include "cache_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

/* ---- trimming ---- */

struct trim_file {
	char name[256];
	uint64_t nbytes, used_ns;
};

static int by_use(const void *a, const void *b)
{
	const struct trim_file *x = a, *y = b;

	return (x->used_ns > y->used_ns) - (x->used_ns < y->used_ns);
}

/* The regular files there; NULL: none, or no memory. */
static struct trim_file *list_files(DIR *dir, size_t *nr_ret, uint64_t *nbytes_ret)
{
	struct trim_file *list = NULL;
	struct dirent *d;
	struct stat st;

	while ((d = readdir(dir))) {
		struct trim_file *more;

		if (fstatat(dirfd(dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		more = reallocarray(list, *nr_ret + 1, sizeof(*list));
		if (!more)
			break;
		list = more;
		snprintf(list[*nr_ret].name, sizeof(list->name), "%s", d->d_name);
		list[*nr_ret].nbytes = (uint64_t)st.st_blocks * 512;
		/* Where access times are not kept, when it was made. */
		list[*nr_ret].used_ns = (uint64_t)(st.st_atim.tv_sec > st.st_mtim.tv_sec ? st.st_atim.tv_sec : st.st_mtim.tv_sec) * 1000000000ull;
		*nbytes_ret += list[(*nr_ret)++].nbytes;
	}
	return list;
}

void trim_folder(const char *path, uint64_t nbytes_max)
{
	DIR *dir = opendir(path);
	struct trim_file *list;
	uint64_t nbytes = 0;
	size_t nr = 0;

	if (!dir)
		return;
	list = list_files(dir, &nr, &nbytes);
	if (nr)
		qsort(list, nr, sizeof(*list), by_use);
	for (size_t i = 0; i < nr && nbytes > nbytes_max; i++)
		if (!unlinkat(dirfd(dir), list[i].name, 0))
			nbytes -= list[i].nbytes;
	free(list);
	closedir(dir);
}
