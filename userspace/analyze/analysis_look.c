/* SPDX-License-Identifier: BSD-2-Clause */
/* The live set at one moment: by stack, by thread, by size, and which stack alone keeps which pages. */
#include <errno.h>
#include <stdlib.h>

#include "analyze/analysis_impl.h"

#define PAGE ((uint64_t)PAGES_NBYTES)

static int add_start(void *arg, const struct heap_object *obj)
{
	struct analysis_stack *s = pass_stack(arg, obj->stack);

	if (!s)
		return -ENOMEM;
	s->start_live_nbytes += obj->size;
	return 0;
}

int pass_look_start(struct pass *p)
{
	p->started = true;
	return heap_each(p->heap, add_start, p);
}

static int add_half(void *arg, const struct heap_object *obj)
{
	struct analysis_stack *s = pass_stack(arg, obj->stack);

	if (!s)
		return -ENOMEM;
	s->half_live_nbytes += obj->size;
	return 0;
}

int pass_look_half(struct pass *p)
{
	p->halved = true;
	return heap_each(p->heap, add_half, p);
}

/* ---- pages that hang on one stack ---- */

struct place {
	uint64_t addr, nbytes;
	uint32_t stack;
};

struct places {
	struct pass *pass;
	struct place *list;
	size_t nr;
};

static int by_address(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

static int add_live(void *arg, const struct heap_object *obj)
{
	struct places *places = arg;
	struct pass *p = places->pass;
	struct analysis *a = p->a;
	struct analysis_stack *s = pass_stack(p, obj->stack);
	struct analysis_thread *t = pass_thread(p, obj->tid);
	struct analysis_size *size = pass_size(p, obj->size);
	uint64_t span = a->at_ns - a->from_ns;

	if (!s || !t)
		return -ENOMEM;
	s->live++;
	s->live_nbytes += obj->size;
	/* The youngest tenth may be on its way; older than that, and it may be forgotten. */
	if (obj->born_ns < a->from_ns + span - span / 10) {
		s->old++;
		s->old_nbytes += obj->size;
	}
	t->live_nbytes += obj->size;
	size->live++;
	size->live_nbytes += obj->size;
	if (obj->size && obj->addr + obj->size > obj->addr)
		places->list[places->nr++] = (struct place){ obj->addr, obj->size, obj->stack };
	return 0;
}

/* The page that is being put together, in address order. */
struct page {
	uint64_t number, mine; /* mine: bytes of the stack's objects on it */
	uint32_t stack;
	bool several, any;
};

static int end_page(struct pass *p, struct page *page)
{
	struct analysis_stack *s;
	uint32_t live;

	if (!page->any || !pages_look(p->pages, page->number * PAGE, &live))
		return 0;
	if (page->several) {
		p->a->shared_nbytes += PAGE;
		return 0;
	}
	s = pass_stack(p, page->stack);
	if (!s)
		return -ENOMEM;
	s->pinned_nbytes += PAGE;
	s->pinned_live_nbytes += page->mine;
	return 0;
}

static int add_to_page(struct pass *p, struct page *page, uint64_t number, uint32_t stack, uint64_t nbytes)
{
	int err = 0;

	if (!page->any || page->number != number) {
		err = end_page(p, page);
		*page = (struct page){ .number = number, .stack = stack, .any = true };
	}
	page->several |= page->stack != stack;
	page->mine += nbytes;
	return err;
}

static int find_pinned(struct pass *p, const struct places *places)
{
	struct page page = { 0 };
	int err = 0;

	for (size_t i = 0; i < places->nr && !err; i++) {
		const struct place *o = &places->list[i];

		for (uint64_t at = o->addr; at < o->addr + o->nbytes && !err;) {
			uint64_t stop = (at | (PAGE - 1)) + 1, end = o->addr + o->nbytes < stop ? o->addr + o->nbytes : stop;

			err = add_to_page(p, &page, at / PAGE, o->stack, end - at);
			at = end;
		}
	}
	return err ? err : end_page(p, &page);
}

int pass_look(struct pass *p)
{
	struct analysis *a = p->a;
	struct places places = { .pass = p };
	int err;

	p->looked = true;
	a->live = heap_nr_objects(p->heap);
	a->live_nbytes = heap_live_nbytes(p->heap);
	a->split = *pages_split(p->pages);
	a->rss_anon = p->rss_anon;
	/* What threads have given up and not yet got back is told beside what is counted. */
	places.list = malloc((a->live + a->nr_threads + 1) * sizeof(*places.list));
	if (!places.list)
		return -ENOMEM;
	err = heap_each(p->heap, add_live, &places);
	if (!err && a->has_pages) {
		qsort(places.list, places.nr, sizeof(*places.list), by_address);
		err = find_pinned(p, &places);
	}
	free(places.list);
	return err;
}
