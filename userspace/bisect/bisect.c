/* SPDX-License-Identifier: BSD-2-Clause */
/* bisect.c - see bisect.h. */
#include "bisect/bisect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bisect/child.h"
#include "clock.h"
#include "message.h"

#define STEP_BATCH 4   /* runs of one revision that are made at once */

/* ---- revisions ---- */

struct revision *bisect_find(struct bisect *b, const char *id)
{
	for (size_t i = 0; i < b->nr_revisions; i++)
		if (!strcmp(b->revisions[i].id, id))
			return &b->revisions[i];
	return NULL;
}

struct revision *bisect_add(struct bisect *b, const char *id)
{
	struct revision *list = reallocarray(b->revisions, b->nr_revisions + 1, sizeof(*list)), *rev;

	if (!list)
		return NULL;
	b->revisions = list;
	rev = &list[b->nr_revisions];
	*rev = (struct revision){ .id = strdup(id) };
	if (!rev->id)
		return NULL;
	b->nr_revisions++;
	rev->title = b->line->ops->title(b->line, id);
	rev->place = b->line->ops->place(b->line, id);
	return rev;
}

static struct revision *revision_of(struct bisect *b, const char *id)
{
	struct revision *rev = bisect_find(b, id);

	return rev ? rev : bisect_add(b, id);
}

/* ---- one run ---- */

/* "out of a script": the last line it prints is the number. */
static int run_script(struct bisect *b, const struct revision *rev, double *value_ret)
{
	const char *argv[] = { "/bin/sh", "-c", b->script, NULL };
	struct child c = { .argv = argv, .dir = b->line->ops->checkout(b->line, rev->id), .drop_errors = 1 };
	char line[256], *end;
	int status;

	if (!c.dir)
		return -ECANCELED;
	status = child_run(&c);
	if (status >= 0)
		text_last_line(c.output, line, sizeof(line));
	free(c.output);
	if (status < 0)
		return status;
	*value_ret = strtod(line, &end);
	if (!status && end != line && !*(end + strspn(end, " \t\r")))
		return 0;
	if (status)
		snprintf(b->line->why, sizeof(b->line->why), "the script ended with status %d", status);
	else
		snprintf(b->line->why, sizeof(b->line->why), "the script's last line is no number: '%s'", line);
	return -ECANCELED;
}

/* Its library, as an allocator. -ECANCELED: there is none that could be played. */
static int tested_of(struct bisect *b, const char *id, struct tested *a)
{
	char path[PATH_MAX], why[512], *text = NULL;
	int err = b->line->ops->library(b->line, id, path);

	if (err)
		return err;
	if (asprintf(&text, "%s%s%s", path, b->settings ? "," : "", b->settings ? b->settings : "") < 0)
		return -ENOMEM;
	err = trials_tested(b->trials, text, a, why, sizeof(why));
	free(text);
	if (!err || err == -ENOMEM)
		return err;
	snprintf(b->line->why, sizeof(b->line->why), "%s", why);
	return -ECANCELED;
}

static int run_replay(struct bisect *b, const struct revision *rev, double *value_ret)
{
	struct run_error error;
	struct tested a;
	int err = tested_of(b, rev->id, &a);

	if (err)
		return err;
	err = trials_run(b->trials, &a, b->metric, value_ret, &error);
	if (err == -ECANCELED)
		snprintf(b->line->why, sizeof(b->line->why), "fails the replay: %s: %s", error.kind, error.text);
	tested_free(&a);
	return err;
}

/* What the script finds in its environment. */
static int set_script_env(struct bisect *b, const char *id)
{
	char path[PATH_MAX];
	int err = b->line->ops->library(b->line, id, path);

	return err ? err : setenv("HEAPTAPE_TAPE", b->trials->path, 1) || setenv("HEAPTAPE_LIB", path, 1) ? -errno : 0;
}

