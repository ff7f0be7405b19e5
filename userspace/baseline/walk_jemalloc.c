/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk_jemalloc.c - the blocks of jemalloc 5.3, from its map of pages to extents.
 *
 * That map is a tree of two levels with its root in .bss: a leaf for each GiB, whose element for a page tells the extent,
 * by a record of 128 bytes. A slab's record has a bit for each of its blocks. The root is found by what the leaves say
 * of themselves: the pages whose elements they are. Only metadata is read. What threads keep in caches looks used there;
 * the caches are found by their shape in the threads' own data. Source of all layouts: jemalloc 5.3.0, rtree.h, edata.h,
 * cache_bin.h, sc.h, for pages of 4 KiB and addresses of 48 bits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baseline/elf_image.h"
#include "baseline/thread_pointers.h"
#include "baseline/walk.h"

#define PAGE MEMORY_PAGE
#define LEAF_ELEMENTS (1u << 18)
#define LEAF_NBYTES (LEAF_ELEMENTS * 8ull)
#define ROOT_NBYTES LEAF_NBYTES
#define LEAF_SPAN_LG 30 /* of addresses */
#define EDATA_WORDS 16
#define BATCH 256
#define SAMPLES 16      /* elements that must agree on where the root is */
#define NR_CLASSES 232
#define NR_SMALL 36
#define SLAB_BLOCKS_MAX 512
#define TLS_NBYTES 4096 /* of a thread's data, in which its cache is looked for */
#define BINS_MIN 30     /* records of the right shape one behind the other: jemalloc has 36 and more */
#define BIN_WORDS 3
#define CACHED_MAX 8192
#define TRIES 12

/* One record of an extent. */
struct edata {
	uint64_t words[EDATA_WORDS];
};

struct jemalloc {
	uint64_t classes[NR_CLASSES];
	struct elf_image image;
	uint64_t bias, root; /* address of the tree's root */
	struct thread_pointers *threads;
	int pagemap_fd;
	uint64_t *leaf;
	struct words cached;  /* blocks in threads' caches */
	struct words stacks;  /* where the caches lie: blocks of jemalloc's own */
	uint64_t nr_uneven;   /* slabs whose count of free blocks is not that of their bits */
	uint64_t nr_caches;
};

static void fill_classes(struct jemalloc *j)
{
	unsigned nr = 0;

	j->classes[nr++] = 8;
	for (uint64_t n = 16; n <= 128; n += 16)
		j->classes[nr++] = n;
	for (uint64_t group = 128; nr < NR_CLASSES; group *= 2)
		for (uint64_t k = 1; k <= 4 && nr < NR_CLASSES; k++)
			j->classes[nr++] = group + group / 4 * k;
}

/* ---- the tree ---- */

static uint64_t element_edata(uint64_t element)
{
	return (uint64_t)((int64_t)(element << 16) >> 16) & ~127ull;
}

static uint64_t edata_addr(const struct edata *e)
{
	return e->words[1];
}

static uint64_t edata_nbytes(const struct edata *e)
{
	return e->words[2] & ~(PAGE - 1);
}

static unsigned edata_bits(const struct edata *e, unsigned at, unsigned nr)
{
	return (unsigned)(e->words[0] >> at & ((1u << nr) - 1));
}

/* Whether the leaf at `leaf` has elements whose extents lie where they would if `slot` is its place in a root. */
static bool votes_for(struct walk *w, uint64_t slot, uint64_t leaf, uint64_t *root_ret)
{
	struct jemalloc *j = w->state;
	unsigned good = 0;

	memory_read_sparse(w->pid, j->pagemap_fd, leaf, j->leaf, LEAF_NBYTES);
	for (unsigned k = 0; k < LEAF_ELEMENTS && good < SAMPLES; k++) {
		uint64_t at = element_edata(j->leaf[k]), root;
		struct edata e;

		if (!at)
			continue;
		if (memory_read(w->pid, at, &e, sizeof(e)) != sizeof(e))
			return false;
		if ((edata_addr(&e) / PAGE) % LEAF_ELEMENTS != k)
			continue; /* not the extent's first page */
		root = slot - 8 * (edata_addr(&e) >> LEAF_SPAN_LG);
		if (good && root != *root_ret)
			return false;
		*root_ret = root;
		good++;
	}
	return good > 0;
}

