/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cost.h - what a trap costs, for choosing between sites: one row for each processor and kernel where it differs.
 */
#ifndef HEAPTAPE_COST_H
#define HEAPTAPE_COST_H

#include <stdbool.h>

enum { COST_EMULATED = 100 }; /* the unit: a trap on an instruction that the kernel emulates */

struct cost {
	const char *machine; /* as uname says */
	unsigned major, minor; /* the kernel from which on this holds */
	int emulated, stepped;
	int returned; /* what a return probe adds to the trap it stands on */
	bool return_is_syscall; /* the return trampoline enters the kernel by a system call that a seccomp filter may deny */
};

/* The row for a machine and kernel release ("x86_64", "6.1.0-13-amd64"); NULL: the machine is not known. */
const struct cost *cost_find(const char *machine, const char *release);
/* The row for this machine and kernel; that of the oldest kernel if none fits. Never NULL. */
const struct cost *cost_here(void);

/* What the target forbids. */
struct cost_target {
	bool seccomp, shadow_stack, stacks_move;
};
/* NULL if a return probe may be used there, else why not. */
const char *cost_no_return(const struct cost *cost, const struct cost_target *target);

#endif
