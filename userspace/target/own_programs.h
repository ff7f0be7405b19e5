/* SPDX-License-Identifier: BSD-2-Clause */
/* own_programs.h - the programs that belong to heaptape, found where they were built or installed. */
#ifndef HEAPTAPE_OWN_PROGRAMS_H
#define HEAPTAPE_OWN_PROGRAMS_H

#include <stddef.h>

/* The path of `name` beside the running program, or in ../libexec/heaptape. -ENOENT (path: where it was looked for last),
 * -errno. */
int own_program_find(const char *name, char *path, size_t path_nbytes);

#endif
