/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions of 2 MiB in a hash; every change of a page takes its old share from the split and adds the new one. */
#include "pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index_map.h"
#include "ranges.h"

#define PAGE ((uint64_t)PAGES_NBYTES)
#define REGION_SHIFT 21
#define REGION_PAGES 512u
#define ADDRESSES_END (1ull << 48)
#define SMALL_NBYTES (32u << 10)   /* objects up to this are written whole when they are born */
#define MAP_SHARED_FLAG 1u
#define MADV_DONTNEED_ADVICE 4u

#define BY_SHARED TAPE_BY_LOADER /* in the ranges only */
#define OLDER 1 /* a range's obj: it is older than the tape */

struct region {
	uint64_t number;
	uint16_t live[REGION_PAGES];
	uint8_t flags[REGION_PAGES];
};

struct pages {
	struct region **regions;
	uint32_t nr, max;
	struct index_map index; /* region number -> its place */
	struct region *last;    /* found */
	struct ranges ranges;   /* TAPE_BY_PROGRAM: around; TAPE_BY_ALLOCATOR; BY_SHARED: no anonymous memory, not followed */
	bool from_exec;
	struct pages_split split;
};

struct pages *pages_new(bool from_exec)
{
	struct pages *p = calloc(1, sizeof(*p));

	if (p && index_map_init(&p->index)) {
		free(p);
		return NULL;
	}
	if (p)
		p->from_exec = from_exec;
	return p;
}

static void drop_regions(struct pages *p)
{
	for (uint32_t i = 0; i < p->nr; i++)
		free(p->regions[i]);
	p->nr = 0;
	p->last = NULL;
	index_map_clear(&p->index);
	ranges_free(&p->ranges);
	p->split = (struct pages_split){ 0 };
}

void pages_free(struct pages *p)
{
	if (!p)
		return;
	drop_regions(p);
	index_map_free(&p->index);
	free(p->regions);
	free(p);
}

const struct pages_split *pages_split(const struct pages *p)
{
	return &p->split;
}

/* ---- regions ---- */

static struct region *region_at(const struct pages *p, uint64_t addr)
{
	uint32_t i;

	if (p->last && p->last->number == addr >> REGION_SHIFT)
		return p->last;
	i = index_map_find(&p->index, addr >> REGION_SHIFT);
	return i == INDEX_NONE ? NULL : p->regions[i];
}

static struct region *region_make(struct pages *p, uint64_t addr)
{
	struct region *r = region_at(p, addr);

