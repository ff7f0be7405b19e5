/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plan file while it is written: mapped extent by extent, so that positions stay addresses that can be
 * written to again, and old extents do not stay in memory.
 */
#include "replay/plan_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXTENT_OPS (1u << 22) /* 64 MiB; a power of two, so that no chunk lies across two */
#define EXTENT_NBYTES ((uint64_t)EXTENT_OPS * PLAN_OP_NBYTES)
#define EXTENTS_KEPT 4        /* what is older is written out and read again if it is flagged after all */

struct plan_out {
	int fd;
	uint64_t next; /* position of the next chunk */
	struct plan_op **extents;
	size_t nr_extents, extents_max;
	uint64_t file_nbytes; /* with tables */
};

static int open_nameless(const char *dir)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return -errno;
	char *path;
	if (asprintf(&path, "%s/heaptape-plan-XXXXXX", dir) < 0)
		return -ENOMEM;
	fd = mkostemp(path, O_CLOEXEC);
	int err = -errno;
	if (fd >= 0)
		unlink(path);
	free(path);
	return fd >= 0 ? fd : err;
}

int plan_out_new(const char *dir, struct plan_out **out_ret)
{
	*out_ret = NULL;
	struct plan_out *out = calloc(1, sizeof(*out));
	if (!out)
		return -ENOMEM;
	out->next = PLAN_HEADER_OPS;
	out->fd = open_nameless(dir);
	if (out->fd < 0) {
		int err = out->fd;
		free(out);
		return err;
	}
	*out_ret = out;
	return 0;
}

void plan_out_free(struct plan_out *out)
{
	if (!out)
		return;
	for (size_t i = 0; i < out->nr_extents; i++)
		munmap(out->extents[i], EXTENT_NBYTES);
	free(out->extents);
	if (out->fd >= 0)
		close(out->fd);
	free(out);
}

/* Disk space is taken here, so that a full disk is an error now and not a SIGBUS at some later write. */
static int add_extent(struct plan_out *out)
{
	if (out->nr_extents == out->extents_max) {
		size_t max = out->extents_max ? out->extents_max * 2 : 16;
		struct plan_op **extents = reallocarray(out->extents, max, sizeof(*extents));
		if (!extents)
			return -ENOMEM;
		out->extents = extents;
		out->extents_max = max;
	}
	off_t at = (off_t)(out->nr_extents * EXTENT_NBYTES);
	int err = posix_fallocate(out->fd, at, (off_t)EXTENT_NBYTES);
	if (err)
		return -err;
	void *map = mmap(NULL, EXTENT_NBYTES, PROT_READ | PROT_WRITE, MAP_SHARED, out->fd, at);
	if (map == MAP_FAILED)
		return -errno;
	out->extents[out->nr_extents++] = map;
	if (out->nr_extents > EXTENTS_KEPT)
		madvise(out->extents[out->nr_extents - 1 - EXTENTS_KEPT], EXTENT_NBYTES, MADV_DONTNEED);
	return 0;
}

struct plan_op *plan_out_at(struct plan_out *out, uint32_t pos)
{
	return out->extents[pos / EXTENT_OPS] + pos % EXTENT_OPS;
}

/* Chunks are powers of two and stand at multiples of their size. */
static int chunk_alloc(struct plan_out *out, uint32_t nr_ops, uint32_t *pos_ret)
{
	uint64_t pos = (out->next + nr_ops - 1) & ~(uint64_t)(nr_ops - 1);
	if (pos + nr_ops > UINT32_MAX)
		return -EFBIG;
	while (pos + nr_ops > out->nr_extents * (uint64_t)EXTENT_OPS) {
		int err = add_extent(out);
		if (err)
			return err;
	}
	out->next = pos + nr_ops;
	*pos_ret = (uint32_t)pos;
	return 0;
}

static void stream_enter(struct plan_out *out, struct plan_stream *s, uint32_t pos, uint32_t nr_ops)
{
	s->pos = pos;
	s->end = pos + nr_ops - 1;
	s->chunk_nr = nr_ops;
	s->op = plan_out_at(out, pos);
}

int plan_stream_open(struct plan_out *out, struct plan_stream *s)
{
	uint32_t pos;
	int err = chunk_alloc(out, PLAN_CHUNK_MIN, &pos);
	if (err)
		return err;
	s->first_pos = pos;
	s->first_nr = PLAN_CHUNK_MIN;
	stream_enter(out, s, pos, PLAN_CHUNK_MIN);
	return 0;
}

int plan_stream_grow(struct plan_out *out, struct plan_stream *s)
{
	uint32_t nr_ops = s->chunk_nr < PLAN_CHUNK_MAX ? s->chunk_nr * 2 : PLAN_CHUNK_MAX, pos;
	int err = chunk_alloc(out, nr_ops, &pos);
	if (err)
		return err;
	*s->op = (struct plan_op){ .kind = PLAN_JUMP, .slot = nr_ops, .arg = pos };
	s->nr++;
	stream_enter(out, s, pos, nr_ops);
	return 0;
}

static int pwrite_all(int fd, const void *data, size_t nbytes, uint64_t at)
{
	const char *p = data;
	while (nbytes) {
		ssize_t n = pwrite(fd, p, nbytes, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		at += (uint64_t)n;
		nbytes -= (size_t)n;
	}
	return 0;
}

int plan_out_table(struct plan_out *out, const void *data, size_t nbytes, uint64_t *at_ret)
{
	uint64_t ops_end = out->next * PLAN_OP_NBYTES;
	uint64_t at = out->file_nbytes > ops_end ? out->file_nbytes : ops_end;
	at = (at + PLAN_PAGE - 1) & ~(uint64_t)(PLAN_PAGE - 1);
	int err = pwrite_all(out->fd, data, nbytes, at);
	if (err)
		return err;
	out->file_nbytes = at + nbytes;
	*at_ret = at;
	return 0;
}

int plan_out_finish(struct plan_out *out, struct plan_header *head, int *fd_ret)
{
	head->file_nbytes = (out->file_nbytes + PLAN_PAGE - 1) & ~(uint64_t)(PLAN_PAGE - 1);
	if (ftruncate(out->fd, (off_t)head->file_nbytes))
		return -errno;
	int err = pwrite_all(out->fd, head, sizeof(*head), 0);
	if (err)
		return err;
	*fd_ret = out->fd;
	out->fd = -1;
	return 0;
}
