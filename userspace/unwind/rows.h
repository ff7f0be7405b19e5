/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows.h - the unwind table of one ELF file: for every address of its code, the rule to unwind by.
 *
 * Four bytes a row (events.h, struct ht_page): code is cut into pages of 64 KiB, a row keeps the low half of its
 * address and the number of its rule; rules are few, since equal ones are one. Made from .eh_frame by libdw, or
 * loaded from the cache (cache.h). Immutable once made. -errno; nothing is printed.
 */
#ifndef HEAPTAPE_ROWS_H
#define HEAPTAPE_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/events.h"
#include "target/object.h"

#define ROWS_PAGE_SHIFT 16

struct rows {
	uint64_t base; /* vaddr of the first page, a multiple of its size */
	uint32_t nr_pages, nr_rows, nr_rules;
	struct ht_page *pages; /* row: index of rows */
	uint32_t *rows;        /* low 16 bits of the vaddr | rule << 16 */
	struct ht_rule *rules;
	void *block; /* all three lie in it */
};

/* -ENOENT: the file has no .eh_frame; -E2BIG: more code or rules than fit. */
int rows_build(const struct object *obj, struct rows **rows_ret);
void rows_free(struct rows *rows);
/* The rule at vaddr, NULL outside all pages. */
const struct ht_rule *rows_find(const struct rows *rows, uint64_t vaddr);
/* The same from parts, which are copied: what the cache reads. The parts must be consistent (rows_are_sound). */
int rows_new(uint64_t base, uint32_t nr_pages, uint32_t nr_rows, uint32_t nr_rules, struct rows **rows_ret);
bool rows_are_sound(const struct rows *rows);

#endif
