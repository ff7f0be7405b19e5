/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rerun.h - a program run and recorded again under each of several variants, and what its tapes say side by side.
 *
 * Runs go in rounds, each variant once a round, so that what else the machine does meets all of them alike. A variant of which a run
 * fails is given up, with the reason; the others go on. One thread at a time.
 */
#ifndef HEAPTAPE_RERUN_H
#define HEAPTAPE_RERUN_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "analyze/findings.h"
#include "replay/replay.h"
#include "rerun/variants.h"
#include "trials/samples.h"

/*
 * Of a run, as `rerun_figures` names them. Resident is the anonymous memory that the kernel counts, looked at twenty times a second; its
 * end is the last look before the program was gone. CPU time and faults are the kernel's sums at the program's end, its exec's included.
 */
enum rerun_figure { RERUN_PEAK_LIVE, RERUN_PEAK_RESIDENT, RERUN_END_RESIDENT, RERUN_CPU, RERUN_WALL, RERUN_FAULTS, RERUN_NR };
struct rerun_figure_kind {
	const char *key, *title; /* in JSON, for people */
	enum { RERUN_BYTES, RERUN_NS, RERUN_COUNT } unit;
	bool needs_tape;
};
extern const struct rerun_figure_kind rerun_figures[RERUN_NR];

struct rerun_opts {
	char *const *argv;
	const char *user;     /* NULL: as `record` does */
	const char *folder;   /* that is there, for tapes and outputs */
	const char *input;    /* stdin of every run; NULL: nothing */
	uint64_t duration_ns; /* a run that lasts longer is ended then; 0: none is */
	unsigned nr_repeats;
	size_t base;          /* which variant the others are compared with */
	bool plain;           /* run without recording, too */
	bool no_record;       /* only so: for programs without an allocator that can be recorded; no tape, no findings */
	bool keep;            /* tapes stay in the folder */
	bool predict;         /* the base's first tape is replayed under each variant */
};

/* One run. */
struct rerun_one {
	double figures[RERUN_NR]; /* without a recording those that need no tape */
	bool cut;                 /* ended by duration_ns */
	uint64_t calls, lost, cost_ns;
	char tape[PATH_MAX];
};

struct verdict_of {
	double change; /* of the medians: 0.1 is a tenth more than the base */
	double p;      /* after Holm's correction; -1: not tested */
	enum verdict_kind kind;
};

struct found_rule {
	const char *rule;
	char title[320]; /* as the first run that has it says it */
	unsigned nr;     /* of the runs */
};

/* The peak that a replay of the base's first tape says; 0: none, `why` says why. */
struct prediction {
	uint64_t peak_resident;
	char why[600];
};

struct rerun_variant {
	const struct variant *variant;
	char error[1024]; /* "": all of its runs went well */
	struct rerun_one *runs;
	unsigned nr_runs, nr_cut;
	struct samples samples[RERUN_NR], plain[RERUN_NR];
	struct verdict_of verdicts[RERUN_NR];
	struct found_rule rules[FINDINGS_MAX];
	unsigned nr_rules;
	struct prediction prediction;
	uint64_t lost;
};

struct rerun {
	struct rerun_opts opts;
	struct rerun_variant *variants;
	size_t nr_variants;
};

/* 0, also where variants failed; -ECANCELED: a signal asked to end; other -errno: this side failed. Free in any case. */
int rerun_run(struct rerun *r, const struct variants *variants);
void rerun_free(struct rerun *r);
/* Behind rerun_run, if opts.predict was set for it. 0, or -errno after printing why. */
int rerun_predict(struct rerun *r);
/* In more than half of the variant's runs. */
bool rerun_has_rule(const struct rerun_variant *v, const char *rule);
/* A table for a person, and the figures as JSON (0 or -ENOMEM). */
void rerun_print(const struct rerun *r);
int rerun_print_json(const struct rerun *r);

#endif
