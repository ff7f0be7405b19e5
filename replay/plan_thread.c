/* SPDX-License-Identifier: BSD-2-Clause */
/* The planner's threads: birth and end, windows and checkpoints, placement, and the waits between threads. */
#include "replay/plan_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TIME_MARK_NS 100000ull      /* finer marks would not change what an allocator that purges by time does */
#define STEADY_STAY_NS 10000000ull  /* --placement steady drops shorter stays */
#define WINDOW_NBYTES_MIN (64ull << 10)
#define WINDOW_LIVE_SHARE 256       /* a window ends when more than live bytes / 256 have been born in it */

uint32_t builder_emit(struct builder *b, struct thread *th, const struct plan_op *op)
{
	uint32_t pos = 0;
	if (!b->err)
		b->err = plan_stream_add(b->out, &th->stream, op, &pos);
	return pos;
}

struct op_ref builder_last_ref(const struct thread *th)
{
	return (struct op_ref){ .thread = th->index, .op = th->stream.nr - 1, .pos = th->stream.pos - 1,
				.window = th->window };
}

/* ---- what a thread knows about the others ---- */

static bool knows(const struct thread *th, const struct op_ref *ref)
{
	if (!th->knowledge)
		return false;
	const struct known *k = &th->knowledge->now[ref->thread % KNOWN_NR];
	return k->thread == ref->thread && k->op >= ref->op;
}

static void learn(struct known *now, uint32_t thread, uint32_t op)
{
	struct known *k = &now[thread % KNOWN_NR];
	if (k->thread != thread || k->op < op)
		*k = (struct known){ thread, op };
}

static struct knowledge *knowledge_of(struct builder *b, struct thread *th)
{
	if (th->knowledge)
		return th->knowledge;
	th->knowledge = calloc(1, sizeof(*th->knowledge));
	if (!th->knowledge) {
		b->err = -ENOMEM;
		return NULL;
	}
	for (unsigned i = 0; i < KNOWN_NR; i++)
		th->knowledge->now[i].thread = NO_THREAD;
	return th->knowledge;
}

/* Having waited for ref, a thread also knows what ref's thread knew when it came to it. */
static void learn_through(struct builder *b, struct thread *th, const struct op_ref *ref)
{
	struct knowledge *mine = knowledge_of(b, th);
	if (!mine)
		return;
	const struct thread *other = b->threads[ref->thread];
	const struct knowledge *theirs = other ? other->knowledge : NULL;
	uint32_t oldest = !theirs || theirs->nr_snapshots < SNAPSHOT_NR ? 0 : theirs->nr_snapshots - SNAPSHOT_NR;
	for (uint32_t i = theirs ? theirs->nr_snapshots : 0; i > oldest; i--) {
		if (theirs->snapshots[(i - 1) % SNAPSHOT_NR].op > ref->op)
			continue;
		const struct known *known = theirs->snapshots[(i - 1) % SNAPSHOT_NR].known;
		for (unsigned k = 0; k < KNOWN_NR; k++) {
			if (known[k].thread != NO_THREAD && known[k].thread != th->index)
				learn(mine->now, known[k].thread, known[k].op);
		}
		break;
	}
	learn(mine->now, ref->thread, ref->op);
	uint32_t slot = mine->nr_snapshots++ % SNAPSHOT_NR;
	mine->snapshots[slot].op = th->stream.nr ? th->stream.nr - 1 : 0;
	memcpy(mine->snapshots[slot].known, mine->now, sizeof(mine->now));
}

void builder_wait(struct builder *b, struct thread *th, const struct op_ref *ref)
{
	if (b->err || b->strict || ref->thread == th->index)
		return;
	/* PLAN_ENTER of window w lets nobody in before all windows below w - 1 are done. */
	if (ref->window + 2 <= th->window || knows(th, ref)) {
		b->facts->nr_waits_dropped++;
		return;
	}
	plan_out_at(b->out, ref->pos)->flags |= PLAN_PUBLISH;
	builder_emit(b, th, &(struct plan_op){ .kind = PLAN_WAIT, .slot = ref->thread, .arg = ref->op + 1ull });
	b->facts->nr_waits++;
	learn_through(b, th, ref);
}

/* ---- windows and checkpoints ---- */

/* A window that nobody entered goes on instead: with no one to leave it, it would never be done. */
static void open_window(struct builder *b, uint64_t ns)
{
	b->window_start_ns = ns;
	b->window_nbytes = 0;
	if (b->window_arrivals && !b->window_arrivals[b->window])
		return;
	b->window++;
	if (b->window >= b->windows_max) {
		uint32_t max = b->windows_max ? b->windows_max * 2 : 1024;
		uint32_t *arrivals = reallocarray(b->window_arrivals, max, sizeof(*arrivals));
		if (!arrivals) {
			b->err = -ENOMEM;
			return;
		}
		b->window_arrivals = arrivals;
		b->windows_max = max;
	}
	b->window_arrivals[b->window] = 0;
}

