/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * attach.h - puts the sites of allocators into the target, and proves that they stand.
 *
 * One link for all sites of an object (uprobe_multi), or a perf event for each. Links are filtered by the target's pid:
 * no other process's code is touched. They end with this process, however it ends.
 */
#ifndef HEAPTAPE_ATTACH_H
#define HEAPTAPE_ATTACH_H

#include "record/kernel.h"
#include "sites/survey.h"
#include "target/process.h"

#define ATTACH_BREAKPOINT 0xcc /* int3: what a site shows when it stands */

struct attach;

/* What a site number means to the reader of records. */
struct attach_site {
	const struct plan *plan; /* NULL: no such site */
	uint8_t kind, role, obj;
	bool lg_align;           /* an aligned mallocx: see functions.h */
};

/* Who the sites are for: each has site numbers of its own, and allocator numbers that no other uses. */
enum attach_lane {
	ATTACH_RECORD,    /* allocators 0 .. ATTACH_REFERENCE_OBJ - 1 */
	ATTACH_CHECK,     /* plans under trial, as allocator ATTACH_CHECK_OBJ */
	ATTACH_REFERENCE, /* plans that those are compared with, as ATTACH_REFERENCE_OBJ; the kernel keeps them apart */
};
enum { ATTACH_CHECK_OBJ = HT_OBJECTS_MAX - 1, ATTACH_REFERENCE_OBJ = HT_OBJECTS_MAX - 2 };
struct attach *attach_new(struct kernel *k, pid_t pid, enum attach_lane lane);
/* Detaches all. */
void attach_free(struct attach *at);
/* Puts all sites of `a` in place, as allocator number obj. -errno; on failure none of its sites stays. */
int attach_allocator(struct attach *at, const struct allocator *a, uint8_t obj);
/* The file of object number obj lies where `a` has found it now (after an exec): its links stand, its bounds move. */
int attach_moved(struct attach *at, const struct allocator *a, uint8_t obj);
/* Reads every site of `a` back from the target's memory: how many show no breakpoint (0: all stand); the first of them
 * in *missing_ret. -EACCES without the right to read. */
int attach_check(const struct attach *at, const struct process *p, const struct allocator *a,
		 const struct plan_site **missing_ret);
/* Takes away what the last attach_allocator has put in place, if none of it stands: the file was not the one mapped. */
void attach_withdraw(struct attach *at);
const struct attach_site *attach_site(const struct attach *at, unsigned site_nr);
unsigned attach_nr_sites(const struct attach *at);
/* Detaches all sites; numbers of sites stay valid, so that records still on their way can be read. */
void attach_detach(struct attach *at);

#endif
