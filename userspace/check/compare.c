/* SPDX-License-Identifier: BSD-2-Clause */
/* Two recordings of the same calls, held against each other thread by thread. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bpf/events.h"
#include "check/live.h"

enum {
	WAITING_MAX = 64, /* calls of a thread that one has seen and the other not yet: the two tell at other moments */
	EDGE_CALLS = 2,   /* under way at the beginning or the end: a call, and a signal handler's inside it */
};

struct waiting {
	struct ht_ev_call call;
	unsigned function;
};

struct thread {
	uint32_t tid;
	uint64_t nr_agreed;
	struct waiting waiting[2][WAITING_MAX];
	unsigned nr_waiting[2];
	uint64_t agreed_at_wait[2][WAITING_MAX]; /* nr_agreed when it came */
};

struct compare {
	unsigned nr_functions;
	int64_t *agreed;  /* of each function */
	bool *differed;
	struct thread *threads;
	unsigned nr_threads, room;
};

struct compare *compare_new(unsigned nr_functions)
{
	struct compare *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->nr_functions = nr_functions;
	c->agreed = calloc(nr_functions, sizeof(*c->agreed));
	c->differed = calloc(nr_functions, sizeof(*c->differed));
	if (!c->agreed || !c->differed) {
		compare_free(c);
		return NULL;
	}
	return c;
}

void compare_free(struct compare *c)
{
	if (!c)
		return;
	free(c->agreed);
	free(c->differed);
	free(c->threads);
	free(c);
}

static struct thread *thread_of(struct compare *c, uint32_t tid)
{
	for (unsigned i = 0; i < c->nr_threads; i++)
		if (c->threads[i].tid == tid)
			return &c->threads[i];
	if (c->nr_threads == c->room) {
		unsigned room = c->room ? 2 * c->room : 16;
		struct thread *threads = realloc(c->threads, room * sizeof(*threads));

		if (!threads)
			return NULL;
		c->threads = threads;
		c->room = room;
	}
	c->threads[c->nr_threads] = (struct thread){ .tid = tid };
	return &c->threads[c->nr_threads++];
}

static bool same(const struct waiting *w, unsigned function, const struct ht_ev_call *b)
{
	const struct ht_ev_call *a = &w->call;

	return w->function == function && a->addr == b->addr && a->size == b->size && a->old == b->old && a->align == b->align;
}

static void remove_waiting(struct thread *t, unsigned lane, unsigned i)
{
	for (t->nr_waiting[lane]--; i < t->nr_waiting[lane]; i++) {
		t->waiting[lane][i] = t->waiting[lane][i + 1];
		t->agreed_at_wait[lane][i] = t->agreed_at_wait[lane][i + 1];
	}
}

int compare_add(struct compare *c, unsigned lane, unsigned function, const struct ht_ev_call *call)
{
	struct thread *t = thread_of(c, call->h.tid);
	unsigned other = !lane;

	if (!t)
		return -ENOMEM;
	if (function >= c->nr_functions)
		return 0;
	for (unsigned i = 0; i < t->nr_waiting[other]; i++)
		if (same(&t->waiting[other][i], function, call)) {
			remove_waiting(t, other, i);
			t->nr_agreed++;
			c->agreed[function]++;
			return 0;
		}
	if (t->nr_waiting[lane] == WAITING_MAX) {
		/* The oldest will not be answered any more. */
		if (t->agreed_at_wait[lane][0])
			c->differed[t->waiting[lane][0].function] = true;
		remove_waiting(t, lane, 0);
	}
	t->waiting[lane][t->nr_waiting[lane]] = (struct waiting){ *call, function };
	t->agreed_at_wait[lane][t->nr_waiting[lane]++] = t->nr_agreed;
	return 0;
}

/* Seen by one alone, in the midst of calls that both have seen. */
static bool thread_differs(const struct thread *t, unsigned function)
{
	for (unsigned lane = 0; lane < 2; lane++) {
		unsigned nr_first = 0;

		for (unsigned i = 0; i < t->nr_waiting[lane]; i++) {
			bool first = !t->agreed_at_wait[lane][i] && nr_first++ < EDGE_CALLS;
			bool last = t->agreed_at_wait[lane][i] == t->nr_agreed && t->nr_waiting[lane] - i <= EDGE_CALLS;

			if (!first && !last && t->waiting[lane][i].function == function)
				return true;
		}
	}
	return false;
}

int64_t compare_agreed(const struct compare *c, unsigned function)
{
	if (c->differed[function])
		return -1;
	for (unsigned i = 0; i < c->nr_threads; i++)
		if (thread_differs(&c->threads[i], function))
			return -1;
	return c->agreed[function];
}
