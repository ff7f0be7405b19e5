/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * measure.h - one run of a player, measured from outside.
 *
 * At each checkpoint all threads of the player stand still; the parent reads what of the allocator's mappings
 * is in memory and lets them go on. The allocator's mappings are all that were not there when the player had
 * set itself up and no constructor had run yet. The time that this takes is in no figure. Between checkpoints
 * the anonymous memory of the whole process is sampled every few ms, less what is the player's own, so that a
 * peak that falls between two checkpoints is seen unless it is shorter than that.
 */
#ifndef HEAPTAPE_REPLAY_MEASURE_H
#define HEAPTAPE_REPLAY_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "formats/heap.h"
#include "replay/tested.h"
#include "replay/hist.h"
#include "replay/measure_split.h"
#include "replay/launch.h"
#include "replay/plan.h"

/* Why an allocator has no figures. */
struct run_error {
	const char *kind; /* NULL: no error; static storage */
	char text[512];
};

struct run_result {
	struct run_error error;
	uint64_t wall_ns, cpu_ns;
	uint64_t page_faults;
	bool has_syscalls;
	int syscalls_error;   /* why not: an errno */
	uint64_t syscalls;    /* of the kinds that syscalls.h counts */
	uint64_t switches;    /* voluntary ones, the player's own waits included */
	uint64_t peak_resident, end_resident; /* the allocator's mappings */
	uint64_t process_resident;            /* the player with everything, at the end */
	uint64_t process_anon;                /* the private memory in it */
	uint64_t *resident;                   /* by checkpoint */
	bool has_split;                       /* measuring runs */
	struct split end_split, peak_split;   /* peak: at the checkpoint with most live bytes */
	struct size_classes end_classes, peak_classes;
	bool has_usable;                      /* the object that defines malloc tells usable sizes */
	uint64_t split_kernel_nbytes;         /* resident bytes of the same mappings, as the kernel counts them */
	uint32_t nr_foreign_threads;          /* most threads seen that are not the plan's */
	uint32_t from_elsewhere, absent;      /* bits by enum control_function */
	uint64_t hists[CONTROL_HIST_NR][HIST_BUCKETS]; /* latency runs, in ticks */
	double ns_per_tick;
	uint64_t ticks_cost;                  /* of taking one latency, which each of them holds */
	bool exit_failed;                     /* crashed or hung when it ended, after the last measurement */
	char *output;                         /* what allocator and dynamic linker printed; may be NULL */
};

struct measure_opts {
	struct launch_opts launch;
	uint64_t timeout_ns; /* without any sign of life */
	void (*progress)(void *arg, uint32_t checkpoint, uint32_t nr_checkpoints); /* may be NULL */
	void *progress_arg;
};

/* Runs the plan once. Failures of the run are res->error; the return value (-errno) is for failures on this side. */
int measure_run(const struct plan *plan, const struct tested *allocator, const struct measure_opts *opts,
		struct run_result *res);
void run_result_free(struct run_result *res);

#endif
