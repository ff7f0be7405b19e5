/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Residency by page, and large objects by address. Both hang on a hash of 2 MiB regions: a bitmap of the
 * pages that faulted, and the large objects that lie in the region. What was mapped or dropped on this tape
 * (where no bit means "absent" and not "unknown") is a sorted list of ranges.
 */
#include "replay/touch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 4096ull
#define ADDRESSES_END (1ull << 48) /* what lies behind is no address of user space, unless asked for by hint */
#define SIZE_END (1ull << 44) /* larger objects are never touched: reserved address space, not memory */
#define REGION_SHIFT 21
#define REGION_NBYTES (1ull << REGION_SHIFT)
#define REGION_PAGES 512u
#define GIANT_NBYTES (1ull << 30) /* larger objects hang on a list of their own instead of on each of their regions */

struct object {
	uint64_t addr, size;
	uint64_t known, assumed;
	uint32_t slot;
	uint32_t next; /* of the giants, or of the free ones */
};

struct region {
	uint64_t number; /* address >> REGION_SHIFT, plus 1; 0: empty */
	uint64_t resident[REGION_PAGES / 64];
	uint32_t *objects; /* that have a byte here */
	uint32_t nr, max;
};

struct range {
	uint64_t start, end;
};

struct touch {
	struct region **table; /* open addressing */
	size_t mask, nr;
	struct object *objects;
	uint32_t nr_objects, objects_max, free_head, giant_head;
	struct range *fresh; /* sorted, disjoint, not adjacent */
	size_t nr_fresh, fresh_max;
	struct touch_sums sums;
	uint64_t live_touched;
};

struct touch *touch_new(void)
{
	struct touch *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->mask = 255;
	t->free_head = t->giant_head = UINT32_MAX;
	t->table = calloc(t->mask + 1, sizeof(struct region *));
	if (!t->table) {
		free(t);
		return NULL;
	}
	return t;
}

void touch_free(struct touch *t)
{
	if (!t)
		return;
	for (size_t i = 0; i <= t->mask; i++) {
		if (t->table[i])
			free(t->table[i]->objects);
		free(t->table[i]);
	}
	free(t->table);
	free(t->objects);
	free(t->fresh);
	free(t);
}

/* ---- regions ---- */

bool touch_can_follow(uint64_t addr, uint64_t size)
{
	return size && size < SIZE_END && addr < ADDRESSES_END - size;
}

static size_t find_region(struct region *const *table, size_t mask, uint64_t number)
{
	size_t i = (size_t)(number * 0x9e3779b97f4a7c15ull >> 24) & mask;
	while (table[i] && table[i]->number != number)
		i = (i + 1) & mask;
	return i;
}

static struct region *region_at(const struct touch *t, uint64_t addr)
{
	return t->table[find_region(t->table, t->mask, (addr >> REGION_SHIFT) + 1)];
}

static int grow_table(struct touch *t)
{
	size_t mask = t->mask * 2 + 1;
	struct region **table = calloc(mask + 1, sizeof(struct region *));
	if (!table)
		return -ENOMEM;
	for (size_t i = 0; i <= t->mask; i++) {
		if (t->table[i])
			table[find_region(table, mask, t->table[i]->number)] = t->table[i];
	}
	free(t->table);
	t->table = table;
	t->mask = mask;
	return 0;
}

static struct region *region_make(struct touch *t, uint64_t addr)
{
	struct region *r = region_at(t, addr);
	if (r)
		return r;
	if ((t->nr + 1) * 2 > t->mask && grow_table(t))
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->number = (addr >> REGION_SHIFT) + 1;
	t->table[find_region(t->table, t->mask, r->number)] = r;
	t->nr++;
	return r;
}

static unsigned page_in_region(uint64_t addr)
{
	return (unsigned)(addr / PAGE % REGION_PAGES);
}

static bool is_resident(const struct touch *t, uint64_t addr)
{
	const struct region *r = region_at(t, addr);
	unsigned page = page_in_region(addr);
	return r && r->resident[page / 64] >> page % 64 & 1;
}

