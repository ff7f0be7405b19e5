/* SPDX-License-Identifier: BSD-2-Clause */
/* test_heap.c - the live set: each event's effect, contradictions, and a long random run against a plain list. */
#include <stdbool.h>

#include "check.h"
#include "formats/heap.h"
#include "random_tape.h"

static struct heap_change apply(struct heap *h, struct tape_event ev)
{
	struct heap_change change;

	CHECK_EQ(heap_apply(h, &ev, &change), 0);
	return change;
}

#define EV(k, ...) ((struct tape_event){ .kind = TAPE_##k, ##__VA_ARGS__ })

static void test_birth_and_death(void)
{
	struct heap *h = heap_new();
	struct heap_object obj;
	struct heap_change c;

	c = apply(h, EV(MALLOC, .addr = 0x1000, .size = 10, .ns = 5, .tid = 7, .stack = 3, .alloc = 1));
	CHECK(c.born && !c.died && !c.implied && !c.unknown);
	CHECK(heap_find(h, 0x1000, &obj));
	CHECK(obj.size == 10 && obj.born_ns == 5 && obj.tid == 7 && obj.stack == 3 && obj.alloc == 1);
	CHECK_EQ(obj.kind, TAPE_MALLOC);
	CHECK(!heap_find(h, 0x1001, &obj));
	apply(h, EV(NEW, .addr = 0x2000, .size = 20));
	CHECK_EQ(heap_live_nbytes(h), 30);
	c = apply(h, EV(DELETE, .addr = 0x1000));
	CHECK(c.died && c.dead.size == 10 && !c.born);
	CHECK_EQ(heap_nr_objects(h), 1);
	CHECK_EQ(heap_live_nbytes(h), 20);
	CHECK_EQ(heap_peak_nbytes(h), 30);
	c = apply(h, EV(FREE, .addr = 0x1000)); /* twice */
	CHECK(c.unknown && !c.died);
	c = apply(h, EV(FREE, .addr = 0)); /* free(NULL) */
	CHECK(!c.unknown && !c.died);
	heap_free(h);
}

static void test_realloc(void)
{
	struct heap *h = heap_new();
	struct heap_change c;

	apply(h, EV(MALLOC, .addr = 0x1000, .size = 10));
	c = apply(h, EV(REALLOC, .addr = 0x1000, .old = 0x1000, .size = 30)); /* in place */
	CHECK(c.born && c.died && c.dead.size == 10 && !c.implied);
	c = apply(h, EV(REALLOC, .addr = 0x3000, .old = 0x1000, .size = 40)); /* moves */
	CHECK(c.born && c.died && c.dead.addr == 0x1000 && c.dead.size == 30);
	CHECK_EQ(heap_live_nbytes(h), 40);
	c = apply(h, EV(REALLOC, .old = 0x3000, .size = 1u << 30, .flags = TAPE_FAILED));
	CHECK(!c.born && !c.died && !c.unknown);
	CHECK_EQ(heap_live_nbytes(h), 40);
	c = apply(h, EV(REALLOC, .addr = 0x5000, .old = 0x4000, .size = 5)); /* of a block nobody saw */
	CHECK(c.born && !c.died && c.unknown);
	c = apply(h, EV(REALLOC, .addr = 0x6000, .size = 6)); /* of NULL */
	CHECK(c.born && !c.died && !c.unknown);
	CHECK_EQ(heap_nr_objects(h), 3);
	heap_free(h);
}

