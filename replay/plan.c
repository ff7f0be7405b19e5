/* SPDX-License-Identifier: BSD-2-Clause */
/* The planner: first pass, second pass, tables. plan.h says what a plan guarantees. */
#include "replay/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/state.h"
#include "replay/plan_build.h"

#define CLOCK_PERIOD_NS 10000000ull
#define MADV_DONTNEED_ADVICE 4 /* on the recorded machine; the same on x86-64 and arm64 */
#define PREFETCH_AHEAD 8

_Static_assert(sizeof(struct plan_op) == PLAN_OP_NBYTES, "operations are 16 bytes");
_Static_assert(sizeof(struct plan_header) <= PLAN_HEADER_OPS * PLAN_OP_NBYTES, "the header fits its page");

/* ---- the clock ---- */

/*
 * A trap delays the thread that takes it, and whoever waits for that thread or its CPU; threads on other CPUs
 * go on meanwhile. So of each period of 10 ms the traps of its busiest thread or CPU are taken off the tape's
 * time, for all threads alike, and never more than has passed: corrected time stands still but never goes back.
 */
static uint64_t clock_correct(struct tape_clock *c, uint64_t ns)
{
	if (ns < c->last_ns + c->taken_ns)
		c->taken_ns = ns > c->last_ns ? ns - c->last_ns : 0;
	uint64_t corrected = ns - c->taken_ns;
	if (corrected > c->last_ns)
		c->last_ns = corrected;
	return c->last_ns;
}

void builder_charge(struct builder *b, struct thread *th, const struct tape_event *ev)
{
	struct tape_clock *c = &b->clock;
	uint64_t period = ev->ns / CLOCK_PERIOD_NS + 1;
	if (!c->trap_ns)
		return;
	if (c->period != period) {
		c->period = period;
		c->nr_max = 0;
		memset(c->nr_by_cpu, 0, sizeof(c->nr_by_cpu));
	}
	if (th->charged_in != period) {
		th->charged_in = period;
		th->nr_charged = 0;
	}
	uint32_t by_thread = ++th->nr_charged, by_cpu = ++c->nr_by_cpu[ev->cpu % PLAN_CPUS_MAX];
	uint32_t most = by_thread > by_cpu ? by_thread : by_cpu;
	if (most > c->nr_max) {
		c->nr_max = most;
		c->taken_ns += c->trap_ns;
	}
}

/* ---- events ---- */

static void plan_mapping(struct builder *b, const struct tape_event *ev)
{
	int err = around_event(b->around, b->touch, ev);
	if (err) {
		b->err = b->err ? b->err : err;
		return;
	}
	switch (ev->kind) {
	case TAPE_MMAP: err = touch_map(b->touch, ev->addr, ev->size); break;
	case TAPE_MUNMAP: err = touch_unmap(b->touch, ev->addr, ev->size); break;
	case TAPE_MREMAP: err = touch_move(b->touch, ev->old, ev->arg, ev->addr, ev->size); break;
	case TAPE_BRK:
		if (ev->addr > ev->old)
			err = touch_map(b->touch, ev->old, ev->addr - ev->old);
		else
			err = touch_unmap(b->touch, ev->addr, ev->old - ev->addr);
		break;
	case TAPE_MADVISE:
		if (ev->arg == MADV_DONTNEED_ADVICE)
			err = touch_drop(b->touch, ev->addr, ev->size);
		break;
	default: break;
	}
	b->err = b->err ? b->err : err;
}

/* The recorder looks at the resident set every now and then; at checkpoints between two looks it is interpolated. */
static void plan_rss(struct builder *b, const struct tape_event *ev)
{
	for (uint32_t i = b->rss_checkpoint; i < b->checkpoint && b->rss_nbytes != UINT64_MAX; i++) {
		struct plan_checkpoint *c = &b->plan->checkpoints[i];
		double share = ev->ns > b->rss_ns ? (double)(c->ns - b->rss_ns) / (double)(ev->ns - b->rss_ns) : 0;
		double grown = (double)ev->addr - (double)b->rss_nbytes;
		c->recorded_anon_nbytes = (uint64_t)((double)b->rss_nbytes + share * grown);
	}
	b->rss_nbytes = ev->addr;
	b->rss_ns = ev->ns;
	b->rss_checkpoint = b->checkpoint;
}