/* One more run. A revision that cannot be run is skipped from then on, with the reason. */
static int add_run(struct bisect *b, struct revision *rev)
{
	double value = 0;
	int err = b->metric == TRIAL_NR ? set_script_env(b, rev->id) : 0;

	message_progress("%.12s: run %zu", rev->id, rev->samples.nr + 1);
	if (!err)
		err = b->metric == TRIAL_NR ? run_script(b, rev, &value) : run_replay(b, rev, &value);
	message_progress(NULL);
	if (child_stopped())
		return -EINTR; /* the signal may have ended what was run, too */
	if (err == -ECANCELED) {
		rev->reason = strdup(b->line->why);
		err = rev->reason ? 0 : -ENOMEM;
	} else if (!err) {
		err = samples_add(&rev->samples, value);
	} else {
		snprintf(b->why, sizeof(b->why), "%s: %s", rev->id, *b->line->why ? b->line->why : strerror(-err));
	}
	return err ? err : bisect_state_save(b);
}

/* How many runs are made at once; scripts' are made one after the other. */
static size_t batch_of(const struct bisect *b)
{
	return b->metric == TRIAL_NR ? 1 : executor_batch(b->executor);
}

/* What the runs of a batch came to, in their order. */
static int take_batch(struct bisect *b, const size_t *which, const struct run_result *res, size_t nr)
{
	int err = 0;

	for (size_t i = 0; i < nr && !err; i++) {
		struct revision *rev = &b->revisions[which[i]];

		if (res[i].error.kind && !rev->reason) {
			char text[700];

			snprintf(text, sizeof(text), "fails the replay: %s: %s", res[i].error.kind, res[i].error.text);
			rev->reason = strdup(text);
			err = rev->reason ? 0 : -ENOMEM;
		} else if (!res[i].error.kind) {
			err = samples_add(&rev->samples, trial_metric_value(b->metric, &res[i]));
		}
	}
	return err;
}

static int add_many(struct bisect *b, const size_t *which, size_t nr)
{
	struct tested *tested = calloc(nr + 1, sizeof(*tested));
	const struct tested **list = calloc(nr + 1, sizeof(*list));
	struct run_result *res = calloc(nr + 1, sizeof(*res)); /* histograms are too large for a stack */
	int err = tested && list && res ? 0 : -ENOMEM;
	size_t made = 0;

	for (; made < nr && !err; made++) {
		list[made] = &tested[made];
		err = tested_of(b, b->revisions[which[made]].id, &tested[made]);
		if (err == -ECANCELED) {
			b->revisions[which[made]].reason = strdup(b->line->why);
			if (!b->revisions[which[made]].reason)
				err = -ENOMEM;
			break;
		}
	}
	message_progress("%zu runs at once", nr);
	if (!err)
		err = trials_many(b->trials, list, trial_metric_flags(b->metric), res, nr);
	message_progress(NULL);
	if (child_stopped())
		err = -EINTR; /* the signal may have ended what was run, too */
	if (!err)
		err = take_batch(b, which, res, nr);
	else if (err != -EINTR && err != -ECANCELED)
		snprintf(b->why, sizeof(b->why), "%s", b->executor && *b->executor->why ? b->executor->why : strerror(-err));
	for (size_t i = 0; i < nr && res; i++)
		run_result_free(&res[i]);
	for (size_t i = 0; i < made && tested; i++)
		tested_free(&tested[i]);
	free(tested);
	free(list);
	free(res);
	return err && err != -ECANCELED ? err : bisect_state_save(b);
}

/* A run each of these revisions (by index, the same one maybe several times), at once. */
static int add_runs(struct bisect *b, const size_t *which, size_t nr)
{
	return nr > 1 ? add_many(b, which, nr) : add_run(b, &b->revisions[which[0]]);
}

/* ---- the ends ---- */

/* Until both ends have `goal` runs, good and bad in turns, or one cannot be run. */
static int add_turns(struct bisect *b, const size_t ends[2], size_t goal)
{
	size_t batch = batch_of(b), *which = calloc(batch, sizeof(*which)), nr = 0;
	int err = which ? 0 : -ENOMEM;

	for (size_t run = 0; run < 2 * goal && !err; run++) {
		if (b->revisions[ends[0]].reason || b->revisions[ends[1]].reason)
			break;
		if (b->revisions[ends[run % 2]].samples.nr <= run / 2)
			which[nr++] = ends[run % 2];
		if (!nr || (nr < batch && run + 1 < 2 * goal))
			continue;
		err = add_runs(b, which, nr);
		nr = 0;
	}
	free(which);
	return err;
}

