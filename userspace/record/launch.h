/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * launch.h - a command started by the recorder, held until probes stand wherever code has just been mapped.
 *
 * The child stops itself (a signal sent by the programs in the kernel, see vm.bpf.h); if the recorder dies, the child
 * gets SIGCONT from the kernel and runs on.
 */
#ifndef HEAPTAPE_LAUNCH_H
#define HEAPTAPE_LAUNCH_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

struct launch {
	pid_t pid;
	int go_fd;     /* a byte in here lets the child exec */
	int failed_fd; /* the child's errno comes out of here if exec fails */
};

/* Forks. The child waits before its exec, as `user` (NULL: SUDO_UID's user under sudo, else unchanged). -errno;
 * -ENOENT if there is no such user. env (NULL: none), NULL at the end: "KEY=VALUE" is set for the command, "KEY" is taken away. */
int launch_start(char *const argv[], const char *user, char *const env[], struct launch *launch);
/* Lets the child exec. 0; -errno if exec failed (the child is gone then). */
int launch_go(struct launch *launch);
/* The same, and waits for it to stop there. */
int launch_exec(struct launch *launch);

enum launch_state { LAUNCH_RUNS, LAUNCH_STOPPED, LAUNCH_ENDED };
/* What the child does; does not wait. status_ret and usage_ret as of wait4 when it has ended. */
enum launch_state launch_poll(const struct launch *launch, int *status_ret, struct rusage *usage_ret);
void launch_continue(const struct launch *launch);
void launch_close(struct launch *launch);

#endif
