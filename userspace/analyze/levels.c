/* SPDX-License-Identifier: BSD-2-Clause */
/* Spans page by page: a page told again is used for something else from then on. */
#include "analyze/levels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/index_map.h"

struct levels_impl {
	const struct tape_reader *reader;
	struct index_map use_of; /* page -> index of uses plus 1; 0: in no span */
	uint64_t last_addr, last_nbytes; /* the last span told, until an object is born in it */
	uint64_t row_ns, nr_moments; /* of the last figure; moments so far */
	bool in_row;                 /* it has a row */
	uint32_t class_nbytes[LEVELS_USES]; /* of a place in a span of that use, 0: as large as the object */
};

int levels_begin(struct levels *lv, const struct tape_reader *r)
{
	const char *runtime = tape_reader_meta(r, "runtime"), *levels = tape_reader_meta(r, "runtime.levels");

	*lv = (struct levels){ .alloc = TAPE_NO_ALLOC };
	if (!runtime)
		return 0;
	snprintf(lv->runtime, sizeof(lv->runtime), "%s", runtime);
	snprintf(lv->levels, sizeof(lv->levels), "%s", levels ? levels : "");
	for (uint32_t i = 0; i < tape_reader_nr_allocators(r); i++)
		if (!strcmp(tape_reader_allocator(r, i)->name, runtime))
			lv->alloc = (uint8_t)i;
	lv->impl = calloc(1, sizeof(*lv->impl));
	if (!lv->impl)
		return -ENOMEM;
	lv->impl->reader = r;
	lv->impl->row_ns = UINT64_MAX;
	return index_map_init(&lv->impl->use_of);
}

static int find(const char (*names)[LEVELS_NAME], unsigned nr, const char *name)
{
	for (unsigned i = 0; i < nr; i++)
		if (!strncmp(names[i], name, LEVELS_NAME - 1))
			return (int)i;
	return -1;
}

/* Where the name of this number stands in the list, or now does; -1: the list is full. */
static int place_of(const struct levels *lv, char (*names)[LEVELS_NAME], unsigned *nr, unsigned nr_max, uint64_t number)
{
	const char *name = number <= UINT32_MAX ? tape_reader_string(lv->impl->reader, (uint32_t)number) : NULL;
	int at = find((const char (*)[LEVELS_NAME])names, *nr, name ? name : "?");

	if (at >= 0 || *nr == nr_max)
		return at;
	snprintf(names[*nr], LEVELS_NAME, "%s", name ? name : "?");
	return (int)(*nr)++;
}

#define ROWS_MAX 8192 /* 29 MiB */

/* Every second row goes, the sums in those that stay are whole; from then on half as many are made. Figures of what happened between two
 * collections (copied bytes) are lost with theirs: `thinned` says so. */
static void thin_rows(struct levels *lv)
{
	size_t kept = 0;

	for (size_t i = 0; i < lv->nr_rows; i += 2)
		lv->rows[kept++] = lv->rows[i];
	lv->nr_rows = kept;
	lv->thinned = lv->thinned ? 2 * lv->thinned : 2;
}

