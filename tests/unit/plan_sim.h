/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan_sim.h - executes a plan without threads, in random schedules that its waits allow, and checks that every
 * one of them is sound: slots are full and empty when they should be, nothing waits for ever, checkpoints show
 * the live set that the plan promises. Only what is published counts as known to others.
 */
#ifndef HEAPTAPE_TEST_PLAN_SIM_H
#define HEAPTAPE_TEST_PLAN_SIM_H

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "check.h"
#include "replay/plan.h"

struct sim_thread {
	uint32_t pos, nr_done, published;
	bool started, ended, parked;
	uint32_t parked_until;
};

struct sim {
	const struct plan *plan;
	const struct plan_op *ops;
	const struct plan_thread *rows;
	struct sim_thread *threads;
	uint64_t *sizes; /* by slot */
	bool *full;
	uint32_t *left;
	uint32_t windows_done, arrived, goal, checkpoint;
	uint64_t nr_births, nr_deaths, nr_resizes, live, nr_live;
	uint64_t rng;
	bool broken;
};

static uint64_t sim_random(struct sim *s)
{
	s->rng = s->rng * 6364136223846793005ull + 1442695040888963407ull;
	return s->rng >> 33;
}

static void sim_expect(struct sim *s, bool holds, const char *what, uint32_t thread, const struct plan_op *op)
{
	check_nr++;
	if (holds || s->broken)
		return;
	check_nr_failed++;
	s->broken = true;
	fprintf(stderr, "plan_sim: %s: thread %u operation %u kind %u slot %u\n", what, thread,
		s->threads[thread].nr_done, op->kind, op->slot);
}

static void sim_birth(struct sim *s, uint32_t t, const struct plan_op *op)
{
	sim_expect(s, op->slot < s->plan->head.nr_slots && !s->full[op->slot], "birth in a full slot", t, op);
	if (s->broken)
		return;
	s->sizes[op->slot] = op->arg;
	s->full[op->slot] = true;
	s->live += op->arg;
	s->nr_live++;
	s->nr_births++;
}

static void sim_use(struct sim *s, uint32_t t, const struct plan_op *op)
{
	sim_expect(s, op->slot < s->plan->head.nr_slots && s->full[op->slot], "use of an empty slot", t, op);
	if (s->broken)
		return;
	if (op->kind == PLAN_TOUCH) {
		uint64_t offset = op->arg & PLAN_TOUCH_OFFSET_MASK;
		sim_expect(s, offset < s->sizes[op->slot] + PLAN_PAGE, "touch behind the object", t, op);
		return;
	}
	s->live -= s->sizes[op->slot];
	if (op->kind == PLAN_REALLOC) {
		s->sizes[op->slot] = op->arg;
		s->live += op->arg;
		s->nr_resizes++;
		return;
	}
	s->full[op->slot] = false;
	s->nr_live--;
	s->nr_deaths++;
}

static void sim_leave(struct sim *s, uint32_t t, const struct plan_op *op)
{
	sim_expect(s, s->left[op->slot] > 0, "left a window twice", t, op);
	s->left[op->slot]--;
	while (s->windows_done < s->plan->head.nr_windows && !s->left[s->windows_done])
		s->windows_done++;
}

/* False if the operation has to wait. */
static bool sim_may_run(struct sim *s, struct sim_thread *th, const struct plan_op *op)
{
	const struct plan_thread *rows = s->rows;
	switch (op->kind) {
	case PLAN_WAIT: return s->threads[op->slot].published >= op->arg;
	case PLAN_ENTER: return op->slot < 2 || s->windows_done >= op->slot - 1;
	case PLAN_CHECKPOINT:
		if (!th->parked) {
			th->parked = true;
			s->arrived++;
		}
		return s->checkpoint > op->arg;
	case PLAN_START: return rows[op->slot].before == UINT32_MAX || s->threads[rows[op->slot].before].ended;
	case PLAN_JOIN: return s->threads[op->slot].ended;
	default: return true;
	}
}

