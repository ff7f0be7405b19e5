/* SPDX-License-Identifier: BSD-2-Clause */
/* Plans of random tapes are sound in every schedule tried; special events become what they should. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "../replay/tape_maker.h"
#include "check.h"
#include "formats/keyframe.h"
#include "plan_sim.h"
#include "random_tape.h"

#define NR_TAPES 40
#define NR_SCHEDULES 3
#define CHECKPOINTS 20

static char tape_path[64];

static struct tape_reader *open_tape(void)
{
	struct tape_reader *r = NULL;
	int err = tape_reader_open(tape_path, NULL, &r);
	if (err)
		maker_die(tape_path, err);
	return r;
}

static struct plan build(enum plan_order order, enum plan_touch touch)
{
	struct plan_opts opts = { .order = order, .touch = touch, .nr_checkpoints = CHECKPOINTS };
	struct plan plan;
	struct tape_reader *r = open_tape();
	int err = plan_build(r, &opts, &plan);
	CHECK_EQ(err, 0);
	tape_reader_close(r);
	if (err)
		exit(check_done());
	return plan;
}

/* Threads that come and go, and pass objects on: everything that makes waits. */
static void make_random_tape(uint64_t seed)
{
	struct maker m;
	maker_open(&m, tape_path, seed, 2);
	uint32_t nr = 1 + (uint32_t)maker_below(&m, 64), tids[64] = { MAKER_PID }, next_tid = MAKER_PID + 1, alive = 1;
	unsigned share = (unsigned)maker_below(&m, 257);
	uint64_t live = 1 + maker_below(&m, 3000), nr_calls = 2000 + maker_below(&m, 20000);
	m.step_ns = 1 + maker_below(&m, 50000);
	while (m.nr_calls < nr_calls) {
		uint64_t dice = maker_below(&m, 400);
		if (alive < nr && dice < 8) {
			tids[alive++] = next_tid;
			if (dice < 6) /* else it is first seen in a call, as on a late attach */
				maker_thread_start(&m, next_tid);
			next_tid++;
		} else if (alive > 1 && dice == 8) {
			uint32_t i = 1 + (uint32_t)maker_below(&m, alive - 1);
			maker_thread_exit(&m, tids[i]);
			tids[i] = tids[--alive];
		}
		m.cpu = (uint16_t)maker_below(&m, 2);
		maker_step(&m, tids[maker_below(&m, alive)], live, share);
	}
	maker_close(&m);
}

static void test_random_tapes(uint64_t seed)
{
	for (uint64_t i = 0; i < NR_TAPES; i++) {
		unsigned failed_before = check_nr_failed;
		make_random_tape(seed + i);
		struct plan deps = build(PLAN_ORDER_DEPS, PLAN_TOUCHING_FAULTS);
		struct plan strict = build(PLAN_ORDER_STRICT, PLAN_TOUCHING_FAULTS);
		for (uint64_t k = 0; k < NR_SCHEDULES; k++) {
			sim_run(&deps, seed + i * NR_SCHEDULES + k);
			sim_run(&strict, seed + i * NR_SCHEDULES + k);
		}
		for (uint32_t c = 0; c < CHECKPOINTS; c++) {
			CHECK_EQ(deps.checkpoints[c].live_nbytes, strict.checkpoints[c].live_nbytes);
			CHECK_EQ(deps.checkpoints[c].live_nr, strict.checkpoints[c].live_nr);
		}
		CHECK_EQ(deps.facts.nr_planned, strict.facts.nr_planned);
		CHECK_EQ(deps.facts.nr_implied_frees, 0);
		plan_free(&deps);
		plan_free(&strict);
		if (check_nr_failed == failed_before)
			continue;
		fprintf(stderr, "the first failing tape has seed %" PRIu64 "\n", seed + i);
		return;
	}
}

/* ---- single events ---- */

#define A (MAKER_HEAP + 0x1000)
#define B (MAKER_HEAP + 0x2000)
#define C (MAKER_HEAP + 0x3000)

static void open_small(struct maker *m)
{
	maker_open(m, tape_path, 1, 2);
}

static void call(struct maker *m, uint32_t tid, uint8_t kind, uint64_t addr, uint64_t size, uint64_t old, uint8_t flags)
{
	maker_event(m, (struct tape_event){ .kind = kind, .tid = tid, .addr = addr, .size = size, .old = old,
					    .flags = flags });
}

