/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * baseline.h - all blocks that lived in a process when its recording began.
 *
 * The recorder says which allocators it has probed, hands over every event from the start mark on, lets the heap be read
 * beside its own work (by a thread that belongs to this module), and gets the blocks. Nothing of the target is written;
 * it is stopped only where that is asked for.
 */
#ifndef HEAPTAPE_BASELINE_H
#define HEAPTAPE_BASELINE_H

#include "baseline/reconcile.h"

enum baseline_mode { BASELINE_WALK, BASELINE_PAUSE, BASELINE_NONE };

enum { BASELINE_PARTS_MAX = 64 };

/* What became of one allocator. */
struct baseline_part {
	const char *name;
	uint8_t obj; /* the recorder's number of it */
	struct walk walk; /* its blocks, once reconciled */
	struct reconcile *reconcile;
	struct reconcile_counts counts;
	uint64_t nbytes;
	uint64_t nr_free;     /* blocks in caches and lists */
	unsigned nr_walks;
	bool known, is_good;  /* there is a walker; its walk added up */
	char why[160];        /* what did not, if it is not good */
};

struct baseline;

int baseline_new(const struct process *p, enum baseline_mode mode, struct baseline **b_ret);
void baseline_free(struct baseline *b);
/* An allocator that is recorded: its roots are looked for at once. -ENOMEM, -E2BIG. */
int baseline_allocator(struct baseline *b, uint8_t obj, const char *name, const struct object *file);
/* Events since the start mark, in order; of allocator obj. -ENOMEM. */
int baseline_birth(struct baseline *b, uint8_t obj, uint64_t addr, uint64_t nbytes);
int baseline_death(struct baseline *b, uint8_t obj, uint64_t addr);
/* Sizes of the blocks that died since the last call, while they can still be seen. -ENOMEM. */
int baseline_measure(struct baseline *b);
/* There is an allocator that can be walked. */
bool baseline_has_walker(const struct baseline *b);
/* Starts the walk; baseline_is_done becomes true. -errno if no thread can be made. */
int baseline_start(struct baseline *b);
/* All events that belong to it have come: starts to put them and the walk together. */
int baseline_settle(struct baseline *b);
bool baseline_is_done(struct baseline *b);

unsigned baseline_nr_parts(const struct baseline *b);
const struct baseline_part *baseline_part(const struct baseline *b, unsigned i);
uint64_t baseline_walk_ns(const struct baseline *b);
uint64_t baseline_pause_ns(const struct baseline *b); /* how long the target stood */

#endif