	if (r) {
		p->last = r;
		return r;
	}
	if (p->nr == p->max) {
		uint32_t max = p->max ? p->max * 2 : 64;
		struct region **regions = reallocarray(p->regions, max, sizeof(struct region *));

		if (!regions)
			return NULL;
		p->regions = regions;
		p->max = max;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->number = addr >> REGION_SHIFT;
	if (index_map_set(&p->index, r->number, p->nr)) {
		free(r);
		return NULL;
	}
	p->regions[p->nr++] = p->last = r;
	return r;
}

/* ---- one page ---- */

/* What the page adds to the split; sign: 1 or -1, as unsigned arithmetic has it. */
static void account(struct pages *p, const struct region *r, unsigned i, uint64_t sign)
{
	struct pages_split *s = &p->split;
	uint64_t live = r->live[i];

	if (!(r->flags[i] & PAGES_RESIDENT)) {
		s->unresident += sign * live;
		return;
	}
	if (r->flags[i] & PAGES_AROUND) {
		s->around += sign * PAGE;
		return;
	}
	s->resident += sign * PAGE;
	if (live) {
		s->requested += sign * live;
		s->holes += sign * (PAGE - live);
	} else if (r->flags[i] & PAGES_HELD) {
		s->retained += sign * PAGE;
	} else {
		s->metadata += sign * PAGE;
	}
}

static void set_page(struct pages *p, struct region *r, unsigned i, uint16_t live, uint8_t flags)
{
	account(p, r, i, (uint64_t)-1);
	r->live[i] = live;
	r->flags[i] = flags;
	account(p, r, i, 1);
}

static unsigned page_index(uint64_t addr)
{
	return (unsigned)(addr / PAGE % REGION_PAGES);
}

/* ---- runs of pages ---- */

static void vacate_in(struct pages *p, struct region *r, uint64_t start, uint64_t end)
{
	uint64_t base = r->number << REGION_SHIFT, region_end = base + (1ull << REGION_SHIFT);
	uint64_t from = start > base ? start : base, to = end < region_end ? end : region_end;

	for (; from < to; from += PAGE)
		if (r->flags[page_index(from)])
			set_page(p, r, page_index(from), r->live[page_index(from)], 0);
}

/* Nothing of it is resident any more. Walks the addresses or the regions, whichever are fewer. */
static void vacate(struct pages *p, uint64_t start, uint64_t end)
{
	uint64_t first = start >> REGION_SHIFT, last = (end - 1) >> REGION_SHIFT;

	if (start >= end)
		return;
	if (last - first < p->nr) {
		for (uint64_t n = first; n <= last; n++) {
			struct region *r = region_at(p, n << REGION_SHIFT);

			if (r)
				vacate_in(p, r, start, end);
		}
		return;
	}
	for (uint32_t i = 0; i < p->nr; i++)
		if (p->regions[i]->number >= first && p->regions[i]->number <= last)
			vacate_in(p, p->regions[i], start, end);
}

static int change(struct pages *p, uint64_t start, uint64_t nbytes, enum tape_by by)
{
	uint64_t end = (start + nbytes + PAGE - 1) & ~(PAGE - 1);

	start &= ~(PAGE - 1);
	if (start >= end || end > ADDRESSES_END)
		return 0;
	vacate(p, start, end);
	return ranges_set(&p->ranges, start, end, (uint8_t)by, 0);
}

static enum tape_by owner(const struct pages *p, uint64_t addr)
{
	const struct range *r = ranges_find(&p->ranges, addr);

