/* SPDX-License-Identifier: BSD-2-Clause */
/* test_split.c - the split against a count of every single byte, on random small heaps; and what it refuses. */
#include <errno.h>
#include <stdbool.h>

#include "check.h"
#include "formats/heap.h"
#include "random_tape.h"

#define PAGE 64 /* small pages: more borders for the same work */
#define SPACE_PAGES 200
#define SPACE (SPACE_PAGES * PAGE)

struct scene {
	struct split_object objs[400];
	size_t nr_objs;
	struct split_range ranges[8];
	size_t nr_ranges;
	uint8_t resident[8][SPACE_PAGES / 8 + 1], held[8][SPACE_PAGES / 8 + 1];
};

static void make_scene(struct scene *s, struct rng *rng)
{
	uint64_t at = PAGE * (1 + rng_below(rng, 4)), dense = 1 + rng_below(rng, 200);

	memset(s, 0, sizeof(*s));
	while (s->nr_ranges < 8 && at < SPACE) {
		struct split_range *r = &s->ranges[s->nr_ranges];

		r->start = at;
		r->end = at + PAGE * rng_below(rng, 60);
		if (r->end > SPACE)
			r->end = SPACE;
		for (unsigned i = 0; i < sizeof(s->resident[0]); i++) {
			s->resident[s->nr_ranges][i] = rng_below(rng, 3) ? (uint8_t)rng_u64(rng) : 0;
			s->held[s->nr_ranges][i] = (uint8_t)rng_u64(rng);
		}
		r->resident = s->resident[s->nr_ranges];
		r->held = s->held[s->nr_ranges++];
		at = r->end + PAGE * rng_below(rng, 3);
	}
	for (at = rng_below(rng, 300); s->nr_objs < 400; s->nr_objs++) {
		struct split_object *o = &s->objs[s->nr_objs];

		o->addr = at;
		o->usable = rng_below(rng, rng_below(rng, 8) ? 40 : 10 * PAGE);
		o->requested = rng_below(rng, 4) ? rng_below(rng, o->usable + 1) : o->usable;
		if (o->addr + o->usable > SPACE)
			break;
		at += o->usable + rng_below(rng, dense);
	}
	for (size_t i = s->nr_objs; i > 1; i--) { /* any order */
		size_t j = rng_below(rng, i);
		struct split_object tmp = s->objs[i - 1];

		s->objs[i - 1] = s->objs[j];
		s->objs[j] = tmp;
	}
}

enum byte_state { BYTE_NONE, BYTE_REQUESTED, BYTE_INTERNAL };

static const struct split_range *range_of(const struct scene *s, uint64_t addr)
{
	for (size_t i = 0; i < s->nr_ranges; i++)
		if (addr >= s->ranges[i].start && addr < s->ranges[i].end)
			return &s->ranges[i];
	return NULL;
}

static bool bit(const uint8_t *bits, uint64_t i)
{
	return bits[i / 8] >> (i % 8) & 1;
}

/* Byte by byte, the definitions of the README and nothing else. */
static void split_by_bytes(const struct scene *s, struct split *sum)
{
	static uint8_t state[SPACE], page_has[SPACE_PAGES];

	memset(state, BYTE_NONE, sizeof(state));
	memset(page_has, 0, sizeof(page_has));
	memset(sum, 0, sizeof(*sum));
	for (size_t i = 0; i < s->nr_objs; i++)
		for (uint64_t b = 0; b < s->objs[i].usable; b++) {
			state[s->objs[i].addr + b] = b < s->objs[i].requested ? BYTE_REQUESTED : BYTE_INTERNAL;
			page_has[(s->objs[i].addr + b) / PAGE] = 1;
		}
	for (uint64_t b = 0; b < SPACE; b++) {
		const struct split_range *r = range_of(s, b);
		uint64_t page = r ? (b - r->start) / PAGE : 0;

		if (!r || !bit(r->resident, page)) {
			*(r ? &sum->unresident : &sum->outside) += state[b] == BYTE_REQUESTED;
			continue;
		}
		sum->resident++;
		sum->requested += state[b] == BYTE_REQUESTED;
		sum->internal += state[b] == BYTE_INTERNAL;
		if (state[b] == BYTE_NONE) {
			if (page_has[b / PAGE])
				sum->holes++;
			else
				*(bit(r->held, page) ? &sum->retained : &sum->metadata) += 1;
		}
	}
}

static void test_against_bytes(struct rng *rng)
{
	static struct scene s;

	for (unsigned run = 0; run < 3000; run++) {
		struct split want, got;

		make_scene(&s, rng);
		split_by_bytes(&s, &want);
		CHECK_EQ(split_compute(s.objs, s.nr_objs, s.ranges, s.nr_ranges, PAGE, &got, NULL), 0);
		CHECK_EQ(got.requested, want.requested);
		CHECK_EQ(got.internal, want.internal);
		CHECK_EQ(got.holes, want.holes);
		CHECK_EQ(got.retained, want.retained);
		CHECK_EQ(got.metadata, want.metadata);
		CHECK_EQ(got.resident, want.resident);
		CHECK_EQ(got.unresident, want.unresident);
		CHECK_EQ(got.outside, want.outside);
		CHECK_EQ(got.requested + got.internal + got.holes + got.retained + got.metadata, got.resident);
	}
}

static void test_refusals(void)
{
	struct split_object overlap[] = { { 100, 10, 20 }, { 119, 1, 1 } }, twice[] = { { 100, 1, 1 }, { 100, 1, 1 } };
	struct split_object wrap[] = { { UINT64_MAX - 4, 10, 10 } }, small[] = { { 100, 10, 9 } };
	uint8_t bits[8] = { 0 };
	struct split_range crossed[] = { { 4096, 12288, bits, bits }, { 8192, 16384, bits, bits } };
	struct split_range skew[] = { { 100, 4196, bits, bits } };
	struct split sum;
	uint64_t where;

	CHECK_EQ(split_compute(overlap, 2, NULL, 0, 4096, &sum, &where), -EINVAL);
	CHECK_EQ(where, 119);
	CHECK_EQ(split_compute(twice, 2, NULL, 0, 4096, &sum, &where), -EINVAL);
	CHECK_EQ(split_compute(wrap, 1, NULL, 0, 4096, &sum, NULL), -EINVAL);
	CHECK_EQ(split_compute(small, 1, NULL, 0, 4096, &sum, NULL), -EINVAL);
	CHECK_EQ(split_compute(NULL, 0, crossed, 2, 4096, &sum, NULL), -EINVAL);
	CHECK_EQ(split_compute(NULL, 0, skew, 1, 4096, &sum, NULL), -EINVAL);
	CHECK_EQ(split_compute(NULL, 0, NULL, 0, 0, &sum, NULL), -EINVAL);
	CHECK_EQ(split_compute(NULL, 0, NULL, 0, 4096, &sum, NULL), 0);
	CHECK_EQ(sum.resident, 0);
}

int main(void)
{
	struct rng rng = rng_seeded("test_split");

	test_against_bytes(&rng);
	test_refusals();
	return check_done();
}
