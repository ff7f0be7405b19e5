/* SPDX-License-Identifier: BSD-2-Clause */
/* demangle.h - a linker's name as its author wrote it: C++, Rust (both manners) and D, by libiberty; and Haskell's. */
#ifndef HEAPTAPE_DEMANGLE_H
#define HEAPTAPE_DEMANGLE_H

/* A new string, freed by the caller; NULL if the name is not mangled (C, Go, assembler) or memory is out. */
char *demangle(const char *name);

#endif
