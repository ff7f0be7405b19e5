/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts the command to be recorded. */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whom the command runs as; NULL entry: as we are. */
static int find_user(const char *user, const struct passwd **pw_ret)
{
	const char *sudo_uid = getenv("SUDO_UID");

	*pw_ret = NULL;
	errno = 0;
	if (user) {
		*pw_ret = getpwnam(user);
		return *pw_ret ? 0 : -ENOENT;
	}
	if (geteuid() || !sudo_uid)
		return 0;
	*pw_ret = getpwuid((uid_t)strtoul(sudo_uid, NULL, 10));
	return *pw_ret ? 0 : -ENOENT;
}

static int become(const struct passwd *pw)
{
	if (!pw || pw->pw_uid == geteuid())
		return 0;
	if (initgroups(pw->pw_name, pw->pw_gid) || setgid(pw->pw_gid) || setuid(pw->pw_uid))
		return -errno;
	setenv("HOME", pw->pw_dir, 1);
	setenv("USER", pw->pw_name, 1);
	setenv("LOGNAME", pw->pw_name, 1);
	return 0;
}

static void child_run(char *const argv[], const struct passwd *pw, char *const env[], int go_fd, int failed_fd)
{
	sigset_t none;
	int err;
	char go;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL); /* what the recorder ignores is not the command's business */
	signal(SIGXFSZ, SIG_DFL);
	err = -become(pw);
	for (; env && *env && !err; env++)
		err = putenv(*env) ? errno : 0;
	/* After the change of user, which clears it. A dead recorder must not leave a stopped child. */
	if (!err && prctl(PR_SET_PDEATHSIG, SIGCONT))
		err = errno;
	if (!err && read(go_fd, &go, 1) != 1)
		_exit(127); /* the recorder gave up */
	if (!err) {
		execvp(argv[0], argv);
		err = errno;
	}
	if (write(failed_fd, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

int launch_start(char *const argv[], const char *user, char *const env[], struct launch *launch)
{
	const struct passwd *pw;
	int go[2], failed[2], err;

	*launch = (struct launch){ .pid = -1, .go_fd = -1, .failed_fd = -1 };
	err = find_user(user, &pw);
	if (err)
		return err;
	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(failed, O_CLOEXEC)) {
		err = -errno;
		close(go[0]);
		close(go[1]);
		return err;
	}
	launch->pid = fork();
	if (!launch->pid) {
		close(go[1]); /* or the child would never see the recorder's end of it close */
		child_run(argv, pw, env, go[0], failed[1]);
	}
	err = launch->pid < 0 ? -errno : 0;
	close(go[0]);
	close(failed[1]);
	launch->go_fd = go[1];
	launch->failed_fd = failed[0];
	if (err)
		launch_close(launch);
	return err;
}

int launch_go(struct launch *launch)
{
	int err = 0, status;

	if (write(launch->go_fd, "g", 1) != 1)
		return -errno;
	/* End of file here means that exec went well: the descriptor was closed by it. */
	while (read(launch->failed_fd, &err, sizeof(err)) < 0 && errno == EINTR)
		;
	if (err) {
		waitpid(launch->pid, &status, 0);
		launch->pid = -1;
	}
	return -err;
}

int launch_exec(struct launch *launch)
{
	int err = launch_go(launch), status;

	if (err)
		return err;
	while (waitpid(launch->pid, &status, WUNTRACED) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSTOPPED(status) ? 0 : -ECHILD;
}

enum launch_state launch_poll(const struct launch *launch, int *status_ret, struct rusage *usage_ret)
{
	if (wait4(launch->pid, status_ret, WNOHANG | WUNTRACED, usage_ret) != launch->pid)
		return LAUNCH_RUNS;
	return WIFSTOPPED(*status_ret) ? LAUNCH_STOPPED : LAUNCH_ENDED;
}

void launch_continue(const struct launch *launch)
{
	kill(launch->pid, SIGCONT);
}

void launch_close(struct launch *launch)
{
	if (launch->go_fd >= 0)
		close(launch->go_fd);
	if (launch->failed_fd >= 0)
		close(launch->failed_fd);
	launch->go_fd = launch->failed_fd = -1;
}
