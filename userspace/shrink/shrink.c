/* SPDX-License-Identifier: BSD-2-Clause */
/* shrink.c - see shrink.h. */
#include "shrink/shrink.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bisect/child.h"
#include "clock.h"
#include "formats/heap.h"

#define STEP_NS 1000 /* between events, once the time between them is taken away */

/* Events that are no calls stay or go by kind; objects have the numbers behind them. */
enum { UNIT_PAGES, UNIT_STEER, UNIT_ABOUT, UNIT_EXEC, UNIT_NAMES, UNIT_FIXED_NR };
#define UNIT_NONE UINT32_MAX /* never written: sub-allocations, frees of what is not known */

struct shrink_impl {
	struct tape_event *events;
	uint32_t *unit_of; /* of each event */
	size_t nr, max;
	uint32_t *parent;  /* units that are one: a realloc's, and an object's whose end only the next one's birth tells */
	uint32_t nr_units, units_max;
	uint32_t *list;    /* units that are still there */
	size_t nr_list;
	bool *kept;        /* by unit: what the next candidate holds */
	uint64_t start_ns, deadline_ns;
	bool dense;        /* events are STEP_NS apart */
	char path[PATH_MAX];
};

/* ---- loading ---- */

static uint32_t find(const struct shrink_impl *m, uint32_t unit)
{
	while (m->parent[unit] != unit)
		unit = m->parent[unit];
	return unit;
}

/* The older one stands for both. */
static void join(struct shrink_impl *m, uint32_t a, uint32_t b)
{
	a = find(m, a);
	b = find(m, b);
	m->parent[a > b ? a : b] = a < b ? a : b;
}

static int new_unit(struct shrink_impl *m, uint32_t *unit_ret)
{
	if (m->nr_units == m->units_max) {
		uint32_t max = m->units_max ? m->units_max * 2 : 4096, *parent = reallocarray(m->parent, max, sizeof(*parent));

		if (!parent)
			return -ENOMEM;
		m->parent = parent;
		m->units_max = max;
	}
	m->parent[m->nr_units] = m->nr_units;
	*unit_ret = m->nr_units++;
	return 0;
}

static uint32_t fixed_unit(uint8_t kind)
{
	switch (kind) {
	case TAPE_MMAP:
	case TAPE_MUNMAP:
	case TAPE_MREMAP:
	case TAPE_BRK:
	case TAPE_MADVISE:
	case TAPE_FAULT:
	case TAPE_SPAN:
	case TAPE_SPAN_FREE:
	case TAPE_RSS: return UNIT_PAGES;
	case TAPE_STEER: return UNIT_STEER;
	case TAPE_EXEC: return UNIT_EXEC;
	case TAPE_THREAD_START:
	case TAPE_THREAD_NAME:
	case TAPE_THREAD_EXIT: return UNIT_NAMES;
	default: return UNIT_ABOUT;
	}
}

/* An object's number lies in the live set where its stack would be. */
static int call_unit(struct shrink_impl *m, struct heap *heap, const struct tape_event *ev, uint32_t *unit_ret)
{
	struct tape_event told = *ev;
	struct heap_change change;
	struct heap_object there;
	bool is_birth = tape_kind_is_alloc(ev->kind);
	int err = 0;

	*unit_ret = UNIT_NONE;
	if (ev->flags & TAPE_SUB)
		return 0;
	if (ev->kind == TAPE_GIVE_UP && heap_find(heap, ev->addr, &there))
		*unit_ret = there.stack;
	if (is_birth)
		err = new_unit(m, unit_ret);
	told.stack = *unit_ret;
	if (!err)
		err = heap_apply(heap, &told, &change);
	if (err)
		return err;
	if (is_birth && ev->flags & TAPE_FAILED && heap_find(heap, ev->old, &there))
		join(m, *unit_ret, there.stack);
	if (is_birth && change.died)
		join(m, *unit_ret, change.dead.stack);
	else if (change.died)
		*unit_ret = change.dead.stack;
	if (change.implied && *unit_ret != UNIT_NONE)
		join(m, *unit_ret, change.ended.stack);
	return 0;
}