static struct plan finish_small(struct maker *m)
{
	maker_close(m);
	struct plan plan = build(PLAN_ORDER_DEPS, PLAN_TOUCHING_FAULTS);
	sim_run(&plan, 1);
	return plan;
}

static void test_left_out(void)
{
	struct maker m;
	open_small(&m);
	call(&m, MAKER_PID, TAPE_MALLOC, A, 100, 0, 0);
	call(&m, MAKER_PID, TAPE_MALLOC, 0, 1ull << 50, 0, TAPE_FAILED);
	call(&m, MAKER_PID, TAPE_MALLOC, A + 16, 10, 0, TAPE_SUB);
	call(&m, MAKER_PID, TAPE_FREE, A + 16, 0, 0, TAPE_SUB);
	call(&m, MAKER_PID, TAPE_FREE, B, 0, 0, TAPE_UNKNOWN);
	call(&m, MAKER_PID, TAPE_REALLOC, B, 50, B + 4096, TAPE_UNKNOWN);
	call(&m, MAKER_PID, TAPE_REALLOC, 0, 1ull << 50, A, TAPE_FAILED);
	call(&m, MAKER_PID, TAPE_STEER, 0, 0, 0, 0);
	struct plan plan = finish_small(&m);
	CHECK_EQ(plan.facts.nr_failed, 2);
	CHECK_EQ(plan.facts.nr_sub, 2);
	CHECK_EQ(plan.facts.nr_unknown_frees, 1);
	CHECK_EQ(plan.facts.nr_unknown_reallocs, 1);
	CHECK_EQ(plan.facts.nr_steers, 1);
	CHECK_EQ(plan.facts.nr_planned, 2);
	CHECK_EQ(plan.facts.live_nbytes, 150);
	plan_free(&plan);
}

static void test_implied_free(void)
{
	struct maker m;
	open_small(&m);
	call(&m, MAKER_PID, TAPE_MALLOC, A, 100, 0, 0);
	call(&m, MAKER_PID + 1, TAPE_MALLOC, A, 30, 0, TAPE_IMPLIED_FREE);
	struct plan plan = finish_small(&m);
	CHECK_EQ(plan.facts.nr_implied_frees, 1);
	CHECK_EQ(plan.facts.live_nbytes, 30);
	CHECK_EQ(plan.facts.nr_planned, 2);
	plan_free(&plan);
}

/* Another thread gets the block before the realloc that gave it up is seen to return. */
static void test_realloc_race(void)
{
	struct maker m;
	open_small(&m);
	call(&m, MAKER_PID, TAPE_MALLOC, A, 100, 0, 0);
	call(&m, MAKER_PID, TAPE_GIVE_UP, A, 0, 0, 0);
	call(&m, MAKER_PID + 1, TAPE_MALLOC, A, 30, 0, 0);
	call(&m, MAKER_PID, TAPE_REALLOC, B, 200, A, 0);
	struct plan plan = finish_small(&m);
	CHECK_EQ(plan.facts.nr_implied_frees, 0);
	CHECK_EQ(plan.head.nr_calls[PLAN_REALLOC], 1);
	CHECK_EQ(plan.facts.live_nbytes, 230);
	plan_free(&plan);

	open_small(&m); /* the realloc failed: the object lives on */
	call(&m, MAKER_PID, TAPE_MALLOC, A, 100, 0, 0);
	call(&m, MAKER_PID, TAPE_GIVE_UP, A, 0, 0, 0);
	call(&m, MAKER_PID + 1, TAPE_MALLOC, B, 30, 0, 0);
	call(&m, MAKER_PID, TAPE_REALLOC, 0, 200, A, TAPE_FAILED);
	call(&m, MAKER_PID + 1, TAPE_FREE, A, 0, 0, 0);
	plan = finish_small(&m);
	CHECK_EQ(plan.facts.nr_unknown_frees, 0);
	CHECK_EQ(plan.facts.live_nbytes, 30);
	plan_free(&plan);
}

static void test_exec(void)
{
	struct maker m;
	open_small(&m);
	call(&m, MAKER_PID, TAPE_MALLOC, A, 100, 0, 0);
	call(&m, MAKER_PID, TAPE_EXEC, 0, 0, 0, 0);
	call(&m, MAKER_PID, TAPE_MALLOC, A, 30, 0, 0);
	struct plan plan = finish_small(&m);
	CHECK_EQ(plan.facts.nr_execs, 1);
	CHECK_EQ(plan.facts.nr_planned, 1);
	CHECK_EQ(plan.facts.live_nbytes, 30);
	CHECK_EQ(plan.facts.first_ns, 2000);
	plan_free(&plan);
}

