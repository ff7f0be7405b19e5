/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk.h - the blocks that an allocator of a live process holds, read off its own metadata from outside.
 *
 * One walker an allocator, each a row of functions. None writes, traces or runs anything in the target, and each holds
 * what it read against itself: a walk that does not add up is no walk. The target runs on while it is read; what that
 * may leave wrong, the events of the same time put right (reconcile.h). A walk belongs to one thread.
 */
#ifndef HEAPTAPE_WALK_H
#define HEAPTAPE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "baseline/memory.h"
#include "target/maps.h"
#include "target/object.h"
#include "target/process.h"

struct walk_block {
	uint64_t addr;   /* as the program knows it */
	uint64_t usable; /* bytes */
	uint32_t owner;  /* a thread that uses its arena, 0: not known */
	bool inexact;    /* the program may hold a pointer into it instead */
};

struct walk {
	/* Given by the caller. */
	const struct process *process;
	pid_t pid; /* its */
	const struct object *obj; /* the allocator's file, as mapped */
	const struct walker *walker;
	bool stands; /* the process is stopped: nothing moves */
	/* The result of finish: blocks that are not free as far as the metadata tells. */
	struct walk_block *blocks;
	size_t nr, room;
	uint64_t nr_free; /* blocks that look used and lie in a cache or list: not among blocks */
	bool differs;     /* a check failed that holds only while nothing moves; `why` tells which */
	char why[160];    /* what failed, in words */
	void *state;      /* the walker's own */
};

struct walker {
	const char *allocator; /* as in struct allocator */
	uint64_t least;        /* bytes that the smallest block takes up */
	/* Finds the roots. -errno and why. */
	int (*open)(struct walk *w);
	/* Reads the heap, again if called again. -EAGAIN: it moved too much; other -errno: it is not what it should be; why says. */
	int (*run)(struct walk *w);
	/* What needs no stopped process: makes the result of what was read. The same errors. */
	int (*finish)(struct walk *w);
	/* Of a stopped process: no thread was stopped while it changed what run reads. */
	bool (*at_rest)(struct walk *w);
	/* Bytes that blocks had which were freed a moment ago, 0 where it is not to be seen any more. May be NULL. */
	void (*usable)(const struct walk *w, const uint64_t *addrs, size_t nr, uint64_t *usable_ret);
	void (*close)(struct walk *w);
};

/* The walker of an allocator by its name; NULL: there is none. */
const struct walker *walk_find(const char *allocator);
/* -ENOMEM. */
int walk_add(struct walk *w, uint64_t addr, uint64_t usable, uint32_t owner);
__attribute__((format(printf, 3, 4))) int walk_fail(struct walk *w, int err, const char *fmt, ...);
/* What run found is forgotten. */
void walk_clear(struct walk *w);
/* For a second look at the same heap: a walk of the same state that holds nothing yet. */
void walk_again(const struct walk *w, struct walk *again_ret);
/*
 * Of w's first nr blocks those stay that the second look (which ended with err) has too; it is freed. Each look's blocks
 * may come in any order. err, or -ENOMEM; -EAGAIN: one of the looks lacks a part of the heap; the second has taken the
 * first's place, for a third to be held against it.
 */
int walk_keep_common(struct walk *w, struct walk *again, size_t nr, int err);
/* finish of a walker whose blocks pass, between two lists, through hands that no list shows: drops what w's lists have (drop), reads the
 * heap again (read) while the process runs, and keeps what both looks have. read's errors, or those of walk_keep_common. */
int walk_finish_by_two(struct walk *w, int (*read)(struct walk *w), void (*drop)(struct walk *w));
/* Closes the walker and frees all. */
void walk_end(struct walk *w);

extern const struct walker walk_glibc, walk_jemalloc, walk_mimalloc, walk_tcmalloc;

#endif
