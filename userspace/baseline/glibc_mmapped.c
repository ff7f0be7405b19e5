/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * glibc_mmapped.c - blocks with a mapping of their own: no list leads to them.
 *
 * Neighbouring mappings look like one, so each page of anonymous memory that is there may be the first of such a block:
 * its two words then say so, and where the next may begin. Malloc counts these blocks; the count must be met.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baseline/glibc.h"

#define PAGE 4096ull
#define ENTRIES 65536          /* of pagemap, read at once */
#define PAGE_IS_THERE (3ull << 62) /* in memory, or swapped out */
#define CANDIDATES 512         /* pages looked at in one call */
#define CANDIDATES_MIN 4

struct scan {
	struct walk *w;
	struct glibc *g;
	int pagemap_fd;
	uint64_t *entries; /* of pages from `first` on */
	uint64_t first, nr_entries;
	uint64_t nr, nbytes; /* found */
};

int glibc_read_params(const struct walk *w, uint32_t *nr_ret, uint64_t *nbytes_ret, uint64_t *sbrk_base_ret)
{
	const struct glibc *g = w->state;
	uint64_t n_mmaps = g->layout.params + g->bias + g->layout.maps_off;
	uint64_t mmapped_mem = (n_mmaps + 16 + 7) & ~7ull; /* behind four ints: n_mmaps .. no_dyn_threshold */

	if (nr_ret && memory_read(w->pid, n_mmaps, nr_ret, 4) != 4)
		return -EFAULT;
	if (nbytes_ret && memory_read(w->pid, mmapped_mem, nbytes_ret, 8) != 8)
		return -EFAULT;
	/* max_mmapped_mem stands between. */
	return sbrk_base_ret && memory_read(w->pid, mmapped_mem + 16, sbrk_base_ret, 8) != 8 ? -EFAULT : 0;
}

