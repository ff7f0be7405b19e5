/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Which way a conditional jump will go, from the processor's flags in front of it. */
#ifndef HEAPTAPE_COND_BPF_H
#define HEAPTAPE_COND_BPF_H

#include "types.h"

/* x86 condition codes in the order of their encoding: o b z be s p l le, each followed by its opposite. */
static __always_inline int cond_holds(u8 cond, u64 flags)
{
	u64 cf = flags & 1, pf = flags >> 2 & 1, zf = flags >> 6 & 1, sf = flags >> 7 & 1, of = flags >> 11 & 1;
	u64 v;

	if (!cond)
		return 1;
	cond--;
	switch (cond >> 1) {
	case 0: v = of; break;
	case 1: v = cf; break;
	case 2: v = zf; break;
	case 3: v = cf | zf; break;
	case 4: v = sf; break;
	case 5: v = pf; break;
	case 6: v = sf ^ of; break;
	default: v = zf | (sf ^ of); break;
	}
	return v != (cond & 1);
}

#endif
