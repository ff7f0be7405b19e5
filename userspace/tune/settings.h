/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * settings.h - what can be set about an allocator through its environment: one table an allocator, in a file of its own.
 */
#ifndef HEAPTAPE_TUNE_SETTINGS_H
#define HEAPTAPE_TUNE_SETTINGS_H

#include <stddef.h>

struct setting {
	const char *variable;      /* of the environment */
	const char *name;          /* what it is called within a variable that carries several; NULL: it is the variable's only one */
	const char *const *values; /* to be tried beside the default, NULL at the end */
	const char *what;          /* it does */
	const char *since;         /* version */
};

/* How several stand in one variable: "name:value,name:value". */
struct settings {
	const char *alloc;
	char assign, separator;
	const struct setting *list; /* variable NULL at the end */
};

extern const struct settings settings_glibc, settings_jemalloc, settings_mimalloc, settings_tcmalloc;

/* The table of a named allocator, or NULL. */
const struct settings *settings_find(const char *alloc);
/*
 * A table of one's own: a variable a line, with its values behind it; "FROM..TO" stands for whole numbers, '#' begins a comment. To be
 * freed with settings_free. NULL with the reason in `why`.
 */
struct settings *settings_read(const char *path, char *why, size_t why_nbytes);
void settings_free(struct settings *s);

#endif
