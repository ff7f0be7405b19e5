/* SPDX-License-Identifier: BSD-2-Clause */
/* The analysis against naive sums over small random tapes: every figure by its own loop over all objects. */
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "analyze/analysis.h"
#include <errno.h>

#include "check.h"
#include "xorshift.h"

#define HEAP 0x7f0000000000ull
#define PAGE 4096ull

enum { ROUNDS = 60, EVENTS = 400, STACKS = 6, THREADS = 4, SLOTS = 120, SLOT_NBYTES = 12288 };

/* One life between birth and death; a resize ends a piece and begins the next. */
struct piece {
	uint64_t addr, size, born_ns, end_ns; /* end: UINT64_MAX: lives */
	uint32_t stack, tid, freer;
	bool is_resize, was_resized;
};

static struct piece pieces[EVENTS];
static unsigned nr_pieces, current[SLOTS]; /* slot -> piece + 1 */
static uint64_t touched_ns[SLOTS * SLOT_NBYTES / 4096]; /* UINT64_MAX: not */
static uint64_t calls[EVENTS * 2][2], nr_calls; /* ns, tid */
static uint64_t now_ns;

static void add(struct tape_writer *w, struct tape_event ev)
{
	ev.ns = now_ns;
	CHECK_EQ(tape_writer_add(w, &ev), 0);
	if (tape_kind_is_call(ev.kind)) {
		calls[nr_calls][0] = now_ns;
		calls[nr_calls++][1] = ev.tid;
	}
}

static void touch(struct tape_writer *w, const struct piece *p)
{
	for (uint64_t page = (p->addr - HEAP) / PAGE; page <= (p->addr + p->size - 1 - HEAP) / PAGE; page++) {
		if (touched_ns[page] != UINT64_MAX || next_random(5) == 0) /* some are never touched */
			continue;
		touched_ns[page] = now_ns;
		add(w, (struct tape_event){ .kind = TAPE_FAULT, .addr = HEAP + page * PAGE, .flags = TAPE_WRITE, .tid = p->tid });
	}
}

static void birth(struct tape_writer *w, unsigned slot, const uint32_t *stacks, bool is_resize)
{
	struct piece *p = &pieces[nr_pieces++];

	*p = (struct piece){ .addr = HEAP + slot * SLOT_NBYTES + next_random(32) * 16,
			     .size = 1 + next_random(next_random(3) ? 500 : 9000), .born_ns = now_ns, .end_ns = UINT64_MAX,
			     .stack = stacks[next_random(STACKS)], .tid = 100 + (uint32_t)next_random(THREADS), .is_resize = is_resize };
	if (is_resize) {
		struct piece *old = &pieces[current[slot] - 1];

		p->addr = old->addr;
		old->end_ns = now_ns;
		old->was_resized = true;
		add(w, (struct tape_event){ .kind = TAPE_REALLOC, .addr = p->addr, .old = old->addr, .size = p->size,
					    .stack = p->stack, .tid = p->tid });
	} else {
		add(w, (struct tape_event){ .kind = TAPE_MALLOC, .addr = p->addr, .size = p->size, .stack = p->stack, .tid = p->tid });
	}
	current[slot] = nr_pieces;
	touch(w, p);
}

static void one_event(struct tape_writer *w, const uint32_t *stacks)
{
	unsigned slot = (unsigned)next_random(SLOTS);

	now_ns += next_random(2) ? next_random(2000000) : next_random(400000000);
	now_ns -= now_ns % 1000;
	if (!current[slot]) {
		birth(w, slot, stacks, false);
	} else if (next_random(4) == 0) {
		birth(w, slot, stacks, true);
	} else {
		struct piece *p = &pieces[current[slot] - 1];

		p->end_ns = now_ns;
		p->freer = 100 + (uint32_t)next_random(THREADS);
		current[slot] = 0;
		add(w, (struct tape_event){ .kind = TAPE_FREE, .addr = p->addr, .tid = p->freer });
	}
}

