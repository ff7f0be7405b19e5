/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* count.h - what the counting programs and the estimate share. Fixed-width integers only, no functions. */
#ifndef HEAPTAPE_COUNT_H
#define HEAPTAPE_COUNT_H

#include "events.h"

/* A counting site's cookie: its number, and above that the condition of struct ht_site. */
#define HT_COUNT_COND_SHIFT 32

struct ht_count {
	__u64 reached; /* times the site was reached */
	__u64 calls;   /* times its condition held as well */
};

#endif