/* An end that cannot be run ends the search. */
static int refuse_ends(struct bisect *b, const size_t ends[2])
{
	for (int i = 0; i < 2; i++) {
		const struct revision *rev = &b->revisions[ends[i]];

		if (!rev->reason)
			continue;
		snprintf(b->why, sizeof(b->why), "the %s end, %.12s, %s", i ? "bad" : "good", rev->id, rev->reason);
		return -ECANCELED;
	}
	return 0;
}

static const char *human(const struct bisect *b, double value, char *buf)
{
	return trial_metric_human(b->metric, value, buf);
}

static void tell_ends(const struct bisect *b, const struct samples *good, const struct samples *bad)
{
	char g[HUMAN_MAX], w[HUMAN_MAX], t[HUMAN_MAX];

	message_info("good %s, bad %s, threshold %s", human(b, samples_median(good), g), human(b, samples_median(bad), w),
		     human(b, b->threshold.at, t));
	if (!b->threshold.bad_is_higher)
		message_warn("the bad end's figure is the smaller one: what is looked for is where it fell");
}

static int measure_ends(struct bisect *b)
{
	const char *ids[2] = { b->line->good, b->line->bad };
	enum ends ends = ENDS_ALIKE;
	struct revision *good, *bad;
	size_t at[2];
	int err = 0;

	for (int i = 0; i < 2; i++) {
		const struct revision *rev = revision_of(b, ids[i]);

		if (!rev)
			return -ENOMEM;
		at[i] = (size_t)(rev - b->revisions);
	}
	good = &b->revisions[at[0]];
	bad = &b->revisions[at[1]];
	for (size_t goal = BISECT_ENDS_RUNS; goal <= 2 * BISECT_ENDS_RUNS && ends == ENDS_ALIKE && !err; goal *= 2) {
		err = add_turns(b, at, goal);
		if (!err)
			err = refuse_ends(b, at);
		if (!err)
			ends = threshold_find(&good->samples, &bad->samples, &b->threshold);
	}
	if (err || ends == ENDS_NO_MEMORY)
		return err ? err : -ENOMEM;
	b->outcome = ends == ENDS_APART ? BISECT_FOUND : BISECT_ENDS_ALIKE;
	good->side = SIDE_GOOD;
	bad->side = SIDE_BAD;
	if (ends == ENDS_APART)
		tell_ends(b, &good->samples, &bad->samples);
	return 0;
}

/* ---- the steps ---- */

/* One more run, or a few at once: a side is mostly certain after them. */
static int add_step_runs(struct bisect *b, const struct revision *rev)
{
	size_t which[STEP_BATCH], left = BISECT_STEP_RUNS - rev->samples.nr, nr = batch_of(b);

	nr = nr < STEP_BATCH ? nr : STEP_BATCH;
	nr = nr < left ? nr : left;
	for (size_t i = 0; i < nr; i++)
		which[i] = (size_t)(rev - b->revisions);
	return add_runs(b, which, nr);
}

static int judge(struct bisect *b, struct revision *rev)
{
	char low[HUMAN_MAX], high[HUMAN_MAX], text[256];
	int err = 0;

	if (!rev->side)
		rev->side = threshold_side(&b->threshold, &rev->samples);
	while (!err && !rev->reason && rev->side == SIDE_UNKNOWN && rev->samples.nr < BISECT_STEP_RUNS) {
		err = add_step_runs(b, rev);
		rev->side = threshold_side(&b->threshold, &rev->samples);
	}
	if (err || rev->reason || rev->side != SIDE_UNKNOWN)
		return err;
	snprintf(text, sizeof(text), "its side is not certain after %zu runs (%s to %s)", rev->samples.nr,
		 human(b, samples_min(&rev->samples), low), human(b, samples_max(&rev->samples), high));
	rev->reason = strdup(text);
	return rev->reason ? bisect_state_save(b) : -ENOMEM;
}