static void make_tape(const char *path)
{
	struct tape_writer_opts opts = { .overwrite = true, .time_unit_ns = 1000 };
	uint32_t module, stacks[STACKS];
	struct tape_writer *w;

	nr_pieces = 0;
	nr_calls = 0;
	now_ns = 0;
	memset(current, 0, sizeof(current));
	memset(touched_ns, 0xff, sizeof(touched_ns));
	CHECK_EQ(tape_writer_open(path, &opts, &w), 0);
	tape_writer_meta_u64(w, "start.from_exec", 1);
	tape_writer_string(w, "- /bin/x", &module);
	for (unsigned i = 0; i < STACKS; i++)
		tape_writer_stack(w, &(struct tape_frame){ module, 100 + i }, 1, false, &stacks[i]);
	add(w, (struct tape_event){ .kind = TAPE_MMAP, .addr = HEAP, .size = SLOTS * SLOT_NBYTES, .arg = 3 | 0x22ull << 32,
				    .flags = TAPE_BY_ALLOCATOR << TAPE_BY_SHIFT, .tid = 100 });
	while (nr_pieces < EVENTS - 2 && nr_calls < EVENTS)
		one_event(w, stacks);
	CHECK_EQ(tape_writer_close(w), 0);
}

/* ---- naive ---- */

static bool lives_at(const struct piece *p, uint64_t ns)
{
	return p->born_ns <= ns && p->end_ns > ns;
}

static uint64_t idle_of(uint32_t tid, uint64_t ns)
{
	uint64_t last = 0;

	for (uint64_t i = 0; i < nr_calls; i++)
		if (calls[i][1] == tid && calls[i][0] < ns)
			last = calls[i][0];
	return ns - last;
}

/* When the life began that this piece is the last part of. */
static bool in_window(const struct analysis *a, uint64_t ns)
{
	return ns >= a->from_ns && ns <= a->to_ns;
}

static void check_stack(const struct analysis *a, const struct analysis_stack *s)
{
	struct analysis_stack want = { .stack = s->stack };

	for (unsigned i = 0; i < nr_pieces; i++) {
		const struct piece *p = &pieces[i];
		bool died = p->end_ns != UINT64_MAX && !p->was_resized && in_window(a, p->end_ns);
		uint64_t life = p->end_ns - p->born_ns;

		if (p->stack != s->stack)
			continue;
		want.births += in_window(a, p->born_ns);
		want.born_nbytes += in_window(a, p->born_ns) ? p->size : 0;
		want.resizes += in_window(a, p->born_ns) && p->is_resize;
		want.live += lives_at(p, a->at_ns);
		want.live_nbytes += lives_at(p, a->at_ns) ? p->size : 0;
		want.start_live_nbytes += p->born_ns < a->from_ns && p->end_ns >= a->from_ns ? p->size : 0;
		want.deaths += died;
		want.soon += died && life < ANALYSIS_SOON_NS;
		want.soon_same += died && life < ANALYSIS_SOON_NS && p->tid == p->freer;
		want.cross += died && p->tid != p->freer;
		want.cross_nbytes += died && p->tid != p->freer ? p->size : 0;
	}
	CHECK_EQ(s->births, want.births);
	CHECK_EQ(s->born_nbytes, want.born_nbytes);
	CHECK_EQ(s->resizes, want.resizes);
	CHECK_EQ(s->live, want.live);
	CHECK_EQ(s->live_nbytes, want.live_nbytes);
	CHECK_EQ(s->start_live_nbytes, want.start_live_nbytes);
	CHECK_EQ(s->deaths, want.deaths);
	CHECK_EQ(s->soon, want.soon);
	CHECK_EQ(s->soon_same, want.soon_same);
	CHECK_EQ(s->cross, want.cross);
	CHECK_EQ(s->cross_nbytes, want.cross_nbytes);
}

static void check_pinned(const struct analysis *a)
{
	uint64_t shared = 0, pinned = 0, got = 0;

	for (uint64_t page = 0; page < SLOTS * SLOT_NBYTES / PAGE; page++) {
		uint32_t stack = 0;
		bool several = false;

		for (unsigned i = 0; i < nr_pieces; i++) {
			const struct piece *p = &pieces[i];

			if (!lives_at(p, a->at_ns) || p->addr >= HEAP + (page + 1) * PAGE || p->addr + p->size <= HEAP + page * PAGE)
				continue;
			several |= stack && stack != p->stack;
			stack = p->stack;
		}
		shared += touched_ns[page] <= a->at_ns && several ? PAGE : 0;
		pinned += touched_ns[page] <= a->at_ns && stack && !several ? PAGE : 0;
	}
	for (size_t i = 0; i < a->nr_stacks; i++)
		got += a->stacks[i].pinned_nbytes;
	CHECK_EQ(a->shared_nbytes, shared);
	CHECK_EQ(got, pinned);
}

