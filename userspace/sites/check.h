/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.h - no plan is believed because it looks right: it is tried on known calls first.
 *
 * A scratch process without rights maps the very file, makes calls of every planned function that it can reach, and
 * writes down what it asked for and got; the probes stand in it as they will in the target. A plan whose events differ
 * from that in anything is replaced by the simple one (plan.h), and the reason is kept.
 */
#ifndef HEAPTAPE_CHECK_H
#define HEAPTAPE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "formats/tape.h"

/* ---- shared between heaptape and heaptape-scratch, by a memory file ---- */

enum { CHECK_FUNCTIONS_MAX = 192, CHECK_CALLS_MAX = 65536, CHECK_FD = 3, CHECK_GO_FD = 4 };

struct check_function {
	char symbol[64];
	uint8_t kind;       /* enum tape_kind */
	uint8_t size, mul, ptr, old, align; /* argument numbers, as functions.h */
	uint8_t flags;      /* enum function_flag */
	uint8_t found;      /* scratch: the symbol could be resolved to offset */
	uint64_t offset;    /* file offset of the function */
};

struct check_call {
	uint32_t tid;
	uint16_t function;
	uint16_t thread;
	uint64_t size, align, old, result; /* a free: result is the block */
};

struct check_area {
	uint32_t nr_functions;
	uint32_t ready;    /* scratch: has mapped everything, waits for a byte on CHECK_GO_FD */
	uint32_t nr_calls; /* scratch, atomic */
	uint32_t done;
	struct check_function functions[CHECK_FUNCTIONS_MAX];
	struct check_call calls[CHECK_CALLS_MAX];
};

/* ---- heaptape's side ---- */

struct kernel;
struct drain;
struct allocator;

struct check_result {
	unsigned nr_checked, nr_failed;
	unsigned nr_unreached; /* planned, but not to be called from outside */
	uint64_t nr_calls, took_ns;
	char why[256];         /* nothing was checked: the reason; else "" */
};

/* Checks the plans of `a` (plan.check is set) and replaces those that fail or could not be checked and are not simple.
 * Uses the kernel's programs and rings before any site of a target stands. -errno only if memory is short. */
int check_allocator(struct kernel *k, struct drain *d, struct allocator *a, struct check_result *res);

#endif
