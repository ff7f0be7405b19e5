/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * renumber.h - object numbers in the place of addresses: dense, and given again when an object has ended, so that nothing
 * of the address space is told. What overlaps, moves in place or takes another's address does so by number too.
 */
#ifndef HEAPTAPE_RENUMBER_H
#define HEAPTAPE_RENUMBER_H

#include "formats/heap.h"

struct renumber;

struct renumber *renumber_new(void);
void renumber_free(struct renumber *n);
/* Of a call, or a give-up: addr and old. Frees of what is not known get 0. 0 or -ENOMEM. */
int renumber_event(struct renumber *n, struct tape_event *ev);

#endif
