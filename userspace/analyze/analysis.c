/* SPDX-License-Identifier: BSD-2-Clause */
/* The two passes, and what one event adds to which row. */
#include "analyze/analysis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/analysis_impl.h"

#define LARGE_NBYTES (128u << 10)
#define LIFE_UNIT_NS 100u

uint64_t analysis_life_end_ns(unsigned bucket)
{
	return bucket + 1 < ANALYSIS_LIFE_BUCKETS ? (uint64_t)LIFE_UNIT_NS << 2 * bucket : UINT64_MAX;
}

static unsigned life_bucket(uint64_t ns)
{
	unsigned bits = ns > LIFE_UNIT_NS ? 64 - (unsigned)__builtin_clzll((ns - 1) / LIFE_UNIT_NS) : 0;
	unsigned bucket = (bits + 1) / 2;

	return bucket < ANALYSIS_LIFE_BUCKETS ? bucket : ANALYSIS_LIFE_BUCKETS - 1;
}

/* ---- rows ---- */

/* Room for one more in a list of rows of this size. */
static void *grown(void *list, size_t nr, size_t *max, size_t nbytes)
{
	size_t more = *max ? *max * 2 : 256;
	uint8_t *bigger;

	if (nr < *max)
		return list;
	bigger = reallocarray(list, more, nbytes);
	if (!bigger)
		return NULL;
	memset(bigger + nr * nbytes, 0, (more - nr) * nbytes);
	*max = more;
	return bigger;
}

struct analysis_stack *pass_stack(struct pass *p, uint32_t stack)
{
	struct analysis *a = p->a;
	uint32_t i = index_map_find(&p->stack_of, stack);
	void *list;

	if (i != INDEX_NONE)
		return &a->stacks[i];
	list = grown(a->stacks, a->nr_stacks, &p->stacks_max, sizeof(*a->stacks));
	if (!list)
		return NULL;
	a->stacks = list;
	if (index_map_set(&p->stack_of, stack, (uint32_t)a->nr_stacks))
		return NULL;
	a->stacks[a->nr_stacks].stack = stack;
	return &a->stacks[a->nr_stacks++];
}

struct analysis_thread *pass_thread(struct pass *p, uint32_t tid)
{
	struct analysis *a = p->a;
	uint32_t i = index_map_find(&p->thread_of, tid);
	void *list;

	if (i != INDEX_NONE)
		return &a->threads[i];
	list = grown(a->threads, a->nr_threads, &p->threads_max, sizeof(*a->threads));
	if (!list)
		return NULL;
	a->threads = list;
	if (index_map_set(&p->thread_of, tid, (uint32_t)a->nr_threads))
		return NULL;
	p->nr_alive++;
	a->threads[a->nr_threads] = (struct analysis_thread){ .tid = tid, .started_ns = UINT64_MAX, .ended_ns = UINT64_MAX };
	return &a->threads[a->nr_threads++];
}

struct analysis_pair *pass_pair(struct pass *p, uint32_t owner, uint32_t freer)
{
	struct analysis *a = p->a;
	uint64_t key = (uint64_t)owner << 32 | freer;
	uint32_t i = index_map_find(&p->pair_of, key);
	void *list;

	if (i != INDEX_NONE)
		return &a->pairs[i];
	list = grown(a->pairs, a->nr_pairs, &p->pairs_max, sizeof(*a->pairs));
	if (!list)
		return NULL;
	a->pairs = list;
	if (index_map_set(&p->pair_of, key, (uint32_t)a->nr_pairs))
		return NULL;
	a->pairs[a->nr_pairs] = (struct analysis_pair){ .owner = owner, .freer = freer };
	return &a->pairs[a->nr_pairs++];
}

struct analysis_size *pass_size(struct pass *p, uint64_t nbytes)
{
	struct analysis_size *s;
	uint64_t from, step = 16;
	unsigned i;

