/* SPDX-License-Identifier: BSD-2-Clause */
/* Warnings: what a reader of a result has to know about the tape, this machine and the allocator. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <unistd.h>

#include "replay/replay.h"

#define PAGE_SIZE_RECORDED_DEFAULT 4096

static const char *const function_names[CONTROL_FN_NR] = {
	[CONTROL_FN_MALLOC] = "malloc", [CONTROL_FN_FREE] = "free", [CONTROL_FN_CALLOC] = "calloc",
	[CONTROL_FN_REALLOC] = "realloc", [CONTROL_FN_POSIX_MEMALIGN] = "posix_memalign",
	[CONTROL_FN_ALIGNED_ALLOC] = "aligned_alloc", [CONTROL_FN_MEMALIGN] = "memalign", [CONTROL_FN_VALLOC] = "valloc",
	[CONTROL_FN_PVALLOC] = "pvalloc",
};

/* ---- the tape and the machine ---- */

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static int warn_losses(const struct plan_facts *f, struct text_list *to)
{
	int err = 0;
	if (f->nr_lost)
		err |= text_list_add(to,
				     "%" PRIu64 " calls were lost in recording, between %.3f s and %.3f s: objects "
				     "born or freed then are missing or live too long",
				     f->nr_lost, seconds(f->lost_from_ns), seconds(f->lost_to_ns));
	if (f->nr_implied_frees)
		err |= text_list_add(to,
				     "%" PRIu64 " objects ended without a recorded free; they are freed when their "
				     "address is used again",
				     f->nr_implied_frees);
	if (f->nr_unknown_frees || f->nr_unknown_reallocs)
		err |= text_list_add(to,
				     "%" PRIu64 " frees of blocks that were born before the recording are left out, "
				     "and %" PRIu64 " reallocs of such blocks are played as malloc",
				     f->nr_unknown_frees, f->nr_unknown_reallocs);
	return err;
}

static int warn_content(const struct plan *plan, struct text_list *to)
{
	const struct plan_facts *f = &plan->facts;
	int err = 0;
	if (f->nr_found)
		err |= text_list_add(to,
				     "%" PRIu64 " blocks of %.1f MiB lived before the recording, %.1f %% of the largest live heap: "
				     "they are made first, in the order that their addresses suggest, and of the sizes that the later "
				     "calls suggest; their ages, and the holes between them, are not known",
				     f->nr_found, (double)f->found_nbytes / (1 << 20),
				     f->peak_nbytes ? 100.0 * (double)f->found_nbytes / (double)f->peak_nbytes : 0.0);
	if (f->nr_runtime)
		err |= text_list_add(to,
				     "%" PRIu64 " objects that the runtime of the program's language made are left out: no allocator takes its "
				     "place (heaptape rerun runs the program under other settings of it)",
				     f->nr_runtime);
	if (f->nr_execs)
		err |= text_list_add(to,
				     "the target replaced its program %" PRIu64 " times (exec); replayed is what "
				     "follows the last, from %.3f s",
				     f->nr_execs, seconds(f->first_ns));
	if (plan->head.touch == PLAN_TOUCHING_FAULTS && !f->nr_faults)
		err |= text_list_add(to, "the tape has no page faults: all memory is taken to have been touched, "
					 "calloc's too");
	if (f->nr_steers_planned)
		err |= text_list_add(to,
				     "%" PRIu64 " calls that steer the recorded allocator (malloc_trim, mallopt ...) are "
				     "played on it alone",
				     f->nr_steers_planned);
	if (f->nr_steers > f->nr_steers_planned)
		err |= text_list_add(to,
				     "%" PRIu64 " calls that steer or ask the recorded allocator by values that are not on "
				     "the tape (mallctl ...) are left out",
				     f->nr_steers - f->nr_steers_planned);
	if (f->own_calls_assumed)
		err |= text_list_add(to,
				     "%" PRIu64 " calls were taken for the thread library's own by their size alone "
				     "and left out: the tape has neither call stacks nor mappings",
				     f->nr_own_calls);
	return err;
}

/* The recorded setting and ours, where both are known and differ. */
static int warn_huge_pages(const char *recorded, struct text_list *to)
{
	char here[128] = "";
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	if (!f)
		return 0;
	char *line = fgets(here, sizeof(here), f);
	fclose(f);
	/* "always [madvise] never" */
	char *open = line ? strchr(line, '[') : NULL, *close = open ? strchr(open, ']') : NULL;
	if (!recorded || !close)
		return 0;
	*close = '\0';
	if (strstr(recorded, open + 1))
		return 0;
	return text_list_add(to, "transparent huge pages: '%s' when recorded, '%s' here", recorded, open + 1);
}

static int warn_overcommit(const char *recorded, struct text_list *to)
{
	char here[32] = "";
	FILE *f = fopen("/proc/sys/vm/overcommit_memory", "re");
	if (!f)
		return 0;
	char *line = fgets(here, sizeof(here), f);
	fclose(f);
	here[strcspn(here, "\n")] = '\0';
	if (!line || !recorded || !strcmp(recorded, here))
		return 0;
	return text_list_add(to, "vm.overcommit_memory: %s when recorded, %s here", recorded, here);
}