static void plan_event(struct builder *b, const struct tape_event *ev)
{
	b->now_ns = clock_correct(&b->clock, ev->ns);
	builder_advance(b, ev->ns);
	if (tape_kind_is_call(ev->kind)) {
		builder_call(b, ev);
		return;
	}
	switch (ev->kind) {
	case TAPE_GIVE_UP: builder_give_up(b, ev); break;
	case TAPE_THREAD_START: builder_thread_start(b, ev); break;
	case TAPE_THREAD_NAME: builder_thread_name(b, ev); break;
	case TAPE_THREAD_EXIT: builder_thread_exit(b, ev); break;
	case TAPE_RSS: plan_rss(b, ev); break;
	case TAPE_STEER: builder_steer(b, ev); break;
	case TAPE_FAULT:
		if (b->touch)
			builder_fault(b, ev);
		break;
	default:
		if (b->touch)
			plan_mapping(b, ev);
	}
}

static int plan_events(struct builder *b)
{
	const struct plan_opts *opts = b->opts;
	const struct tape_event *evs;
	long nr;
	while ((nr = tape_reader_next_block(b->reader, &evs)) > 0) {
		for (long i = 0; i < nr && !b->err; i++, b->ordinal++) {
			if (b->ordinal < b->survey.first)
				continue;
			if (b->ordinal < b->survey.nr_kept_events) {
				if (!state_may_hold(&evs[i])) /* mappings and threads of then: replay makes its own */
					builder_note_kept(b, &evs[i]);
				continue;
			}
			if (!b->kept_placed)
				builder_place_kept(b);
			if (i + PREFETCH_AHEAD < nr)
				plan_heap_prefetch(&b->heap, evs[i + PREFETCH_AHEAD].addr);
			plan_event(b, &evs[i]);
		}
		if (b->err)
			return b->err;
		if (opts->progress)
			opts->progress(opts->progress_arg, "planning", b->ordinal, b->survey.nr_events);
	}
	return (int)nr;
}

/* ---- the whole ---- */

static int by_time(const void *a, const void *b)
{
	const struct plan_checkpoint *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

static int make_checkpoints(struct builder *b)
{
	struct plan *plan = b->plan;
	const struct plan_opts *opts = b->opts;
	struct plan_checkpoint *all = calloc((size_t)opts->nr_checkpoints + opts->nr_at, sizeof(*all));
	uint64_t first = b->facts->first_ns, span = b->facts->last_ns - first;
	uint32_t nr = 0, kept = 0;

	plan->checkpoints = all;
	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < opts->nr_checkpoints; i++)
		all[nr++].ns = first + (uint64_t)((unsigned __int128)span * (i + 1) / opts->nr_checkpoints);
	for (uint32_t i = 0; i < opts->nr_at; i++)
		if (opts->at_ns[i] > first && opts->at_ns[i] < b->facts->last_ns)
			all[nr++].ns = opts->at_ns[i];
	qsort(all, nr, sizeof(*all), by_time);
	/* Of a tape without duration all evenly spread ones lie at one moment: these stay. */
	for (uint32_t i = 0; i < nr; i++)
		if (!i || !span || all[i].ns != all[kept - 1].ns)
			all[kept++] = all[i];
	plan->head.nr_checkpoints = kept;
	return 0;
}

