/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * samples.h - figures of repeated runs, and what may be concluded from them.
 *
 * Two ends are told apart by their spread and a rank test; a third is put on the side of one of them by a sequential
 * test, whose error rate is that of the ends' own runs. One thread at a time.
 */
#ifndef HEAPTAPE_TRIALS_SAMPLES_H
#define HEAPTAPE_TRIALS_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>

struct samples {
	double *list; /* in the order of the runs */
	size_t nr;
};

int samples_add(struct samples *s, double value); /* 0 or -ENOMEM */
void samples_free(struct samples *s);
double samples_median(const struct samples *s); /* 0 if empty, here and below */
double samples_min(const struct samples *s);
double samples_max(const struct samples *s);
/* Largest less smallest, the one most extreme value on either side left out where there are at least five. */
double samples_spread(const struct samples *s);
/* Two-sided p that a and b, the latter times `scale`, come from one distribution; -1: no memory. */
double samples_test(const struct samples *a, const struct samples *b, double scale);

/* Where one side ends and the other begins. */
struct threshold {
	double at;           /* half way between the medians of the ends */
	bool bad_is_higher;
	double run_odds;     /* log odds that one run brings for the side it falls on */
};

enum ends { ENDS_APART, ENDS_ALIKE, ENDS_NO_MEMORY };
/*
 * Ends are apart if the medians differ by more than either spread and the rank test is below THRESHOLD_P. A run of an end
 * that falls on the wrong side is an error; with one of each kind added, so that no rate is 0, the rate gives run_odds.
 */
#define THRESHOLD_P 0.01
enum ends threshold_find(const struct samples *good, const struct samples *bad, struct threshold *t_ret);

enum side { SIDE_UNKNOWN, SIDE_GOOD, SIDE_BAD };
/* Wald's sequential test (1945): a side is certain at odds of SIDE_ODDS to one. */
#define SIDE_ODDS 1000.0
enum side threshold_side(const struct threshold *t, const struct samples *s);

#endif