static void check_pairs(const struct analysis *a)
{
	uint64_t nr = 0, silent = 0;

	for (size_t i = 0; i < a->nr_pairs; i++) {
		const struct analysis_pair *pair = &a->pairs[i];
		struct analysis_pair want = { 0 };

		for (unsigned k = 0; k < nr_pieces; k++) {
			const struct piece *p = &pieces[k];

			if (p->end_ns == UINT64_MAX || p->was_resized || !in_window(a, p->end_ns) ||
			    p->tid != a->threads[pair->owner].tid || p->freer != a->threads[pair->freer].tid)
				continue;
			want.nr++;
			want.silent += idle_of(p->tid, p->end_ns) > ANALYSIS_SILENT_NS;
		}
		CHECK_EQ(pair->nr, want.nr);
		CHECK_EQ(pair->silent, want.silent);
		nr += pair->nr;
		silent += pair->silent;
	}
	CHECK(nr > 20 || a->from_ns > 0);
	CHECK(silent <= nr);
}

static void check_times(const struct analysis *a)
{
	for (size_t i = 0; i < a->nr_points; i++) {
		uint64_t live = 0;

		for (unsigned k = 0; k < nr_pieces; k++)
			live += lives_at(&pieces[k], a->points[i].ns) ? pieces[k].size : 0;
		CHECK_EQ(a->points[i].live_nbytes, live);
		CHECK_EQ(a->points[i].split.requested + a->points[i].split.unresident, live);
	}
}

/* ---- moments ---- */

static void check_moment_stack(const struct analysis *a, const struct analysis_moment *m, const struct moment_stack *s)
{
	struct moment_stack want = { .stack = s->stack };

	for (unsigned i = 0; i < nr_pieces; i++) {
		const struct piece *p = &pieces[i];
		bool brief = p->end_ns <= m->ns && !p->was_resized && in_window(a, p->end_ns) && p->end_ns - p->born_ns < ANALYSIS_SOON_NS;

		if (p->stack != s->stack)
			continue;
		want.live += lives_at(p, m->ns);
		want.live_nbytes += lives_at(p, m->ns) ? p->size : 0;
		want.births += p->born_ns <= m->ns && in_window(a, p->born_ns);
		want.soon += brief;
		want.soon_nbytes += brief ? p->size : 0;
	}
	CHECK_EQ(s->live, want.live);
	CHECK_EQ(s->live_nbytes, want.live_nbytes);
	CHECK_EQ(s->births, want.births);
	CHECK_EQ(s->soon, want.soon);
	CHECK_EQ(s->soon_nbytes, want.soon_nbytes);
}

/* What of the object lies in the cell. */
static uint64_t overlap(const struct piece *p, const struct moment_cell *c, uint64_t nbytes)
{
	uint64_t from = p->addr > c->start ? p->addr : c->start;
	uint64_t to = p->addr + p->size < c->start + nbytes ? p->addr + p->size : c->start + nbytes;

	return from < to ? to - from : 0;
}

static void check_cell(const struct analysis_moment *m, const struct moment_cell *c)
{
	struct moment_cell want = { .oldest_ns = UINT64_MAX };
	uint64_t most = 0, of_first = 0;

	for (uint32_t stack = 1; stack <= STACKS; stack++) {
		uint64_t sum = 0;

		for (unsigned i = 0; i < nr_pieces; i++) {
			const struct piece *p = &pieces[i];
			uint64_t here = lives_at(p, m->ns) && p->stack == stack ? overlap(p, c, m->cell_nbytes) : 0;

			sum += here;
			want.live_nbytes += here;
			want.live += here != 0;
			want.oldest_ns = here && p->born_ns < want.oldest_ns ? p->born_ns : want.oldest_ns;
			want.youngest_ns = here && p->born_ns > want.youngest_ns ? p->born_ns : want.youngest_ns;
		}
		most = sum > most ? sum : most;
		of_first = stack == c->stacks[0].stack ? sum : of_first;
	}
	for (uint64_t page = (c->start - HEAP) / PAGE; page < (c->start + m->cell_nbytes - HEAP) / PAGE && page < SLOTS * SLOT_NBYTES / PAGE; page++)
		want.resident += touched_ns[page] <= m->ns ? PAGE : 0;
	CHECK_EQ(c->live_nbytes, want.live_nbytes);
	CHECK_EQ(c->live, want.live);
	CHECK_EQ(c->oldest_ns, want.oldest_ns);
	CHECK_EQ(c->youngest_ns, want.youngest_ns);
	CHECK_EQ(c->resident, want.resident);
	CHECK_EQ(c->stacks[0].nbytes, most);
	CHECK_EQ(of_first, most);
}

