/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a tape for the tests and benches of replay:
 *   make_tape FILE WORD [EVENTS [LIVE [THREADS [SEED]]]]
 * single: one thread. small: the same with small objects only. threads: all live throughout, a tenth of the frees
 * across. pass: one thread makes what the other frees. short: threads that come and go. idle: threads that make a
 * few objects each. large: large objects with page faults. plain: threads in turn. huge, growing: more memory than there may be. decay: a burst, then a
 * quiet minute. lost: plain, with a loss. trim: all is freed but what lies on top, then malloc_trim.
 */
#include "tape_maker.h"

struct wish {
	uint64_t events, live;
	uint32_t threads;
};

static void make_single(struct maker *m, const struct wish *w)
{
	while (m->nr_calls < w->events)
		maker_step(m, MAKER_PID, w->live, 0);
}

/* 16 to 128 bytes, malloc and free only: what an allocator's fast paths see. */
static void make_small(struct maker *m, const struct wish *w)
{
	while (m->nr_calls < w->events) {
		if (m->nr < w->live || maker_below(m, 2))
			maker_birth(m, MAKER_PID, TAPE_MALLOC, 16 + maker_below(m, 113), 0);
		else
			maker_free(m, MAKER_PID, maker_below(m, m->nr));
	}
}

static void start_threads(struct maker *m, uint32_t nr)
{
	for (uint32_t i = 1; i < nr; i++)
		maker_thread_start(m, MAKER_PID + i);
}

static void make_threads(struct maker *m, const struct wish *w)
{
	start_threads(m, w->threads);
	while (m->nr_calls < w->events) {
		uint32_t i = (uint32_t)maker_below(m, w->threads);
		m->cpu = (uint16_t)(i % 2);
		maker_step(m, MAKER_PID + i, w->live, 26);
	}
}

static void make_pass(struct maker *m, const struct wish *w)
{
	start_threads(m, 2);
	while (m->nr_calls < w->events) {
		m->cpu = 0;
		maker_birth(m, MAKER_PID, TAPE_MALLOC, 1 + maker_below(m, 256), 0);
		m->cpu = 1;
		if (m->nr > w->live)
			maker_free(m, MAKER_PID + 1, 0);
	}
}

static void make_short(struct maker *m, const struct wish *w)
{
	uint64_t each = w->events / w->threads;
	for (uint32_t i = 1; i <= w->threads; i++) {
		maker_thread_start(m, MAKER_PID + i);
		for (uint64_t k = 0; k < each; k++)
			maker_step(m, MAKER_PID + i, w->live, 128);
		maker_thread_exit(m, MAKER_PID + i);
	}
}

static void make_idle(struct maker *m, const struct wish *w)
{
	start_threads(m, w->threads);
	for (uint32_t i = 0; i < w->threads; i++) {
		for (uint64_t k = 0; k < w->live; k++)
			maker_birth(m, MAKER_PID + i, TAPE_MALLOC, 64, 0);
	}
}

/* Half of each object's pages fault, then it is freed; its second life finds them resident. */
static void make_large(struct maker *m, const struct wish *w)
{
	maker_event(m, (struct tape_event){ .kind = TAPE_MMAP, .tid = MAKER_PID, .addr = MAKER_HEAP, .size = 1ull << 32 });
	while (m->nr_calls < w->events) {
		uint64_t size = (1 + maker_below(m, 16)) << 16;
		uint64_t addr = maker_birth(m, MAKER_PID, TAPE_MALLOC, size, 0);
		for (uint64_t off = 0; off < size / 2; off += 4096)
			maker_event(m, (struct tape_event){ .kind = TAPE_FAULT, .tid = MAKER_PID, .addr = addr + off });
		if (m->nr > w->live)
			maker_free(m, MAKER_PID, maker_below(m, m->nr));
	}
}

/* Small mallocs by all threads in turn. */
static void make_plain(struct maker *m, const struct wish *w)
{
	start_threads(m, w->threads);
	while (m->nr_calls < w->events) {
		uint32_t tid = MAKER_PID + (uint32_t)(m->nr_calls % w->threads);
		if (m->nr > w->live)
			maker_free(m, tid, maker_below(m, m->nr));
		else
			maker_birth(m, tid, TAPE_MALLOC, 16 + maker_below(m, 200), 0);
	}
}