static void take_survey(struct builder *b)
{
	const struct survey *s = &b->survey;
	struct plan_facts *f = b->facts;
	uint64_t duration = tape_reader_meta_u64(b->reader, "duration_ns", 0);
	uint64_t found = tape_reader_meta_u64(b->reader, "baseline.bytes", 0); /* replayed as objects of their own */
	f->first_ns = s->first_ns;
	f->last_ns = duration > s->last_ns ? duration : s->last_ns;
	f->start_anon_nbytes = tape_reader_meta_u64(b->reader, "start.rss_anon", 0);
	f->start_anon_nbytes -= f->start_anon_nbytes < found ? f->start_anon_nbytes : found;
	f->nr_nested = s->nr_nested;
	f->nr_execs = s->nr_execs;
	f->nr_lost = s->nr_lost;
	f->lost_from_ns = s->lost_from_ns;
	f->lost_to_ns = s->lost_to_ns;
	f->nr_faults = s->nr_faults;
	f->nr_cpus_seen = s->nr_cpus_seen;
	f->own_calls_assumed = s->own_calls_assumed;
	f->recorded_alloc = TAPE_NO_ALLOC;
	for (unsigned i = 0; i < TAPE_NO_ALLOC; i++) {
		if (s->nr_by_alloc[i] && (f->recorded_alloc == TAPE_NO_ALLOC ||
					  s->nr_by_alloc[i] > s->nr_by_alloc[f->recorded_alloc]))
			f->recorded_alloc = (uint8_t)i;
	}
}

/* What all traps took is shared out among the calls; where it is not known, so are the traps at their calibrated price. */
static uint64_t trap_ns_of_call(const struct builder *b)
{
	uint64_t cost_ns = tape_reader_meta_u64(b->reader, "record.cost_ns", 0);
	uint64_t trap_ns = tape_reader_meta_u64(b->reader, "record.trap_ns", 0);
	uint64_t nr_traps = tape_reader_meta_u64(b->reader, "record.traps", 0);
	if (cost_ns && b->survey.nr_calls)
		return cost_ns / b->survey.nr_calls;
	if (nr_traps <= b->survey.nr_calls)
		return trap_ns;
	return (uint64_t)((double)trap_ns * (double)nr_traps / (double)b->survey.nr_calls);
}

static int prepare(struct builder *b)
{
	const char *dir = b->opts->dir ? b->opts->dir : getenv("TMPDIR");
	struct plan_header *head = &b->plan->head;
	bool from_exec = tape_reader_meta_u64(b->reader, "start.from_exec", 0) && !tape_reader_start_ns(b->reader, NULL);
	from_exec |= b->survey.nr_execs != 0;
	take_survey(b);
	*head = (struct plan_header){ .magic = PLAN_MAGIC, .version = PLAN_VERSION };
	head->order = (uint8_t)b->opts->order;
	head->touch = (uint8_t)b->opts->touch;
	head->placement = (uint8_t)b->opts->placement;
	head->nr_cpus = (uint32_t)tape_reader_meta_u64(b->reader, "machine.cpus", 0);
	head->start_unix_ns = tape_reader_meta_u64(b->reader, "start_unix_ns", 0);
	b->clock.trap_ns = b->facts->trap_ns = trap_ns_of_call(b);
	b->clock.last_ns = b->facts->first_ns;
	b->strict = b->opts->order == PLAN_ORDER_STRICT;
	b->window = UINT32_MAX; /* the first window opened is 0 */
	b->prev.thread = b->join = NO_THREAD;
	b->rss_nbytes = UINT64_MAX;
	b->faults_need_write = b->survey.nr_write_faults != 0;
	if (b->opts->touch == PLAN_TOUCHING_FAULTS && b->survey.nr_faults) {
		b->touch = touch_new();
		b->around = around_new(from_exec);
		if (!b->touch || !b->around)
			return -ENOMEM;
	}
	/* What a process that has just been started holds is no heap. */
	b->around_start_nbytes = from_exec && !b->survey.nr_execs ? b->facts->start_anon_nbytes : 0;
	int err = plan_heap_init(&b->heap);
	if (!err)
		err = make_checkpoints(b);
	if (!err)
		err = plan_out_new(dir && *dir ? dir : "/tmp", &b->out);
	if (!err)
		builder_first_thread(b, b->first_tid = (uint32_t)tape_reader_meta_u64(b->reader, "target.pid", 0));
	return err ? err : b->err;
}

