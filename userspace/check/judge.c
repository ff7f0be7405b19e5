/* SPDX-License-Identifier: BSD-2-Clause */
/* Records and the log of calls, thread by thread. */
#include "judge.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/tape.h"

enum { NO_THREAD = AREA_THREADS + 1, SEEN_MAX = 64 };

struct seen {
	uint32_t tid;
	uint8_t thread; /* of the log, NO_THREAD: not known yet */
};

struct judge {
	struct ht_ev_call *records;
	size_t nr_records, room;
	uint32_t next[AREA_THREADS + 1]; /* call that the thread's next record must be, AREA_CALLS_MAX: none is left */
	int last[AREA_THREADS + 1];      /* function of its last call that was looked at */
	bool known[AREA_THREADS + 1];
	struct seen seen[SEEN_MAX];
	unsigned nr_seen;
};

struct judge *judge_new(void)
{
	return calloc(1, sizeof(struct judge));
}

void judge_free(struct judge *j)
{
	if (!j)
		return;
	free(j->records);
	free(j);
}

bool judge_call_of(const struct ht_ev_head *h, struct ht_ev_call *call_ret)
{
	const void *record = h;

	*call_ret = (struct ht_ev_call){ .h = *h };
	switch (h->type) {
	case HT_EV_CALL: *call_ret = *(const struct ht_ev_call *)record; return true;
	case HT_EV_ALLOC:
		call_ret->addr = ((const struct ht_ev_alloc *)record)->addr;
		call_ret->size = ((const struct ht_ev_alloc *)record)->size;
		return true;
	case HT_EV_FREE: call_ret->addr = ((const struct ht_ev_free *)record)->addr; return true;
	default: return false;
	}
}

int judge_add(struct judge *j, const struct ht_ev_head *h)
{
	struct ht_ev_call call;

	if (!judge_call_of(h, &call))
		return 0;
	if (j->nr_records == j->room) {
		size_t room = j->room ? 2 * j->room : 16384;
		struct ht_ev_call *records = realloc(j->records, room * sizeof(*records));

		if (!records)
			return -ENOMEM;
		j->records = records;
		j->room = room;
	}
	j->records[j->nr_records++] = call;
	return 0;
}

static bool makes_event(const struct area *area, const struct area_call *call)
{
	return area->functions[call->function].kind < TAPE_FREE || call->result; /* a free of NULL makes none */
}

static uint32_t next_call(const struct area *area, uint32_t from, uint32_t nr, uint8_t thread)
{
	while (from < nr && (area->calls[from].thread != thread || !makes_event(area, &area->calls[from])))
		from++;
	return from < nr ? from : AREA_CALLS_MAX;
}

static bool same_call(const struct area *area, const struct area_call *call, const struct ht_ev_call *e)
{
	const struct area_function *f = &area->functions[call->function];

	if (f->kind >= TAPE_FREE)
		return e->h.type == HT_EV_FREE && e->addr == call->result;
	return e->h.type != HT_EV_FREE && e->addr == call->result && e->size == call->size && e->old == call->old &&
	       (!f->align || e->align == call->align);
}

/* The thread of the log that a record's belongs to: it is the one whose first call this is. */
static uint8_t find_thread(struct judge *j, const struct area *area, const struct ht_ev_call *e)
{
	struct seen *s = NULL;

	for (unsigned i = 0; i < j->nr_seen && !s; i++)
		if (j->seen[i].tid == e->h.tid)
			s = &j->seen[i];
	if (!s) {
		if (j->nr_seen == SEEN_MAX)
			return NO_THREAD;
		s = &j->seen[j->nr_seen++];
		*s = (struct seen){ e->h.tid, NO_THREAD };
	}
	for (uint8_t t = 0; t <= AREA_THREADS && s->thread == NO_THREAD; t++)
		if (!j->known[t] && j->next[t] != AREA_CALLS_MAX && same_call(area, &area->calls[j->next[t]], e)) {
			s->thread = t;
			j->known[t] = true;
		}
	return s->thread;
}

static int wrong(const struct area *area, const struct area_call *call, const struct ht_ev_call *e, char *why, size_t why_nbytes)
{
	if (e)
		snprintf(why, why_nbytes, "check: call of %llu bytes gave 0x%llx, its event says %llu and 0x%llx",
			 (unsigned long long)call->size, (unsigned long long)call->result, (unsigned long long)e->size,
			 (unsigned long long)e->addr);
	else
		snprintf(why, why_nbytes, "check: a call of %s(%llu) made no event", area->functions[call->function].symbol,
			 (unsigned long long)call->size);
	return call->function;
}

int judge_find_wrong(struct judge *j, const struct area *area, uint32_t nr, char *why, size_t why_nbytes)
{
	for (uint8_t t = 0; t <= AREA_THREADS; t++) {
		j->next[t] = next_call(area, 0, nr, t);
		j->last[t] = -1;
	}
	for (size_t i = 0; i < j->nr_records; i++) {
		const struct ht_ev_call *e = &j->records[i];
		uint8_t t = find_thread(j, area, e);
		const struct area_call *call;

		if (t == NO_THREAD)
			continue; /* what a thread did before its first call; if that call is missing, it is found below */
		if (j->next[t] == AREA_CALLS_MAX) {
			snprintf(why, why_nbytes, "check: an event too many");
			return j->last[t];
		}
		call = &area->calls[j->next[t]];
		if (!same_call(area, call, e)) {
			if (call->flags & AREA_CALL_AFTER_GAP)
				continue;
			return wrong(area, call, e, why, why_nbytes);
		}
		j->last[t] = call->function;
		j->next[t] = next_call(area, j->next[t] + 1, nr, t);
	}
	for (uint8_t t = 0; t <= AREA_THREADS; t++)
		if (j->next[t] != AREA_CALLS_MAX)
			return wrong(area, &area->calls[j->next[t]], NULL, why, why_nbytes);
	return -1;
}
