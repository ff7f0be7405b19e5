/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.h - plays a plan against allocators and gathers what came out.
 *
 * For each allocator: one measuring run (memory figures, the split), `repeat` timed runs (time, page faults),
 * and, when asked, one that verifies and one that takes latencies: what one run does must not show in another's
 * figures. The timed runs take turns between the allocators, so that a machine that slows down slows all of them. A failing allocator has an error in its result; the others go on.
 */
#ifndef HEAPTAPE_REPLAY_REPLAY_H
#define HEAPTAPE_REPLAY_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "replay/tested.h"
#include "replay/measure.h"
#include "replay/plan.h"

struct text_list {
	char **list;
	size_t nr;
};
int text_list_add(struct text_list *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_list_free(struct text_list *t);

struct plan;
struct cpu_map;
struct replay_opts;

/* A run that is wanted, and what came of it. */
struct run_order {
	const struct tested *tested;
	bool is_steered;
	uint32_t flags;   /* as of replay_once, and the next */
	const char *what;
	struct run_result *res; /* the caller's, to be freed by run_result_free */
};
/* Makes all these runs, in whatever order. -errno where this side fails; an allocator's failure is its result's. */
typedef int runs_execute_fn(void *arg, const struct plan *plan, const struct cpu_map *map, const struct replay_opts *opts,
			    struct run_order *orders, size_t nr);

struct replay_opts {
	const char *tape_path; /* for executors that work in a folder beside it */
	runs_execute_fn *execute; /* NULL: one after the other, here */
	void *execute_arg;
	const char *player;
	uint64_t pace_milli; /* 0: as fast as it goes; 1000: recorded speed */
	bool clock_tape, verify, latency;
	bool layout_fixed; /* address spaces are not randomized */
	unsigned repeat;     /* timed runs, at least 1 */
	uint64_t timeout_ns; /* 0: REPLAY_TIMEOUT_NS */
	void (*progress)(void *arg, const char *allocator, const char *what, uint32_t done, uint32_t all); /* may be NULL */
	void *progress_arg;
};
#define REPLAY_TIMEOUT_NS 60000000000ull

/* Where recorded CPUs are played. */
struct cpu_map {
	uint16_t to[PLAN_CPUS_MAX]; /* recorded -> ours */
	uint32_t nr;
	uint32_t nr_here;   /* that we may run on */
	uint32_t nr_told;   /* what the allocator is told; 0: recorded number unknown */
	bool shared;        /* several recorded CPUs share one of ours */
};
int cpu_map_make(const struct plan *plan, struct cpu_map *map);

struct figures {
	uint64_t median, min, max;
};

/* What is compared between allocators. */
enum metric { METRIC_WALL, METRIC_CPU, METRIC_FAULTS, METRIC_PEAK, METRIC_END, METRIC_NR };

/*
 * One allocator's timed runs against the reference's: the recorded allocator, or the first that came through. A difference
 * is one only with VERDICT_RUNS_MIN runs of both, a rank test below VERDICT_P after Holm's correction over all
 * allocators, and a size beyond VERDICT_SHARE and, for memory, one page a thread.
 */
enum verdict_kind { VERDICT_REFERENCE, VERDICT_TOO_FEW, VERDICT_NONE, VERDICT_DIFFERS };
#define VERDICT_RUNS_MIN 5
#define VERDICT_P 0.05
#define VERDICT_SHARE 0.005
struct verdict {
	enum verdict_kind kind;
	double share; /* of the medians: 0.1 is a tenth more than the reference */
	double p;     /* corrected; -1: not tested */
};

enum latency_q { LATENCY_P50, LATENCY_P99, LATENCY_P999, LATENCY_MAX, LATENCY_NR };

struct replay_result {
	const struct tested *tested;
	bool is_recorded;     /* the allocator that the tape was made with */
	bool is_steered;      /* the same, with whatever settings: calls that steer it are played */
	struct run_error error;
	struct run_result measured;
	struct run_result *timed; /* nr_timed */
	unsigned nr_timed;
	struct figures wall_ns, cpu_ns, page_faults; /* of the timed runs */
	struct figures peak_resident, end_resident;  /* of all runs; the result's own figure is the measuring run's */
	struct verdict verdicts[METRIC_NR];
	const struct tested *reference; /* of the verdicts; NULL: no allocator came through */
	bool has_latency, verified;
	double latency_cost_ns; /* of taking one, which each holds */
	double latency_ns[CONTROL_HIST_NR][LATENCY_NR];
	double ns_per_tick; /* of the histograms behind them */
	uint64_t latency_hists[CONTROL_HIST_NR][HIST_BUCKETS];
	/* The recorded allocator: its replayed memory against the recorded process's, at the checkpoints. Shares. */
	bool has_fidelity;
	double fidelity_mean, fidelity_worst; /* mean without sign, worst with */
	uint64_t fidelity_worst_ns;
	struct text_list warnings; /* of this allocator */
};

/* -errno only where this side fails (memory, descriptors); results[i].tested must be set. */
int replay_run(const struct plan *plan, const struct cpu_map *map, const struct replay_opts *opts,
	       struct replay_result *results, size_t nr_results);
/* A single run; flags: CONTROL_USABLE measures, CONTROL_LATENCY takes latencies, 0 is a timed one. An allocator's failure is res->error. */
int replay_once(const struct plan *plan, const struct cpu_map *map, const struct replay_opts *opts, const struct tested *a,
		bool is_steered, uint32_t flags, const char *what, struct run_result *res);
/* All of these, as opts->execute makes them; here, an allocator that has failed in one is not asked again. */
int replay_orders(const struct plan *plan, const struct cpu_map *map, const struct replay_opts *opts, struct run_order *orders, size_t nr);
void replay_result_free(struct replay_result *r);

/* compare.c */
int compare_runs(struct replay_result *r); /* fills the figures; 0 or -ENOMEM */
void compare_recorded(struct replay_result *r, const struct plan *plan);
/* The verdicts of all results, behind compare_runs of each. 0 or -ENOMEM. */
int compare_allocators(struct replay_result *results, size_t nr_results, const struct plan *plan);

/* replay_warn.c: what a reader of any result has to know. 0 or -ENOMEM. */
int replay_warn_tape(struct tape_reader *r, const struct plan *plan, const struct cpu_map *map, struct text_list *to);
int replay_warn_layout(const struct replay_opts *opts, struct text_list *to);
int replay_warn_result(struct replay_result *r, const struct plan *plan);

/* memory.c: bytes that can be used here without swapping: MemAvailable, or less under a cgroup's limit. 0: unknown. */
uint64_t memory_available(void);

/* result_json.c */
struct replay_report {
	const char *tape;
	const struct plan *plan;
	const struct replay_opts *opts;
	const struct cpu_map *map;
	const struct text_list *warnings;
	const struct replay_result *results;
	size_t nr_results;
};
/* The JSON text, to be freed; NULL if memory ran out. */
char *replay_json(const struct replay_report *r);
/* result_csv.c */
void replay_csv(const struct replay_report *rep, FILE *out);
const char *plan_order_name(unsigned order);
const char *plan_touch_name(unsigned touch);
const char *plan_placement_name(unsigned placement);

#endif
