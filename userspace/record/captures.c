/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptions into the array map, links with the captures' numbers as cookies; and each proven to stand. */
#include "captures.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bpf/record.skel.h"
#include "record/attach.h"

struct captures {
	struct bpf_link *links[HT_CAPTURES_MAX];
	unsigned nr_links;
};

void captures_free(struct captures *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->nr_links; i++)
		bpf_link__destroy(c->links[i]);
	free(c);
}

static int keep(struct captures *c, struct bpf_link *link)
{
	if (!link)
		return -errno;
	c->links[c->nr_links++] = link;
	return 0;
}

/* All of one kind by one link. */
static int link_multi(struct captures *c, const struct kernel *k, pid_t pid, const struct runtime *rt, const char *path, bool is_return)
{
	const struct bpf_program *prog = is_return ? k->skel->progs.multi_capture_return : k->skel->progs.multi_capture;
	unsigned long offsets[HT_CAPTURES_MAX];
	__u64 cookies[HT_CAPTURES_MAX];
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = offsets, .cookies = cookies, .retprobe = is_return);
	unsigned nr = 0;

	for (unsigned i = 0; i < rt->nr_probes; i++) {
		uint64_t offset;

		if (rt->probes[i].is_return != is_return)
			continue;
		if (object_offset(rt->obj, rt->probes[i].vaddr, &offset))
			return -ENOENT;
		offsets[nr] = offset;
		cookies[nr++] = rt->first + i;
	}
	opts.cnt = nr;
	return nr ? keep(c, bpf_program__attach_uprobe_multi(prog, pid, path, NULL, &opts)) : 0;
}

static int link_perf(struct captures *c, const struct kernel *k, pid_t pid, const struct runtime *rt, const char *path, bool is_return)
{
	const struct bpf_program *prog = is_return ? k->skel->progs.perf_capture_return : k->skel->progs.perf_capture;
	int err = 0;

	for (unsigned i = 0; i < rt->nr_probes && !err; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = rt->first + i, .retprobe = is_return);
		uint64_t offset;

		if (rt->probes[i].is_return != is_return)
			continue;
		if (object_offset(rt->obj, rt->probes[i].vaddr, &offset))
			return -ENOENT;
		err = keep(c, bpf_program__attach_uprobe_opts(prog, pid, path, offset, &opts));
	}
	return err;
}

static int describe(const struct kernel *k, const struct runtime *rt)
{
	for (__u32 i = 0; i < rt->nr_probes; i++) {
		__u32 nr = rt->first + i;

		if (bpf_map_update_elem(bpf_map__fd(k->skel->maps.captures), &nr, &rt->probes[i].capture, BPF_ANY))
			return -errno;
	}
	return 0;
}

/* Without the right to read the process's memory nothing can be said. */
static int check_stands(const struct process *p, const struct runtime *rt, const struct runtime_probe **missing_ret)
{
	for (unsigned i = 0; i < rt->nr_probes; i++) {
		uint8_t byte;

		if (!process_read(p, rt->probes[i].vaddr + rt->bias, &byte, 1) && byte != ATTACH_BREAKPOINT) {
			*missing_ret = &rt->probes[i];
			return -ENXIO;
		}
	}
	return 0;
}

int captures_attach(const struct kernel *k, const struct process *p, const struct runtime *rt, struct captures **c_ret,
		    const struct runtime_probe **missing_ret)
{
	int (*link)(struct captures *, const struct kernel *, pid_t, const struct runtime *, const char *, bool) =
		k->backend == KERNEL_MULTI ? link_multi : link_perf;
	struct captures *c = calloc(1, sizeof(*c));
	char path[64];
	int err = c ? describe(k, rt) : -ENOMEM;

	*missing_ret = NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", object_fd(rt->obj));
	/* Returns first: an entry without its return would leave a call open. */
	if (!err)
		err = link(c, k, p->pid, rt, path, true);
	if (!err)
		err = link(c, k, p->pid, rt, path, false);
	if (!err)
		err = check_stands(p, rt, missing_ret);
	if (err) {
		captures_free(c);
		c = NULL;
	}
	*c_ret = c;
	return err;
}
