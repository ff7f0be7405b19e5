/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * judge.h - events against the calls that were made: each call of a thread one event, in order, equal in everything.
 *
 * Pure. Threads of the records are told from each other by their number, and found in the log by what they report: numbers
 * differ between pid namespaces.
 */
#ifndef HEAPTAPE_JUDGE_H
#define HEAPTAPE_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/events.h"
#include "check/area.h"

struct judge;

struct judge *judge_new(void);
void judge_free(struct judge *j);
/* A record of the rings as a call in its longest form; false if it speaks of none. */
bool judge_call_of(const struct ht_ev_head *h, struct ht_ev_call *call_ret);
/* Keeps a record of the rings, if it speaks of a call. -ENOMEM. */
int judge_add(struct judge *j, const struct ht_ev_head *h);
/* The function (of the area) whose events are wrong, with the reason in words; -1: all are right. nr_calls: at most
 * AREA_CALLS_MAX. */
int judge_find_wrong(struct judge *j, const struct area *area, uint32_t nr_calls, char *why, size_t why_nbytes);

#endif