static void check_moment(const struct analysis *a, const struct analysis_moment *m)
{
	uint64_t live = 0, pinned = 0, resident = 0, in_cells = 0, by_thread = 0, by_size = 0;

	for (size_t i = 0; i < m->nr_stacks; i++) {
		CHECK(i == 0 || m->stacks[i - 1].stack < m->stacks[i].stack);
		check_moment_stack(a, m, &m->stacks[i]);
		live += m->stacks[i].live_nbytes;
		pinned += m->stacks[i].pinned_nbytes;
	}
	for (size_t i = 0; i < m->nr_cells; i++) {
		CHECK(i == 0 || m->cells[i - 1].start < m->cells[i].start);
		check_cell(m, &m->cells[i]);
		resident += m->cells[i].resident;
		in_cells += m->cells[i].live_nbytes;
	}
	for (size_t i = 0; i < m->nr_threads; i++)
		by_thread += m->threads[i];
	for (size_t i = 0; i < m->nr_sizes; i++)
		by_size += m->sizes[i].live_nbytes;
	CHECK_EQ(live, m->live_nbytes);
	CHECK_EQ(in_cells, live);
	CHECK_EQ(by_thread, live);
	CHECK_EQ(by_size, live);
	CHECK_EQ(resident, m->split.resident);
	CHECK(pinned + m->shared_nbytes <= m->split.resident);
	if (m->ns == a->at_ns) { /* what was looked at then by another function */
		CHECK_EQ(m->live_nbytes, a->live_nbytes);
		CHECK_EQ(m->shared_nbytes, a->shared_nbytes);
		for (size_t i = 0; i < a->nr_stacks; i++)
			pinned -= a->stacks[i].pinned_nbytes;
		CHECK_EQ(pinned, 0);
	}
}

static void check_moments(const struct analysis *a)
{
	bool at = false;

	CHECK(a->nr_moments >= 7 && a->nr_moments <= 9);
	for (size_t i = 0; i < a->nr_moments; i++) {
		CHECK(i == 0 || a->moments[i - 1].ns < a->moments[i].ns);
		check_moment(a, &a->moments[i]);
		at |= a->moments[i].ns == a->at_ns;
	}
	CHECK(at);
}

/* More of the address space than cells of a page cover: they get larger, and lose nothing. */
static void test_wide_heap(const char *path)
{
	enum { OBJECTS = 3 * MOMENT_CELLS };
	struct tape_writer_opts opts = { .overwrite = true, .time_unit_ns = 1 };
	struct analysis_opts want = { .to_ns = UINT64_MAX, .at_ns = UINT64_MAX, .nr_moments = 2 };
	const struct analysis_moment *m;
	struct tape_writer *w;
	struct tape_reader *r;
	struct analysis a;
	uint64_t sum = 0;

	CHECK_EQ(tape_writer_open(path, &opts, &w), 0);
	for (uint64_t i = 0; i < OBJECTS; i++)
		CHECK_EQ(tape_writer_add(w, &(struct tape_event){ .kind = TAPE_MALLOC, .ns = i, .tid = 1, .addr = HEAP + i * 70000, .size = 100 }), 0);
	CHECK_EQ(tape_writer_add(w, &(struct tape_event){ .kind = TAPE_MALLOC, .ns = OBJECTS, .tid = 1, .addr = 1ull << 46, .size = 1ull << 40 }), 0);
	CHECK_EQ(tape_writer_close(w), 0);
	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(analysis_read(r, &want, &a), 0);
	m = &a.moments[a.nr_moments - 1];
	for (size_t i = 0; i < m->nr_cells; i++)
		sum += m->cells[i].live_nbytes;
	CHECK(m->nr_cells <= MOMENT_CELLS && m->nr_cells > MOMENT_CELLS / 4);
	CHECK_EQ(m->cell_nbytes & (m->cell_nbytes - 1), 0);
	CHECK_EQ(sum, OBJECTS * 100ull + (1ull << 40));
	analysis_free(&a);
	tape_reader_close(r);
}

