/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk_mimalloc.c - the blocks of mimalloc 2.0.9, from its segments.
 *
 * A segment begins at a multiple of 32 MiB and tells of itself: a cookie that, with its address, is the same for all, and
 * a record of 80 bytes for each page of blocks. What is not in a page's three lists of free blocks, nor in the list that
 * other threads have given back to a heap, is live. The lists run through the blocks, so a page's record must be the
 * same behind as before. Of pages with aligned blocks only the block is known, not where in it the program's pointer
 * leads. Source of all layouts: mimalloc 2.0.9, mimalloc-types.h and segment.c, as built for release.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "baseline/thread_pointers.h"
#include "baseline/walk.h"

#define SEGMENT_SPAN (32ull << 20)
#define SEGMENT_HEAD 264       /* bytes in front of the pages' records */
#define SLICE_LG 16
#define SLICES_MAX 512
#define PAGE_RECORD 80
#define HUGE_BLOCK 0x80000000u /* block size of a page that is one block, whose size the segment tells */
#define SMALL_OFFSET 384       /* of the first block, where blocks are of 8 to 1024 bytes */
#define SMALL_MIN 8
#define SMALL_MAX 1024
#define READ_WHOLE_MAX 4096    /* blocks up to this size are read with their page */
#define TRIES 64
#define HEAP_DELAYED 2840      /* in a heap: blocks given back by other threads; behind 129 pointers and 75 queues of 24 bytes */
#define LIST_MAX (1u << 20)

struct segment {
	uint64_t addr, key, info_slices, nr_slices, nr_entries, thread;
	unsigned kind; /* 1: one huge block */
};

/* A page's record, as far as it is looked at. */
struct page {
	uint32_t nr_slices;
	uint16_t capacity;
	bool has_aligned;
	uint64_t free, local_free, thread_free, heap;
	uint32_t used, block_nbytes;
};

struct mimalloc {
	struct thread_pointers *threads;
	struct segment *segments;
	size_t nr_segments, room_segments;
	struct words heaps, delayed;
	uint8_t *bytes; /* of one page of blocks */
	uint8_t *is_free;
	uint64_t nr_uneven;
};

/* ---- segments ---- */

static int note_segment(struct walk *w, uint64_t addr)
{
	struct mimalloc *m = w->state;
	uint64_t h[SEGMENT_HEAD / 8];
	struct segment s;

	if (memory_read(w->pid, addr, h, sizeof(h)) != sizeof(h))
		return 0;
	s = (struct segment){ .addr = addr, .key = addr ^ h[27], .nr_slices = h[28], .info_slices = h[29],
			      .kind = (unsigned)h[30], .nr_entries = h[31], .thread = h[32] };
	if (!h[27] || !s.nr_entries || s.nr_entries > SLICES_MAX || s.kind > 1 || !s.info_slices || s.info_slices > s.nr_slices ||
	    s.nr_slices > 1u << 24 || h[26] > SLICES_MAX)
		return 0;
	if (m->nr_segments == m->room_segments) {
		size_t room = m->room_segments ? 2 * m->room_segments : 64;
		struct segment *list = reallocarray(m->segments, room, sizeof(*list));

		if (!list)
			return walk_fail(w, -ENOMEM, "out of memory");
		m->segments = list;
		m->room_segments = room;
	}
	m->segments[m->nr_segments++] = s;
	return 0;
}

/* Those whose cookie is that of most. */
static void drop_strangers(struct mimalloc *m)
{
	uint64_t key = 0;
	size_t best = 0, nr = 0;

	for (size_t i = 0; i < m->nr_segments; i++) {
		size_t votes = 0;

		for (size_t k = 0; k < m->nr_segments && 2 * best <= m->nr_segments; k++)
			votes += m->segments[k].key == m->segments[i].key;
		if (votes > best) {
			best = votes;
			key = m->segments[i].key;
		}
	}
	for (size_t i = 0; i < m->nr_segments; i++)
		if (m->segments[i].key == key)
			m->segments[nr++] = m->segments[i];
	m->nr_segments = nr;
}

static int find_segments(struct walk *w)
{
	struct mimalloc *m = w->state;
	struct maps maps = { 0 };
	int err = maps_read(w->process->proc_fd, &maps) ? walk_fail(w, -ESRCH, "its mappings cannot be read") : 0;

	m->nr_segments = 0;
	for (size_t i = 0; i < maps.nr_regions && !err; i++) {
		const struct map_region *r = &maps.regions[i];

		if (!r->readable || !r->writable || r->inode)
			continue;
		for (uint64_t at = (r->start + SEGMENT_SPAN - 1) & ~(SEGMENT_SPAN - 1); at < r->end && !err; at += SEGMENT_SPAN)
			err = note_segment(w, at);
	}
	maps_free(&maps);
	drop_strangers(m);
	return err;
}

/* ---- pages ---- */