/* The same, with 7 calls lost on the way. */
static void make_lost(struct maker *m, const struct wish *w)
{
	make_plain(m, w);
	maker_event(m, (struct tape_event){ .kind = TAPE_LOST, .size = 7, .old = m->ns });
}

/* A TiB in each object. */
static void make_huge(struct maker *m, const struct wish *w)
{
	while (m->nr_calls < w->events)
		maker_birth(m, MAKER_PID, TAPE_MALLOC, 1ull << 40, 0);
}

/* Nothing is freed: 256 KiB a call. */
static void make_growing(struct maker *m, const struct wish *w)
{
	while (m->nr_calls < w->events)
		maker_birth(m, MAKER_PID, TAPE_MALLOC, 1 << 18, 0);
}

/* 64 MiB are freed at once, then a minute of small calls. */
static void make_decay(struct maker *m, const struct wish *w)
{
	for (int i = 0; i < 1024; i++)
		maker_birth(m, MAKER_PID, TAPE_MALLOC, 1 << 16, 0);
	while (m->nr)
		maker_free(m, MAKER_PID, m->nr - 1);
	m->step_ns = 60000000000ull / w->events;
	while (m->nr_calls < w->events)
		maker_step(m, MAKER_PID, 10, 0);
}

/* 64 MiB in small blocks; glibc gives them back only because it is told to. Two calls behind it cannot be played. */
static void make_trim(struct maker *m, const struct wish *w)
{
	uint32_t trim, ask, arena;
	(void)w;
	tape_writer_string(m->w, "malloc_trim", &trim);
	tape_writer_string(m->w, "mallctl:epoch", &ask);
	tape_writer_string(m->w, "mi_heap_delete", &arena);
	for (int i = 0; i < 16384; i++)
		maker_birth(m, MAKER_PID, TAPE_MALLOC, 4000, 0);
	while (m->nr > 1)
		maker_free(m, MAKER_PID, m->nr - 2);
	maker_event(m, (struct tape_event){ .kind = TAPE_STEER, .tid = MAKER_PID, .arg = trim });
	maker_event(m, (struct tape_event){ .kind = TAPE_STEER, .tid = MAKER_PID, .arg = ask });
	maker_event(m, (struct tape_event){ .kind = TAPE_STEER, .tid = MAKER_PID, .arg = arena });
	for (int i = 0; i < 10; i++)
		maker_birth(m, MAKER_PID, TAPE_MALLOC, 100, 0);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *word;
		void (*make)(struct maker *m, const struct wish *w);
	} words[] = { { "single", make_single }, { "small", make_small }, { "threads", make_threads }, { "pass", make_pass },
		      { "short", make_short },	 { "idle", make_idle },	      { "large", make_large },
		      { "plain", make_plain },	 { "huge", make_huge },	      { "growing", make_growing },
		      { "decay", make_decay },	 { "lost", make_lost },
		      { "trim", make_trim } };
	uint64_t numbers[4] = { 100000, 1000, 4, 1 };
	for (int i = 3; i < argc && i < 7; i++)
		numbers[i - 3] = strtoull(argv[i], NULL, 0);
	struct wish w = { numbers[0], numbers[1], (uint32_t)numbers[2] };
	for (size_t i = 0; argc > 2 && i < sizeof(words) / sizeof(words[0]); i++) {
		struct maker m;
		if (strcmp(words[i].word, argv[2]))
			continue;
		maker_open(&m, argv[1], numbers[3], 2);
		words[i].make(&m, &w);
		printf("%s: %" PRIu64 " calls, %" PRIu64 " bytes live at the end, seed %" PRIu64 "\n", argv[1], m.nr_calls,
		       m.live_nbytes, numbers[3]);
		maker_close(&m);
		return 0;
	}
	fprintf(stderr, "usage: make_tape FILE single|small|threads|pass|short|idle|large|plain|huge|growing|decay|lost|trim\n"
			"                 [EVENTS [LIVE [THREADS [SEED]]]]\n");
	return 2;
}
