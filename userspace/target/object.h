/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * object.h - one ELF file that a process has mapped as code: opened the way the process sees it.
 *
 * The file may come from a container and may be anything: only regular files are opened, nothing is followed out of
 * the target's root, sizes are bounded, and every offset is checked. An object belongs to one thread at a time.
 */
#ifndef HEAPTAPE_OBJECT_H
#define HEAPTAPE_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libelf.h>

#include "maps.h"
#include "process.h"

struct object;

/* Opens the file behind an executable region. -ENOENT: no file, or every way to it leads to another file;
 * -EACCES, -EPERM: rights; -ENOEXEC: not a 64-bit ELF file of this machine; -EFBIG. */
int object_open(const struct process *p, const struct map_region *region, struct object **obj_ret);
/* The same region's file by the next way, for one that proved not to be what is mapped. -ENOENT: no other way is left. */
int object_open_other(const struct process *p, const struct object *obj, struct object **obj_ret);
/* The same for a file by its path, mapped nowhere (bias 0). */
int object_open_path(const char *path, struct object **obj_ret);
void object_close(struct object *obj);

const char *object_path(const struct object *obj);     /* as the target sees it */
const char *object_way(const struct object *obj);      /* how it was opened, in the words of mapped_file.h; else "path" */
const char *object_build_id(const struct object *obj); /* hex, "" if none */
int object_fd(const struct object *obj);               /* stays the object's; attach by /proc/self/fd/N */
uint64_t object_bias(const struct object *obj);        /* address in the target = vaddr + bias */
bool object_is_executable(const struct object *obj);   /* a program, not a shared object: ET_EXEC or PIE */
/* Its symbols were not stripped away: it has more than what its dynamic linker needs. */
bool object_has_symbols(const struct object *obj);
/* Its functions may run on stacks that move (Go): a return address must not be exchanged there. */
bool object_has_moving_stacks(const struct object *obj);
/* Bounds of the executable segments, vaddr. */
void object_text(const struct object *obj, uint64_t *start_ret, uint64_t *end_ret);
/* The i-th executable segment as it stands in the file; false behind the last. */
bool object_segment_at(const struct object *obj, unsigned i, uint64_t *vaddr_ret, uint64_t *nbytes_ret, uint64_t *offset_ret);
/* libelf's handle, the object's own: for libdw. */
Elf *object_elf(const struct object *obj);
/* File offset of a vaddr inside an executable segment; -ERANGE. */
int object_offset(const struct object *obj, uint64_t vaddr, uint64_t *offset_ret);
/* The bytes at vaddr inside an executable segment and how many follow in it; NULL. Valid until close. */
const uint8_t *object_code(const struct object *obj, uint64_t vaddr, size_t *nbytes_avail_ret);

/* The addresses (vaddr) behind direct calls of `target` from code in [start, end), at most max: found by the bytes alone,
 * so that now and then one may be no call. */
unsigned object_direct_calls(const struct object *obj, uint64_t target, uint64_t start, uint64_t end, uint64_t *behind,
			     unsigned max);

/* The function of this same object whose address the dynamic linker puts into the word at `slot` (a PLT's), if no other
 * object defines its symbol before; false if the word is for something else. */
bool object_slot_function(const struct object *obj, uint64_t slot, uint64_t *vaddr_ret);

/* The function that vaddr lies in, by the table of .eh_frame_hdr (which stripped files keep): its first byte, and the first
 * of the next. false: the file has no such table, or vaddr lies before all functions. */
bool object_extent(const struct object *obj, uint64_t vaddr, uint64_t *start_ret, uint64_t *end_ret);

struct object_symbol {
	const char *name; /* without version */
	uint64_t vaddr, nbytes;
};
/* Calls fn for each defined function of .dynsym, then .symtab, until it returns non-zero, and returns that. */
int object_each_function(const struct object *obj, int (*fn)(void *arg, const struct object_symbol *sym), void *arg);
/* The same by the symbols of another file of this very build (its debug file). */
int object_each_function_in(const struct object *obj, Elf *names, int (*fn)(void *arg, const struct object_symbol *sym), void *arg);

#endif
