/* SPDX-License-Identifier: BSD-2-Clause */
/* Marks and pagemap -> bitmaps -> split_compute. */
#include "replay/measure_split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PAGE ((uint64_t)PLAN_PAGE)
#define BLOCK_PAGES (MARKS_BLOCK_NBYTES * 8ull)
#define BLOCK_NBYTES (BLOCK_PAGES * PAGE)

static uint8_t *block_marks(const struct launched *l, uint64_t addr)
{
	uint64_t i = addr / BLOCK_NBYTES;
	uint32_t block = i < MARKS_DIR_NR ? atomic_load(&l->marks_dir->block[i]) : 0;
	return block ? l->marks + (uint64_t)(block - 1) * MARKS_BLOCK_NBYTES : NULL;
}

/* Residency of the heap's mappings inside one block of marks. */
static int block_residency(const struct mappings *heap, int pagemap_fd, uint64_t base, uint8_t *bits)
{
	uint64_t nr;
	int err = 0;
	memset(bits, 0, MARKS_BLOCK_NBYTES);
	for (size_t i = 0; i < heap->nr && !err; i++) {
		const struct mapping *m = &heap->list[i];
		uint64_t start = m->start > base ? m->start : base;
		uint64_t end = m->end < base + BLOCK_NBYTES ? m->end : base + BLOCK_NBYTES;
		if (start >= end || !m->rss_nbytes)
			continue;
		/* mappings_resident counts bits from its start, which need not be a multiple of 8 pages here. */
		uint64_t skip = (start - base) / PAGE % 8, nr_pages = (end - start) / PAGE;
		uint8_t *run = calloc(nr_pages / 8 + 1, 1);
		if (!run)
			return -ENOMEM;
		err = mappings_resident(pagemap_fd, start, end, PAGE, run, &nr);
		uint8_t *to = bits + (start - base) / PAGE / 8;
		for (uint64_t p = 0; p < nr_pages && !err; p++)
			to[(p + skip) / 8] |= (uint8_t)((run[p / 8] >> p % 8 & 1) << (p + skip) % 8);
		free(run);
	}
	return err;
}

int measure_forget_absent(struct launched *l, const struct mappings *heap, int pagemap_fd)
{
	uint8_t *bits = malloc(MARKS_BLOCK_NBYTES);
	int err = bits ? 0 : -ENOMEM;
	for (uint64_t i = 0; i < MARKS_DIR_NR && !err; i++) {
		uint8_t *marks = block_marks(l, i * BLOCK_NBYTES);
		if (!marks)
			continue;
		err = block_residency(heap, pagemap_fd, i * BLOCK_NBYTES, bits);
		for (uint32_t k = 0; k < MARKS_BLOCK_NBYTES && !err; k++)
			marks[k] &= bits[k];
	}
	free(bits);
	return err;
}

static int collect_objects(const struct launched *l, uint32_t nr_slots, struct split_object **objs_ret, size_t *nr_ret)
{
	size_t nr = 0;
	for (uint32_t i = 0; i < nr_slots; i++)
		nr += l->slots[i].addr != 0;
	struct split_object *objs = malloc((nr + 1) * sizeof(*objs));
	if (!objs)
		return -ENOMEM;
	*objs_ret = objs;
	*nr_ret = nr;
	for (uint32_t i = 0; i < nr_slots; i++) {
		const struct control_slot *s = &l->slots[i];
		uint64_t usable = l->usable[i] > s->size ? l->usable[i] : s->size;
		if (s->addr)
			*objs++ = (struct split_object){ s->addr, s->size, usable };
	}
	return 0;
}

static int fill_range(const struct launched *l, const struct mapping *m, int pagemap_fd, struct split_range *range)
{
	uint64_t nr_pages = (m->end - m->start) / PAGE, nr;
	uint8_t *resident = calloc(nr_pages / 8 + 1, 1), *held = calloc(nr_pages / 8 + 1, 1);
	*range = (struct split_range){ m->start, m->end, resident, held };
	if (!resident || !held)
		return -ENOMEM;
	for (uint64_t at = m->start; at < m->end;) {
		const uint8_t *marks = block_marks(l, at);
		uint64_t block_end = (at / BLOCK_NBYTES + 1) * BLOCK_NBYTES, end = block_end < m->end ? block_end : m->end;
		for (; marks && at < end; at += PAGE) {
			uint64_t bit = at / PAGE % BLOCK_PAGES, p = (at - m->start) / PAGE;
			if (marks[bit / 8] >> bit % 8 & 1)
				held[p / 8] |= (uint8_t)(1u << p % 8);
		}
		at = end;
	}
	return mappings_resident(pagemap_fd, m->start, m->end, PAGE, resident, &nr);
}

static void free_ranges(struct split_range *ranges, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		free((void *)(uintptr_t)ranges[i].resident);
		free((void *)(uintptr_t)ranges[i].held);
	}
	free(ranges);
}

/* Mappings without a resident page are left to count_absent: a reserved terabyte must not cost 32 MB of bits. */
static int make_ranges(const struct launched *l, const struct mappings *heap, int pagemap_fd, struct split_range *ranges,
		       size_t *nr_ret, uint64_t *kernel_ret)
{
	int err = 0;
	*nr_ret = 0;
	*kernel_ret = 0;
	for (size_t i = 0; i < heap->nr && !err; i++) {
		const struct mapping *m = &heap->list[i];
		if (!m->rss_nbytes)
			continue;
		*kernel_ret += m->rss_nbytes;
		err = fill_range(l, m, pagemap_fd, &ranges[(*nr_ret)++]);
	}
	return err;
}

/* Moves the bytes of objects on mappings without a resident page from `outside` to `unresident`. objs is sorted. */
static void count_absent(const struct split_object *objs, size_t nr_objs, const struct mappings *heap, struct split *s)
{
	size_t o = 0;
	for (size_t i = 0; i < heap->nr; i++) {
		const struct mapping *m = &heap->list[i];
		while (o < nr_objs && objs[o].addr + objs[o].requested <= m->start)
			o++;
		for (size_t k = o; !m->rss_nbytes && k < nr_objs && objs[k].addr < m->end; k++) {
			uint64_t from = objs[k].addr > m->start ? objs[k].addr : m->start;
			uint64_t end = objs[k].addr + objs[k].requested, to = end < m->end ? end : m->end;
			uint64_t nbytes = to > from ? to - from : 0;
			s->outside -= nbytes;
			s->unresident += nbytes;
		}
	}
}

int measure_split(const struct launched *l, const struct mappings *heap, int pagemap_fd, uint32_t nr_slots,
		  struct split *split_ret, struct size_classes *classes_ret, uint64_t *kernel_ret, uint64_t *overlap_ret)
{
	struct split_object *objs = NULL;
	struct split_range *ranges = calloc(heap->nr + 1, sizeof(*ranges));
	size_t nr_objs = 0, nr_ranges = 0;
	int err = ranges ? collect_objects(l, nr_slots, &objs, &nr_objs) : -ENOMEM;
	if (!err)
		err = make_ranges(l, heap, pagemap_fd, ranges, &nr_ranges, kernel_ret);
	if (!err)
		err = split_compute(objs, nr_objs, ranges, nr_ranges, PAGE, split_ret, overlap_ret);
	if (!err)
		count_absent(objs, nr_objs, heap, split_ret);
	if (!err)
		err = size_classes_compute(objs, nr_objs, PAGE, &classes_ret->list, &classes_ret->nr);
	free_ranges(ranges, nr_ranges);
	free(objs);
	return err;
}
