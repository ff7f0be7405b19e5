/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared memory for a player, and the player's process. */
#include "replay/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "replay/hist.h"

#define SPIN_ALONE 4000 /* rounds (some 10 us each 1000) where every thread can have a CPU: sleeping costs more than that */
#define SPIN_SHARED 100 /* where others want the CPU */
#define EXIT_NO_EXEC 98

static int make_memory(struct launched *l, int which, const char *name, uint64_t nbytes, int prot, void *map_ret)
{
	l->fds[which] = memfd_create(name, MFD_CLOEXEC);
	if (l->fds[which] < 0)
		return -errno;
	if (ftruncate(l->fds[which], (off_t)nbytes))
		return -errno;
	if (!map_ret)
		return 0;
	void *map = mmap(NULL, nbytes, prot, MAP_SHARED | MAP_NORESERVE, l->fds[which], 0);
	if (map == MAP_FAILED)
		return -errno;
	l->nbytes[which] = nbytes;
	*(void **)map_ret = map;
	return 0;
}

static uint64_t align_to(uint64_t n, uint64_t align)
{
	return (n + align - 1) / align * align;
}

static int make_control(struct launched *l, const struct plan *plan, const struct launch_opts *opts)
{
	const struct plan_header *head = &plan->head;
	uint64_t threads_at = align_to(sizeof(struct control), 64);
	uint64_t windows_at = align_to(threads_at + head->nr_threads * sizeof(struct control_thread), 64);
	uint64_t hists_at = align_to(windows_at + head->nr_windows * sizeof(uint32_t), 64);
	uint64_t hists_nbytes = (head->nr_stacks + 1ull) * CONTROL_HIST_NR * HIST_BUCKETS * sizeof(uint64_t);
	uint64_t nbytes = hists_at + (opts->flags & CONTROL_LATENCY ? hists_nbytes : 0);
	int err = make_memory(l, CONTROL_FD, "heaptape-control", align_to(nbytes, PLAN_PAGE), PROT_READ | PROT_WRITE,
			      &l->control);
	if (err)
		return err;
	struct control *c = l->control;
	char *base = (char *)c;
	c->magic = CONTROL_MAGIC;
	c->threads_at = threads_at;
	c->windows_left_at = windows_at;
	c->hists_at = hists_at;
	c->flags = opts->flags;
	c->nr_cpus = opts->nr_cpus;
	c->pace_milli = opts->pace_milli;
	c->start_unix_ns = head->start_unix_ns;
	c->first_ns = plan->facts.first_ns;
	c->clock_ns = plan->facts.first_ns;
	c->spin = head->nr_stacks + 1 <= opts->nr_cpus_here ? SPIN_ALONE : SPIN_SHARED;
	c->nr_cpu_map = opts->nr_cpu_map;
	memcpy(c->cpu_map, opts->cpu_map, opts->nr_cpu_map * sizeof(*c->cpu_map));
	l->threads = (struct control_thread *)(base + threads_at);
	l->windows_left = (_Atomic uint32_t *)(base + windows_at);
	l->hists = opts->flags & CONTROL_LATENCY ? (const uint64_t *)(base + hists_at) : NULL;
	uint64_t windows_nbytes = head->nr_windows * sizeof(uint32_t);
	ssize_t got = pread(plan->fd, base + windows_at, windows_nbytes, (off_t)head->windows_at);
	return got < 0 ? -errno : (uint64_t)got == windows_nbytes ? 0 : -EIO;
}

static int make_all(struct launched *l, const struct plan *plan, const struct launch_opts *opts)
{
	const struct plan_header *head = &plan->head;
	const int r = PROT_READ, rw = PROT_READ | PROT_WRITE;
	uint64_t dir = sizeof(struct marks_dir);
	/* One more than used: what the player prefetches may be nobody's slot, and a file must not be empty. */
	uint64_t nr_slots = head->nr_slots + 1ull;
	int err = make_control(l, plan, opts);
	if (!err)
		err = make_memory(l, CONTROL_FD_SLOTS, "heaptape-slots", nr_slots * sizeof(struct control_slot), r,
				  &l->slots);
	if (!err)
		err = make_memory(l, CONTROL_FD_STACKS, "heaptape-stacks",
				  (head->nr_stacks + 1ull) * CONTROL_STACK_NBYTES, r, NULL);
	if (!err && opts->flags & CONTROL_USABLE) {
		err = make_memory(l, CONTROL_FD_USABLE, "heaptape-usable", nr_slots * sizeof(uint64_t), r, &l->usable);
		if (!err)
			err = make_memory(l, CONTROL_FD_MARKS_DIR, "heaptape-marks-dir",
					  dir + MARKS_DIR_NR * sizeof(uint32_t), rw, &l->marks_dir);
		if (!err)
			err = make_memory(l, CONTROL_FD_MARKS, "heaptape-marks",
					  (uint64_t)MARKS_BLOCKS_MAX * MARKS_BLOCK_NBYTES, rw, &l->marks);
	}
	if (!err && opts->flags & CONTROL_VERIFY) {
		err = make_memory(l, CONTROL_FD_SHADOW_DIR, "heaptape-shadow-dir",
				  dir + SHADOW_DIR_NR * sizeof(uint32_t), r, NULL);
		if (!err)
			err = make_memory(l, CONTROL_FD_SHADOW, "heaptape-shadow",
					  (uint64_t)SHADOW_BLOCKS_MAX * SHADOW_BLOCK_NBYTES, r, NULL);
	}
	return err;
}

