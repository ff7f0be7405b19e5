/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/plan_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define END_NBYTES (256u << 10) /* of the tape, at its beginning and at its end: heads, keyframes, meta, the index */

/* What a plan depends on. */
struct key {
	uint32_t version, facts_nbytes;
	uint64_t program_nbytes, program_mtime_ns; /* of this very program: nobody forgets to raise a number */
	uint64_t tape_nbytes, tape_ends;
	uint64_t skew_ns, at;
	uint32_t order, touch, placement, nr_checkpoints;
};

static int hash_part(int fd, XXH3_state_t *state, off_t at, size_t nbytes)
{
	uint8_t *part = malloc(nbytes);
	int err = part ? 0 : -ENOMEM;

	if (!err && pread(fd, part, nbytes, at) != (ssize_t)nbytes)
		err = -EIO;
	if (!err)
		XXH3_64bits_update(state, part, nbytes);
	free(part);
	return err;
}

static int hash_ends(int fd, uint64_t nbytes, uint64_t *hash_ret)
{
	XXH3_state_t *state = XXH3_createState();
	size_t part = nbytes < END_NBYTES ? (size_t)nbytes : END_NBYTES;
	int err = state ? 0 : -ENOMEM;

	if (!err) {
		XXH3_64bits_reset(state);
		err = hash_part(fd, state, 0, part);
	}
	if (!err)
		err = hash_part(fd, state, (off_t)(nbytes - part), part);
	if (!err)
		*hash_ret = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return err;
}

static int make_key(const char *tape_path, const struct plan_opts *opts, uint64_t *key_ret)
{
	struct key key;
	struct stat st = { 0 };
	int fd = open(tape_path, O_RDONLY | O_CLOEXEC), err = fd < 0 ? -errno : 0;

	memset(&key, 0, sizeof(key)); /* it is hashed with its padding */
	if (!err && fstat(fd, &st))
		err = -errno;
	if (!err && !S_ISREG(st.st_mode))
		err = -ENOENT;
	if (!err) {
		key.version = PLAN_VERSION;
		key.facts_nbytes = sizeof(struct plan_facts);
		key.tape_nbytes = (uint64_t)st.st_size;
		err = hash_ends(fd, key.tape_nbytes, &key.tape_ends);
	}
	if (fd >= 0)
		close(fd);
	if (!err && stat("/proc/self/exe", &st))
		err = -errno;
	key.program_nbytes = (uint64_t)st.st_size;
	key.program_mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
	key.skew_ns = opts->skew_ns ? opts->skew_ns : PLAN_SKEW_DEFAULT_NS;
	key.at = XXH3_64bits(opts->at_ns ? opts->at_ns : (const uint64_t *)"", opts->nr_at * sizeof(*opts->at_ns));
	key.order = opts->order;
	key.touch = opts->touch;
	key.placement = opts->placement;
	key.nr_checkpoints = opts->nr_checkpoints ? opts->nr_checkpoints : PLAN_CHECKPOINTS_DEFAULT;
	*key_ret = XXH3_64bits(&key, sizeof(key));
	return err;
}

