/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * glibc_layout.h - where glibc's malloc keeps its state, found in the library's file without symbols.
 *
 * What is looked for is how the initialised data must look: the arena that points to itself, the parameters that start
 * with known thresholds. So versions whose structures have the same shape need no table.
 */
#ifndef HEAPTAPE_GLIBC_LAYOUT_H
#define HEAPTAPE_GLIBC_LAYOUT_H

#include "baseline/elf_image.h"

struct glibc_layout {
	uint64_t main_arena, params; /* vaddr of main_arena and mp_ */
	uint64_t next_off;           /* of an arena's link to the next one; next_free, attached_threads, system_mem follow */
	uint64_t maps_off;           /* in mp_: n_mmaps; mmapped_mem, sbrk_base follow it at known distances */
	uint64_t tls_slots[ELF_TLS_SLOTS_MAX]; /* vaddr of words that hold offsets of the library's own thread-local variables */
	unsigned nr_tls_slots;
};

/* 0; -ENOENT and *why_ret: this library's malloc looks otherwise. */
int glibc_layout_find(const struct object *obj, struct glibc_layout *layout, const char **why_ret);

#endif
