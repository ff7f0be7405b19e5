/* SPDX-License-Identifier: BSD-2-Clause */
/* analysis_impl.h - inside of the analysis: what the passes share with its parts. */
#ifndef HEAPTAPE_ANALYSIS_IMPL_H
#define HEAPTAPE_ANALYSIS_IMPL_H

#include "analyze/analysis.h"
#include "analyze/one_allocator.h"
#include "formats/heap.h"
#include "formats/index_map.h"

struct region_run;

struct pass {
	struct tape_reader *reader;
	const struct analysis_opts *opts;
	struct analysis *a;
	struct heap *heap;
	struct pages *pages;
	bool faults_need_write;
	struct one_allocator one;
	struct index_map stack_of, thread_of, pair_of; /* keys -> indices of a's lists */
	size_t stacks_max, threads_max, pairs_max;
	struct analysis_size *sizes; /* ANALYSIS_SIZE_CLASSES of them */
	uint64_t sizes_live[ANALYSIS_SIZE_CLASSES]; /* bytes that live now, by the same index */
	uint32_t nr_alive;           /* threads that have started, or made a call, and not ended */
	uint64_t rss_anon;
	bool started, halved, looked; /* the looks at from_ns, half way and at_ns were taken */
	struct analysis_point now;   /* counts since the last point */
	struct region_run *runs;     /* by the threads' indices */
	size_t runs_max;
	size_t point, moment;
};

/* A live object where it lies. */
struct place {
	uint64_t addr, nbytes, born_ns;
	uint32_t stack;
};

/* A resident page of the allocator's on which something lives. */
struct page {
	uint64_t number, mine; /* mine: bytes of objects on it */
	uint32_t stack;        /* of one of them */
	bool several, any;     /* several: of other stacks too */
};

/* The stack's row, made if it is new; NULL: no memory. Valid until the next one is made; so with the others. */
struct analysis_stack *pass_stack(struct pass *p, uint32_t stack);
struct analysis_thread *pass_thread(struct pass *p, uint32_t tid);
struct analysis_pair *pass_pair(struct pass *p, uint32_t owner, uint32_t freer);
struct analysis_size *pass_size(struct pass *p, uint64_t nbytes);
/* analysis_look.c: the live set as it is now, into the rows. 0 or -ENOMEM. */
int pass_look_start(struct pass *p);
int pass_look_half(struct pass *p);
int pass_look(struct pass *p);
/* Objects in order of address. fn's error is handed on. */
int pass_each_page(const struct pass *p, const struct place *list, size_t nr, int (*fn)(void *arg, const struct page *page), void *arg);
void pass_sort_places(struct place *list, size_t nr);
/* analysis_moment.c: the next of a->moments, as it is now. 0 or -ENOMEM. */
int pass_moment(struct pass *p);

/* regions.c: of the thread with this index, in the order of its calls; at the end the runs that still go on. 0 or -ENOMEM. */
int pass_region_birth(struct pass *p, size_t thread);
int pass_region_death(struct pass *p, size_t thread, const struct heap_object *dead, uint64_t ns);
int pass_regions_end(struct pass *p);

#endif
