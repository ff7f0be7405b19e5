/* SPDX-License-Identifier: BSD-2-Clause */
/* A live process by way of /proc. */
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"

int process_open(pid_t pid, struct process *p)
{
	char path[32];
	int err;

	*p = (struct process){ .pid = pid, .proc_fd = -1, .mem_fd = -1, .pid_fd = -1 };
	snprintf(path, sizeof(path), "/proc/%d", pid);
	p->proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->proc_fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	p->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* EINVAL, later ENOENT: a thread that leads no group; process_check says so. */
	if (p->pid_fd < 0 && errno != EINVAL && errno != ENOENT) {
		err = -errno;
		process_close(p);
		return err;
	}
	process_reopen_mem(p);
	return 0;
}

void process_close(struct process *p)
{
	if (p->mem_fd >= 0)
		close(p->mem_fd);
	if (p->pid_fd >= 0)
		close(p->pid_fd);
	if (p->proc_fd >= 0)
		close(p->proc_fd);
	p->proc_fd = p->mem_fd = p->pid_fd = -1;
}

void process_reopen_mem(struct process *p)
{
	if (p->mem_fd >= 0)
		close(p->mem_fd);
	p->mem_fd = openat(p->proc_fd, "mem", O_RDONLY | O_CLOEXEC);
}

static int status_field(const char *status, const char *name, char *buf, size_t buf_nbytes)
{
	size_t len = strlen(name);
	const char *line = status;

	while (line && (strncmp(line, name, len) != 0 || line[len] != ':')) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!line)
		return -ENOENT;
	line += len + 1;
	line += strspn(line, " \t");
	snprintf(buf, buf_nbytes, "%.*s", (int)strcspn(line, "\n"), line);
	return 0;
}

