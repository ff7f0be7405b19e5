/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dwarf.h - functions, inlined ones, files and lines of a file by its DWARF.
 *
 * Units are sorted by address once, the functions of a unit when something in it is first asked for: libdw's own
 * searches go through whole units each time, and trust an index that many compilers leave out. Texts live as long as the Dwarf.
 */
#ifndef HEAPTAPE_DWARF_H
#define HEAPTAPE_DWARF_H

#include <elfutils/libdw.h>
#include <stdint.h>

#define DWARF_DEPTH_MAX 128 /* functions inlined into each other; also bounds what a false file makes us recurse */

struct dwarf_name {
	const char *linkage; /* the linker's name, mangled; NULL */
	const char *name;    /* as in the source, without namespace; NULL */
	const char *file;    /* NULL */
	uint32_t line;	     /* 0: unknown */
};

struct dwarf_index;

/* The Dwarf stays the caller's. NULL if memory is out. */
struct dwarf_index *dwarf_index_new(Dwarf *dwarf);
void dwarf_index_free(struct dwarf_index *x);
/* Names of vaddr, innermost first, at most DWARF_DEPTH_MAX; 0 if DWARF says nothing about it. */
unsigned dwarf_index_find(struct dwarf_index *x, uint64_t vaddr, struct dwarf_name names[DWARF_DEPTH_MAX]);

#endif
