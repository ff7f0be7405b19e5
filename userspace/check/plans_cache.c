/* SPDX-License-Identifier: BSD-2-Clause */
/* Checked plans on disk. */
#include "plans_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xxhash.h>

#include "cache_dir.h"

/* Raised with every change of the planner, the check, or what is remembered. */
enum { PLANNER_VERSION = 3 };

struct head {
	char magic[8];
	uint32_t version, plan_nbytes, nr_plans, pad;
	uint64_t key;
	struct plans_note note;
};

/* A plan without pointers. */
struct kept {
	char symbol[64];
	uint64_t vaddr, nbytes;
	uint32_t nr_sites, check;
	struct plan_traps traps;
	uint8_t counted, skipped, by_flow, pad;
	char why[PLAN_WHY_MAX];
	struct plan_site sites[PLAN_SITES_MAX];
};

static const char magic[8] = "HTPLANS";

/* The code itself counts: a build id is only what a file says of itself. */
static uint64_t key_of(const struct allocator *a, const struct plan_rules *rules)
{
	XXH3_state_t *state = XXH3_createState();
	struct utsname name = { 0 };
	uint64_t start, end, key;
	const uint8_t *code;
	size_t avail;

	if (!state)
		return 0;
	uname(&name);
	XXH3_64bits_reset(state);
	object_text(a->obj, &start, &end);
	for (uint64_t at = start; at < end; at += avail ? avail : 4096) {
		code = object_code(a->obj, at, &avail);
		if (!code)
			avail = 0;
		XXH3_64bits_update(state, code, avail);
	}
	XXH3_64bits_update(state, name.release, strlen(name.release));
	XXH3_64bits_update(state, name.machine, strlen(name.machine));
	XXH3_64bits_update(state, &rules->no_calls, sizeof(rules->no_calls));
	if (rules->no_return)
		XXH3_64bits_update(state, rules->no_return, strlen(rules->no_return));
	key = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return key;
}

static bool path_of(const struct allocator *a, uint64_t key, char *path, size_t path_nbytes)
{
	char dir[PATH_MAX - 128];

	if (!*object_build_id(a->obj) || cache_dir(dir, sizeof(dir)))
		return false;
	snprintf(path, path_nbytes, "%s/%s-%016llx.plans", dir, object_build_id(a->obj), (unsigned long long)key);
	return true;
}

/* ---- reading ---- */

static bool site_fits(const struct allocator *a, const struct plan_site *ps)
{
	uint64_t offset;
	size_t avail;
	const uint8_t *code = object_code(a->obj, ps->vaddr, &avail);

	return code && !object_offset(a->obj, ps->vaddr, &offset) && offset == ps->offset && *code == ps->first_byte &&
	       ps->class <= SITE_RETURN && memchr(ps->insn, '\0', sizeof(ps->insn));
}

static bool take_plan(const struct allocator *a, struct plan *plan, const struct kept *kept)
{
	if (memcmp(plan->symbol, kept->symbol, sizeof(plan->symbol)) != 0 || plan->vaddr != kept->vaddr ||
	    plan->nbytes != kept->nbytes || kept->nr_sites > PLAN_SITES_MAX || !memchr(kept->why, '\0', sizeof(kept->why)))
		return false;
	for (unsigned i = 0; i < kept->nr_sites; i++)
		if (!site_fits(a, &kept->sites[i]))
			return false;
	plan->nr_sites = kept->nr_sites;
	plan->check = kept->check;
	plan->traps = kept->traps;
	plan->counted = kept->counted;
	plan->skipped = kept->skipped;
	plan->by_flow = kept->by_flow;
	memcpy(plan->why, kept->why, sizeof(plan->why));
	memcpy(plan->sites, kept->sites, sizeof(plan->sites));
	return true;
}

