/* SPDX-License-Identifier: BSD-2-Clause */
/* How much memory a replay may use here. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/replay.h"

static uint64_t read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long long n = 0;
	if (!f)
		return UINT64_MAX;
	if (fscanf(f, "%llu", &n) != 1) /* "max" */
		n = ULLONG_MAX;
	fclose(f);
	return n;
}

static uint64_t mem_available(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	uint64_t nbytes = 0;
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "MemAvailable:", 13))
			nbytes = strtoull(line + 13, NULL, 10) << 10;
	}
	if (f)
		fclose(f);
	return nbytes;
}

/* What one group of a hierarchy leaves free. */
static uint64_t group_available(const char *mount, const char *group, const char *limit_file, const char *usage_file)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s%s/%s", mount, group, limit_file);
	uint64_t limit = read_number(path);
	snprintf(path, sizeof(path), "%s%s/%s", mount, group, usage_file);
	uint64_t usage = read_number(path);
	if (limit == UINT64_MAX || usage == UINT64_MAX)
		return UINT64_MAX;
	return limit > usage ? limit - usage : 0;
}

/* The tightest of our group and those above it. */
static uint64_t path_available(const char *mount, char *group, const char *limit_file, const char *usage_file)
{
	uint64_t least = UINT64_MAX;
	for (;;) {
		uint64_t available = group_available(mount, group, limit_file, usage_file);
		least = available < least ? available : least;
		char *slash = strrchr(group, '/');
		if (!slash)
			return least;
		*slash = '\0';
	}
}

/* Lines "0::/path" (version 2) and "N:...memory...:/path" (version 1). */
static uint64_t cgroup_available(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX];
	uint64_t least = UINT64_MAX;
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
		uint64_t available = UINT64_MAX;
		if (!group)
			continue;
		*group++ = '\0';
		if (!controllers[1])
			available = path_available("/sys/fs/cgroup", group, "memory.max", "memory.current");
		else if (strstr(controllers, "memory"))
			available = path_available("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes",
						   "memory.usage_in_bytes");
		least = available < least ? available : least;
	}
	if (f)
		fclose(f);
	return least;
}

uint64_t memory_available(void)
{
	uint64_t machine = mem_available(), group = cgroup_available();
	return group < machine ? group : machine;
}
