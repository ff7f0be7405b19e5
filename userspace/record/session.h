/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.h - the life of a recording: find the allocators, put probes in place, mark, drain, mark, detach.
 *
 * One thread. session_run does it all; what went wrong is told in words (session_result.error), since only here pid,
 * file and step are known together.
 */
#ifndef HEAPTAPE_SESSION_H
#define HEAPTAPE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "baseline/baseline.h"
#include "record/calibrate.h"
#include "record/family.h"
#include "record/kernel.h"
#include "record/ledger.h"
#include "record/ring.h"
#include "runtime/custom_spec.h"

struct session_opts {
	pid_t pid;          /* a live process; 0: start argv */
	char *const *argv;
	const char *user;   /* argv runs as this user; NULL: see launch.h */
	char *const *env;   /* what is other in argv's environment, see launch.h; NULL: nothing */
	const char *tape_path; /* with %p, %h, %t (tape_path.h) */
	bool overwrite;
	uint64_t duration_ns; /* 0: until the target ends or a signal comes */
	enum kernel_backend backend;
	size_t ring_nbytes; /* 0: chosen by the number of CPUs */
	bool mappings, faults, cmdline;
	enum ht_stacks_mode stacks;
	bool free_stacks;
	unsigned max_frames; /* 0: the default */
	bool simple_plans;  /* no plan that needs a check (plan.h) */
	bool embed_symbols; /* names of code onto the tape, at the end */
	struct ring_opts ring; /* nbytes 0: one file */
	uint64_t trigger_rss_nbytes; /* a copy of the ring when the target's resident set reaches it; 0: none */
	enum baseline_mode baseline; /* of a live process: how its blocks of before are found */
	uint64_t time_unit_ns; /* 0: the default */
	double max_cost;    /* the part of the target's CPU time that traps may take (brake.h); 0: no limit */
	const char *runtime; /* a profile's name (runtime/runtime.h), "none"; "auto" or NULL: whichever knows the program */
	unsigned levels;    /* enum runtime_level, what is recorded of it */
	unsigned follow;    /* children are recorded too, so many processes at once at most; 0: they are not */
	struct custom_specs customs; /* allocators that the user has described */
	bool live;          /* shown on the terminal (live_view.h) while it records */
	int ready_fd;       /* gets a byte when every site stands; -1: none */
};

enum session_end { SESSION_TARGET_EXITED, SESSION_TARGET_OOM, SESSION_DURATION, SESSION_SIGNAL, SESSION_COST };

struct session_allocator {
	char name[40];
	char path[256];
	char build_id[72];
	unsigned nr_sites, nr_unrecorded;
};

/* What lived at the start mark. */
struct session_baseline {
	bool known;   /* the tape starts with it */
	char why[256]; /* not known: the reason; known: what it lacks, or "" */
	uint64_t nr_objects, nbytes, walk_ns, pause_ns;
};

struct session_result {
	char error[512]; /* "" unless session_run failed */
	char tape_path[4096]; /* expanded */
	pid_t pid;
	enum session_end end;
	int child_status; /* as of waitpid; only if a command was started and has ended */
	struct rusage child_usage; /* likewise, as of wait4 */
	struct session_allocator allocators[2 * HT_OBJECTS_MAX]; /* found, and described */
	unsigned nr_allocators;
	uint64_t duration_ns, tape_nbytes, other_lost;
	uint64_t traps[HT_TRAP_NR];
	uint64_t cost_ns; /* that the traps took from the target in all; 0: unknown */
	struct trap_costs costs; /* of the kinds that occurred; EMULATED 0: unknown */
	struct ledger_totals totals;
	struct session_baseline baseline;
	char folder[4096]; /* opts.follow: where the tapes of all processes lie */
	struct family *family; /* likewise: what has become of each (family.h); the caller frees it */
};

/* 0, or -errno with res->error filled in. The tape is closed well in either case if it was begun. */
int session_run(const struct session_opts *opts, struct session_result *res);

#endif
