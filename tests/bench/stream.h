/* SPDX-License-Identifier: BSD-2-Clause */
/* stream.h - calls like those of a key-value server under load, made up: what the benches write and read. */
#ifndef HEAPTAPE_BENCH_STREAM_H
#define HEAPTAPE_BENCH_STREAM_H

#include "formats/tape.h"
#include "unit/random_tape.h"

#define STREAM_TID 4711
#define STREAM_STACKS_NR 9 /* 1 .. 9 */
#define CLASSES_NR 9
#define KEYS_NR 200000

/* An allocator as simple as its prediction is hard: a free list for each class, then fresh memory. */
struct toy {
	uint64_t *freed[CLASSES_NR];
	size_t nr_freed[CLASSES_NR];
	uint64_t next;
};

struct stream {
	struct rng rng;
	struct toy toy;
	uint64_t keys[KEYS_NR]; /* address << 4 | class of each key's value, 0 if it has none */
	struct tape_event *evs;
	size_t nr, max;
	uint64_t ns;
};

static const uint64_t class_sizes[CLASSES_NR] = { 8, 16, 24, 48, 64, 96, 320, 1024, 16384 };

static void add(struct stream *s, uint8_t kind, uint64_t addr, uint64_t size, uint32_t stack)
{
	if (s->nr == s->max)
		return;
	s->ns += 1200 + rng_below(&s->rng, 1500);
	if (!rng_below(&s->rng, 60))
		s->ns += rng_below(&s->rng, 60000);
	s->evs[s->nr++] = (struct tape_event){ .ns = s->ns, .kind = kind, .addr = addr, .size = size, .tid = STREAM_TID,
					       .cpu = s->nr / 100000 % 2, .stack = stack };
}

static uint64_t get(struct stream *s, unsigned class, uint32_t stack)
{
	struct toy *t = &s->toy;
	uint64_t addr;

	if (t->nr_freed[class]) {
		addr = t->freed[class][--t->nr_freed[class]];
	} else {
		addr = t->next;
		t->next += (class_sizes[class] + 23) & ~15ull;
	}
	add(s, TAPE_MALLOC, addr, class_sizes[class] - rng_below(&s->rng, 3) * (class > 2), stack);
	return addr;
}

static void put(struct stream *s, unsigned class, uint64_t addr)
{
	struct toy *t = &s->toy;

	add(s, TAPE_FREE, addr, 0, 0);
	if (t->nr_freed[class] % 1024 == 0)
		t->freed[class] = realloc(t->freed[class], (t->nr_freed[class] + 1024) * sizeof(uint64_t));
	t->freed[class][t->nr_freed[class]++] = addr;
}

/* One command: its arguments are read, looked at and let go; SET keeps one and lets the old value go. */
static void command(struct stream *s)
{
	uint64_t key = rng_below(&s->rng, KEYS_NR), query = get(s, 8, 1), arg[4];
	bool set = rng_below(&s->rng, 2);
	unsigned nr = set ? 3 : 2;

	for (unsigned i = 0; i < nr; i++)
		arg[i] = get(s, i == 2 ? 6 : 3, 2 + i);
	if (set) {
		if (s->keys[key])
			put(s, 6, s->keys[key]);
		s->keys[key] = arg[2];
		nr--;
	} else {
		uint64_t reply = get(s, 7, 9);

		put(s, 7, reply);
	}
	while (nr)
		put(s, 3, arg[--nr]);
	put(s, 8, query);
}

/* nr events of ascending times; NULL without memory. The caller frees them. */
static struct tape_event *make_stream(size_t nr)
{
	static struct stream s;

	s.rng.state = 1;
	s.toy.next = 0x7f0000000010;
	s.evs = calloc(nr, sizeof(*s.evs));
	s.max = nr;
	while (s.evs && s.nr < nr)
		command(&s);
	for (unsigned i = 0; i < CLASSES_NR; i++)
		free(s.toy.freed[i]);
	return s.evs;
}

#endif