static void close_checkpoint(struct builder *b, uint64_t ns)
{
	struct plan_checkpoint *c = &b->plan->checkpoints[b->checkpoint];
	c->clock_ns = ns > b->clock.taken_ns ? ns - b->clock.taken_ns : 0;
	if (c->clock_ns < b->clock.last_ns)
		c->clock_ns = b->clock.last_ns;
	c->live_nbytes = b->live_nbytes;
	c->live_nr = b->facts->nr_live;
	c->recorded_anon_nbytes = b->rss_nbytes; /* until the next figure comes */
	c->around_nbytes = b->around ? b->around_start_nbytes + around_nbytes(b->around) : UINT64_MAX;
	if (b->live_nbytes >= b->plan->checkpoints[b->facts->peak_checkpoint].live_nbytes)
		b->facts->peak_checkpoint = b->checkpoint;
	b->checkpoint++;
}

void builder_advance(struct builder *b, uint64_t ns)
{
	uint32_t before = b->checkpoint;
	while (b->checkpoint + 1 < b->plan->head.nr_checkpoints && ns >= b->plan->checkpoints[b->checkpoint].ns)
		close_checkpoint(b, b->plan->checkpoints[b->checkpoint].ns);
	uint64_t share = b->live_nbytes / WINDOW_LIVE_SHARE;
	uint64_t nbytes_max = share > WINDOW_NBYTES_MIN ? share : WINDOW_NBYTES_MIN;
	bool over = !b->strict && (ns - b->window_start_ns >= b->opts->skew_ns / 2 || b->window_nbytes > nbytes_max);
	if (b->checkpoint != before || over)
		open_window(b, ns);
}

/* From here on the next checkpoint is not complete before this thread has arrived there. */
static void enter_interval(struct builder *b, struct thread *th)
{
	th->interval = b->checkpoint;
	b->plan->checkpoints[b->checkpoint].arrivals++;
}

static void enter_window(struct builder *b, struct thread *th)
{
	if (th->window != NO_WINDOW)
		builder_emit(b, th, &(struct plan_op){ .kind = PLAN_LEAVE, .slot = th->window });
	if (th->interval != b->checkpoint) {
		builder_emit(b, th, &(struct plan_op){ .kind = PLAN_CHECKPOINT, .slot = th->interval,
						       .arg = b->checkpoint - 1ull });
		enter_interval(b, th);
	}
	builder_emit(b, th, &(struct plan_op){ .kind = PLAN_ENTER, .slot = b->window });
	th->window = b->window;
	b->window_arrivals[b->window]++;
}

/* ---- placement ---- */

static void drop_move(struct builder *b, struct thread *th)
{
	if (!b->err)
		plan_out_at(b->out, th->next_pos)->kind = PLAN_NOP;
	th->next_cpu = NO_CPU;
	b->facts->nr_moves_dropped++;
}

/*
 * A move is planned at once, and taken back if the thread leaves that CPU again within STEADY_STAY_NS.
 * What waits for an operation never waits for a move, so taking it back disturbs nobody.
 */
static void place(struct builder *b, struct thread *th, uint64_t ns, uint32_t cpu)
{
	cpu %= PLAN_CPUS_MAX;
	bool steady = b->plan->head.placement == PLAN_PLACE_STEADY;
	uint32_t at = th->next_cpu != NO_CPU ? th->next_cpu : th->cpu;
	if (cpu == at)
		return;
	if (th->next_cpu != NO_CPU) {
		if (ns - th->next_since_ns < STEADY_STAY_NS)
			drop_move(b, th);
		else
			th->cpu = th->next_cpu;
		th->next_cpu = NO_CPU;
		if (cpu == th->cpu)
			return;
	}
	uint32_t pos = builder_emit(b, th, &(struct plan_op){ .kind = PLAN_CPU, .slot = cpu });
	if (!steady || th->cpu == NO_CPU) {
		th->cpu = cpu;
	} else {
		th->next_cpu = cpu;
		th->next_since_ns = ns;
		th->next_pos = pos;
	}
	b->facts->nr_moves++;
}

