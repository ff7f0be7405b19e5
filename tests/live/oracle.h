/* SPDX-License-Identifier: BSD-2-Clause */
/* oracle.h - what the tests' independent recorder writes for each call: one file a thread, TID.N.log in $ORACLE_DIR. */
#ifndef HEAPTAPE_ORACLE_H
#define HEAPTAPE_ORACLE_H

#include <stdint.h>

enum oracle_op {
	ORACLE_END = 0, /* the rest of the file is zero */
	ORACLE_MALLOC, ORACLE_CALLOC, ORACLE_REALLOC, ORACLE_REALLOCARRAY, ORACLE_POSIX_MEMALIGN, ORACLE_ALIGNED_ALLOC,
	ORACLE_MEMALIGN, ORACLE_VALLOC, ORACLE_PVALLOC, ORACLE_NEW, ORACLE_FREE, ORACLE_CFREE, ORACLE_DELETE, ORACLE_NR,
};

struct oracle_call {
	uint32_t op;
	uint32_t tid;
	uint64_t size, mul, align, old, result; /* free: old is the block */
};

#endif
