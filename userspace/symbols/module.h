/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * module.h - one file with code, by the name that a tape gives it ("BUILDID path"): offsets in it to names.
 *
 * Files are looked for when it is opened. Belongs to one thread.
 */
#ifndef HEAPTAPE_SYMBOLS_MODULE_H
#define HEAPTAPE_SYMBOLS_MODULE_H

#include "symbols/dwarf.h"
#include "symbols/find.h"

struct module;

enum module_state {
	MODULE_FOUND,
	MODULE_DEBUG_ONLY, /* the binary is not there, its debug file is */
	MODULE_MISSING,
	MODULE_NO_FILE, /* code that was in no file: "- //anon" */
};

/* NULL if memory is out; a module whose file is not found is one without names. */
struct module *module_open(const struct find *find, const char *name);
void module_close(struct module *m);
enum module_state module_state(const struct module *m);
const char *module_path(const struct module *m);     /* as the target saw it */
const char *module_build_id(const struct module *m); /* "" if none */

/* Fills in the names of a file offset, innermost first, and returns their number. Linkage names are mangled. */
unsigned module_find(struct module *m, uint64_t offset, struct dwarf_name names[DWARF_DEPTH_MAX]);

#endif
