/* SPDX-License-Identifier: BSD-2-Clause */
/* ring_dump.c - see ring_dump.h. */
#include "record/ring_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "formats/file_parts.h"
#include "formats/tape_copy.h"
#include "message.h"

#define DUMPS_MAX 10000

static void free_name(const char *path, char *name, size_t nbytes)
{
	for (unsigned i = 1; i < DUMPS_MAX; i++) {
		snprintf(name, nbytes, "%s.%u", path, i);
		if (access(name, F_OK) < 0)
			return;
	}
}

/* Under another name until it is whole, so that whoever waits for the file never sees half of it. */
static int copy(const struct file_parts *parts, const char *path)
{
	char part[sizeof(((struct ring_dump *)0)->path) + 8];
	int fd, err;

	snprintf(part, sizeof(part), "%s.part", path);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = tape_copy(parts, fd);
	if (!err && fsync(fd) < 0)
		err = -errno;
	close(fd);
	if (!err && rename(part, path) < 0)
		err = -errno;
	if (err)
		unlink(part);
	return err;
}

/* The probes live in descriptors: a copy that outlived its recorder must not hold them. */
static void become_copier(const struct file_parts *parts)
{
	int next = 3;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < parts->nr; i++) { /* opened one by one, so in ascending order */
		if (parts->parts[i].fd > next)
			close_range((unsigned)next, (unsigned)parts->parts[i].fd - 1, 0);
		if (parts->parts[i].fd >= next)
			next = parts->parts[i].fd + 1;
	}
	close_range((unsigned)next, ~0u, 0);
}

int ring_dump_start(struct ring_dump *d, const char *path)
{
	struct file_parts parts;
	int err;

	if (d->pid)
		return -EBUSY;
	free_name(path, d->path, sizeof(d->path));
	/* Opened before the fork: the files may be dropped at any time after it. */
	err = file_parts_open(&parts, path);
	if (err)
		return err;
	d->pid = fork();
	if (d->pid == 0) {
		become_copier(&parts);
		_exit(copy(&parts, d->path) ? 1 : 0);
	}
	err = d->pid < 0 ? -errno : 0;
	if (err)
		d->pid = 0;
	file_parts_close(&parts);
	return err;
}

static void step(struct ring_dump *d, int flags)
{
	int status;
	pid_t got = d->pid ? waitpid(d->pid, &status, flags) : 0;

	if (got == 0 || (got < 0 && errno == EINTR))
		return;
	d->pid = 0;
	if (got > 0 && WIFEXITED(status) && !WEXITSTATUS(status))
		message_info("dumped to %s; recording goes on", d->path);
	else
		message_warn("%s: the copy could not be written", d->path);
}

void ring_dump_step(struct ring_dump *d)
{
	step(d, WNOHANG);
}

void ring_dump_finish(struct ring_dump *d)
{
	while (d->pid)
		step(d, 0);
}
