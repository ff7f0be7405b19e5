/* SPDX-License-Identifier: BSD-2-Clause */
/* trials.c - see trials.h. */
#include "trials/trials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "message.h"
#include "replay/plan_cache.h"
#include "tape_open.h"
#include "target/own_programs.h"

#define ENV_META "target.env."
#define TAPE_SAMPLE_NBYTES (1u << 20) /* of its beginning and end, to know it by */

const char *const trial_metric_names[TRIAL_NR + 1] = {
	[TRIAL_PEAK_RESIDENT] = "peak-resident", [TRIAL_END_RESIDENT] = "end-resident", [TRIAL_HOLES] = "holes",
	[TRIAL_RETAINED] = "retained",		 [TRIAL_METADATA] = "metadata",		[TRIAL_P99_MALLOC] = "p99-malloc",
	[TRIAL_CPU_TIME] = "cpu-time",		 [TRIAL_FAULTS] = "faults",
};

enum trial_metric trial_metric_parse(const char *name)
{
	int m = 0;

	while (m < TRIAL_NR && strcmp(name, trial_metric_names[m]))
		m++;
	return (enum trial_metric)m;
}

const char *trial_metric_human(enum trial_metric m, double value, char *buf)
{
	uint64_t n = value > 0 ? (uint64_t)(value + 0.5) : 0;

	switch (m) {
	case TRIAL_P99_MALLOC:
	case TRIAL_CPU_TIME: return human_ns(buf, n);
	case TRIAL_FAULTS: return human_count(buf, n);
	case TRIAL_NR: snprintf(buf, HUMAN_MAX, "%.6g", value); return buf; /* a script's own number */
	default: return human_nbytes(buf, n);
	}
}

/* ---- opening ---- */

static void show_planning(void *arg, const char *what, uint64_t done, uint64_t all)
{
	(void)arg;
	message_progress_events("", what, done, all);
}

/* The plan that is kept beside the tape, or a new one, kept there if that can be. */
static int get_plan(struct trials *t)
{
	struct plan_opts opts = { .progress = show_planning };
	int err = plan_cache_load(t->path, &opts, &t->plan);
	char *dir;

	if (!err)
		return tape_reader_skim(t->reader); /* the plan has no facts about target and allocators */
	opts.dir = dir = plan_cache_dir(t->path);
	err = plan_build(t->reader, &opts, &t->plan);
	if (dir && (err == -ENOSPC || err == -EACCES || err == -EROFS || err == -EDQUOT)) {
		free(dir);
		opts.dir = dir = NULL;
		err = plan_build(t->reader, &opts, &t->plan);
	}
	message_progress(NULL);
	if (!err && dir && !plan_cache_keep(t->path, &opts, &t->plan))
		message_verbose("the compiled plan is kept in %s.plan", t->path);
	free(dir);
	return err;
}

static int check_memory(const struct trials *t)
{
	uint64_t available = memory_available(), needed = t->plan.facts.peak_touched_nbytes;
	char a[HUMAN_MAX], b[HUMAN_MAX];

	if (!available || needed <= available)
		return 0;
	message_error("%s: at its peak %s are live and touched, %s are free here; use a larger machine, or heaptape cut for a "
		      "smaller tape", t->path, human_nbytes(a, needed), human_nbytes(b, available));
	return -ENOMEM;
}

int trials_try(struct trials *t, const char *path)
{
	int err;

	*t = (struct trials){ .path = path, .plan = { .fd = -1 }, .opts = { .tape_path = path, .clock_tape = true, .layout_fixed = true, .repeat = 1 } };
	t->opts.player = t->player;
	if (own_program_find("heaptape-player", t->player, sizeof(t->player))) {
		message_error("heaptape-player is missing beside heaptape; build or install it again");
		return -ENOENT;
	}
	t->reader = tape_open(path, false);
	if (!t->reader)
		return -EINVAL;
	err = get_plan(t);
	return err ? err : cpu_map_make(&t->plan, &t->map);
}

int trials_open(struct trials *t, const char *path)
{
	int err = trials_try(t, path);
	const char *why;

	if (err == -ENODATA) {
		message_error("%s: no allocation call on this tape, nothing to replay", path);
	} else if (err && t->reader) {
		why = tape_reader_error(t->reader);
		message_error("%s: no plan can be made of it: %s", path, why && *why ? why : strerror(-err));
	}
	return err ? err : check_memory(t);
}

void trials_close(struct trials *t)
{
	plan_free(&t->plan);
	tape_reader_close(t->reader);
	t->reader = NULL;
}

