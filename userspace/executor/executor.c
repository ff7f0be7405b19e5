/* SPDX-License-Identifier: BSD-2-Clause */
/* executor.c - the options, and which way runs go. */
#include "executor/executor.h"

#include <string.h>

#define JOBS_MAX 4096u
#define SLURM_BATCH 256 /* a cluster takes what it can of them */

int executor_take(struct executor *x, const struct command *cmd, int option, const char *value)
{
	if (option == 'J') {
		if (parse_count(value, &x->jobs) || !x->jobs || x->jobs > JOBS_MAX)
			return command_usage_error(cmd, "--jobs wants a number from 1 to %u, not '%s'", JOBS_MAX, value);
		return 0;
	}
	x->slurm = !strcmp(value, "slurm") || !strncmp(value, "slurm:", 6);
	x->slurm_options = x->slurm && value[5] ? value + 6 : NULL;
	if (!x->slurm && strcmp(value, "local") != 0)
		return command_usage_error(cmd, "--executor is local, or slurm[:OPTIONS-OF-SBATCH], not '%s'", value);
	return 0;
}

unsigned executor_cpus(const struct plan *plan)
{
	return plan->facts.nr_cpus_seen ? plan->facts.nr_cpus_seen : 1;
}

static int execute(void *arg, const struct plan *plan, const struct cpu_map *map, const struct replay_opts *opts,
		   struct run_order *orders, size_t nr)
{
	struct executor *x = arg;

	(void)map; /* each run makes its own, of the CPUs that it is given */
	return x->slurm ? executor_run_slurm(x, opts->tape_path, plan, opts, orders, nr) :
			  executor_run_local(x, plan, opts, orders, nr);
}

void executor_use(struct executor *x, struct replay_opts *opts)
{
	if (!x->slurm && x->jobs < 2)
		return;
	opts->execute = execute;
	opts->execute_arg = x;
}

size_t executor_batch(const struct executor *x)
{
	if (x && x->jobs > 1)
		return (size_t)x->jobs;
	return x && x->slurm ? SLURM_BATCH : 1;
}

const char *executor_warning(const struct executor *x)
{
	if (x->unbound)
		return "the cluster did not bind runs to CPUs of their own (TaskPlugin): times say nothing here, memory figures do";
	if (x->slurm)
		return "runs were made by Slurm, on nodes that others may have used too: times are less sure than memory figures";
	if (x->at_once > 1)
		return "several runs were made at once, on CPUs of their own but with shared caches and memory: times are longer than those of a run alone";
	return NULL;
}