void builder_prelude(struct builder *b, struct thread *th, uint64_t ns, uint32_t cpu)
{
	if (th->window != b->window)
		enter_window(b, th);
	if (b->now_ns - th->mark_ns >= TIME_MARK_NS || !th->mark_ns) {
		builder_emit(b, th, &(struct plan_op){ .kind = PLAN_TIME, .arg = b->now_ns });
		th->mark_ns = b->now_ns;
	}
	if (cpu != NO_CPU && b->plan->head.placement != PLAN_PLACE_OFF)
		place(b, th, ns, cpu);
	if (!b->strict || b->err)
		return;
	if (b->join != NO_THREAD) {
		builder_emit(b, th, &(struct plan_op){ .kind = PLAN_JOIN, .slot = b->join });
		b->join = NO_THREAD;
	} else if (b->prev.thread != NO_THREAD && b->prev.thread != th->index) {
		plan_out_at(b->out, b->prev.pos)->flags |= PLAN_PUBLISH;
		builder_emit(b, th, &(struct plan_op){ .kind = PLAN_WAIT, .slot = b->prev.thread,
						       .arg = b->prev.op + 1ull });
		b->facts->nr_waits++;
	}
}

/* ---- births and ends ---- */

static uint32_t *tid_entry(uint32_t *table, size_t mask, const struct plan_thread *rows, uint32_t tid)
{
	size_t i = (size_t)(tid * 0x9e3779b1u) & mask;
	while (table[i] && rows[table[i] - 1].tid != tid)
		i = (i + 1) & mask;
	return &table[i];
}