static int finish(struct builder *b)
{
	struct plan *plan = b->plan;
	struct plan_header *head = &plan->head;
	b->now_ns = clock_correct(&b->clock, b->facts->last_ns);
	builder_advance(b, b->facts->last_ns);
	builder_end_threads(b);
	if (b->err)
		return b->err;
	b->facts->live_nbytes = b->live_nbytes;
	b->facts->trap_total_ns = b->clock.taken_ns;
	if (b->touch)
		touch_finish(b->touch, &b->facts->touched);
	head->nr_threads = b->nr_threads;
	head->nr_slots = b->heap.nr_slots;
	head->nr_windows = b->window + 1;
	for (uint32_t i = 0; i < b->nr_threads; i++)
		head->nr_ops += b->rows[i].nr_ops;
	int err = plan_out_table(b->out, b->rows, b->nr_threads * sizeof(*b->rows), &head->threads_at);
	if (!err)
		err = plan_out_table(b->out, plan->checkpoints, head->nr_checkpoints * sizeof(*plan->checkpoints),
				     &head->checkpoints_at);
	if (!err)
		err = plan_out_table(b->out, b->window_arrivals, head->nr_windows * sizeof(*b->window_arrivals),
				     &head->windows_at);
	if (!err)
		err = plan_out_table(b->out, b->facts, sizeof(*b->facts), &head->facts_at);
	if (!err)
		err = plan_out_finish(b->out, head, &plan->fd);
	if (err)
		return err;
	plan->threads = b->rows;
	b->rows = NULL;
	return 0;
}

static void builder_free(struct builder *b)
{
	builder_free_threads(b);
	plan_heap_clear(&b->heap);
	touch_free(b->touch);
	around_free(b->around);
	free(b->kept);
	plan_out_free(b->out);
	survey_free(&b->survey);
	free(b);
}

static void show_survey(void *arg, uint64_t nr_events)
{
	const struct plan_opts *opts = arg;
	if (opts->progress)
		opts->progress(opts->progress_arg, "reading", nr_events, 0);
}

int plan_build(struct tape_reader *r, const struct plan_opts *opts, struct plan *plan)
{
	struct plan_opts full = *opts;
	full.skew_ns = opts->skew_ns ? opts->skew_ns : PLAN_SKEW_DEFAULT_NS;
	full.nr_checkpoints = opts->nr_checkpoints ? opts->nr_checkpoints : PLAN_CHECKPOINTS_DEFAULT;
	*plan = (struct plan){ .fd = -1 };
	struct builder *b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->reader = r;
	b->opts = &full;
	b->plan = plan;
	b->facts = &plan->facts;
	int err = survey_run(r, &b->survey, show_survey, &full);
	if (!err && !b->survey.nr_calls)
		err = -ENODATA;
	if (!err)
		err = prepare(b);
	if (!err)
		err = plan_events(b);
	if (!err)
		err = finish(b);
	builder_free(b);
	if (err)
		plan_free(plan);
	return err;
}

void plan_free(struct plan *plan)
{
	if (plan->fd >= 0)
		close(plan->fd);
	free(plan->checkpoints);
	free(plan->threads);
	*plan = (struct plan){ .fd = -1 };
}

uint64_t plan_around_peak(const struct plan *plan)
{
	uint64_t peak = 0;
	for (uint32_t i = 0; i < plan->head.nr_checkpoints; i++) {
		uint64_t nbytes = plan->checkpoints[i].around_nbytes;
		peak = nbytes != UINT64_MAX && nbytes > peak ? nbytes : peak;
	}
	return peak;
}
