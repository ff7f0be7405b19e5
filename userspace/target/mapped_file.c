/* SPDX-License-Identifier: BSD-2-Clause */
/* Ways to a mapped file. */
#include "mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/files.h"
#include "target/overlay.h"

#define FILE_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

enum {
	WAY_MAP_FILES,
	WAY_ROOT,
	WAY_EXE,
	WAY_LAYERS, /* and on: two for each layer, by the recorder's root and by the target's */
};

/* The link in map_files names the very file that is mapped, deleted and replaced ones too. The kernel pads no zeros. */
static int open_map_files(const struct process *p, const struct map_region *region)
{
	char name[64];

	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, region->start, region->end);
	return openat(p->proc_fd, name, FILE_FLAGS);
}

/* A path of the target's; links in it, absolute ones too, stay below its root. */
static int open_below_root(const struct process *p, const char *path)
{
	struct open_how how = { .flags = FILE_FLAGS, .resolve = RESOLVE_IN_ROOT };
	int root_fd, fd, err;

	root_fd = openat(p->proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -1;
	fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	err = errno;
	close(root_fd);
	errno = err;
	return fd;
}

/* maps shows the path in the target's mount namespace; its root may lie deeper there (chroot). */
static const char *path_of_target(const struct process *p, const char *path, char root[PATH_MAX])
{
	ssize_t len = readlinkat(p->proc_fd, "root", root, PATH_MAX - 1);

	if (len <= 1)
		return path;
	root[len] = '\0';
	return !strncmp(path, root, (size_t)len) && path[len] == '/' ? path + len : path;
}

static int open_in_root(const struct process *p, const struct map_region *region)
{
	char root[PATH_MAX];

	return open_below_root(p, path_of_target(p, region->path, root));
}

static int open_exe(const struct process *p, const struct map_region *region)
{
	(void)region;
	return openat(p->proc_fd, "exe", FILE_FLAGS);
}

/* -1 with ENOTDIR: there is no such layer, nor one behind it. */
static int open_layer(const struct process *p, const struct map_region *region, unsigned nr, char name[MAPPED_FILE_WAY_MAX])
{
	char root[PATH_MAX], layer[PATH_MAX], *mountinfo;
	int fd, err;

	err = file_read_all_at(p->proc_fd, "mountinfo", &mountinfo, NULL);
	if (!err)
		err = overlay_layer(mountinfo, path_of_target(p, region->path, root), nr / 2, layer, sizeof(layer));
	free(mountinfo);
	if (err) {
		errno = ENOTDIR;
		return -1;
	}
	snprintf(name, MAPPED_FILE_WAY_MAX, "overlay layer %.*s", MAPPED_FILE_WAY_MAX - 20, layer);
	fd = nr % 2 ? open_below_root(p, layer) : open(layer, FILE_FLAGS);
	if (fd < 0 && errno == ENOTDIR)
		errno = ENOENT;
	return fd;
}

static bool same_file(int fd, const struct map_region *region)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_dev == region->dev && st.st_ino == region->inode;
}

/* Of a layer only what has the mapped file's number, which an overlay of one file system hands through. */
static bool may_be_layer(int fd, const struct map_region *region)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_ino == region->inode;
}

static int open_by(unsigned way, const struct process *p, const struct map_region *region, char name[MAPPED_FILE_WAY_MAX])
{
	static const struct {
		const char *name;
		int (*open)(const struct process *p, const struct map_region *region);
	} ways[] = { [WAY_MAP_FILES] = { "map_files", open_map_files },
		     [WAY_ROOT] = { "root", open_in_root },
		     [WAY_EXE] = { "exe", open_exe } };

	if (way >= WAY_LAYERS)
		return open_layer(p, region, way - WAY_LAYERS, name);
	snprintf(name, MAPPED_FILE_WAY_MAX, "%s", ways[way].name);
	return ways[way].open(p, region);
}

/* map_files is the mapped file by construction (an overlay shows another device in maps than in stat). */
static bool is_right(unsigned way, int fd, const struct map_region *region)
{
	if (way == WAY_MAP_FILES)
		return true;
	return way < WAY_LAYERS ? same_file(fd, region) : may_be_layer(fd, region);
}

int mapped_file_open(const struct process *p, const struct map_region *region, unsigned *way, char name[MAPPED_FILE_WAY_MAX])
{
	int err = -ENOENT;

	for (;; (*way)++) {
		int fd = open_by(*way, p, region, name);

		if (fd >= 0 && is_right(*way, fd, region))
			return fd;
		if (fd >= 0) {
			close(fd);
			continue;
		}
		if (errno == EACCES || errno == EPERM)
			err = -errno;
		if (*way >= WAY_LAYERS && errno == ENOTDIR)
			return err;
	}
}