	if (nbytes <= 1024) {
		i = nbytes ? (unsigned)((nbytes + 15) / 16) : 0;
		from = i ? i * 16 - 15 : 0;
		step = i ? 16 : 1;
	} else {
		unsigned shift = 63 - (unsigned)__builtin_clzll(nbytes - 1) - 3;

		i = 65 + (shift - 7) * 8 + (unsigned)((nbytes - 1) >> shift & 7);
		from = ((nbytes - 1) >> shift << shift) + 1;
		step = 1ull << shift;
	}
	s = &p->sizes[i < ANALYSIS_SIZE_CLASSES ? i : ANALYSIS_SIZE_CLASSES - 1];
	s->from = from;
	s->to = from + step - 1;
	return s;
}

/* ---- one event ---- */

static bool in_window(const struct pass *p, uint64_t ns)
{
	return ns >= p->a->from_ns && ns <= p->a->to_ns;
}

static int count_birth(struct pass *p, const struct tape_event *ev)
{
	struct analysis *a = p->a;
	struct analysis_stack *s = pass_stack(p, ev->stack);
	struct analysis_thread *t = s ? pass_thread(p, ev->tid) : NULL;
	struct analysis_size *size = pass_size(p, ev->size);

	if (!t)
		return -ENOMEM;
	p->now.births++;
	p->now.born_nbytes += ev->size;
	if (!in_window(p, ev->ns))
		return 0;
	a->births++;
	a->born_nbytes += ev->size;
	s->births++;
	s->born_nbytes += ev->size;
	if (ev->kind == TAPE_REALLOC && ev->old) {
		s->resizes++;
		s->resized_nbytes += ev->size;
	}
	t->births++;
	t->born_nbytes += ev->size;
	size->births++;
	size->born_nbytes += ev->size;
	if (ev->size >= LARGE_NBYTES) {
		a->recycled_nr++;
		a->recycled_nbytes += ev->size;
	}
	return 0;
}

/* The owner was silent, or is gone, when another thread freed what it had made. */
static int count_cross(struct pass *p, const struct heap_object *dead, const struct tape_event *ev)
{
	struct analysis *a = p->a;
	struct analysis_thread *owner = pass_thread(p, dead->tid), *freer = owner ? pass_thread(p, ev->tid) : NULL;
	struct analysis_pair *pair;
	uint64_t idle;

	if (!freer)
		return -ENOMEM;
	owner = pass_thread(p, dead->tid); /* the list may have moved */
	pair = pass_pair(p, (uint32_t)(owner - a->threads), (uint32_t)(freer - a->threads));
	if (!pair)
		return -ENOMEM;
	idle = ev->ns - owner->last_call_ns;
	pair->nr++;
	pair->nbytes += dead->size;
	if (idle > ANALYSIS_SILENT_NS || owner->ended_ns <= ev->ns) {
		pair->silent++;
		pair->silent_nbytes += dead->size;
	}
	pair->idle_max_ns = idle > pair->idle_max_ns ? idle : pair->idle_max_ns;
	return 0;
}

static int count_death(struct pass *p, const struct heap_object *dead, const struct tape_event *ev)
{
	struct analysis_stack *s = pass_stack(p, dead->stack);
	struct analysis_thread *t = s ? pass_thread(p, ev->tid) : NULL;
	uint64_t life = ev->ns - dead->born_ns;

	if (!t)
		return -ENOMEM;
	p->now.deaths++;
	if (!in_window(p, ev->ns))
		return 0;
	p->a->deaths++;
	t->deaths++;
	s->deaths++;
	s->lives[life_bucket(life)]++;
	if (!(ev->flags & TAPE_COLLECTED) && pass_region_death(p, (size_t)(t - p->a->threads), dead, ev->ns))
		return -ENOMEM;
	s = pass_stack(p, dead->stack); /* the list may have moved */
	if (life < ANALYSIS_SOON_NS) {
		s->soon++;
		s->soon_nbytes += dead->size;
		s->soon_same += dead->tid == ev->tid;
	}
	if (dead->tid == ev->tid)
		return 0;
	s->cross++;
	s->cross_nbytes += dead->size;
	return count_cross(p, dead, ev);
}

