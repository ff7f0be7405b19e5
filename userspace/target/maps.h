/* SPDX-License-Identifier: BSD-2-Clause */
/* maps.h - the address space of a process as /proc/PID/maps tells it. */
#ifndef HEAPTAPE_MAPS_H
#define HEAPTAPE_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_region {
	uint64_t start, end; /* [start, end) */
	uint64_t offset;     /* of start in the file, bytes */
	uint64_t dev, inode; /* as maps shows them; inode 0: no file */
	bool readable, writable, executable, shared;
	bool deleted; /* the file's name is gone or names another file now */
	const char *path; /* "" for anonymous memory; "[heap]" and the like as the kernel says; lives with struct maps */
};

struct maps {
	struct map_region *regions;
	size_t nr_regions;
	char *text;
};

/* Reads the maps of the process whose /proc/PID directory proc_fd is. -errno; maps_free in any case. */
int maps_read(int proc_fd, struct maps *maps);
void maps_free(struct maps *maps);
/* The region that holds addr, or NULL. */
const struct map_region *maps_find(const struct maps *maps, uint64_t addr);

#endif
