/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * executor.h - where runs of a plan are made: one after the other, several at once on CPUs of their own, or by Slurm.
 *
 * Every run is independent work: the results are the same wherever they come from, but for times, which runs at the same
 * time disturb through shared caches and memory. One thread at a time.
 */
#ifndef HEAPTAPE_EXECUTOR_H
#define HEAPTAPE_EXECUTOR_H

#include "command.h"
#include "replay/replay.h"

struct executor {
	uint64_t jobs;             /* at most so many runs at once; 0: one */
	bool slurm;
	const char *slurm_options; /* for sbatch, parted by spaces; NULL: none */
	unsigned at_once;          /* runs that were made at the same time here, at most; 0: none was made yet */
	bool unbound;              /* a run of Slurm's was free to run on CPUs of others */
	char why[600];             /* what failed on this side, in words; "" if errno says it */
};

#define EXECUTOR_OPTION_ROWS                                                                                              \
	{ "jobs", 'J', "N", "make up to N runs at once, each on CPUs that no other uses; fewer, told, where there are too few\n" \
			    "CPUs. Memory figures stay what they are; times grow by what caches and memory are shared" }, \
	{ "executor", 'X', "local|slurm[:OPTIONS]", "slurm: runs are an array of jobs of the Slurm cluster at hand (sbatch, with OPTIONS), in a\n" \
						    "folder beside the tape, which all nodes must see; a lost job is run again" }

/* Takes 'J' or 'X'. 0 or EXIT_USAGE, told. */
int executor_take(struct executor *x, const struct command *cmd, int option, const char *value);
/* Makes opts use it, where it does anything but one run after the other. x must live as long as opts. */
void executor_use(struct executor *x, struct replay_opts *opts);
/* How many runs to ask for at once; 1 without an executor (x: NULL). */
size_t executor_batch(const struct executor *x);
/* What a reader of the results has to know; NULL: nothing. */
const char *executor_warning(const struct executor *x);

/* local.c, slurm.c: all of these runs (struct replay_opts, execute). */
int executor_run_local(struct executor *x, const struct plan *plan, const struct replay_opts *opts, struct run_order *orders, size_t nr);
int executor_run_slurm(struct executor *x, const char *tape_path, const struct plan *plan, const struct replay_opts *opts,
		       struct run_order *orders, size_t nr);
/* CPUs that a run of the plan uses: as many as its threads were recorded on. */
unsigned executor_cpus(const struct plan *plan);

/* run_file.c: a result on its way from one process of this very program to another. */
int run_file_write(int fd, const struct plan *plan, const struct run_result *res, int err, bool unbound);
/* -EBADMSG: it is none, or another version's. *err_ret: what the run's side failed with. */
int run_file_read(int fd, const struct plan *plan, struct run_result *res, int *err_ret, bool *unbound_ret);

/* order_file.c: the runs that a folder asks for. */
int order_file_write(const char *path, const struct replay_opts *opts, const struct run_order *orders, size_t nr);
/* The run number `index`; tested_free(a) afterwards. -EBADMSG, -ENOENT. */
int order_file_read(const char *path, size_t index, struct replay_opts *opts, struct run_order *order, struct tested *a);

#endif
