/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/syscalls.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILTER_MAX 256

static int read_tracepoint(const char *path, uint64_t *id_ret)
{
	unsigned long long id = 0;
	FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	int got = fscanf(f, "%llu", &id);
	fclose(f);
	*id_ret = id;
	return got == 1 ? 0 : -EINVAL;
}

static int find_tracepoint(uint64_t *id_ret)
{
	int err = read_tracepoint("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id", id_ret);

	return err == -ENOENT ? read_tracepoint("/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id", id_ret) : err;
}

int syscalls_open(pid_t pid)
{
	static const long numbers[] = { SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk };
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .inherit = 1 };
	char filter[FILTER_MAX] = "";
	size_t at = 0;
	uint64_t id = 0;
	int fd, err = find_tracepoint(&id);

	if (err)
		return err;
	attr.config = id;
	fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		at += (size_t)snprintf(filter + at, sizeof(filter) - at, "%sid == %ld", i ? " || " : "", numbers[i]);
	if (!ioctl(fd, PERF_EVENT_IOC_SET_FILTER, filter))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

int syscalls_read(int fd, uint64_t *nr_ret)
{
	return read(fd, nr_ret, sizeof(*nr_ret)) == sizeof(*nr_ret) ? 0 : -EIO;
}
