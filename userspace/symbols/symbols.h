/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * symbols.h - what code is called: modules and file offsets, as tapes have them, to functions, files, lines and the
 * functions inlined there.
 *
 * Modules are opened when they are first asked for, and every place is looked up once. Nothing is read from the network unless asked
 * for. Belongs to one thread; what is handed out lives until symbols_free.
 */
#ifndef HEAPTAPE_SYMBOLS_H
#define HEAPTAPE_SYMBOLS_H

#include "formats/tape.h"
#include "symbols/find.h"
#include "symbols/module.h"
#include "symbols/perf_map.h"

struct symbols;

/* find is copied, what it points to stays the caller's. perf_map (may be NULL) names code without a file, and is taken over
 * in any case. NULL if memory is out. */
struct symbols *symbols_new(const struct find *find, struct perf_map *perf_map);
void symbols_free(struct symbols *s);
/* The names of a place (tape_frame_place) in a module ("BUILDID path"), innermost first. 0: it has none. */
unsigned symbols_find(struct symbols *s, const char *module, uint64_t place, const struct tape_name **names_ret);
/* The module itself, opened if need be; NULL if memory is out. */
const struct module *symbols_module(struct symbols *s, const char *module);
/* Calls fn for each module that was asked for. */
void symbols_each_module(const struct symbols *s, void (*fn)(void *arg, const struct module *m), void *arg);

#endif
