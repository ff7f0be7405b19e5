/* SPDX-License-Identifier: BSD-2-Clause */
/* Facts about machine and target onto the tape. */
#include "machine.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "target/files.h"

static unsigned count_numa_nodes(void)
{
	DIR *dir = opendir("/sys/devices/system/node");
	struct dirent *entry;
	unsigned n = 0;

	while (dir && (entry = readdir(dir)))
		n += !strncmp(entry->d_name, "node", 4) && isdigit((unsigned char)entry->d_name[4]);
	if (dir)
		closedir(dir);
	return n ? n : 1;
}

/* CPUs the target may run on; 0 if the kernel does not say. */
static unsigned count_allowed_cpus(pid_t pid)
{
	size_t nbytes = CPU_ALLOC_SIZE(8192);
	cpu_set_t *set = CPU_ALLOC(8192);
	unsigned n = 0;

	if (set && !sched_getaffinity(pid, nbytes, set))
		n = (unsigned)CPU_COUNT_S(nbytes, set);
	CPU_FREE(set);
	return n;
}

/* "always [madvise] never": the word in brackets. */
static int write_thp(struct tape_writer *w)
{
	char line[128], *open, *close;

	if (file_read_line_at(AT_FDCWD, "/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line)))
		return 0;
	open = strchr(line, '[');
	close = open ? strchr(open, ']') : NULL;
	if (!close)
		return 0;
	*close = '\0';
	return tape_writer_meta(w, "machine.thp", open + 1);
}

/* The memory limit of the target's cgroup: version 2 ("0::PATH"), else the memory controller of version 1. */
static int write_cgroup_limit(struct tape_writer *w, const struct process *p)
{
	char *text, *line, *save = NULL, path[4608], limit[64] = "";

	if (file_read_all_at(p->proc_fd, "cgroup", &text, NULL))
		return 0;
	for (line = strtok_r(text, "\n", &save); line && !*limit; line = strtok_r(NULL, "\n", &save)) {
		char *controllers = strchr(line, ':'), *cgroup = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!cgroup)
			continue;
		*cgroup++ = '\0';
		if (!controllers[1])
			snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.max", cgroup);
		else if (!strcmp(controllers + 1, "memory"))
			snprintf(path, sizeof(path), "/sys/fs/cgroup/memory%s/memory.limit_in_bytes", cgroup);
		else
			continue;
		file_read_line_at(AT_FDCWD, path, limit, sizeof(limit));
	}
	free(text);
	return *limit ? tape_writer_meta(w, "machine.cgroup_limit", limit) : 0;
}

int machine_write(struct tape_writer *w, const struct process *p)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned allowed = count_allowed_cpus(p->pid);
	char overcommit[32];
	struct utsname uts;
	int err = 0;

	if (!uname(&uts)) {
		err = tape_writer_meta(w, "machine.kernel", uts.release);
		if (!err)
			err = tape_writer_meta(w, "machine.arch", uts.machine);
	}
	if (!err)
		err = tape_writer_meta_u64(w, "machine.cpus", (uint64_t)cpus);
	if (!err && allowed)
		err = tape_writer_meta_u64(w, "machine.cpus_allowed", allowed);
	if (!err)
		err = tape_writer_meta_u64(w, "machine.numa_nodes", count_numa_nodes());
	if (!err)
		err = tape_writer_meta_u64(w, "machine.page_size", (uint64_t)sysconf(_SC_PAGESIZE));
	if (!err)
		err = write_thp(w);
	if (!err && !file_read_line_at(AT_FDCWD, "/proc/sys/vm/overcommit_memory", overcommit, sizeof(overcommit)))
		err = tape_writer_meta(w, "machine.overcommit", overcommit);
	return err ? err : write_cgroup_limit(w, p);
}

static int write_setting(void *arg, const char *name, const char *value)
{
	char key[256];

	snprintf(key, sizeof(key), "target.env.%s", name);
	return tape_writer_meta(arg, key, value);
}

int target_write(struct tape_writer *w, const struct process *p, bool with_cmdline)
{
	char *exe = process_exe(p), *cmdline = with_cmdline ? process_cmdline(p) : NULL;
	int err;

	err = tape_writer_meta_u64(w, "target.pid", (uint64_t)p->pid);
	if (!err && exe)
		err = tape_writer_meta(w, "target.exe", exe);
	if (!err && cmdline)
		err = tape_writer_meta(w, "target.cmdline", cmdline);
	if (!err) {
		err = process_each_setting(p, write_setting, w);
		/* Without the right to read the environment, the settings are not on the tape; nothing else fails. */
		if (err && !tape_writer_error(w)[0])
			err = 0;
	}
	free(exe);
	free(cmdline);
	return err;
}
