/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * touch.h - which pages of large objects the recorded program touched, from the tape's page faults.
 *
 * Memory that is in already does not fault: a fault proves that a page was touched, its absence proves
 * nothing unless the page was not resident when the object was born. So residency of the address space is
 * followed: a page is resident from its fault until it is unmapped or dropped (MADV_DONTNEED), it is absent
 * if it was mapped or dropped on this tape and has not faulted since, and unknown otherwise. Pages resident
 * or unknown at an object's birth count as touched then ("assumed"), absent ones when they fault ("known").
 * Memory: 1 bit for each page that ever faulted, 40 bytes a large object. One thread at a time.
 */
#ifndef HEAPTAPE_REPLAY_TOUCH_H
#define HEAPTAPE_REPLAY_TOUCH_H

#include <stdbool.h>
#include <stdint.h>

struct touch;

/* Bytes of large objects that have ended, or of all after touch_finish. */
struct touch_sums {
	uint64_t known, assumed, untouched;
};

struct touch *touch_new(void);
void touch_free(struct touch *t);

/* The address space, in bytes as on the tape. 0 or -ENOMEM. */
int touch_map(struct touch *t, uint64_t start, uint64_t nbytes);   /* fresh pages */
int touch_drop(struct touch *t, uint64_t start, uint64_t nbytes);  /* MADV_DONTNEED: mapped, absent */
int touch_unmap(struct touch *t, uint64_t start, uint64_t nbytes);
int touch_move(struct touch *t, uint64_t old, uint64_t old_nbytes, uint64_t start, uint64_t nbytes);

/* A run of touched pages: the first one begins at `offset` - 4096 relative to the object (it may lie in front of it). */
typedef int (*touch_fn)(void *arg, uint64_t offset, uint64_t nr);

/* False for what cannot be an object of user space (a false tape), or is no memory; not to be born here then. */
bool touch_can_follow(uint64_t addr, uint64_t size);
/*
 * A large object is born (or resized: `kept` bytes at its start hold what the old one held, which the
 * allocator has moved). fn is told of what counts as touched at once. 0, -ENOMEM, or what fn returned.
 */
int touch_birth(struct touch *t, uint32_t slot, uint64_t addr, uint64_t size, uint64_t kept, touch_fn fn, void *arg);
void touch_death(struct touch *t, uint32_t slot, uint64_t addr);
/* A page fault: 1 with the object and the page's offset as touch_fn has it, 0 if it hits no large object, -ENOMEM. */
int touch_fault(struct touch *t, uint64_t addr, uint32_t *slot_ret, uint64_t *offset_ret);
/* Bytes of pages in [start, end), which are whole pages, that are known to be resident. */
uint64_t touch_resident_nbytes(const struct touch *t, uint64_t start, uint64_t end);
/* Bytes of live large objects touched so far, known and assumed. */
uint64_t touch_live_nbytes(const struct touch *t);
/* Ends all objects. */
void touch_finish(struct touch *t, struct touch_sums *sums_ret);

#endif
