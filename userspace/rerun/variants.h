/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * variants.h - what a program is run under: a file with one variant a line.
 *
 *     NAME: [KEY=VALUE | unset:KEY | alloc:NAME-OR-PATH]... [-- ARGUMENT...]
 *
 * Words are parted by blanks; '...' and "..." hold blanks together, \ the next character. # begins a comment where a word
 * could begin. Arguments come behind those of the command, or in the place of one that is {}.
 */
#ifndef HEAPTAPE_RERUN_VARIANTS_H
#define HEAPTAPE_RERUN_VARIANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "replay/tested.h"

enum { VARIANT_NAME_MAX = 40, VARIANTS_MAX = 64 };

struct variant {
	char name[VARIANT_NAME_MAX + 1]; /* letters, digits and . _ + -: it is part of file names */
	char **env;  /* as launch_start takes it, NULL at the end */
	size_t nr_env;
	char **args; /* NULL at the end */
	size_t nr_args;
	bool has_alloc;
	struct tested alloc; /* that must be in force */
};

struct variants {
	struct variant *list;
	size_t nr;
};

/* Reads the file and looks for the allocators. 0, or -errno with the reason in `why`: file, line, what and what to do. Free in any case. */
int variants_read(const char *path, struct variants *v, char *why, size_t why_nbytes);
void variants_free(struct variants *v);
/* The command with the variant's arguments, its words borrowed; to be freed, NULL: no memory. */
char **variant_argv(const struct variant *v, char *const *argv);

#endif
