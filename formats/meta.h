/* SPDX-License-Identifier: BSD-2-Clause */
/* meta.h - the reader's table of META keys, in the order first written; a key set again takes the later value. */
#ifndef HEAPTAPE_META_H
#define HEAPTAPE_META_H

#include "bytes.h"

struct meta_pair {
	char *key, *value;
};

struct meta {
	struct meta_pair *pairs;
	size_t nr, cap, nbytes;
};

/* Takes one META payload of nr pairs. 0, -ENOMEM or -EBADMSG with *why_ret. */
int meta_add(struct meta *m, struct cursor payload, uint32_t nr, const char **why_ret);
const char *meta_find(const struct meta *m, const char *key);
void meta_free(struct meta *m);

#endif