static void tell_step(const struct bisect *b, const struct revision *rev, unsigned nr, uint64_t took_ns)
{
	char value[HUMAN_MAX], took[HUMAN_MAX], left[HUMAN_MAX] = "0 s";
	const char *slash = strrchr(rev->id, '/'), *name = slash ? slash + 1 : rev->id;
	int shown = slash ? 40 : 12; /* libraries without their folder, commits shortened */

	if (b->line->state == LINE_NEXT)
		human_ns(left, took_ns / nr * b->line->nr_steps);
	if (rev->reason)
		message_info("step %u: %.*s skipped, %s", nr, shown, name, rev->reason);
	else
		message_info("step %u: %.*s %s, %s in %zu runs  %.60s", nr, shown, name, rev->side == SIDE_BAD ? "bad" : "good",
			     human(b, samples_median(&rev->samples), value), rev->samples.nr, rev->title ? rev->title : "");
	if (b->line->state == LINE_NEXT)
		message_info("%u steps done in %s, about %u left: %s", nr, human_ns(took, took_ns), b->line->nr_steps, left);
}

static int search(struct bisect *b)
{
	uint64_t began = clock_monotonic_ns();
	int err = b->line->ops->start(b->line);

	for (unsigned nr = 1; !err && b->line->state == LINE_NEXT; nr++) {
		struct revision *rev = revision_of(b, b->line->current);

		err = rev ? judge(b, rev) : -ENOMEM;
		if (!err)
			err = b->line->ops->mark(b->line, rev->reason	      ? LINE_SKIP :
							  rev->side == SIDE_BAD ? LINE_BAD :
										  LINE_GOOD);
		if (!err)
			tell_step(b, rev, nr, clock_monotonic_ns() - began);
	}
	if (err && err != -EINTR && !*b->why)
		snprintf(b->why, sizeof(b->why), "%s", *b->line->why ? b->line->why : strerror(-err));
	b->outcome = b->line->state == LINE_FOUND ? BISECT_FOUND : BISECT_OPEN;
	return err;
}

/* ---- what grew ---- */

static int measure_one(struct bisect *b, const char *id, struct run_result *res)
{
	struct run_error error;
	struct tested a;
	int err = tested_of(b, id, &a);

	if (!err) {
		err = trials_once(b->trials, &a, CONTROL_USABLE, res, &error);
		tested_free(&a);
		if (err == -ECANCELED)
			snprintf(b->line->why, sizeof(b->line->why), "fails the replay: %s: %s", error.kind, error.text);
	}
	if (err == -ECANCELED)
		snprintf(b->compare_why, sizeof(b->compare_why), "%.12s %.900s", id, b->line->why);
	return err;
}

/* Where nothing can be compared, the result stands all the same. */
static int compare(struct bisect *b)
{
	const char *id = b->line->current;
	int err;

	b->message = b->line->ops->message(b->line, id);
	b->before = b->line->ops->before(b->line, id);
	if (!b->before || b->metric == TRIAL_NR) {
		snprintf(b->compare_why, sizeof(b->compare_why), "%s", b->before ? "a script measured" : "none stands before it");
		return 0;
	}
	message_progress("comparing it with the one before");
	err = measure_one(b, b->before, &b->measured[0]);
	if (!err)
		err = measure_one(b, id, &b->measured[1]);
	message_progress(NULL);
	b->compared = !err;
	return child_stopped() ? -EINTR : err == -ECANCELED ? 0 : err;
}

static int by_place(const void *a, const void *b)
{
	const struct revision *x = a, *y = b;

	return (x->place > y->place) - (x->place < y->place);
}

int bisect_run(struct bisect *b)
{
	int err = bisect_state_load(b);

	if (err) {
		snprintf(b->why, sizeof(b->why), "%s is no state of a bisect, or damaged; remove it", b->state_path);
		return err;
	}
	if (b->nr_revisions)
		message_info("going on with %zu revisions that an earlier search has measured", b->nr_revisions);
	err = measure_ends(b);
	if (!err && b->outcome != BISECT_ENDS_ALIKE)
		err = search(b);
	if (!err && b->outcome == BISECT_FOUND)
		err = compare(b);
	if (!err)
		qsort(b->revisions, b->nr_revisions, sizeof(*b->revisions), by_place);
	return err;
}

void bisect_free(struct bisect *b)
{
	for (size_t i = 0; i < b->nr_revisions; i++) {
		free(b->revisions[i].id);
		free(b->revisions[i].title);
		free(b->revisions[i].reason);
		samples_free(&b->revisions[i].samples);
	}
	free(b->revisions);
	free(b->message);
	free(b->before);
	run_result_free(&b->measured[0]);
	run_result_free(&b->measured[1]);
}