static int set_resident(struct touch *t, uint64_t addr)
{
	struct region *r = region_make(t, addr);
	unsigned page = page_in_region(addr);
	if (!r)
		return -ENOMEM;
	r->resident[page / 64] |= 1ull << page % 64;
	return 0;
}

static void clear_in_region(struct region *r, uint64_t start, uint64_t end)
{
	uint64_t base = (r->number - 1) << REGION_SHIFT;
	uint64_t from = start > base ? start : base;
	uint64_t to = end < base + (1ull << REGION_SHIFT) ? end : base + (1ull << REGION_SHIFT);
	for (uint64_t a = from; a < to; a += PAGE)
		r->resident[page_in_region(a) / 64] &= ~(1ull << page_in_region(a) % 64);
}

/* Whole pages inside [start, end). Walks the range or the table, whichever is shorter. */
static void clear_resident(struct touch *t, uint64_t start, uint64_t end)
{
	uint64_t first = start >> REGION_SHIFT, last = (end - 1) >> REGION_SHIFT;
	if (start >= end)
		return;
	if (last - first < t->mask) {
		for (uint64_t n = first; n <= last; n++) {
			struct region *r = region_at(t, n << REGION_SHIFT);
			if (r)
				clear_in_region(r, start, end);
		}
		return;
	}
	for (size_t i = 0; i <= t->mask; i++) {
		struct region *r = t->table[i];
		if (r && r->number - 1 >= first && r->number - 1 <= last)
			clear_in_region(r, start, end);
	}
}

static uint64_t resident_in_region(const struct region *r, uint64_t start, uint64_t end)
{
	uint64_t base = (r->number - 1) << REGION_SHIFT, sum = 0;
	uint64_t from = start > base ? start : base;
	uint64_t to = end < base + REGION_NBYTES ? end : base + REGION_NBYTES;
	for (uint64_t a = from; a < to; a += PAGE)
		sum += r->resident[page_in_region(a) / 64] >> page_in_region(a) % 64 & 1 ? PAGE : 0;
	return sum;
}

/* Walks the range or the table, whichever is shorter. */
uint64_t touch_resident_nbytes(const struct touch *t, uint64_t start, uint64_t end)
{
	uint64_t first = start >> REGION_SHIFT, last = (end - 1) >> REGION_SHIFT, sum = 0;
	if (start >= end)
		return 0;
	if (last - first < t->mask) {
		for (uint64_t n = first; n <= last; n++) {
			const struct region *r = region_at(t, n << REGION_SHIFT);
			sum += r ? resident_in_region(r, start, end) : 0;
		}
		return sum;
	}
	for (size_t i = 0; i <= t->mask; i++) {
		const struct region *r = t->table[i];
		if (r && r->number - 1 >= first && r->number - 1 <= last)
			sum += resident_in_region(r, start, end);
	}
	return sum;
}

/* ---- what was mapped or dropped on this tape ---- */