	return r ? r->by : p->from_exec ? TAPE_BY_PROGRAM : TAPE_BY_ALLOCATOR;
}

/* An object shows that a mapping is the allocator's after all. */
static void turn_over(struct pages *p, uint64_t addr)
{
	size_t i = ranges_at(&p->ranges, addr);
	struct range *range = i < p->ranges.nr && p->ranges.list[i].start <= addr ? &p->ranges.list[i] : NULL;

	if (!range || range->by != TAPE_BY_PROGRAM)
		return;
	range->by = TAPE_BY_ALLOCATOR;
	for (uint64_t at = range->start; at < range->end; at = ((at >> REGION_SHIFT) + 1) << REGION_SHIFT) {
		struct region *r = region_at(p, at);
		uint64_t region_end = ((at >> REGION_SHIFT) + 1) << REGION_SHIFT;

		for (uint64_t a = at; r && a < region_end && a < range->end; a += PAGE)
			if (r->flags[page_index(a)] & PAGES_AROUND)
				set_page(p, r, page_index(a), r->live[page_index(a)],
					 r->flags[page_index(a)] & (uint8_t)~PAGES_AROUND);
	}
}

void pages_prefetch_far(const struct pages *p, uint64_t addr)
{
	__builtin_prefetch(index_map_home(&p->index, addr >> REGION_SHIFT));
}

void pages_prefetch_near(const struct pages *p, uint64_t addr)
{
	const struct region *r = region_at(p, addr);

	if (r)
		__builtin_prefetch(&r->live[page_index(addr)]);
}

/* ---- events ---- */

static int fault(struct pages *p, uint64_t addr)
{
	enum tape_by by = owner(p, addr);
	struct region *r;
	unsigned i = page_index(addr);

	if (addr >= ADDRESSES_END || by == BY_SHARED)
		return 0;
	r = region_make(p, addr);
	if (!r)
		return -ENOMEM;
	if (r->flags[i] & PAGES_RESIDENT)
		return 0;
	set_page(p, r, i, r->live[i],
		 (uint8_t)(PAGES_RESIDENT | (r->live[i] ? PAGES_HELD : by == TAPE_BY_PROGRAM ? PAGES_AROUND : 0)));
	return 0;
}

/* Flags of pages that move, objects on them do not: an allocator that moves its mapping tells of that by a realloc. */
static int move(struct pages *p, const struct tape_event *ev)
{
	uint64_t kept = ev->arg < ev->size ? ev->arg : ev->size, old = ev->old & ~(PAGE - 1), start = ev->addr & ~(PAGE - 1);
	enum tape_by by = owner(p, old);
	uint8_t *flags;
	int err;

	if (!ev->old || ev->old + ev->arg > ADDRESSES_END || ev->addr + ev->size > ADDRESSES_END)
		return change(p, ev->addr, ev->size, by);
	if (ev->old == ev->addr)
		return ev->size < ev->arg ? change(p, ev->addr + ev->size, ev->arg - ev->size, TAPE_BY_UNKNOWN) :
					    change(p, ev->addr + ev->arg, ev->size - ev->arg, by);
	flags = calloc(kept / PAGE + 1, 1);
	if (!flags)
		return -ENOMEM;
	for (uint64_t at = 0; at < kept; at += PAGE) {
		const struct region *r = region_at(p, old + at);

		flags[at / PAGE] = r ? r->flags[page_index(old + at)] : 0;
	}
	err = change(p, ev->old, ev->arg, TAPE_BY_UNKNOWN);
	if (!err)
		err = change(p, ev->addr, ev->size, by);
	for (uint64_t at = 0; at < kept && !err; at += PAGE) {
		struct region *r = flags[at / PAGE] ? region_make(p, start + at) : NULL;

		if (r)
			set_page(p, r, page_index(start + at), r->live[page_index(start + at)], flags[at / PAGE]);
		else
			err = flags[at / PAGE] ? -ENOMEM : 0;
	}
	free(flags);
	return err;
}

/* A keyframe tells whose a mapping is, but not what of it is in memory. */
static int note_older(struct pages *p, const struct tape_event *ev)
{
	unsigned by = ev->flags >> TAPE_BY_SHIFT & 3;
	uint64_t start = ev->kind == TAPE_BRK ? ev->old : ev->addr, end = ev->kind == TAPE_BRK ? ev->addr : ev->addr + ev->size;
	bool shared = ev->kind == TAPE_MMAP && by != TAPE_BY_ALLOCATOR && ev->arg >> 32 & MAP_SHARED_FLAG;

	if ((ev->kind != TAPE_MMAP && ev->kind != TAPE_BRK) || start >= end || end > ADDRESSES_END)
		return 0;
	return ranges_set(&p->ranges, start & ~(PAGE - 1), (end + PAGE - 1) & ~(PAGE - 1),
			  shared ? BY_SHARED : by == TAPE_BY_PROGRAM || by == TAPE_BY_LOADER ? TAPE_BY_PROGRAM : TAPE_BY_ALLOCATOR, OLDER);
}

int pages_event(struct pages *p, const struct tape_event *ev)
{
	unsigned by = ev->flags >> TAPE_BY_SHIFT & 3;

	if (ev->flags & TAPE_KEPT)
		return note_older(p, ev);
	switch (ev->kind) {
	case TAPE_FAULT: return fault(p, ev->addr);
	case TAPE_MMAP:
		if (by == TAPE_BY_ALLOCATOR)
			return change(p, ev->addr, ev->size, TAPE_BY_ALLOCATOR);
		return change(p, ev->addr, ev->size, ev->arg >> 32 & MAP_SHARED_FLAG ? BY_SHARED : TAPE_BY_PROGRAM);
	case TAPE_MUNMAP: return change(p, ev->addr, ev->size, TAPE_BY_UNKNOWN);
	case TAPE_MREMAP: return move(p, ev);
	case TAPE_BRK:
		if (ev->addr > ev->old)
			return change(p, ev->old, ev->addr - ev->old, TAPE_BY_ALLOCATOR);
		return change(p, ev->addr, ev->old - ev->addr, TAPE_BY_UNKNOWN);
	case TAPE_MADVISE:
		if (ev->arg == MADV_DONTNEED_ADVICE && ev->addr < ADDRESSES_END && ev->size < ADDRESSES_END)
			vacate(p, ev->addr & ~(PAGE - 1), (ev->addr + ev->size + PAGE - 1) & ~(PAGE - 1));
		return 0;
	case TAPE_EXEC:
		drop_regions(p);
		p->from_exec = true;
		return 0;
	default: return 0;
	}
}

/* ---- objects ---- */

static bool is_memory(uint64_t addr, uint64_t nbytes)
{
	return nbytes && nbytes < ADDRESSES_END && addr < ADDRESSES_END - nbytes;
}

/* A page that no mapping on this tape has made: it was there before, and a small object's writing shows that it still is. */
static bool is_older(const struct pages *p, uint64_t addr, uint64_t nbytes)
{
	const struct range *r = ranges_find(&p->ranges, addr);

	return nbytes <= SMALL_NBYTES && (r ? r->obj == OLDER : !p->from_exec);
}

int pages_birth(struct pages *p, uint64_t addr, uint64_t nbytes)
{
	uint64_t end = addr + nbytes;

	if (!is_memory(addr, nbytes))
		return 0;
	for (uint64_t at = addr; at < end;) {
		uint64_t stop = (at | (PAGE - 1)) + 1, here = (stop < end ? stop : end) - at;
		struct region *r = region_make(p, at);
		unsigned i = page_index(at);
		uint8_t flags;

		if (!r)
			return -ENOMEM;
		if (r->flags[i] & PAGES_AROUND || !r->flags[i])
			turn_over(p, at);
		flags = r->flags[i] & (uint8_t)~PAGES_AROUND;
		if (!flags && is_older(p, at, nbytes))
			flags = PAGES_RESIDENT;
		if (flags)
			flags |= PAGES_HELD;
		set_page(p, r, i, (uint16_t)(r->live[i] + here > PAGE ? PAGE : r->live[i] + here), flags);
		at = stop;
	}
	return 0;
}

void pages_death(struct pages *p, uint64_t addr, uint64_t nbytes)
{
	uint64_t end = addr + nbytes;

	if (!is_memory(addr, nbytes))
		return;
	for (uint64_t at = addr; at < end;) {
		uint64_t stop = (at | (PAGE - 1)) + 1, here = (stop < end ? stop : end) - at;
		struct region *r = region_at(p, at);
		unsigned i = page_index(at);

		if (r)
			set_page(p, r, i, (uint16_t)(r->live[i] > here ? r->live[i] - here : 0), r->flags[i]);
		at = stop;
	}
}

bool pages_look(const struct pages *p, uint64_t addr, uint32_t *live_ret)
{
	const struct region *r = addr < ADDRESSES_END ? region_at(p, addr) : NULL;
	unsigned i = page_index(addr);

	*live_ret = r ? r->live[i] : 0;
	return r && (r->flags[i] & (PAGES_RESIDENT | PAGES_AROUND)) == PAGES_RESIDENT;
}

static bool is_empty(const struct region *r)
{
	for (unsigned i = 0; i < REGION_PAGES; i++)
		if (r->live[i] || (r->flags[i] & PAGES_RESIDENT && !(r->flags[i] & PAGES_AROUND)))
			return false;
	return true;
}

int pages_each_region(const struct pages *p, int (*fn)(void *arg, const struct pages_region *r), void *arg)
{
	int got = 0;

	for (uint32_t i = 0; i < p->nr && !got; i++) {
		const struct region *r = p->regions[i];

		if (!is_empty(r))
			got = fn(arg, &(struct pages_region){ r->number << REGION_SHIFT, r->live, r->flags });
	}
	return got;
}
