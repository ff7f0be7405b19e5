/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * perf_map.h - names of code that a program makes while it runs, by the list it keeps for profilers
 * (/tmp/perf-PID.map: lines of start, length and name).
 *
 * Addresses are used again: of two entries over one address the later one counts, as of the time of reading.
 */
#ifndef HEAPTAPE_PERF_MAP_H
#define HEAPTAPE_PERF_MAP_H

#include <stdint.h>
#include <sys/types.h>

struct perf_map;

/* Takes fd over. Only a regular file that belongs to `uid` or to root is read, so that a list is the program's own.
 * NULL: it is not, or holds nothing, or memory is out. */
struct perf_map *perf_map_read(int fd, uid_t uid);
void perf_map_free(struct perf_map *m);
/* NULL. Lives as long as the map. */
const char *perf_map_find(const struct perf_map *m, uint64_t addr);

#endif
