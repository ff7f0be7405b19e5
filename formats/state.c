/* SPDX-License-Identifier: BSD-2-Clause */
/* state.c - see state.h. */
#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index_map.h"

/* A run of pages that one call mapped, or several of the same nature. The event that did is what it is told as. */
struct mapping {
	uint64_t start, end;
	uint64_t ns, arg; /* arg: prot | flags << 32 */
	uint32_t tid;
	uint8_t flags, alloc;
};

struct thread {
	uint64_t ns; /* of its start */
	uint32_t tid, name;
};

struct state {
	uint64_t page_nbytes;
	struct mapping *mappings; /* sorted, not overlapping */
	size_t nr_mappings, cap_mappings;
	struct tape_event brk; /* kind TAPE_NONE: not seen; old: where the heap began when it was first seen */
	struct thread *threads;
	uint32_t nr_threads, cap_threads;
	struct index_map thread_of; /* tid -> index, INDEX_NONE for one that ended */
	struct heap *subs;
};

struct state *state_new(uint64_t page_nbytes)
{
	struct state *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->page_nbytes = page_nbytes;
	s->subs = heap_new();
	if (!s->subs || index_map_init(&s->thread_of)) {
		state_free(s);
		return NULL;
	}
	return s;
}

void state_free(struct state *s)
{
	if (!s)
		return;
	heap_free(s->subs);
	index_map_free(&s->thread_of);
	free(s->mappings);
	free(s->threads);
	free(s);
}

const struct heap *state_subs(const struct state *s)
{
	return s->subs;
}

/* ---- mappings ---- */