static void parse_page(const uint8_t *record, struct page *p)
{
	uint64_t words[PAGE_RECORD / 8];

	memcpy(words, record, sizeof(words));
	*p = (struct page){ .nr_slices = (uint32_t)words[0], .capacity = (uint16_t)(words[1] >> 16),
			    .has_aligned = words[1] >> 49 & 1, .free = words[2], .used = (uint32_t)words[3],
			    .block_nbytes = (uint32_t)(words[3] >> 32), .local_free = words[4], .thread_free = words[5] & ~3ull,
			    .heap = words[6] };
}

/* Marks a list's blocks; how many, or -1: it leads astray. */
static long mark_list(struct walk *w, const struct page *p, uint64_t start, uint64_t block)
{
	struct mimalloc *m = w->state;
	uint64_t nbytes = (uint64_t)p->capacity * p->block_nbytes;
	long nr = 0;

	while (block) {
		uint64_t i = (block - start) / p->block_nbytes;

		if (block < start || block - start > nbytes - 8 || m->is_free[i] || block % 8)
			return -1;
		m->is_free[i] = 1;
		nr++;
		if (p->block_nbytes <= READ_WHOLE_MAX)
			memcpy(&block, m->bytes + (block - start), 8);
		else if (memory_read(w->pid, block, &block, 8) != 8)
			return -1;
	}
	return nr;
}

/* All free blocks of the page are marked, as of one moment. False: it moved too much, what was marked is so in any case. */
static bool mark_free(struct walk *w, uint64_t record_addr, uint64_t start, struct page *p)
{
	struct mimalloc *m = w->state;
	uint8_t record[PAGE_RECORD], again[PAGE_RECORD];

	if (memory_read(w->pid, record_addr, record, sizeof(record)) != sizeof(record))
		return false;
	for (int t = 0; t < TRIES; t++) {
		struct page now;
		long free, local, thread;

		parse_page(record, &now);
		if (now.block_nbytes != p->block_nbytes || !now.used || (uint64_t)now.capacity * now.block_nbytes > SEGMENT_SPAN)
			return p->capacity = 0, true; /* it is another page by now: all that happened to it has events */
		*p = now;
		memset(m->is_free, 0, p->capacity);
		if (p->block_nbytes <= READ_WHOLE_MAX && (p->free || p->local_free || p->thread_free) &&
		    memory_read(w->pid, start, m->bytes, (uint64_t)p->capacity * p->block_nbytes) !=
			    (uint64_t)p->capacity * p->block_nbytes)
			return false;
		free = mark_list(w, p, start, p->free);
		local = mark_list(w, p, start, p->local_free);
		thread = mark_list(w, p, start, p->thread_free);
		if (memory_read(w->pid, record_addr, again, sizeof(again)) != sizeof(again))
			return false;
		/* From the capacity to the heap: the links to other pages do not matter. */
		if (free >= 0 && local >= 0 && thread >= 0 && !memcmp(record + 8, again + 8, 48)) {
			m->nr_uneven += (uint64_t)(free + local) + p->used != p->capacity;
			return true;
		}
		memcpy(record, again, sizeof(record));
	}
	return false;
}

static int add_block(struct walk *w, uint64_t addr, uint64_t nbytes, uint32_t owner, bool inexact)
{
	int err = walk_add(w, addr, nbytes, owner);

	if (!err)
		w->blocks[w->nr - 1].inexact = inexact;
	return err;
}

static int take_page(struct walk *w, const struct segment *s, uint64_t slice, struct page *p, uint32_t owner)
{
	struct mimalloc *m = w->state;
	bool is_huge = s->kind == 1 || p->block_nbytes >= HUGE_BLOCK;
	uint64_t start = s->addr + (slice << SLICE_LG) +
			 (p->block_nbytes >= SMALL_MIN && p->block_nbytes <= SMALL_MAX ? SMALL_OFFSET : 0);
	int err = words_add(&m->heaps, p->heap) ? walk_fail(w, -ENOMEM, "out of memory") : 0;

	if (err)
		return err;
	if (is_huge || p->capacity <= 1) {
		uint64_t nbytes = is_huge ? (s->nr_slices << SLICE_LG) - (start - s->addr) : p->block_nbytes;

		if (p->free || p->local_free || p->thread_free)
			return 0;
		return add_block(w, start, nbytes, owner, p->has_aligned || is_huge);
	}
	if ((uint64_t)p->capacity * p->block_nbytes > SEGMENT_SPAN)
		return 0;
	if (!mark_free(w, s->addr + SEGMENT_HEAD + slice * PAGE_RECORD, start, p))
		w->differs = true;
	for (unsigned i = 0; i < p->capacity && !err; i++)
		if (m->is_free[i])
			w->nr_free++;
		else
			err = add_block(w, start + (uint64_t)i * p->block_nbytes, p->block_nbytes, owner, p->has_aligned);
	return err;
}

