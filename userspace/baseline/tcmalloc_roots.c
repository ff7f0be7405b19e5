/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcmalloc_roots.c - where tcmalloc keeps its state, found in its live data without symbols, by shape.
 *
 * The page heap has a row of heads of lists, two for each length of a free span: how many they are tells how large a page is,
 * and with that where the page map in front of them begins. Central lists are a row of records that carry their number.
 * The table of size classes rises from 8 bytes to 256 KiB and is followed by how many classes there are. A thread's cache
 * repeats that table. What is found must agree with itself, else nothing is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "baseline/tcmalloc.h"
#include "baseline/thread_pointers.h"

#define DATA_NBYTES_MAX (64ull << 20)
#define ADDRESS_BITS 48
#define PAGE_LG_MIN 12
#define PAGE_LG_MAX 18
#define LISTED_LG 20       /* spans of up to this many bytes have lists for their length */
#define SETS_WORDS 13      /* between the page map and the lists: a function and two trees */
#define CLASS_NBYTES_LAST (256u << 10)
#define CLASSES_MIN 16
#define STATS_TRIES 20
#define FIND_TRIES 3

/* The library's data as it is now. */
struct data {
	uint64_t addr;
	uint64_t *words;
	size_t nr;
};

static int read_data(struct walk *w, struct data *d)
{
	struct tcmalloc *t = w->state;
	uint64_t end = t->image.vaddr + t->bias + t->image.nbytes_all;

	d->addr = (t->image.vaddr + t->bias) & ~(MEMORY_PAGE - 1);
	d->nr = ((end - d->addr + MEMORY_PAGE - 1) & ~(MEMORY_PAGE - 1)) / 8;
	if (d->nr * 8 > DATA_NBYTES_MAX)
		return walk_fail(w, -E2BIG, "its data are %zu MiB, too many to be looked through", d->nr >> 17);
	d->words = malloc(d->nr * 8);
	if (!d->words)
		return walk_fail(w, -ENOMEM, "out of memory");
	memory_read_sparse(w->pid, t->pagemap_fd, d->addr, d->words, d->nr * 8);
	return 0;
}

static bool is_outside(const struct data *d, uint64_t pointer)
{
	return pointer >= MEMORY_PAGE && pointer % 8 == 0 && !(pointer >> 47) &&
	       (pointer < d->addr || pointer - d->addr >= d->nr * 8);
}

/* A head of a list of spans: itself no span, both its links lead to itself, or both to spans. */
static bool is_head(const struct data *d, size_t i)
{
	const uint64_t *s = d->words + i;
	uint64_t self = d->addr + 8 * i;

	if (i + TC_SPAN_WORDS > d->nr || s[0] || s[1] || s[4] || s[5])
		return false;
	return s[2] == self ? s[3] == self : is_outside(d, s[2]) && is_outside(d, s[3]);
}

/* Two for each length of a span, in one row. */
static int find_page_heap(struct walk *w, const struct data *d)
{
	struct tcmalloc *t = w->state;
	size_t best = 0, at = 0, bits;

	/* An empty tree's head looks the same from its second word on: no row is skipped. */
	for (size_t i = 0, nr; i < d->nr; i++) {
		for (nr = 0; is_head(d, i + nr * TC_SPAN_WORDS); nr++)
			;
		if (nr <= best)
			continue;
		best = nr;
		at = i;
	}
	for (t->page_lg = PAGE_LG_MIN; t->page_lg <= PAGE_LG_MAX && best != 2ull << (LISTED_LG - t->page_lg); t->page_lg++)
		;
	bits = ADDRESS_BITS - t->page_lg;
	t->leaf_lg = (unsigned)(bits + 1) / 2;
	t->root_lg = (unsigned)bits - t->leaf_lg;
	if (t->page_lg > PAGE_LG_MAX || at < SETS_WORDS + (1ull << t->root_lg) || at + (best + 1) * TC_SPAN_WORDS > d->nr)
		return walk_fail(w, -ENOENT, "its page heap is not found: it is not gperftools' tcmalloc as of 2.10 or 2.16, or holds nothing");
	t->root = d->addr + 8 * (at - SETS_WORDS - (1ull << t->root_lg));
	t->stats = d->addr + 8 * (at + best * TC_SPAN_WORDS);
	return 0;
}

