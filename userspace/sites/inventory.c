/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the allocators among a process's mapped files. */
#include "inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "target/linkmap.h"

enum { ALLOCATORS_MAX = HT_OBJECTS_MAX, SEEN_MAX = 8192, UNREAD_MAX = 64 };

struct inventory {
	struct allocator *allocators[ALLOCATORS_MAX];
	unsigned nr_allocators;
	struct {
		uint64_t dev, inode, start;
	} seen[SEEN_MAX];
	unsigned nr_seen;
	struct inventory_unread unread[UNREAD_MAX];
	unsigned nr_unread;
	char why_none[512];
	uint64_t loader_start, loader_end;
};

struct inventory *inventory_new(void)
{
	return calloc(1, sizeof(struct inventory));
}

void inventory_free(struct inventory *inv)
{
	if (!inv)
		return;
	for (unsigned i = 0; i < inv->nr_allocators; i++)
		allocator_free(inv->allocators[i]);
	free(inv);
}

unsigned inventory_nr(const struct inventory *inv)
{
	return inv->nr_allocators;
}

struct allocator *inventory_get(const struct inventory *inv, unsigned i)
{
	return inv->allocators[i];
}

bool inventory_loader(const struct inventory *inv, uint64_t *start_ret, uint64_t *end_ret)
{
	*start_ret = inv->loader_start;
	*end_ret = inv->loader_end;
	return inv->loader_end != 0;
}

unsigned inventory_nr_unread(const struct inventory *inv)
{
	return inv->nr_unread;
}

const char *inventory_why_none(const struct inventory *inv)
{
	return inv->why_none;
}

const struct inventory_unread *inventory_unread_at(const struct inventory *inv, unsigned i)
{
	return &inv->unread[i];
}

/* A file mapped twice at different places (dlmopen) has the same code: its sites serve both. */
static bool seen_before(struct inventory *inv, const struct map_region *r)
{
	for (unsigned i = 0; i < inv->nr_seen; i++)
		if (inv->seen[i].dev == r->dev && inv->seen[i].inode == r->inode)
			return true;
	if (inv->nr_seen < SEEN_MAX) {
		inv->seen[inv->nr_seen].dev = r->dev;
		inv->seen[inv->nr_seen].inode = r->inode;
		inv->seen[inv->nr_seen++].start = r->start;
	}
	return false;
}

static void note_unread(struct inventory *inv, const struct map_region *r, int err)
{
	if (inv->nr_unread == UNREAD_MAX)
		return;
	inv->unread[inv->nr_unread].err = err;
	snprintf(inv->unread[inv->nr_unread++].path, sizeof(inv->unread[0].path), "%s", r->path);
}

/* The dynamic linker brings a malloc of its own for its first steps; the program never calls it. */
static bool is_loader(const struct map_region *r, uint64_t interpreter, const struct maps *maps)
{
	const struct map_region *first = interpreter ? maps_find(maps, interpreter) : NULL;

	return first && first->inode == r->inode && first->dev == r->dev && !strstr(r->path, "musl");
}

static int look_into(struct inventory *inv, const struct process *p, const struct map_region *r, unsigned *nr_new)
{
	struct allocator *a;
	struct object *obj;
	int err;

	err = object_open(p, r, &obj);
	if (err == -ENOEXEC)
		return 0; /* code in a file that is no ELF: nothing to find by symbols */
	if (err) {
		note_unread(inv, r, err);
		return 0;
	}
	err = survey_object(obj, &a);
	if (err <= 0) {
		if (!err && !*inv->why_none)
			survey_why_none(obj, inv->why_none, sizeof(inv->why_none));
		object_close(obj);
		return err;
	}
	if (inv->nr_allocators == ALLOCATORS_MAX) {
		allocator_free(a);
		return -E2BIG;
	}
	inv->allocators[inv->nr_allocators++] = a;
	(*nr_new)++;
	return 0;
}

static bool is_same_file(const struct object *a, const struct object *b)
{
	struct stat sa, sb;

	return !fstat(object_fd(a), &sa) && !fstat(object_fd(b), &sb) && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int inventory_other_file(struct inventory *inv, unsigned i, const struct process *p)
{
	const struct object *wrong = inv->allocators[i]->obj;
	struct object *last = NULL, *obj;
	struct allocator *a = NULL;
	int err;

	do {
		err = object_open_other(p, last ? last : wrong, &obj);
		object_close(last);
		last = obj;
		if (err == -EACCES || err == -EPERM)
			return -ENOENT;
		if (err)
			return err;
		/* Two ways may lead to one file. */
		err = is_same_file(obj, wrong) ? 0 : survey_object(obj, &a);
	} while (!err);
	if (err < 0) {
		object_close(obj);
		return err;
	}
	allocator_free(inv->allocators[i]);
	inv->allocators[i] = a;
	return 0;
}

struct order {
	uint64_t biases[LINKMAP_MAX];
	unsigned nr;
};

static unsigned order_of(const struct order *order, const struct allocator *a)
{
	unsigned i = 0;

	while (i < order->nr && order->biases[i] != object_bias(a->obj))
		i++;
	return i;
}

/* Sorts allocators [from, nr) by the linker's search order; those it does not list (static programs) keep theirs. */
static void sort_by_search_order(struct inventory *inv, unsigned from, const struct order *order)
{
	for (unsigned i = from + 1; i < inv->nr_allocators; i++)
		for (unsigned k = i; k > from && order_of(order, inv->allocators[k]) < order_of(order, inv->allocators[k - 1]); k--) {
			struct allocator *a = inv->allocators[k];

			inv->allocators[k] = inv->allocators[k - 1];
			inv->allocators[k - 1] = a;
		}
}

int inventory_update(struct inventory *inv, const struct process *p, unsigned *nr_new_ret)
{
	uint64_t interpreter = linkmap_interpreter(p);
	unsigned before = inv->nr_allocators;
	struct order *order = NULL;
	struct maps maps;
	int err;

	*nr_new_ret = 0;
	err = maps_read(p->proc_fd, &maps);
	for (size_t i = 0; i < maps.nr_regions && !err; i++) {
		const struct map_region *r = &maps.regions[i];

		if (!r->executable || !r->inode || seen_before(inv, r))
			continue;
		if (is_loader(r, interpreter, &maps)) {
			inv->loader_start = r->start;
			inv->loader_end = r->end;
			continue;
		}
		err = look_into(inv, p, r, nr_new_ret);
	}
	if (!err && *nr_new_ret > 1 && (order = calloc(1, sizeof(*order)))) {
		/* Without the right to read memory the order of the maps stays; all allocators are probed in any case. */
		if (!linkmap_read(p, order->biases, &order->nr))
			sort_by_search_order(inv, before, order);
		free(order);
	}
	maps_free(&maps);
	return err;
}