/* Live bytes of the size class, whose peaks need not be the heap's. */
static void follow_size(struct pass *p, uint64_t nbytes, bool born, uint64_t ns)
{
	struct analysis_size *s = pass_size(p, nbytes);
	uint64_t *live = &p->sizes_live[s - p->sizes];

	*live += born ? nbytes : -nbytes;
	if (born && *live > s->peak_live_nbytes) {
		s->peak_live_nbytes = *live;
		s->peak_ns = ns;
	}
}

static int change_heap(struct pass *p, const struct tape_event *ev)
{
	struct heap_change c;
	struct heap_object born;
	int err = heap_apply(p->heap, ev, &c);

	if (err)
		return err;
	if (c.died) {
		levels_death(&p->a->levels, &c.dead, ev->flags & TAPE_COLLECTED);
		pages_death(p->pages, c.dead.addr, c.dead.size);
		follow_size(p, c.dead.size, false, ev->ns);
		/* A resize that keeps the object is no death. */
		if (!c.born || ev->kind != TAPE_REALLOC)
			err = count_death(p, &c.dead, ev);
	}
	if (c.implied) {
		levels_death(&p->a->levels, &c.ended, false);
		pages_death(p->pages, c.ended.addr, c.ended.size);
		follow_size(p, c.ended.size, false, ev->ns);
		err = err ? err : count_death(p, &c.ended, ev);
	}
	p->a->unknown_frees += c.unknown;
	if (c.born && heap_find(p->heap, ev->addr, &born)) {
		err = err ? err : pages_birth(p->pages, born.addr, born.size);
		levels_birth(&p->a->levels, &born);
		follow_size(p, born.size, true, ev->ns);
	}
	return err;
}

static int take_call(struct pass *p, const struct tape_event *ev)
{
	struct analysis_thread *t;
	int err = 0;

	if (tape_kind_is_alloc(ev->kind) && !(ev->flags & (TAPE_FAILED | TAPE_SUB | TAPE_KEPT)))
		err = count_birth(p, ev);
	if (!err)
		err = change_heap(p, ev);
	if (err || ev->flags & TAPE_KEPT)
		return err;
	t = pass_thread(p, ev->tid);
	if (!t)
		return -ENOMEM;
	t->last_call_ns = ev->ns;
	return tape_kind_is_alloc(ev->kind) ? pass_region_birth(p, (size_t)(t - p->a->threads)) : 0;
}

static int take_thread(struct pass *p, const struct tape_event *ev)
{
	struct analysis_thread *t = pass_thread(p, ev->tid);

	if (!t)
		return -ENOMEM;
	switch (ev->kind) {
	case TAPE_THREAD_START:
		if (t->ended_ns != UINT64_MAX)
			p->nr_alive++;
		t->started_ns = ev->ns;
		t->ended_ns = UINT64_MAX;
		break;
	case TAPE_THREAD_NAME: t->name = (uint32_t)ev->arg; break;
	case TAPE_THREAD_EXIT:
		if (t->ended_ns == UINT64_MAX)
			p->nr_alive--;
		t->ended_ns = ev->ns;
		break;
	default: break;
	}
	return 0;
}

static void take_loss(struct analysis *a, const struct tape_event *ev)
{
	if (!a->lost || ev->old < a->lost_first_ns)
		a->lost_first_ns = ev->old;
	a->lost += ev->size;
	a->lost_last_ns = ev->ns;
}

