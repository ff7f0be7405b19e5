/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.h - a target's memory page by page, from its tape: what is resident, what lives on it, whose it is.
 *
 * A page is resident from its fault until it is unmapped, dropped (MADV_DONTNEED) or mapped over. It is the allocator's if
 * its mapping was made inside an allocator's call, by brk, or has ever held an object; the rest is `around`. On a tape that
 * began late, pages older than the tape are not seen until an object is born on them: they count from then on (small
 * objects are written; a keyframe's mappings tell whose they are), and what is resident beyond that is the difference to what the kernel counted.
 * Every figure of the split is kept as events come, in constant time a page. Where usable sizes are not known, internal waste
 * is part of the holes. Pure; one thread at a time. Memory: 3 bytes a page of each 2 MiB that ever held something.
 */
#ifndef HEAPTAPE_PAGES_H
#define HEAPTAPE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "tape.h"

#define PAGES_NBYTES 4096u /* of a page */

struct pages;

/* Bytes. requested + holes + retained + metadata == resident. */
struct pages_split {
	uint64_t resident; /* the allocator's */
	uint64_t requested, holes, retained, metadata;
	uint64_t unresident; /* requested bytes on pages that are not in memory */
	uint64_t around;     /* resident, not the allocator's */
};

/* from_exec: the tape begins with the program, so nothing that is resident is older. NULL: no memory. */
struct pages *pages_new(bool from_exec);
void pages_free(struct pages *p);
/* TAPE_MMAP .. TAPE_MADVISE, TAPE_FAULT and TAPE_EXEC; others are ignored. A fault that must not count (a read, where the
 * tape tells them from writes) is not to be given. 0 or -ENOMEM. */
int pages_event(struct pages *p, const struct tape_event *ev);
/* [addr, addr + nbytes) holds an object, or no longer does. What cannot be user memory is ignored. 0 or -ENOMEM. */
int pages_birth(struct pages *p, uint64_t addr, uint64_t nbytes);
void pages_death(struct pages *p, uint64_t addr, uint64_t nbytes);
/* Hints, as those of heap.h, for an address at which an object is about to be born or to die. */
void pages_prefetch_far(const struct pages *p, uint64_t addr);
void pages_prefetch_near(const struct pages *p, uint64_t addr);
const struct pages_split *pages_split(const struct pages *p);
/* True if the page that holds addr is resident memory of the allocator. *live_ret: bytes of objects on it. */
bool pages_look(const struct pages *p, uint64_t addr, uint32_t *live_ret);
/* A run of pages of one kind in a 2 MiB region, for a map of the heap: fn is told of each region that holds something of the
 * allocator's, in no order, with the bytes of objects and the flags of its 512 pages. Returns what fn returned. */
enum { PAGES_RESIDENT = 1, PAGES_HELD = 2, PAGES_AROUND = 4 };
struct pages_region {
	uint64_t start;
	const uint16_t *live; /* 512 */
	const uint8_t *flags; /* 512 */
};
int pages_each_region(const struct pages *p, int (*fn)(void *arg, const struct pages_region *r), void *arg);

#endif
