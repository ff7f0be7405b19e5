/* SPDX-License-Identifier: BSD-2-Clause */
/* hold.c - see hold.h. */
#include "record/hold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/ledger.h"

#define PIECE_NBYTES (1u << 20)

struct hold_piece {
	struct hold_piece *next;
	size_t nr, taken; /* bytes */
	uint8_t bytes[PIECE_NBYTES];
};

/* In front of each record. */
struct held {
	uint32_t nbytes, cpu;
};

static size_t record_nbytes(const struct ht_ev_head *h)
{
	switch (h->type) {
	case HT_EV_ALLOC: return sizeof(struct ht_ev_alloc);
	case HT_EV_CALL: return sizeof(struct ht_ev_call);
	case HT_EV_FREE:
	case HT_EV_GIVE_UP:
	case HT_EV_FAULT: return sizeof(struct ht_ev_free);
	case HT_EV_FREE_AT: return sizeof(struct ht_ev_free_at);
	case HT_EV_CAPTURE: return sizeof(struct ht_ev_capture);
	case HT_EV_CAPTURE_BITS: return sizeof(struct ht_ev_capture_bits);
	case HT_EV_STEER: return sizeof(struct ht_ev_steer);
	case HT_EV_MAP_ENTER:
	case HT_EV_MAP_EXIT: return sizeof(struct ht_ev_map);
	case HT_EV_THREAD:
	case HT_EV_EXEC:
	case HT_EV_FORK:
	case HT_EV_CHILD: return sizeof(struct ht_ev_thread);
	case HT_EV_STACK: return sizeof(struct ht_ev_stack) + ((const struct ht_ev_stack *)(const void *)h)->nr * sizeof(uint64_t);
	case LEDGER_RSS: return sizeof(struct ledger_rss);
	case LEDGER_LOST: return sizeof(struct ledger_lost);
	case LEDGER_NESTED: return sizeof(struct ledger_nested);
	default: return sizeof(*h);
	}
}

int hold_push(struct hold *h, unsigned cpu, const struct ht_ev_head *record)
{
	struct held held = { .nbytes = (uint32_t)((record_nbytes(record) + 7) & ~(size_t)7), .cpu = cpu };
	struct hold_piece *p = h->last;

	if (!p || p->nr + sizeof(held) + held.nbytes > PIECE_NBYTES) {
		p = malloc(sizeof(*p));
		if (!p)
			return -ENOMEM;
		p->next = NULL;
		p->nr = p->taken = 0;
		if (h->last)
			h->last->next = p;
		else
			h->first = p;
		h->last = p;
	}
	memcpy(p->bytes + p->nr, &held, sizeof(held));
	memcpy(p->bytes + p->nr + sizeof(held), record, record_nbytes(record));
	p->nr += sizeof(held) + held.nbytes;
	h->nbytes += held.nbytes;
	return 0;
}

const struct ht_ev_head *hold_pop(struct hold *h, unsigned *cpu_ret)
{
	struct hold_piece *p = h->first;
	struct held held;

	if (p && p->taken == p->nr) {
		h->first = p->next;
		if (!h->first)
			h->last = NULL;
		free(p);
		p = h->first;
	}
	if (!p)
		return NULL;
	memcpy(&held, p->bytes + p->taken, sizeof(held));
	p->taken += sizeof(held) + held.nbytes;
	h->nbytes -= held.nbytes;
	*cpu_ret = held.cpu;
	return (const struct ht_ev_head *)(const void *)(p->bytes + p->taken - held.nbytes);
}

void hold_free(struct hold *h)
{
	unsigned cpu;

	while (hold_pop(h, &cpu))
		;
	*h = (struct hold){ 0 };
}
