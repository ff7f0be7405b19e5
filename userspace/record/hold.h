/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hold.h - records kept in their order until it is known what they mean: first in, first out.
 */
#ifndef HEAPTAPE_HOLD_H
#define HEAPTAPE_HOLD_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/events.h"

struct hold_piece;

struct hold {
	struct hold_piece *first, *last;
	size_t nbytes; /* of all records in it */
};

/* Copies the record. -ENOMEM. */
int hold_push(struct hold *h, unsigned cpu, const struct ht_ev_head *record);
/* Takes the oldest one out; NULL: there is none. Valid until the next call. */
const struct ht_ev_head *hold_pop(struct hold *h, unsigned *cpu_ret);
void hold_free(struct hold *h);

#endif
