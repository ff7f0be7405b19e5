/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk_tcmalloc.c - the blocks of gperftools' tcmalloc, from its map of pages to spans.
 *
 * Spans lie one behind the other, so that from a span's first page the next span's first page is known: what the map says of
 * pages between is old. A used span is one large block, or as many blocks of its size class as fit, less those in its list of
 * free ones. The list runs through the blocks, so the span's record must be the same behind as before. Blocks that threads and
 * classes keep in caches look used there (tcmalloc_lists.c). The sums of all spans are those that the page heap keeps, and a
 * span's list is as long as its count of used blocks says.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baseline/tcmalloc.h"

#define BATCH 256
#define TRIES 64
#define SPAN_NBYTES_MAX (8ull << 20) /* of one that is cut into blocks: as much as a few of the largest class take */
#define READ_WHOLE_MAX 4096          /* blocks up to this size are read with their span */
#define SHORT_SHARE 8                /* a walk that saw all but one in so many bytes has lost its way */
#define DEBUG_MARK "DebugMallocImplementation"

enum span_place { SPAN_USED, SPAN_FREE, SPAN_RETURNED, SPAN_PLACES };

struct span {
	uint64_t start, length, objects;
	unsigned nr_used, class, place;
};

static void parse_span(const uint64_t *words, struct span *s)
{
	*s = (struct span){ .start = words[0], .length = words[1], .objects = words[4], .nr_used = words[5] & 0xffff,
			    .class = words[5] >> 16 & 0xff, .place = words[5] >> 24 & 3 };
}

static uint64_t span_nbytes(const struct tcmalloc *t, const struct span *s)
{
	return s->length << t->page_lg;
}

static bool is_same_span(const uint64_t *a, const uint64_t *b)
{
	/* The links to other spans do not matter. */
	return a[0] == b[0] && a[1] == b[1] && a[4] == b[4] && (uint32_t)a[5] == (uint32_t)b[5];
}

/* Marks the span's list of free blocks: how many, or -1: it leads astray. */
static long mark_free(struct walk *w, const struct span *s, unsigned nr_blocks)
{
	struct tcmalloc *t = w->state;
	uint64_t start = s->start << t->page_lg, nbytes = t->class_nbytes[s->class], at = s->objects;
	bool is_whole = at && nbytes <= READ_WHOLE_MAX;
	long nr = 0;

	memset(t->is_free, 0, nr_blocks);
	if (is_whole && memory_read(w->pid, start, t->bytes, span_nbytes(t, s)) != span_nbytes(t, s))
		return -1;
	while (at) {
		uint64_t i = (at - start) / nbytes;

		if (at < start || i >= nr_blocks || (at - start) % nbytes || t->is_free[i])
			return -1;
		t->is_free[i] = 1;
		nr++;
		if (is_whole)
			memcpy(&at, t->bytes + (at - start), 8);
		else if (memory_read(w->pid, at, &at, 8) != 8)
			return -1;
	}
	return nr;
}

/* The blocks of a span as of one moment; their number, 0: it is another span by now, and all that happened to it has events. */
static unsigned read_blocks(struct walk *w, uint64_t addr, const uint64_t *first, struct span *s)
{
	struct tcmalloc *t = w->state;
	uint64_t words[TC_SPAN_WORDS], again[TC_SPAN_WORDS], start = s->start, length = s->length;
	unsigned class = s->class, nr = (unsigned)(span_nbytes(t, s) / t->class_nbytes[class]);

	memcpy(words, first, sizeof(words));
	for (int i = 0; i < TRIES; i++) {
		long nr_free = mark_free(w, s, nr);

		if (memory_read(w->pid, addr, again, sizeof(again)) != sizeof(again))
			return 0;
		if (is_same_span(words, again) && nr_free >= 0) {
			t->class_free[class] += (uint64_t)nr_free;
			t->nr_uneven += (uint64_t)nr_free + s->nr_used != nr;
			return nr;
		}
		memcpy(words, again, sizeof(words));
		parse_span(words, s);
		if (s->start != start || s->length != length || s->class != class || s->place != SPAN_USED)
			return 0;
	}
	t->nr_uneven++;
	return nr;
}

static int take_used(struct walk *w, uint64_t addr, const uint64_t *words, struct span *s)
{
	struct tcmalloc *t = w->state;
	uint64_t start = s->start << t->page_lg, nbytes;
	unsigned nr;
	int err = 0;

	if (!s->class)
		return walk_add(w, start, span_nbytes(t, s), 0);
	if (s->class >= t->nr_classes || span_nbytes(t, s) > SPAN_NBYTES_MAX)
		return walk_fail(w, -EAGAIN, "the span of %#llx has class %u and %llu pages", (unsigned long long)start, s->class,
				 (unsigned long long)s->length);
	nbytes = t->class_nbytes[s->class];
	t->class_spans[s->class]++;
	nr = read_blocks(w, addr, words, s);
	for (unsigned i = 0; i < nr && !err; i++)
		if (t->is_free[i])
			w->nr_free++;
		else
			err = walk_add(w, start + i * nbytes, nbytes, 0);
	return err;
}

