/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_ring.c - hours of churn at speed into a small ring: at any moment its files are within their size, and what remains
 * gives, from its keyframe on, the live set of the whole recording at the same times; also when the recorder is killed.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "check.h"
#include "formats/heap.h"
#include "message.h"
#include "random_tape.h"
#include "record/ring.h"

#define SLOTS_NR 8000
#define STEP_NS 20000000u /* 50 calls a second */
#define THREADS_NR 4
#define EVENTS_A_STEP 100
#define NAMES_NR 10
#define PAGE_NBYTES 4096

struct program {
	struct rng rng;
	uint32_t size[SLOTS_NR]; /* 0: free */
	uint32_t given[THREADS_NR]; /* slot that the thread's realloc has given up, plus 1 */
	unsigned nr;
	uint64_t i;
};

static uint64_t addr_of(unsigned slot)
{
	return 0x7f0000000000u + slot * 64u;
}

static struct tape_event call(struct program *p, uint8_t kind, unsigned thread)
{
	return (struct tape_event){ .kind = kind, .tid = 100 + thread, .alloc = 0, .ns = p->i * STEP_NS };
}

/* Mappings, threads and sub-allocations come and go, in few places so that they meet. */
static struct tape_event next_fact(struct program *p)
{
	static const uint8_t kinds[] = { TAPE_MMAP, TAPE_MMAP, TAPE_MUNMAP, TAPE_MREMAP, TAPE_BRK, TAPE_THREAD_START, TAPE_THREAD_START,
					 TAPE_THREAD_NAME, TAPE_THREAD_EXIT, TAPE_MALLOC, TAPE_MALLOC, TAPE_FREE };
	struct tape_event ev = call(p, kinds[rng_below(&p->rng, sizeof(kinds))], 0);

	ev.tid = 1000 + (uint32_t)rng_below(&p->rng, 50);
	if (ev.kind >= TAPE_THREAD_START) {
		ev.alloc = TAPE_NO_ALLOC;
		ev.arg = ev.kind == TAPE_THREAD_EXIT ? 0 : 1 + rng_below(&p->rng, NAMES_NR);
		return ev;
	}
	ev.addr = 0x550000000000u + 4096 * rng_below(&p->rng, 100);
	if (ev.kind < TAPE_MMAP) {
		ev.flags = TAPE_SUB;
		ev.size = ev.kind == TAPE_FREE ? 0 : 1 + rng_below(&p->rng, 100);
		return ev;
	}
	ev.size = ev.kind == TAPE_BRK ? 0 : 1 + rng_below(&p->rng, 40000);
	ev.flags = (uint8_t)(rng_below(&p->rng, 4) << TAPE_BY_SHIFT);
	ev.arg = ev.kind == TAPE_MMAP ? rng_below(&p->rng, 3) : ev.kind == TAPE_MREMAP ? 8192 : 0;
	if (ev.kind == TAPE_MREMAP)
		ev.old = 0x550000000000u + 4096 * rng_below(&p->rng, 100);
	return ev;
}

/* The number of objects swings; a realloc's two parts stand apart now and then. */
static struct tape_event next_call(struct program *p)
{
	unsigned slot = (unsigned)rng_below(&p->rng, SLOTS_NR), thread = (unsigned)rng_below(&p->rng, THREADS_NR);
	unsigned wanted = p->i / 60000 % 2 ? 300 : 5000;
	struct tape_event ev;

	p->i++;
	if (!rng_below(&p->rng, 20))
		return next_fact(p);
	if (p->given[thread]) {
		ev = call(p, TAPE_REALLOC, thread);
		ev.old = addr_of(p->given[thread] - 1);
		p->given[thread] = 0;
		while (p->size[slot])
			slot = (slot + 1) % SLOTS_NR;
		ev.addr = addr_of(slot);
		ev.size = p->size[slot] = 1 + (uint32_t)rng_below(&p->rng, 500);
		p->nr++;
		return ev;
	}
	if (p->size[slot] && (p->nr > wanted || rng_below(&p->rng, 2))) {
		bool gives = !rng_below(&p->rng, 50);

		ev = call(p, gives ? TAPE_GIVE_UP : TAPE_FREE, thread);
		ev.addr = addr_of(slot);
		if (gives)
			p->given[thread] = slot + 1;
		p->size[slot] = 0;
		p->nr--;
		return ev;
	}
	for (unsigned i = 0; p->size[slot] && i < SLOTS_NR - 10; i++)
		slot = (slot + 1) % SLOTS_NR;
	ev = call(p, TAPE_MALLOC, thread);
	ev.addr = addr_of(slot);
	p->nr += !p->size[slot];
	ev.size = p->size[slot] = 1 + (uint32_t)rng_below(&p->rng, 500);
	return ev;
}

/* ---- what is there ---- */

static uint64_t folder_nbytes(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	struct stat st;
	uint64_t nbytes = 0;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.' && fstatat(dirfd(dir), e->d_name, &st, 0) == 0)
			nbytes += (uint64_t)st.st_size;
	if (dir)
		closedir(dir);
	return nbytes;
}

