/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slurm.c - runs as an array of jobs of a Slurm cluster.
 *
 * A folder beside the tape, which all nodes must see, holds the plan, the list of runs, and for each its result, put there
 * under its name only when it is whole. Slurm is asked (squeue) which elements it still has; one that it has no more and that
 * left no result is lost - a node went down, time was up - and submitted again, RETRIES times at most.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bisect/child.h"
#include "executor/executor.h"
#include "message.h"
#include "replay/plan_cache.h"

#define RETRIES 3
#define POLL_NS 500000000
#define GRACE_POLLS 4       /* a result may reach us later than the word that its job is over */
#define OPTIONS_MAX 64

struct cluster {
	struct executor *x;
	const struct plan *plan;
	struct run_order *orders;
	size_t nr;
	char dir[PATH_MAX];
	char program[PATH_MAX];
	char array[32];     /* number of the latest array */
	unsigned cpus;      /* of a run */
	bool *done;
	unsigned *tries, *absent; /* polls since Slurm has had an order no more */
};

__attribute__((format(printf, 3, 4))) static int fail(struct cluster *c, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->x->why, sizeof(c->x->why), fmt, ap);
	va_end(ap);
	return err;
}

static void path_of(const struct cluster *c, const char *name, size_t nr, char path[PATH_MAX + 64])
{
	snprintf(path, PATH_MAX + 64, "%s/%s%zu", c->dir, name, nr);
}

/* ---- the folder ---- */

