/* SPDX-License-Identifier: BSD-2-Clause */
/* The live set at one of many moments: by stack, thread and size, and as a map of the address space. */
#include <errno.h>
#include <stdlib.h>

#include "analyze/analysis_impl.h"

#define PAGE ((uint64_t)PAGES_NBYTES)
#define PAGE_SHIFT 12
#define REGION_PAGES 512u

/* Resident pages of one 2 MiB. */
struct region_bits {
	uint64_t start;
	uint64_t bits[REGION_PAGES / 64];
};

/* What the objects of one cell add up to by stack, until the next cell begins. */
struct tally {
	struct index_map index; /* stack -> its row */
	struct tally_row {
		uint32_t stack;
		uint64_t nbytes;
	} *rows;
	size_t nr, max;
};

struct look {
	struct pass *pass;
	struct analysis_moment *to;
	struct place *places;
	size_t nr_places;
	struct moment_size sizes[ANALYSIS_SIZE_CLASSES];
	struct region_bits *regions;
	size_t nr_regions, regions_max;
	struct index_map cell_of; /* address >> shift -> its cell */
	unsigned shift;
	struct tally tally;
};

/* ---- by stack, thread and size ---- */

static int start_stacks(struct look *l)
{
	const struct analysis *a = l->pass->a;
	struct analysis_moment *to = l->to;

	to->stacks = calloc(a->nr_stacks + 1, sizeof(*to->stacks));
	if (!to->stacks)
		return -ENOMEM;
	to->nr_stacks = a->nr_stacks;
	for (size_t i = 0; i < a->nr_stacks; i++) {
		const struct analysis_stack *s = &a->stacks[i];

		to->stacks[i] = (struct moment_stack){ .stack = s->stack, .births = s->births, .born_nbytes = s->born_nbytes,
						       .soon = s->soon, .soon_nbytes = s->soon_nbytes };
	}
	return 0;
}

/* Every live object's stack and thread have rows before the moment's rows are made beside them. */
static int know_owner(void *arg, const struct heap_object *obj)
{
	struct pass *p = arg;

	return pass_stack(p, obj->stack) && pass_thread(p, obj->tid) ? 0 : -ENOMEM;
}

static int add_object(void *arg, const struct heap_object *obj)
{
	struct look *l = arg;
	struct pass *p = l->pass;
	struct moment_stack *s = &l->to->stacks[pass_stack(p, obj->stack) - p->a->stacks];
	struct moment_size *size = &l->sizes[pass_size(p, obj->size) - p->sizes];

	s->live++;
	s->live_nbytes += obj->size;
	l->to->threads[pass_thread(p, obj->tid) - p->a->threads] += obj->size;
	size->live++;
	size->live_nbytes += obj->size;
	if (obj->size && obj->addr + obj->size > obj->addr)
		l->places[l->nr_places++] = (struct place){ obj->addr, obj->size, obj->born_ns, obj->stack };
	return 0;
}

static int add_page(void *arg, const struct page *page)
{
	struct look *l = arg;
	struct pass *p = l->pass;

	if (page->several)
		l->to->shared_nbytes += PAGE;
	else
		l->to->stacks[pass_stack(p, page->stack) - p->a->stacks].pinned_nbytes += PAGE;
	return 0;
}

static int keep_sizes(struct look *l)
{
	struct analysis_moment *to = l->to;

	to->sizes = calloc(ANALYSIS_SIZE_CLASSES, sizeof(*to->sizes));
	if (!to->sizes)
		return -ENOMEM;
	for (size_t i = 0; i < ANALYSIS_SIZE_CLASSES; i++) {
		if (!l->sizes[i].live)
			continue;
		to->sizes[to->nr_sizes] = l->sizes[i];
		to->sizes[to->nr_sizes++].from = l->pass->sizes[i].from;
	}
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const struct moment_stack *x = a, *y = b;

	return (x->stack > y->stack) - (x->stack < y->stack);
}

