/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first pass over a tape.
 *
 * The thread library's own calls: pthread_create makes one calloc for the new thread's table of thread-local
 * storage (its "dtv") when the stack is a new one: (17 + n) entries of 16 bytes, n the number of objects with
 * thread-local storage, called by the dynamic linker on behalf of the creating thread, after the mmap of the
 * stack and just before the clone. The player's threads make that call again by themselves. A calloc is taken
 * for one if its size fits, it is followed by the start of a thread that no other calloc explains, and either
 * its caller lies in the dynamic linker or its thread mapped a stack just before. Where the tape has neither
 * stacks nor mappings it must be its thread's last event before the start, and all must be of one size.
 */
#include "replay/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DTV_ENTRY 16u
#define DTV_MIN (17u * DTV_ENTRY)
#define DTV_MAX (512u * DTV_ENTRY)
#define MAP_STACK_FLAG 0x20000u /* of mmap, on x86-64 and arm64 */
#define CANDIDATES 64           /* callocs that may still turn out to belong to a thread's start */
#define CALLS_BETWEEN_MAX 4     /* of the creating thread, in case the start is noted late */

struct candidate {
	uint64_t ordinal; /* UINT64_MAX: free */
	uint64_t size;
	uint32_t tid;
	bool strong;      /* caller or stack mapping say so */
	unsigned nr_since; /* calls of its thread since then */
};

struct pass {
	struct survey *s;
	struct tape_reader *r;
	struct candidate candidates[CANDIDATES];
	unsigned next, nr_open;
	uint32_t stack_tid; /* thread whose last event mapped a stack, 0: none */
	bool has_stacks, has_mappings;
	bool begun; /* behind the keyframe */
	uint32_t last_tid;
	uint64_t weak_size;
	bool alloc_seen[256];
};

static bool is_dtv_size(uint64_t size)
{
	return size >= DTV_MIN && size <= DTV_MAX && size % DTV_ENTRY == 0;
}

/* Frame 0 is the allocator's own probed instruction; frame 1 is its caller. */
static bool called_by_linker(struct tape_reader *r, uint32_t stack)
{
	const struct tape_frame *frames;
	uint32_t nr = stack == TAPE_NO_STACK ? 0 : tape_reader_stack(r, stack, &frames, NULL);
	for (uint32_t i = 0; i < nr && i < 3; i++) {
		const char *module = tape_reader_string(r, frames[i].module);
		const char *base = module ? strrchr(module, '/') : NULL;
		if (base && (!strncmp(base, "/ld-linux", 9) || !strncmp(base, "/ld-2", 5) || !strncmp(base, "/ld.so", 6)))
			return true;
	}
	return false;
}

static void note_calloc(struct pass *p, const struct tape_event *ev, uint64_t ordinal)
{
	struct candidate *c = &p->candidates[p->next++ % CANDIDATES];
	p->nr_open += c->ordinal == UINT64_MAX;
	bool strong = p->stack_tid == ev->tid || called_by_linker(p->r, ev->stack);
	*c = (struct candidate){ .ordinal = ordinal, .size = ev->size, .tid = ev->tid, .strong = strong };
}

static void age_candidates(struct pass *p, uint32_t tid)
{
	for (unsigned i = 0; p->nr_open && i < CANDIDATES; i++) {
		struct candidate *c = &p->candidates[i];
		if (c->ordinal == UINT64_MAX || c->tid != tid || ++c->nr_since <= CALLS_BETWEEN_MAX)
			continue;
		c->ordinal = UINT64_MAX;
		p->nr_open--;
	}
}

static bool candidate_fits(const struct pass *p, const struct candidate *c)
{
	if (c->ordinal == UINT64_MAX)
		return false;
	if (c->strong)
		return true;
	return !p->has_stacks && !p->has_mappings && !c->nr_since && (!p->weak_size || p->weak_size == c->size);
}

static int note_start(struct pass *p, uint64_t ordinal)
{
	struct survey *s = p->s;
	struct candidate *best = NULL;
	for (unsigned i = 0; i < CANDIDATES; i++) {
		struct candidate *c = &p->candidates[i];
		/* The oldest first: starts come in the order of their callocs. */
		if (candidate_fits(p, c) && (!best || c->ordinal < best->ordinal))
			best = c;
	}
	if (!best)
		return 0;
	if (s->nr_births == s->births_max) {
		size_t max = s->births_max ? s->births_max * 2 : 64;
		struct survey_birth *births = reallocarray(s->births, max, sizeof(*births));
		if (!births)
			return -ENOMEM;
		s->births = births;
		s->births_max = max;
	}
	if (!best->strong) {
		p->weak_size = best->size;
		s->own_calls_assumed = true;
	}
	s->births[s->nr_births++] = (struct survey_birth){ best->ordinal, ordinal, best->tid };
	best->ordinal = UINT64_MAX;
	p->nr_open--;
	return 0;
}

static void note_lost(struct survey *s, const struct tape_event *ev)
{
	uint64_t from = ev->old < ev->ns ? ev->old : ev->ns;
	if (!s->nr_lost || from < s->lost_from_ns)
		s->lost_from_ns = from;
	if (ev->ns > s->lost_to_ns)
		s->lost_to_ns = ev->ns;
	s->nr_lost += ev->size;
}

/* What came before an exec belongs to another program. */
static void note_exec(struct pass *p, const struct tape_event *ev, uint64_t ordinal)
{
	struct survey *s = p->s;
	s->nr_execs++;
	s->first = ordinal + 1;
	s->first_ns = ev->ns;
	s->nr_calls = s->nr_births = s->nr_kept = 0;
	memset(s->nr_by_alloc, 0, sizeof(s->nr_by_alloc));
	for (unsigned i = 0; i < CANDIDATES; i++)
		p->candidates[i].ordinal = UINT64_MAX;
	p->nr_open = 0;
}