static int take_event(struct pass *p, const struct tape_event *ev)
{
	if (tape_kind_is_call(ev->kind) || ev->kind == TAPE_GIVE_UP)
		return take_call(p, ev);
	switch (ev->kind) {
	case TAPE_THREAD_START:
	case TAPE_THREAD_NAME:
	case TAPE_THREAD_EXIT: return take_thread(p, ev);
	case TAPE_RSS:
		p->rss_anon = ev->addr;
		if (ev->addr > p->a->peak_rss_anon)
			p->a->peak_rss_anon = ev->addr;
		return 0;
	case TAPE_LOST: take_loss(p->a, ev); return 0;
	case TAPE_MARK:
		if (ev->arg == TAPE_MARK_THINNED && p->a->thinned_ns == UINT64_MAX)
			p->a->thinned_ns = ev->ns;
		return 0;
	case TAPE_FAULT: return p->faults_need_write && !(ev->flags & TAPE_WRITE) ? 0 : pages_event(p->pages, ev);
	case TAPE_EXEC: {
		int err = heap_apply(p->heap, ev, NULL);

		return err ? err : pages_event(p->pages, ev);
	}
	case TAPE_SPAN:
	case TAPE_SPAN_FREE:
	case TAPE_FIGURE: return levels_take(&p->a->levels, ev);
	default: return pages_event(p->pages, ev);
	}
}

/* ---- time ---- */

static void end_point(struct pass *p)
{
	struct analysis_point *to = &p->a->points[p->point++];
	uint64_t ns = to->ns;

	*to = p->now;
	to->ns = ns;
	to->live_nbytes = heap_live_nbytes(p->heap);
	to->live_nr = heap_nr_objects(p->heap);
	to->rss_anon = p->rss_anon;
	to->threads = p->nr_alive;
	to->split = *pages_split(p->pages);
	p->now = (struct analysis_point){ 0 };
}

/* What has to be looked at before an event of this time. */
static int reach(struct pass *p, uint64_t ns)
{
	const struct analysis *a = p->a;
	int err = 0;

	while (p->point < a->nr_points && a->points[p->point].ns < ns)
		end_point(p);
	if (!p->started && ns >= a->from_ns)
		err = pass_look_start(p);
	if (!err && !p->halved && ns > a->from_ns + (a->at_ns - a->from_ns) / 2)
		err = pass_look_half(p);
	if (!err && !p->looked && ns > a->at_ns)
		err = pass_look(p);
	while (!err && p->moment < a->nr_moments && ns > a->moments[p->moment].ns)
		err = pass_moment(p);
	return err;
}

/* ---- passes ---- */

/* What the events behind this one will look at, of nr in the block. */
static void prefetch(const struct heap *heap, const struct pages *pages, const struct tape_event *evs, long i, long nr)
{
	if (i + HEAP_FAR < nr) {
		heap_prefetch_far(heap, &evs[i + HEAP_FAR]);
		if (pages)
			pages_prefetch_far(pages, evs[i + HEAP_FAR].addr);
	}
	if (i + HEAP_NEAR < nr) {
		heap_prefetch_near(heap, &evs[i + HEAP_NEAR]);
		if (pages)
			pages_prefetch_near(pages, evs[i + HEAP_NEAR].addr);
	}
}