/* Each word of .bss that may point to a leaf is tried; what most leaves say is the root. */
static int find_root(struct walk *w)
{
	struct jemalloc *j = w->state;
	uint64_t start = (j->image.vaddr + j->bias) & ~(PAGE - 1);
	uint64_t end = j->image.vaddr + j->bias + j->image.nbytes_all;
	uint64_t *piece = malloc(LEAF_NBYTES), roots[64];
	unsigned votes[64], nr = 0, best = 0;

	if (!piece)
		return walk_fail(w, -ENOMEM, "out of memory");
	for (uint64_t at = start; at < end && nr < 64; at += LEAF_NBYTES) {
		uint64_t nbytes = end - at < LEAF_NBYTES ? (end - at + PAGE - 1) & ~(PAGE - 1) : LEAF_NBYTES;

		memory_read_sparse(w->pid, j->pagemap_fd, at, piece, nbytes);
		for (uint64_t i = 0; i < nbytes / 8 && nr < 64; i++) {
			uint64_t leaf = piece[i], root = 0;
			unsigned k = 0;

			if (leaf < PAGE || leaf % 64 || leaf >> 47 || (leaf >= start && leaf < end) ||
			    !votes_for(w, at + 8 * i, leaf, &root) || root < start || root + ROOT_NBYTES > end + PAGE)
				continue;
			while (k < nr && roots[k] != root)
				k++;
			if (k == nr) {
				roots[nr] = root;
				votes[nr++] = 0;
			}
			if (++votes[k] > votes[best])
				best = k;
		}
	}
	free(piece);
	if (!nr)
		return walk_fail(w, -ENOENT, "its map of pages is not found: it is not jemalloc 5.3, or holds nothing");
	j->root = roots[best];
	return 0;
}

/* A slab's blocks, by its bits: 1 is free. */
static int take_slab(struct walk *w, const struct edata *e, uint64_t block_nbytes)
{
	struct jemalloc *j = w->state;
	uint64_t nr = edata_nbytes(e) / block_nbytes, nr_free = 0;
	int err = 0;

	if (nr > SLAB_BLOCKS_MAX)
		return walk_fail(w, -EBADMSG, "the slab at %#llx has %llu blocks", (unsigned long long)edata_addr(e),
				 (unsigned long long)nr);
	for (uint64_t i = 0; i < nr && !err; i++) {
		if (e->words[8 + i / 64] >> i % 64 & 1)
			nr_free++;
		else
			err = walk_add(w, edata_addr(e) + i * block_nbytes, block_nbytes, 0);
	}
	j->nr_uneven += nr_free != edata_bits(e, 28, 10);
	return err;
}

static int take_extent(struct walk *w, const struct edata *e, uint64_t page)
{
	struct jemalloc *j = w->state;
	unsigned class = edata_bits(e, 20, 8);

	/* Active, and this is its first page: the record may be another's by now. */
	if (edata_bits(e, 17, 3) || class >= NR_CLASSES || edata_addr(e) / PAGE != page)
		return 0;
	if (!edata_bits(e, 12, 1))
		return walk_add(w, edata_addr(e), j->classes[class], 0);
	return class < NR_SMALL ? take_slab(w, e, j->classes[class]) : 0;
}

/* j->leaf holds the leaf of the addresses from `first_page` on. */
static int take_leaf(struct walk *w, uint64_t first_page)
{
	struct jemalloc *j = w->state;
	uint64_t addrs[BATCH], pages[BATCH], last = 0;
	struct edata list[BATCH];
	int err = 0;

	for (unsigned k = 0; k < LEAF_ELEMENTS && !err;) {
		size_t nr = 0;

		for (; k < LEAF_ELEMENTS && nr < BATCH; k++) {
			uint64_t at = element_edata(j->leaf[k]);

			/* All pages of a slab lead to its record; the first one counts. */
			if (!at || at == last || (j->leaf[k] >> 2 & 7))
				continue;
			last = at;
			addrs[nr] = at;
			pages[nr++] = first_page + k;
		}
		memory_gather(w->pid, addrs, nr, sizeof(list[0]), list);
		for (size_t i = 0; i < nr && !err; i++)
			err = take_extent(w, &list[i], pages[i]);
	}
	return err;
}