static int read_whole(const char *path, size_t nbytes, uint8_t *bytes)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), err = 0;

	if (fd < 0)
		return -errno;
	/* Nobody else's word is taken for where to put breakpoints. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
		err = -EPERM;
	else if ((uint64_t)st.st_size != nbytes || read(fd, bytes, nbytes) != (ssize_t)nbytes)
		err = -EBADMSG;
	close(fd);
	return err;
}

static size_t file_nbytes(const struct allocator *a)
{
	return sizeof(struct head) + a->nr_plans * sizeof(struct kept) + sizeof(uint64_t);
}

static bool head_fits(const struct allocator *a, const struct head *h, uint64_t key)
{
	return !memcmp(h->magic, magic, sizeof(magic)) && h->version == PLANNER_VERSION && h->plan_nbytes == sizeof(struct kept) &&
	       h->nr_plans == a->nr_plans && h->key == key;
}

int plans_cache_load(struct allocator *a, const struct plan_rules *rules, struct plans_note *note_ret)
{
	uint64_t key = key_of(a, rules), sum;
	size_t nbytes = file_nbytes(a);
	const struct kept *kept;
	struct head head;
	char path[PATH_MAX];
	uint8_t *bytes;
	int result;

	if (!key || !path_of(a, key, path, sizeof(path)))
		return 0;
	bytes = malloc(nbytes);
	if (!bytes)
		return -ENOMEM;
	result = read_whole(path, nbytes, bytes) ? 0 : 1;
	if (result) {
		memcpy(&head, bytes, sizeof(head));
		memcpy(&sum, bytes + nbytes - sizeof(sum), sizeof(sum));
		result = head_fits(a, &head, key) && XXH3_64bits(bytes, nbytes - sizeof(sum)) == sum;
	}
	kept = (const struct kept *)(const void *)(bytes + sizeof(head));
	for (unsigned i = 0; i < a->nr_plans && result; i++)
		result = take_plan(a, &a->plans[i], &kept[i]);
	if (result)
		*note_ret = head.note;
	free(bytes);
	return result;
}

/* ---- writing ---- */

static void keep_plan(const struct plan *plan, struct kept *kept)
{
	memcpy(kept->symbol, plan->symbol, sizeof(kept->symbol));
	kept->vaddr = plan->vaddr;
	kept->nbytes = plan->nbytes;
	kept->nr_sites = plan->nr_sites;
	kept->check = plan->check;
	kept->traps = plan->traps;
	kept->counted = plan->counted;
	kept->skipped = plan->skipped;
	kept->by_flow = plan->by_flow;
	memcpy(kept->why, plan->why, sizeof(kept->why));
	memcpy(kept->sites, plan->sites, sizeof(kept->sites));
}

/* Beside it under another name first: a reader finds a whole file or none. */
static int write_whole(const char *path, const uint8_t *bytes, size_t nbytes)
{
	char temporary[PATH_MAX + 16];
	int fd, err = 0;

	snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid());
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, bytes, nbytes) != (ssize_t)nbytes)
		err = -EIO;
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(temporary, path))
		err = -errno;
	if (err)
		unlink(temporary);
	return err;
}

int plans_cache_store(const struct allocator *a, const struct plan_rules *rules, const struct plans_note *note)
{
	struct head head = { .version = PLANNER_VERSION,
			     .plan_nbytes = sizeof(struct kept),
			     .nr_plans = a->nr_plans,
			     .key = key_of(a, rules),
			     .note = *note };
	size_t nbytes = file_nbytes(a);
	char path[PATH_MAX];
	struct kept *kept;
	uint8_t *bytes;
	uint64_t sum;
	int err;

	memcpy(head.magic, magic, sizeof(magic));
	if (!head.key || !path_of(a, head.key, path, sizeof(path)))
		return -ENOENT;
	bytes = calloc(1, nbytes);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, &head, sizeof(head));
	kept = (struct kept *)(void *)(bytes + sizeof(head));
	for (unsigned i = 0; i < a->nr_plans; i++)
		keep_plan(&a->plans[i], &kept[i]);
	sum = XXH3_64bits(bytes, nbytes - sizeof(sum));
	memcpy(bytes + nbytes - sizeof(sum), &sum, sizeof(sum));
	err = write_whole(path, bytes, nbytes);
	free(bytes);
	return err;
}