/* What stands for pages inside of spans is old: their spans begin elsewhere, or are none any more. */
static int take_span(struct walk *w, uint64_t addr, const uint64_t *words, uint64_t page)
{
	struct tcmalloc *t = w->state;
	struct span s;

	parse_span(words, &s);
	if (s.start != page || page < t->next_page || !s.length || s.place >= SPAN_PLACES ||
	    s.length >> (t->leaf_lg + t->root_lg))
		return 0;
	t->next_page = page + s.length;
	t->nr_bytes[s.place] += span_nbytes(t, &s);
	return s.place == SPAN_USED ? take_used(w, addr, words, &s) : 0;
}

/* t->leaf holds what the map says of the pages from first_page on. */
static int take_leaf(struct walk *w, uint64_t first_page)
{
	struct tcmalloc *t = w->state;
	uint64_t addrs[BATCH], pages[BATCH], spans[BATCH][TC_SPAN_WORDS], last = 0;
	uint64_t nr_pages = 1ull << t->leaf_lg;
	int err = 0;

	for (uint64_t k = 0; k < nr_pages && !err;) {
		size_t nr = 0;

		for (; k < nr_pages && nr < BATCH; k++) {
			if (!t->leaf[k] || t->leaf[k] == last)
				continue;
			last = t->leaf[k];
			addrs[nr] = last;
			pages[nr++] = first_page + k;
		}
		memory_gather(w->pid, addrs, nr, sizeof(spans[0]), spans);
		for (size_t i = 0; i < nr && !err; i++)
			err = take_span(w, addrs[i], spans[i], pages[i]);
	}
	return err;
}

static int take_map(struct walk *w)
{
	struct tcmalloc *t = w->state;
	uint64_t from = t->root & ~(MEMORY_PAGE - 1), skip = (t->root - from) / 8, nr = 1ull << t->root_lg;
	uint64_t nbytes = ((skip + nr) * 8 + MEMORY_PAGE - 1) & ~(MEMORY_PAGE - 1);
	uint64_t *root = malloc(nbytes);
	int err = root ? 0 : walk_fail(w, -ENOMEM, "out of memory");

	if (!err)
		memory_read_sparse(w->pid, t->pagemap_fd, from, root, nbytes);
	t->next_page = 0;
	for (uint64_t i = 0; i < nr && !err; i++) {
		uint64_t leaf = root[skip + i], leaf_from = leaf & ~(MEMORY_PAGE - 1);

		if (!leaf)
			continue;
		/* A leaf need not begin with a page; its last page may hold something else behind it. */
		memory_read_sparse(w->pid, t->pagemap_fd, leaf_from, t->leaf, (8ull << t->leaf_lg) + MEMORY_PAGE);
		memmove(t->leaf, (uint8_t *)t->leaf + (leaf - leaf_from), 8ull << t->leaf_lg);
		err = take_leaf(w, i << t->leaf_lg);
	}
	free(root);
	return err;
}

/* ---- the result ---- */

/* Of the page heap: from the system, on lists, given back, committed. */
static void read_stats(struct walk *w, uint64_t stats[4])
{
	struct tcmalloc *t = w->state;

	memset(stats, 0, 4 * sizeof(*stats));
	memory_read(w->pid, t->stats, stats, 4 * sizeof(*stats));
}

/* Spans and free blocks of each class, as its central list counts them. */
static unsigned nr_classes_uneven(struct walk *w)
{
	struct tcmalloc *t = w->state;
	unsigned nr = 0;

	for (unsigned c = 1; c < t->nr_classes; c++) {
		uint64_t counts[2] = { 0 };

		memory_read(w->pid, t->central + c * (uint64_t)TC_CENTRAL_NBYTES + TC_CENTRAL_COUNTS_OFF, counts, sizeof(counts));
		nr += counts[0] != t->class_spans[c] || counts[1] != t->class_free[c];
	}
	return nr;
}

static int read_heap(struct walk *w)
{
	struct tcmalloc *t = w->state;
	int err;

	t->cached.nr = t->nr_uneven = 0;
	memset(t->nr_bytes, 0, sizeof(t->nr_bytes));
	memset(t->class_spans, 0, sizeof(t->class_spans));
	memset(t->class_free, 0, sizeof(t->class_free));
	err = tcmalloc_read_lists(w);
	if (!err)
		err = take_map(w);
	return err || w->stands ? err : tcmalloc_read_lists(w);
}

static void drop_cached(struct walk *w)
{
	struct tcmalloc *t = w->state;
	size_t nr = 0, at = 0;

	words_sort(&t->cached);
	for (size_t i = 0; i < w->nr; i++) {
		at = words_seek(&t->cached, at, w->blocks[i].addr);
		if (words_at(&t->cached, at, w->blocks[i].addr))
			w->nr_free++;
		else
			w->blocks[nr++] = w->blocks[i];
	}
	w->nr = nr;
}

