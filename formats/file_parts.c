/* SPDX-License-Identifier: BSD-2-Clause */
/* file_parts.c - see file_parts.h. */
#include "file_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block.h"
#include "io.h"

/* Takes ownership of fd when it returns 0. */
static int add_part(struct file_parts *f, int fd, uint64_t nbytes)
{
	uint64_t skip = f->nr ? FILE_HEAD_NBYTES : 0;

	if (f->nr == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 8;
		struct file_part *parts = reallocarray(f->parts, cap, sizeof(*parts));

		if (!parts)
			return -ENOMEM;
		f->parts = parts;
		f->cap = cap;
	}
	if (nbytes < skip)
		skip = nbytes; /* killed within the head */
	f->parts[f->nr++] = (struct file_part){ .fd = fd, .start = f->nbytes, .nbytes = nbytes - skip, .skip = skip };
	f->nbytes += nbytes - skip;
	return 0;
}

static int open_file(struct file_parts *f, int fd)
{
	struct stat st;
	int err = fstat(fd, &st) < 0 ? -errno : !S_ISREG(st.st_mode) ? -EINVAL : add_part(f, fd, (uint64_t)st.st_size);

	if (err)
		close(fd);
	return err;
}

static int is_segment(const struct dirent *e)
{
	unsigned number;
	char name[32];

	if (sscanf(e->d_name, "%u", &number) != 1)
		return 0;
	snprintf(name, sizeof(name), FILE_PART_NAME, number);
	return strcmp(name, e->d_name) == 0;
}

static int open_folder(struct file_parts *f, int dir)
{
	struct dirent **names = NULL;
	int nr = scandirat(dir, ".", &names, is_segment, alphasort), err = nr < 0 ? -errno : 0;

	for (int i = 0; i < nr; i++) {
		int fd = err ? -1 : openat(dir, names[i]->d_name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

		if (fd >= 0)
			err = open_file(f, fd);
		else if (!err && errno != ENOENT) /* a live ring has dropped it meanwhile */
			err = -errno;
		free(names[i]);
	}
	free(names);
	return err ? err : f->nr ? 0 : -EISDIR;
}

int file_parts_open(struct file_parts *f, const char *path)
{
	struct stat st;
	/* O_NONBLOCK: a fifo must be refused, not waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), err;

	*f = (struct file_parts){ 0 };
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return open_file(f, fd);
	err = open_folder(f, fd);
	close(fd);
	return err;
}

void file_parts_close(struct file_parts *f)
{
	for (size_t i = 0; i < f->nr; i++)
		close(f->parts[i].fd);
	free(f->parts);
	*f = (struct file_parts){ 0 };
}

long file_parts_read(const struct file_parts *f, void *data, size_t nbytes, uint64_t offset)
{
	size_t done = 0;

	for (size_t i = 0; i < f->nr && done < nbytes; i++) {
		const struct file_part *p = &f->parts[i];
		uint64_t in = offset + done - p->start, want = nbytes - done;
		long n;

		if (offset + done < p->start || in >= p->nbytes)
			continue;
		if (want > p->nbytes - in)
			want = p->nbytes - in;
		n = io_pread_all(p->fd, (char *)data + done, want, p->skip + in);
		if (n < 0)
			return n;
		done += (size_t)n;
		if ((uint64_t)n < want)
			break; /* cut while it was read */
	}
	return (long)done;
}
