/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * analysis.h - what a tape says about its target's heap: over time, by call stack, by thread, by size.
 *
 * Streams: two passes over the tape (the first finds its end and its peak), memory by live objects, stacks and threads, and for
 * each of opts.nr_moments 60 bytes a stack and 200 KiB of map. Calls that failed, sub-allocations and events outside
 * [from_ns, to_ns] are in no sum; objects born before from_ns count as live all the same. A resize is a birth of its new size
 * and no death: the object lives on. One thread at a time.
 */
#ifndef HEAPTAPE_ANALYSIS_H
#define HEAPTAPE_ANALYSIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analyze/levels.h"
#include "formats/pages.h"
#include "formats/tape.h"

enum {
	ANALYSIS_POINTS = 200,        /* of the time line, unless told otherwise */
	ANALYSIS_LIFE_BUCKETS = 24,   /* lifetimes by powers of 4: bucket i holds up to 4^i * 100 ns */
	ANALYSIS_SIZE_CLASSES = 512,
	ANALYSIS_GROUP_MIN = 8,       /* objects of a stack that die together are a group (regions.c) */
};
#define ANALYSIS_SOON_NS 1000000ull     /* an object that lives shorter is temporary */
#define ANALYSIS_TOGETHER_NS 10000000ull /* frees of a thread that are no further apart belong together; a busy CPU holds it up for less */
#define ANALYSIS_SILENT_NS 100000000ull /* a thread that made no call for so long is silent */

struct analysis_opts {
	uint64_t from_ns, to_ns; /* UINT64_MAX: to the end */
	uint64_t at_ns;          /* the moment whose live set is told beside the peak's; UINT64_MAX: the end */
	bool peak;               /* at_ns is the moment with most live bytes */
	unsigned nr_moments;     /* that are looked at closely, spread evenly, beside the peak and at_ns; 0: none */
	unsigned nr_points;      /* of the time line; 0: ANALYSIS_POINTS */
	const char *allocator;   /* only the objects of the allocator of this name, whatever else they lie in; there is no split then */
	void (*progress)(void *arg, const char *what, uint64_t nr_events);
	void *progress_arg;
};

/* A moment of the time line; counts are since the one before. */
struct analysis_point {
	uint64_t ns;
	uint64_t live_nbytes, live_nr;
	uint64_t births, deaths, born_nbytes;
	uint64_t rss_anon; /* as the kernel told last; UINT64_MAX: not yet */
	uint32_t threads;
	struct pages_split split;
};

struct analysis_stack {
	uint32_t stack; /* TAPE_NO_STACK: all events without one */
	uint64_t births, born_nbytes;
	uint64_t deaths;
	uint64_t soon, soon_nbytes;       /* temporary: freed within ANALYSIS_SOON_NS */
	uint64_t soon_same;               /* of these by the thread that made them */
	uint64_t resizes, resized_nbytes; /* reallocs made here, and their new sizes */
	uint64_t live, live_nbytes;       /* at at_ns */
	uint64_t old, old_nbytes;         /* of these: older than nine tenths of the time up to then */
	uint64_t start_live_nbytes;       /* at from_ns: what it grew from */
	uint64_t half_live_nbytes;        /* half way between from_ns and at_ns */
	uint64_t pinned_nbytes;           /* resident pages on which only its objects live, at at_ns */
	uint64_t pinned_live_nbytes;      /* of its objects on those pages */
	uint64_t cross, cross_nbytes;     /* freed by another thread */
	uint64_t groups, grouped, grouped_nbytes; /* runs in which its objects died together, and these */
	uint64_t grouped_added_nbytes;    /* what a general heap adds to them: headers, rounding */
	uint32_t lives[ANALYSIS_LIFE_BUCKETS];
};

/* What a moment needs of a stack: what it holds then, and what it has done since from_ns. */
struct moment_stack {
	uint32_t stack;
	uint64_t live, live_nbytes, pinned_nbytes;
	uint64_t births, born_nbytes, soon, soon_nbytes;
};

/* A run of pages, MOMENT_CELLS of them at most, on which something is resident or lives. */
enum { MOMENT_CELLS = 2048, MOMENT_CELL_STACKS = 3 };
struct moment_cell {
	uint64_t start;
	uint64_t resident, live_nbytes; /* bytes */
	uint64_t live;                  /* objects that begin, or go on, here */
	uint64_t oldest_ns, youngest_ns; /* births of these */
	struct {
		uint32_t stack;
		uint64_t nbytes;
	} stacks[MOMENT_CELL_STACKS]; /* that hold most of it; nbytes 0: no more */
};

