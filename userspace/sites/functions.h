/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * functions.h - the functions that heaptape records: names, arguments, results. One table, one row a name.
 */
#ifndef HEAPTAPE_FUNCTIONS_H
#define HEAPTAPE_FUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum function_flag {
	FUNCTION_THROWS = 1,     /* may leave by a C++ exception: a return probe would end the target (see plan.h) */
	FUNCTION_BY_POINTER = 2, /* the result is stored where argument `ptr` points, the return value 0 says so */
	FUNCTION_LG_ALIGN = 4,   /* the alignment is the lower bits of jemalloc's flags */
	FUNCTION_STEERS = 8,     /* sets an allocator instead of allocating */
	FUNCTION_NAMED = 16,     /* its first argument is a name to keep */
	FUNCTION_CORE = 32,      /* an object with malloc and free of this rank is an allocator */
	FUNCTION_NEW = 64,       /* operator new or delete: recorded only in an object that has malloc too */
};

/* Numbers of arguments count from 1; 0: the function has none of that meaning. */
struct function {
	const char *name;
	uint8_t kind; /* enum tape_kind */
	uint8_t size, mul, ptr, old, align;
	uint8_t flags; /* enum function_flag */
};

/* The row of a symbol, its prefix (je_, _rjem_, tc_ ...) taken off where the allocator has one; NULL. */
const struct function *function_find(const char *symbol);
/* Rows earlier in the table name an address that several symbols share. */
int function_rank(const struct function *f);
/* The symbol's base name is malloc: "malloc", "je_malloc", "__libc_malloc" ... */
bool function_is_malloc(const struct function *f);
bool function_is_free(const struct function *f);

#endif