/* The first figure of a moment makes its row. */
static int begin_row(struct levels *lv, uint64_t ns)
{
	if (lv->nr_rows == lv->rows_room) {
		size_t room = lv->rows_room ? 2 * lv->rows_room : 256;
		struct levels_row *rows = reallocarray(lv->rows, room, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		lv->rows = rows;
		lv->rows_room = room;
	}
	lv->now.ns = ns;
	lv->rows[lv->nr_rows++] = lv->now;
	if (lv->nr_rows == ROWS_MAX)
		thin_rows(lv);
	return 0;
}

static int take_figure(struct levels *lv, const struct tape_event *ev)
{
	int at = place_of(lv, lv->figures, &lv->nr_figures, LEVELS_FIGURES, ev->arg), err = 0;

	if (lv->impl->row_ns != ev->ns) {
		lv->impl->row_ns = ev->ns;
		lv->impl->in_row = !lv->thinned || lv->impl->nr_moments % lv->thinned == 0;
		lv->impl->nr_moments++;
		err = lv->impl->in_row ? begin_row(lv, ev->ns) : 0;
	}
	if (err)
		return err;
	if (at < 0)
		lv->nr_left_out++;
	else
		lv->now.figures[at] = ev->size;
	if (at >= 0 && lv->impl->in_row && lv->nr_rows && lv->rows[lv->nr_rows - 1].ns == ev->ns)
		lv->rows[lv->nr_rows - 1].figures[at] = ev->size;
	return 0;
}

#define SPAN_PAGES_MAX (1ull << 24) /* 64 GiB: no runtime makes larger ones, a damaged tape may say so */

/* use: index plus 1; 0: the pages are in none any more. */
static int set_pages(struct levels *lv, const struct tape_event *ev, uint32_t use)
{
	int err = 0;

	if (ev->size / LEVELS_PAGE > SPAN_PAGES_MAX) {
		lv->nr_left_out++;
		return 0;
	}
	for (uint64_t page = ev->addr / LEVELS_PAGE; page < (ev->addr + ev->size) / LEVELS_PAGE && !err; page++) {
		uint32_t before = index_map_find(&lv->impl->use_of, page);

		if (before != INDEX_NONE && before)
			lv->now.uses[before - 1] -= LEVELS_PAGE;
		else if (!use)
			lv->unknown_nbytes += LEVELS_PAGE;
		if (use)
			lv->now.uses[use - 1] += LEVELS_PAGE;
		err = index_map_set(&lv->impl->use_of, page, use);
	}
	return err;
}

static int take_span(struct levels *lv, const struct tape_event *ev)
{
	int use = place_of(lv, lv->uses, &lv->nr_uses, LEVELS_USES - 1, ev->arg);

	if (use < 0) {
		lv->nr_left_out++;
		use = LEVELS_USES - 1; /* all others */
	}
	/* "1152 noscan": spans of one size class are called by it. */
	lv->impl->class_nbytes[use] = (uint32_t)strtoul(lv->uses[use], NULL, 10);
	lv->nr_spans++;
	lv->impl->last_addr = ev->addr;
	lv->impl->last_nbytes = ev->size;
	return set_pages(lv, ev, (uint32_t)use + 1);
}

int levels_take(struct levels *lv, const struct tape_event *ev)
{
	if (!lv->impl)
		return 0;
	switch (ev->kind) {
	case TAPE_FIGURE: return take_figure(lv, ev);
	case TAPE_SPAN: return take_span(lv, ev);
	case TAPE_SPAN_FREE: lv->nr_span_frees++; return set_pages(lv, ev, 0);
	default: return 0;
	}
}

#define TINY_NBYTES 16 /* places of that size are shared by objects that begin inside */

/* The place that an object takes up, in *use_ret; 0: none of its own. */
static uint64_t place_nbytes(const struct levels *lv, const struct heap_object *o, uint32_t *use_ret)
{
	uint32_t use = index_map_find(&lv->impl->use_of, o->addr / LEVELS_PAGE), class;

	if (use == INDEX_NONE || !use)
		return 0;
	*use_ret = use - 1;
	class = lv->impl->class_nbytes[use - 1];
	if (class == TINY_NBYTES)
		return o->addr % TINY_NBYTES ? 0 : TINY_NBYTES;
	return class ? class : o->size;
}

void levels_birth(struct levels *lv, const struct heap_object *born)
{
	struct levels_impl *im = lv->impl;
	uint32_t use = 0;
	uint64_t place;

	if (!im || born->alloc != lv->alloc)
		return;
	lv->born++;
	lv->born_nbytes += born->size;
	lv->now.live++;
	lv->now.live_nbytes += born->size;
	place = place_nbytes(lv, born, &use);
	lv->now.taken[use] += place;
	lv->now.born[use] += place;
	/* More than half of the last page is the object's: the span was made for it. */
	if (born->addr >= im->last_addr && born->addr - im->last_addr < LEVELS_PAGE && im->last_nbytes > LEVELS_PAGE &&
	    born->size > im->last_nbytes / 2) {
		lv->held_nbytes += im->last_nbytes;
		lv->asked_nbytes += born->size;
		im->last_nbytes = 0;
	}
}

void levels_death(struct levels *lv, const struct heap_object *dead, bool collected)
{
	uint32_t use = 0;
	uint64_t place;

	if (!lv->impl || dead->alloc != lv->alloc)
		return;
	lv->now.live--;
	lv->now.live_nbytes -= dead->size;
	/* Its span may have gone first, or be used for something else. */
	place = place_nbytes(lv, dead, &use);
	lv->now.taken[use] -= place < lv->now.taken[use] ? place : lv->now.taken[use];
	lv->collected += collected;
}

void levels_end(struct levels *lv)
{
	if (lv->impl)
		index_map_free(&lv->impl->use_of);
	free(lv->impl);
	lv->impl = NULL;
}

void levels_free(struct levels *lv)
{
	levels_end(lv);
	free(lv->rows);
	lv->rows = NULL;
	lv->nr_rows = lv->rows_room = 0;
}

int levels_figure(const struct levels *lv, const char *name)
{
	return find(lv->figures, lv->nr_figures, name);
}

int levels_use(const struct levels *lv, const char *name)
{
	return find(lv->uses, lv->nr_uses, name);
}

uint64_t levels_oldest(const struct levels *lv)
{
	int at = levels_figure(lv, "ghc.generation");
	uint64_t oldest = 0;

	for (size_t i = 0; at >= 0 && i < lv->nr_rows; i++)
		oldest = lv->rows[i].figures[at] > oldest ? lv->rows[i].figures[at] : oldest;
	return oldest;
}

bool levels_is_full(const struct levels *lv, const struct levels_row *row, uint64_t oldest)
{
	int at = levels_figure(lv, "ghc.generation");

	return at < 0 || row->figures[at] == oldest;
}