static int take_tree(struct walk *w)
{
	struct jemalloc *j = w->state;
	uint64_t *root = malloc(ROOT_NBYTES), from = j->root & ~(PAGE - 1);
	int err = root ? 0 : walk_fail(w, -ENOMEM, "out of memory");

	/* The root need not begin with a page; its last page lies behind all user addresses. */
	if (!err)
		memory_read_sparse(w->pid, j->pagemap_fd, from, root, ROOT_NBYTES);
	for (uint64_t i = (j->root - from) / 8; i < ROOT_NBYTES / 8 && !err; i++) {
		if (!root[i])
			continue;
		memory_read_sparse(w->pid, j->pagemap_fd, root[i], j->leaf, LEAF_NBYTES);
		err = take_leaf(w, (i - (j->root - from) / 8) << (LEAF_SPAN_LG - 12));
	}
	free(root);
	return err;
}

/* ---- the caches ---- */

/* A bin of a cache: the top of its stack, statistics, and the low 16 bits of three places in it. */
static bool is_bin(const uint64_t *bin, uint64_t *nr_ret)
{
	uint16_t top = (uint16_t)bin[0], low = (uint16_t)bin[2], full = (uint16_t)(bin[2] >> 16), empty = (uint16_t)(bin[2] >> 32);
	uint16_t room = (uint16_t)(empty - full), used = (uint16_t)(empty - top), least = (uint16_t)(empty - low);

	*nr_ret = used / 8;
	return bin[0] && bin[0] % 8 == 0 && room && room % 8 == 0 && used % 8 == 0 && used <= room && least <= room;
}

/* The longest row of bins in a thread's data. */
static unsigned find_bins(const uint64_t *data, size_t nr_words, size_t *first_ret)
{
	unsigned best = 0;

	for (size_t i = 0; i + BIN_WORDS <= nr_words; i++) {
		unsigned nr = 0;
		uint64_t used;

		while (i + (nr + 1) * BIN_WORDS <= nr_words && is_bin(data + i + nr * BIN_WORDS, &used))
			nr++;
		if (nr <= best)
			continue;
		best = nr;
		*first_ret = i;
	}
	return best;
}

/* What the bins hold; again as long as one has moved. */
static int read_bins(struct walk *w, uint64_t place, unsigned nr_bins)
{
	struct jemalloc *j = w->state;
	uint64_t bins[TLS_NBYTES / 8], again[TLS_NBYTES / 8], held[CACHED_MAX], nr;
	size_t nbytes = (size_t)nr_bins * BIN_WORDS * 8;
	int err = 0;

	for (int t = 0; t < TRIES && !err; t++) {
		if (memory_read(w->pid, place, bins, nbytes) != nbytes)
			return 0; /* the thread is gone, and what it held with it */
		for (unsigned b = 0; b < nr_bins && !err; b++) {
			const uint64_t *bin = bins + (size_t)b * BIN_WORDS;

			if (!is_bin(bin, &nr) || nr > CACHED_MAX)
				continue;
			err = words_add(&j->stacks, bin[0]);
			if (nr && memory_read(w->pid, bin[0], held, nr * 8) != nr * 8)
				continue;
			for (uint64_t i = 0; i < nr && !err; i++)
				err = words_add(&j->cached, held[i]);
		}
		/* The statistics count calls: where nothing was called, nothing differs. */
		if (memory_read(w->pid, place, again, nbytes) == nbytes && !memcmp(bins, again, nbytes))
			break;
	}
	return err ? walk_fail(w, err, "out of memory") : 0;
}

