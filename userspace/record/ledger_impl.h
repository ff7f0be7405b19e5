/* SPDX-License-Identifier: BSD-2-Clause */
/* ledger_impl.h - what ledger.c, ledger_map.c and ledger_facts.c share. */
#ifndef HEAPTAPE_LEDGER_IMPL_H
#define HEAPTAPE_LEDGER_IMPL_H

#include <stdio.h>

#include "formats/heap.h"
#include "record/cover.h"
#include "record/ledger.h"
#include "formats/ranges.h"

/* A realloc under way. */
struct ledger_give_up {
	bool open, shown, freed; /* shown: its TAPE_GIVE_UP (or free) is on the tape */
	uint8_t obj;
	uint64_t old, old_size, new_size;
	uint64_t pointer; /* to old, as the program gave it */
};

/* A munmap, mremap, madvise or shrinking brk under way. */
struct ledger_unmap {
	bool open, shown;
	uint8_t by; /* whose pages they are: nobody knows any more once shown */
	uint64_t start, end;
	struct ht_ev_map call;
};

struct ledger_thread {
	uint32_t tid; /* 0: free slot */
	uint64_t last_free; /* address of this thread's last free that is an event */
	struct ledger_give_up give_up;
	struct ledger_unmap unmap;
};

/* A block that a pointer into it stands for. */
struct ledger_span {
	uint64_t start, end;
};

struct ledger {
	struct ledger_opts opts;
	struct heap *heap;
	struct state *state; /* its sub-allocations are level 2 */
	struct cover *cover; /* NULL while only one allocator has live objects */
	uint8_t only_alloc;  /* which that is */
	struct ranges ranges;
	struct ledger_span *spans; /* blocks found whose pointer is not known, by address */
	size_t nr_spans, room_spans;
	bool spans_sorted;
	uint64_t brk; /* 0: not seen yet */
	uint8_t tape_alloc[HT_OBJECTS_MAX];
	uint64_t births[256]; /* events that made an object, by allocator of the tape */
	struct ledger_thread *threads; /* open addressing by tid */
	size_t nr_threads, threads_room;
	struct ledger_thread *last_thread;
	uint32_t *pending; /* tids with an open give_up */
	size_t nr_pending, pending_room;
	unsigned nr_unmaps; /* threads with an open unmap */
	uint64_t last_ns;
	uint64_t loader_start, loader_end;
	uint64_t nested; /* not yet on the tape */
	uint64_t lost_but_shown; /* realloc(p, 0) whose free is on the tape and whose end was lost: lost counts them too much */
	bool code_mapped, execed;
	struct ledger_totals totals;
	struct ledger_totals before; /* of the recording that this one branched off from */
};

struct ledger_thread *ledger_thread(struct ledger *l, uint32_t tid);
uint64_t ledger_ns(struct ledger *l, uint64_t ts);
struct tape_event ledger_event(struct ledger *l, unsigned cpu, const struct ht_ev_head *h, uint8_t kind);
int ledger_add(struct ledger *l, const struct tape_event *ev);

/* The thread's realloc is over, or its end was lost. */
void ledger_pending_remove(struct ledger *l, struct ledger_thread *t);

int ledger_take_thread(struct ledger *l, const struct ht_ev_thread *e);
int ledger_take_exec(struct ledger *l, const struct ht_ev_thread *e);
int ledger_take_rss(struct ledger *l, const struct ledger_rss *r);
int ledger_take_lost(struct ledger *l, const struct ledger_lost *r);
int ledger_take_nested(struct ledger *l, const struct ledger_nested *r);
int ledger_write_nested(struct ledger *l, struct tape_event ev, uint64_t calls);
int ledger_take_mark(struct ledger *l, const struct ledger_mark *r);
int ledger_take_suspend(struct ledger *l, const struct ledger_suspend *r);

int ledger_map_enter(struct ledger *l, const struct ht_ev_map *e);
int ledger_map_exit(struct ledger *l, const struct ht_ev_map *e);
int ledger_fault(struct ledger *l, unsigned cpu, const struct ht_ev_free *e);

#endif
