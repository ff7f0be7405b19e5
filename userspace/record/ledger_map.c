/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The address space on the tape. What gives memory back is seen when it begins and confirmed when it returns: it is
 * written at its return, or before that if another thread gets some of those addresses meanwhile.
 */
#include <errno.h>
#include <sys/mman.h>

#include "record/ledger_impl.h"

static uint64_t page_up(const struct ledger *l, uint64_t n)
{
	return (n + l->opts.page_size - 1) & ~(l->opts.page_size - 1);
}

/* On whose behalf a call is made: inside an allocator's call; by the dynamic linker's code; else, for what gives
 * memory back, whoever mapped it. */
static uint8_t by_whom(const struct ledger *l, const struct ht_ev_map *e, uint64_t addr)
{
	const struct range *r;

	if (e->h.flags & HT_EVF_OPEN)
		return TAPE_BY_ALLOCATOR;
	if (e->ip >= l->loader_start && e->ip < l->loader_end)
		return TAPE_BY_LOADER;
	if (e->call == HT_MAP_MMAP)
		return TAPE_BY_PROGRAM;
	r = ranges_find(&l->ranges, addr);
	return r ? r->by : TAPE_BY_UNKNOWN;
}

static int write_map(struct ledger *l, struct tape_event *ev, const struct ht_ev_map *e, uint8_t by)
{
	ev->flags |= (uint8_t)(by << TAPE_BY_SHIFT);
	if (by == TAPE_BY_ALLOCATOR && (e->h.flags & HT_EVF_OPEN))
		ev->alloc = l->tape_alloc[e->obj & (HT_OBJECTS_MAX - 1)];
	return l->opts.skip_mappings ? 0 : ledger_add(l, ev);
}

static int write_munmap(struct ledger *l, struct tape_event ev, const struct ht_ev_map *e, uint64_t start, uint64_t end)
{
	uint8_t by = by_whom(l, e, start);

	ev.kind = TAPE_MUNMAP;
	ev.addr = start;
	ev.size = end - start;
	return ranges_set(&l->ranges, start, end, TAPE_BY_UNKNOWN, 0) ? -ENOMEM : write_map(l, &ev, e, by);
}

static int write_madvise(struct ledger *l, struct tape_event ev, const struct ht_ev_map *e)
{
	ev.kind = TAPE_MADVISE;
	ev.addr = e->arg[0];
	ev.size = e->arg[1];
	ev.arg = e->arg[2];
	return write_map(l, &ev, e, by_whom(l, e, ev.addr));
}

/* What the call under way takes away, before another thread's event that lies in it. The thread and the time are those
 * of the call and of that event. */
static int unmap_show(struct ledger *l, struct ledger_thread *t, const struct tape_event *before)
{
	struct tape_event ev = { .ns = before->ns, .tid = t->tid, .cpu = before->cpu, .alloc = TAPE_NO_ALLOC };

	t->unmap.shown = true;
	if (t->unmap.call.call == HT_MAP_MADVISE)
		return write_madvise(l, ev, &t->unmap.call);
	return write_munmap(l, ev, &t->unmap.call, t->unmap.start, t->unmap.end);
}

static int unmaps_check(struct ledger *l, const struct tape_event *ev, uint64_t start, uint64_t end)
{
	for (size_t i = 0; l->nr_unmaps && i < l->threads_room; i++) {
		struct ledger_thread *t = &l->threads[i];
		int err;

		if (!t->unmap.open || t->unmap.shown || t->tid == ev->tid || t->unmap.end <= start || t->unmap.start >= end)
			continue;
		err = unmap_show(l, t, ev);
		if (err)
			return err;
	}
	return 0;
}

int ledger_map_enter(struct ledger *l, const struct ht_ev_map *e)
{
	struct ledger_thread *t = ledger_thread(l, e->h.tid);
	uint64_t start = e->arg[0], end = e->arg[0] + page_up(l, e->arg[1]);

	if (!t)
		return -ENOMEM;
	if (e->call == HT_MAP_BRK) {
		if (!l->brk || !e->arg[0] || e->arg[0] >= l->brk)
			return 0; /* asks, or grows */
		start = page_up(l, e->arg[0]);
		end = page_up(l, l->brk);
	} else if (e->call == HT_MAP_MADVISE && e->arg[2] != MADV_DONTNEED && e->arg[2] != MADV_REMOVE) {
		return 0;
	}
	if (!t->unmap.open)
		l->nr_unmaps++;
	t->unmap = (struct ledger_unmap){ .open = true, .start = start, .end = end, .call = *e };
	t->unmap.by = by_whom(l, e, start);
	return 0;
}

