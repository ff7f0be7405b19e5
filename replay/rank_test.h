/* SPDX-License-Identifier: BSD-2-Clause */
/* rank_test.h - is one sample of runs larger than another by more than chance? */
#ifndef HEAPTAPE_REPLAY_RANK_TEST_H
#define HEAPTAPE_REPLAY_RANK_TEST_H

#include <stddef.h>
#include <stdint.h>

/*
 * Two-sided p of the Wilcoxon rank sum (Mann-Whitney) test: how likely ranks at least as far apart are if both samples come
 * from one distribution. Ties have their mean rank. Up to RANK_TEST_EXACT values in all by counting every division
 * of the ranks, else by the normal approximation with the correction for ties. 1 if a sample is empty; -1: no memory.
 */
#define RANK_TEST_EXACT 60
double rank_test(const uint64_t *a, size_t nr_a, const uint64_t *b, size_t nr_b);

/*
 * Holm's correction for several tests: p[i] becomes the smallest level at which test i would be called significant with
 * all of them kept together below it. nr is small (it is quadratic).
 */
void holm(double *p, size_t nr);

#endif
