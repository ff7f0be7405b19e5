/* SPDX-License-Identifier: BSD-2-Clause */
/* Sites into the kernel: descriptions into the array map, links with the site numbers as cookies. */
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/record.skel.h"
#include "record/calibrate.h"

struct attach {
	struct kernel *kernel;
	pid_t pid;
	struct attach_site sites[HT_SITES_MAX];
	enum attach_lane lane;
	unsigned nr_sites, max_sites;
	uint16_t nr_funcs;
	struct bpf_link **links;
	unsigned nr_links, links_room;
	struct {
		unsigned nr_sites, nr_links;
		uint16_t nr_funcs;
	} before; /* the last allocator */
};

/* The sites of one allocator that one program serves. */
struct batch {
	unsigned long offsets[HT_SITES_MAX];
	__u64 cookies[HT_SITES_MAX];
	const struct ht_site *sites[HT_SITES_MAX];
	unsigned nr;
};

struct attach *attach_new(struct kernel *k, pid_t pid, enum attach_lane lane)
{
	static const unsigned first[] = { [ATTACH_RECORD] = 0,
					  [ATTACH_CHECK] = HT_SITES_MAX / 2,
					  [ATTACH_REFERENCE] = HT_SITES_MAX / 4 * 3,
					  [ATTACH_REFERENCE + 1] = CALIBRATE_SITE };
	struct attach *at = calloc(1, sizeof(*at));

	if (!at)
		return NULL;
	at->kernel = k;
	at->pid = pid;
	at->lane = lane;
	at->nr_sites = first[lane];
	at->max_sites = first[lane + 1];
	return at;
}

void attach_detach(struct attach *at)
{
	for (unsigned i = 0; i < at->nr_links; i++)
		bpf_link__destroy(at->links[i]);
	at->nr_links = 0;
}

void attach_free(struct attach *at)
{
	if (!at)
		return;
	attach_detach(at);
	free(at->links);
	free(at);
}

const struct attach_site *attach_site(const struct attach *at, unsigned site_nr)
{
	return site_nr < at->nr_sites ? &at->sites[site_nr] : NULL;
}

unsigned attach_nr_sites(const struct attach *at)
{
	return at->nr_sites;
}

static int keep_link(struct attach *at, struct bpf_link *link)
{
	if (at->nr_links == at->links_room) {
		unsigned room = at->links_room ? 2 * at->links_room : 64;
		struct bpf_link **links = realloc(at->links, room * sizeof(struct bpf_link *));

		if (!links) {
			bpf_link__destroy(link);
			return -ENOMEM;
		}
		at->links = links;
		at->links_room = room;
	}
	at->links[at->nr_links++] = link;
	return 0;
}

/* Several functions may share a return instruction: one FINISH site there serves all, the stash knows whose call it is. */
static bool already_in(const struct batch *batch, const struct plan_site *ps)
{
	for (unsigned i = 0; ps->site.role == HT_ROLE_FINISH && i < batch->nr; i++) {
		const struct ht_site *other = batch->sites[i];

		if (batch->offsets[i] == ps->offset && other->role == HT_ROLE_FINISH && other->cond == ps->site.cond &&
		    other->ra_off == ps->site.ra_off && !memcmp(&other->ptr, &ps->site.ptr, sizeof(other->ptr)))
			return true;
	}
	return false;
}

static uint8_t trap_of(const struct batch *batch, const struct plan_site *ps)
{
	static const uint8_t traps[] = { [SITE_EMULATED] = HT_TRAP_EMULATED,
					 [SITE_STEPPED] = HT_TRAP_STEPPED,
					 [SITE_RETURN] = HT_TRAP_RETURN };

	for (unsigned i = 0; i < batch->nr; i++)
		if (batch->offsets[i] == ps->offset)
			return HT_TRAP_SHARED;
	return traps[ps->class];
}

static int describe_site(struct attach *at, const struct plan *plan, const struct plan_site *ps, uint8_t obj, uint16_t func,
			 struct batch *batch)
{
	struct ht_site site = ps->site;
	__u32 nr = at->nr_sites;

	if (already_in(batch, ps))
		return 0;
	if (nr == at->max_sites)
		return -E2BIG;
	site.obj = obj;
	site.func = func;
	site.trap = trap_of(batch, ps);
	site.flags |= at->lane == ATTACH_REFERENCE ? HT_SITE_REFERENCE : 0;
	if (bpf_map_update_elem(bpf_map__fd(at->kernel->skel->maps.sites), &nr, &site, BPF_ANY))
		return -errno;
	at->sites[nr] = (struct attach_site){ .plan = plan,
					      .kind = site.kind,
					      .role = site.role,
					      .obj = obj,
					      .lg_align = plan->function->flags & FUNCTION_LG_ALIGN };
	batch->offsets[batch->nr] = ps->offset;
	batch->sites[batch->nr] = &ps->site;
	batch->cookies[batch->nr++] = nr;
	at->nr_sites++;
	return 0;
}

