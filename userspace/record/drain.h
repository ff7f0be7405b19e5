/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drain.h - empties the rings and gives their records back in the order of time.
 *
 * A record is handed out only when no earlier one can still appear: each ring was read up to where its producers stood
 * at a time t, so all that comes later has a time above t (events.h says why). Records that a preempted program has
 * reserved but not submitted hold everything behind them back until they are there.
 * One thread. Memory: what the rings can hold, doubled.
 */
#ifndef HEAPTAPE_DRAIN_H
#define HEAPTAPE_DRAIN_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/events.h"

struct drain;

int drain_new(const int *ring_fds, unsigned nr_rings, struct drain **d_ret);
void drain_free(struct drain *d);
/* Takes all that is there. *nbytes_ret: bytes taken, for pacing. -errno. */
int drain_collect(struct drain *d, uint64_t now_ns, size_t *nbytes_ret);
/* Puts in a record of the recorder's own (RSS sample, mark): h->ts must not lie before what was handed out. */
int drain_insert(struct drain *d, const struct ht_ev_head *h, size_t nbytes);
/* The next record in time whose place is certain, or NULL. Valid until the next collect. cpu: its ring, nr_rings for
 * one of the recorder's own. */
const struct ht_ev_head *drain_next(struct drain *d, unsigned *cpu_ret);
/* Every record up to this time has been handed out, or is next. */
uint64_t drain_horizon(const struct drain *d);
/* No producer is left: everything still here may be handed out. */
void drain_finish(struct drain *d);
/* Records wait in the rings beyond this share (0 to 1) of the fullest one's room. */
double drain_fill(const struct drain *d);

#endif
