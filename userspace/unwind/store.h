/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store.h - rows of all objects as the programs in the kernel read them: pages, rules, shards of rows.
 *
 * Written through the maps' mappings, without system calls on them. What is in use is never changed: rows are only
 * added, until store_reset, before which nobody may use them any more. One thread.
 */
#ifndef HEAPTAPE_STORE_H
#define HEAPTAPE_STORE_H

#include "unwind/rows.h"

/* What the kernel side consists of. */
struct unwind_kernel {
	struct ht_texts *texts; /* two */
	struct ht_page *pages;
	struct ht_rule *rules;
	struct ht_text_change *text_changes;
	uint64_t *texts_version, *text_gen, *map_seq;
	uint32_t *texts_wanted;
	struct ht_shard *const *ready; /* the first shards, in their places already; they are not the store's */
	unsigned nr_ready;
	int shards_fd; /* map of shards; -1: none, the shards are this process's own memory (tests) */
};

struct store;

struct store *store_new(const struct unwind_kernel *uk);
void store_free(struct store *s);
/* Puts rows in; *first_page_ret: index of their first page. -ENOSPC when pages, rules or shards are used up; -errno of
 * making a map. */
int store_add(struct store *s, const struct rows *rows, uint32_t *first_page_ret);
void store_reset(struct store *s);
/* Rows in use, and the kernel memory that they take. */
uint64_t store_nr_rows(const struct store *s);
uint64_t store_nbytes(const struct store *s);
/* What the kernel would find at this page and low half of an address (tests). */
const struct ht_rule *store_find(const struct store *s, uint32_t page, uint32_t low);

#endif
