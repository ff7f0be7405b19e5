/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_replay_job.c - `heaptape replay-job FOLDER`: one run of many, on a node of a cluster. What `--executor slurm` starts. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "executor/executor.h"
#include "message.h"
#include "replay/plan_cache.h"
#include "target/own_programs.h"

/* Whether this run may use more CPUs than it was given: others may run on them. */
static bool is_unbound(const struct cpu_map *map)
{
	const char *given = getenv("SLURM_CPUS_PER_TASK");

	return !given || map->nr_here > strtoul(given, NULL, 10);
}

/* Under its name only when it is whole. */
static int keep(const char *folder, unsigned long index, const struct plan *plan, const struct run_result *res, int run_err, bool unbound)
{
	char part[PATH_MAX], path[PATH_MAX];
	int fd, err;

	snprintf(part, sizeof(part), "%s/part-%lu", folder, index);
	snprintf(path, sizeof(path), "%s/result-%lu", folder, index);
	fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = run_file_write(fd, plan, res, run_err, unbound);
	if (!err && fsync(fd))
		err = -errno;
	close(fd);
	return err ? err : rename(part, path) ? -errno : 0;
}

static int run_one(const char *folder, unsigned long index)
{
	struct run_result *res = calloc(1, sizeof(*res)); /* histograms are too large for a stack */
	char path[PATH_MAX], player[PATH_MAX + 64];
	struct replay_opts opts = { .player = player, .repeat = 1 };
	struct plan plan = { .fd = -1 };
	struct run_order order;
	struct cpu_map map = { 0 };
	struct tested a = { 0 };
	int err = res ? own_program_find("heaptape-player", player, sizeof(player)) : -ENOMEM;

	snprintf(path, sizeof(path), "%s/orders", folder);
	if (!err)
		err = order_file_read(path, index, &opts, &order, &a);
	snprintf(path, sizeof(path), "%s/plan", folder);
	if (!err)
		err = plan_cache_open(path, &plan);
	if (!err)
		err = cpu_map_make(&plan, &map);
	if (!err) {
		int run_err = replay_once(&plan, &map, &opts, &a, order.is_steered, order.flags, order.what, res);

		err = keep(folder, index, &plan, res, run_err, is_unbound(&map));
	}
	if (err)
		message_error("run %lu of %s: %s", index, folder, strerror(-err));
	if (res)
		run_result_free(res);
	free(res);
	plan_free(&plan);
	tested_free(&a);
	return err ? EXIT_FAILED : EXIT_DONE;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	const char *task = getenv("SLURM_ARRAY_TASK_ID");
	struct command_args args = { 0 };
	int option = command_next_option(cmd, &args, argc, argv);

	if (option != COMMAND_END)
		return option == COMMAND_HELP ? EXIT_DONE : EXIT_USAGE;
	if (argc - args.next != 1)
		return command_usage_error(cmd, "which folder?");
	if (!task || !*task || task[strspn(task, "0123456789")])
		return command_usage_error(cmd, "SLURM_ARRAY_TASK_ID says which run of the folder; Slurm sets it");
	return run_one(argv[args.next], strtoul(task, NULL, 10));
}

const struct command cmd_replay_job = {
	.name = "replay-job",
	.synopsis = "FOLDER",
	.description = "Makes one of the runs that a folder asks for, the one of number SLURM_ARRAY_TASK_ID, and leaves its result there.\n"
		       "Started by Slurm for replay, tune and bisect with --executor slurm; nothing for people.",
	.options = (const struct command_option[]){ { 0 } },
	.run = run,
};
