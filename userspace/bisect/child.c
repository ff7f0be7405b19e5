/* SPDX-License-Identifier: BSD-2-Clause */
/* child.c - see child.h. */
#include "bisect/child.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_NO_PROGRAM 127
#define LOG_TAIL_NBYTES 16384 /* of a log, in which the reason is looked for */

static _Noreturn void become(const struct child *c, int out_fd)
{
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing of it outlives us */
	if (c->timeout_ns)
		setpgid(0, 0); /* so that all of it can be ended */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out_fd, STDOUT_FILENO) < 0 ||
	    dup2(c->drop_errors ? null : out_fd, STDERR_FILENO) < 0 || (c->dir && chdir(c->dir)))
		_exit(EXIT_NO_PROGRAM);
	execvp(c->argv[0], (char *const *)(uintptr_t)c->argv);
	_exit(EXIT_NO_PROGRAM);
}

static int read_all(struct child *c, int fd)
{
	size_t max = 0;
	ssize_t n = 1;

	c->output_nbytes = 0;
	while (n) {
		if (c->output_nbytes + 4096 > max) {
			char *more = realloc(c->output, max = max ? max * 2 : 8192);

			if (!more)
				return -ENOMEM;
			c->output = more;
		}
		n = read(fd, c->output + c->output_nbytes, max - c->output_nbytes - 1);
		if (n < 0 && errno != EINTR)
			return -errno;
		c->output_nbytes += n > 0 ? (size_t)n : 0;
	}
	c->output[c->output_nbytes] = '\0';
	return 0;
}

/* Ends a process that takes too long, and its children. A signal that is for us is for them too: they have a group of their own. */
static int wait_limited(pid_t pid, uint64_t timeout_ns, int *status, bool *late)
{
	uint64_t end = clock_monotonic_ns() + timeout_ns;
	pid_t got;

	setpgid(pid, pid); /* whichever of us comes first */
	while (!(got = waitpid(pid, status, WNOHANG)) && clock_monotonic_ns() < end && !child_stopped())
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	if (got)
		return got < 0 ? -errno : 0;
	*late = !child_stopped();
	kill(-pid, SIGKILL);
	return waitpid(pid, status, 0) < 0 ? -errno : 0;
}

static int wait_for(const struct child *c, pid_t pid)
{
	bool late = false;
	int status, err = c->timeout_ns ? wait_limited(pid, c->timeout_ns, &status, &late) : 0;

	if (err)
		return err;
	while (!c->timeout_ns && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (late)
		return CHILD_TIMED_OUT;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int child_run(struct child *c)
{
	int fds[2] = { -1, -1 }, err = 0, status;
	pid_t pid;

	free(c->output);
	c->output = NULL;
	if (c->log)
		fds[1] = open(c->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	else if (pipe2(fds, O_CLOEXEC))
		return -errno;
	if (fds[1] < 0)
		return -errno;
	pid = fork();
	if (!pid)
		become(c, fds[1]);
	err = pid < 0 ? -errno : 0;
	close(fds[1]);
	if (!err && !c->log)
		err = read_all(c, fds[0]);
	if (fds[0] >= 0)
		close(fds[0]);
	status = pid > 0 ? wait_for(c, pid) : err;
	return err ? err : status;
}

/* ---- signals ---- */

static volatile sig_atomic_t stopped;

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

void child_watch_signals(void)
{
	struct sigaction sa = { .sa_handler = stop };

	for (size_t i = 0; i < 3; i++)
		sigaction((int[]){ SIGINT, SIGTERM, SIGHUP }[i], &sa, NULL);
}

bool child_stopped(void)
{
	return stopped;
}

/* ---- last words ---- */

const char *text_last_line(const char *text, char *buf, size_t nbytes)
{
	const char *line = "";
	size_t len = 0;

	while (text && *text) {
		size_t n = strcspn(text, "\n");

		if (strspn(text, " \t\r") < n) {
			line = text;
			len = n;
		}
		text += n + (text[n] == '\n');
	}
	snprintf(buf, nbytes, "%.*s", (int)len, line);
	return buf;
}

const char *log_reason(const char *path, char *buf, size_t nbytes)
{
	char tail[LOG_TAIL_NBYTES + 1] = "", *error;
	FILE *f = fopen(path, "re");

	if (f) {
		if (fseek(f, -LOG_TAIL_NBYTES, SEEK_END))
			rewind(f);
		tail[fread(tail, 1, LOG_TAIL_NBYTES, f)] = '\0';
		fclose(f);
	}
	error = strcasestr(tail, "error");
	if (!error)
		return text_last_line(tail, buf, nbytes);
	while (error > tail && error[-1] != '\n')
		error--;
	error[strcspn(error, "\n")] = '\0';
	snprintf(buf, nbytes, "%s", error);
	return buf;
}

/* ---- rights ---- */

static int become_user(uid_t uid, gid_t gid)
{
	const struct passwd *pw = getpwuid(uid);

	if (pw ? initgroups(pw->pw_name, gid) : setgroups(0, NULL))
		return -errno;
	if (setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	/* Its own files in /proc belong to root again otherwise. */
	if (prctl(PR_SET_DUMPABLE, 1))
		return -errno;
	if (pw) {
		setenv("HOME", pw->pw_dir, 1);
		setenv("USER", pw->pw_name, 1);
		setenv("LOGNAME", pw->pw_name, 1);
	}
	return 1;
}

int child_drop_root(const char *dir)
{
	const char *uid = getenv("SUDO_UID"), *gid = getenv("SUDO_GID");
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (uid && gid && strtoul(uid, NULL, 10))
		return become_user((uid_t)strtoul(uid, NULL, 10), (gid_t)strtoul(gid, NULL, 10));
	if (!dir)
		return 0;
	if (stat(dir, &st))
		return -errno;
	return st.st_uid ? become_user(st.st_uid, st.st_gid) : 0;
}
