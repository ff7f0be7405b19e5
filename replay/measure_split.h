/* SPDX-License-Identifier: BSD-2-Clause */
/* measure_split.h - the five-way split of a player that stands still, in a measuring run. */
#ifndef HEAPTAPE_REPLAY_MEASURE_SPLIT_H
#define HEAPTAPE_REPLAY_MEASURE_SPLIT_H

#include "formats/heap.h"
#include "replay/launch.h"
#include "replay/mappings.h"
#include "replay/size_classes.h"

/*
 * heap: the allocator's mappings, with their resident sizes. Clears the marks of pages that are not in memory
 * now, so that a mark means "has held an object since it became resident". 0 or -errno.
 */
int measure_forget_absent(struct launched *l, const struct mappings *heap, int pagemap_fd);
/* Objects by size; list to be freed. */
struct size_classes {
	struct size_class *list;
	size_t nr;
};
/* The split, and the objects it was made of by size; *kernel_ret: what smaps says of the same mappings. -EINVAL: objects overlap, *overlap_ret is one. */
int measure_split(const struct launched *l, const struct mappings *heap, int pagemap_fd, uint32_t nr_slots,
		  struct split *split_ret, struct size_classes *classes_ret, uint64_t *kernel_ret, uint64_t *overlap_ret);

#endif