/* EI_CLASS of the running program; ELFCLASSNONE if it cannot be read. */
static int exe_class(const struct process *p)
{
	unsigned char ident[EI_NIDENT];
	ssize_t got;
	int fd;

	fd = openat(p->proc_fd, "exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ELFCLASSNONE;
	got = pread(fd, ident, sizeof(ident), 0);
	close(fd);
	return got == sizeof(ident) && !memcmp(ident, ELFMAG, SELFMAG) ? ident[EI_CLASS] : ELFCLASSNONE;
}

int process_check(const struct process *p, enum process_refusal *refusal_ret, pid_t *tgid_ret)
{
	char field[64], *status;
	int err;

	err = file_read_all_at(p->proc_fd, "status", &status, NULL);
	if (err)
		return err;
	*refusal_ret = PROCESS_OK;
	*tgid_ret = p->pid;
	if (!status_field(status, "Tgid", field, sizeof(field)))
		*tgid_ret = atoi(field);
	if (*tgid_ret != p->pid)
		*refusal_ret = PROCESS_IS_THREAD;
	else if (!status_field(status, "State", field, sizeof(field)) && (field[0] == 'Z' || field[0] == 'X'))
		*refusal_ret = PROCESS_ZOMBIE;
	else if (status_field(status, "VmSize", field, sizeof(field)))
		*refusal_ret = PROCESS_KERNEL_THREAD; /* no address space of its own */
	else if (exe_class(p) == ELFCLASS32)
		*refusal_ret = PROCESS_32BIT;
	free(status);
	return 0;
}

bool process_is_alive(const struct process *p)
{
	struct pollfd pfd = { .fd = p->pid_fd, .events = POLLIN };

	return p->pid_fd >= 0 && poll(&pfd, 1, 0) == 0;
}

int process_read(const struct process *p, uint64_t addr, void *buf, size_t nbytes)
{
	ssize_t got;

	if (p->mem_fd < 0)
		return -EACCES;
	do
		got = pread(p->mem_fd, buf, nbytes, (off_t)addr);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EIO ? -EFAULT : -errno;
	return (size_t)got == nbytes ? 0 : -EFAULT;
}

int process_each_thread(const struct process *p, int (*fn)(void *arg, pid_t tid), void *arg)
{
	int fd = openat(p->proc_fd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;
	int result = 0;
	DIR *dir;

	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (!result && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			result = fn(arg, atoi(entry->d_name));
	closedir(dir);
	return result;
}

void process_thread_name(const struct process *p, pid_t tid, char name[16])
{
	char path[48];

	snprintf(path, sizeof(path), "task/%d/comm", tid);
	if (file_read_line_at(p->proc_fd, path, name, 16))
		name[0] = '\0';
}

char *process_exe(const struct process *p)
{
	char path[PATH_MAX];
	ssize_t len = readlinkat(p->proc_fd, "exe", path, sizeof(path) - 1);

	if (len < 0)
		return NULL;
	path[len] = '\0';
	return strdup(path);
}

static bool word_is_plain(const char *word)
{
	if (!*word)
		return false;
	for (; *word; word++)
		if (!isalnum((unsigned char)*word) && !strchr("_-./=:,@%+", *word))
			return false;
	return true;
}

/* A word in single quotes; a quote inside becomes '\''. */
static void word_print(FILE *out, const char *word)
{
	if (word_is_plain(word)) {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	}
	fputc('\'', out);
}

char *process_cmdline(const struct process *p)
{
	size_t nbytes, line_nbytes;
	char *words, *line = NULL;
	FILE *out;

	if (file_read_all_at(p->proc_fd, "cmdline", &words, &nbytes))
		return NULL;
	/* A program that shows a title in the place of its arguments leaves the rest empty. */
	while (nbytes > 1 && !words[nbytes - 1] && !words[nbytes - 2])
		nbytes--;
	out = open_memstream(&line, &line_nbytes);
	if (out) {
		for (size_t at = 0; at < nbytes; at += strlen(words + at) + 1) {
			if (at)
				fputc(' ', out);
			word_print(out, words + at);
		}
		fclose(out);
	}
	free(words);
	return line;
}

/* Names by which people set allocators; the rest of the environment is nobody's business. */
static bool name_is_setting(const char *entry)
{
	static const char *const prefixes[] = { "MALLOC_",   "GLIBC_TUNABLES=", "JE_MALLOC_CONF=", "_RJEM_MALLOC_CONF=",
						"MIMALLOC_", "TCMALLOC_",	"SCUDO_OPTIONS=" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(entry, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

int process_each_setting(const struct process *p, int (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	int err, result = 0;
	size_t nbytes;
	char *env;

	err = file_read_all_at(p->proc_fd, "environ", &env, &nbytes);
	if (err)
		return err;
	for (size_t at = 0; at < nbytes && !result; at += strlen(env + at) + 1) {
		char copy[4096], *value;

		if (!name_is_setting(env + at) || strlen(env + at) >= sizeof(copy) || !strchr(env + at, '='))
			continue;
		strcpy(copy, env + at);
		value = strchr(copy, '=');
		*value++ = '\0';
		result = fn(arg, copy, value);
	}
	free(env);
	return result;
}

int process_resident(const struct process *p, struct process_resident *resident_ret)
{
	char *status;
	int err;

	err = file_read_all_at(p->proc_fd, "status", &status, NULL);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	if (text_find_kb(status, "RssAnon", &resident_ret->anon) || text_find_kb(status, "RssFile", &resident_ret->file) ||
	    text_find_kb(status, "RssShmem", &resident_ret->shmem))
		err = -ESRCH; /* a zombie has no such lines any more */
	free(status);
	return err;
}

void process_restrictions(const struct process *p, bool *seccomp_ret, bool *shadow_stack_ret)
{
	const char *line;
	char *status;

	*seccomp_ret = *shadow_stack_ret = false;
	if (file_read_all_at(p->proc_fd, "status", &status, NULL))
		return;
	line = strstr(status, "\nSeccomp:");
	*seccomp_ret = line && strtoul(line + strlen("\nSeccomp:"), NULL, 10) != 0;
	line = strstr(status, "\nx86_Thread_features:");
	if (line) {
		const char *word = strstr(line, "shstk"), *end = strchr(line + 1, '\n');

		*shadow_stack_ret = word && end && word < end;
	}
	free(status);
}
