/* SPDX-License-Identifier: BSD-2-Clause */
/* walk.c - see walk.h: what all walkers share. */
#include "baseline/walk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct walker *const walkers[] = { &walk_glibc, &walk_jemalloc, &walk_mimalloc };

const struct walker *walk_find(const char *allocator)
{
	for (size_t i = 0; i < sizeof(walkers) / sizeof(walkers[0]); i++)
		if (!strcmp(walkers[i]->allocator, allocator))
			return walkers[i];
	return NULL;
}

int walk_add(struct walk *w, uint64_t addr, uint64_t usable, uint32_t owner)
{
	if (w->nr == w->room) {
		size_t room = w->room ? 2 * w->room : 65536;
		struct walk_block *blocks = reallocarray(w->blocks, room, sizeof(*blocks));

		if (!blocks)
			return walk_fail(w, -ENOMEM, "out of memory at %zu blocks", w->nr);
		w->blocks = blocks;
		w->room = room;
	}
	w->blocks[w->nr++] = (struct walk_block){ .addr = addr, .usable = usable, .owner = owner };
	return 0;
}

int walk_fail(struct walk *w, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, ap);
	va_end(ap);
	return err;
}

void walk_clear(struct walk *w)
{
	w->nr = 0;
	w->nr_free = 0;
	w->differs = false;
	w->why[0] = '\0';
}

void walk_end(struct walk *w)
{
	if (w->state)
		w->walker->close(w);
	w->state = NULL;
	free(w->blocks);
	w->blocks = NULL;
	w->nr = w->room = 0;
}

/* ---- two looks at the same heap ---- */

/* Blocks of a heap, in ascending order. */
struct run {
	size_t begin, end;
};

struct runs {
	const struct walk_block *blocks;
	struct run *list;
	size_t nr, now, at; /* now, at: where the last search ended */
};

static int by_first(const void *a, const void *b, void *arg)
{
	const struct walk_block *blocks = arg;
	uint64_t x = blocks[((const struct run *)a)->begin].addr, y = blocks[((const struct run *)b)->begin].addr;

	return (x > y) - (x < y);
}

static int find_runs(struct runs *r, struct walk_block *blocks, size_t nr)
{
	size_t nr_runs = 1;

	for (size_t i = 1; i < nr; i++)
		nr_runs += blocks[i].addr < blocks[i - 1].addr;
	*r = (struct runs){ .blocks = blocks, .list = malloc(nr_runs * sizeof(*r->list)) };
	if (!r->list)
		return -ENOMEM;
	for (size_t i = 0, begin = 0; i < nr; i++)
		if (i + 1 == nr || blocks[i + 1].addr < blocks[i].addr) {
			r->list[r->nr++] = (struct run){ begin, i + 1 };
			begin = i + 1;
		}
	qsort_r(r->list, r->nr, sizeof(*r->list), by_first, blocks);
	return 0;
}

/* The run that addr may lie in: the last one that begins at or below it. */
static size_t run_of(const struct runs *r, uint64_t addr)
{
	size_t low = 0, high = r->nr;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->blocks[r->list[mid].begin].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? low - 1 : 0;
}

/* Searched for mostly in ascending order too. */
static bool runs_have(struct runs *r, uint64_t addr)
{
	const struct run *run = &r->list[r->now];

	if (!r->nr)
		return false;
	if (r->at <= run->begin || r->at >= run->end || r->blocks[r->at - 1].addr >= addr || r->blocks[run->end - 1].addr < addr) {
		r->now = run_of(r, addr);
		run = &r->list[r->now];
		r->at = run->begin;
	}
	while (r->at < run->end && r->blocks[r->at].addr < addr)
		r->at++;
	return r->at < run->end && r->blocks[r->at].addr == addr;
}

void walk_again(const struct walk *w, struct walk *again_ret)
{
	*again_ret = *w;
	again_ret->blocks = NULL;
	again_ret->nr = again_ret->room = 0;
}

int walk_keep_common(struct walk *w, struct walk *again, size_t nr, int err)
{
	struct runs runs = { 0 };
	size_t kept = 0;

	if (!err && find_runs(&runs, again->blocks, again->nr))
		err = walk_fail(again, -ENOMEM, "out of memory");
	for (size_t i = 0; i < w->nr && !err; i++)
		if (i >= nr || runs_have(&runs, w->blocks[i].addr))
			w->blocks[kept++] = w->blocks[i];
	if (err)
		memcpy(w->why, again->why, sizeof(w->why));
	else
		w->nr = kept;
	free(runs.list);
	free(again->blocks);
	again->blocks = NULL;
	return err;
}
