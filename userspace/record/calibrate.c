/* SPDX-License-Identifier: BSD-2-Clause */
/* Times recorded calls of a function of our own against the same calls unrecorded. */
#include "calibrate.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

#include "bpf/record.skel.h"
#include "clock.h"
#include "formats/tape.h"
#include "record/drain.h"
#include "target/maps.h"
#include "target/process.h"

/* Short windows find a quiet moment; a ring of 16 KiB holds one's records. */
enum { WINDOWS = 48, CALLS = 100 };

#if defined(__x86_64__)
enum { REG_BLOCK = 7, REG_RESULT = 0 }; /* rdi and rax, as events.h counts them */
enum { AT_EMULATED = 0, AT_STEPPED = 1, STEPPED_RA_OFF = 8 };

/* An allocator's whole traffic: gives back the address that it gets. */
__attribute__((naked, noinline, used)) static void *calibrated_spot(__attribute__((unused)) void *block)
{
	__asm__ volatile("push %rbp\n\tpop %rbp\n\tmov %rdi, %rax\n\tret");
}
#else
#error "calibrate.c: no emulated instruction is known for this processor"
#endif

struct calibration {
	struct kernel *kernel;
	struct drain *drain; /* takes the records away */
	unsigned long offset; /* of the spot in this program's file */
	struct bpf_link *links[2];
	unsigned nr_links;
};

/* Nanoseconds a call, the best of all windows; program_ret: what of that is the program's, 0 if none ran. */
static double time_calls(const struct calibration *c, double *program_ret)
{
	struct ht_counters before, after;
	double best = 1e18;
	size_t nbytes;

	for (int w = 0; w < WINDOWS; w++) {
		uint64_t begin = clock_monotonic_ns();
		double each;

		kernel_counters(c->kernel, &before);
		for (uintptr_t i = 1; i <= CALLS; i++)
			calibrated_spot((void *)(i * 16));
		each = (double)(clock_monotonic_ns() - begin) / CALLS;
		kernel_counters(c->kernel, &after);
		if (each < best) {
			uint64_t timed = after.timed - before.timed;

			best = each;
			*program_ret = timed ? (double)(after.timed_ns - before.timed_ns) / (double)timed : 0;
		}
		drain_collect(c->drain, clock_monotonic_ns(), &nbytes);
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

static struct ht_loc in_register(uint8_t reg)
{
	return (struct ht_loc){ .from = HT_FROM_REG, .reg = reg };
}

static int put_site(struct calibration *c, uint32_t nr, uint8_t kind, enum ht_role role, int32_t ra_off, const struct ht_loc *size,
		    const struct ht_loc *ptr)
{
	struct ht_site site = { .kind = kind,
				.role = (uint8_t)role,
				.obj = HT_OBJECTS_MAX - 1,
				.func = UINT16_MAX,
				.trap = HT_TRAP_SHARED, /* no trap of the target's */
				.ra_off = ra_off };

	if (size)
		site.size = *size;
	if (ptr)
		site.ptr = *ptr;
	return bpf_map_update_elem(bpf_map__fd(c->kernel->skel->maps.sites), &nr, &site, BPF_ANY) ? -errno : 0;
}

static int put_probe(struct calibration *c, uint32_t nr, unsigned long at, bool is_return)
{
	const struct record_bpf *skel = c->kernel->skel;
	unsigned long offset = c->offset + at;
	__u64 cookie = nr;
	struct bpf_link *link;

	if (c->kernel->backend == KERNEL_MULTI) {
		LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = &offset, .cookies = &cookie, .cnt = 1, .retprobe = is_return);

		link = bpf_program__attach_uprobe_multi(is_return ? skel->progs.multi_return : skel->progs.multi_entry, getpid(),
							"/proc/self/exe", NULL, &opts);
	} else {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = cookie, .retprobe = is_return);

		link = bpf_program__attach_uprobe_opts(is_return ? skel->progs.perf_return : skel->progs.perf_entry, getpid(),
						       "/proc/self/exe", offset, &opts);
	}
	if (!link)
		return -errno;
	c->links[c->nr_links++] = link;
	return 0;
}

