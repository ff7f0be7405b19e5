/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocation calls: from records to tape events. The address space is ledger_map.c, all else ledger_facts.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "record/ledger_impl.h"

struct ledger *ledger_new(const struct ledger_opts *opts)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->opts = *opts;
	l->heap = heap_new();
	l->state = state_new(opts->page_size);
	l->threads_room = 1024;
	l->threads = calloc(l->threads_room, sizeof(*l->threads));
	if (!l->heap || !l->state || !l->threads) {
		ledger_free(l);
		return NULL;
	}
	memset(l->tape_alloc, TAPE_NO_ALLOC, sizeof(l->tape_alloc));
	return l;
}

void ledger_free(struct ledger *l)
{
	if (!l)
		return;
	heap_free(l->heap);
	state_free(l->state);
	cover_free(l->cover);
	ranges_free(&l->ranges);
	free(l->spans);
	free(l->threads);
	free(l->pending);
	free(l);
}

void ledger_start(struct ledger *l, uint64_t start_ns)
{
	l->opts.start_ns = start_ns;
}

void ledger_allocator(struct ledger *l, uint8_t obj, uint8_t tape_alloc)
{
	l->tape_alloc[obj] = tape_alloc;
}

void ledger_loader(struct ledger *l, uint64_t start, uint64_t end)
{
	l->loader_start = start;
	l->loader_end = end;
}

bool ledger_saw_code_mapped(struct ledger *l)
{
	bool saw = l->code_mapped;

	l->code_mapped = false;
	return saw;
}

bool ledger_saw_exec(struct ledger *l)
{
	bool saw = l->execed;

	l->execed = false;
	return saw;
}

const struct heap *ledger_heap(const struct ledger *l)
{
	return l->heap;
}

const struct state *ledger_state(const struct ledger *l)
{
	return l->state;
}

void ledger_totals(const struct ledger *l, struct ledger_totals *totals_ret)
{
	const uint64_t *now = (const uint64_t *)&l->totals, *before = (const uint64_t *)&l->before;
	uint64_t *since = (uint64_t *)totals_ret;

	for (size_t i = 0; i < sizeof(l->totals) / sizeof(*now); i++)
		since[i] = now[i] - before[i];
	totals_ret->live_objects = heap_nr_objects(l->heap);
	totals_ret->live_nbytes = heap_live_nbytes(l->heap);
}

void ledger_branch(struct ledger *l)
{
	l->before = l->totals;
	memset(l->threads, 0, l->threads_room * sizeof(*l->threads));
	l->nr_threads = 0;
	l->last_thread = NULL;
	l->nr_pending = l->nr_unmaps = 0;
	l->nested = l->lost_but_shown = 0;
	l->code_mapped = l->execed = false;
	state_drop_threads(l->state);
}

/* Where tid stands, or would. */
static size_t thread_slot(const struct ledger *l, uint32_t tid)
{
	size_t i = (tid * 0x9E3779B1u) & (l->threads_room - 1);

	while (l->threads[i].tid && l->threads[i].tid != tid)
		i = (i + 1) & (l->threads_room - 1);
	return i;
}

static int threads_grow(struct ledger *l)
{
	struct ledger_thread *old = l->threads;
	size_t nr_old = l->threads_room;

	l->threads = calloc(2 * nr_old, sizeof(*l->threads));
	if (!l->threads) {
		l->threads = old;
		return -ENOMEM;
	}
	l->threads_room = 2 * nr_old;
	l->last_thread = NULL;
	for (size_t i = 0; i < nr_old; i++)
		if (old[i].tid)
			l->threads[thread_slot(l, old[i].tid)] = old[i];
	free(old);
	return 0;
}

struct ledger_thread *ledger_thread(struct ledger *l, uint32_t tid)
{
	size_t i;

	if (l->last_thread && l->last_thread->tid == tid)
		return l->last_thread;
	i = thread_slot(l, tid);
	if (!l->threads[i].tid) {
		/* Only a new thread moves the table: whoever looks up a known one keeps his pointers. */
		if (2 * (l->nr_threads + 1) > l->threads_room) {
			if (threads_grow(l))
				return NULL;
			i = thread_slot(l, tid);
		}
		l->threads[i].tid = tid;
		l->nr_threads++;
	}
	l->last_thread = &l->threads[i];
	return l->last_thread;
}