/* A runtime's objects are no allocator's: its collector frees them, and none of those that are tested could take its place. */
static bool is_runtimes(struct pass *p, uint8_t alloc)
{
	if (alloc != TAPE_NO_ALLOC && !p->alloc_seen[alloc]) {
		const char *runtime = tape_reader_meta(p->r, "runtime");
		const struct tape_allocator *a = tape_reader_allocator(p->r, alloc);

		p->alloc_seen[alloc] = true;
		if (runtime && a && !strcmp(a->name, runtime))
			p->s->runtime_alloc = alloc;
	}
	return alloc != TAPE_NO_ALLOC && alloc == p->s->runtime_alloc;
}

static void note_call(struct pass *p, const struct tape_event *ev, uint64_t ordinal)
{
	struct survey *s = p->s;
	age_candidates(p, ev->tid);
	p->has_stacks |= ev->stack != TAPE_NO_STACK;
	if (ev->flags & (TAPE_FAILED | TAPE_SUB) || is_runtimes(p, ev->alloc))
		return;
	s->nr_calls++;
	s->nr_by_alloc[ev->alloc]++;
	if (ev->kind == TAPE_CALLOC && is_dtv_size(ev->size))
		note_calloc(p, ev, ordinal);
}

static int note_found(struct survey *s, uint64_t reserved)
{
	if (!s->slack)
		s->slack = calloc(1, sizeof(*s->slack));
	if (!s->slack)
		return -ENOMEM;
	slack_found(s->slack, reserved);
	return 0;
}

static int note_event(struct pass *p, const struct tape_event *ev, uint64_t ordinal)
{
	struct survey *s = p->s;
	bool stack_mapped = false;
	int err = 0;
	if (ev->flags & TAPE_KEPT && !p->begun) {
		bool object = tape_kind_is_alloc(ev->kind) && !(ev->flags & TAPE_SUB);

		s->nr_kept_events++;
		s->nr_kept += object;
		s->nr_by_alloc[ev->alloc] += object;
		return object && ev->flags & TAPE_UNKNOWN ? note_found(s, ev->size) : 0;
	}
	if (!p->begun && s->slack)
		slack_ready(s->slack);
	if (s->slack && tape_kind_is_alloc(ev->kind) && !(ev->flags & (TAPE_FAILED | TAPE_SUB)))
		slack_request(s->slack, ev->size);
	p->begun = true;
	if (ev->tid != p->last_tid && index_map_set(&s->tids, p->last_tid = ev->tid, 0))
		return -ENOMEM;
	if (ev->cpu >= s->nr_cpus_seen)
		s->nr_cpus_seen = ev->cpu + 1u;
	switch (ev->kind) {
	case TAPE_FAULT:
		s->nr_faults++;
		s->nr_write_faults += !!(ev->flags & TAPE_WRITE);
		return 0;
	case TAPE_MMAP:
		p->has_mappings = true;
		stack_mapped = ev->arg >> 32 & MAP_STACK_FLAG;
		break;
	case TAPE_THREAD_START: err = note_start(p, ordinal); break;
	case TAPE_LOST: note_lost(s, ev); break;
	case TAPE_EXEC: note_exec(p, ev, ordinal); break;
	case TAPE_COUNTER:
		if (ev->arg == TAPE_COUNT_NESTED)
			s->nr_nested += ev->size;
		break;
	default:
		if (tape_kind_is_call(ev->kind))
			note_call(p, ev, ordinal);
	}
	if (stack_mapped)
		p->stack_tid = ev->tid;
	else if (p->stack_tid == ev->tid)
		p->stack_tid = 0;
	return err;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static int sort_own_calls(struct survey *s)
{
	s->own_calls = malloc((s->nr_births + 1) * sizeof(*s->own_calls));
	if (!s->own_calls)
		return -ENOMEM;
	for (size_t i = 0; i < s->nr_births; i++)
		s->own_calls[i] = s->births[i].calloc;
	qsort(s->own_calls, s->nr_births, sizeof(*s->own_calls), compare_u64);
	return 0;
}

int survey_run(struct tape_reader *r, struct survey *s, void (*progress)(void *arg, uint64_t nr_events), void *arg)
{
	*s = (struct survey){ .runtime_alloc = TAPE_NO_ALLOC };
	struct pass *p = calloc(1, sizeof(*p));
	if (!p || index_map_init(&s->tids)) {
		free(p);
		return -ENOMEM;
	}
	s->first_ns = s->last_ns = tape_reader_start_ns(r, NULL);
	p->s = s;
	p->r = r;
	for (unsigned i = 0; i < CANDIDATES; i++)
		p->candidates[i].ordinal = UINT64_MAX;
	const struct tape_event *evs;
	long nr;
	int err = 0;
	while (!err && (nr = tape_reader_next_block(r, &evs)) > 0) {
		for (long i = 0; i < nr && !err; i++)
			err = note_event(p, &evs[i], s->nr_events + (uint64_t)i);
		s->nr_events += (uint64_t)nr;
		if (evs[nr - 1].ns > s->last_ns)
			s->last_ns = evs[nr - 1].ns;
		if (progress)
			progress(arg, s->nr_events);
	}
	if (!err && nr < 0)
		err = (int)nr;
	if (!err)
		err = sort_own_calls(s);
	if (!err)
		err = tape_reader_rewind(r);
	free(p);
	return err;
}

void survey_free(struct survey *s)
{
	index_map_free(&s->tids);
	free(s->births);
	free(s->own_calls);
	free(s->slack);
	*s = (struct survey){ 0 };
}
