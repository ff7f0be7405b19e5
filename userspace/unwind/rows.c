/* SPDX-License-Identifier: BSD-2-Clause */
/* .eh_frame -> rows. */
#include "rows.h"

#include <elfutils/libdw.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "unwind/rule.h"

#define PAGE_NBYTES (1u << ROWS_PAGE_SHIFT)
#define BLOB_NBYTES_MIN (64u << 10)
#define STEPS_MAX (1u << 24)      /* no file has more; a lying one is given up there */
#define RULE_SLOTS (2 * HT_RULES_MAX)

/* From vaddr on, this rule. */
struct step {
	uint64_t vaddr;
	uint32_t rule;
};

struct build {
	struct step *steps;
	size_t nr_steps, room;
	struct ht_rule *rules;
	uint32_t nr_rules;
	uint16_t slots[RULE_SLOTS]; /* rule number + 1 by hash */
};

static int build_rule(struct build *b, const struct ht_rule *rule, uint32_t *nr_ret)
{
	uint32_t slot = (uint32_t)XXH3_64bits(rule, sizeof(*rule)) % RULE_SLOTS;

	while (b->slots[slot]) {
		*nr_ret = b->slots[slot] - 1u;
		if (!memcmp(&b->rules[*nr_ret], rule, sizeof(*rule)))
			return 0;
		slot = (slot + 1) % RULE_SLOTS;
	}
	if (b->nr_rules == HT_RULES_MAX - 1)
		return -E2BIG;
	b->rules[b->nr_rules++] = *rule;
	b->slots[slot] = (uint16_t)b->nr_rules;
	*nr_ret = b->nr_rules - 1;
	return 0;
}

static int build_step(struct build *b, uint64_t vaddr, const struct ht_rule *rule)
{
	uint32_t nr;
	int err = build_rule(b, rule, &nr);

	if (err)
		return err;
	if (b->nr_steps && b->steps[b->nr_steps - 1].rule == nr)
		return 0;
	if (b->nr_steps == STEPS_MAX)
		return -E2BIG;
	if (b->nr_steps == b->room) {
		size_t room = b->room ? 2 * b->room : 65536;
		struct step *steps = realloc(b->steps, room * sizeof(*steps));

		if (!steps)
			return -ENOMEM;
		b->steps = steps;
		b->room = room;
	}
	b->steps[b->nr_steps++] = (struct step){ vaddr, nr };
	return 0;
}

/* Code without a row. libdw does not tell where the next function begins; padding between two is short. */
static uint64_t skip_gap(Dwarf_CFI *cfi, uint64_t at, uint64_t end, Dwarf_Frame **frame_ret)
{
	for (; at < end; at++)
		if (!dwarf_cfi_addrframe(cfi, at, frame_ret))
			break;
	return at;
}

/* All rows of code in [at, end), and that there are none behind it. */
static int build_segment(struct build *b, Dwarf_CFI *cfi, uint64_t at, uint64_t end)
{
	/* Code that a compiler of its own made, put into the file as it is, keeps frame pointers; a stray function may not. */
	struct ht_rule none = rule_cut(HT_CUT_NO_ROW), by_fp = { .cfa = HT_CFA_FP };
	int err = 0;

	while (at < end && !err) {
		Dwarf_Addr row_start = at, row_end = at + 1;
		Dwarf_Frame *frame = NULL;
		struct ht_rule rule;

		if (dwarf_cfi_addrframe(cfi, at, &frame)) {
			uint64_t gap = at;

			at = skip_gap(cfi, at, end, &frame);
			err = build_step(b, gap, at - gap < BLOB_NBYTES_MIN ? &none : &by_fp);
		}
		if (!frame)
			break;
		rule = rule_of_frame(frame);
		dwarf_frame_info(frame, &row_start, &row_end, NULL);
		free(frame);
		err = build_step(b, at, &rule);
		at = row_end > at ? row_end : at + 1;
	}
	return err ? err : build_step(b, end, &none);
}

int rows_new(uint64_t base, uint32_t nr_pages, uint32_t nr_rows, uint32_t nr_rules, struct rows **rows_ret)
{
	struct rows *r = calloc(1, sizeof(*r));
	size_t rules_nbytes = nr_rules * sizeof(struct ht_rule), pages_nbytes = nr_pages * sizeof(struct ht_page);

	*rows_ret = NULL;
	if (!r)
		return -ENOMEM;
	r->block = malloc(rules_nbytes + pages_nbytes + nr_rows * sizeof(uint32_t) + 1);
	if (!r->block) {
		free(r);
		return -ENOMEM;
	}
	*r = (struct rows){ .base = base, .nr_pages = nr_pages, .nr_rows = nr_rows, .nr_rules = nr_rules, .block = r->block };
	r->rules = r->block;
	r->pages = (struct ht_page *)(void *)((char *)r->block + rules_nbytes);
	r->rows = (uint32_t *)(void *)((char *)r->block + rules_nbytes + pages_nbytes);
	*rows_ret = r;
	return 0;
}

