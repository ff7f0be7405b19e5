/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tested.h - an allocator under test: found by name or path, and checked before it is loaded.
 */
#ifndef HEAPTAPE_REPLAY_TESTED_H
#define HEAPTAPE_REPLAY_TESTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct tested {
	char *label;      /* as asked for: "glibc,MALLOC_ARENA_MAX=1" */
	char *name;       /* "glibc", "jemalloc" ..., or the file's name without directory */
	char *path;       /* of the object that is to define malloc */
	char *build_id;   /* hex, "" if it has none */
	bool preload;     /* false: libc itself */
	char **settings;  /* "KEY=VALUE", NULL at the end */
	size_t nr_settings;
	bool settings_recorded; /* taken from the tape, not asked for */
	dev_t dev;
	ino_t ino;
};

/*
 * Parses "NAME|PATH[,KEY=VALUE...]" and looks at the file. A piece behind a comma that does not begin with
 * "KEY=" belongs to the value before it (MALLOC_CONF has commas of its own). On failure -errno, and one line
 * in `why`: what, on what, and what to do. -EINVAL: the text is wrong; others: the file is.
 */
int tested_parse(const char *text, struct tested *a, char *why, size_t why_nbytes);
int tested_add_setting(struct tested *a, const char *key, const char *value);
/* Value of a setting, NULL if it is not set. */
const char *tested_setting(const struct tested *a, const char *key);
void tested_free(struct tested *a);

/* The names that stand for installed packages, NULL at the end. */
extern const char *const tested_names[];
/* True if the named allocator can be found here. */
bool tested_installed(const char *name);

#endif
