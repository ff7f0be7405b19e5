/* SPDX-License-Identifier: BSD-2-Clause */
/* Wilcoxon, Individual comparisons by ranking methods (1945); Holm, A simple sequentially rejective procedure (1979). */
#include "replay/rank_test.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct value {
	uint64_t value;
	bool is_a;
};

static int by_value(const void *a, const void *b)
{
	const struct value *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

/* Twice the rank of each value, so that mean ranks are whole; the sum over (ties^3 - ties) for the correction. */
static double rank_twice(const struct value *values, size_t nr, uint32_t *ranks)
{
	double ties = 0;

	for (size_t i = 0, j; i < nr; i = j) {
		for (j = i; j < nr && values[j].value == values[i].value; j++)
			;
		double same = (double)(j - i);
		ties += same * same * same - same;
		for (size_t k = i; k < j; k++)
			ranks[k] = (uint32_t)(i + j + 1); /* twice the mean of i + 1 .. j */
	}
	return ties;
}

/* The share of all choices of nr_a ranks whose sum is as small as `sum`, and as large. 0 or -1. */
static int count_sums(const uint32_t *ranks, size_t nr, size_t nr_a, size_t sum, double *small_ret, double *large_ret)
{
	size_t width = nr * (nr + 1) + 1; /* the sum of all is nr * (nr + 1) */
	double *ways = calloc((nr_a + 1) * width, sizeof(*ways));
	double all = 0, small = 0, large = 0;

	if (!ways)
		return -1;
	ways[0] = 1;
	for (size_t i = 0; i < nr; i++)
		for (size_t chosen = i + 1 < nr_a ? i + 1 : nr_a; chosen; chosen--)
			for (size_t s = width - 1; s >= ranks[i]; s--)
				ways[chosen * width + s] += ways[(chosen - 1) * width + s - ranks[i]];
	for (size_t s = 0; s < width; s++) {
		double w = ways[nr_a * width + s];

		all += w;
		small += s <= sum ? w : 0;
		large += s >= sum ? w : 0;
	}
	free(ways);
	*small_ret = small / all;
	*large_ret = large / all;
	return 0;
}

static double normal_p(double sum, double nr_a, double nr_b, double ties)
{
	double nr = nr_a + nr_b, mean = nr_a * (nr + 1) / 2;
	double variance = nr_a * nr_b / 12 * (nr + 1 - ties / (nr * (nr - 1)));
	double off = fabs(sum - mean) - 0.5;

	if (variance <= 0)
		return 1;
	return erfc((off > 0 ? off : 0) / sqrt(2 * variance));
}

double rank_test(const uint64_t *a, size_t nr_a, const uint64_t *b, size_t nr_b)
{
	size_t nr = nr_a + nr_b, sum = 0;
	struct value *values = calloc(nr + 1, sizeof(*values));
	uint32_t *ranks = calloc(nr + 1, sizeof(*ranks));
	double p = nr_a && nr_b ? -1 : 1, ties, small, large;

	if (!values || !ranks || p > 0)
		goto out;
	for (size_t i = 0; i < nr; i++)
		values[i] = (struct value){ i < nr_a ? a[i] : b[i - nr_a], i < nr_a };
	qsort(values, nr, sizeof(*values), by_value);
	ties = rank_twice(values, nr, ranks);
	for (size_t i = 0; i < nr; i++)
		sum += values[i].is_a ? ranks[i] : 0;
	if (nr > RANK_TEST_EXACT) {
		p = normal_p((double)sum / 2, (double)nr_a, (double)nr_b, ties);
	} else if (!count_sums(ranks, nr, nr_a, sum, &small, &large)) {
		p = 2 * (small < large ? small : large);
		p = p < 1 ? p : 1;
	}
out:
	free(values);
	free(ranks);
	return p;
}

void holm(double *p, size_t nr)
{
	double most = 0;

	/* Step down from the smallest; a corrected value is marked by being negative until all are done. */
	for (size_t done = 0; done < nr; done++) {
		size_t least = nr;

		for (size_t i = 0; i < nr; i++)
			if (p[i] >= 0 && (least == nr || p[i] < p[least]))
				least = i;
		double corrected = p[least] * (double)(nr - done);
		corrected = corrected < 1 ? corrected : 1;
		most = corrected > most ? corrected : most;
		p[least] = -1 - most;
	}
	for (size_t i = 0; i < nr; i++)
		p[i] = -1 - p[i];
}