void rows_free(struct rows *rows)
{
	if (!rows)
		return;
	free(rows->block);
	free(rows);
}

/* Each page begins with a row at 0: the rule in force when it begins. */
static int build_pages(const struct build *b, struct rows **rows_ret)
{
	uint64_t base, nr_pages;
	uint32_t nr = 0;
	size_t step = 0;
	struct rows *r;
	int err;

	base = b->steps[0].vaddr & ~(uint64_t)(PAGE_NBYTES - 1);
	nr_pages = ((b->steps[b->nr_steps - 1].vaddr - base) >> ROWS_PAGE_SHIFT) + 1;
	if (nr_pages > HT_PAGES_MAX)
		return -E2BIG;
	err = rows_new(base, (uint32_t)nr_pages, (uint32_t)(nr_pages + b->nr_steps), b->nr_rules, &r);
	if (err)
		return err;
	memcpy(r->rules, b->rules, b->nr_rules * sizeof(*b->rules));
	for (uint32_t p = 0; p < nr_pages; p++) {
		uint64_t start = base + ((uint64_t)p << ROWS_PAGE_SHIFT);

		r->pages[p].row = nr;
		/* Before the first step stands that step's own rule: no code is there. */
		if (step == b->nr_steps || b->steps[step].vaddr != start)
			r->rows[nr++] = b->steps[step ? step - 1 : 0].rule << 16;
		for (; step < b->nr_steps && b->steps[step].vaddr - start < PAGE_NBYTES; step++)
			r->rows[nr++] = (uint32_t)(b->steps[step].vaddr - start) | b->steps[step].rule << 16;
		r->pages[p].nr = nr - r->pages[p].row;
	}
	r->nr_rows = nr;
	*rows_ret = r;
	if (rows_are_sound(r))
		return 0;
	rows_free(r);
	*rows_ret = NULL;
	return -E2BIG;
}

bool rows_are_sound(const struct rows *r)
{
	for (uint32_t p = 0; p < r->nr_pages; p++) {
		const struct ht_page *page = &r->pages[p];

		if (!page->nr || page->nr > HT_PAGE_ROWS_MAX || page->row > r->nr_rows || page->nr > r->nr_rows - page->row ||
		    (r->rows[page->row] & 0xffff))
			return false;
	}
	for (uint32_t i = 0; i < r->nr_rows; i++)
		if (r->rows[i] >> 16 >= r->nr_rules)
			return false;
	return r->nr_rules < HT_RULES_MAX;
}

int rows_build(const struct object *obj, struct rows **rows_ret)
{
	Dwarf_CFI *cfi = dwarf_getcfi_elf(object_elf(obj));
	struct build *b = calloc(1, sizeof(*b));
	uint64_t start, nbytes, offset;
	int err = 0;

	*rows_ret = NULL;
	if (b)
		b->rules = calloc(HT_RULES_MAX, sizeof(*b->rules));
	if (!b || !b->rules)
		err = -ENOMEM;
	else if (!cfi)
		err = -ENOENT;
	for (unsigned i = 0; !err && object_segment_at(obj, i, &start, &nbytes, &offset); i++)
		err = build_segment(b, cfi, start, start + nbytes);
	if (!err && b->nr_steps)
		err = build_pages(b, rows_ret);
	else if (!err)
		err = -ENOENT;
	if (cfi)
		dwarf_cfi_end(cfi);
	if (b) {
		free(b->rules);
		free(b->steps);
	}
	free(b);
	return err;
}

const struct ht_rule *rows_find(const struct rows *r, uint64_t vaddr)
{
	uint64_t page = (vaddr - r->base) >> ROWS_PAGE_SHIFT;
	const uint32_t *rows;
	uint32_t low, high;

	if (vaddr < r->base || page >= r->nr_pages)
		return NULL;
	rows = r->rows + r->pages[page].row;
	for (low = 0, high = r->pages[page].nr; high - low > 1;) {
		uint32_t mid = low + (high - low) / 2;

		if ((rows[mid] & 0xffff) <= (vaddr & 0xffff))
			low = mid;
		else
			high = mid;
	}
	return &r->rules[rows[low] >> 16];
}