/* ---- the child ---- */

/* Only what may be called between fork and exec. */
static _Noreturn void become_player(const struct launched *l, int plan_fd, int output, int null, char *const *argv,
				    char *const *envp, bool layout_fixed)
{
	int moved[CONTROL_FD_END];
	for (int i = CONTROL_FD; i < CONTROL_FD_END; i++) {
		int from = i == CONTROL_FD_PLAN ? plan_fd : l->fds[i];
		moved[i] = from >= 0 ? fcntl(from, F_DUPFD, CONTROL_FD_END) : -1;
	}
	dup2(null, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	for (int i = CONTROL_FD; i < CONTROL_FD_END; i++) {
		if (moved[i] >= 0)
			dup2(moved[i], i);
		else
			close(i);
	}
	syscall(SYS_close_range, CONTROL_FD_END, ~0u, 0);
	struct rlimit none = { 0, 0 };
	setrlimit(RLIMIT_CORE, &none);
	/* A sandbox may forbid it: then runs differ as they would anyway, and replay_warn.c has said so. */
	if (layout_fixed)
		personality(ADDR_NO_RANDOMIZE);
	execve(argv[0], argv, envp);
	_exit(EXIT_NO_EXEC);
}

static size_t count(char *const *list)
{
	size_t nr = 0;
	while (list && list[nr])
		nr++;
	return nr;
}

/* Nothing of our own environment but where the allocator's libraries may lie. */
static int make_env(const struct launch_opts *opts, char ***env_ret)
{
	const char *library_path = getenv("LD_LIBRARY_PATH");
	size_t nr = count(opts->env), n = 0;
	char **env = calloc(nr + 3, sizeof(*env));
	if (!env)
		return -ENOMEM;
	*env_ret = env;
	if (opts->preload && asprintf(&env[n++], "LD_PRELOAD=%s", opts->preload) < 0)
		return -ENOMEM;
	if (library_path && asprintf(&env[n++], "LD_LIBRARY_PATH=%s", library_path) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		env[n] = strdup(opts->env[i]);
		if (!env[n++])
			return -ENOMEM;
	}
	return 0;
}

static void free_env(char **env)
{
	for (size_t i = 0; env && env[i]; i++)
		free(env[i]);
	free(env);
}

static int start(struct launched *l, const struct plan *plan, const struct launch_opts *opts)
{
	char **env = NULL;
	int pipe_fds[2] = { -1, -1 };
	int err = make_env(opts, &env), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (!err && (null < 0 || pipe2(pipe_fds, O_CLOEXEC) || fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK)))
		err = -errno;
	if (!err) {
		char *argv[] = { (char *)(uintptr_t)opts->player, NULL };
		l->pid = fork();
		if (!l->pid)
			become_player(l, plan->fd, pipe_fds[1], null, argv, env, opts->layout_fixed);
		err = l->pid < 0 ? -errno : 0;
	}
	if (null >= 0)
		close(null);
	if (pipe_fds[1] >= 0)
		close(pipe_fds[1]);
	l->output_fd = pipe_fds[0];
	free_env(env);
	return err;
}

int launched_start(const struct plan *plan, const struct launch_opts *opts, struct launched **l_ret)
{
	*l_ret = NULL;
	struct launched *l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->pid = l->output_fd = -1;
	for (int i = 0; i < CONTROL_FD_END; i++)
		l->fds[i] = -1;
	int err = make_all(l, plan, opts);
	if (!err)
		err = start(l, plan, opts);
	if (err) {
		launched_free(l);
		return err;
	}
	*l_ret = l;
	return 0;
}

/* ---- the parent ---- */

static void read_output(struct launched *l)
{
	char rest[4096];
	for (;;) {
		size_t room = LAUNCH_OUTPUT_MAX - l->output_nbytes;
		char *to = room ? l->output + l->output_nbytes : rest; /* what does not fit is read all the same */
		ssize_t n = read(l->output_fd, to, room ? room : sizeof(rest));
		if (n <= 0)
			return;
		if (room)
			l->output_nbytes += (size_t)n;
	}
}

bool launched_poll(struct launched *l)
{
	if (l->ended)
		return false;
	read_output(l);
	if (waitpid(l->pid, &l->status, WNOHANG) != l->pid)
		return true;
	l->ended = true;
	read_output(l);
	return false;
}

void launched_wait(struct launched *l, _Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(timeout_ns / 1000000000u), .tv_nsec = (long)(timeout_ns % 1000000000u) };
	if (atomic_load(word) == value && !l->ended)
		syscall(SYS_futex, word, FUTEX_WAIT, value, &ts, NULL, 0);
}

void launched_free(struct launched *l)
{
	if (!l)
		return;
	if (l->pid > 0 && !l->ended) {
		kill(l->pid, SIGKILL);
		waitpid(l->pid, &l->status, 0);
	}
	const void *maps[CONTROL_FD_END] = {
		[CONTROL_FD] = l->control,	       [CONTROL_FD_SLOTS] = l->slots, [CONTROL_FD_USABLE] = l->usable,
		[CONTROL_FD_MARKS_DIR] = l->marks_dir, [CONTROL_FD_MARKS] = l->marks,
	};
	for (int i = CONTROL_FD; i < CONTROL_FD_END; i++) {
		if (maps[i])
			munmap((void *)(uintptr_t)maps[i], l->nbytes[i]);
		if (l->fds[i] >= 0)
			close(l->fds[i]);
	}
	if (l->output_fd >= 0)
		close(l->output_fd);
	free(l);
}