static int add_event(struct shrink_impl *m, struct heap *heap, const struct tape_event *ev)
{
	uint32_t unit = fixed_unit(ev->kind);
	int err = 0;

	if (tape_kind_is_call(ev->kind) || ev->kind == TAPE_GIVE_UP)
		err = call_unit(m, heap, ev, &unit);
	else if (ev->kind == TAPE_EXEC)
		err = heap_apply(heap, ev, NULL);
	if (err || unit == UNIT_NONE)
		return err;
	if (m->nr == m->max) {
		size_t max = m->max ? m->max * 2 : 65536;
		struct tape_event *events = reallocarray(m->events, max, sizeof(*events));
		uint32_t *unit_of = reallocarray(m->unit_of, max, sizeof(*unit_of));

		m->events = events ? events : m->events;
		m->unit_of = unit_of ? unit_of : m->unit_of;
		if (!events || !unit_of)
			return -ENOMEM;
		m->max = max;
	}
	m->events[m->nr] = *ev;
	m->events[m->nr].stack = TAPE_NO_STACK;
	if (ev->flags & TAPE_KEPT) { /* what lived at the start is made there */
		m->events[m->nr].ns = m->start_ns;
		m->events[m->nr].flags &= (uint8_t)~TAPE_KEPT;
	}
	m->unit_of[m->nr++] = unit;
	return 0;
}

static int load(struct shrink *s)
{
	struct shrink_impl *m = s->impl;
	struct heap *heap = heap_new();
	struct tape_event ev;
	uint32_t unit;
	int err = heap ? 0 : -ENOMEM, got = 1;

	m->start_ns = tape_reader_start_ns(s->reader, NULL);
	for (int i = 0; i < UNIT_FIXED_NR && !err; i++)
		err = new_unit(m, &unit);
	while (!err && (got = tape_reader_next(s->reader, &ev)) > 0)
		err = add_event(m, heap, &ev);
	heap_free(heap);
	if (err || got < 0)
		return err ? err : got;
	for (size_t i = 0; i < m->nr; i++)
		m->unit_of[i] = find(m, m->unit_of[i]);
	m->kept = calloc(m->nr_units, sizeof(*m->kept));
	m->list = calloc(m->nr_units, sizeof(*m->list));
	if (!m->kept || !m->list)
		return -ENOMEM;
	for (uint32_t u = 0; u < m->nr_units; u++)
		if (m->parent[u] == u)
			m->list[m->nr_list++] = u;
	return 0;
}

/* ---- writing ---- */

static int by_number(const void *a, const void *b)
{
	return (*(const uint32_t *)a > *(const uint32_t *)b) - (*(const uint32_t *)a < *(const uint32_t *)b);
}

/* The threads that make a call of the candidate, by number. NULL: no memory. */
static uint32_t *calling_threads(const struct shrink_impl *m, size_t *nr_ret)
{
	uint32_t *tids = NULL;
	size_t nr = 0, max = 0, unique = 0;

	for (size_t i = 0; i < m->nr; i++) {
		if (m->unit_of[i] < UNIT_FIXED_NR || !m->kept[m->unit_of[i]] || (nr && tids[nr - 1] == m->events[i].tid))
			continue;
		if (nr == max) {
			uint32_t *more = reallocarray(tids, max = max ? max * 2 : 256, sizeof(*tids));

			if (!more) {
				free(tids);
				return NULL;
			}
			tids = more;
		}
		tids[nr++] = m->events[i].tid;
	}
	if (nr)
		qsort(tids, nr, sizeof(*tids), by_number);
	for (size_t i = 0; i < nr; i++)
		if (!unique || tids[unique - 1] != tids[i])
			tids[unique++] = tids[i];
	*nr_ret = unique;
	return tids ? tids : calloc(1, sizeof(*tids));
}

static bool is_kept(const struct shrink_impl *m, size_t i, const uint32_t *tids, size_t nr_tids)
{
	if (!m->kept[m->unit_of[i]])
		return false;
	return m->unit_of[i] != UNIT_NAMES || bsearch(&m->events[i].tid, tids, nr_tids, sizeof(*tids), by_number);
}

static int copy_facts(const struct shrink *s, struct tape_writer *w)
{
	const char *key, *value;
	uint8_t id;
	int err = 0;

	for (size_t i = 0; !err && tape_reader_meta_at(s->reader, i, &key, &value); i++)
		err = strcmp(key, "duration_ns") ? tape_writer_meta(w, key, value) : 0;
	for (uint32_t i = 0; !err && i < tape_reader_nr_allocators(s->reader); i++) {
		const struct tape_allocator *a = tape_reader_allocator(s->reader, i);

		err = tape_writer_allocator(w, a ? a : &(struct tape_allocator){ "unknown", "", "" }, &id);
	}
	return err;
}