static int kept_path(const char *tape_path, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s.plan", tape_path) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* The file's header if it is a plan at all. */
static int read_header(int fd, struct plan_header *head)
{
	ssize_t got = pread(fd, head, sizeof(*head), 0);

	return got == (ssize_t)sizeof(*head) && head->magic == PLAN_MAGIC ? 0 : -ENOENT;
}

static int read_table(int fd, const struct plan_header *head, uint64_t at, void *to, size_t nbytes)
{
	if (at > head->file_nbytes || nbytes > head->file_nbytes - at)
		return -ENOENT;
	return pread(fd, to, nbytes, (off_t)at) == (ssize_t)nbytes ? 0 : -EIO;
}

/* key: NULL: whatever it was made of. */
static int read_plan(int fd, const uint64_t *key, struct plan *plan)
{
	struct plan_header *head = &plan->head;
	struct stat st;
	int err;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_uid && st.st_uid != geteuid()) || st.st_mode & (S_IWGRP | S_IWOTH))
		return -ENOENT;
	err = read_header(fd, head);
	if (err)
		return err;
	if (head->version != PLAN_VERSION || (key && head->key != *key) || head->file_nbytes != (uint64_t)st.st_size)
		return -ENOENT;
	plan->checkpoints = calloc(head->nr_checkpoints + 1u, sizeof(*plan->checkpoints));
	plan->threads = calloc(head->nr_threads + 1u, sizeof(*plan->threads));
	if (!plan->checkpoints || !plan->threads)
		return -ENOMEM;
	err = read_table(fd, head, head->facts_at, &plan->facts, sizeof(plan->facts));
	if (!err)
		err = read_table(fd, head, head->checkpoints_at, plan->checkpoints, head->nr_checkpoints * sizeof(*plan->checkpoints));
	if (!err)
		err = read_table(fd, head, head->threads_at, plan->threads, head->nr_threads * sizeof(*plan->threads));
	return err;
}

int plan_cache_load(const char *tape_path, const struct plan_opts *opts, struct plan *plan)
{
	char path[PATH_MAX];
	uint64_t key;
	int fd, err = kept_path(tape_path, path);

	*plan = (struct plan){ .fd = -1 };
	fd = err ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err ? err : errno == ELOOP ? -ENOENT : -errno;
	err = make_key(tape_path, opts, &key);
	plan->fd = fd;
	if (!err)
		err = read_plan(fd, &key, plan);
	if (err)
		plan_free(plan);
	return err;
}

int plan_cache_open(const char *path, struct plan *plan)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), err;

	*plan = (struct plan){ .fd = fd };
	if (fd < 0)
		return -errno;
	err = read_plan(fd, NULL, plan);
	if (err)
		plan_free(plan);
	return err;
}

int plan_cache_copy(const struct plan *plan, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), err = fd < 0 ? -errno : 0;
	off_t at = 0;

	while (!err && (uint64_t)at < plan->head.file_nbytes)
		if (sendfile(fd, plan->fd, &at, plan->head.file_nbytes - (uint64_t)at) <= 0)
			err = errno ? -errno : -EIO;
	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	return err;
}

/* Puts a file without a name into the place of `path`, which is a plan of ours or nothing. */
static int link_over(int fd, const char *path)
{
	char from[64], aside[PATH_MAX];
	struct plan_header old;
	int err = 0, there = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (there >= 0) {
		err = read_header(there, &old) ? -EEXIST : 0;
		close(there);
	} else if (errno != ENOENT) {
		err = -EEXIST;
	}
	if (!err && snprintf(aside, sizeof(aside), "%s.%d", path, getpid()) >= (int)sizeof(aside))
		err = -ENAMETOOLONG;
	if (err)
		return err;
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, from, AT_FDCWD, aside, AT_SYMLINK_FOLLOW))
		return -errno;
	err = rename(aside, path) ? -errno : 0;
	if (err)
		unlink(aside);
	return err;
}

int plan_cache_keep(const char *tape_path, const struct plan_opts *opts, struct plan *plan)
{
	char path[PATH_MAX];
	int err = kept_path(tape_path, path);

	if (!err)
		err = make_key(tape_path, opts, &plan->head.key);
	if (!err && pwrite(plan->fd, &plan->head, sizeof(plan->head), 0) != (ssize_t)sizeof(plan->head))
		err = -EIO;
	return err ? err : link_over(plan->fd, path);
}

char *plan_cache_dir(const char *tape_path)
{
	const char *slash = strrchr(tape_path, '/');
	char *dir = slash ? strndup(tape_path, (size_t)(slash - tape_path) + 1) : strdup(".");

	if (dir && access(dir, W_OK)) {
		free(dir);
		return NULL;
	}
	return dir;
}
