/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading /proc/PID/maps, smaps and pagemap. */
#include "replay/mappings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_FILE_OR_SHARED (1ull << 61)
#define PAGEMAP_EXCLUSIVE (1ull << 56)
#define PAGEMAP_BATCH 8192

static int add_path(struct mappings *m, const char *path, uint32_t *at_ret)
{
	size_t nbytes = strlen(path) + 1;
	if (m->paths_nbytes + nbytes > m->paths_max) {
		size_t max = (m->paths_nbytes + nbytes) * 2;
		char *paths = realloc(m->paths, max);
		if (!paths)
			return -ENOMEM;
		m->paths = paths;
		m->paths_max = max;
	}
	memcpy(m->paths + m->paths_nbytes, path, nbytes);
	*at_ret = (uint32_t)m->paths_nbytes;
	m->paths_nbytes += nbytes;
	return 0;
}

static int add_mapping(struct mappings *m, const struct mapping *map)
{
	if (m->nr == m->max) {
		size_t max = m->max ? m->max * 2 : 128;
		struct mapping *list = reallocarray(m->list, max, sizeof(*list));
		if (!list)
			return -ENOMEM;
		m->list = list;
		m->max = max;
	}
	m->list[m->nr++] = *map;
	return 0;
}

static void reset(struct mappings *m)
{
	m->nr = 0;
	m->paths_nbytes = 0;
}

void mappings_free(struct mappings *m)
{
	free(m->list);
	free(m->paths);
	*m = (struct mappings){ 0 };
}

/* "start-end perms offset major:minor inode   path" */
static int parse_mapping(struct mappings *m, const char *line)
{
	unsigned long long start, end, inode;
	unsigned dev_major, dev_minor;
	int path_at = 0;
	if (sscanf(line, "%llx-%llx %*s %*x %x:%x %llu %n", &start, &end, &dev_major, &dev_minor, &inode, &path_at) < 5)
		return -EPROTO;
	const char *path = path_at ? line + path_at : "";
	struct mapping map = { .start = start, .end = end, .inode = inode, .dev = makedev(dev_major, dev_minor),
			       .is_stack = !strcmp(path, "[stack]") };
	int err = add_path(m, path, &map.path);
	return err ? err : add_mapping(m, &map);
}

/* A line "Key:   N kB" of smaps. */
static void parse_figure(struct mapping *map, const char *line)
{
	if (!strncmp(line, "Rss:", 4))
		map->rss_nbytes = strtoull(line + 4, NULL, 10) << 10;
	else if (!strncmp(line, "Anonymous:", 10))
		map->anon_nbytes = strtoull(line + 10, NULL, 10) << 10;
}

int mappings_read(struct mappings *m, pid_t pid, bool with_rss)
{
	char path[64], *line = NULL;
	size_t line_max = 0;
	ssize_t len;
	int err = 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, with_rss ? "smaps" : "maps");
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	reset(m);
	while (!err && (len = getline(&line, &line_max, f)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		/* A mapping begins with a small hex digit, a figure with a capital. */
		if (!isupper((unsigned char)line[0]))
			err = parse_mapping(m, line);
		else if (m->nr)
			parse_figure(&m->list[m->nr - 1], line);
	}
	if (!err && ferror(f))
		err = -EIO;
	free(line);
	fclose(f);
	return err;
}

const struct mapping *mappings_find(const struct mappings *m, uint64_t addr)
{
	for (size_t i = 0; i < m->nr; i++) {
		if (addr >= m->list[i].start && addr < m->list[i].end)
			return &m->list[i];
	}
	return NULL;
}

int mappings_subtract(const struct mappings *m, const struct mappings *own, struct mappings *rest)
{
	size_t o = 0;
	int err = 0;
	reset(rest);
	for (size_t i = 0; i < m->nr && !err; i++) {
		struct mapping map = m->list[i];
		if (map.is_stack)
			continue;
		while (o < own->nr && own->list[o].end <= map.start)
			o++;
		uint64_t at = map.start;
		for (size_t k = o; k <= own->nr && at < map.end && !err; k++) {
			uint64_t stop = k < own->nr && own->list[k].start < map.end ? own->list[k].start : map.end;
			struct mapping part = { .start = at, .end = stop, .rss_nbytes = map.rss_nbytes,
						.anon_nbytes = map.anon_nbytes };
			if (at != map.start || stop != map.end)
				part.rss_nbytes = part.anon_nbytes = UINT64_MAX;
			if (at < stop)
				err = add_mapping(rest, &part);
			at = k < own->nr && own->list[k].end > at ? own->list[k].end : at;
			if (stop == map.end)
				break;
		}
	}
	return err;
}

int mappings_resident(int pagemap_fd, uint64_t start, uint64_t end, uint64_t page_size, uint8_t *bits, uint64_t *nr_ret)
{
	uint64_t entries[PAGEMAP_BATCH];
	uint64_t first = start / page_size, nr_pages = (end - start) / page_size, nr = 0;
	for (uint64_t i = 0; i < nr_pages;) {
		uint64_t want = nr_pages - i < PAGEMAP_BATCH ? nr_pages - i : PAGEMAP_BATCH;
		ssize_t got = pread(pagemap_fd, entries, want * sizeof(*entries), (off_t)((first + i) * sizeof(*entries)));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		for (size_t k = 0; k < (size_t)got / sizeof(*entries); k++, i++) {
			/* An anonymous page of a process that never forked is its own; the zero page is nobody's. */
			bool in = entries[k] & PAGEMAP_PRESENT && entries[k] & (PAGEMAP_FILE_OR_SHARED | PAGEMAP_EXCLUSIVE);
			nr += in;
			if (in && bits)
				bits[i / 8] |= (uint8_t)(1u << i % 8);
		}
	}
	*nr_ret = nr;
	return 0;
}