uint64_t ledger_ns(struct ledger *l, uint64_t ts)
{
	uint64_t ns = ts > l->opts.start_ns ? ts - l->opts.start_ns : 0;

	if (ns > l->last_ns)
		l->last_ns = ns;
	return l->last_ns;
}

/* An event of its own kind, with thread and time filled in. */
struct tape_event ledger_event(struct ledger *l, unsigned cpu, const struct ht_ev_head *h, uint8_t kind)
{
	return (struct tape_event){ .ns = ledger_ns(l, h->ts), .tid = h->tid, .cpu = (uint16_t)cpu, .kind = kind,
				    .alloc = TAPE_NO_ALLOC };
}

int ledger_add(struct ledger *l, const struct tape_event *ev)
{
	int err = state_concerns(ev) ? state_apply(l->state, ev) : 0;

	return err ? err : tape_writer_add(l->opts.writer, ev);
}

/* ---- sub-allocations: only looked for once two allocators have live objects ---- */

static int cover_add_object(void *arg, const struct heap_object *obj)
{
	return cover_add(arg, obj->addr, obj->size, obj->alloc);
}

static int cover_begin(struct ledger *l, uint8_t alloc)
{
	if (l->cover || !heap_nr_objects(l->heap) || l->only_alloc == alloc || alloc == TAPE_NO_ALLOC)
		return 0;
	l->cover = cover_new();
	return l->cover ? heap_each(l->heap, cover_add_object, l->cover) : -ENOMEM;
}

static bool inside_anothers(struct ledger *l, uint64_t addr, uint8_t alloc)
{
	uint8_t owner;

	return l->cover && cover_find(l->cover, addr, &owner) && owner != alloc;
}

/* The block at addr is level 2. One left behind when its pool went whole is not, once a level-1 object stands there: one that
 * was born later, since its pool may begin at the same address. */
static bool is_sub(struct ledger *l, uint64_t addr, uint8_t alloc)
{
	struct heap_object sub, there;

	if (!heap_find(state_subs(l->state), addr, &sub) || sub.alloc != alloc)
		return false;
	return !heap_find(l->heap, addr, &there) || (there.alloc != alloc && there.born_ns <= sub.born_ns);
}

static int cover_follow(struct ledger *l, const struct tape_event *ev, const struct heap_change *change)
{
	if (!l->cover)
		return 0;
	if (change->died)
		cover_remove(l->cover, change->dead.addr, change->dead.size);
	if (change->implied)
		cover_remove(l->cover, change->ended.addr, change->ended.size);
	return change->born ? cover_add(l->cover, ev->addr, ev->size, ev->alloc) : 0;
}

/* ---- writing calls ---- */

/* Applies a call to the live set, notes what it contradicts, writes it. */
static int write_call(struct ledger *l, struct tape_event *ev)
{
	struct heap_change change = { 0 };
	int err;

	if (ev->flags & TAPE_FAILED) {
		l->totals.failed++;
	} else if (tape_kind_is_alloc(ev->kind)) {
		if (!heap_nr_objects(l->heap))
			l->only_alloc = ev->alloc;
		l->births[ev->alloc]++;
	}
	if (ev->flags & TAPE_SUB) {
		l->totals.sub += !(ev->flags & TAPE_FAILED);
		return ledger_add(l, ev);
	}
	err = heap_apply(l->heap, ev, &change);
	if (!err)
		err = cover_follow(l, ev, &change);
	if (!err && l->opts.changed)
		err = l->opts.changed(l->opts.arg, ev, &change);
	if (err)
		return err;
	if (change.unknown) {
		ev->flags |= TAPE_UNKNOWN;
		l->totals.unknown_frees++;
	}
	if (change.implied) {
		ev->flags |= TAPE_IMPLIED_FREE;
		l->totals.implied_frees++;
	}
	l->totals.events += !(ev->flags & TAPE_FAILED);
	return ledger_add(l, ev);
}

/* ---- what lived before ---- */

