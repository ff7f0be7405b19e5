/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memo.h - figures of runs that were made before, of one tape and one build of an allocator, in the cache folder.
 *
 * All calls do nothing where there is no cache. Figures come back in the order in which they were added.
 */
#ifndef HEAPTAPE_TUNE_MEMO_H
#define HEAPTAPE_TUNE_MEMO_H

#include <stdbool.h>
#include <stddef.h>

struct memo; /* NULL is one without content */

/* What is known of the tape under the allocator of that text (as for --alloc). */
struct memo *memo_open(const char *tape, const char *alloc);
/* Figure number i of `settings` on 1/part of the tape. */
bool memo_get(const struct memo *m, const char *settings, unsigned part, int figure, size_t i, double *value_ret);
void memo_add(struct memo *m, const char *settings, unsigned part, int figure, double value);
/* Writes it back (0 or -errno) and frees it. */
int memo_close(struct memo *m);

#endif
