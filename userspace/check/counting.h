/* SPDX-License-Identifier: BSD-2-Clause */
/* counting.h - which ways through an allocator's code are the usual ones: counted in the scratch process. */
#ifndef HEAPTAPE_COUNTING_H
#define HEAPTAPE_COUNTING_H

#include "check/scratch_run.h"
#include "sites/weight.h"

/* Runs usual calls of s->a and counts its branches. *p_ret is for profile_free, even on failure. -errno. */
int counting_run(struct scratch *s, struct profile *p_ret);
/* Counts the branches of what process pid itself calls, for a tenth of a second in which it runs several times slower. */
int counting_on_target(pid_t pid, const struct allocator *a, struct profile *p_ret);
void profile_free(struct profile *p);

#endif