static int write_event(const struct shrink *s, struct tape_writer *w, struct tape_event ev, uint64_t *ns)
{
	const char *name = NULL;
	uint32_t id = 0;
	int err = 0;

	if (tape_kind_has_string(ev.kind)) {
		name = ev.arg <= UINT32_MAX ? tape_reader_string(s->reader, (uint32_t)ev.arg) : NULL;
		err = name ? tape_writer_string(w, name, &id) : 0;
		ev.arg = id;
	}
	*ns = s->impl->dense ? *ns + STEP_NS : ev.ns > *ns ? ev.ns : *ns;
	ev.ns = *ns;
	return err ? err : tape_writer_add(w, &ev);
}

/* What is kept, as a tape; its size. */
static int write_kept(struct shrink *s, const char *path, bool overwrite, struct shrink_size *size)
{
	const struct shrink_impl *m = s->impl;
	struct tape_writer_opts opts = { .overwrite = overwrite, .time_unit_ns = 1 };
	struct tape_writer *w = NULL;
	size_t nr_tids = 0;
	uint32_t *tids = calling_threads(m, &nr_tids);
	uint64_t ns = m->dense ? 0 : m->start_ns, first = UINT64_MAX;
	int err = tids ? tape_writer_open(path, &opts, &w) : -ENOMEM, close_err;

	*size = (struct shrink_size){ .nr_threads = (uint32_t)nr_tids };
	if (!err)
		err = copy_facts(s, w);
	for (size_t i = 0; i < m->nr && !err; i++) {
		if (!is_kept(m, i, tids, nr_tids))
			continue;
		err = write_event(s, w, m->events[i], &ns);
		first = first < ns ? first : ns;
		size->nr_events++;
		size->nr_calls += tape_kind_is_call(m->events[i].kind);
	}
	size->duration_ns = first < ns ? ns - first : 0;
	if (!err)
		err = tape_writer_meta_u64(w, "duration_ns", ns);
	close_err = tape_writer_close(w);
	free(tids);
	return err ? err : close_err;
}

/* ---- checking ---- */

static bool must_stop(struct shrink *s)
{
	s->stopped |= child_stopped() || (s->impl->deadline_ns && clock_monotonic_ns() > s->impl->deadline_ns);
	return s->stopped;
}

/* 1: the command still ends with 0 for what is kept; 0: it does not; -errno. */
static int holds(struct shrink *s)
{
	const char *argv[] = { "/bin/sh", "-c", s->check, NULL };
	struct child c = { .argv = argv, .drop_errors = 1 };
	struct shrink_size size;
	char plan[PATH_MAX + 8];
	int err = write_kept(s, s->impl->path, true, &size), status;

	if (err)
		return err;
	status = child_run(&c);
	free(c.output);
	snprintf(plan, sizeof(plan), "%s.plan", s->impl->path);
	unlink(plan);
	s->nr_checks++;
	if (child_stopped())
		return 0; /* it may have been the signal that it ended by */
	if (status == 0) {
		s->after = size;
		if (s->progress)
			s->progress(NULL, &size, s->nr_checks);
	}
	return status < 0 ? status : status == 0;
}

static void keep_list(struct shrink_impl *m, const uint32_t *list, size_t nr)
{
	memset(m->kept, 0, m->nr_units * sizeof(*m->kept));
	for (size_t i = 0; i < nr; i++)
		m->kept[list[i]] = true;
}

/* ---- taking away ---- */

/* The list without those for which `without` is set, if that still holds. 1: it does, and is the list now. */
static int try_without(struct shrink *s, const bool *without)
{
	struct shrink_impl *m = s->impl;
	size_t nr = 0;
	int held;

	for (size_t i = 0; i < m->nr_list; i++)
		m->kept[m->list[i]] = !without[m->list[i]];
	held = holds(s);
	for (size_t i = 0; i < m->nr_list && held > 0; i++)
		if (!without[m->list[i]])
			m->list[nr++] = m->list[i];
	m->nr_list = held > 0 ? nr : m->nr_list;
	keep_list(m, m->list, m->nr_list);
	return held;
}

