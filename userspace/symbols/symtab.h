/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symtab.h - the functions of a file by its ELF symbols: .symtab of it or of its debug file, else .dynsym and what
 * .gnu_debugdata adds.
 *
 * Sorted once, so that a lookup is a search by halves. Names live as long as the table.
 */
#ifndef HEAPTAPE_SYMTAB_H
#define HEAPTAPE_SYMTAB_H

#include <stdint.h>

struct symtab;

/* debug_fd: its debug file, or -1; both stay the caller's. NULL if memory is out or the file cannot be understood. */
struct symtab *symtab_new(const char *path, int fd, const char *debug_path, int debug_fd);
void symtab_free(struct symtab *t);
/* The linker's name of the function that vaddr lies in; NULL. */
const char *symtab_find(const struct symtab *t, uint64_t vaddr);

#endif