struct facts {
	struct tape_event evs[2000];
	size_t nr;
};

static int keep_fact(void *arg, const struct tape_event *ev)
{
	struct facts *f = arg;

	f->evs[f->nr++ % 2000] = *ev;
	return 0;
}

static int compare_facts(const void *a, const void *b)
{
	const struct tape_event *x = a, *y = b;

	return x->kind != y->kind ? x->kind - y->kind : x->tid != y->tid ? (int)x->tid - (int)y->tid : (x->addr > y->addr) - (x->addr < y->addr);
}

/* Threads come in any order; all else and all of each must be equal. */
static void check_state(const struct state *got, const struct state *want)
{
	static struct facts g, w;

	g.nr = w.nr = 0;
	state_each(got, keep_fact, &g);
	state_each(want, keep_fact, &w);
	CHECK_EQ(g.nr, w.nr);
	CHECK(w.nr < 2000);
	qsort(g.evs, g.nr, sizeof(*g.evs), compare_facts);
	qsort(w.evs, w.nr, sizeof(*w.evs), compare_facts);
	for (size_t i = 0; i < w.nr; i++) {
		if (same_event(&g.evs[i], &w.evs[i]))
			continue;
		print_event("got ", &g.evs[i]);
		print_event("want", &w.evs[i]);
		CHECK(!"the state of the ring's remainder is the program's");
		return;
	}
}

/* Replays what remains beside the whole program. Returns the number of calls read. */
static uint64_t check_ring(const char *path, uint64_t seed, bool complete)
{
	struct program *p = calloc(1, sizeof(*p));
	struct heap *heap = heap_new(), *want = heap_new();
	struct state *state = state_new(PAGE_NBYTES), *want_state = state_new(PAGE_NBYTES);
	struct tape_reader *r = NULL;
	struct tape_event ev, truth = { 0 };
	uint64_t nr = 0;
	int got;

	p->rng.state = seed;
	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	while (r && (got = tape_reader_next(r, &ev)) == 1) {
		if (!(ev.flags & TAPE_KEPT)) {
			if (!nr++) /* up to where the ring begins; from there on both must agree after each call */
				while (truth = next_call(p), truth.ns < ev.ns) {
					heap_apply(want, &truth, NULL);
					state_apply(want_state, &truth);
				}
			else
				truth = next_call(p);
			if (!same_event(&ev, &truth)) {
				CHECK(!"the ring's events are the program's");
				break;
			}
			heap_apply(want, &truth, NULL);
			state_apply(want_state, &truth);
		}
		heap_apply(heap, &ev, NULL);
		state_apply(state, &ev);
		if (nr == 1)
			check_state(state, want_state);
		if (nr)
			CHECK(heap_nr_objects(heap) == heap_nr_objects(want) && heap_live_nbytes(heap) == heap_live_nbytes(want));
	}
	CHECK_EQ(r ? got : 0, 0);
	if (complete)
		CHECK(r && tape_reader_complete(r));
	check_state(state, want_state);
	for (uint32_t id = 1; r && id <= NAMES_NR && nr; id++) /* names of threads that started long ago are there too */
		CHECK(tape_reader_string(r, id) || nr < 1000);
	tape_reader_close(r);
	heap_free(heap);
	heap_free(want);
	state_free(state);
	state_free(want_state);
	free(p);
	return nr;
}

static void remove_folder(const char *path)
{
	char command[1200];

	snprintf(command, sizeof(command), "rm -rf '%s' '%s'.[0-9]*", path, path);
	CHECK_EQ(system(command), 0);
}

/* ---- recording ---- */

struct recording {
	struct program program;
	struct ring *ring;
	struct tape_writer *w;
	struct heap *heap;
	struct state *state;
	unsigned nr_busy; /* steps in a row */
};

static void start(struct recording *rec, const char *path, const struct ring_opts *opts, uint64_t seed)
{
	struct tape_writer_opts wo = { .time_unit_ns = 1 };
	char file[600], name[32];

	memset(rec, 0, sizeof(*rec));
	rec->program.rng.state = seed;
	rec->heap = heap_new();
	rec->state = state_new(PAGE_NBYTES);
	CHECK_EQ(ring_open(path, opts, false, &rec->ring), 0);
	ring_prepare(rec->ring, &wo, file, sizeof(file));
	CHECK_EQ(tape_writer_open(file, &wo, &rec->w), 0);
	CHECK_EQ(tape_writer_meta(rec->w, "target.exe", "/bin/churn"), 0);
	for (uint32_t id, i = 1; i <= NAMES_NR; i++) {
		snprintf(name, sizeof(name), "thread %u", i);
		CHECK_EQ(tape_writer_string(rec->w, name, &id), 0);
		CHECK_EQ(id, i);
	}
}