uint64_t trials_tape_hash(const char *path)
{
	unsigned char *buf = malloc(TAPE_SAMPLE_NBYTES);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t hash = XXH3_64bits(path, strlen(path));
	struct stat st;

	if (buf && fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode)) {
		ssize_t n = pread(fd, buf, TAPE_SAMPLE_NBYTES, 0);

		hash = XXH3_64bits_withSeed(buf, n > 0 ? (size_t)n : 0, (uint64_t)st.st_size);
		n = pread(fd, buf, TAPE_SAMPLE_NBYTES, st.st_size > TAPE_SAMPLE_NBYTES ? st.st_size - TAPE_SAMPLE_NBYTES : 0);
		hash = XXH3_64bits_withSeed(buf, n > 0 ? (size_t)n : 0, hash);
	}
	free(buf);
	if (fd >= 0)
		close(fd);
	return hash;
}

/* ---- allocators ---- */

/* By name, by build id, or another build of it: lib<name>.so. */
static bool is_recorded(const struct trials *t, const struct tested *a)
{
	const struct tape_allocator *r = tape_reader_allocator(t->reader, t->plan.facts.recorded_alloc);
	size_t len = r ? strlen(r->name) : 0;

	if (!len)
		return false;
	if (!strcmp(r->name, a->name) || (*r->build_id && !strcmp(r->build_id, a->build_id)))
		return true;
	return !strncmp(a->name, "lib", 3) && !strncmp(a->name + 3, r->name, len) && strchr("._-", a->name[3 + len]);
}

int trials_tested(struct trials *t, const char *text, struct tested *a, char *why, size_t why_nbytes)
{
	const char *key, *value;
	int err = tested_parse(text, a, why, why_nbytes);

	if (err || a->nr_settings || !is_recorded(t, a))
		return err;
	for (size_t i = 0; tape_reader_meta_at(t->reader, i, &key, &value) && !err; i++)
		if (!strncmp(key, ENV_META, strlen(ENV_META)))
			err = tested_add_setting(a, key + strlen(ENV_META), value);
	if (err) {
		snprintf(why, why_nbytes, "out of memory");
		tested_free(a);
	}
	return err;
}

/* ---- runs ---- */

uint32_t trial_metric_flags(enum trial_metric m)
{
	return m == TRIAL_HOLES || m == TRIAL_RETAINED || m == TRIAL_METADATA ? CONTROL_USABLE :
	       m == TRIAL_P99_MALLOC					      ? CONTROL_LATENCY :
										0;
}

double trial_metric_value(enum trial_metric m, const struct run_result *res)
{
	switch (m) {
	case TRIAL_PEAK_RESIDENT: return (double)res->peak_resident;
	case TRIAL_END_RESIDENT: return (double)res->end_resident;
	case TRIAL_HOLES: return (double)res->end_split.holes;
	case TRIAL_RETAINED: return (double)res->end_split.retained;
	case TRIAL_METADATA: return (double)res->end_split.metadata;
	case TRIAL_P99_MALLOC: return (double)hist_quantile(res->hists[CONTROL_HIST_MALLOC], 0.99) * res->ns_per_tick;
	case TRIAL_CPU_TIME: return (double)res->cpu_ns;
	default: return (double)res->page_faults;
	}
}

int trials_many(struct trials *t, const struct tested *const *list, uint32_t flags, struct run_result *res, size_t nr)
{
	struct run_order *orders = calloc(nr + 1, sizeof(*orders));
	int err;

	if (!orders)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		orders[i] = (struct run_order){ .tested = list[i], .is_steered = is_recorded(t, list[i]), .flags = flags,
						.what = "measuring", .res = &res[i] };
	err = replay_orders(&t->plan, &t->map, &t->opts, orders, nr);
	free(orders);
	return err;
}

int trials_once(struct trials *t, const struct tested *a, uint32_t flags, struct run_result *res, struct run_error *error)
{
	int err = trials_many(t, &a, flags, res, 1);

	*error = res->error;
	return err ? err : error->kind ? -ECANCELED : 0;
}

int trials_run(struct trials *t, const struct tested *a, enum trial_metric m, double *value_ret, struct run_error *error)
{
	struct run_result *res = calloc(1, sizeof(*res)); /* histograms are too large for a stack */
	int err = res ? trials_once(t, a, trial_metric_flags(m), res, error) : -ENOMEM;

	if (!err)
		*value_ret = trial_metric_value(m, res);
	if (res)
		run_result_free(res);
	free(res);
	return err;
}