/* One allocator's objects alone: those inside another's blocks are objects then, and nothing else is. */
static void test_one_allocator(const char *path)
{
	const struct tape_writer_opts opts = { .overwrite = true, .time_unit_ns = 1 };
	struct analysis_opts want = { .to_ns = UINT64_MAX, .at_ns = UINT64_MAX };
	uint8_t outer, inner;
	struct tape_writer *w;
	struct tape_reader *r;
	struct analysis a;

	CHECK_EQ(tape_writer_open(path, &opts, &w), 0);
	CHECK_EQ(tape_writer_allocator(w, &(struct tape_allocator){ "glibc", "/libc", "" }, &outer), 0);
	CHECK_EQ(tape_writer_allocator(w, &(struct tape_allocator){ "pools", "/app", "" }, &inner), 0);
	for (uint64_t i = 0; i < 10; i++) {
		struct tape_event chunk = { .kind = TAPE_MALLOC, .ns = 4 * i, .tid = 1, .addr = HEAP + i * 8192, .size = 4096, .alloc = outer };
		struct tape_event first = { .kind = TAPE_MALLOC, .ns = 4 * i + 1, .tid = 1, .addr = chunk.addr, .size = 100, .alloc = inner, .flags = TAPE_SUB };
		struct tape_event end = { .kind = TAPE_FREE, .ns = 4 * i + 2, .tid = 1, .addr = first.addr, .alloc = inner, .flags = TAPE_SUB | TAPE_COLLECTED };

		CHECK_EQ(tape_writer_add(w, &chunk), 0);
		CHECK_EQ(tape_writer_add(w, &first), 0);
		CHECK_EQ(i & 1 ? tape_writer_add(w, &end) : 0, 0);
	}
	CHECK_EQ(tape_writer_close(w), 0);
	for (int which = 0; which < 4; which++) {
		static const struct {
			const char *name;
			uint64_t births, live, live_nbytes;
		} all[] = { { NULL, 10, 10, 40960 }, { "glibc", 10, 10, 40960 }, { "pools", 10, 5, 500 }, { "nobody", 0, 0, 0 } };

		want.allocator = all[which].name;
		CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
		CHECK_EQ(analysis_read(r, &want, &a), which == 3 ? -ENOENT : 0);
		CHECK_EQ(a.births, all[which].births);
		CHECK_EQ(a.live, all[which].live);
		CHECK_EQ(a.live_nbytes, all[which].live_nbytes);
		CHECK_EQ(a.subs[inner], 10);
		CHECK_EQ(a.subs[outer], 0);
		analysis_free(&a);
		tape_reader_close(r);
	}
}

static void check_tape(const char *path, const struct analysis_opts *opts)
{
	struct tape_reader *r;
	struct analysis a;
	uint64_t live = 0, births = 0;

	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(analysis_read(r, opts, &a), 0);
	for (size_t i = 0; i < a.nr_stacks; i++)
		check_stack(&a, &a.stacks[i]);
	check_pinned(&a);
	check_pairs(&a);
	check_times(&a);
	check_moments(&a);
	for (size_t i = 0; i < a.nr_sizes; i++) {
		CHECK(i == 0 || a.sizes[i - 1].to < a.sizes[i].from);
		live += a.sizes[i].live_nbytes;
		births += a.sizes[i].births;
	}
	CHECK_EQ(live, a.live_nbytes);
	CHECK_EQ(births, a.births);
	CHECK_EQ(a.split.requested + a.split.unresident, a.live_nbytes);
	if (opts->peak)
		CHECK_EQ(a.live_nbytes, a.peak_live_nbytes);
	analysis_free(&a);
	tape_reader_close(r);
}

static void test_edges(void)
{
	CHECK_EQ(analysis_life_end_ns(0), 100);
	CHECK_EQ(analysis_life_end_ns(ANALYSIS_LIFE_BUCKETS - 1), UINT64_MAX);
}

int main(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/heaptape-analysis-%d.tape", (int)getpid());
	for (int round = 0; round < ROUNDS; round++) {
		struct analysis_opts opts = { .to_ns = UINT64_MAX, .at_ns = UINT64_MAX, .peak = round % 3 == 1, .nr_moments = 7 };

		make_tape(path);
		if (round % 3 == 2) {
			opts.from_ns = now_ns / 4;
			opts.to_ns = now_ns / 4 * 3;
			opts.at_ns = now_ns / 2;
		}
		check_tape(path, &opts);
	}
	test_wide_heap(path);
	test_one_allocator(path);
	unlink(path);
	test_edges();
	return check_done();
}