static void record(struct recording *rec, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		struct tape_event ev = next_call(&rec->program);

		heap_apply(rec->heap, &ev, NULL);
		state_apply(rec->state, &ev);
		CHECK_EQ(tape_writer_add(rec->w, &ev), 0);
	}
	CHECK_EQ(ring_step(rec->ring, rec->w, rec->heap, rec->state, rec->program.i * STEP_NS), 0);
	/* The program's time runs thousands of times faster than that of the copy which makes the keyframe. */
	rec->nr_busy = ring_is_busy(rec->ring) ? rec->nr_busy + 1 : 0;
	while (rec->nr_busy > 10 && ring_is_busy(rec->ring)) {
		usleep(500);
		CHECK_EQ(ring_step(rec->ring, rec->w, rec->heap, rec->state, rec->program.i * STEP_NS), 0);
	}
}

static void stop(struct recording *rec)
{
	CHECK_EQ(ring_finish(rec->ring, rec->w), 0);
	CHECK_EQ(tape_writer_close(rec->w), 0);
	ring_free(rec->ring);
	heap_free(rec->heap);
	state_free(rec->state);
}

static void test_hours_of_churn(uint64_t seed)
{
	struct ring_opts opts = { .nbytes = RING_LEAST_NBYTES };
	const char *path = temp_tape();
	struct recording rec;
	char copy[600];
	uint64_t most = 0, keyframes;

	start(&rec, path, &opts, seed);
	for (unsigned step = 0; step < 12000; step++) { /* 6 hours and 40 minutes */
		uint64_t nbytes;

		record(&rec, EVENTS_A_STEP);
		nbytes = folder_nbytes(path);
		CHECK(nbytes <= opts.nbytes);
		CHECK_EQ(nbytes, ring_nbytes(rec.ring));
		most = nbytes > most ? nbytes : most;
		if (step % 3000 == 2999) {
			CHECK_EQ(tape_writer_flush(rec.w), 0);
			CHECK(check_ring(path, seed, false) > 50000);
		}
	}
	CHECK_EQ(ring_limit(rec.ring), opts.nbytes);
	CHECK(most > opts.nbytes * 3 / 4);
	keyframes = ring_keyframe_nbytes(rec.ring);
	/* They cost 10 % at most; the last one's segment is not full yet. */
	CHECK((keyframes - keyframes / ring_nr_keyframes(rec.ring)) * 10 <= tape_writer_bytes(rec.w));
	printf("%" PRIu64 " keyframes, %.1f %% of %" PRIu64 " bytes\n", ring_nr_keyframes(rec.ring),
	       100.0 * (double)keyframes / (double)tape_writer_bytes(rec.w), tape_writer_bytes(rec.w));
	CHECK_EQ(ring_dump(rec.ring, rec.w, RING_SIGNAL), 0);
	record(&rec, EVENTS_A_STEP);
	stop(&rec);
	CHECK(check_ring(path, seed, true) > 50000);
	snprintf(copy, sizeof(copy), "%s.1.signal", path);
	CHECK(check_ring(copy, seed, true) > 50000);
	remove_folder(path);
}

static void test_keep(uint64_t seed)
{
	struct ring_opts opts = { .nbytes = 64 << 20, .keep_ns = 600000000000 };
	const char *path = temp_tape();
	struct recording rec;
	uint64_t nr;

	start(&rec, path, &opts, seed);
	for (unsigned step = 0; step < 3000; step++)
		record(&rec, EVENTS_A_STEP);
	stop(&rec);
	nr = check_ring(path, seed, true) * (STEP_NS / 1000000) / 1000; /* seconds */
	CHECK(nr >= 600 && nr < 600 * 5 / 4);
	remove_folder(path);
}

/* Without a ring: one file, a keyframe every minute. */
static void test_one_file(uint64_t seed)
{
	struct ring_opts opts = { .period_ns = 60000000000 };
	const char *path = temp_tape();
	struct recording rec;

	start(&rec, path, &opts, seed);
	for (unsigned step = 0; step < 1000; step++)
		record(&rec, EVENTS_A_STEP);
	CHECK(ring_nr_keyframes(rec.ring) > 25);
	stop(&rec);
	CHECK_EQ(check_ring(path, seed, true), 1000 * EVENTS_A_STEP);
	remove_folder(path);
}

static void test_killed(uint64_t seed, struct rng *rng)
{
	struct ring_opts opts = { .nbytes = RING_LEAST_NBYTES };
	unsigned kills = getenv("RING_KILLS") ? (unsigned)atoi(getenv("RING_KILLS")) : 10;

	for (unsigned run = 0; run < kills; run++) {
		const char *path = temp_tape();
		pid_t pid = fork();
		struct recording rec;

		if (pid == 0) {
			start(&rec, path, &opts, seed);
			for (;;) {
				record(&rec, EVENTS_A_STEP);
				tape_writer_flush(rec.w);
			}
		}
		usleep(50000 + (unsigned)rng_below(rng, 900000));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		CHECK(check_ring(path, seed, false) > 0);
		CHECK(folder_nbytes(path) <= opts.nbytes);
		remove_folder(path);
	}
}

int main(void)
{
	struct rng rng = rng_seeded("test_ring");
	uint64_t seed = rng_u64(&rng);

	message_level = -1;
	test_hours_of_churn(seed);
	test_keep(seed);
	test_one_file(seed);
	test_killed(seed, &rng);
	return check_done();
}
