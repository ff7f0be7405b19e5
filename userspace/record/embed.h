/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * embed.h - writes the names of recorded code onto the tape when the recording ends.
 *
 * What the target's files call it (all of it, if asked for) can be found later on any machine that has them; what a
 * program's own list calls the code that it made while it ran cannot, and is always written.
 */
#ifndef HEAPTAPE_EMBED_H
#define HEAPTAPE_EMBED_H

#include "formats/tape.h"
#include "symbols/symbols.h"
#include "target/process.h"

struct embed;

/* While the target lives: keeps hold of its root, which outlives it. all: name files' code too. NULL if memory is out. */
struct embed *embed_new(const struct process *p, bool all);
/* Behind the last stack. Takes as long as debug information takes to read; a target is not held up by it. 0 or -errno of
 * the writer. *nr_ret: places that got names. */
int embed_write(struct embed *e, struct tape_writer *w, uint64_t *nr_ret);
/* For naming the target's code while it lives, by any one thread: its files and its own list as they are now. NULL: no memory. */
struct symbols *embed_symbols(const struct embed *e);
void embed_free(struct embed *e);

#endif