/* Its span, its peak, and what kinds of events there are. */
static int first_pass(struct pass *p)
{
	struct analysis *a = p->a;
	struct heap *heap = heap_new();
	const struct tape_event *evs;
	uint64_t write_faults = 0, calls[256] = { 0 };
	bool any = false;
	long nr = 0;
	int err = heap ? 0 : -ENOMEM;

	a->one_alloc = p->one.name;

	while (!err && (nr = tape_reader_next_block(p->reader, &evs)) > 0) {
		for (long i = 0; i < nr && !err; i++) {
			struct tape_event own;

			prefetch(heap, NULL, evs, i, nr);
			if (one_allocator_counts(&p->one, p->reader, &evs[i], &own))
				err = heap_apply(heap, &own, NULL);
			a->subs[evs[i].alloc] += evs[i].flags & TAPE_SUB && tape_kind_is_alloc(evs[i].kind) && !(evs[i].flags & TAPE_FAILED);
			a->nr_faults += evs[i].kind == TAPE_FAULT;
			write_faults += evs[i].kind == TAPE_FAULT && evs[i].flags & TAPE_WRITE;
			calls[evs[i].alloc] += tape_kind_is_call(evs[i].kind);
			a->nr_execs += evs[i].kind == TAPE_EXEC;
			if (evs[i].flags & TAPE_KEPT)
				continue;
			a->first_ns = any ? a->first_ns : evs[i].ns;
			a->last_ns = evs[i].ns;
			any = true;
			if (heap_live_nbytes(heap) > a->peak_live_nbytes) {
				a->peak_live_nbytes = heap_live_nbytes(heap);
				a->peak_ns = evs[i].ns;
			}
		}
		a->nr_events += (uint64_t)nr;
		if (p->opts->progress)
			p->opts->progress(p->opts->progress_arg, "reading", a->nr_events);
	}
	heap_free(heap);
	a->allocator = p->one.number;
	for (unsigned i = 0; i < TAPE_NO_ALLOC && !a->one_alloc; i++)
		if (calls[i] && (a->allocator == TAPE_NO_ALLOC || calls[i] > calls[a->allocator]))
			a->allocator = (uint8_t)i;
	p->faults_need_write = write_faults != 0;
	a->has_pages = a->nr_faults != 0 && !a->one_alloc;
	if (!err && !nr && a->one_alloc && a->allocator == TAPE_NO_ALLOC)
		err = -ENOENT;
	return err ? err : (int)nr;
}

static int make_points(struct analysis *a, unsigned nr)
{
	uint64_t span = a->last_ns - a->first_ns;

	a->points = calloc(nr, sizeof(*a->points));
	if (!a->points)
		return -ENOMEM;
	a->nr_points = nr;
	for (size_t i = 0; i < a->nr_points; i++)
		a->points[i].ns = a->first_ns + (uint64_t)((unsigned __int128)span * (i + 1) / a->nr_points);
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct analysis_moment *x = a, *y = b;

	return (x->ns > y->ns) - (x->ns < y->ns);
}

/* Spread evenly from from_ns to to_ns; the peak and at_ns, which people ask for, among them. */
static int make_moments(struct analysis *a, unsigned nr)
{
	uint64_t span = a->to_ns - a->from_ns;
	size_t kept = 0;

	if (!nr)
		return 0;
	a->moments = calloc(nr + 2, sizeof(*a->moments));
	if (!a->moments)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		a->moments[i].ns = a->from_ns + (nr == 1 ? span : (uint64_t)((unsigned __int128)span * i / (nr - 1)));
	a->moments[nr].ns = a->at_ns;
	a->moments[nr + 1].ns = a->peak_ns >= a->from_ns && a->peak_ns <= a->to_ns ? a->peak_ns : a->at_ns;
	qsort(a->moments, nr + 2, sizeof(*a->moments), by_time);
	for (size_t i = 0; i < nr + 2; i++)
		if (!kept || a->moments[i].ns != a->moments[kept - 1].ns)
			a->moments[kept++].ns = a->moments[i].ns;
	a->nr_moments = kept;
	return 0;
}

/* The time asked for, within what the tape has. */
static void choose_times(struct pass *p)
{
	const struct analysis_opts *o = p->opts;
	struct analysis *a = p->a;

	a->from_ns = o->from_ns > a->first_ns ? o->from_ns : a->first_ns;
	a->to_ns = o->to_ns < a->last_ns ? o->to_ns : a->last_ns;
	a->at_ns = o->peak ? a->peak_ns : o->at_ns < a->to_ns ? o->at_ns : a->to_ns;
	if (a->at_ns < a->from_ns)
		a->from_ns = a->first_ns;
}

