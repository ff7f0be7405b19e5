/* SPDX-License-Identifier: BSD-2-Clause */
/* random_tape.h - random events and a printed seed (HEAPTAPE_SEED repeats a run), for the tests of formats/. */
#ifndef HEAPTAPE_TEST_RANDOM_TAPE_H
#define HEAPTAPE_TEST_RANDOM_TAPE_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats/tape.h"

struct rng {
	uint64_t state;
};

/* splitmix64: Steele, Lea, Flood 2014 */
static inline uint64_t rng_u64(struct rng *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_u64(r) % n;
}

/* Any magnitude equally likely: small numbers, huge ones, 0. */
static inline uint64_t rng_magnitude(struct rng *r)
{
	return rng_u64(r) >> rng_below(r, 64) >> rng_below(r, 2);
}

static inline struct rng rng_seeded(const char *what)
{
	const char *given = getenv("HEAPTAPE_SEED");
	struct timespec now;
	struct rng r;

	clock_gettime(CLOCK_REALTIME, &now);
	r.state = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_nsec << 20 ^ (uint64_t)now.tv_sec;
	printf("%s: HEAPTAPE_SEED=%" PRIu64 "\n", what, r.state);
	fflush(stdout);
	return r;
}

static const uint8_t random_kinds[] = {
	TAPE_MALLOC, TAPE_CALLOC, TAPE_REALLOC, TAPE_POSIX_MEMALIGN, TAPE_ALIGNED_ALLOC, TAPE_MEMALIGN, TAPE_VALLOC,
	TAPE_PVALLOC, TAPE_NEW, TAPE_FREE, TAPE_DELETE, TAPE_SDALLOCX, TAPE_GIVE_UP, TAPE_MMAP, TAPE_MUNMAP,
	TAPE_MREMAP, TAPE_BRK, TAPE_MADVISE, TAPE_THREAD_START, TAPE_THREAD_NAME, TAPE_THREAD_EXIT, TAPE_FAULT,
	TAPE_RSS, TAPE_EXEC, TAPE_STEER, TAPE_LOST, TAPE_MARK, TAPE_COUNTER, TAPE_SUSPEND, TAPE_SPAN, TAPE_SPAN_FREE, TAPE_FIGURE, 61, 200, /* two of later versions */
};

/* How wild a sequence is; each knob is a property that the coder must bear. */
struct random_style {
	uint64_t nr_addrs;    /* addresses in use: few means much reuse; 0: anything */
	uint64_t nr_threads;
	uint64_t step_ns_max; /* between two events; 0: anything */
	bool calls_only;
	bool any_field; /* fields may be set that the kind does not use */
};

static inline struct tape_event random_event(struct rng *r, const struct random_style *s, uint64_t last_ns)
{
	struct tape_event ev = { .alloc = TAPE_NO_ALLOC };
	uint64_t step = s->step_ns_max ? rng_below(r, s->step_ns_max) : rng_magnitude(r) >> 20;
	unsigned nr_kinds = s->calls_only ? 12 : sizeof(random_kinds);

	ev.ns = last_ns + step < last_ns ? last_ns : last_ns + step;
	ev.kind = random_kinds[rng_below(r, nr_kinds)];
	ev.addr = s->nr_addrs ? 0x7f0000000000u + 16 * rng_below(r, s->nr_addrs) : rng_magnitude(r);
	ev.tid = (uint32_t)(1000 + rng_below(r, s->nr_threads));
	ev.cpu = (uint16_t)(rng_below(r, 20) ? ev.tid % 3 : rng_u64(r));
	if (tape_kind_is_alloc(ev.kind) || !rng_below(r, 3))
		ev.size = rng_below(r, 3) ? 8 * rng_below(r, 64) : rng_magnitude(r);
	if (ev.kind == TAPE_REALLOC || (s->any_field && !rng_below(r, 4)))
		ev.old = s->nr_addrs ? 0x7f0000000000u + 16 * rng_below(r, s->nr_addrs) : rng_magnitude(r);
	if (s->any_field && !rng_below(r, 4))
		ev.arg = rng_magnitude(r);
	if (rng_below(r, 2))
		ev.stack = rng_below(r, 50) ? (uint32_t)rng_below(r, 300) : (uint32_t)rng_magnitude(r);
	if (!rng_below(r, 10))
		ev.flags = (uint8_t)rng_u64(r);
	if (rng_below(r, 10))
		ev.alloc = (uint8_t)rng_below(r, 3);
	return ev;
}

static inline bool same_event(const struct tape_event *a, const struct tape_event *b)
{
	return a->ns == b->ns && a->addr == b->addr && a->size == b->size && a->old == b->old && a->arg == b->arg &&
	       a->tid == b->tid && a->stack == b->stack && a->cpu == b->cpu && a->kind == b->kind &&
	       a->flags == b->flags && a->alloc == b->alloc;
}

static inline void print_event(const char *what, const struct tape_event *ev)
{
	fprintf(stderr,
		"%s: ns %" PRIu64 " kind %u flags %u alloc %u tid %u cpu %u addr %" PRIx64 " size %" PRIu64
		" old %" PRIx64 " arg %" PRIx64 " stack %u\n",
		what, ev->ns, ev->kind, ev->flags, ev->alloc, ev->tid, ev->cpu, ev->addr, ev->size, ev->old, ev->arg,
		ev->stack);
}

/* A fresh path for a tape in the temporary directory; the caller unlinks it. */
static inline char *temp_tape(void)
{
	const char *dir = getenv("TMPDIR");
	static char path[512];
	static unsigned nr;

	snprintf(path, sizeof(path), "%s/heaptape-test-%d-%u.tape", dir ? dir : "/tmp", (int)getpid(), nr++);
	unlink(path);
	return path;
}

#endif
