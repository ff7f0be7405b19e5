/* SPDX-License-Identifier: BSD-2-Clause */
/* summary.c - see summary.h. */
#include "analyze/summary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/heap.h"
#include "formats/index_map.h"

struct pass {
	struct summary *s;
	struct heap *heap;
	struct index_map tids;
	uint32_t last_tid;
	bool begun; /* behind the keyframe */
};

static const char *const family_names[FAMILY_NR] = {
	[FAMILY_MALLOC] = "malloc",   [FAMILY_CALLOC] = "calloc", [FAMILY_REALLOC] = "realloc",
	[FAMILY_ALIGNED] = "aligned", [FAMILY_NEW] = "new",       [FAMILY_FREE] = "free",
};

const char *summary_family_name(enum summary_family family)
{
	return family_names[family];
}

static enum summary_family family_of(unsigned kind)
{
	switch (kind) {
	case TAPE_MALLOC:
		return FAMILY_MALLOC;
	case TAPE_CALLOC:
		return FAMILY_CALLOC;
	case TAPE_REALLOC:
		return FAMILY_REALLOC;
	case TAPE_NEW:
		return FAMILY_NEW;
	case TAPE_FREE:
	case TAPE_DELETE:
	case TAPE_SDALLOCX:
		return FAMILY_FREE;
	default:
		return FAMILY_ALIGNED;
	}
}

static void count_call(struct summary *s, const struct tape_event *ev)
{
	if (ev->flags & TAPE_SUB) {
		s->nested++;
		return;
	}
	if (ev->flags & TAPE_FAILED) {
		s->failed++;
		return;
	}
	s->families[family_of(ev->kind)]++;
	s->total++;
	s->per_alloc[ev->alloc]++;
	s->unknown_frees += (ev->flags & TAPE_UNKNOWN) != 0;
	s->implied_frees += (ev->flags & TAPE_IMPLIED_FREE) != 0;
	if (tape_kind_is_alloc(ev->kind))
		s->requested_nbytes += ev->size;
}

static void count_loss(struct summary *s, const struct tape_event *ev)
{
	*(ev->arg < TAPE_LOSS_NR ? &s->lost[ev->arg] : &s->lost_other) += ev->size;
	s->lost_total += ev->size;
}

/* Events about the recording carry no thread of the target. */
static int count_thread(struct pass *p, const struct tape_event *ev)
{
	if (ev->tid == p->last_tid || ev->tid == 0 || ev->kind >= TAPE_LOST || ev->kind == TAPE_RSS)
		return 0;
	p->last_tid = ev->tid;
	return index_map_set(&p->tids, ev->tid, 0);
}

static int count_event(struct pass *p, const struct tape_event *ev)
{
	struct summary *s = p->s;
	int err;

	if (ev->flags & TAPE_KEPT && !p->begun) {
		bool object = tape_kind_is_alloc(ev->kind) && !(ev->flags & TAPE_SUB);

		s->kept_objects += object;
		s->kept_nbytes += object ? ev->size : 0;
		return heap_apply(p->heap, ev, NULL);
	}
	p->begun = true;
	s->kinds[ev->kind]++;
	if (tape_kind_is_call(ev->kind))
		count_call(s, ev);
	else if (ev->kind == TAPE_LOST)
		count_loss(s, ev);
	else if (ev->kind == TAPE_COUNTER && ev->arg == TAPE_COUNT_NESTED)
		s->nested += ev->size;
	else if (ev->kind == TAPE_SUSPEND)
		s->suspended_ns += ev->size;
	else if (ev->kind == TAPE_MARK && ev->arg < TAPE_MARK_NR && !s->marks[ev->arg]++)
		s->mark_ns[ev->arg] = ev->ns;
	s->events_with_stack += ev->stack != TAPE_NO_STACK;
	err = count_thread(p, ev);
	return err ? err : heap_apply(p->heap, ev, NULL);
}

static void finish(struct pass *p, struct tape_reader *r)
{
	struct summary *s = p->s;
	uint32_t highest = tape_reader_nr_stacks(r);

	s->segments = tape_reader_nr_segments(r);
	s->keyframes = tape_reader_nr_keyframes(r);
	s->start_ns = tape_reader_start_ns(r, NULL);
	s->threads = p->tids.nr;
	s->live_objects = heap_nr_objects(p->heap);
	s->live_nbytes = heap_live_nbytes(p->heap);
	s->peak_nbytes = heap_peak_nbytes(p->heap);
	for (uint32_t id = 1; id <= highest && id; id++) {
		const struct tape_frame *frames;
		bool truncated;

		tape_reader_stack(r, id, &frames, &truncated);
		s->stacks += frames != NULL;
		s->stacks_truncated += truncated;
	}
}

static int read_blocks(struct pass *p, struct tape_reader *r, void (*progress)(void *arg, uint64_t nr_events), void *arg)
{
	const struct tape_event *evs;
	long nr;

	while ((nr = tape_reader_next_block(r, &evs)) > 0) {
		for (long i = 0; i < nr; i++) {
			int err = count_event(p, &evs[i]);

			if (err)
				return err;
		}
		p->s->nr_events += (uint64_t)nr;
		if (evs[nr - 1].ns > p->s->last_ns)
			p->s->last_ns = evs[nr - 1].ns;
		if (progress)
			progress(arg, p->s->nr_events);
	}
	return (int)nr;
}

int summary_read(struct tape_reader *r, struct summary *s, void (*progress)(void *arg, uint64_t nr_events), void *arg)
{
	struct pass p = { .s = s, .heap = heap_new() };
	int err = p.heap ? index_map_init(&p.tids) : -ENOMEM;

	memset(s, 0, sizeof(*s));
	if (!err) {
		err = read_blocks(&p, r, progress, arg);
		finish(&p, r);
	}
	index_map_free(&p.tids);
	heap_free(p.heap);
	return err;
}