static int exit_mmap(struct ledger *l, struct tape_event *ev, const struct ht_ev_map *e)
{
	uint8_t by = by_whom(l, e, 0);
	int err;

	ev->kind = TAPE_MMAP;
	ev->addr = (uint64_t)e->ret;
	ev->size = e->arg[1];
	ev->arg = e->arg[2] | (uint64_t)(uint32_t)e->arg[3] << 32;
	if ((e->arg[2] & PROT_EXEC) && !(e->arg[3] & MAP_ANONYMOUS))
		l->code_mapped = true;
	err = unmaps_check(l, ev, ev->addr, ev->addr + page_up(l, ev->size));
	if (!err)
		err = ranges_set(&l->ranges, ev->addr, ev->addr + page_up(l, ev->size), by, (uint8_t)e->obj);
	return err ? err : write_map(l, ev, e, by);
}

/* shown: its old pages have been written as unmapped, and may be another's by now. */
static int exit_mremap(struct ledger *l, struct tape_event *ev, const struct ht_ev_map *e, const struct ledger_unmap *shown)
{
	const struct range *r = ranges_find(&l->ranges, e->arg[0]);
	uint8_t by = shown ? shown->by : by_whom(l, e, e->arg[0]), obj = r ? r->obj : (uint8_t)e->obj;
	int err;

	ev->kind = TAPE_MREMAP;
	ev->addr = (uint64_t)e->ret;
	ev->size = e->arg[2];
	ev->old = shown ? 0 : e->arg[0];
	ev->arg = shown ? 0 : e->arg[1];
	err = unmaps_check(l, ev, ev->addr, ev->addr + page_up(l, ev->size));
	if (!err && !shown)
		err = ranges_set(&l->ranges, e->arg[0], e->arg[0] + page_up(l, e->arg[1]), TAPE_BY_UNKNOWN, 0);
	if (!err)
		err = ranges_set(&l->ranges, ev->addr, ev->addr + page_up(l, ev->size), by, obj);
	return err ? err : write_map(l, ev, e, by);
}

static int exit_brk(struct ledger *l, struct tape_event *ev, const struct ht_ev_map *e, const struct ledger_unmap *shown)
{
	uint64_t before = l->brk, now = (uint64_t)e->ret;
	uint8_t by;

	l->brk = now;
	if (!e->arg[0] || now == before || now != e->arg[0])
		return 0; /* asked only, or refused */
	/* Whoever once grew the heap from inside an allocator's call is taken for its owner. */
	by = shown ? shown->by : by_whom(l, e, before ? before - 1 : now - 1);
	ev->kind = TAPE_BRK;
	ev->addr = now;
	ev->old = before;
	if (now > before && before && ranges_set(&l->ranges, before, now, by, (uint8_t)e->obj))
		return -ENOMEM;
	if (now < before && !shown && ranges_set(&l->ranges, now, before, TAPE_BY_UNKNOWN, 0))
		return -ENOMEM;
	return write_map(l, ev, e, by);
}

int ledger_map_exit(struct ledger *l, const struct ht_ev_map *e)
{
	struct tape_event ev = ledger_event(l, e->h.site, &e->h, 0);
	struct ledger_thread *t = ledger_thread(l, e->h.tid);
	const struct ledger_unmap *shown;

	if (!t)
		return -ENOMEM;
	shown = t->unmap.open && t->unmap.shown ? &t->unmap : NULL;
	if (t->unmap.open)
		l->nr_unmaps--;
	t->unmap.open = false;
	if (e->ret < 0 && e->ret >= -4095)
		return 0; /* refused: nothing happened */
	switch (e->call) {
	case HT_MAP_MMAP: return exit_mmap(l, &ev, e);
	case HT_MAP_MUNMAP: return shown ? 0 : write_munmap(l, ev, e, e->arg[0], e->arg[0] + page_up(l, e->arg[1]));
	case HT_MAP_MREMAP: return exit_mremap(l, &ev, e, shown);
	case HT_MAP_BRK: return exit_brk(l, &ev, e, shown);
	case HT_MAP_MADVISE: return shown ? 0 : write_madvise(l, ev, e);
	default: return -EBADMSG;
	}
}

int ledger_fault(struct ledger *l, unsigned cpu, const struct ht_ev_free *e)
{
	struct tape_event ev = ledger_event(l, cpu, &e->h, TAPE_FAULT);
	int err;

	ev.addr = e->addr & ~(l->opts.page_size - 1);
	ev.size = l->opts.page_size;
	err = unmaps_check(l, &ev, ev.addr, ev.addr + ev.size);
	return err ? err : ledger_add(l, &ev);
}
