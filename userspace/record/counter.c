/* SPDX-License-Identifier: BSD-2-Clause */
/* The counting programs: loaded, attached, read. */
#include "counter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bpf/count.skel.h"
#include "record/kernel.h"

struct counter {
	struct count_bpf *skel;
	bool multi;
	struct bpf_link *links[HT_SITES_MAX];
	unsigned nr_links;
};

int counter_open(struct counter **c_ret)
{
	struct counter *c = calloc(1, sizeof(*c));
	int err;

	*c_ret = c;
	if (!c)
		return -ENOMEM;
	c->multi = kernel_has_multi();
	c->skel = count_bpf__open();
	if (!c->skel)
		return -errno;
	bpf_program__set_autoload(c->skel->progs.count_multi, c->multi);
	bpf_program__set_autoload(c->skel->progs.count_perf, !c->multi);
	err = count_bpf__load(c->skel);
	return err;
}

void counter_detach(struct counter *c)
{
	while (c->nr_links)
		bpf_link__destroy(c->links[--c->nr_links]);
}

void counter_close(struct counter *c)
{
	if (!c)
		return;
	counter_detach(c);
	count_bpf__destroy(c->skel);
	free(c);
}

static int keep_link(struct counter *c, struct bpf_link *link)
{
	if (!link)
		return -errno;
	c->links[c->nr_links++] = link; /* there are no more links than places */
	return 0;
}

static int attach_multi(struct counter *c, pid_t pid, const char *path, const struct counter_place *places, unsigned nr,
			unsigned first)
{
	unsigned long *offsets = calloc(nr, sizeof(*offsets));
	__u64 *cookies = calloc(nr, sizeof(*cookies));
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = offsets, .cookies = cookies, .cnt = nr);
	int err = offsets && cookies ? 0 : -ENOMEM;

	for (unsigned i = 0; i < nr && !err; i++) {
		offsets[i] = places[i].offset;
		cookies[i] = (first + i) | (__u64)places[i].cond << HT_COUNT_COND_SHIFT;
	}
	if (!err)
		err = keep_link(c, bpf_program__attach_uprobe_multi(c->skel->progs.count_multi, pid, path, NULL, &opts));
	free(offsets);
	free(cookies);
	return err;
}

int counter_attach(struct counter *c, pid_t pid, const struct object *obj, const struct counter_place *places, unsigned nr,
		   unsigned first)
{
	char path[64];
	int err = 0;

	if (!nr)
		return 0;
	if (first > HT_SITES_MAX || nr > HT_SITES_MAX - first)
		return -E2BIG;
	/* The descriptor leads to the very file that was planned, whatever its name means by now. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", object_fd(obj));
	if (c->multi)
		return attach_multi(c, pid, path, places, nr, first);
	for (unsigned i = 0; i < nr && !err; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = (first + i) | (__u64)places[i].cond << HT_COUNT_COND_SHIFT);

		err = keep_link(c, bpf_program__attach_uprobe_opts(c->skel->progs.count_perf, pid, path, places[i].offset, &opts));
	}
	return err;
}

int counter_read(const struct counter *c, unsigned nr, struct ht_count *counts)
{
	int nr_cpus = libbpf_num_possible_cpus(), map_fd = bpf_map__fd(c->skel->maps.counts);
	struct ht_count *each = nr_cpus > 0 ? calloc((size_t)nr_cpus, sizeof(*each)) : NULL;
	int err = each ? 0 : -ENOMEM;

	for (__u32 i = 0; i < nr && !err; i++) {
		counts[i] = (struct ht_count){ 0 };
		if (bpf_map_lookup_elem(map_fd, &i, each))
			err = -errno;
		for (int cpu = 0; cpu < nr_cpus && !err; cpu++) {
			counts[i].reached += each[cpu].reached;
			counts[i].calls += each[cpu].calls;
		}
	}
	free(each);
	return err;
}
