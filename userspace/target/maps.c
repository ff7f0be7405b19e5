/* SPDX-License-Identifier: BSD-2-Clause */
/* Parses /proc/PID/maps. */
#include "maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "files.h"

#define DELETED_SUFFIX " (deleted)"

static int region_parse(char *line, struct map_region *r)
{
	unsigned int major_nr, minor_nr;
	char perms[5];
	int path_at = 0;
	size_t len;
	char *path;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &r->start, &r->end, perms, &r->offset,
		   &major_nr, &minor_nr, &r->inode, &path_at) < 7)
		return -EBADMSG;
	r->dev = makedev(major_nr, minor_nr);
	r->readable = perms[0] == 'r';
	r->writable = perms[1] == 'w';
	r->executable = perms[2] == 'x';
	r->shared = perms[3] == 's';
	path = path_at ? line + path_at : line + strlen(line);
	len = strlen(path);
	if (len > strlen(DELETED_SUFFIX) && !strcmp(path + len - strlen(DELETED_SUFFIX), DELETED_SUFFIX)) {
		r->deleted = true;
		path[len - strlen(DELETED_SUFFIX)] = '\0';
	}
	r->path = path;
	return 0;
}

int maps_read(int proc_fd, struct maps *maps)
{
	size_t nr_lines = 0;
	char *line, *next;
	int err;

	memset(maps, 0, sizeof(*maps));
	err = file_read_all_at(proc_fd, "maps", &maps->text, NULL);
	if (err)
		return err;
	for (const char *c = maps->text; *c; c++)
		nr_lines += *c == '\n';
	maps->regions = calloc(nr_lines + 1, sizeof(*maps->regions));
	if (!maps->regions)
		return -ENOMEM;
	for (line = maps->text; *line; line = next) {
		next = strchr(line, '\n');
		if (!next)
			break;
		*next++ = '\0';
		err = region_parse(line, &maps->regions[maps->nr_regions]);
		if (err)
			return err;
		maps->nr_regions++;
	}
	return 0;
}

void maps_free(struct maps *maps)
{
	free(maps->regions);
	free(maps->text);
	memset(maps, 0, sizeof(*maps));
}

const struct map_region *maps_find(const struct maps *maps, uint64_t addr)
{
	size_t low = 0, high = maps->nr_regions;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (maps->regions[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == maps->nr_regions || maps->regions[low].start > addr)
		return NULL;
	return &maps->regions[low];
}