static bool is_central(const struct data *d, size_t i, uint64_t class)
{
	return i + TC_CENTRAL_NBYTES / 8 <= d->nr && d->words[i + TC_CENTRAL_CLASS_OFF / 8] == class &&
	       is_head(d, i + TC_CENTRAL_LISTS_OFF / 8) && is_head(d, i + TC_CENTRAL_LISTS_OFF / 8 + TC_SPAN_WORDS);
}

static int find_central(struct walk *w, const struct data *d)
{
	struct tcmalloc *t = w->state;

	for (size_t i = 0; i < d->nr; i++) {
		unsigned nr = 0;

		while (nr < TC_CLASSES_MAX && is_central(d, i + nr * (TC_CENTRAL_NBYTES / 8), nr))
			nr++;
		if (nr <= t->nr_classes)
			continue;
		t->nr_classes = nr;
		t->central = d->addr + 8 * i;
	}
	return t->nr_classes >= CLASSES_MIN ? 0 : walk_fail(w, -ENOENT, "its central lists are not found");
}

/* Sizes of 32 bits; behind them the pages that a span of each class has, and the number of classes. */
static bool is_size_map(const struct tcmalloc *t, const struct data *d, size_t at)
{
	const uint8_t *bytes = (const uint8_t *)d->words;
	uint32_t sizes[TC_CLASSES_MAX];
	size_t behind = (at + sizeof(sizes) + 7) / 8;
	const uint64_t *pages = d->words + behind;
	unsigned n = t->nr_classes;

	if (behind + TC_CLASSES_MAX + 2 > d->nr)
		return false;
	memcpy(sizes, bytes + at, sizeof(sizes));
	if (sizes[0] || sizes[1] < 8 || sizes[1] > 16 || sizes[n - 1] != CLASS_NBYTES_LAST || pages[0] ||
	    (pages[TC_CLASSES_MAX] != n && pages[TC_CLASSES_MAX + 1] != n))
		return false;
	for (unsigned i = 1; i < n; i++)
		if (sizes[i] <= sizes[i - 1] || !pages[i] || pages[i] << t->page_lg < sizes[i])
			return false;
	return true;
}

static int find_classes(struct walk *w, const struct data *d)
{
	struct tcmalloc *t = w->state;
	const uint8_t *bytes = (const uint8_t *)d->words;

	for (size_t at = sizeof(t->batch); at < d->nr * 8; at += 4) {
		if (!is_size_map(t, d, at))
			continue;
		memcpy(t->class_nbytes, bytes + at, sizeof(t->class_nbytes));
		memcpy(t->batch, bytes + at - sizeof(t->batch), sizeof(t->batch));
		return 0;
	}
	return walk_fail(w, -ENOENT, "its table of size classes is not found");
}

bool tcmalloc_is_cache(const struct tcmalloc *t, const uint8_t *cache)
{
	for (unsigned i = 1; i < t->nr_classes; i++) {
		uint32_t nbytes;

		memcpy(&nbytes, cache + i * TC_CACHE_LIST_NBYTES + 24, sizeof(nbytes));
		if (nbytes != t->class_nbytes[i])
			return false;
	}
	return true;
}

/* The cache at addr; false: there is none. */
static bool read_cache(struct walk *w, uint64_t addr, uint8_t cache[TC_CACHE_NBYTES])
{
	return memory_read(w->pid, addr, cache, TC_CACHE_NBYTES) == TC_CACHE_NBYTES && tcmalloc_is_cache(w->state, cache);
}

/* Both links of a cache are empty, or lead to one that leads back. */
static bool are_links(struct walk *w, uint64_t addr, const uint8_t *cache, unsigned off)
{
	uint8_t other[TC_CACHE_NBYTES];

	for (unsigned side = 0; side < 2; side++) {
		uint64_t link, back;

		memcpy(&link, cache + off + 8 * side, 8);
		if (!link)
			continue;
		if (!read_cache(w, link, other))
			return false;
		memcpy(&back, other + off + 8 * !side, 8);
		if (back != addr)
			return false;
	}
	return true;
}

