/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack_profile.h - a tape as profilers see it: call stacks with names and what each weighs. What the export formats write.
 *
 * Lives no longer than the tape's reader and naming it was made from.
 */
#ifndef HEAPTAPE_STACK_PROFILE_H
#define HEAPTAPE_STACK_PROFILE_H

#include <stdio.h>

#include "analyze/by_stack.h"
#include "symbols/naming.h"

/* A place in the code; what events without a stack, or behind a cut stack, hang on, is a place of module 0. */
struct stack_profile_place {
	uint32_t module; /* index in modules + 1; 0: none */
	uint64_t offset;
	const struct tape_name *names; /* innermost first, at least one, each with a function; UTF-8 */
	uint32_t nr_names;
};

struct stack_profile_module {
	const char *path, *build_id; /* UTF-8 */
	uint64_t end; /* highest offset in it, plus 1 */
};

struct stack_profile_sample {
	const uint32_t *places; /* innermost first, indices */
	uint32_t nr_places;
	uint64_t values[METRIC_NR];
};

struct stack_profile {
	struct stack_profile_place *places;
	size_t nr_places, cap_places;
	struct stack_profile_module *modules;
	size_t nr_modules, cap_modules;
	struct stack_profile_sample *samples;
	size_t nr_samples;
	uint64_t sums[METRIC_NR];
	uint64_t start_unix_ns, duration_ns; /* 0: unknown */
	const char *program;		     /* its path, "" if unknown; UTF-8 */
	struct arena *arena;
};

/* The tape has been read to its end into b. 0 or -ENOMEM; free in any case. */
int stack_profile_make(struct stack_profile *p, const struct tape_reader *r, const struct by_stack *b, struct naming *naming);
void stack_profile_free(struct stack_profile *p);

const char *metric_name(enum metric metric); /* as --metric takes it */
bool metric_is_bytes(enum metric metric);

/* A format to export to. */
struct export_format {
	const char *name;
	bool binary; /* not for terminals */
	/* Writes all of it. 0 or -errno; errors of `out` itself are left in it. */
	int (*write)(const struct stack_profile *p, enum metric metric, FILE *out);
};

extern const struct export_format export_folded, export_speedscope, export_pprof;

#endif