static int look_at_objects(struct look *l)
{
	struct pass *p = l->pass;
	const struct analysis *a = p->a;
	struct analysis_moment *to = l->to;
	int err = heap_each(p->heap, know_owner, p);

	if (!err)
		err = start_stacks(l);
	to->threads = calloc(a->nr_threads + 1, sizeof(*to->threads));
	to->nr_threads = a->nr_threads;
	l->places = malloc((heap_nr_objects(p->heap) + a->nr_threads + 1) * sizeof(*l->places));
	if (err || !to->threads || !l->places)
		return -ENOMEM;
	err = heap_each(p->heap, add_object, l);
	if (!err)
		pass_sort_places(l->places, l->nr_places);
	if (!err && a->has_pages)
		err = pass_each_page(p, l->places, l->nr_places, add_page, l);
	if (!err)
		err = keep_sizes(l);
	if (!err && to->nr_stacks)
		qsort(to->stacks, to->nr_stacks, sizeof(*to->stacks), by_number);
	return err;
}

/* ---- the map ---- */

static int add_region(void *arg, const struct pages_region *r)
{
	struct look *l = arg;
	struct region_bits *to;

	if (l->nr_regions == l->regions_max) {
		size_t max = l->regions_max ? l->regions_max * 2 : 256;
		struct region_bits *bigger = reallocarray(l->regions, max, sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		l->regions = bigger;
		l->regions_max = max;
	}
	to = &l->regions[l->nr_regions++];
	*to = (struct region_bits){ .start = r->start };
	for (unsigned i = 0; i < REGION_PAGES; i++)
		if ((r->flags[i] & (PAGES_RESIDENT | PAGES_AROUND)) == PAGES_RESIDENT)
			to->bits[i / 64] |= 1ull << i % 64;
	return 0;
}

/* The cell of this address, made if it is new. NULL with *err_ret 0: there are too many. */
static struct moment_cell *cell_at(struct look *l, uint64_t addr, int *err_ret)
{
	uint64_t key = addr >> l->shift;
	uint32_t i = index_map_find(&l->cell_of, key);
	struct moment_cell *c;

	*err_ret = 0;
	if (i != INDEX_NONE)
		return &l->to->cells[i];
	if (l->to->nr_cells == MOMENT_CELLS)
		return NULL;
	*err_ret = index_map_set(&l->cell_of, key, (uint32_t)l->to->nr_cells);
	if (*err_ret)
		return NULL;
	c = &l->to->cells[l->to->nr_cells++];
	*c = (struct moment_cell){ .start = key << l->shift, .oldest_ns = UINT64_MAX };
	return c;
}

static uint64_t cell_end(const struct look *l, uint64_t at, uint64_t end)
{
	uint64_t stop = ((at >> l->shift) + 1) << l->shift;

	return stop < end ? stop : end;
}

/* False: they do not fit, or *err_ret. */
static bool mark_cells(struct look *l, int *err_ret)
{
	l->to->nr_cells = 0;
	index_map_clear(&l->cell_of);
	for (size_t i = 0; i < l->nr_regions; i++) {
		for (unsigned k = 0; k < REGION_PAGES; k++) {
			struct moment_cell *c;

			if (!(l->regions[i].bits[k / 64] >> k % 64 & 1))
				continue;
			c = cell_at(l, l->regions[i].start + k * PAGE, err_ret);
			if (!c)
				return false;
			c->resident += PAGE;
		}
	}
	for (size_t i = 0; i < l->nr_places; i++) {
		uint64_t end = l->places[i].addr + l->places[i].nbytes;

		for (uint64_t at = l->places[i].addr; at < end; at = cell_end(l, at, end))
			if (!cell_at(l, at, err_ret))
				return false;
	}
	return true;
}

/* The largest of the tally, which is emptied. */
static void end_cell(struct tally *t, struct moment_cell *c)
{
	for (size_t i = 0; i < t->nr; i++) {
		unsigned k = MOMENT_CELL_STACKS;

		for (; k && c->stacks[k - 1].nbytes < t->rows[i].nbytes; k--)
			if (k < MOMENT_CELL_STACKS)
				c->stacks[k] = c->stacks[k - 1];
		if (k < MOMENT_CELL_STACKS) {
			c->stacks[k].stack = t->rows[i].stack;
			c->stacks[k].nbytes = t->rows[i].nbytes;
		}
	}
	t->nr = 0;
	index_map_clear(&t->index);
}

static int tally_add(struct tally *t, uint32_t stack, uint64_t nbytes)
{
	uint32_t i = index_map_find(&t->index, stack);

	if (i == INDEX_NONE) {
		if (t->nr == t->max) {
			size_t max = t->max ? t->max * 2 : 64;
			struct tally_row *bigger = reallocarray(t->rows, max, sizeof(*bigger));

			if (!bigger)
				return -ENOMEM;
			t->rows = bigger;
			t->max = max;
		}
		i = (uint32_t)t->nr++;
		t->rows[i] = (struct tally_row){ .stack = stack };
		if (index_map_set(&t->index, stack, i))
			return -ENOMEM;
	}
	t->rows[i].nbytes += nbytes;
	return 0;
}

/* Objects come by address, so that a cell is done when the next begins. */
static int fill_cells(struct look *l)
{
	struct moment_cell *current = NULL;
	int err = 0;

	for (size_t i = 0; i < l->nr_places && !err; i++) {
		const struct place *o = &l->places[i];
		uint64_t end = o->addr + o->nbytes, next;

		for (uint64_t at = o->addr; at < end && !err; at = next) {
			struct moment_cell *c = cell_at(l, at, &err);

			next = cell_end(l, at, end);
			if (c != current && current)
				end_cell(&l->tally, current);
			current = c;
			c->live++;
			c->live_nbytes += next - at;
			c->oldest_ns = o->born_ns < c->oldest_ns ? o->born_ns : c->oldest_ns;
			c->youngest_ns = o->born_ns > c->youngest_ns ? o->born_ns : c->youngest_ns;
			err = tally_add(&l->tally, o->stack, next - at);
		}
	}
	if (current)
		end_cell(&l->tally, current);
	return err;
}

static int by_start(const void *a, const void *b)
{
	const struct moment_cell *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static int look_at_addresses(struct look *l)
{
	struct analysis_moment *to = l->to;
	int err = l->pass->a->has_pages ? pages_each_region(l->pass->pages, add_region, l) : 0;

	to->cells = calloc(MOMENT_CELLS, sizeof(*to->cells));
	if (err || !to->cells)
		return -ENOMEM;
	for (l->shift = PAGE_SHIFT; !mark_cells(l, &err) && !err; l->shift++)
		;
	to->cell_nbytes = 1ull << l->shift;
	if (!err)
		err = fill_cells(l);
	if (!err && to->nr_cells)
		qsort(to->cells, to->nr_cells, sizeof(*to->cells), by_start);
	return err;
}

int pass_moment(struct pass *p)
{
	struct analysis_moment *to = &p->a->moments[p->moment++];
	struct look *l = calloc(1, sizeof(*l));
	int err = l ? index_map_init(&l->cell_of) : -ENOMEM;

	if (!err)
		err = index_map_init(&l->tally.index);
	if (!err) {
		l->pass = p;
		l->to = to;
		to->live = heap_nr_objects(p->heap);
		to->live_nbytes = heap_live_nbytes(p->heap);
		to->split = *pages_split(p->pages);
		to->rss_anon = p->rss_anon;
		err = look_at_objects(l);
	}
	if (!err)
		err = look_at_addresses(l);
	if (l) {
		index_map_free(&l->cell_of);
		index_map_free(&l->tally.index);
		free(l->tally.rows);
		free(l->regions);
		free(l->places);
	}
	free(l);
	return err;
}
