/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scratch_run.h - a process that maps the very file of an allocator, without any rights, and calls it.
 *
 * The file may come from a container and may be hostile: the process has user, mount, network, IPC and pid namespaces of its
 * own, no capabilities, no privileges to gain, a seccomp filter, and limits on memory.
 */
#ifndef HEAPTAPE_SCRATCH_RUN_H
#define HEAPTAPE_SCRATCH_RUN_H

#include <stdbool.h>
#include <sys/types.h>

#include "check/area.h"
#include "sites/survey.h"

struct scratch {
	struct area *area;
	int area_fd, go_fd;
	pid_t pid; /* -1: none runs */
	const struct allocator *a;
	bool preload; /* false: the allocator is this machine's own libc */
	unsigned plan_of[AREA_FUNCTIONS_MAX]; /* function of the area -> plan of a */
	unsigned nr_functions; /* our own count: the area can be written by what runs there */
};

/* Why `a` cannot be called from outside; NULL if it can. */
const char *scratch_refusal(const struct allocator *a);
/* -ENOMEM. scratch_free in any case. */
int scratch_new(const struct allocator *a, struct scratch *s);
void scratch_free(struct scratch *s);
/* Starts the process; it makes no call yet. -errno. */
int scratch_start(struct scratch *s, enum area_mode mode);
/* Waits until it has mapped everything. -ETIME, -ECHILD: it ended. */
int scratch_wait_ready(struct scratch *s);
/* Has it make its calls; `meanwhile` (may be NULL) is called every half millisecond. -ETIME, -ECHILD, or its error. */
int scratch_run(struct scratch *s, int (*meanwhile)(void *arg), void *arg);
void scratch_end(struct scratch *s);

#endif
