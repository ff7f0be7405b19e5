/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * launch.h - starts a player process on a plan, and owns the memory shared with it.
 *
 * One thread at a time, and the thread that launches must live as long as the player does (the player dies
 * with it). 0 or -errno; what the player itself said stands in launched.control and launched.output.
 */
#ifndef HEAPTAPE_REPLAY_LAUNCH_H
#define HEAPTAPE_REPLAY_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "replay/control.h"
#include "replay/plan.h"

struct launch_opts {
	const char *player;  /* path of heaptape-player */
	const char *preload; /* path of the allocator's object, NULL: libc's own */
	char *const *env;    /* further settings, "KEY=VALUE", NULL at the end */
	uint32_t flags;      /* enum control_flag */
	uint64_t pace_milli; /* 0: as fast as it goes */
	uint32_t nr_cpus;    /* that the allocator is told; 0: this machine's */
	const uint16_t *cpu_map; /* recorded CPU -> ours */
	uint32_t nr_cpu_map;
	uint32_t nr_cpus_here;
	bool layout_fixed;   /* the address space is not randomized, where the kernel lets us say so */
};

#define LAUNCH_OUTPUT_MAX 65536

struct launched {
	pid_t pid;
	int status;  /* of waitpid, once `ended` */
	bool ended;
	int output_fd;
	char output[LAUNCH_OUTPUT_MAX + 1]; /* what it printed, from its beginning */
	size_t output_nbytes;
	struct control *control;
	struct control_thread *threads;
	_Atomic uint32_t *windows_left;
	const uint64_t *hists; /* (head.nr_stacks + 1) * CONTROL_HIST_NR * HIST_BUCKETS */
	const struct control_slot *slots;
	const uint64_t *usable;
	struct marks_dir *marks_dir;
	uint8_t *marks;
	int fds[CONTROL_FD_END];
	uint64_t nbytes[CONTROL_FD_END]; /* mapped */
};

int launched_start(const struct plan *plan, const struct launch_opts *opts, struct launched **l_ret);
/* Sleeps until *word is no longer `value`, the player has ended, or timeout_ns have passed. */
void launched_wait(struct launched *l, _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
/* Notes the player's end and output; true while it lives. */
bool launched_poll(struct launched *l);
/* Kills the player if it lives, unmaps, frees; l may be NULL. */
void launched_free(struct launched *l);

#endif