static int warn_machine(struct tape_reader *r, const struct plan *plan, const struct cpu_map *map, struct text_list *to)
{
	uint64_t page_size = tape_reader_meta_u64(r, "machine.page_size", PAGE_SIZE_RECORDED_DEFAULT);
	int err = 0;
	if (!map->nr_told)
		err |= text_list_add(to,
				     "the tape does not tell how many CPUs its machine had; allocators see this "
				     "one's %u",
				     map->nr_here);
	if (map->shared && plan->head.placement != PLAN_PLACE_OFF)
		err |= text_list_add(to,
				     "%u recorded CPUs are played on %u: recorded CPU n on the (n modulo %u)-th of "
				     "this machine; threads that ran side by side take turns here",
				     map->nr, map->nr_here, map->nr_here);
	if (page_size != (uint64_t)sysconf(_SC_PAGESIZE))
		err |= text_list_add(to, "recorded with pages of %" PRIu64 " bytes, replayed with %ld", page_size,
				     sysconf(_SC_PAGESIZE));
	err |= warn_overcommit(tape_reader_meta(r, "machine.overcommit"), to);
	err |= warn_huge_pages(tape_reader_meta(r, "machine.thp"), to);
	return err;
}

int replay_warn_tape(struct tape_reader *r, const struct plan *plan, const struct cpu_map *map, struct text_list *to)
{
	int err = warn_losses(&plan->facts, to);
	err |= warn_content(plan, to);
	err |= warn_machine(r, plan, map, to);
	return err ? -ENOMEM : 0;
}

/* ---- one allocator ---- */

static uint64_t plan_uses(const struct plan *plan, unsigned fn)
{
	static const uint8_t kinds[CONTROL_FN_NR] = {
		[CONTROL_FN_MALLOC] = PLAN_MALLOC, [CONTROL_FN_FREE] = PLAN_FREE, [CONTROL_FN_CALLOC] = PLAN_CALLOC,
		[CONTROL_FN_REALLOC] = PLAN_REALLOC, [CONTROL_FN_POSIX_MEMALIGN] = PLAN_POSIX_MEMALIGN,
		[CONTROL_FN_ALIGNED_ALLOC] = PLAN_ALIGNED_ALLOC, [CONTROL_FN_MEMALIGN] = PLAN_MEMALIGN,
		[CONTROL_FN_VALLOC] = PLAN_VALLOC, [CONTROL_FN_PVALLOC] = PLAN_PVALLOC,
	};
	return kinds[fn] ? plan->head.nr_calls[kinds[fn]] : 0;
}

/* Tried on this process, and taken back. */
int replay_warn_layout(const struct replay_opts *opts, struct text_list *to)
{
	int now = personality(0xffffffff);
	if (!opts->layout_fixed)
		return 0;
	if (now >= 0 && personality((unsigned long)now | ADDR_NO_RANDOMIZE) >= 0) {
		personality((unsigned long)now);
		return 0;
	}
	return text_list_add(to, "address spaces cannot be fixed here (a sandbox forbids it): allocators that draw random "
				 "numbers from addresses may differ from run to run");
}

static int warn_functions(struct replay_result *r, const struct plan *plan)
{
	uint32_t elsewhere = r->measured.from_elsewhere | r->measured.absent;
	int err = 0;
	for (unsigned fn = 0; fn <= CONTROL_FN_PVALLOC; fn++) {
		uint64_t nr = plan_uses(plan, fn);
		if (elsewhere & 1u << fn && nr)
			err |= text_list_add(&r->warnings,
					     "has no %s of its own: %" PRIu64 " calls went to another object's, as "
					     "the dynamic linker has it",
					     function_names[fn], nr);
	}
	if (!r->measured.has_usable)
		err |= text_list_add(&r->warnings, "cannot tell usable sizes (no malloc_usable_size of its own): "
						   "internal waste is not known and counts as holes");
	return err;
}

#define FIDELITY_GOOD 0.05

/* What most likely explains it, of what is known about the tape. */
static const char *fidelity_reason(const struct plan_facts *f)
{
	if (f->nr_lost)
		return "calls were lost in recording";
	if (f->start_anon_nbytes > f->peak_nbytes / 50)
		return "what was free in the heap when recording began was used first, and is not on the tape";
	if (!f->nr_faults)
		return "which memory was touched is not on the tape";
	return "the program allocates by means that are not replayed, or time and place of its threads matter here";
}

static int warn_fidelity(struct replay_result *r, const struct plan *plan)
{
	double worst = r->fidelity_worst < 0 ? -r->fidelity_worst : r->fidelity_worst;
	if (!r->has_fidelity || worst <= FIDELITY_GOOD)
		return 0;
	return text_list_add(&r->warnings, "replayed is off the recorded memory by up to %.1f %%, at %.3f s: %s",
			     worst * 100, seconds(r->fidelity_worst_ns), fidelity_reason(&plan->facts));
}

int replay_warn_result(struct replay_result *r, const struct plan *plan)
{
	const struct run_result *m = &r->measured;
	bool exit_failed = m->exit_failed;
	int err = 0;
	if (r->error.kind)
		return 0;
	err |= warn_functions(r, plan);
	err |= warn_fidelity(r, plan);
	for (unsigned i = 0; i < r->nr_timed; i++)
		exit_failed |= r->timed[i].exit_failed;
	if (exit_failed)
		err |= text_list_add(&r->warnings, "did not end cleanly when the process exited, after the last "
						   "measurement");
	if (m->nr_foreign_threads)
		err |= text_list_add(&r->warnings, "runs %u threads of its own; they sleep on real time, not on tape "
						   "time", m->nr_foreign_threads);
	if (m->has_split && m->end_split.resident != m->split_kernel_nbytes)
		err |= text_list_add(&r->warnings, "the split adds up to %" PRIu64 " bytes, the kernel counts %" PRIu64,
				     m->end_split.resident, m->split_kernel_nbytes);
	if (m->has_split && m->end_split.outside)
		err |= text_list_add(&r->warnings,
				     "%" PRIu64 " live bytes lie outside of all mappings made during the replay "
				     "(memory set aside in the object itself)",
				     m->end_split.outside);
	return err ? -ENOMEM : 0;
}
