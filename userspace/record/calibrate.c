/* SPDX-License-Identifier: BSD-2-Clause */
/* Times a probed instruction of our own against the same one unprobed. */
#include "calibrate.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include "bpf/record.skel.h"
#include "clock.h"
#include "target/maps.h"
#include "target/process.h"

enum { WINDOWS = 12, CALLS = 400 };

/* A site number without a description: the program looks it up, finds role 0 and leaves. */
#define CALIBRATION_SITE (HT_SITES_MAX - 1)

#if defined(__x86_64__)
__attribute__((naked, noinline, used)) static void calibrated_spot(void)
{
	__asm__ volatile("push %rbp\n\tpop %rbp\n\tret");
}
#else
#error "calibrate.c: no emulated instruction is known for this processor"
#endif

/* Nanoseconds a call, the best of all windows. */
static double time_calls(void)
{
	double best = 1e18;

	for (int w = 0; w < WINDOWS; w++) {
		uint64_t begin = clock_monotonic_ns();
		double each;

		for (int i = 0; i < CALLS; i++)
			calibrated_spot();
		each = (double)(clock_monotonic_ns() - begin) / CALLS;
		if (each < best)
			best = each;
	}
	return best;
}

static int spot_offset(unsigned long *offset_ret)
{
	const struct map_region *r;
	struct process self;
	struct maps maps;
	int err;

	err = process_open(getpid(), &self);
	if (err)
		return err;
	err = maps_read(self.proc_fd, &maps);
	r = err ? NULL : maps_find(&maps, (uint64_t)(uintptr_t)calibrated_spot);
	if (r)
		*offset_ret = (unsigned long)((uint64_t)(uintptr_t)calibrated_spot - r->start + r->offset);
	else if (!err)
		err = -ENOENT;
	maps_free(&maps);
	process_close(&self);
	return err;
}

int calibrate_trap(struct kernel *k, uint64_t *trap_ns_ret)
{
	__u64 cookie = CALIBRATION_SITE;
	unsigned long offset;
	struct bpf_link *link;
	double plain, trapped;
	int err;

	err = spot_offset(&offset);
	if (err)
		return err;
	plain = time_calls();
	if (k->backend == KERNEL_MULTI) {
		LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = &offset, .cookies = &cookie, .cnt = 1);

		link = bpf_program__attach_uprobe_multi(k->skel->progs.multi_entry, getpid(), "/proc/self/exe", NULL, &opts);
	} else {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = cookie);

		link = bpf_program__attach_uprobe_opts(k->skel->progs.perf_entry, getpid(), "/proc/self/exe", offset, &opts);
	}
	if (!link)
		return -errno;
	trapped = time_calls();
	bpf_link__destroy(link);
	*trap_ns_ret = trapped > plain ? (uint64_t)(trapped - plain) : 0;
	return 0;
}