static int describe_object(struct attach *at, const struct allocator *a, __u32 obj)
{
	struct ht_object text = { 0 };
	uint64_t start, end;

	object_text(a->obj, &start, &end);
	text.text_start = start + object_bias(a->obj);
	text.text_end = end + object_bias(a->obj);
	for (unsigned i = 0; i < a->nr_inner; i++)
		text.inner_ra[i] = a->inner[i] + object_bias(a->obj);
	return bpf_map_update_elem(bpf_map__fd(at->kernel->skel->maps.objects), &obj, &text, BPF_ANY) ? -errno : 0;
}

int attach_moved(struct attach *at, const struct allocator *a, uint8_t obj)
{
	return describe_object(at, a, obj);
}

static int link_multi(struct attach *at, const char *path, const struct batch *batch, bool is_return)
{
	const struct bpf_program *prog = is_return ? at->kernel->skel->progs.multi_return : at->kernel->skel->progs.multi_entry;
	LIBBPF_OPTS(bpf_uprobe_multi_opts, opts, .offsets = batch->offsets, .cookies = batch->cookies, .cnt = batch->nr,
		    .retprobe = is_return);
	struct bpf_link *link = bpf_program__attach_uprobe_multi(prog, at->pid, path, NULL, &opts);

	return link ? keep_link(at, link) : -errno;
}

static int link_perf(struct attach *at, const char *path, const struct batch *batch, bool is_return)
{
	const struct bpf_program *prog = is_return ? at->kernel->skel->progs.perf_return : at->kernel->skel->progs.perf_entry;

	for (unsigned i = 0; i < batch->nr; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = batch->cookies[i], .retprobe = is_return);
		struct bpf_link *link = bpf_program__attach_uprobe_opts(prog, at->pid, path, batch->offsets[i], &opts);
		int err = link ? keep_link(at, link) : -errno;

		if (err)
			return err;
	}
	return 0;
}

static int link_batch(struct attach *at, const char *path, const struct batch *batch, bool is_return)
{
	if (!batch->nr)
		return 0;
	return at->kernel->backend == KERNEL_MULTI ? link_multi(at, path, batch, is_return) :
						     link_perf(at, path, batch, is_return);
}

/* The numbers of the sites are free again: none of them was ever reached. */
void attach_withdraw(struct attach *at)
{
	while (at->nr_links > at->before.nr_links)
		bpf_link__destroy(at->links[--at->nr_links]);
	at->nr_sites = at->before.nr_sites;
	at->nr_funcs = at->before.nr_funcs;
}

int attach_allocator(struct attach *at, const struct allocator *a, uint8_t obj)
{
	struct batch *entries = calloc(1, sizeof(*entries)), *returns = calloc(1, sizeof(*returns));
	char path[64];
	int err;

	at->before.nr_sites = at->nr_sites;
	at->before.nr_links = at->nr_links;
	at->before.nr_funcs = at->nr_funcs;
	err = entries && returns ? describe_object(at, a, obj) : -ENOMEM;
	for (unsigned i = 0; i < a->nr_plans && !err; i++) {
		const struct plan *plan = &a->plans[i];

		for (unsigned k = 0; k < plan->nr_sites && !err; k++)
			err = describe_site(at, plan, &plan->sites[k], obj, at->nr_funcs,
					    plan->sites[k].class == SITE_RETURN ? returns : entries);
		at->nr_funcs++;
	}
	/* The descriptor leads to the very file that was planned, whatever its name means by now. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", object_fd(a->obj));
	/* Returns first: an entry without its return would leave a stash behind. */
	if (!err)
		err = link_batch(at, path, returns, true);
	if (!err)
		err = link_batch(at, path, entries, false);
	if (err)
		attach_withdraw(at);
	free(entries);
	free(returns);
	return err;
}

int attach_check(const struct attach *at, const struct process *p, const struct allocator *a,
		 const struct plan_site **missing_ret)
{
	int nr_missing = 0;

	(void)at;
	*missing_ret = NULL;
	for (unsigned i = 0; i < a->nr_plans; i++) {
		for (unsigned k = 0; k < a->plans[i].nr_sites; k++) {
			const struct plan_site *ps = &a->plans[i].sites[k];
			uint8_t byte;
			int err = process_read(p, ps->vaddr + object_bias(a->obj), &byte, 1);

			if (err)
				return err;
			if (byte == ATTACH_BREAKPOINT)
				continue;
			if (!nr_missing++)
				*missing_ret = ps;
		}
	}
	return nr_missing;
}