static void sim_execute(struct sim *s, uint32_t t, const struct plan_op *op)
{
	struct sim_thread *th = &s->threads[t];
	switch (op->kind) {
	case PLAN_REALLOC:
	case PLAN_FREE:
	case PLAN_DELETE:
	case PLAN_SDALLOCX:
	case PLAN_TOUCH: sim_use(s, t, op); break;
	case PLAN_LEAVE: sim_leave(s, t, op); break;
	case PLAN_CHECKPOINT: th->parked = false; break;
	case PLAN_START:
		sim_expect(s, !s->threads[op->slot].started, "started twice", t, op);
		s->threads[op->slot].started = true;
		break;
	case PLAN_EXIT: s->arrived++; th->ended = true; break;
	case PLAN_END: th->ended = true; break;
	default:
		if (op->kind >= PLAN_MALLOC && op->kind < PLAN_FREE)
			sim_birth(s, t, op);
	}
}

/* One step of a thread; false if it cannot. */
static bool sim_step(struct sim *s, uint32_t t)
{
	struct sim_thread *th = &s->threads[t];
	if (!th->started || th->ended)
		return false;
	const struct plan_op *op = &s->ops[th->pos];
	if (!sim_may_run(s, th, op))
		return false;
	sim_execute(s, t, op);
	th->nr_done++;
	if (op->flags & PLAN_PUBLISH)
		th->published = th->nr_done;
	th->pos = op->kind == PLAN_JUMP ? (uint32_t)op->arg : th->pos + 1;
	return !s->broken;
}

static void sim_checkpoint(struct sim *s)
{
	const struct plan_checkpoint *c = &s->plan->checkpoints[s->checkpoint];
	CHECK_EQ(s->live, c->live_nbytes);
	CHECK_EQ(s->nr_live, c->live_nr);
	s->checkpoint++;
	if (s->checkpoint < s->plan->head.nr_checkpoints)
		s->goal += s->plan->checkpoints[s->checkpoint].arrivals;
}

/* Runs until nobody can go on. */
static void sim_run_interval(struct sim *s)
{
	uint32_t nr = s->plan->head.nr_threads, idle = 0, t = 0;
	while (idle < nr && !s->broken) {
		uint64_t burst = 1 + sim_random(s) % (sim_random(s) % 2 ? 4 : 4000), n = 0;
		while (n < burst && sim_step(s, t))
			n++;
		idle = n ? 0 : idle + 1;
		t = idle ? (t + 1) % nr : (uint32_t)(sim_random(s) % nr);
	}
}

static void sim_run(const struct plan *plan, uint64_t seed)
{
	struct sim s = { .plan = plan, .rng = seed };
	const struct plan_header *h = &plan->head;
	char *file = mmap(NULL, h->file_nbytes, PROT_READ, MAP_SHARED, plan->fd, 0);
	s.ops = (const struct plan_op *)file;
	s.rows = (const struct plan_thread *)(file + h->threads_at);
	s.threads = calloc(h->nr_threads, sizeof(*s.threads));
	s.sizes = malloc((h->nr_slots + 1ull) * sizeof(*s.sizes));
	s.left = malloc(h->nr_windows * sizeof(*s.left));
	memcpy(s.left, file + h->windows_at, h->nr_windows * sizeof(*s.left));
	s.full = calloc(h->nr_slots + 1ull, sizeof(*s.full));
	for (uint32_t i = 0; i < h->nr_threads; i++)
		s.threads[i].pos = s.rows[i].first_pos;
	s.threads[0].started = true;
	s.goal = plan->checkpoints[0].arrivals;
	while (s.checkpoint < h->nr_checkpoints && !s.broken) {
		sim_run_interval(&s);
		CHECK_EQ(s.arrived, s.goal);
		if (s.arrived != s.goal)
			break;
		sim_checkpoint(&s);
	}
	sim_run_interval(&s);
	for (uint32_t i = 0; i < h->nr_threads && !s.broken; i++)
		CHECK_EQ(s.threads[i].nr_done, s.rows[i].nr_ops);
	CHECK_EQ(s.nr_births, plan->facts.nr_births);
	CHECK_EQ(s.nr_deaths, plan->facts.nr_deaths);
	CHECK_EQ(s.nr_resizes, h->nr_calls[PLAN_REALLOC]);
	munmap(file, h->file_nbytes);
	free(s.threads);
	free(s.sizes);
	free(s.full);
	free(s.left);
}

#endif
