/* SPDX-License-Identifier: BSD-2-Clause */
/* findings_impl.h - what the files of rules share. */
#ifndef HEAPTAPE_FINDINGS_IMPL_H
#define HEAPTAPE_FINDINGS_IMPL_H

#include "analyze/findings.h"

#define FLOOR_NBYTES (4ull << 20) /* less is not worth a sentence */

struct rules {
	const struct analysis *a;
	const struct finding_facts *facts;
	struct finding *list;
	size_t nr;
	uint64_t heap_nbytes; /* what shares are taken of: resident, or live where residency is not known */
};

/* A further finding, its words to be filled in; NULL: there are FINDINGS_MAX. */
struct finding *findings_add(struct rules *r, const char *rule, uint64_t nbytes, const char *advice);
/* The stacks with most of something, into the finding. */
void findings_name_stacks(const struct rules *r, struct finding *f, uint64_t (*value)(const struct analysis_stack *s));

static inline double findings_percent(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

/* findings_levels.c: what a language's runtime shows. */
void findings_levels(struct rules *r);

#endif
