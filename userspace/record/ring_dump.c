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

static const char *const cause_names[] = { [RING_SIGNAL] = "signal", [RING_RSS] = "rss", [RING_EXIT] = "exit", [RING_OOM] = "oom" };

const char *ring_cause_name(enum ring_cause cause)
{
	return cause_names[cause];
}

static bool number_is_taken(const char *path, unsigned number, char *name, size_t nbytes)
{
	for (int cause = 0; cause < RING_CAUSE_NR; cause++) {
		snprintf(name, nbytes, "%s.%u.%s", path, number, cause_names[cause]);
		if (access(name, F_OK) == 0)
			return true;
	}
	return false;
}

static void free_name(const char *path, enum ring_cause cause, char *name, size_t nbytes)
{
	unsigned number = 1;

	while (number < DUMPS_MAX && number_is_taken(path, number, name, nbytes))
		number++;
	snprintf(name, nbytes, "%s.%u.%s", path, number, cause_names[cause]);
}

/* Under another name until it is whole, so that whoever waits for the file never sees half of it. */
static int copy(const struct file_parts *parts, enum ring_cause cause, const char *path)
{
	char part[sizeof(((struct ring_dump *)0)->path) + 8];
	int fd, err;

	snprintf(part, sizeof(part), "%s.part", path);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = tape_copy(parts, cause_names[cause], fd);
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

int ring_dump_start(struct ring_dump *d, const char *path, enum ring_cause cause)
{
	struct file_parts parts;
	int err;

	if (d->pid)
		return -EBUSY;
	free_name(path, cause, d->path, sizeof(d->path));
	/* Opened before the fork: the files may be dropped at any time after it. */
	err = file_parts_open(&parts, path);
	if (err)
		return err;
	d->last = cause == RING_EXIT || cause == RING_OOM;
	d->pid = fork();
	if (d->pid == 0) {
		become_copier(&parts);
		_exit(copy(&parts, cause, d->path) ? 1 : 0);
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
		message_info("copied to %s%s", d->path, d->last ? "" : "; recording goes on");
	else
		message_warn("%s: the copy could not be written (is the disk full?); the ring itself is as it was", d->path);
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
