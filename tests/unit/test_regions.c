/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects that die together: random bursts of calls by several threads, against runs found by going through each thread's calls. */
#include <stdlib.h>
#include <unistd.h>

#include "analyze/analysis.h"
#include "check.h"
#include "xorshift.h"

enum { STACKS = 5, THREADS = 3, CALLS_MAX = 6000, ROUNDS = 40, SLOTS = 2000 };

struct call {
	uint64_t ns, nbytes;
	uint32_t tid, stack;
	bool is_free;
};

static struct call calls[CALLS_MAX];
static unsigned nr_calls;

static struct {
	uint64_t nbytes;
	uint32_t stack;
} slots[SLOTS];
static unsigned nr_live;

static void put(struct tape_writer *w, uint64_t ns, uint32_t tid, const uint32_t *stacks, bool is_free)
{
	struct tape_event ev = { .kind = is_free ? TAPE_FREE : TAPE_MALLOC, .ns = ns, .tid = tid };

	if (nr_calls == CALLS_MAX || (is_free ? !nr_live : nr_live == SLOTS))
		return;
	if (is_free) {
		nr_live--;
	} else {
		slots[nr_live].nbytes = 1 + next_random(200);
		slots[nr_live].stack = stacks[next_random(next_random(3) ? 2 : STACKS)];
		ev.size = slots[nr_live].nbytes;
		ev.stack = slots[nr_live].stack;
		nr_live++;
	}
	/* The last one made goes first, so that most of a burst is of few stacks. */
	ev.addr = 0x10000 + 256 * (is_free ? nr_live : nr_live - 1);
	calls[nr_calls++] = (struct call){ ns, slots[is_free ? nr_live : nr_live - 1].nbytes, tid,
					   slots[is_free ? nr_live : nr_live - 1].stack, is_free };
	CHECK_EQ(tape_writer_add(w, &ev), 0);
}

static void make_tape(const char *path, uint32_t *stacks)
{
	struct tape_writer_opts opts = { .overwrite = true, .time_unit_ns = 1 };
	struct tape_writer *w;
	uint32_t module;
	uint64_t ns = 0;

	nr_calls = nr_live = 0;
	CHECK_EQ(tape_writer_open(path, &opts, &w), 0);
	tape_writer_string(w, "- /bin/x", &module);
	for (unsigned i = 0; i < STACKS; i++)
		tape_writer_stack(w, &(struct tape_frame){ module, 100 + i }, 1, false, &stacks[i]);
	while (nr_calls < CALLS_MAX) {
		bool is_free = next_random(2);
		uint32_t tid = 10 + (uint32_t)next_random(THREADS);

		for (uint64_t n = next_random(40); n; n--) {
			/* Now and then a pause just below and just above the limit, or another thread in between. */
			ns += next_random(50) ? 1 + next_random(1000) : ANALYSIS_TOGETHER_NS - 1 + next_random(3);
			put(w, ns, next_random(20) ? tid : 10 + (uint32_t)next_random(THREADS), stacks, is_free);
		}
	}
	CHECK_EQ(tape_writer_close(w), 0);
}

/* What general heaps add: to the next 16 with 8 of their own, at least 32. */
static uint64_t overhead(uint64_t nbytes)
{
	uint64_t taken = 32;

	while (taken < nbytes + 8)
		taken += 16;
	return taken - nbytes;
}

/* By the book: each free's run goes on to the thread's next call but one that is no free, or comes too late. */
static void expect(uint32_t tid, uint32_t stack, struct analysis_stack *want)
{
	uint64_t nr = 0, nbytes = 0, added = 0, last_ns = 0;

	for (unsigned i = 0; i <= nr_calls; i++) {
		const struct call *c = &calls[i];
		bool is_end = i == nr_calls;

		if (!is_end && c->tid != tid)
			continue;
		if (is_end || !c->is_free || (nr && c->ns - last_ns > ANALYSIS_TOGETHER_NS)) {
			if (nr >= 8) {
				want->groups++;
				want->grouped += nr;
				want->grouped_nbytes += nbytes;
				want->grouped_added_nbytes += added;
			}
			nr = nbytes = added = 0;
		}
		if (is_end || !c->is_free)
			continue;
		last_ns = c->ns;
		if (c->stack == stack) {
			nr++;
			nbytes += c->nbytes;
			added += overhead(c->nbytes);
		}
	}
}

static uint64_t check_round(const char *path)
{
	struct analysis_opts opts = { .to_ns = UINT64_MAX, .at_ns = UINT64_MAX };
	uint32_t stacks[STACKS];
	struct tape_reader *r;
	struct analysis a;
	uint64_t groups = 0;

	make_tape(path, stacks);
	CHECK_EQ(tape_reader_open(path, NULL, &r), 0);
	CHECK_EQ(analysis_read(r, &opts, &a), 0);
	for (size_t i = 0; i < a.nr_stacks; i++) {
		struct analysis_stack want = { 0 };

		for (uint32_t tid = 10; tid < 10 + THREADS; tid++)
			expect(tid, a.stacks[i].stack, &want);
		CHECK_EQ(a.stacks[i].groups, want.groups);
		CHECK_EQ(a.stacks[i].grouped, want.grouped);
		CHECK_EQ(a.stacks[i].grouped_nbytes, want.grouped_nbytes);
		CHECK_EQ(a.stacks[i].grouped_added_nbytes, want.grouped_added_nbytes);
		groups += want.groups;
	}
	analysis_free(&a);
	tape_reader_close(r);
	return groups;
}

int main(void)
{
	char path[] = "/tmp/heaptape-regions-XXXXXX";
	uint64_t groups = 0;

	close(mkstemp(path));
	for (int i = 0; i < ROUNDS; i++)
		groups += check_round(path);
	CHECK(groups > 100);
	unlink(path);
	return check_done();
}
