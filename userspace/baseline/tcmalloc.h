/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcmalloc.h - what the files of tcmalloc's walker share: walk_tcmalloc.c (the page map and its spans), tcmalloc_roots.c
 * (where everything begins), tcmalloc_lists.c (blocks in threads' and central caches, which look used).
 *
 * Words. page: tcmalloc's own, of 4 to 256 KiB as built. span: a run of pages, which is free, or one large block, or cut
 * into blocks of one size class. Source for all layouts: gperftools 2.10, span.h, page_heap.h, pagemap.h, common.h,
 * central_freelist.h and thread_cache.h; what differs in 2.16 was seen in its live data.
 */
#ifndef HEAPTAPE_BASELINE_TCMALLOC_H
#define HEAPTAPE_BASELINE_TCMALLOC_H

#include "baseline/elf_image.h"
#include "baseline/walk.h"

enum {
	TC_CLASSES_MAX = 128,
	TC_SPAN_WORDS = 6,          /* start, length, next, prev, objects, and the bits below */
	TC_CENTRAL_NBYTES = 1216,   /* of a class's central list */
	TC_CENTRAL_CLASS_OFF = 8,
	TC_CENTRAL_LISTS_OFF = 16,  /* two heads of lists of spans */
	TC_CENTRAL_COUNTS_OFF = 112, /* spans, and free blocks in them */
	TC_CENTRAL_SLOTS_OFF = 128, /* chains of blocks: first and last */
	TC_CENTRAL_SLOTS = 64,
	TC_CENTRAL_USED_OFF = 1152, /* how many of the slots hold a chain */
	TC_CACHE_NBYTES = 4160,     /* of a thread's */
	TC_CACHE_LIST_NBYTES = 32,  /* first block, their number, ..., the class's size */
	TC_CACHE_SIZE_OFF = 4096,   /* bytes in its lists */
	TC_CACHE_THREAD_OFF = 4128, /* in 2.10: the thread whose it is; the links to the next cache and the one before follow it */
	TC_CACHE_LINKS_OFF = 4144,
	TC_CACHE_LINKS_OFF_LATER = 4128, /* in 2.16, which notes no thread */
};

struct tcmalloc {
	struct elf_image image;
	uint64_t bias;
	int pagemap_fd;
	/* Found once. */
	unsigned page_lg, leaf_lg, root_lg; /* log2 of a page's bytes, of a leaf's and of the root's entries */
	uint64_t root, stats;               /* addresses of the page map's root and of the page heap's sums */
	uint64_t central;                   /* of the first class's central list */
	unsigned nr_classes;
	uint32_t class_nbytes[TC_CLASSES_MAX], batch[TC_CLASSES_MAX]; /* a block's bytes; how many blocks a chain has */
	unsigned links_off;                 /* in a thread's cache */
	struct words cache_words;           /* addresses of variables that point to a thread's cache */
	/* Of the walk. */
	struct words cached;  /* free blocks that look used */
	uint64_t *leaf;
	uint8_t *bytes;       /* of a span */
	uint8_t *is_free;
	uint64_t next_page;   /* behind the last span */
	uint64_t nr_bytes[3]; /* of spans: used, free, given back to the kernel */
	uint64_t class_spans[TC_CLASSES_MAX], class_free[TC_CLASSES_MAX]; /* as counted */
	uint64_t nr_uneven;   /* spans and lists that do not have as many free blocks as they count */
};

/* 0, or -ENOENT and walk_fail's words: it is not the tcmalloc that is known, or another build of it. */
int tcmalloc_find_roots(struct walk *w);
/* A thread's cache, by the sizes that it has noted of all classes. */
bool tcmalloc_is_cache(const struct tcmalloc *t, const uint8_t *cache);
/* Adds what the caches of threads and classes hold to t->cached. -ENOMEM. */
int tcmalloc_read_lists(struct walk *w);
/* No thread stands inside a call that moves blocks between lists. */
bool tcmalloc_at_rest(struct walk *w);

#endif
