/* SPDX-License-Identifier: BSD-2-Clause */
/* Two passes over the objects in address order: how full each page is, then each class's pages. */
#include "replay/size_classes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint64_t size_class_of(uint64_t usable)
{
	unsigned shift;

	if (usable <= SIZE_CLASS_EXACT)
		return usable;
	shift = 63 - (unsigned)__builtin_clzll(usable) - 3;
	return usable >> shift << shift;
}

struct entry {
	struct size_class class;
	uint64_t last_page; /* the last one counted for it, plus 1 */
};

/* Open addressing by class; 0 marks an empty entry, so sizes are stored plus 1 until the end. */
struct table {
	struct entry *entries;
	size_t mask, nr;
};

static struct entry *entry_at(const struct table *t, uint64_t usable)
{
	size_t i = (size_t)((usable + 1) * 0x9e3779b97f4a7c15ull >> 20) & t->mask;

	while (t->entries[i].class.usable && t->entries[i].class.usable != usable + 1)
		i = (i + 1) & t->mask;
	return &t->entries[i];
}

static int grow(struct table *t)
{
	struct table bigger = { .mask = t->entries ? t->mask * 2 + 1 : 1023, .nr = t->nr };

	bigger.entries = calloc(bigger.mask + 1, sizeof(*bigger.entries));
	if (!bigger.entries)
		return -ENOMEM;
	for (size_t i = 0; t->entries && i <= t->mask; i++)
		if (t->entries[i].class.usable)
			*entry_at(&bigger, t->entries[i].class.usable - 1) = t->entries[i];
	free(t->entries);
	*t = bigger;
	return 0;
}

static struct entry *entry_make(struct table *t, uint64_t usable)
{
	struct entry *e;

	if ((!t->entries || t->nr * 2 > t->mask) && grow(t))
		return NULL;
	e = entry_at(t, usable);
	if (!e->class.usable) {
		e->class.usable = usable + 1;
		t->nr++;
	}
	return e;
}

struct page {
	uint64_t number, used;
};

/* Usable bytes by page, in address order; at most `max` pages. */
static size_t fill_pages(const struct split_object *objs, size_t nr_objs, uint64_t page_nbytes, struct page *pages)
{
	size_t nr = 0;

	for (size_t i = 0; i < nr_objs; i++) {
		uint64_t at = objs[i].addr, end = at + objs[i].usable;

		while (at < end) {
			uint64_t number = at / page_nbytes, stop = (number + 1) * page_nbytes;

			if (!nr || pages[nr - 1].number != number)
				pages[nr++] = (struct page){ .number = number };
			pages[nr - 1].used += (stop < end ? stop : end) - at;
			at = stop;
		}
	}
	return nr;
}

static size_t count_pages(const struct split_object *objs, size_t nr_objs, uint64_t page_nbytes)
{
	uint64_t last = UINT64_MAX;
	size_t nr = 0;

	for (size_t i = 0; i < nr_objs; i++) {
		if (!objs[i].usable)
			continue;
		uint64_t first = objs[i].addr / page_nbytes, end = (objs[i].addr + objs[i].usable - 1) / page_nbytes;

		nr += end - first + (first != last);
		last = end;
	}
	return nr;
}

static int count_classes(const struct split_object *objs, size_t nr_objs, uint64_t page_nbytes, const struct page *pages,
			 struct table *t)
{
	size_t p = 0;

	for (size_t i = 0; i < nr_objs; i++) {
		const struct split_object *o = &objs[i];
		struct entry *e = entry_make(t, size_class_of(o->usable));

		if (!e)
			return -ENOMEM;
		e->class.nr++;
		e->class.requested += o->requested;
		e->class.given += o->usable;
		if (!o->usable)
			continue;
		while (pages[p].number < o->addr / page_nbytes)
			p++;
		for (size_t k = p; pages[k].number <= (o->addr + o->usable - 1) / page_nbytes; k++) {
			if (e->last_page < pages[k].number + 1) {
				e->class.pages_nbytes += page_nbytes;
				e->class.pages_used += pages[k].used;
			}
			e->last_page = pages[k].number + 1;
		}
	}
	return 0;
}

static int by_size(const void *a, const void *b)
{
	const struct size_class *x = a, *y = b;

	return (x->usable > y->usable) - (x->usable < y->usable);
}

int size_classes_compute(const struct split_object *objs, size_t nr_objs, uint64_t page_nbytes, struct size_class **ret,
			 size_t *nr_ret)
{
	size_t nr_pages = count_pages(objs, nr_objs, page_nbytes), nr = 0;
	struct page *pages = malloc((nr_pages + 1) * sizeof(*pages));
	struct table t = { 0 };
	int err = pages ? 0 : -ENOMEM;

	*ret = NULL;
	*nr_ret = 0;
	if (!err) {
		pages[fill_pages(objs, nr_objs, page_nbytes, pages)].number = UINT64_MAX;
		err = count_classes(objs, nr_objs, page_nbytes, pages, &t);
	}
	free(pages);
	if (!err && !(*ret = calloc(t.nr + 1, sizeof(**ret))))
		err = -ENOMEM;
	for (size_t i = 0; !err && t.entries && i <= t.mask; i++) {
		if (!t.entries[i].class.usable)
			continue;
		(*ret)[nr] = t.entries[i].class;
		(*ret)[nr++].usable--;
	}
	free(t.entries);
	if (err)
		return err;
	qsort(*ret, nr, sizeof(**ret), by_size);
	*nr_ret = nr;
	return 0;
}
