/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mappings.h - the mappings of another process, and which of their pages are in memory.
 *
 * Reads /proc/PID/{maps,smaps,pagemap}. Functions return 0 or -errno and print nothing.
 */
#ifndef HEAPTAPE_REPLAY_MAPPINGS_H
#define HEAPTAPE_REPLAY_MAPPINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mapping {
	uint64_t start, end;
	uint64_t rss_nbytes, anon_nbytes; /* smaps only */
	uint64_t inode;
	dev_t dev;
	bool is_stack;   /* the first thread's */
	uint32_t path;   /* offset into maps.paths, of "" where there is none */
};

struct mappings {
	struct mapping *list; /* by address */
	size_t nr, max;
	char *paths;
	size_t paths_nbytes, paths_max;
};

/* with_rss: reads smaps instead, which walks all pages. Reuses m; zero-initialise it first. */
int mappings_read(struct mappings *m, pid_t pid, bool with_rss);
void mappings_free(struct mappings *m);
static inline const char *mappings_path(const struct mappings *m, const struct mapping *map)
{
	return m->paths + map->path;
}
/* The mapping that holds addr, or NULL. */
const struct mapping *mappings_find(const struct mappings *m, uint64_t addr);

/*
 * What lies outside of `own`: mappings that are not in it, and the rest of those that have grown together with
 * one of its. The first thread's stack never counts. Keeps rss only for whole mappings (else UINT64_MAX).
 */
int mappings_subtract(const struct mappings *m, const struct mappings *own, struct mappings *rest);

/* Sets bit i of `bits` for each page i of [start, end) that is in memory; shared zero pages are not. */
int mappings_resident(int pagemap_fd, uint64_t start, uint64_t end, uint64_t page_size, uint8_t *bits, uint64_t *nr_ret);

#endif
