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
		places->list[places->nr++] = (struct place){ obj->addr, obj->size, obj->born_ns, obj->stack };
	return 0;
}

/* The page that was put together, if it is memory at all. */
static int end_page(const struct pass *p, const struct page *page, int (*fn)(void *arg, const struct page *page), void *arg)
{
	uint32_t live;

	return page->any && pages_look(p->pages, page->number * PAGE, &live) ? fn(arg, page) : 0;
}

int pass_each_page(const struct pass *p, const struct place *list, size_t nr, int (*fn)(void *arg, const struct page *page), void *arg)
{
	struct page page = { 0 };
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++) {
		const struct place *o = &list[i];

		for (uint64_t at = o->addr; at < o->addr + o->nbytes && !err;) {
			uint64_t stop = (at | (PAGE - 1)) + 1, end = o->addr + o->nbytes < stop ? o->addr + o->nbytes : stop;

			if (!page.any || page.number != at / PAGE) {
				err = end_page(p, &page, fn, arg);
				page = (struct page){ .number = at / PAGE, .stack = o->stack, .any = true };
			}
			page.several |= page.stack != o->stack;
			page.mine += end - at;
			at = end;
		}
	}
	return err ? err : end_page(p, &page, fn, arg);
}

static int add_page(void *arg, const struct page *page)
{
	struct pass *p = arg;
	struct analysis_stack *s;

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

void pass_sort_places(struct place *list, size_t nr)
{
	qsort(list, nr, sizeof(*list), by_address);
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
		pass_sort_places(places.list, places.nr);
		err = pass_each_page(p, places.list, places.nr, add_page, p);
	}
	free(places.list);
	return err;
}
