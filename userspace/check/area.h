/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * area.h - what heaptape and heaptape-scratch share: a memory file with the functions to call and the calls made.
 *
 * The scratch process runs code of the target's files: heaptape bounds every number that it reads from here.
 */
#ifndef HEAPTAPE_AREA_H
#define HEAPTAPE_AREA_H

#include <stdint.h>

enum { AREA_FUNCTIONS_MAX = 192, AREA_CALLS_MAX = 131072, AREA_THREADS = 4, AREA_FD = 3, AREA_GO_FD = 4 };

enum area_mode {
	AREA_COUNT, /* usual calls, many, not written down */
	AREA_CHECK, /* calls of every kind, each written down */
};

struct area_function {
	char symbol[64];
	uint8_t kind;       /* enum tape_kind */
	uint8_t size, mul, ptr, old, align; /* argument numbers, as functions.h */
	uint8_t flags;      /* enum function_flag */
	uint8_t found;      /* scratch: the symbol could be resolved to offset */
	uint64_t offset;    /* file offset of the function */
};

enum area_call_flag { AREA_CALL_AFTER_GAP = 1 /* this thread has made calls before it that are not written down */ };

struct area_call {
	uint16_t function;
	uint8_t thread; /* 0 .. AREA_THREADS */
	uint8_t flags;  /* enum area_call_flag */
	uint64_t size, align, old, result; /* a free: result is the block */
};

struct area {
	uint32_t mode;     /* enum area_mode */
	uint32_t nr_functions;
	uint32_t ready;    /* scratch: has mapped everything, waits for a byte on AREA_GO_FD */
	uint32_t nr_calls; /* scratch, atomic */
	uint32_t done;     /* scratch: all calls are made; it waits to be killed */
	struct area_function functions[AREA_FUNCTIONS_MAX];
	struct area_call calls[AREA_CALLS_MAX];
};

#endif
