/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trials.h - a tape made ready to be played again and again against allocators, for one figure at a time.
 *
 * What check, bisect and tune share. One thread at a time. Opening prints what is wrong; a run prints nothing: an
 * allocator that does not get through says so in the error it hands back.
 */
#ifndef HEAPTAPE_TRIALS_TRIALS_H
#define HEAPTAPE_TRIALS_TRIALS_H

#include <limits.h>

#include "replay/replay.h"
#include "trials/samples.h"

enum trial_metric {
	TRIAL_PEAK_RESIDENT, TRIAL_END_RESIDENT, TRIAL_HOLES, TRIAL_RETAINED, TRIAL_METADATA, TRIAL_P99_MALLOC, TRIAL_CPU_TIME,
	TRIAL_FAULTS, TRIAL_NR,
};
extern const char *const trial_metric_names[TRIAL_NR + 1]; /* NULL at the end */
#define TRIAL_METRIC_LIST "peak-resident|end-resident|holes|retained|metadata|p99-malloc|cpu-time|faults"
#define TRIAL_METRIC_HELP                                                                                               \
	"What is compared (default peak-resident). holes, retained and metadata are of the split at the tape's end; "   \
	"p99-malloc\nis known within 6 %."
/* The metric of that name, or TRIAL_NR. */
enum trial_metric trial_metric_parse(const char *name);
/* "12.3 MiB", "250 ns", "1.2 k"; buf holds HUMAN_MAX bytes and is returned. */
const char *trial_metric_human(enum trial_metric m, double value, char *buf);

struct trials {
	const char *path;
	struct tape_reader *reader;
	struct plan plan;
	struct cpu_map map;
	struct replay_opts opts;
	char player[PATH_MAX + 64];
};

/* 0, or -errno after printing why; trials_close in any case. The tape's plan is kept beside it, or taken from there. */
int trials_open(struct trials *t, const char *path);
/* The same without a word about a tape that cannot be played: -ENODATA, nothing is on it. */
int trials_try(struct trials *t, const char *path);
void trials_close(struct trials *t);
/* Tells a tape from others: by its size, beginning and end; a folder by its path. */
uint64_t trials_tape_hash(const char *path);
/* The text of --lib as an allocator, with the settings of the recorded process if it is the recorded one and brings none. 0, or -errno
 * with the reason in `why`. */
int trials_tested(struct trials *t, const char *text, struct tested *a, char *why, size_t why_nbytes);
/* Runs of several allocators, one each into res[i], at once if t->opts has an executor for that; run_result_free each in any case.
 * 0, or -errno where this side failed; an allocator's failure is its result's. */
int trials_many(struct trials *t, const struct tested *const *list, uint32_t flags, struct run_result *res, size_t nr);
/* What a run for this figure must be asked for, and the figure in its result. */
uint32_t trial_metric_flags(enum trial_metric m);
double trial_metric_value(enum trial_metric m, const struct run_result *res);
/* One run for one figure. 0; -ECANCELED: the allocator failed, *error says how; other -errno: this side failed. */
int trials_run(struct trials *t, const struct tested *a, enum trial_metric m, double *value_ret, struct run_error *error);
/* One run with these flags (enum control_flag; CONTROL_USABLE: with the split); run_result_free(res) in any case. As above. */
int trials_once(struct trials *t, const struct tested *a, uint32_t flags, struct run_result *res, struct run_error *error);

#endif
