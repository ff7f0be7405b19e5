/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * inventory.h - all allocators that a process has mapped, the one in force first.
 *
 * Grows when objects arrive by dlopen; a file is looked into once. For one thread at a time.
 */
#ifndef HEAPTAPE_INVENTORY_H
#define HEAPTAPE_INVENTORY_H

#include "sites/survey.h"
#include "target/maps.h"
#include "target/process.h"

struct inventory;

struct inventory *inventory_new(void);
void inventory_free(struct inventory *inv);
/* Looks at what is mapped now; allocators not seen before are appended (in the order in which the target's dynamic
 * linker searches them) and counted in *nr_new_ret. -errno if the maps cannot be read. */
int inventory_update(struct inventory *inv, const struct process *p, unsigned *nr_new_ret);
unsigned inventory_nr(const struct inventory *inv);
struct allocator *inventory_get(const struct inventory *inv, unsigned i);
/* Allocator i's file by the next way that leads to an allocator (object_open_other), in the place of the one before, which is
 * freed: its file is not what is mapped. The new one has no plans yet. -ENOENT: no way is left, and nothing has changed. */
int inventory_other_file(struct inventory *inv, unsigned i, const struct process *p);
/* The dynamic linker's code, for telling its mappings: false if there is none. */
bool inventory_loader(const struct inventory *inv, uint64_t *start_ret, uint64_t *end_ret);

/* A file with code that could not be opened: an allocator may hide there. */
struct inventory_unread {
	char path[256];
	int err; /* -errno */
};
unsigned inventory_nr_unread(const struct inventory *inv);
/* Why a static program without symbols has no allocator that is known; "" if there is no such program. */
const char *inventory_why_none(const struct inventory *inv);
const struct inventory_unread *inventory_unread_at(const struct inventory *inv, unsigned i);

#endif
