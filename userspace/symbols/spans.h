/* SPDX-License-Identifier: BSD-2-Clause */
/* spans.h - runs of addresses that belong to something numbered: collected, sorted once, searched by halves. */
#ifndef HEAPTAPE_SPANS_H
#define HEAPTAPE_SPANS_H

#include <stddef.h>
#include <stdint.h>

#define SPANS_NONE UINT32_MAX

struct span {
	uint64_t start, end;
	uint32_t owner;
};

struct spans {
	struct span *list;
	size_t nr, cap;
};

/* Empty runs are left out. 0 or -ENOMEM. */
int spans_add(struct spans *s, uint64_t start, uint64_t end, uint32_t owner);
void spans_sort(struct spans *s);
/* The owner of the run that holds addr, of several the one that starts last; SPANS_NONE. Sorted before. */
uint32_t spans_find(const struct spans *s, uint64_t addr);
void spans_free(struct spans *s);

#endif