/* Where the links are: behind the thread whose cache it is, or where that would stand. 0: neither. */
static unsigned find_links(struct walk *w, uint64_t addr, const uint8_t *cache, const struct ht_thread_pointer *threads, long nr_threads)
{
	uint64_t owner;

	memcpy(&owner, cache + TC_CACHE_THREAD_OFF, 8);
	for (long k = 0; k < nr_threads; k++)
		if (threads[k].pointer == owner)
			return are_links(w, addr, cache, TC_CACHE_LINKS_OFF) ? TC_CACHE_LINKS_OFF : 0;
	return are_links(w, addr, cache, TC_CACHE_LINKS_OFF_LATER) ? TC_CACHE_LINKS_OFF_LATER : 0;
}

/* A word may also lead to a cache that is in nobody's use, and whose links are old. */
static int find_caches(struct walk *w, const struct data *d, const struct ht_thread_pointer *threads, long nr_threads)
{
	struct tcmalloc *t = w->state;
	size_t central = (t->central - d->addr) / 8, root = (t->root - d->addr) / 8;
	int err = 0;

	t->links_off = 0;
	for (size_t i = 0; i < d->nr && !err; i++) {
		uint8_t cache[TC_CACHE_NBYTES];

		if (i == central)
			i += t->nr_classes * (TC_CENTRAL_NBYTES / 8);
		if (i == root)
			i += 1ull << t->root_lg;
		if (i >= d->nr || !is_outside(d, d->words[i]) || !read_cache(w, d->words[i], cache))
			continue;
		if (!t->links_off)
			t->links_off = find_links(w, d->words[i], cache, threads, nr_threads);
		err = words_add(&t->cache_words, d->addr + 8 * i);
	}
	if (err)
		return walk_fail(w, err, "out of memory");
	return t->links_off ? 0 : walk_fail(w, -ENOENT, "its threads' caches are not found");
}

/* What is committed and what is given back is all that the system gave. They change one after the other. */
static int check_stats(struct walk *w)
{
	struct tcmalloc *t = w->state;
	uint64_t stats[4] = { 0 };

	for (int i = 0; i < STATS_TRIES; i++) {
		memory_read(w->pid, t->stats, stats, sizeof(stats));
		if (stats[0] && stats[0] == stats[2] + stats[3] && stats[1] <= stats[3])
			return 0;
	}
	return walk_fail(w, -ENOENT, "the sums of its page heap do not add up: %llu bytes of which %llu are committed and %llu not",
			 (unsigned long long)stats[0], (unsigned long long)stats[3], (unsigned long long)stats[2]);
}

static int find_all(struct walk *w, struct thread_pointers *tp)
{
	const struct ht_thread_pointer *threads;
	struct data d = { 0 };
	long nr = thread_pointers_list(tp, &threads);
	int err;

	if (nr < 0)
		return walk_fail(w, (int)nr, "its threads cannot be listed: %s", strerror((int)-nr));
	err = read_data(w, &d);
	if (!err)
		err = find_page_heap(w, &d);
	if (!err)
		err = find_central(w, &d);
	if (!err)
		err = find_classes(w, &d);
	if (!err)
		err = find_caches(w, &d, threads, nr);
	if (!err)
		err = check_stats(w);
	free(d.words);
	return err;
}

int tcmalloc_find_roots(struct walk *w)
{
	struct tcmalloc *t = w->state;
	struct thread_pointers *tp;
	int err = thread_pointers_open(w->pid, &tp);

	if (err)
		return walk_fail(w, err, "its threads cannot be listed: %s", strerror(-err));
	/* A list may have been in the middle of a change. */
	for (int i = 0; i < FIND_TRIES; i++) {
		t->nr_classes = 0;
		t->cache_words.nr = 0;
		err = find_all(w, tp);
		if (err != -ENOENT)
			break;
	}
	thread_pointers_close(tp);
	return err;
}
