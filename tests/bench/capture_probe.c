/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Probes of a process for tests/bench/capture.sh to compare heaptape with; says "ready" and works until its stdin ends.
 *   capture_probe PID FILE empty OFFSET...  a program that does nothing at each file offset
 *   capture_probe PID FILE usual            malloc by entry and return probe, free at its first instruction
 */
#include <bpf/libbpf.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture.skel.h"

enum { OFFSETS_MAX = 64, DRAIN_PERIOD_MS = 5 /* as heaptape's */ };

static int drop(void *arg, void *record, size_t nbytes)
{
	(void)arg;
	(void)record;
	(void)nbytes;
	return 0;
}

static void need(const void *made, const char *what)
{
	if (made)
		return;
	perror(what);
	exit(1);
}

static void attach_empty(struct capture_bpf *skel, pid_t pid, const char *file, char **offsets)
{
	unsigned long at[OFFSETS_MAX];
	size_t nr = 0;
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = at);

	while (nr < OFFSETS_MAX && offsets[nr]) {
		at[nr] = strtoul(offsets[nr], NULL, 0);
		nr++;
	}
	opts.cnt = nr;
	need(bpf_program__attach_uprobe_multi(skel->progs.empty, pid, file, NULL, &opts), "empty");
}

static void attach_usual(struct capture_bpf *skel, pid_t pid, const char *file)
{
	LIBBPF_OPTS(bpf_uprobe_multi_opts, entry);
	LIBBPF_OPTS(bpf_uprobe_multi_opts, back, .retprobe = true);

	need(bpf_program__attach_uprobe_multi(skel->progs.malloc_return, pid, file, "malloc", &back), "malloc, return");
	need(bpf_program__attach_uprobe_multi(skel->progs.malloc_enter, pid, file, "malloc", &entry), "malloc");
	need(bpf_program__attach_uprobe_multi(skel->progs.free_enter, pid, file, "free", &entry), "free");
}

int main(int argc, char **argv)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	struct capture_bpf *skel;
	struct ring_buffer *ring;

	if (argc < 4)
		return 2;
	skel = capture_bpf__open_and_load();
	need(skel, "load");
	ring = ring_buffer__new(bpf_map__fd(skel->maps.ring), drop, NULL, NULL);
	need(ring, "ring");
	if (!strcmp(argv[3], "empty"))
		attach_empty(skel, (pid_t)atoi(argv[1]), argv[2], argv + 4);
	else
		attach_usual(skel, (pid_t)atoi(argv[1]), argv[2]);
	printf("ready\n");
	fflush(stdout);
	while (!poll(&in, 1, DRAIN_PERIOD_MS))
		ring_buffer__consume(ring);
	return 0; /* links end with the process */
}