/* Ended threads stay in the table until it grows: a tid that comes back takes its old entry. */
static int grow_tids(struct builder *b)
{
	size_t mask = b->tid_mask ? b->tid_mask * 2 + 1 : 255, nr = 0;
	uint32_t *table = calloc(mask + 1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	for (size_t i = 0; b->by_tid && i <= b->tid_mask; i++) {
		if (!b->by_tid[i] || !b->threads[b->by_tid[i] - 1])
			continue;
		*tid_entry(table, mask, b->rows, b->rows[b->by_tid[i] - 1].tid) = b->by_tid[i];
		nr++;
	}
	free(b->by_tid);
	b->by_tid = table;
	b->tid_mask = mask;
	b->nr_tids = nr;
	return 0;
}

static int reserve_thread(struct builder *b)
{
	if (!b->by_tid || (b->nr_tids + 1) * 2 > b->tid_mask) {
		int err = grow_tids(b);
		if (err)
			return err;
	}
	if (b->nr_threads < b->threads_max)
		return 0;
	uint32_t max = b->threads_max ? b->threads_max * 2 : 64;
	struct plan_thread *rows = reallocarray(b->rows, max, sizeof(*rows));
	if (rows)
		b->rows = rows;
	struct thread **threads = reallocarray(b->threads, max, sizeof(struct thread *));
	if (threads)
		b->threads = threads;
	if (!rows || !threads)
		return -ENOMEM;
	b->threads_max = max;
	return 0;
}

static struct thread *alive(const struct builder *b, uint32_t tid)
{
	if (!b->by_tid)
		return NULL;
	uint32_t entry = *tid_entry(b->by_tid, b->tid_mask, b->rows, tid);
	return entry ? b->threads[entry - 1] : NULL;
}

static struct thread *new_thread(struct builder *b, uint32_t tid)
{
	b->err = reserve_thread(b);
	struct thread *th = b->err ? NULL : calloc(1, sizeof(*th));
	if (!th) {
		b->err = -ENOMEM;
		return NULL;
	}
	b->err = plan_stream_open(b->out, &th->stream);
	if (b->err) {
		free(th);
		return NULL;
	}
	th->index = b->nr_threads++;
	th->tid = tid;
	th->window = NO_WINDOW;
	th->cpu = th->next_cpu = NO_CPU;
	th->before = NO_THREAD;
	th->stack_slot = PLAN_NO_STACK_SLOT;
	th->free_slots = PLAN_FREELIST_EMPTY;
	th->given_up_slot = PLAN_NO_SLOT;
	th->touch_pos = UINT32_MAX;
	b->rows[th->index] = (struct plan_thread){ .tid = tid };
	b->threads[th->index] = th;
	uint32_t *entry = tid_entry(b->by_tid, b->tid_mask, b->rows, tid);
	b->nr_tids += !*entry;
	*entry = th->index + 1;
	enter_interval(b, th);
	return th;
}

static void take_stack(struct builder *b, struct thread *th)
{
	if (!b->nr_free_stacks) {
		th->stack_slot = b->plan->head.nr_stacks++;
		return;
	}
	b->nr_free_stacks--;
	th->stack_slot = b->stacks[b->nr_free_stacks].slot;
	th->before = b->stacks[b->nr_free_stacks].thread;
}

static void give_stack(struct builder *b, const struct thread *th)
{
	if (b->nr_free_stacks == b->stacks_max) {
		uint32_t max = b->stacks_max ? b->stacks_max * 2 : 64;
		void *stacks = reallocarray(b->stacks, max, sizeof(*b->stacks));
		if (!stacks) {
			b->err = -ENOMEM;
			return;
		}
		b->stacks = stacks;
		b->stacks_max = max;
	}
	b->stacks[b->nr_free_stacks].slot = th->stack_slot;
	b->stacks[b->nr_free_stacks++].thread = th->index;
}

/* `creator` starts a thread that had not been seen before. */
static struct thread *start_thread(struct builder *b, struct thread *creator, uint32_t tid, uint64_t ns)
{
	struct thread *th = new_thread(b, tid);
	if (!th)
		return NULL;
	take_stack(b, th);
	builder_prelude(b, creator, ns, NO_CPU);
	builder_emit(b, creator, &(struct plan_op){ .kind = PLAN_START, .slot = th->index });
	struct op_ref ref = builder_last_ref(creator);
	if (b->strict)
		b->prev = ref;
	else
		learn_through(b, th, &ref);
	return th;
}

/* Where no calloc tells who made a thread: whoever did something last, which at least comes before it. */
static struct thread *likely_creator(struct builder *b)
{
	return b->last ? b->last : b->threads[0];
}

struct thread *builder_thread(struct builder *b, uint32_t tid, uint64_t ns)
{
	if (b->last && b->last->tid == tid)
		return b->last;
	struct thread *th = alive(b, tid);
	return th ? th : start_thread(b, likely_creator(b), tid, ns);
}

void builder_first_thread(struct builder *b, uint32_t tid)
{
	open_window(b, b->survey.first_ns);
	if (!b->err)
		b->last = new_thread(b, tid);
}

void builder_thread_name(struct builder *b, const struct tape_event *ev)
{
	const struct thread *th = alive(b, ev->tid);
	const char *name = tape_reader_string(b->reader, (uint32_t)ev->arg);
	if (th && name)
		strncpy(b->rows[th->index].name, name, sizeof(b->rows->name) - 1);
}

void builder_thread_start(struct builder *b, const struct tape_event *ev)
{
	struct thread *creator = likely_creator(b);
	const struct survey *s = &b->survey;
	while (b->next_birth < s->nr_births && s->births[b->next_birth].start < b->ordinal)
		b->next_birth++;
	if (b->next_birth < s->nr_births && s->births[b->next_birth].start == b->ordinal) {
		struct thread *found = alive(b, s->births[b->next_birth].creator);
		creator = found ? found : creator;
	}
	/* A thread that is known already was there before the recording began. */
	if (!alive(b, ev->tid))
		b->last = start_thread(b, creator, ev->tid, ev->ns) ? creator : b->last;
	builder_thread_name(b, ev);
}

static void end_stream(struct builder *b, struct thread *th, unsigned kind)
{
	if (th->window != NO_WINDOW)
		builder_emit(b, th, &(struct plan_op){ .kind = PLAN_LEAVE, .slot = th->window });
	if (kind == PLAN_END)
		builder_emit(b, th, &(struct plan_op){ .kind = PLAN_CHECKPOINT, .slot = th->interval,
						       .arg = b->plan->head.nr_checkpoints - 1ull });
	builder_emit(b, th, &(struct plan_op){ .kind = (uint8_t)kind });
	struct plan_thread *row = &b->rows[th->index];
	row->first_pos = th->stream.first_pos;
	row->first_nr = th->stream.first_nr;
	row->nr_ops = th->stream.nr;
	row->stack_slot = th->stack_slot;
	row->before = th->before;
}

static void free_thread(struct builder *b, struct thread *th)
{
	b->threads[th->index] = NULL;
	if (b->last == th)
		b->last = NULL;
	free(th->knowledge);
	free(th);
}

void builder_thread_exit(struct builder *b, const struct tape_event *ev)
{
	struct thread *th = alive(b, ev->tid);
	/* The player's first thread stays to the end: its end would be the process's. */
	if (!th || th->index == 0)
		return;
	builder_prelude(b, th, ev->ns, NO_CPU);
	end_stream(b, th, PLAN_EXIT);
	plan_slot_give_all(&b->heap, &th->free_slots, b->window);
	if (b->strict) {
		b->join = th->index;
		b->prev.thread = NO_THREAD;
	}
	give_stack(b, th);
	if (b->strict && b->nr_free_stacks)
		b->stacks[b->nr_free_stacks - 1].thread = NO_THREAD; /* PLAN_JOIN comes before its next use */
	free_thread(b, th);
}

void builder_end_threads(struct builder *b)
{
	close_checkpoint(b, b->facts->last_ns);
	for (uint32_t i = 0; i < b->nr_threads && !b->err; i++) {
		if (b->threads[i])
			end_stream(b, b->threads[i], PLAN_END);
	}
}

void builder_free_threads(struct builder *b)
{
	for (uint32_t i = 0; i < b->nr_threads; i++) {
		if (b->threads[i])
			free_thread(b, b->threads[i]);
	}
	free(b->threads);
	free(b->rows);
	free(b->by_tid);
	free(b->stacks);
	free(b->window_arrivals);
}