static int read_caches(struct walk *w)
{
	struct jemalloc *j = w->state;
	const struct ht_thread_pointer *threads;
	long nr = thread_pointers_list(j->threads, &threads);
	uint64_t slots[ELF_TLS_SLOTS_MAX], offs[ELF_TLS_SLOTS_MAX], data[TLS_NBYTES / 8];
	int err = 0;

	if (nr < 0)
		return walk_fail(w, (int)nr, "its threads cannot be listed: %s", strerror((int)-nr));
	for (unsigned i = 0; i < j->image.nr_tls_slots; i++)
		slots[i] = j->image.tls_slots[i] + j->bias;
	memory_gather(w->pid, slots, j->image.nr_tls_slots, 8, offs);
	j->nr_caches = 0;
	for (long t = 0; t < nr && !err; t++) {
		for (unsigned i = 0; i < j->image.nr_tls_slots && !err; i++) {
			uint64_t place = threads[t].pointer + offs[i];
			size_t first, got = memory_read(w->pid, place, data, sizeof(data));
			unsigned nr_bins = find_bins(data, got / 8, &first);

			if (nr_bins < BINS_MIN)
				continue;
			j->nr_caches++;
			err = read_bins(w, place + 8 * first, nr_bins);
			break;
		}
	}
	return err;
}

/* ---- the result ---- */

static int read_heap(struct walk *w)
{
	struct jemalloc *j = w->state;
	int err;

	j->cached.nr = j->stacks.nr = j->nr_uneven = 0;
	err = read_caches(w);
	if (!err)
		err = take_tree(w);
	return err || w->stands ? err : read_caches(w);
}

/* Cached blocks are free, and the blocks that the caches themselves lie in are no program's. */
static void drop_cached(struct walk *w)
{
	struct jemalloc *j = w->state;
	size_t nr = 0, at = 0, at_stack = 0;

	words_sort(&j->cached);
	words_sort(&j->stacks);
	for (size_t i = 0; i < w->nr; i++) {
		const struct walk_block *b = &w->blocks[i];

		at = words_seek(&j->cached, at, b->addr);
		at_stack = words_seek(&j->stacks, at_stack, b->addr);
		if (words_at(&j->cached, at, b->addr))
			w->nr_free++;
		else if (at_stack == j->stacks.nr || j->stacks.list[at_stack] >= b->addr + b->usable)
			w->blocks[nr++] = *b;
	}
	w->nr = nr;
}

static int run(struct walk *w)
{
	struct jemalloc *j = w->state;
	int err;

	walk_clear(w);
	err = read_heap(w);
	if (!err && !j->nr_caches && w->nr)
		err = walk_fail(w, -ENOTSUP, "no thread has a cache of the known form");
	if (err || !j->nr_uneven)
		return err;
	w->differs = true;
	walk_fail(w, 0, "%llu slabs have other free blocks than they count", (unsigned long long)j->nr_uneven);
	return 0;
}

/* Two looks: between slab and cache, blocks pass through hands that no list shows. */
static int finish(struct walk *w)
{
	return walk_finish_by_two(w, read_heap, drop_cached);
}

static int open_jemalloc(struct walk *w)
{
	struct jemalloc *j = calloc(1, sizeof(*j));
	const char *why;
	int err;

	if (!j)
		return walk_fail(w, -ENOMEM, "out of memory");
	w->state = j;
	j->pagemap_fd = openat(w->process->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	if (j->pagemap_fd < 0)
		return walk_fail(w, -errno, "its pagemap cannot be read: %s", strerror(errno));
	j->bias = object_bias(w->obj);
	j->leaf = malloc(LEAF_NBYTES);
	if (!j->leaf)
		return walk_fail(w, -ENOMEM, "out of memory");
	fill_classes(j);
	err = elf_image_load(w->obj, &j->image, &why);
	if (err)
		return walk_fail(w, err, "%s", why);
	err = find_root(w);
	if (err)
		return err;
	err = thread_pointers_open(w->pid, &j->threads);
	return err ? walk_fail(w, err, "its threads cannot be listed: %s", strerror(-err)) : 0;
}

static void close_jemalloc(struct walk *w)
{
	struct jemalloc *j = w->state;

	if (j->pagemap_fd >= 0)
		close(j->pagemap_fd);
	thread_pointers_close(j->threads);
	elf_image_free(&j->image);
	words_free(&j->cached);
	words_free(&j->stacks);
	free(j->leaf);
	free(j);
}

const struct walker walk_jemalloc = {
	.allocator = "jemalloc", .least = 8, .open = open_jemalloc, .run = run, .finish = finish, .close = close_jemalloc };
