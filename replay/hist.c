/* SPDX-License-Identifier: BSD-2-Clause */
/* Quantiles of log-linear histograms. */
#include "replay/hist.h"

uint64_t hist_value(unsigned index)
{
	if (index < 16)
		return index;
	unsigned log2 = index / 16 + 3;
	return (16ull + index % 16) << (log2 - 4);
}

void hist_add(uint64_t *sum, const uint64_t *buckets)
{
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		sum[i] += buckets[i];
}

uint64_t hist_count(const uint64_t *buckets)
{
	uint64_t nr = 0;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		nr += buckets[i];
	return nr;
}

uint64_t hist_quantile(const uint64_t *buckets, double q)
{
	uint64_t nr = hist_count(buckets), seen = 0;
	if (!nr)
		return 0;
	uint64_t rank = (uint64_t)(q * (double)nr);
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += buckets[i];
		if (seen > rank)
			return hist_value(i);
	}
	return hist_max(buckets);
}

uint64_t hist_max(const uint64_t *buckets)
{
	for (unsigned i = HIST_BUCKETS; i-- > 0;) {
		if (buckets[i])
			return hist_value(i);
	}
	return 0;
}
