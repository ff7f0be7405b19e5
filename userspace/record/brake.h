/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * brake.h - what a recording may cost its target, and what is given up when it costs more.
 *
 * A window over the limit may be chance: two in a row are not. Each step is given two windows to show what it brings; none
 * is ever taken back, so that a tape has few and plain breaks. Pure.
 */
#ifndef HEAPTAPE_BRAKE_H
#define HEAPTAPE_BRAKE_H

#include <stdbool.h>
#include <stdint.h>

enum brake_step {
	BRAKE_NONE,
	BRAKE_FREE_STACKS, /* frees carry no stack any more */
	BRAKE_THIN,        /* of the sites with most calls one in BRAKE_THIN_EVERY carries a stack */
	BRAKE_DETACH,      /* the recording ends */
};

enum { BRAKE_THIN_LG = 4, BRAKE_THIN_EVERY = 1 << BRAKE_THIN_LG };
#define BRAKE_WINDOW_NS 1000000000ull
#define BRAKE_HOT_SHARE 0.05         /* of a window's calls: a site with more is hot */
#define BRAKE_BUSY_NS 50000000ull    /* a target that ran for less in a window is not held up by anything */

struct brake {
	double limit;     /* the part of the target's CPU time that traps may take; 0: there is no limit */
	bool free_stacks, stacks; /* are there to be given up */
	unsigned over;    /* windows in a row that were over it, since the last step */
	unsigned settle;  /* windows until it may be judged again */
	enum brake_step last;
};

/* A window has passed, in which the target used cpu_ns, traps and all, and traps took cost_ns of it. What is to be done. */
enum brake_step brake_look(struct brake *b, double cost_ns, double cpu_ns);

#endif