static int by_start(const void *a, const void *b)
{
	const struct glibc_heap *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* The end of the heap that addr lies in, or addr. */
static uint64_t behind_heap(const struct glibc *g, uint64_t addr)
{
	size_t low = 0, high = g->nr_heaps;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (g->heaps[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low < g->nr_heaps && g->heaps[low].start <= addr ? g->heaps[low].end : addr;
}

static bool page_is_there(struct scan *s, uint64_t addr)
{
	uint64_t page = addr / PAGE;

	if (page < s->first || page >= s->first + s->nr_entries) {
		ssize_t got = pread(s->pagemap_fd, s->entries, ENTRIES * sizeof(*s->entries), (off_t)(page * sizeof(*s->entries)));

		s->first = page;
		s->nr_entries = got > 0 ? (uint64_t)got / sizeof(*s->entries) : 0;
		if (!s->nr_entries)
			return false;
	}
	return s->entries[page - s->first] & PAGE_IS_THERE;
}

/* The next pages from *at_ret on that may be the first of a block: at most max. */
static size_t candidates(struct scan *s, uint64_t *at_ret, uint64_t end, uint64_t *addrs, size_t max)
{
	uint64_t at = *at_ret;
	size_t nr = 0;

	while (at < end && nr < max) {
		uint64_t behind = behind_heap(s->g, at);

		if (behind != at) {
			at = behind;
			continue;
		}
		if (page_is_there(s, at))
			addrs[nr++] = at;
		at += PAGE;
	}
	*at_ret = at;
	return nr;
}

/*
 * An aligned block has a head of its own in front, which says how far it is from the mapping's start. That start's head is
 * as it was when the block was new: realloc changes only the other one. *nbytes: of the mapping, corrected by it.
 */
static void find_aligned(const struct scan *s, uint64_t chunk, uint64_t *nbytes, uint64_t *user_ret)
{
	uint64_t addrs[48], heads[48][2], end = chunk + *nbytes;
	size_t nr = 0;

	*user_ret = chunk + CHUNK_HEAD;
	for (uint64_t align = CHUNK_LEAST; align < *nbytes && nr + 2 <= 48; align <<= 1) {
		uint64_t user = (chunk + CHUNK_HEAD + align - 1) & ~(align - 1);

		for (int k = 0; k < 2; k++, user += align)
			if (user > chunk + CHUNK_LEAST && user < end)
				addrs[nr++] = user - CHUNK_HEAD;
	}
	memory_gather(s->w->pid, addrs, nr, sizeof(heads[0]), heads);
	for (size_t i = 0; i < nr; i++) {
		uint64_t lead = addrs[i] - chunk, own = heads[i][1] & ~(uint64_t)CHUNK_FLAGS;

		if (heads[i][0] != lead || (heads[i][1] & CHUNK_FLAGS) != CHUNK_MMAPPED || own < CHUNK_LEAST || (lead + own) % PAGE)
			continue;
		*user_ret = addrs[i] + CHUNK_HEAD;
		*nbytes = lead + own;
		return;
	}
}

/* A page that begins with the head of a mapped block: the block is taken, *nbytes_ret is its mapping's size; else 0. */
static int take_page(struct scan *s, uint64_t page, const uint64_t head[2], uint64_t end, uint64_t *nbytes_ret)
{
	uint64_t nbytes = head[1] & ~(uint64_t)CHUNK_FLAGS, user;

	*nbytes_ret = 0;
	if (head[0] || (head[1] & CHUNK_FLAGS) != CHUNK_MMAPPED || !nbytes || nbytes % PAGE)
		return 0;
	find_aligned(s, page, &nbytes, &user);
	if (nbytes > end - page)
		return 0;
	s->nr++;
	s->nbytes += nbytes;
	*nbytes_ret = nbytes;
	return walk_add(s->w, user, page + nbytes - user, 0);
}

/* Where one block is, the next is likely to be behind it; where none is, larger steps are cheaper. */
static int scan_region(struct scan *s, uint64_t start, uint64_t end)
{
	uint64_t addrs[CANDIDATES], heads[CANDIDATES][2], at = start;
	size_t max = CANDIDATES_MIN;
	int err = 0;

	while (at < end && !err) {
		size_t nr = candidates(s, &at, end, addrs, max);
		uint64_t hop = 0;

		memory_gather(s->w->pid, addrs, nr, sizeof(heads[0]), heads);
		for (size_t i = 0; i < nr && !err; i++) {
			uint64_t nbytes;

			if (addrs[i] < hop)
				continue;
			err = take_page(s, addrs[i], heads[i], end, &nbytes);
			if (nbytes)
				hop = addrs[i] + nbytes;
		}
		at = hop > at ? hop : at;
		max = hop ? CANDIDATES_MIN : max < CANDIDATES ? 2 * max : max;
	}
	return err;
}

static bool is_anonymous(const struct map_region *r)
{
	return r->readable && r->writable && !r->shared && !r->inode && (!*r->path || !strncmp(r->path, "[anon", 5));
}

int glibc_read_mmapped(struct walk *w)
{
	struct glibc *g = w->state;
	struct scan s = { .w = w, .g = g, .pagemap_fd = openat(w->process->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC) };
	uint64_t nbytes_before = 0, nbytes = 0;
	uint32_t nr_before = 0, nr = 0;
	int err;

	if (s.pagemap_fd < 0)
		return walk_fail(w, -errno, "its pagemap cannot be read (%s)", strerror(errno));
	s.entries = malloc(ENTRIES * sizeof(*s.entries));
	if (g->nr_heaps)
		qsort(g->heaps, g->nr_heaps, sizeof(*g->heaps), by_start);
	err = s.entries ? glibc_read_params(w, &nr_before, &nbytes_before, NULL) : -ENOMEM;
	for (size_t i = 0; i < g->maps.nr_regions && nr_before && !err; i++)
		if (is_anonymous(&g->maps.regions[i]))
			err = scan_region(&s, g->maps.regions[i].start, g->maps.regions[i].end);
	if (!err)
		err = glibc_read_params(w, &nr, &nbytes, NULL);
	close(s.pagemap_fd);
	free(s.entries);
	if (err)
		return *w->why ? err : walk_fail(w, err, "its mapped blocks cannot be read: %s", strerror(-err));
	if (!w->differs && (s.nr != nr || s.nbytes != nbytes)) {
		w->differs = true;
		walk_fail(w, 0, "%llu mapped blocks of %llu bytes were found, malloc counts %u of %llu", (unsigned long long)s.nr,
			  (unsigned long long)s.nbytes, nr, (unsigned long long)nbytes);
	}
	return 0;
}
