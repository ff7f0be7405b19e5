/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ledger.h - records in the order of time become the events of the tape.
 *
 * This is where the rules of a true tape are kept: one call, one event (wrappers and sub-allocations are told by
 * address), a block given up before another takes its place, unknown and implied frees said. Pure: knows neither the
 * kernel nor the target, so that a test can feed it. Belongs to one thread.
 */
#ifndef HEAPTAPE_LEDGER_H
#define HEAPTAPE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "bpf/events.h"
#include "formats/heap.h"
#include "formats/state.h"
#include "formats/tape.h"

struct ledger;

/* What a site number means. kind 0: unknown site. */
struct ledger_site {
	uint8_t kind; /* enum tape_kind */
	uint8_t obj;
	bool lg_align; /* mallocx: with an alignment it is an aligned_alloc */
	const char *steer; /* TAPE_STEER: name of the function */
};

struct ledger_opts {
	struct tape_writer *writer;
	struct ledger_site (*site)(void *arg, unsigned site_nr);
	/* Stack number of the tape for one of the kernel's; NULL: there are no stacks. */
	uint32_t (*stack)(void *arg, uint32_t id);
	/* Told of each event that changes the live set; may be NULL. -errno ends the recording. */
	int (*changed)(void *arg, const struct tape_event *ev, const struct heap_change *change);
	void *arg;
	uint64_t start_ns; /* CLOCK_MONOTONIC of the start mark: 0 on the tape. Earlier records are dropped. */
	uint64_t page_size;
	bool skip_mappings; /* follow mmap and its kin, but keep them off the tape */
};

/* Records of the recorder's own, beside those of events.h. */
enum ledger_own { LEDGER_RSS = 0x80, LEDGER_LOST = 0x81, LEDGER_NESTED = 0x82, LEDGER_SUSPEND = 0x83, LEDGER_MARK = 0x84 };

struct ledger_rss {
	struct ht_ev_head h;
	uint64_t anon, file, shmem;
};

/* A cause of the recorder's own, behind those of enum ht_loss: the kernel left a probe's program out. */
enum { LEDGER_LOSS_MISSED = HT_LOSS_NR };

struct ledger_lost {
	struct ht_ev_head h;
	uint64_t cause; /* enum ht_loss or LEDGER_LOSS_MISSED */
	uint64_t calls;
	uint64_t since_ns; /* CLOCK_MONOTONIC */
};

struct ledger_nested {
	struct ht_ev_head h;
	uint64_t calls;
};

/* The machine was suspended. */
struct ledger_suspend {
	struct ht_ev_head h;
	uint64_t slept_ns;
};

/* The recorder gives something up. */
struct ledger_mark {
	struct ht_ev_head h;
	uint64_t mark; /* enum tape_mark */
};

struct ledger_totals {
	uint64_t events;  /* allocation calls and frees, as info's total counts them */
	uint64_t lost, nested, failed, unknown_frees, implied_frees, sub;
	uint64_t threads; /* ever seen */
	uint64_t live_objects, live_nbytes;
	uint64_t execs, forks;
};

struct ledger *ledger_new(const struct ledger_opts *opts);
void ledger_free(struct ledger *l);
/* Sets opts.start_ns later, when the mark is known. */
void ledger_start(struct ledger *l, uint64_t start_ns);
/* Allocator number obj of the sites is allocator tape_alloc of the tape. */
void ledger_allocator(struct ledger *l, uint8_t obj, uint8_t tape_alloc);
/* Code from here belongs to the dynamic linker. */
void ledger_loader(struct ledger *l, uint64_t start, uint64_t end);
/* A block that lived before the start mark: known from now on. Before the first record. inexact: the program may know it
 * by a pointer into it. -ENOMEM. */
int ledger_found(struct ledger *l, uint8_t obj, uint64_t addr, uint64_t nbytes, uint32_t owner, bool inexact);
/* One record; the times of successive records must not fall. -errno of the tape's writer, or -ENOMEM. */
int ledger_take(struct ledger *l, unsigned cpu, const struct ht_ev_head *h);
/* An event made elsewhere, from the record `at`: its time and thread are filled in. Objects enter the live set, and leave it. */
int ledger_put(struct ledger *l, unsigned cpu, const struct ht_ev_head *at, struct tape_event *ev);
/* The same for a call of an allocator that the user has described, which began at since_ns (CLOCK_MONOTONIC): by its address it may
 * be a sub-allocation, or a wrapper whose event an inner call has made. 1: it is only counted as nested, as is TAPE_COUNTER. */
int ledger_put_call(struct ledger *l, unsigned cpu, const struct ht_ev_head *at, struct tape_event *ev, uint64_t since_ns);
/*
 * In a copy of the process, about a copy of the target (fork): what lives and what is mapped lives on there, no thread but the one
 * that made it does, and counting begins anew. The records that come next are that one's.
 */
void ledger_branch(struct ledger *l);
/* The end mark, at `now_ns`. */
int ledger_end(struct ledger *l, uint64_t now_ns);
void ledger_totals(const struct ledger *l, struct ledger_totals *totals_ret);
/* The live set that the events written so far make: what a keyframe holds. */
const struct heap *ledger_heap(const struct ledger *l);
/* And what else they make hold. */
const struct state *ledger_state(const struct ledger *l);
/* Set (and cleared by reading) when something came that the recorder must act on. */
bool ledger_saw_code_mapped(struct ledger *l);
bool ledger_saw_exec(struct ledger *l);

#endif