/* While the heap moves it need not add up to the byte. */
static int check(struct walk *w)
{
	struct tcmalloc *t = w->state;
	uint64_t stats[4], seen = t->nr_bytes[SPAN_USED] + t->nr_bytes[SPAN_FREE] + t->nr_bytes[SPAN_RETURNED];
	unsigned uneven = nr_classes_uneven(w);

	read_stats(w, stats);
	if (seen < stats[0] - stats[0] / SHORT_SHARE || seen > stats[0] + stats[0] / SHORT_SHARE)
		return walk_fail(w, -EAGAIN, "its spans are %llu bytes of the %llu that it has from the system", (unsigned long long)seen,
				 (unsigned long long)stats[0]);
	if (!t->nr_uneven && !uneven && seen == stats[0] && t->nr_bytes[SPAN_FREE] == stats[1] && t->nr_bytes[SPAN_RETURNED] == stats[2])
		return 0;
	w->differs = true;
	return walk_fail(w, 0, "%llu spans and lists and %u classes have other free blocks than they count; its spans are %llu of %llu bytes",
			 (unsigned long long)t->nr_uneven, uneven, (unsigned long long)seen, (unsigned long long)stats[0]);
}

static int run(struct walk *w)
{
	int err;

	walk_clear(w);
	err = read_heap(w);
	return err ? err : check(w);
}

/* Two looks: between a thread's cache and a span, blocks pass through hands that no list shows. */
static int finish(struct walk *w)
{
	return walk_finish_by_two(w, read_heap, drop_cached);
}

/* The span of a block that was freed just now is mostly still of its class. */
static void usable(const struct walk *w, const uint64_t *addrs, size_t nr, uint64_t *usable_ret)
{
	const struct tcmalloc *t = w->state;

	for (size_t i = 0; i < nr; i++) {
		uint64_t page = addrs[i] >> t->page_lg, leaf = 0, addr = 0, words[TC_SPAN_WORDS] = { 0 };
		struct span s;

		usable_ret[i] = 0;
		if (page >> (t->leaf_lg + t->root_lg))
			continue;
		memory_read(w->pid, t->root + 8 * (page >> t->leaf_lg), &leaf, 8);
		if (leaf)
			memory_read(w->pid, leaf + 8 * (page & ((1ull << t->leaf_lg) - 1)), &addr, 8);
		if (addr)
			memory_read(w->pid, addr, words, sizeof(words));
		parse_span(words, &s);
		if (s.place == SPAN_USED && s.class < t->nr_classes && page >= s.start && page - s.start < s.length)
			usable_ret[i] = s.class ? t->class_nbytes[s.class] : s.length << t->page_lg;
	}
}

static bool is_debug_build(const struct walk *w)
{
	size_t nbytes;
	const char *file = elf_rawfile(object_elf(w->obj), &nbytes);

	return file && memmem(file, nbytes, DEBUG_MARK, sizeof(DEBUG_MARK) - 1);
}

static int open_tcmalloc(struct walk *w)
{
	struct tcmalloc *t = calloc(1, sizeof(*t));
	const char *why;
	int err;

	if (!t)
		return walk_fail(w, -ENOMEM, "out of memory");
	w->state = t;
	t->pagemap_fd = openat(w->process->proc_fd, "pagemap", O_RDONLY | O_CLOEXEC);
	if (t->pagemap_fd < 0)
		return walk_fail(w, -errno, "its pagemap cannot be read: %s", strerror(errno));
	if (is_debug_build(w))
		return walk_fail(w, -ENOTSUP, "it is tcmalloc's build for debugging, which keeps freed blocks and puts words of its own in front");
	t->bias = object_bias(w->obj);
	err = elf_image_load(w->obj, &t->image, &why);
	if (err)
		return walk_fail(w, err, "%s", why);
	err = tcmalloc_find_roots(w);
	if (err)
		return err;
	t->leaf = malloc((8ull << t->leaf_lg) + MEMORY_PAGE);
	t->bytes = malloc(SPAN_NBYTES_MAX);
	t->is_free = malloc(SPAN_NBYTES_MAX / 8);
	return t->leaf && t->bytes && t->is_free ? 0 : walk_fail(w, -ENOMEM, "out of memory");
}

static void close_tcmalloc(struct walk *w)
{
	struct tcmalloc *t = w->state;

	if (t->pagemap_fd >= 0)
		close(t->pagemap_fd);
	elf_image_free(&t->image);
	words_free(&t->cache_words);
	words_free(&t->cached);
	free(t->leaf);
	free(t->bytes);
	free(t->is_free);
	free(t);
}

const struct walker walk_tcmalloc = { .allocator = "tcmalloc", .least = 8, .open = open_tcmalloc, .run = run, .finish = finish,
				      .at_rest = tcmalloc_at_rest, .usable = usable, .close = close_tcmalloc };
