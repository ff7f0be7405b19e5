/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows into the kernel's memory. */
#include "store.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#define RULE_SLOTS (2 * HT_RULES_MAX)

struct store {
	struct unwind_kernel uk;
	struct ht_shard *shards[HT_SHARDS_MAX];
	uint32_t nr_shards, nr_pages, nr_rules;
	uint32_t next_row; /* in the last shard */
	uint64_t nr_rows;
	uint16_t slots[RULE_SLOTS]; /* rule number + 1 by hash */
};

struct store *store_new(const struct unwind_kernel *uk)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->uk = *uk;
	for (unsigned i = 0; i < uk->nr_ready; i++)
		s->shards[i] = uk->ready[i];
	return s;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	for (uint32_t i = s->uk.nr_ready; i < HT_SHARDS_MAX; i++)
		if (s->shards[i])
			munmap(s->shards[i], sizeof(struct ht_shard));
	free(s);
}

void store_reset(struct store *s)
{
	s->nr_shards = s->nr_pages = s->nr_rules = s->next_row = 0;
	s->nr_rows = 0;
	memset(s->slots, 0, sizeof(s->slots));
}

/* A map of one shard, in its place; it stays when the store is reset. */
static int shard_make(struct store *s, uint32_t index)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int flags = MAP_SHARED, err = 0, fd = -1;
	void *mapped;

	if (s->shards[index])
		return 0;
	if (s->uk.shards_fd >= 0) {
		fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ht_shard", sizeof(uint32_t), sizeof(struct ht_shard), 1, &opts);
		if (fd < 0)
			return fd;
	} else {
		flags |= MAP_ANONYMOUS;
	}
	mapped = mmap(NULL, sizeof(struct ht_shard), PROT_READ | PROT_WRITE, flags, fd, 0);
	if (mapped == MAP_FAILED)
		err = -errno;
	else if (fd >= 0 && bpf_map_update_elem(s->uk.shards_fd, &index, &fd, BPF_ANY))
		err = -errno;
	if (fd >= 0)
		close(fd); /* the mapping and the map of shards hold it */
	if (err && mapped != MAP_FAILED)
		munmap(mapped, sizeof(struct ht_shard));
	if (!err)
		s->shards[index] = mapped;
	return err;
}

/* Room for nr rows in one shard. */
static int rows_place(struct store *s, uint32_t nr, uint32_t *at_ret)
{
	int err;

	if (!s->nr_shards || s->next_row + nr > HT_SHARD_ROWS) {
		if (s->nr_shards == HT_SHARDS_MAX)
			return -ENOSPC;
		err = shard_make(s, s->nr_shards);
		if (err)
			return err;
		s->nr_shards++;
		s->next_row = 0;
	}
	*at_ret = (s->nr_shards - 1) * HT_SHARD_ROWS + s->next_row;
	s->next_row += nr;
	s->nr_rows += nr;
	return 0;
}

static int rule_place(struct store *s, const struct ht_rule *rule, uint16_t *nr_ret)
{
	uint32_t slot = (uint32_t)XXH3_64bits(rule, sizeof(*rule)) % RULE_SLOTS;

	while (s->slots[slot]) {
		*nr_ret = (uint16_t)(s->slots[slot] - 1);
		if (!memcmp(&s->uk.rules[*nr_ret], rule, sizeof(*rule)))
			return 0;
		slot = (slot + 1) % RULE_SLOTS;
	}
	if (s->nr_rules == HT_RULES_MAX)
		return -ENOSPC;
	s->uk.rules[s->nr_rules] = *rule;
	*nr_ret = (uint16_t)s->nr_rules++;
	s->slots[slot] = (uint16_t)(*nr_ret + 1);
	return 0;
}

static int page_add(struct store *s, const struct rows *rows, uint32_t page, const uint16_t *rule_of)
{
	const uint32_t *from = rows->rows + rows->pages[page].row;
	uint32_t nr = rows->pages[page].nr, at, *to;
	int err = rows_place(s, nr, &at);

	if (err)
		return err;
	to = s->shards[at / HT_SHARD_ROWS]->rows + at % HT_SHARD_ROWS;
	for (uint32_t i = 0; i < nr; i++)
		to[i] = (from[i] & 0xffff) | (uint32_t)rule_of[from[i] >> 16] << 16;
	s->uk.pages[s->nr_pages++] = (struct ht_page){ .row = at, .nr = nr };
	return 0;
}

int store_add(struct store *s, const struct rows *rows, uint32_t *first_page_ret)
{
	uint16_t *rule_of = calloc(rows->nr_rules ? rows->nr_rules : 1, sizeof(*rule_of));
	int err = 0;

	if (!rule_of)
		return -ENOMEM;
	*first_page_ret = s->nr_pages;
	if (rows->nr_pages > HT_PAGES_MAX - s->nr_pages)
		err = -ENOSPC;
	for (uint32_t i = 0; i < rows->nr_rules && !err; i++)
		err = rule_place(s, &rows->rules[i], &rule_of[i]);
	for (uint32_t page = 0; page < rows->nr_pages && !err; page++)
		err = page_add(s, rows, page, rule_of);
	free(rule_of);
	return err;
}

uint64_t store_nr_rows(const struct store *s)
{
	return s->nr_rows;
}

uint64_t store_nbytes(const struct store *s)
{
	return s->nr_shards * sizeof(struct ht_shard) + s->nr_pages * sizeof(struct ht_page) + s->nr_rules * sizeof(struct ht_rule);
}

const struct ht_rule *store_find(const struct store *s, uint32_t page_nr, uint32_t low)
{
	const struct ht_page *page = &s->uk.pages[page_nr];
	const uint32_t *rows = s->shards[page->row / HT_SHARD_ROWS]->rows + page->row % HT_SHARD_ROWS;
	uint32_t base = 0;

	/* The same halving as in the kernel. */
	for (uint32_t n = page->nr; n > 1; n -= n >> 1)
		if ((rows[base + (n >> 1)] & 0xffff) <= low)
			base += n >> 1;
	return &s->uk.rules[rows[base] >> 16];
}
