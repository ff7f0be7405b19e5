/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * findings.h - rules that know the classic diseases of a heap, and say in words which of them a tape shows.
 *
 * A rule looks at an analysis only, and fires beyond thresholds that stand in findings.c with their reasons. Sorted by the
 * bytes that are at stake; what makes the numbers themselves unsafe comes first. Pure; one thread at a time.
 */
#ifndef HEAPTAPE_FINDINGS_H
#define HEAPTAPE_FINDINGS_H

#include "analyze/analysis.h"

enum { FINDING_STACKS = 5, FINDINGS_MAX = 32 };

struct finding {
	const char *rule;  /* its name: "sleeping-owner" */
	char title[320];   /* one sentence with the number that matters */
	char evidence[640]; /* where that comes from */
	const char *advice; /* what to try */
	uint64_t nbytes;   /* at stake; UINT64_MAX: the numbers are unsafe */
	uint32_t stacks[FINDING_STACKS]; /* that it is about, the most important one first */
	unsigned nr_stacks;
};

/* What rules need beside the analysis. */
struct finding_facts {
	const char *allocator; /* that was recorded: "glibc" ..., "" unknown */
	uint64_t nr_cpus;      /* 0: unknown */
	/* A thread's name for people ("worker 4711"), in a buffer that lives until the next two calls. May be NULL. */
	const char *(*thread_name)(void *arg, const struct analysis_thread *t);
	/* One number for all stacks that reach the allocator from the same place of the program. May be NULL. */
	uint64_t (*place)(void *arg, uint32_t stack);
	void *arg;
};

/* At most FINDINGS_MAX into `list`; returns their number. */
size_t findings_make(const struct analysis *a, const struct finding_facts *facts, struct finding list[FINDINGS_MAX]);

#endif