/* mmap of a stack, calloc of its table, start: the calloc is the thread library's. A like one of the program is not. */
static void test_thread_library_calls(void)
{
	struct maker m;
	open_small(&m);
	call(&m, MAKER_PID, TAPE_CALLOC, B, 272, 0, 0);
	maker_event(&m, (struct tape_event){ .kind = TAPE_MMAP, .tid = MAKER_PID, .addr = 1ull << 40, .size = 8 << 20,
					     .arg = 3 | 0x20022ull << 32 });
	call(&m, MAKER_PID, TAPE_CALLOC, A, 272, 0, 0);
	maker_thread_start(&m, MAKER_PID + 1);
	call(&m, MAKER_PID + 1, TAPE_MALLOC, C, 10, 0, 0);
	maker_thread_exit(&m, MAKER_PID + 1);
	call(&m, MAKER_PID, TAPE_FREE, A, 0, 0, 0);
	struct plan plan = finish_small(&m);
	CHECK_EQ(plan.facts.nr_own_calls, 2);
	CHECK_EQ(plan.facts.nr_planned, 2);
	CHECK_EQ(plan.facts.live_nbytes, 282);
	CHECK_EQ(plan.head.nr_threads, 2);
	CHECK(!plan.facts.own_calls_assumed);
	plan_free(&plan);

	open_small(&m); /* neither stacks nor mappings: by size, and only right before the start */
	call(&m, MAKER_PID, TAPE_CALLOC, B, 272, 0, 0);
	call(&m, MAKER_PID, TAPE_MALLOC, C, 10, 0, 0);
	call(&m, MAKER_PID, TAPE_CALLOC, A, 272, 0, 0);
	maker_thread_start(&m, MAKER_PID + 1);
	plan = finish_small(&m);
	CHECK_EQ(plan.facts.nr_own_calls, 1);
	CHECK(plan.facts.own_calls_assumed);
	CHECK_EQ(plan.facts.live_nbytes, 282);
	plan_free(&plan);
}

/* A free that follows its birth in another thread waits; one that another wait implies does not. */
static void test_waits_are_reduced(void)
{
	struct maker m;
	open_small(&m);
	maker_thread_start(&m, MAKER_PID + 1);
	maker_thread_start(&m, MAKER_PID + 2);
	call(&m, MAKER_PID, TAPE_MALLOC, A, 10, 0, 0);
	call(&m, MAKER_PID, TAPE_MALLOC, B, 10, 0, 0);
	call(&m, MAKER_PID + 1, TAPE_FREE, B, 0, 0, 0); /* waits for the first thread */
	call(&m, MAKER_PID + 1, TAPE_MALLOC, B, 10, 0, 0);
	call(&m, MAKER_PID + 2, TAPE_FREE, B, 0, 0, 0); /* waits for the second */
	call(&m, MAKER_PID + 2, TAPE_FREE, A, 0, 0, 0); /* and thereby for the first */
	maker_close(&m);
	/* One checkpoint, so that all of it lies in one window. */
	struct plan_opts opts = { .nr_checkpoints = 1 };
	struct plan plan;
	struct tape_reader *r = open_tape();
	CHECK_EQ(plan_build(r, &opts, &plan), 0);
	tape_reader_close(r);
	sim_run(&plan, 1);
	CHECK_EQ(plan.facts.nr_waits, 2);
	CHECK_EQ(plan.facts.nr_waits_dropped, 1);
	plan_free(&plan);
}

static void test_steady_placement(void)
{
	struct maker m;
	open_small(&m);
	m.step_ns = 1000000; /* a call each ms */
	for (int i = 0; i < 100; i++) {
		m.cpu = i == 40 || i == 41 || i >= 60; /* a stay of 2 ms, then a move for good */
		maker_birth(&m, MAKER_PID, TAPE_MALLOC, 10, 0);
	}
	struct plan plan = finish_small(&m);
	CHECK_EQ(plan.facts.nr_moves_dropped, 1);
	CHECK_EQ(plan.facts.nr_moves, 3);
	plan_free(&plan);
}

