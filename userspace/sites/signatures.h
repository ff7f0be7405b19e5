/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signatures.h - a known libc's allocator in a static program without symbols, by its machine code.
 *
 * A linker copies the functions of libc.a's members as they are and changes only the places that relocations name, and the
 * distances to other functions. So a function is known again by all its other bytes, some hundred of them: a hash over it
 * with those places as zeros. Another version, or the same one from another compiler, has other bytes. One that is not found
 * where another libc's would be is a reason to refuse, and so is one that is found twice. The table is made by
 * tests/signatures/update.sh from Debian's packages.
 */
#ifndef HEAPTAPE_SIGNATURES_H
#define HEAPTAPE_SIGNATURES_H

#include "target/object.h"

enum { SIGNATURE_HEAD = 16, SIGNATURE_NAMES = 8 };

/* A function of a libc.a. */
struct signature {
	const char *libc; /* name and version of its package: "glibc 2.36-9" */
	unsigned section, start; /* those of one libc and section are linked together or not at all; its offset there */
	const char *names[SIGNATURE_NAMES]; /* NULL behind the last */
	uint32_t nbytes, align;
	uint32_t nr_fixed; /* bytes that no linker changes; few count only where malloc's place puts them */
	uint64_t hash; /* XXH3, 64 bits, of all bytes with the moved ones as 0 */
	uint8_t head[SIGNATURE_HEAD], head_moved[SIGNATURE_HEAD]; /* its first bytes, and 255 for each that is moved */
	const uint32_t *moved; /* what a linker writes: offset * 16 + bytes, ascending */
	uint32_t nr_moved;
};

extern const struct signature signature_table[];
extern const unsigned signature_table_nr;

/* 0: out of memory. */
uint64_t signature_hash(const uint8_t *bytes, size_t nbytes, const uint32_t *moved, uint32_t nr_moved);
/* Where it stands in code that begins at vaddr: the number of places, of which at most `max` are written. -ENOMEM. */
int signature_seek(const struct signature *sig, const uint8_t *code, size_t nbytes, uint64_t vaddr, uint64_t *vaddrs, int max);

/*
 * Calls fn for each function of the libc whose malloc and free are in the program, as object_each_function does. 1: `text` is
 * that libc; 0: there is none, or it is not clear which: `text` is the reason. -ENOMEM.
 */
int signatures_find(const struct object *obj, int (*fn)(void *arg, const struct object_symbol *sym), void *arg, char *text,
		    size_t text_nbytes);

#endif
