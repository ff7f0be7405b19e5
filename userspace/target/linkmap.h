/* SPDX-License-Identifier: BSD-2-Clause */
/* linkmap.h - the order in which the target's dynamic linker searches its objects for a symbol. */
#ifndef HEAPTAPE_LINKMAP_H
#define HEAPTAPE_LINKMAP_H

#include "process.h"

enum { LINKMAP_MAX = 4096 };

/* Load biases of the objects in the order of the linker's list (program first, then LD_PRELOAD, then as needed).
 * *nr_ret 0: a static program, or one whose linker has not come that far. -errno if memory cannot be read. */
int linkmap_read(const struct process *p, uint64_t biases[LINKMAP_MAX], unsigned *nr_ret);
/* The interpreter's load address (AT_BASE), 0 if none. */
uint64_t linkmap_interpreter(const struct process *p);

#endif