/* Kinds of events that are no calls. */
static int take_kinds(struct shrink *s, bool *without)
{
	int held = 0;

	for (uint32_t u = 0; u < UNIT_FIXED_NR && held >= 0 && !must_stop(s); u++) {
		without[u] = true;
		held = try_without(s, without);
		without[u] = false;
	}
	return held < 0 ? held : 0;
}

/* All objects that a thread made. */
static int take_threads(struct shrink *s, bool *without)
{
	struct shrink_impl *m = s->impl;
	size_t nr_tids;
	uint32_t *tids = calling_threads(m, &nr_tids), *maker = calloc(m->nr_units, sizeof(*maker));
	int held = tids && maker ? 0 : -ENOMEM;

	for (size_t i = m->nr; i-- > 0 && held >= 0;)
		maker[m->unit_of[i]] = m->events[i].tid;
	for (size_t k = 0; k < nr_tids && nr_tids > 1 && held >= 0 && !must_stop(s); k++) {
		for (uint32_t u = UNIT_FIXED_NR; u < m->nr_units; u++)
			without[u] = maker[u] == tids[k];
		held = try_without(s, without);
	}
	memset(without, 0, m->nr_units * sizeof(*without));
	free(tids);
	free(maker);
	return held < 0 ? held : 0;
}

/* Chunks of the list, halves first, until no single one can go. */
static int take_objects(struct shrink *s, bool *without)
{
	struct shrink_impl *m = s->impl;
	size_t nr_chunks = 2;
	int held = 0;

	while (m->nr_list > 1 && held >= 0 && !must_stop(s)) {
		size_t chunk = (m->nr_list + nr_chunks - 1) / nr_chunks;
		bool any = false;

		for (size_t at = 0; at < m->nr_list && held >= 0 && !must_stop(s);) {
			size_t end = at + chunk < m->nr_list ? at + chunk : m->nr_list;

			memset(without, 0, m->nr_units * sizeof(*without));
			for (size_t i = at; i < end; i++)
				without[m->list[i]] = true;
			held = end - at < m->nr_list ? try_without(s, without) : 0;
			any |= held > 0;
			at = held > 0 ? at : end; /* what came behind has moved up */
		}
		if (!any && chunk == 1)
			break;
		nr_chunks = any ? (m->nr_list + chunk - 1) / chunk : nr_chunks * 2;
		nr_chunks = nr_chunks < 2 ? 2 : nr_chunks > m->nr_list ? m->nr_list : nr_chunks;
	}
	memset(without, 0, m->nr_units * sizeof(*without));
	return held < 0 ? held : 0;
}

static int take_time(struct shrink *s)
{
	int held;

	if (must_stop(s))
		return 0;
	s->impl->dense = true;
	held = holds(s);
	s->impl->dense = held > 0;
	return held < 0 ? held : 0;
}

int shrink_run(struct shrink *s)
{
	struct shrink_impl *m = s->impl = calloc(1, sizeof(*m));
	bool *without = NULL;
	int err, held = 0;

	if (!m)
		return -ENOMEM;
	snprintf(m->path, sizeof(m->path), "%s/candidate.tape", s->folder);
	if (setenv("HEAPTAPE_TAPE", m->path, 1))
		return -errno;
	m->deadline_ns = s->budget_ns ? clock_monotonic_ns() + s->budget_ns : 0;
	err = load(s);
	if (err)
		return err;
	keep_list(m, m->list, m->nr_list);
	for (int i = 0; i < 3; i++) { /* a command that is not sure of itself would lead anywhere */
		int once = holds(s);

		if (once < 0)
			return once;
		held += once;
	}
	s->before = s->after;
	if (held < 3)
		return held ? -EAGAIN : -ENOEXEC;
	without = calloc(m->nr_units, sizeof(*without));
	err = without ? take_kinds(s, without) : -ENOMEM;
	if (!err)
		err = take_threads(s, without);
	if (!err)
		err = take_objects(s, without);
	if (!err)
		err = take_time(s);
	free(without);
	return err;
}

int shrink_write(struct shrink *s, const char *path, bool overwrite)
{
	keep_list(s->impl, s->impl->list, s->impl->nr_list);
	return write_kept(s, path, overwrite, &s->after);
}

void shrink_free(struct shrink *s)
{
	struct shrink_impl *m = s->impl;

	if (!m)
		return;
	free(m->events);
	free(m->unit_of);
	free(m->parent);
	free(m->list);
	free(m->kept);
	free(m);
	s->impl = NULL;
}