static int note_span(struct ledger *l, uint64_t addr, uint64_t nbytes)
{
	if (l->nr_spans == l->room_spans) {
		size_t room = l->room_spans ? 2 * l->room_spans : 1024;
		struct ledger_span *spans = reallocarray(l->spans, room, sizeof(*spans));

		if (!spans)
			return -ENOMEM;
		l->spans = spans;
		l->room_spans = room;
	}
	l->spans[l->nr_spans++] = (struct ledger_span){ addr, addr + nbytes };
	l->spans_sorted = false;
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct ledger_span *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* The block that the program's pointer means: where it points to, unless that is into one that was found and still lives. */
static uint64_t block_of(struct ledger *l, uint64_t addr)
{
	struct heap_object object;
	size_t low = 0, high = l->nr_spans;

	if (!l->nr_spans || heap_find(l->heap, addr, &object))
		return addr;
	if (!l->spans_sorted)
		qsort(l->spans, l->nr_spans, sizeof(*l->spans), by_start);
	l->spans_sorted = true;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->spans[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == l->nr_spans || l->spans[low].start > addr || !heap_find(l->heap, l->spans[low].start, &object) || !object.found)
		return addr;
	return l->spans[low].start;
}

int ledger_found(struct ledger *l, uint8_t obj, uint64_t addr, uint64_t nbytes, uint32_t owner, bool inexact)
{
	struct tape_event ev = { .addr = addr, .size = nbytes, .tid = owner, .kind = TAPE_MALLOC, .flags = TAPE_KEPT | TAPE_UNKNOWN,
				 .alloc = l->tape_alloc[obj] };
	struct heap_change change;
	int err = cover_begin(l, ev.alloc);

	if (!heap_nr_objects(l->heap))
		l->only_alloc = ev.alloc;
	l->births[ev.alloc]++;
	if (!err && inexact)
		err = note_span(l, addr, nbytes);
	if (!err)
		err = heap_apply(l->heap, &ev, &change);
	if (!err && l->opts.changed)
		err = l->opts.changed(l->opts.arg, &ev, &change);
	return err ? err : cover_follow(l, &ev, &change);
}

/* ---- realloc: the old block is free for others from the give-up on, the new one is owned at the end ---- */

static int pending_add(struct ledger *l, struct ledger_thread *t, const struct ht_ev_free *e, uint8_t obj)
{
	struct heap_object old;

	if (!t->give_up.open) {
		if (l->nr_pending == l->pending_room) {
			size_t room = l->pending_room ? 2 * l->pending_room : 64;
			uint32_t *pending = realloc(l->pending, room * sizeof(*pending));

			if (!pending)
				return -ENOMEM;
			l->pending = pending;
			l->pending_room = room;
		}
		l->pending[l->nr_pending++] = t->tid;
	}
	t->give_up = (struct ledger_give_up){ .open = true, .old = block_of(l, e->addr), .new_size = e->size, .obj = obj,
					      .pointer = e->addr };
	t->give_up.old_size = heap_find(l->heap, t->give_up.old, &old) && old.size ? old.size : 1;
	return 0;
}

void ledger_pending_remove(struct ledger *l, struct ledger_thread *t)
{
	if (!t->give_up.open)
		return;
	t->give_up.open = false;
	/* Its end was lost and counted, but the call is on the tape: see ledger_take_lost. */
	l->lost_but_shown += t->give_up.freed;
	for (size_t i = 0; i < l->nr_pending; i++)
		if (l->pending[i] == t->tid)
			l->pending[i--] = l->pending[--l->nr_pending];
}

/* Another thread is about to own bytes of a block that t's realloc has given up: say so first. */
static int pending_show(struct ledger *l, struct ledger_thread *t, const struct tape_event *before)
{
	struct tape_event ev = { .ns = before->ns, .tid = t->tid, .cpu = before->cpu, .kind = TAPE_GIVE_UP,
				 .addr = t->give_up.old, .alloc = l->tape_alloc[t->give_up.obj] };
	struct heap_object old;

	t->give_up.shown = true;
	if (!heap_find(l->heap, ev.addr, &old))
		return 0;
	if (!t->give_up.new_size) {
		/* realloc(p, 0), which frees. */
		ev.kind = TAPE_FREE;
		t->give_up.freed = true;
		return write_call(l, &ev);
	}
	return heap_apply(l->heap, &ev, NULL) ? -ENOMEM : ledger_add(l, &ev);
}

static int pending_check(struct ledger *l, const struct tape_event *ev)
{
	for (size_t i = 0; i < l->nr_pending; i++) {
		struct ledger_thread *t = ledger_thread(l, l->pending[i]);
		uint64_t old, nbytes = ev->size ? ev->size : 1;
		int err;

		if (!t || t->tid == ev->tid || t->give_up.shown)
			continue;
		old = t->give_up.old;
		if (ev->addr >= old + t->give_up.old_size || ev->addr + nbytes <= old)
			continue;
		err = pending_show(l, t, ev);
		if (err)
			return err;
	}
	return 0;
}

static int take_realloc(struct ledger *l, struct ledger_thread *t, struct tape_event *ev)
{
	bool freed = t->give_up.open && t->give_up.old == ev->old && t->give_up.freed;
	bool old_sub = ev->old && is_sub(l, ev->old, ev->alloc);
	int err;

	ledger_pending_remove(l, t);
	if (!ev->addr && old_sub)
		ev->flags |= TAPE_SUB;
	if (!ev->old) {
		ev->kind = TAPE_MALLOC;
	} else if (!ev->addr && !ev->size) {
		if (freed)
			return 0;
		ev->kind = TAPE_FREE;
		ev->addr = ev->old;
		ev->old = 0;
		return write_call(l, ev);
	} else if (freed) {
		ev->kind = TAPE_MALLOC; /* the free was written when its block was reused */
		ev->old = 0;
	} else if (ev->addr && old_sub != !!(ev->flags & TAPE_SUB)) {
		/* Into a pool or out of it: no object of one level becomes one of the other. */
		struct tape_event gone = *ev;

		gone.kind = TAPE_FREE;
		gone.flags = old_sub ? TAPE_SUB : 0;
		gone.addr = ev->old;
		gone.size = gone.old = gone.align = 0;
		err = write_call(l, &gone);
		if (err)
			return err;
		ev->kind = TAPE_MALLOC;
		ev->old = 0;
	}
	if (!ev->addr)
		ev->flags |= TAPE_FAILED;
	return write_call(l, ev);
}

static uint32_t ledger_stack(const struct ledger *l, uint32_t id)
{
	return l->opts.stack ? l->opts.stack(l->opts.arg, id) : TAPE_NO_STACK;
}

static int take_alloc(struct ledger *l, unsigned cpu, const struct ht_ev_call *e)
{
	struct ledger_site site = l->opts.site(l->opts.arg, e->h.site);
	struct ledger_thread *t = ledger_thread(l, e->h.tid);
	struct tape_event ev = ledger_event(l, cpu, &e->h, site.kind);
	int err;

	if (!t)
		return -ENOMEM;
	if (!site.kind)
		return 0;
	ev.addr = e->addr;
	ev.size = e->size;
	ev.old = t->give_up.open && t->give_up.pointer == e->old ? t->give_up.old : block_of(l, e->old);
	ev.align = e->align;
	ev.stack = ledger_stack(l, e->stack);
	ev.alloc = l->tape_alloc[site.obj];
	if (site.lg_align && ev.align && ev.kind == TAPE_MALLOC)
		ev.kind = TAPE_ALIGNED_ALLOC;
	if (l->nr_pending && ev.addr) {
		err = pending_check(l, &ev);
		if (err)
			return err;
	}
	if (ev.addr) {
		err = cover_begin(l, ev.alloc);
		if (err)
			return err;
		if (inside_anothers(l, ev.addr, ev.alloc))
			ev.flags |= TAPE_SUB;
	}
	if (ev.kind == TAPE_REALLOC)
		return take_realloc(l, t, &ev);
	if (t->give_up.open && t->give_up.obj == site.obj)
		ledger_pending_remove(l, t); /* its end was lost */
	if (!ev.addr)
		ev.flags |= TAPE_FAILED;
	return write_call(l, &ev);
}

/* A free that is no event, since the same call is one at another level. */
static bool free_is_wrappers(struct ledger *l, struct ledger_thread *t, const struct tape_event *ev, bool inner)
{
	struct heap_object object;

	/* The owner's own free follows, or the wrapper keeps the block, which then lives on. */
	if (heap_find(l->heap, ev->addr, &object) || heap_find(state_subs(l->state), ev->addr, &object))
		return object.alloc != ev->alloc;
	/* Its outer call has been written. */
	if (inner && t->last_free == ev->addr)
		return true;
	/* The birth was not seen; an allocator that never owned a block, beside one that did, is a wrapper. */
	if (ev->alloc == TAPE_NO_ALLOC || l->births[ev->alloc] || !l->totals.events)
		return false;
	if (!inner)
		t->last_free = 0; /* of an earlier call */
	return true;
}

static int take_free(struct ledger *l, unsigned cpu, const struct ht_ev_free *e, uint32_t stack)
{
	struct ledger_site site = l->opts.site(l->opts.arg, e->h.site);
	struct ledger_thread *t = ledger_thread(l, e->h.tid);
	struct tape_event ev = ledger_event(l, cpu, &e->h, site.kind);

	if (!t)
		return -ENOMEM;
	if (!site.kind)
		return 0;
	ev.addr = block_of(l, e->addr);
	ev.size = e->size;
	ev.stack = ledger_stack(l, stack);
	ev.alloc = l->tape_alloc[site.obj];
	if (t->give_up.open && t->give_up.obj == site.obj)
		ledger_pending_remove(l, t);
	if (is_sub(l, ev.addr, ev.alloc))
		ev.flags |= TAPE_SUB;
	else if (free_is_wrappers(l, t, &ev, e->h.flags & HT_EVF_INNER)) {
		l->nested++;
		return 0;
	}
	t->last_free = ev.addr;
	return write_call(l, &ev);
}

static int take_steer(struct ledger *l, unsigned cpu, const struct ht_ev_steer *e)
{
	struct ledger_site site = l->opts.site(l->opts.arg, e->h.site);
	struct tape_event ev = ledger_event(l, cpu, &e->h, TAPE_STEER);
	char text[HT_NAME_LEN + 64];
	uint32_t id;
	int err;

	if (!site.steer)
		return 0;
	if (e->name[0])
		snprintf(text, sizeof(text), "%s:%.*s", site.steer, (int)sizeof(e->name), e->name);
	else
		snprintf(text, sizeof(text), "%s", site.steer);
	err = tape_writer_string(l->opts.writer, text, &id);
	if (err)
		return err;
	ev.arg = id;
	ev.addr = e->arg0;
	ev.size = e->arg1;
	ev.alloc = l->tape_alloc[site.obj];
	return ledger_add(l, &ev);
}

int ledger_end(struct ledger *l, uint64_t now_ns)
{
	struct ht_ev_head h = { .ts = now_ns };
	struct tape_event ev = ledger_event(l, 0, &h, TAPE_MARK);
	int err = 0;

	if (l->nested)
		err = ledger_write_nested(l, ev, l->nested);
	l->nested = 0;
	ev.arg = TAPE_MARK_END;
	return err ? err : ledger_add(l, &ev);
}

int ledger_put(struct ledger *l, unsigned cpu, const struct ht_ev_head *at, struct tape_event *ev)
{
	int err = tape_kind_is_alloc(ev->kind) ? cover_begin(l, ev->alloc) : 0;

	ev->ns = ledger_ns(l, at->ts);
	ev->tid = at->tid;
	ev->cpu = (uint16_t)cpu;
	if (err)
		return err;
	if (tape_kind_is_call(ev->kind))
		return write_call(l, ev);
	ev->alloc = TAPE_NO_ALLOC;
	return ledger_add(l, ev);
}

/* What rounding and a small header add to a block; one that is larger is a chunk whose first object the outer call gives. */
static bool is_about_as_large(uint64_t inner_nbytes, uint64_t nbytes)
{
	return inner_nbytes / 2 <= nbytes + 32;
}

/* Another's block begins here. *handed_on_ret: an inner call of this thread has just given it, and this one hands it on. */
static bool at_anothers_begin(const struct ledger *l, const struct tape_event *ev, uint64_t since, bool *handed_on_ret)
{
	struct heap_object o;

	*handed_on_ret = false;
	if (heap_find(l->heap, ev->addr, &o) && o.alloc != ev->alloc) {
		*handed_on_ret = o.tid == ev->tid && o.born_ns >= since && is_about_as_large(o.size, ev->size);
		return true;
	}
	/* Two levels below the first are told as one. */
	if (heap_find(state_subs(l->state), ev->addr, &o) && o.alloc != ev->alloc && o.born_ns >= since)
		*handed_on_ret = o.tid == ev->tid;
	return *handed_on_ret;
}

static int put_birth(struct ledger *l, struct ledger_thread *t, struct tape_event *ev, uint64_t since)
{
	bool handed_on = false, at_begin = ev->addr && at_anothers_begin(l, ev, since, &handed_on);

	if (handed_on) {
		l->nested++;
		return 1;
	}
	if (at_begin || (ev->addr && inside_anothers(l, ev->addr, ev->alloc)))
		ev->flags |= TAPE_SUB;
	if (ev->kind == TAPE_REALLOC)
		return take_realloc(l, t, ev);
	if (!ev->addr)
		ev->flags |= TAPE_FAILED;
	return write_call(l, ev);
}

static int put_death(struct ledger *l, struct ledger_thread *t, struct tape_event *ev)
{
	struct heap_object o;

	if (is_sub(l, ev->addr, ev->alloc)) {
		ev->flags |= TAPE_SUB;
	} else if (free_is_wrappers(l, t, ev, false)) {
		l->nested++;
		return 1;
	} else if (!heap_find(l->heap, ev->addr, &o) && inside_anothers(l, ev->addr, ev->alloc)) {
		ev->flags |= TAPE_SUB; /* its birth was not seen */
	}
	return write_call(l, ev);
}

int ledger_put_call(struct ledger *l, unsigned cpu, const struct ht_ev_head *at, struct tape_event *ev, uint64_t since_ns)
{
	struct ledger_thread *t = ledger_thread(l, at->tid);
	uint64_t since = since_ns > l->opts.start_ns ? since_ns - l->opts.start_ns : 0;
	int err;

	if (!t)
		return -ENOMEM;
	if (ev->kind == TAPE_COUNTER) {
		l->nested++;
		return 1;
	}
	err = tape_kind_is_alloc(ev->kind) && ev->addr ? cover_begin(l, ev->alloc) : 0;
	ev->ns = ledger_ns(l, at->ts);
	ev->tid = at->tid;
	ev->cpu = (uint16_t)cpu;
	if (err)
		return err;
	return tape_kind_is_alloc(ev->kind) ? put_birth(l, t, ev, since) : put_death(l, t, ev);
}

int ledger_take(struct ledger *l, unsigned cpu, const struct ht_ev_head *h)
{
	const void *record = h;

	if (h->ts < l->opts.start_ns)
		return 0;
	switch (h->type) {
	case HT_EV_ALLOC: {
		const struct ht_ev_alloc *e = record;
		struct ht_ev_call call = { .h = e->h, .addr = e->addr, .size = e->size, .stack = e->stack };

		return take_alloc(l, cpu, &call);
	}
	case HT_EV_CALL: return take_alloc(l, cpu, record);
	case HT_EV_FREE: return take_free(l, cpu, record, 0);
	case HT_EV_FREE_AT: return take_free(l, cpu, record, ((const struct ht_ev_free_at *)record)->stack);
	case HT_EV_GIVE_UP: {
		struct ledger_thread *t = ledger_thread(l, h->tid);

		return t ? pending_add(l, t, record, l->opts.site(l->opts.arg, h->site).obj) : -ENOMEM;
	}
	case HT_EV_STEER: return take_steer(l, cpu, record);
	case HT_EV_MAP_ENTER: return ledger_map_enter(l, record);
	case HT_EV_MAP_EXIT: return ledger_map_exit(l, record);
	case HT_EV_THREAD: return ledger_take_thread(l, record);
	case HT_EV_EXEC: return ledger_take_exec(l, record);
	case HT_EV_FORK: l->totals.forks++; return 0;
	case HT_EV_CHILD: return 0;
	case HT_EV_FAULT: return ledger_fault(l, cpu, record);
	case LEDGER_RSS: return ledger_take_rss(l, record);
	case LEDGER_LOST: return ledger_take_lost(l, record);
	case LEDGER_NESTED: return ledger_take_nested(l, record);
	case LEDGER_MARK: return ledger_take_mark(l, record);
	case LEDGER_SUSPEND: return ledger_take_suspend(l, record);
	default: return -EBADMSG;
	}
}