/* Thread 1 gives a block up and gets it back elsewhere; between the two, thread 2 is given the old place. */
static void test_give_up_crossing(void)
{
	struct heap *h = heap_new();
	struct heap_object obj;
	struct heap_change c;

	apply(h, EV(MALLOC, .addr = 0x1000, .size = 10, .tid = 1));
	c = apply(h, EV(GIVE_UP, .addr = 0x1000, .tid = 1));
	CHECK(!c.born && !c.died && !c.implied);
	CHECK_EQ(heap_live_nbytes(h), 10); /* lives until the realloc */
	CHECK_EQ(heap_nr_objects(h), 1);
	CHECK(!heap_find(h, 0x1000, &obj));
	c = apply(h, EV(MALLOC, .addr = 0x1000, .size = 100, .tid = 2));
	CHECK(c.born && !c.implied);
	c = apply(h, EV(REALLOC, .addr = 0x2000, .old = 0x1000, .size = 20, .tid = 1));
	CHECK(c.born && c.died && !c.implied && c.dead.size == 10);
	CHECK(heap_find(h, 0x1000, &obj) && obj.tid == 2);
	CHECK_EQ(heap_live_nbytes(h), 120);
	heap_free(h);
}

static void test_give_up_unfinished(void)
{
	struct heap *h = heap_new();
	struct heap_object obj;
	struct heap_change c;

	apply(h, EV(MALLOC, .addr = 0x1000, .size = 10, .tid = 1));
	apply(h, EV(GIVE_UP, .addr = 0x1000, .tid = 1));
	apply(h, EV(MALLOC, .addr = 0x9000, .size = 1, .tid = 2)); /* another thread's call changes nothing */
	CHECK_EQ(heap_nr_objects(h), 2);
	c = apply(h, EV(MALLOC, .addr = 0x2000, .size = 5, .tid = 1));
	CHECK(c.born && c.implied && c.ended.addr == 0x1000);
	CHECK_EQ(heap_live_nbytes(h), 6);
	/* The realloc fails: the block comes back. */
	apply(h, EV(GIVE_UP, .addr = 0x2000, .tid = 1));
	c = apply(h, EV(REALLOC, .old = 0x2000, .size = 50, .tid = 1, .flags = TAPE_FAILED));
	CHECK(!c.born && !c.died);
	CHECK(heap_find(h, 0x2000, &obj) && obj.size == 5);
	/* Given up, and then a free: both blocks end. */
	apply(h, EV(GIVE_UP, .addr = 0x2000, .tid = 1));
	c = apply(h, EV(FREE, .addr = 0x9000, .tid = 1));
	CHECK(c.died && c.dead.addr == 0x9000 && c.implied && c.ended.addr == 0x2000);
	CHECK_EQ(heap_nr_objects(h), 0);
	CHECK_EQ(heap_live_nbytes(h), 0);
	c = apply(h, EV(GIVE_UP, .addr = 0x7000, .tid = 1)); /* a block nobody saw */
	CHECK(!c.died && !c.unknown);
	c = apply(h, EV(REALLOC, .addr = 0x8000, .old = 0x7000, .size = 8, .tid = 1));
	CHECK(c.born && c.unknown);
	heap_free(h);
}

static void test_contradictions(void)
{
	struct heap *h = heap_new();
	struct heap_change c;

	apply(h, EV(MALLOC, .addr = 0x1000, .size = 10));
	c = apply(h, EV(CALLOC, .addr = 0x1000, .size = 7));
	CHECK(c.born && c.implied && c.ended.size == 10 && !c.died);
	CHECK_EQ(heap_live_nbytes(h), 7);
	c = apply(h, EV(MALLOC, .addr = 0x1000, .size = 99, .flags = TAPE_SUB));
	CHECK(!c.born && !c.implied);
	c = apply(h, EV(MALLOC, .size = 99, .flags = TAPE_FAILED));
	CHECK(!c.born);
	c = apply(h, EV(MMAP, .addr = 0x1000, .size = 4096));
	CHECK(!c.born && !c.died);
	apply(h, EV(GIVE_UP, .addr = 0x1000, .tid = 3));
	apply(h, EV(EXEC));
	CHECK_EQ(heap_nr_objects(h), 0);
	CHECK_EQ(heap_live_nbytes(h), 0);
	c = apply(h, EV(FREE, .addr = 0x1000));
	CHECK(c.unknown);
	heap_free(h);
}