/* Index of the first mapping that ends above addr. */
static size_t mapping_at(const struct state *s, uint64_t addr)
{
	size_t low = 0, high = s->nr_mappings;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->mappings[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Replaces nr_old mappings from index `from` on. */
static int splice(struct state *s, size_t from, size_t nr_old, const struct mapping *new, size_t nr_new)
{
	if (s->nr_mappings + nr_new > s->cap_mappings) {
		size_t cap = 2 * s->cap_mappings + 64;
		struct mapping *mappings = reallocarray(s->mappings, cap, sizeof(*mappings));

		if (!mappings)
			return -ENOMEM;
		s->mappings = mappings;
		s->cap_mappings = cap;
	}
	memmove(s->mappings + from + nr_new, s->mappings + from + nr_old, (s->nr_mappings - from - nr_old) * sizeof(*s->mappings));
	memcpy(s->mappings + from, new, nr_new * sizeof(*new));
	s->nr_mappings += nr_new - nr_old;
	return 0;
}

static bool continues(const struct mapping *a, const struct mapping *b)
{
	return a->end == b->start && a->arg == b->arg && a->flags == b->flags && a->alloc == b->alloc;
}

/* Runs of one nature become one, so that the same mappings are told the same however they came about. */
static size_t join(struct mapping *m, size_t nr)
{
	size_t last = 0;

	for (size_t i = 1; i < nr; i++) {
		if (continues(&m[last], &m[i]))
			m[last].end = m[i].end;
		else
			m[++last] = m[i];
	}
	return nr ? last + 1 : 0;
}

/* [start, end) is nobody's from here on, or m's if that is not NULL. */
static int set_range(struct state *s, uint64_t start, uint64_t end, const struct mapping *m)
{
	size_t first = mapping_at(s, start), last = first, nr_new = 0;
	struct mapping new[5]; /* a neighbour and what is left of a mapping on either side */

	if (start >= end)
		return 0;
	while (last < s->nr_mappings && s->mappings[last].start < end)
		last++;
	if (first < last && s->mappings[first].start < start) {
		new[nr_new] = s->mappings[first];
		new[nr_new++].end = start;
	}
	if (m)
		new[nr_new++] = *m;
	if (first < last && s->mappings[last - 1].end > end) {
		new[nr_new] = s->mappings[last - 1];
		new[nr_new++].start = end;
	}
	if (m && first && s->mappings[first - 1].end == start) {
		memmove(new + 1, new, nr_new++ * sizeof(*new));
		new[0] = s->mappings[--first];
	}
	if (m && last < s->nr_mappings && s->mappings[last].start == end)
		new[nr_new++] = s->mappings[last++];
	nr_new = join(new, nr_new);
	return first == last && !nr_new ? 0 : splice(s, first, last - first, new, nr_new);
}

static uint64_t page_up(const struct state *s, uint64_t n)
{
	return (n + s->page_nbytes - 1) & ~(s->page_nbytes - 1);
}

/* Flags that a mapping keeps: who asked for it. */
static struct mapping mapping_of(const struct state *s, const struct tape_event *ev)
{
	return (struct mapping){ .start = ev->addr, .end = ev->addr + page_up(s, ev->size), .ns = ev->ns, .arg = ev->arg,
				 .tid = ev->tid, .flags = (uint8_t)(ev->flags >> TAPE_BY_SHIFT << TAPE_BY_SHIFT), .alloc = ev->alloc };
}

/* Its protection and flags are those of the mapping that it was. */
static int remap(struct state *s, const struct tape_event *ev)
{
	struct mapping m = mapping_of(s, ev);
	size_t at = mapping_at(s, ev->old);
	int err = 0;

	m.arg = 0;
	if (ev->old && at < s->nr_mappings && s->mappings[at].start <= ev->old)
		m.arg = s->mappings[at].arg;
	if (ev->old)
		err = set_range(s, ev->old, ev->old + page_up(s, ev->arg), NULL);
	return err ? err : set_range(s, m.start, m.end, &m);
}

static int move_break(struct state *s, const struct tape_event *ev)
{
	uint64_t start = s->brk.kind ? s->brk.old : ev->old ? ev->old : ev->addr;

	s->brk = (struct tape_event){ .kind = TAPE_BRK, .ns = ev->ns, .tid = ev->tid, .alloc = ev->alloc, .addr = ev->addr,
				      .flags = (uint8_t)(ev->flags >> TAPE_BY_SHIFT << TAPE_BY_SHIFT),
				      .old = start < ev->addr ? start : ev->addr };
	return 0;
}

/* ---- threads ---- */

static struct thread *find_thread(struct state *s, uint32_t tid)
{
	uint32_t i = index_map_find(&s->thread_of, tid);

	return i == INDEX_NONE ? NULL : &s->threads[i];
}

static int start_thread(struct state *s, const struct tape_event *ev)
{
	struct thread *t = find_thread(s, ev->tid);

	if (!t) {
		if (s->nr_threads == s->cap_threads) {
			uint32_t cap = s->cap_threads ? 2 * s->cap_threads : 64;
			struct thread *threads = reallocarray(s->threads, cap, sizeof(*threads));

			if (!threads)
				return -ENOMEM;
			s->threads = threads;
			s->cap_threads = cap;
		}
		if (index_map_set(&s->thread_of, ev->tid, s->nr_threads))
			return -ENOMEM;
		t = &s->threads[s->nr_threads++];
	}
	*t = (struct thread){ .ns = ev->ns, .tid = ev->tid, .name = (uint32_t)ev->arg };
	return 0;
}

static int end_thread(struct state *s, uint32_t tid)
{
	struct thread *t = find_thread(s, tid), *last = t ? &s->threads[s->nr_threads - 1] : NULL;

	if (!t)
		return 0;
	*t = *last;
	s->nr_threads--;
	/* Both are known to the map: that finds no new slot, and so cannot fail. */
	index_map_set(&s->thread_of, t->tid, (uint32_t)(t - s->threads));
	index_map_set(&s->thread_of, tid, INDEX_NONE);
	return 0;
}

static void name_thread(struct state *s, const struct tape_event *ev)
{
	struct thread *t = find_thread(s, ev->tid);

	if (t)
		t->name = (uint32_t)ev->arg;
}

void state_drop_threads(struct state *s)
{
	index_map_clear(&s->thread_of);
	s->nr_threads = 0;
}

/* The image is replaced: nothing is left but the thread that did it. */
static int exec_image(struct state *s, const struct tape_event *ev)
{
	struct thread *t = find_thread(s, ev->tid), kept = t ? *t : (struct thread){ 0 };

	s->nr_mappings = 0;
	s->brk = (struct tape_event){ 0 };
	index_map_clear(&s->thread_of);
	s->nr_threads = 0;
	if (heap_apply(s->subs, ev, NULL))
		return -ENOMEM;
	return t ? start_thread(s, &(struct tape_event){ .ns = kept.ns, .tid = kept.tid, .arg = ev->arg }) : 0;
}

static int apply_sub(struct state *s, const struct tape_event *ev)
{
	struct tape_event plain = *ev;

	plain.flags &= (uint8_t)~TAPE_SUB;
	return heap_apply(s->subs, &plain, NULL);
}

int state_apply(struct state *s, const struct tape_event *ev)
{
	struct mapping m;

	if (ev->flags & TAPE_SUB && ev->kind < TAPE_MMAP)
		return apply_sub(s, ev);
	switch (ev->kind) {
	case TAPE_MMAP:
		m = mapping_of(s, ev);
		return set_range(s, m.start, m.end, &m);
	case TAPE_MUNMAP: return set_range(s, ev->addr, ev->addr + page_up(s, ev->size), NULL);
	case TAPE_MREMAP: return remap(s, ev);
	case TAPE_BRK: return move_break(s, ev);
	case TAPE_THREAD_START: return start_thread(s, ev);
	case TAPE_THREAD_NAME: name_thread(s, ev); return 0;
	case TAPE_THREAD_EXIT: return end_thread(s, ev->tid);
	case TAPE_EXEC: return exec_image(s, ev);
	default: return 0;
	}
}

/* ---- as events ---- */

struct sub_teller {
	int (*fn)(void *arg, const struct tape_event *ev);
	void *arg;
};

static int tell_sub(void *arg, const struct heap_object *obj)
{
	struct sub_teller *teller = arg;
	struct tape_event ev = { .ns = obj->born_ns, .addr = obj->addr, .size = obj->size, .tid = obj->tid, .stack = obj->stack,
				 .kind = obj->kind, .alloc = obj->alloc, .flags = TAPE_SUB };

	return teller->fn(teller->arg, &ev);
}

int state_each(const struct state *s, int (*fn)(void *arg, const struct tape_event *ev), void *arg)
{
	struct sub_teller teller = { fn, arg };
	int stop = 0;

	for (size_t i = 0; i < s->nr_mappings && !stop; i++) {
		const struct mapping *m = &s->mappings[i];

		stop = fn(arg, &(struct tape_event){ .kind = TAPE_MMAP, .ns = m->ns, .tid = m->tid, .addr = m->start,
						     .size = m->end - m->start, .arg = m->arg, .flags = m->flags, .alloc = m->alloc });
	}
	if (s->brk.kind && !stop)
		stop = fn(arg, &s->brk);
	for (uint32_t i = 0; i < s->nr_threads && !stop; i++)
		stop = fn(arg, &(struct tape_event){ .kind = TAPE_THREAD_START, .ns = s->threads[i].ns, .tid = s->threads[i].tid,
						     .arg = s->threads[i].name, .alloc = TAPE_NO_ALLOC });
	return stop ? stop : heap_each(s->subs, tell_sub, &teller);
}