static int take_segment(struct walk *w, const struct segment *s, uint32_t owner)
{
	uint8_t records[SLICES_MAX * PAGE_RECORD];
	size_t got = memory_read(w->pid, s->addr + SEGMENT_HEAD, records, s->nr_entries * PAGE_RECORD);
	int err = 0;

	for (uint64_t slice = s->info_slices; slice < s->nr_entries && (slice + 1) * PAGE_RECORD <= got && !err;) {
		struct page p;

		parse_page(records + slice * PAGE_RECORD, &p);
		if (!p.nr_slices) {
			w->differs = true; /* pages are being merged or split just now */
			break;
		}
		if (p.block_nbytes && p.used)
			err = take_page(w, s, slice, &p, owner);
		slice += p.nr_slices;
	}
	return err;
}

/* ---- the result ---- */

static uint32_t owner_of(const struct ht_thread_pointer *threads, long nr, uint64_t pointer)
{
	for (long i = 0; i < nr; i++)
		if (threads[i].pointer == pointer)
			return (uint32_t)threads[i].tid;
	return 0;
}

/* What other threads have given back to a heap, and it has not taken yet. */
static int read_delayed(struct walk *w)
{
	struct mimalloc *m = w->state;

	words_sort(&m->heaps);
	for (size_t i = 0; i < m->heaps.nr; i++) {
		uint64_t block = m->heaps.list[i] ? m->heaps.list[i] + HEAP_DELAYED : 0;

		for (unsigned n = 0; block && n < LIST_MAX; n++) {
			if (memory_read(w->pid, block, &block, 8) != 8 || !block)
				break;
			if (words_add(&m->delayed, block))
				return walk_fail(w, -ENOMEM, "out of memory");
		}
	}
	return 0;
}

static void drop_delayed(struct walk *w)
{
	struct mimalloc *m = w->state;
	size_t nr = 0, at = 0;

	words_sort(&m->delayed);
	for (size_t i = 0; i < w->nr; i++) {
		const struct walk_block *b = &w->blocks[i];

		at = words_seek(&m->delayed, at, b->addr);
		if (at < m->delayed.nr && m->delayed.list[at] < b->addr + b->usable)
			w->nr_free++;
		else
			w->blocks[nr++] = *b;
	}
	w->nr = nr;
}

static int read_heap(struct walk *w)
{
	struct mimalloc *m = w->state;
	const struct ht_thread_pointer *threads;
	long nr = thread_pointers_list(m->threads, &threads);
	int err;

	if (nr < 0)
		return walk_fail(w, (int)nr, "its threads cannot be listed: %s", strerror((int)-nr));
	m->nr_uneven = 0;
	m->delayed.nr = 0;
	err = read_delayed(w); /* of the heaps known from before */
	if (!err)
		err = find_segments(w);
	for (size_t i = 0; i < m->nr_segments && !err; i++)
		err = take_segment(w, &m->segments[i], owner_of(threads, nr, m->segments[i].thread));
	return err ? err : read_delayed(w);
}

static int run(struct walk *w)
{
	struct mimalloc *m = w->state;
	int err;

	walk_clear(w);
	err = read_heap(w);
	if (err || (!m->nr_uneven && !w->differs))
		return err;
	w->differs = true;
	walk_fail(w, 0, "%llu pages have other free blocks than they count", (unsigned long long)m->nr_uneven);
	return 0;
}

static int finish(struct walk *w)
{
	return walk_finish_by_two(w, read_heap, drop_delayed);
}

static int open_mimalloc(struct walk *w)
{
	struct mimalloc *m = calloc(1, sizeof(*m));
	int err;

	if (!m)
		return walk_fail(w, -ENOMEM, "out of memory");
	w->state = m;
	m->bytes = malloc(SEGMENT_SPAN);
	m->is_free = malloc(UINT16_MAX + 1);
	if (!m->bytes || !m->is_free)
		return walk_fail(w, -ENOMEM, "out of memory");
	err = find_segments(w);
	if (!err && !m->nr_segments)
		err = walk_fail(w, -ENOENT, "no segments of the known form are found: it is not mimalloc 2.0.9, or holds nothing");
	if (err)
		return err;
	err = thread_pointers_open(w->pid, &m->threads);
	return err ? walk_fail(w, err, "its threads cannot be listed: %s", strerror(-err)) : 0;
}

static void close_mimalloc(struct walk *w)
{
	struct mimalloc *m = w->state;

	thread_pointers_close(m->threads);
	words_free(&m->heaps);
	words_free(&m->delayed);
	free(m->segments);
	free(m->bytes);
	free(m->is_free);
	free(m);
}

const struct walker walk_mimalloc = {
	.allocator = "mimalloc", .least = 8, .open = open_mimalloc, .run = run, .finish = finish, .close = close_mimalloc };