static void test_touch_by_faults(void)
{
	struct maker m;
	open_small(&m);
	const uint64_t size = 1 << 20, base = MAKER_HEAP;
	maker_event(&m, (struct tape_event){ .kind = TAPE_MMAP, .tid = MAKER_PID, .addr = base, .size = 1 << 24 });
	call(&m, MAKER_PID, TAPE_MALLOC, base, size, 0, 0);
	for (uint64_t off = 0; off < size / 4; off += 4096)
		maker_event(&m, (struct tape_event){ .kind = TAPE_FAULT, .tid = MAKER_PID, .addr = base + off });
	call(&m, MAKER_PID, TAPE_FREE, base, 0, 0, 0);
	call(&m, MAKER_PID, TAPE_MALLOC, base, size, 0, 0); /* finds a quarter of its pages in memory */
	call(&m, MAKER_PID, TAPE_FREE, base, 0, 0, 0);
	maker_event(&m, (struct tape_event){ .kind = TAPE_MADVISE, .tid = MAKER_PID, .addr = base, .size = size, .arg = 4 });
	call(&m, MAKER_PID, TAPE_MALLOC, base, size, 0, 0); /* finds none */
	call(&m, MAKER_PID, TAPE_MALLOC, base + (1ull << 30), size, 0, 0); /* nobody saw that mapped: all may be in */
	struct plan plan = finish_small(&m);
	CHECK_EQ(plan.facts.touched.known, size / 4);
	CHECK_EQ(plan.facts.touched.assumed, size / 4 + size);
	CHECK_EQ(plan.facts.touched.untouched, size * 3 / 4 + size * 3 / 4 + size);
	CHECK_EQ(plan.facts.peak_touched_nbytes, size);
	plan_free(&plan);
}

static void test_trap_cost(void)
{
	struct maker m;
	open_small(&m);
	tape_writer_meta_u64(m.w, "record.trap_ns", 600);
	m.step_ns = 1000;
	for (int i = 0; i < 100000; i++)
		maker_step(&m, MAKER_PID, 100, 0);
	struct plan plan = finish_small(&m);
	/* 100 ms recorded, 0.6 us of each 1 us were the traps'. */
	const struct plan_checkpoint *last = &plan.checkpoints[CHECKPOINTS - 1];
	CHECK(last->clock_ns > 39000000 && last->clock_ns < 41000000);
	for (int i = 1; i < CHECKPOINTS; i++)
		CHECK(plan.checkpoints[i].clock_ns >= plan.checkpoints[i - 1].clock_ns);
	plan_free(&plan);
}

static void test_losses_are_told(void)
{
	struct maker m;
	open_small(&m);
	call(&m, MAKER_PID, TAPE_MALLOC, A, 100, 0, 0);
	m.ns = 5000;
	maker_event(&m, (struct tape_event){ .kind = TAPE_LOST, .size = 7, .old = 4000 });
	maker_event(&m, (struct tape_event){ .kind = TAPE_LOST, .size = 3, .old = 5500 });
	struct plan plan = finish_small(&m);
	CHECK_EQ(plan.facts.nr_lost, 10);
	CHECK_EQ(plan.facts.lost_from_ns, 4000);
	CHECK_EQ(plan.facts.lost_to_ns, 7000);
	plan_free(&plan);
}

/* Events that contradict each other and the world: any plan will do, if it is sound. */
static void test_contradictory_tapes(uint64_t seed)
{
	for (uint64_t i = 0; i < NR_TAPES * 2; i++) {
		struct rng rng = { seed + i };
		struct random_style style = { .nr_addrs = i % 3 == 2 ? 0 : 1 + rng_below(&rng, 200), .nr_threads = 1 + i % 20,
					      .step_ns_max = i % 2 ? 100000 : 0, .any_field = i % 4 == 1 };
		struct maker m;
		maker_open(&m, tape_path, 1, 2);
		maker_birth(&m, MAKER_PID, TAPE_MALLOC, 100, 0);
		struct tape_event ev = { .ns = m.ns };
		for (int k = 0; k < 3000; k++) {
			ev = random_event(&rng, &style, ev.ns);
			ev.stack = TAPE_NO_STACK;
			if (ev.kind == TAPE_EXEC && rng_below(&rng, 50))
				ev.kind = TAPE_RSS;
			int err = tape_writer_add(m.w, &ev);
			if (err)
				maker_die("adding a random event", err);
		}
		m.ns = ev.ns;
		maker_birth(&m, MAKER_PID, TAPE_MALLOC, 100, 0);
		maker_close(&m);
		struct plan plan = build(i % 2 ? PLAN_ORDER_DEPS : PLAN_ORDER_STRICT, PLAN_TOUCHING_FAULTS);
		unsigned failed_before = check_nr_failed;
		sim_run(&plan, seed);
		plan_free(&plan);
		if (check_nr_failed != failed_before) {
			fprintf(stderr, "the contradictory tape has seed %" PRIu64 "\n", seed + i);
			return;
		}
	}
}

