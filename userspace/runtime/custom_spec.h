/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * custom_spec.h - what a user says of an allocator of his own: which functions there are, and where each finds what.
 *
 *   zmalloc(size=arg1)->ret                one function, as --alloc-fn and its kin take it
 *   allocator NAME / library GLOB / alloc SPEC / realloc SPEC / free SPEC / new-group SPEC / clear-group SPEC /
 *   free-group SPEC                        a profile file, a line each; # begins a comment
 *
 * Pure: no file, no process. A failure is -EINVAL with the place and what was expected there (struct custom_error).
 */
#ifndef HEAPTAPE_CUSTOM_SPEC_H
#define HEAPTAPE_CUSTOM_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CUSTOM_NAME_MAX = 128,
	CUSTOM_FUNCTIONS_MAX = 32,  /* of one allocator */
	CUSTOM_ALLOCATORS_MAX = 8,  /* of one recording */
	CUSTOM_ARGS_MAX = 6,        /* arguments in registers */
	CUSTOM_FILE_MAX = 64 << 10, /* bytes of a profile file */
};

enum custom_kind {
	CUSTOM_ALLOC,
	CUSTOM_REALLOC,
	CUSTOM_FREE,
	CUSTOM_NEW_GROUP,   /* a group begins, inside of another or not: what it gives is the group */
	CUSTOM_CLEAR_GROUP, /* all objects of a group end, and the groups inside of it; it is used again */
	CUSTOM_FREE_GROUP,  /* and the group ends, too */
	CUSTOM_KIND_NR
};

/* Where a word stands at a call's begin. */
struct custom_arg {
	uint8_t nr;   /* argument 1 to CUSTOM_ARGS_MAX; 0: none */
	bool deref;   /* the word that it points to */
	bool is_32;   /* its low 32 bits */
};

struct custom_function {
	enum custom_kind kind;
	char name[CUSTOM_NAME_MAX];
	struct custom_arg size[2]; /* requested bytes: the product of these that are there and of scale */
	uint64_t scale;
	struct custom_arg ptr, old, align, group, parent;
	struct custom_arg out; /* what it gives stands where this points to; nr 0: it is returned */
};

struct custom_spec {
	char name[40];
	char library[CUSTOM_NAME_MAX]; /* files that it is looked for in, by path or last part of it; "": all */
	struct custom_function functions[CUSTOM_FUNCTIONS_MAX];
	unsigned nr_functions;
};

struct custom_specs {
	struct custom_spec list[CUSTOM_ALLOCATORS_MAX];
	unsigned nr;
};

struct custom_error {
	unsigned line;   /* from 1; 0: there are no lines */
	unsigned column; /* from 1, in bytes */
	char what[200];
};

/* One function. -EINVAL. */
int custom_function_parse(const char *text, enum custom_kind kind, struct custom_function *f_ret, struct custom_error *error_ret);
/* Adds the allocators of a profile file's text to specs. -EINVAL; specs may hold a part of it then. */
int custom_profile_parse(const char *text, struct custom_specs *specs, struct custom_error *error_ret);
/* A further function for the allocator of that name, which is made if it is not there. -EINVAL. */
int custom_specs_add(struct custom_specs *specs, const char *allocator, const struct custom_function *f, struct custom_error *error_ret);
/* An allocator's name: letters, digits, . _ - and + . */
bool custom_name_is_good(const char *name);

#endif