/* What does not fit the packing of ordinary objects must come back all the same. */
static void test_huge_values(void)
{
	struct heap *h = heap_new();
	struct heap_object obj;

	for (unsigned i = 1; i <= 100; i++)
		apply(h, EV(MALLOC, .addr = UINT64_MAX - i * 8, .size = UINT64_MAX / 2 + i, .ns = UINT64_MAX - 1,
			    .tid = UINT32_MAX - i, .stack = UINT32_MAX));
	for (unsigned i = 1; i <= 100; i += 2)
		CHECK(apply(h, EV(FREE, .addr = UINT64_MAX - i * 8)).died);
	for (unsigned i = 201; i <= 260; i++)
		apply(h, EV(MALLOC, .addr = UINT64_MAX - i * 8, .size = 1ull << 40));
	CHECK_EQ(heap_nr_objects(h), 110);
	for (unsigned i = 2; i <= 100; i += 2) {
		CHECK(heap_find(h, UINT64_MAX - i * 8, &obj));
		CHECK(obj.size == UINT64_MAX / 2 + i && obj.tid == UINT32_MAX - i && obj.born_ns == UINT64_MAX - 1);
	}
	heap_free(h);
}

/* ---- against a plain array, indexed by address ---- */

#define MODEL_NR 3000

struct model {
	struct heap_object objs[MODEL_NR]; /* size 0: none */
	uint64_t nr, nbytes;
};

static int check_object(void *arg, const struct heap_object *obj)
{
	const struct model *m = arg;
	const struct heap_object *want = &m->objs[obj->addr / 16 - 1];

	CHECK(want->size == obj->size && want->born_ns == obj->born_ns && want->tid == obj->tid &&
	      want->stack == obj->stack && want->alloc == obj->alloc && want->kind == obj->kind);
	return 0;
}

static void model_step(struct model *m, struct heap *h, struct rng *rng, uint64_t ns)
{
	uint64_t i = rng_below(rng, MODEL_NR);
	struct heap_object *obj = &m->objs[i];
	struct tape_event ev = EV(MALLOC, .addr = (i + 1) * 16, .ns = ns, .tid = (uint32_t)rng_below(rng, 9),
				  .stack = (uint32_t)rng_u64(rng), .size = 1 + rng_below(rng, 1000));
	struct heap_change c;

	if (rng_below(rng, 2))
		ev.kind = TAPE_FREE;
	ev.alloc = (uint8_t)rng_below(rng, 4);
	c = apply(h, ev);
	CHECK_EQ(c.died, ev.kind == TAPE_FREE && obj->size);
	CHECK_EQ(c.unknown, ev.kind == TAPE_FREE && !obj->size);
	CHECK_EQ(c.implied, ev.kind == TAPE_MALLOC && obj->size);
	m->nr -= obj->size != 0;
	m->nbytes -= obj->size;
	*obj = (struct heap_object){ 0 };
	if (ev.kind == TAPE_MALLOC) {
		*obj = (struct heap_object){ ev.addr, ev.size, ev.ns, ev.tid, ev.stack, ev.alloc, ev.kind, false };
		m->nr++;
		m->nbytes += ev.size;
	}
}

static void test_against_model(struct rng *rng)
{
	static struct model m;
	struct heap *h = heap_new();

	for (uint64_t i = 0; i < 300000; i++) {
		model_step(&m, h, rng, i);
		CHECK_EQ(heap_nr_objects(h), m.nr);
		CHECK_EQ(heap_live_nbytes(h), m.nbytes);
	}
	CHECK_EQ(heap_each(h, check_object, &m), 0);
	heap_free(h);
}

int main(void)
{
	struct rng rng = rng_seeded("test_heap");

	test_birth_and_death();
	test_realloc();
	test_give_up_crossing();
	test_give_up_unfinished();
	test_contradictions();
	test_huge_values();
	test_against_model(&rng);
	return check_done();
}
