/* SPDX-License-Identifier: BSD-2-Clause */
/* samples.c - see samples.h. */
#include "trials/samples.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "replay/rank_test.h"

#define TRIM_FROM 5 /* runs; with fewer, none can be called an outlier */

int samples_add(struct samples *s, double value)
{
	double *list = reallocarray(s->list, s->nr + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	s->list = list;
	s->list[s->nr++] = value;
	return 0;
}

void samples_free(struct samples *s)
{
	free(s->list);
	*s = (struct samples){ 0 };
}

/* How many are below `value`, and how many are not above it. */
static size_t count_below(const struct samples *s, double value, size_t *not_above_ret)
{
	size_t below = 0;

	*not_above_ret = 0;
	for (size_t i = 0; i < s->nr; i++) {
		below += s->list[i] < value;
		*not_above_ret += s->list[i] <= value;
	}
	return below;
}

/* The value number `rank` (from 0) in order of size. Runs are few. */
static double ranked(const struct samples *s, size_t rank)
{
	for (size_t i = 0; i < s->nr; i++) {
		size_t not_above, below = count_below(s, s->list[i], &not_above);

		if (below <= rank && rank < not_above)
			return s->list[i];
	}
	return 0;
}

double samples_median(const struct samples *s)
{
	return s->nr ? (ranked(s, (s->nr - 1) / 2) + ranked(s, s->nr / 2)) / 2 : 0;
}

double samples_min(const struct samples *s)
{
	return s->nr ? ranked(s, 0) : 0;
}

double samples_max(const struct samples *s)
{
	return s->nr ? ranked(s, s->nr - 1) : 0;
}

double samples_spread(const struct samples *s)
{
	size_t trim = s->nr >= TRIM_FROM;

	return s->nr ? ranked(s, s->nr - 1 - trim) - ranked(s, trim) : 0;
}

/* Whole numbers in the same order. */
static uint64_t order_of(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits >> 63 ? ~bits : bits | 1ull << 63;
}

static uint64_t *orders_of(const struct samples *s, double scale)
{
	uint64_t *orders = calloc(s->nr + 1, sizeof(*orders));

	for (size_t i = 0; orders && i < s->nr; i++)
		orders[i] = order_of(s->list[i] * scale);
	return orders;
}

double samples_test(const struct samples *a, const struct samples *b, double scale)
{
	uint64_t *x = orders_of(a, 1), *y = orders_of(b, scale);
	double p = x && y ? rank_test(x, a->nr, y, b->nr) : -1;

	free(x);
	free(y);
	return p;
}

/* ---- sides ---- */

static bool is_bad(const struct threshold *t, double value)
{
	return t->bad_is_higher ? value > t->at : value < t->at;
}

static size_t count_bad(const struct threshold *t, const struct samples *s)
{
	size_t nr = 0;

	for (size_t i = 0; i < s->nr; i++)
		nr += is_bad(t, s->list[i]);
	return nr;
}

enum ends threshold_find(const struct samples *good, const struct samples *bad, struct threshold *t_ret)
{
	double g = samples_median(good), b = samples_median(bad), p = samples_test(good, bad, 1);
	double spread = fmax(samples_spread(good), samples_spread(bad)), rate;

	*t_ret = (struct threshold){ .at = g + (b - g) / 2, .bad_is_higher = b > g };
	rate = (double)(count_bad(t_ret, good) + bad->nr - count_bad(t_ret, bad) + 1) / (double)(good->nr + bad->nr + 2);
	t_ret->run_odds = rate < 0.5 ? log((1 - rate) / rate) : 0;
	if (p < 0)
		return ENDS_NO_MEMORY;
	return fabs(b - g) > spread && p < THRESHOLD_P && t_ret->run_odds > 0 ? ENDS_APART : ENDS_ALIKE;
}

enum side threshold_side(const struct threshold *t, const struct samples *s)
{
	double nr_bad = (double)count_bad(t, s), odds = (2 * nr_bad - (double)s->nr) * t->run_odds;

	return odds >= log(SIDE_ODDS) ? SIDE_BAD : odds <= -log(SIDE_ODDS) ? SIDE_GOOD : SIDE_UNKNOWN;
}
