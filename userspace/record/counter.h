/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counter.h - counts how often instructions of a process run, and with which outcome of a condition; keeps nothing else.
 *
 * The cheapest that a probe can be. For one thread at a time; everything ends with this process, however it ends.
 */
#ifndef HEAPTAPE_COUNTER_H
#define HEAPTAPE_COUNTER_H

#include <stdint.h>
#include <sys/types.h>

#include "bpf/count.h"
#include "target/object.h"

struct counter;

/* -errno: the programs cannot be loaded. */
int counter_open(struct counter **c_ret);
void counter_close(struct counter *c);
/* Where a place stands, and its condition (struct ht_site.cond). */
struct counter_place {
	uint64_t offset; /* in the file */
	uint8_t cond;
};
/* Puts `nr` places of one file in process pid under the numbers from `first` on; at most HT_SITES_MAX in all. -errno. */
int counter_attach(struct counter *c, pid_t pid, const struct object *obj, const struct counter_place *places, unsigned nr,
		   unsigned first);
void counter_detach(struct counter *c);
/* What the numbers 0 .. nr - 1 have counted on all CPUs. -errno. */
int counter_read(const struct counter *c, unsigned nr, struct ht_count *counts);

#endif