static int make_folder(struct cluster *c, const char *tape_path, const struct replay_opts *opts)
{
	char path[PATH_MAX + 64], *slash, full[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", c->program, sizeof(c->program) - 1);
	int err;

	if (len < 0 || !realpath(tape_path, full))
		return -errno;
	c->program[len] = '\0';
	slash = strrchr(full, '/');
	*slash = '\0';
	if (snprintf(c->dir, sizeof(c->dir), "%.4000s/heaptape-runs-XXXXXX", full) >= (int)sizeof(c->dir) || !mkdtemp(c->dir))
		return fail(c, -errno, "%s: no folder for the cluster's runs can be made there: %s", full, strerror(errno));
	snprintf(path, sizeof(path), "%s/plan", c->dir);
	err = plan_cache_copy(c->plan, path);
	snprintf(path, sizeof(path), "%s/orders", c->dir);
	if (!err)
		err = order_file_write(path, opts, c->orders, c->nr);
	return err ? fail(c, err, "%s: %s", path, strerror(-err)) : 0;
}

static void remove_folder(const struct cluster *c)
{
	static const char *const names[] = { "result-", "log-", "part-" };
	char path[PATH_MAX + 64];

	if (!*c->dir)
		return;
	for (size_t i = 0; i < c->nr; i++)
		for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			path_of(c, names[k], i, path);
			unlink(path);
		}
	snprintf(path, sizeof(path), "%s/plan", c->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/orders", c->dir);
	unlink(path);
	if (rmdir(c->dir))
		message_warn("%s: not removed: %s", c->dir, strerror(errno));
}

/* ---- Slurm's commands ---- */

/* "3,7-9": the orders that `wanted` says. */
static char *array_text(const struct cluster *c, const bool *wanted)
{
	char *text = NULL;
	size_t nbytes;
	FILE *out = open_memstream(&text, &nbytes);

	for (size_t i = 0; out && i < c->nr; i++) {
		size_t first = i;

		if (!wanted[i])
			continue;
		while (i + 1 < c->nr && wanted[i + 1])
			i++;
		fprintf(out, ftello(out) ? ",%zu" : "%zu", first);
		if (i > first)
			fprintf(out, "-%zu", i);
	}
	if (out && c->x->jobs)
		fprintf(out, "%%%llu", (unsigned long long)c->x->jobs);
	if (out && fclose(out)) {
		free(text);
		text = NULL;
	}
	return text;
}

/* As a word of the shell. */
static void quote(const char *text, char *out, size_t nbytes)
{
	size_t at = 0;

	out[at++] = '\'';
	for (; *text && at + 6 < nbytes; text++) {
		if (*text == '\'') {
			memcpy(out + at, "'\\''", 4);
			at += 4;
		} else {
			out[at++] = *text;
		}
	}
	out[at++] = '\'';
	out[at] = '\0';
}

static int submit(struct cluster *c, const bool *wanted)
{
	char *array = array_text(c, wanted), *options = c->x->slurm_options ? strdup(c->x->slurm_options) : NULL;
	char array_option[4096], cpus[32], chdir_option[PATH_MAX + 16], output[PATH_MAX + 16], wrap[3 * PATH_MAX];
	char program[PATH_MAX + 64], dir[PATH_MAX + 64], line[256];
	const char *argv[16 + OPTIONS_MAX] = { "sbatch", "--parsable", "--job-name=heaptape", "--ntasks=1" };
	struct child sbatch = { .argv = argv };
	unsigned nr = 4;
	int status;

	if (!array || snprintf(array_option, sizeof(array_option), "--array=%s", array) >= (int)sizeof(array_option)) {
		free(array);
		free(options);
		return -ENOMEM;
	}
	free(array);
	snprintf(cpus, sizeof(cpus), "--cpus-per-task=%u", c->cpus);
	snprintf(chdir_option, sizeof(chdir_option), "--chdir=%s", c->dir);
	snprintf(output, sizeof(output), "--output=%s/log-%%a", c->dir);
	quote(c->program, program, sizeof(program));
	quote(c->dir, dir, sizeof(dir));
	snprintf(wrap, sizeof(wrap), "--wrap=exec %s replay-job %s", program, dir);
	for (const char *word = options ? strtok(options, " ") : NULL; word && nr < OPTIONS_MAX; word = strtok(NULL, " "))
		argv[nr++] = word;
	argv[nr++] = array_option;
	argv[nr++] = cpus;
	argv[nr++] = chdir_option;
	argv[nr++] = output;
	argv[nr++] = wrap;
	status = child_run(&sbatch);
	if (status >= 0)
		text_last_line(sbatch.output, line, sizeof(line));
	free(sbatch.output);
	free(options);
	if (status == 127 || status == -ENOENT)
		return fail(c, -ENOENT, "--executor slurm: sbatch is not installed here; install Slurm's client, or use --executor local");
	if (status)
		return fail(c, -EIO, "sbatch failed: %s", status < 0 ? strerror(-status) : line);
	snprintf(c->array, sizeof(c->array), "%.*s", (int)strcspn(line, "; \n"), line);
	return 0;
}

/* Which orders Slurm still has, waiting or at work. */
static int ask(struct cluster *c, bool *has)
{
	char number[48];
	const char *argv[] = { "squeue", "--noheader", "--array", "--format=%K", number, NULL };
	struct child squeue = { .argv = argv };
	int status;

	snprintf(number, sizeof(number), "--jobs=%s", c->array);
	memset(has, 0, c->nr);
	status = child_run(&squeue);
	/* It knows an array no more soon after its end, and says so by failing. */
	for (char *word = status ? NULL : strtok(squeue.output, " \n"); word; word = strtok(NULL, " \n")) {
		unsigned long i = strtoul(word, NULL, 10);

		if (i < c->nr)
			has[i] = true;
	}
	free(squeue.output);
	return status < 0 ? fail(c, status, "squeue: %s", strerror(-status)) : 0;
}

static void cancel(struct cluster *c)
{
	const char *argv[] = { "scancel", c->array, NULL };
	struct child scancel = { .argv = argv };

	if (*c->array)
		child_run(&scancel);
	free(scancel.output);
}

/* ---- results ---- */

/* 1: taken; 0: not there yet; -errno. */
static int take(struct cluster *c, size_t i)
{
	char path[PATH_MAX + 64];
	int fd, err, run_err = 0;
	bool unbound = false;

	path_of(c, "result-", i, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : fail(c, -errno, "%s: %s", path, strerror(errno));
	err = run_file_read(fd, c->plan, c->orders[i].res, &run_err, &unbound);
	close(fd);
	if (err == -EBADMSG)
		return fail(c, err, "%s is no result of this version of heaptape: is %s the same on all nodes?", path, c->program);
	c->x->unbound |= unbound;
	if (!err && run_err)
		return fail(c, run_err, "run %zu of %zu failed on its node: %s", i + 1, c->nr, strerror(-run_err));
	c->done[i] = !err;
	return err ? err : 1;
}

static int give_up(struct cluster *c, size_t i)
{
	char path[PATH_MAX + 64], line[256];

	path_of(c, "log-", i, path);
	return fail(c, -EIO, "run %zu of %zu was lost %d times by Slurm; its log ends with: %s", i + 1, c->nr, RETRIES + 1,
		    log_reason(path, line, sizeof(line)));
}

/* Those that are lost, again. */
static int retry(struct cluster *c, const bool *has)
{
	bool *lost = calloc(c->nr, sizeof(*lost)), any = false;
	int err = lost ? 0 : -ENOMEM;

	for (size_t i = 0; i < c->nr && !err; i++) {
		c->absent[i] = has[i] || c->done[i] ? 0 : c->absent[i] + 1;
		if (c->absent[i] <= GRACE_POLLS)
			continue;
		c->absent[i] = 0;
		if (c->tries[i]++ == RETRIES)
			err = give_up(c, i);
		lost[i] = any = true;
	}
	if (!err && any) {
		message_warn("Slurm has lost runs of %s; they are submitted again", c->array);
		err = submit(c, lost);
	}
	free(lost);
	return err;
}

static int collect(struct cluster *c)
{
	bool *has = calloc(c->nr, sizeof(*has));
	size_t nr_done = 0;
	int err = has ? 0 : -ENOMEM;

	while (!err && nr_done < c->nr) {
		nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
		if (child_stopped())
			err = -EINTR;
		if (!err)
			err = ask(c, has); /* before the results are looked for: who is gone has left his by now */
		for (size_t i = 0; i < c->nr && !err; i++) {
			int got = c->done[i] ? 0 : take(c, i);

			nr_done += got == 1;
			err = got < 0 ? got : 0;
		}
		message_progress("Slurm: %zu of %zu runs", nr_done, c->nr);
		if (!err && nr_done < c->nr)
			err = retry(c, has);
	}
	message_progress(NULL);
	free(has);
	return err;
}

int executor_run_slurm(struct executor *x, const char *tape_path, const struct plan *plan, const struct replay_opts *opts,
		       struct run_order *orders, size_t nr)
{
	struct cluster c = { .x = x, .plan = plan, .orders = orders, .nr = nr };
	bool *all = malloc(nr + 1);
	int err;

	if (!nr) {
		free(all);
		return 0;
	}
	c.cpus = executor_cpus(plan);
	c.done = calloc(nr, sizeof(*c.done));
	c.tries = calloc(nr, sizeof(*c.tries));
	c.absent = calloc(nr, sizeof(*c.absent));
	err = c.done && c.tries && c.absent && all ? make_folder(&c, tape_path, opts) : -ENOMEM;
	if (!err) {
		memset(all, true, nr);
		err = submit(&c, all);
	}
	if (!err) {
		message_verbose("Slurm: array %s of %zu runs in %s", c.array, nr, c.dir);
		err = collect(&c);
	}
	if (err)
		cancel(&c);
	remove_folder(&c);
	free(c.done);
	free(c.tries);
	free(c.absent);
	free(all);
	return err;
}
