/* SPDX-License-Identifier: BSD-2-Clause */
/* debuginfod.c - see debuginfod.h. */
#include "debuginfod.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

#define LIBRARY "libdebuginfod.so.1"

typedef struct debuginfod_client *(*begin_fn)(void);
typedef int (*find_fn)(struct debuginfod_client *, const unsigned char *, int, char **);
typedef void (*end_fn)(struct debuginfod_client *);

static struct {
	begin_fn begin;
	find_fn find;
	end_fn end;
} api;

static const char *load(void)
{
	void *lib;

	if (api.begin && api.find && api.end)
		return NULL;
	lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return LIBRARY " cannot be loaded; install it (package libdebuginfod1)";
	api.begin = (begin_fn)dlsym(lib, "debuginfod_begin");
	api.find = (find_fn)dlsym(lib, "debuginfod_find_debuginfo");
	api.end = (end_fn)dlsym(lib, "debuginfod_end");
	return api.begin && api.find && api.end ? NULL : LIBRARY " lacks what is needed of it";
}

const char *debuginfod_missing(void)
{
	const char *urls = getenv("DEBUGINFOD_URLS");

	if (!urls || !*urls)
		return "DEBUGINFOD_URLS names no server";
	return load();
}

int debuginfod_fetch(const char *build_id, char **path_ret)
{
	struct debuginfod_client *client;
	int fd;

	*path_ret = NULL;
	if (load() || !(client = api.begin()))
		return -1;
	fd = api.find(client, (const unsigned char *)build_id, 0, path_ret); /* length 0: it is text */
	api.end(client);
	return fd < 0 ? -1 : fd;
}