struct moment_size {
	uint64_t from; /* of the size class */
	uint64_t live, live_nbytes;
};

/* A moment looked at closely: its live set by stack, thread, size and address. Memory: 60 bytes a stack. */
struct analysis_moment {
	uint64_t ns;
	uint64_t live, live_nbytes, rss_anon, shared_nbytes;
	struct pages_split split;
	struct moment_stack *stacks; /* that had allocated by then, by number */
	size_t nr_stacks;
	uint64_t *threads; /* live bytes of objects that they made, by index of a's threads */
	size_t nr_threads;
	struct moment_size *sizes; /* in order */
	size_t nr_sizes;
	struct moment_cell *cells; /* by address */
	size_t nr_cells;
	uint64_t cell_nbytes; /* a power of two, as small as MOMENT_CELLS allow */
};

struct analysis_thread {
	uint32_t tid, name; /* tid 0: it is not known who made these objects (before the recording); name: string number, 0 unknown */
	uint64_t births, born_nbytes, deaths;
	uint64_t live_nbytes;  /* that it made, at at_ns */
	uint64_t last_call_ns;
	uint64_t started_ns, ended_ns; /* UINT64_MAX: not on the tape */
};

/* Objects that `owner` made and `freer` freed. */
struct analysis_pair {
	uint32_t owner, freer; /* indices of threads */
	uint64_t nr, nbytes;
	uint64_t silent, silent_nbytes; /* of these, while the owner had made no call for ANALYSIS_SILENT_NS, or had ended */
	uint64_t idle_max_ns;           /* the longest that the owner had been silent at such a free */
};

/* Requested sizes: up to 1,024 in steps of 16, above by eighths of a power of two. */
struct analysis_size {
	uint64_t from, to; /* bytes, both inclusive */
	uint64_t births, born_nbytes;
	uint64_t live, live_nbytes; /* at at_ns */
	uint64_t peak_live_nbytes;
	uint64_t peak_ns;           /* when that was */
};

struct analysis {
	uint64_t first_ns, last_ns, from_ns, to_ns, at_ns, peak_ns;
	uint64_t nr_events, births, born_nbytes, deaths;
	uint64_t unknown_frees, lost, lost_first_ns, lost_last_ns, nr_faults, nr_execs;
	uint64_t live, live_nbytes;           /* at at_ns */
	uint64_t peak_live_nbytes;
	uint64_t rss_anon;                    /* the kernel's figure at at_ns, UINT64_MAX: not on the tape */
	uint64_t peak_rss_anon;               /* the largest that the kernel told; 0: none on the tape */
	uint64_t start_rss_anon;              /* when recording began; 0: unknown */
	uint64_t subs[256];                   /* births inside of another allocator's objects, by number; in no sum, but where one is asked for */
	bool one_alloc;                       /* one was */
	uint8_t allocator;                    /* number of the one that made most calls, TAPE_NO_ALLOC: none */
	uint64_t thinned_ns;                  /* from here on few calls of the busiest sites carry a stack; UINT64_MAX: all do */
	bool from_exec, has_pages;            /* has_pages: the tape has page faults, so that the split means something */
	struct pages_split split;             /* at at_ns */
	uint64_t recycled_nbytes;             /* born bytes of objects of 128 KiB and more: churn of large blocks */
	uint64_t recycled_nr;
	struct analysis_point *points;
	size_t nr_points;
	struct analysis_stack *stacks; /* by number */
	size_t nr_stacks;
	struct analysis_thread *threads;
	size_t nr_threads;
	struct analysis_pair *pairs; /* owner != freer */
	size_t nr_pairs;
	struct analysis_size *sizes; /* those that occurred, by size */
	size_t nr_sizes;
	struct analysis_moment *moments; /* in order of time */
	size_t nr_moments;
	uint64_t shared_nbytes; /* resident pages on which objects of several stacks live, at at_ns */
	struct levels levels;   /* of a language's runtime */
};

/* Reads the tape. 0, -ENOMEM, -ENOENT (no call of opts->allocator is on it), or the reader's error (tape_reader_error tells more). analysis_free in any case. */
int analysis_read(struct tape_reader *r, const struct analysis_opts *opts, struct analysis *a);
void analysis_free(struct analysis *a);
/* Upper end of a bucket of lifetimes, in ns; UINT64_MAX for the last. */
uint64_t analysis_life_end_ns(unsigned bucket);

#endif