/* Index of the first range that ends at or behind addr. */
static size_t fresh_search(const struct touch *t, uint64_t addr)
{
	size_t lo = 0, hi = t->nr_fresh;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (t->fresh[mid].end < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_fresh(const struct touch *t, uint64_t addr)
{
	size_t i = fresh_search(t, addr + 1);
	return i < t->nr_fresh && t->fresh[i].start <= addr;
}

static bool range_is_fresh(const struct touch *t, uint64_t start, uint64_t end)
{
	size_t i = fresh_search(t, start + 1);
	return i < t->nr_fresh && t->fresh[i].start <= start && t->fresh[i].end >= end;
}

static int fresh_add(struct touch *t, uint64_t start, uint64_t end)
{
	size_t i = fresh_search(t, start), j = i;
	while (j < t->nr_fresh && t->fresh[j].start <= end)
		j++;
	if (j > i) { /* swallow those it meets */
		if (t->fresh[i].start < start)
			start = t->fresh[i].start;
		if (t->fresh[j - 1].end > end)
			end = t->fresh[j - 1].end;
	} else if (t->nr_fresh == t->fresh_max) {
		size_t max = t->fresh_max ? t->fresh_max * 2 : 64;
		struct range *fresh = reallocarray(t->fresh, max, sizeof(*fresh));
		if (!fresh)
			return -ENOMEM;
		t->fresh = fresh;
		t->fresh_max = max;
	}
	memmove(&t->fresh[i + 1], &t->fresh[j], (t->nr_fresh - j) * sizeof(*t->fresh));
	t->nr_fresh = t->nr_fresh - (j - i) + 1;
	t->fresh[i] = (struct range){ start, end };
	return 0;
}

int touch_map(struct touch *t, uint64_t start, uint64_t nbytes)
{
	uint64_t end = (start + nbytes + PAGE - 1) & ~(PAGE - 1);
	start &= ~(PAGE - 1);
	if (start >= end || end > ADDRESSES_END)
		return 0;
	clear_resident(t, start, end);
	return fresh_add(t, start, end);
}

int touch_drop(struct touch *t, uint64_t start, uint64_t nbytes)
{
	return touch_map(t, start, nbytes);
}

/* Nothing can be there until the next map, which makes it absent again. */
int touch_unmap(struct touch *t, uint64_t start, uint64_t nbytes)
{
	return touch_map(t, start, nbytes);
}

/* Pages of [old, end) that are resident, or in doubt, become so at the new place. At most a region. */
static int move_residency(struct touch *t, uint64_t old, uint64_t end, uint64_t start, bool giant)
{
	/* Nothing of it ever faulted, and none of it is in doubt: nothing to look for. */
	if (!region_at(t, old) && (giant || range_is_fresh(t, old, end)))
		return 0;
	for (; old < end; old += PAGE, start += PAGE) {
		bool in = is_resident(t, old) || (!giant && !is_fresh(t, old));
		int err = in ? set_resident(t, start) : 0;
		if (err)
			return err;
	}
	return 0;
}

int touch_move(struct touch *t, uint64_t old, uint64_t old_nbytes, uint64_t start, uint64_t nbytes)
{
	if (old == start) /* grown or shrunk in place */
		return nbytes > old_nbytes ? touch_map(t, start + old_nbytes, nbytes - old_nbytes) :
					     touch_unmap(t, start + nbytes, old_nbytes - nbytes);
	int err = touch_map(t, start, nbytes);
	uint64_t kept = old_nbytes < nbytes ? old_nbytes : nbytes, end = old + kept;
	if (!touch_can_follow(old, kept) || !touch_can_follow(start, kept))
		return err;
	for (uint64_t at = old & ~(PAGE - 1); !err && at < end;) {
		uint64_t region_end = (at | (REGION_NBYTES - 1)) + 1, stop = region_end < end ? region_end : end;
		err = move_residency(t, at, stop, start + (at - old), kept > GIANT_NBYTES);
		at = region_end;
	}
	return err ? err : touch_unmap(t, old, old_nbytes);
}

/* ---- large objects ---- */

static int region_link(struct touch *t, uint64_t addr, uint32_t index)
{
	struct region *r = region_make(t, addr);
	if (!r)
		return -ENOMEM;
	if (r->nr == r->max) {
		uint32_t max = r->max ? r->max * 2 : 4;
		uint32_t *objects = reallocarray(r->objects, max, sizeof(*objects));
		if (!objects)
			return -ENOMEM;
		r->objects = objects;
		r->max = max;
	}
	r->objects[r->nr++] = index;
	return 0;
}

static void region_unlink(struct region *r, uint32_t index)
{
	for (uint32_t i = 0; r && i < r->nr; i++) {
		if (r->objects[i] == index) {
			r->objects[i] = r->objects[--r->nr];
			return;
		}
	}
}

static int object_new(struct touch *t, uint32_t *index_ret)
{
	if (t->free_head != UINT32_MAX) {
		*index_ret = t->free_head;
		t->free_head = t->objects[t->free_head].next;
		return 0;
	}
	if (t->nr_objects == t->objects_max) {
		uint32_t max = t->objects_max ? t->objects_max * 2 : 64;
		struct object *objects = reallocarray(t->objects, max, sizeof(*objects));
		if (!objects)
			return -ENOMEM;
		t->objects = objects;
		t->objects_max = max;
	}
	*index_ret = t->nr_objects++;
	return 0;
}

static uint64_t clipped(const struct object *o, uint64_t page)
{
	uint64_t from = page > o->addr ? page : o->addr;
	uint64_t end = o->addr + o->size, to = page + PAGE < end ? page + PAGE : end;
	return to > from ? to - from : 0;
}

/* A run of pages that count as touched at birth, while it is being put together. */
struct run {
	uint64_t start, nr; /* as touch_fn has them */
	touch_fn fn;
	void *arg;
};

static int end_run(struct run *run)
{
	uint64_t nr = run->nr;
	run->nr = 0;
	return nr ? run->fn(run->arg, run->start, nr) : 0;
}

static int assume_in_region(struct touch *t, struct object *o, uint64_t page, uint64_t end, struct run *run)
{
	bool giant = o->size > GIANT_NBYTES;
	int err = 0;
	for (; page < end && !err; page += PAGE) {
		if (!is_resident(t, page) && (giant || is_fresh(t, page))) {
			err = end_run(run);
			continue;
		}
		if (!run->nr++)
			run->start = page + PAGE - o->addr;
		o->assumed += clipped(o, page);
	}
	return err;
}

/* No allocator keeps blocks this large for another use, so what was never seen resident is not: only what was counts. */
static int assume_in_giant(struct touch *t, struct object *o, struct run *run)
{
	uint64_t end = o->addr + o->size;
	int err = 0;
	for (size_t i = 0; i <= t->mask && !err; i++) {
		uint64_t base = t->table[i] ? (t->table[i]->number - 1) << REGION_SHIFT : end;
		uint64_t from = base > o->addr ? base : o->addr & ~(PAGE - 1);
		uint64_t to = base + REGION_NBYTES < end ? base + REGION_NBYTES : end;
		if (from < to)
			err = assume_in_region(t, o, from, to, run);
		if (!err)
			err = end_run(run);
	}
	return err;
}

/* Tells of pages that may have been resident already, run by run. */
static int assume_touched(struct touch *t, struct object *o, uint64_t from, touch_fn fn, void *arg)
{
	struct run run = { .fn = fn, .arg = arg };
	uint64_t end = o->addr + o->size;
	int err = 0;
	if (o->size > GIANT_NBYTES)
		return assume_in_giant(t, o, &run);
	for (uint64_t at = (o->addr + from) & ~(PAGE - 1); at < end && !err;) {
		uint64_t region_end = (at | (REGION_NBYTES - 1)) + 1, stop = region_end < end ? region_end : end;
		if (!region_at(t, at) && range_is_fresh(t, at, stop))
			err = end_run(&run);
		else
			err = assume_in_region(t, o, at, stop, &run);
		at = region_end;
	}
	return err ? err : end_run(&run);
}

static int object_link(struct touch *t, uint32_t index)
{
	struct object *o = &t->objects[index];
	int err = 0;
	if (o->size > GIANT_NBYTES) {
		o->next = t->giant_head;
		t->giant_head = index;
		return 0;
	}
	for (uint64_t n = o->addr >> REGION_SHIFT; n <= (o->addr + o->size - 1) >> REGION_SHIFT && !err; n++)
		err = region_link(t, n << REGION_SHIFT, index);
	return err;
}

static void object_unlink(struct touch *t, uint32_t index)
{
	struct object *o = &t->objects[index];
	if (o->size > GIANT_NBYTES) {
		uint32_t *link = &t->giant_head;
		while (*link != index)
			link = &t->objects[*link].next;
		*link = o->next;
		return;
	}
	for (uint64_t n = o->addr >> REGION_SHIFT; n <= (o->addr + o->size - 1) >> REGION_SHIFT; n++)
		region_unlink(region_at(t, n << REGION_SHIFT), index);
}

static bool holds(const struct object *o, uint64_t addr)
{
	return addr >= o->addr && addr < o->addr + o->size;
}

/*
 * Number of a large object that holds addr, UINT32_MAX if none does. slot: only the object of this slot (on a false
 * tape, or while a realloc is under way, several may lie there), or UINT32_MAX.
 */
static uint32_t object_at(const struct touch *t, uint64_t addr, uint32_t slot)
{
	const struct region *r = region_at(t, addr);
	for (uint32_t i = 0; r && i < r->nr; i++) {
		const struct object *o = &t->objects[r->objects[i]];
		if (holds(o, addr) && (slot == UINT32_MAX || o->slot == slot))
			return r->objects[i];
	}
	for (uint32_t i = t->giant_head; i != UINT32_MAX; i = t->objects[i].next) {
		if (holds(&t->objects[i], addr) && (slot == UINT32_MAX || t->objects[i].slot == slot))
			return i;
	}
	return UINT32_MAX;
}

int touch_birth(struct touch *t, uint32_t slot, uint64_t addr, uint64_t size, uint64_t kept, touch_fn fn, void *arg)
{
	uint32_t index;
	int err = object_new(t, &index);
	if (err)
		return err;
	struct object *o = &t->objects[index];
	*o = (struct object){ .addr = addr, .size = size, .slot = slot };
	err = object_link(t, index);
	if (err)
		return err;
	o->assumed = kept < size ? kept : size;
	/* The page that `kept` ends in came with the old object. */
	if (kept < size)
		err = assume_touched(t, o, kept ? kept + PAGE - 1 : 0, fn, arg);
	if (o->assumed > size)
		o->assumed = size;
	t->live_touched += o->assumed;
	return err;
}

void touch_death(struct touch *t, uint32_t slot, uint64_t addr)
{
	uint32_t index = object_at(t, addr, slot);
	if (index == UINT32_MAX)
		return;
	struct object *o = &t->objects[index];
	t->sums.known += o->known;
	t->sums.assumed += o->assumed;
	t->sums.untouched += o->size - o->known - o->assumed;
	t->live_touched -= o->known + o->assumed;
	object_unlink(t, index);
	o->addr = 0;
	o->next = t->free_head;
	t->free_head = index;
}

int touch_fault(struct touch *t, uint64_t addr, uint32_t *slot_ret, uint64_t *offset_ret)
{
	if (addr >= ADDRESSES_END)
		return 0;
	bool again = is_resident(t, addr);
	int err = set_resident(t, addr);
	uint32_t index = object_at(t, addr, UINT32_MAX);
	if (err || index == UINT32_MAX)
		return err;
	struct object *o = &t->objects[index];
	uint64_t nbytes = clipped(o, addr & ~(PAGE - 1));
	uint64_t left = o->size - o->known - o->assumed;
	if (again) /* reclaimed or dropped unseen: counted when it came the first time */
		nbytes = 0;
	nbytes = nbytes < left ? nbytes : left;
	o->known += nbytes;
	t->live_touched += nbytes;
	*slot_ret = o->slot;
	*offset_ret = (addr & ~(PAGE - 1)) + PAGE - o->addr;
	return 1;
}

uint64_t touch_live_nbytes(const struct touch *t)
{
	return t->live_touched;
}

void touch_finish(struct touch *t, struct touch_sums *sums_ret)
{
	for (uint32_t i = 0; i < t->nr_objects; i++) {
		if (t->objects[i].addr)
			touch_death(t, t->objects[i].slot, t->objects[i].addr);
	}
	*sums_ret = t->sums;
}