static int second_pass(struct pass *p)
{
	struct analysis *a = p->a;
	const struct tape_event *evs;
	uint64_t nr_events = 0;
	long nr = 0;
	int err = tape_reader_rewind(p->reader);

	while (!err && (nr = tape_reader_next_block(p->reader, &evs)) > 0) {
		for (long i = 0; i < nr && !err; i++) {
			struct tape_event own;

			prefetch(p->heap, p->pages, evs, i, nr);
			if (!(evs[i].flags & TAPE_KEPT))
				err = reach(p, evs[i].ns);
			if (!err && one_allocator_counts(&p->one, p->reader, &evs[i], &own))
				err = take_event(p, &own);
		}
		nr_events += (uint64_t)nr;
		if (p->opts->progress)
			p->opts->progress(p->opts->progress_arg, "analysing", nr_events);
	}
	if (err || nr < 0)
		return err ? err : (int)nr;
	while (p->point < a->nr_points)
		end_point(p);
	if (!p->started)
		err = pass_look_start(p);
	if (!err && !p->halved)
		err = pass_look_half(p);
	if (!err && !p->looked)
		err = pass_look(p);
	while (!err && p->moment < a->nr_moments)
		err = pass_moment(p);
	return err ? err : pass_regions_end(p);
}

static int by_number(const void *a, const void *b)
{
	const struct analysis_stack *x = a, *y = b;

	return (x->stack > y->stack) - (x->stack < y->stack);
}

/* Sizes that occurred, in order; the others are dropped. */
static void finish(struct pass *p)
{
	struct analysis *a = p->a;

	if (a->nr_stacks)
		qsort(a->stacks, a->nr_stacks, sizeof(*a->stacks), by_number);
	a->sizes = p->sizes;
	p->sizes = NULL;
	for (size_t i = 0; i < ANALYSIS_SIZE_CLASSES; i++)
		if (a->sizes[i].births || a->sizes[i].live || a->sizes[i].peak_live_nbytes)
			a->sizes[a->nr_sizes++] = a->sizes[i];
}

int analysis_read(struct tape_reader *r, const struct analysis_opts *opts, struct analysis *a)
{
	struct pass p = { .reader = r, .opts = opts, .a = a, .rss_anon = UINT64_MAX, .one = ONE_ALLOCATOR(opts->allocator) };
	int err;

	*a = (struct analysis){ .rss_anon = UINT64_MAX, .thinned_ns = UINT64_MAX };
	p.sizes = calloc(ANALYSIS_SIZE_CLASSES, sizeof(*p.sizes));
	p.heap = heap_new();
	err = p.sizes && p.heap ? 0 : -ENOMEM;
	if (!err)
		err = index_map_init(&p.stack_of);
	if (!err)
		err = index_map_init(&p.thread_of);
	if (!err)
		err = index_map_init(&p.pair_of);
	if (!err)
		err = first_pass(&p);
	a->from_exec = tape_reader_meta_u64(r, "start.from_exec", 0) && !tape_reader_start_ns(r, NULL);
	a->start_rss_anon = tape_reader_meta_u64(r, "start.rss_anon", 0);
	p.pages = pages_new(a->from_exec);
	if (!err)
		err = p.pages ? make_points(a, opts->nr_points ? opts->nr_points : ANALYSIS_POINTS) : -ENOMEM;
	if (!err) {
		choose_times(&p);
		err = make_moments(a, opts->nr_moments);
	}
	if (!err)
		err = levels_begin(&a->levels, r);
	if (!err)
		err = second_pass(&p);
	levels_end(&a->levels);
	if (!err)
		finish(&p);
	heap_free(p.heap);
	pages_free(p.pages);
	index_map_free(&p.stack_of);
	index_map_free(&p.thread_of);
	index_map_free(&p.pair_of);
	free(p.sizes);
	free(p.runs);
	return err;
}

void analysis_free(struct analysis *a)
{
	free(a->points);
	free(a->stacks);
	free(a->threads);
	free(a->pairs);
	free(a->sizes);
	for (size_t i = 0; i < a->nr_moments; i++) {
		free(a->moments[i].stacks);
		free(a->moments[i].threads);
		free(a->moments[i].sizes);
		free(a->moments[i].cells);
	}
	free(a->moments);
	levels_free(&a->levels);
	*a = (struct analysis){ 0 };
}