/* A tape that starts with a keyframe: its objects are made before the first call, in every schedule, and freed as others. */
static void test_kept_objects(uint64_t seed)
{
	for (unsigned order = 0; order < 2; order++) {
		struct tape_writer *w;
		struct heap *heap = heap_new();
		struct keyframe k;
		uint32_t nr_freed = 0;

		unlink(tape_path);
		CHECK_EQ(tape_writer_open(tape_path, NULL, &w), 0);
		CHECK_EQ(tape_writer_meta_u64(w, "target.pid", MAKER_PID), 0);
		for (unsigned i = 0; i < 500; i++) {
			struct tape_event ev = { .ns = 1000 * (i * 7919 % 500), .kind = i % 5 ? TAPE_MALLOC : TAPE_REALLOC, .addr = 0x10000 + i * 64,
						 .size = 40, .tid = MAKER_PID + i % 3 };
			CHECK_EQ(heap_apply(heap, &ev, NULL), 0);
		}
		/* Given up by a realloc that is under way; another has taken the address. */
		CHECK_EQ(heap_apply(heap, &(struct tape_event){ .kind = TAPE_GIVE_UP, .addr = 0x10000 + 64, .tid = MAKER_PID + 1 }, NULL), 0);
		CHECK_EQ(heap_apply(heap, &(struct tape_event){ .kind = TAPE_MALLOC, .addr = 0x10000 + 64, .size = 8, .tid = MAKER_PID }, NULL), 0);
		CHECK_EQ(tape_writer_segment(w, 5000000, NULL), 0);
		CHECK_EQ(keyframe_encode(heap, NULL, 5000000, 1000, &k), 0);
		CHECK_EQ(tape_writer_keyframe(w, k.blocks.data, k.blocks.nbytes, k.stacks, k.nr_stacks), 0);
		keyframe_free(&k);
		heap_free(heap);
		CHECK_EQ(tape_writer_add(w, &(struct tape_event){ .ns = 6000000, .kind = TAPE_REALLOC, .old = 0x10000 + 64, .addr = 0x9000,
								  .size = 80, .tid = MAKER_PID + 1 }), 0);
		for (unsigned i = 1; i < 500; i += 2, nr_freed++)
			CHECK_EQ(tape_writer_add(w, &(struct tape_event){ .ns = 7000000 + i * 1000, .kind = TAPE_FREE, .addr = 0x10000 + i * 64,
									  .tid = MAKER_PID + 2 * (i % 3 == 0) }), 0);
		CHECK_EQ(tape_writer_close(w), 0);
		struct plan plan = build(order ? PLAN_ORDER_DEPS : PLAN_ORDER_STRICT, PLAN_TOUCHING_FAULTS);
		CHECK_EQ(plan.facts.nr_kept, 501);
		CHECK_EQ(plan.facts.first_ns, 5000000);
		CHECK_EQ(plan.facts.nr_unknown_frees, 0);
		CHECK_EQ(plan.facts.nr_unknown_reallocs, 0);
		CHECK_EQ(plan.facts.nr_implied_frees, 0);
		CHECK_EQ(plan.facts.nr_live, 501 - nr_freed);
		sim_run(&plan, seed);
		plan_free(&plan);
	}
}

static void test_empty_tape(void)
{
	struct maker m;
	struct plan plan;
	struct plan_opts opts = { 0 };
	open_small(&m);
	maker_close(&m);
	struct tape_reader *r = open_tape();
	CHECK_EQ(plan_build(r, &opts, &plan), -ENODATA);
	tape_reader_close(r);
}

int main(void)
{
	const char *given = getenv("HEAPTAPE_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	printf("HEAPTAPE_SEED=%" PRIu64 "\n", seed);
	snprintf(tape_path, sizeof(tape_path), "/tmp/test_plan-%d.tape", (int)getpid());
	test_left_out();
	test_implied_free();
	test_realloc_race();
	test_exec();
	test_thread_library_calls();
	test_waits_are_reduced();
	test_steady_placement();
	test_touch_by_faults();
	test_trap_cost();
	test_losses_are_told();
	test_kept_objects(seed);
	test_empty_tape();
	test_contradictory_tapes(seed);
	test_random_tapes(seed);
	unlink(tape_path);
	return check_done();
}