/* A free, by one trap. */
static int put_one(struct calibration *c, unsigned long at, int32_t ra_off)
{
	struct ht_loc block = in_register(REG_BLOCK);
	int err = put_site(c, CALIBRATE_SITE, TAPE_FREE, HT_ROLE_ONE, ra_off, NULL, &block);

	return err ? err : put_probe(c, CALIBRATE_SITE, at, false);
}

/* A malloc, by its entry and its return. */
static int put_pair(struct calibration *c)
{
	struct ht_loc size = in_register(REG_BLOCK), kept = { .from = HT_FROM_STASH }, result = in_register(REG_RESULT);
	int err = put_site(c, CALIBRATE_SITE, TAPE_MALLOC, HT_ROLE_STASH, 0, &size, NULL);

	if (!err)
		err = put_site(c, CALIBRATE_SITE + 1, TAPE_MALLOC, HT_ROLE_FINISH, -8, &kept, &result);
	if (!err)
		err = put_probe(c, CALIBRATE_SITE + 1, AT_EMULATED, true);
	return err ? err : put_probe(c, CALIBRATE_SITE, AT_EMULATED, false);
}

static void remove_probes(struct calibration *c)
{
	while (c->nr_links)
		bpf_link__destroy(c->links[--c->nr_links]);
}

static int time_one(struct calibration *c, unsigned long at, int32_t ra_off, double *ns_ret, double *program_ret)
{
	int err = put_one(c, at, ra_off);

	if (!err)
		*ns_ret = time_calls(c, program_ret);
	remove_probes(c);
	return err;
}

/* Beyond the entry, which is an emulated trap as any. */
static int time_return(struct calibration *c, double *ns_ret)
{
	double entry = 0, program;
	int err = time_one(c, AT_EMULATED, 0, &entry, &program);

	if (!err)
		err = put_pair(c);
	if (!err)
		*ns_ret = time_calls(c, &program) - entry;
	remove_probes(c);
	return err;
}

int calibrate_trap(struct kernel *k, enum ht_trap trap, struct trap_costs *costs)
{
	struct calibration c = { .kernel = k };
	double plain, ns = 0, program = 0;
	int err;

	err = drain_new(k->ring_fds, k->nr_cpus + 1, &c.drain);
	if (!err)
		err = spot_offset(&c.offset);
	if (!err) {
		plain = time_calls(&c, &program);
		switch (trap) {
		case HT_TRAP_EMULATED: err = time_one(&c, AT_EMULATED, 0, &ns, &program); break;
		case HT_TRAP_STEPPED: err = time_one(&c, AT_STEPPED, STEPPED_RA_OFF, &ns, &program); break;
		case HT_TRAP_RETURN:
			plain = 0;
			err = time_return(&c, &ns);
			break;
		default: err = -EINVAL;
		}
	}
	if (!err)
		costs->ns[trap] = ns > plain ? (uint64_t)(ns - plain) : 0;
	if (!err && trap == HT_TRAP_EMULATED)
		costs->program_ns = (uint64_t)program;
	drain_free(c.drain);
	return err;
}

double trap_cost_ns(const struct trap_costs *costs, const uint64_t traps[HT_TRAP_NR])
{
	double ns = 0;

	for (int t = 0; t < HT_TRAP_NR; t++)
		ns += (double)traps[t] * (double)costs->ns[t];
	return ns;
}

double trap_real_cost_ns(const struct trap_costs *costs, const uint64_t traps[HT_TRAP_NR], double program_ns)
{
	double more = program_ns - (double)costs->program_ns;

	return trap_cost_ns(costs, traps) + (more > 0 ? more : 0) * (double)(trap_total(traps) + traps[HT_TRAP_SHARED]);
}

uint64_t trap_total(const uint64_t traps[HT_TRAP_NR])
{
	return traps[HT_TRAP_EMULATED] + traps[HT_TRAP_STEPPED] + traps[HT_TRAP_RETURN];
}
