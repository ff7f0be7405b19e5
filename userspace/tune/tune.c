/* SPDX-License-Identifier: BSD-2-Clause */
/* tune.c - see tune.h. */
#include "tune/tune.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "message.h"
#include "replay/rank_test.h"
#include "rewrite/rewrite.h"
#include "tape_open.h"
#include "tune/memo.h"

#define PAIRS_OF 4             /* the best singles by either figure that are paired */
#define SHORT_RUN_NS 100000000 /* a whole tape that plays faster than this is not shortened */
#define KEPT_MIN 8             /* choices that a halving leaves */

struct search {
	struct tune *tune;
	uint64_t began_ns;
	struct trials *trials; /* of the tape at hand */
	unsigned part;         /* of the tape that they play: the first 1/part */
	struct memo *memo;
};

static uint64_t elapsed(const struct search *s)
{
	return clock_monotonic_ns() - s->began_ns;
}

/* ---- choices ---- */

static const char *value_of(const struct tune *t, const int chosen[2])
{
	return t->settings->list[chosen[0]].values[chosen[1]];
}

/* Two that share a variable stand in it together. */
static char *text_of(const struct tune *t, const int a[2], const int b[2])
{
	const struct setting *x = &t->settings->list[a[0]], *y = b[0] >= 0 ? &t->settings->list[b[0]] : NULL;
	char one[512], two[512] = "", *text = NULL;
	bool joined = y && !strcmp(x->variable, y->variable);
	int n;

	if (x->name)
		snprintf(one, sizeof(one), "%s=%s%c%s", x->variable, x->name, t->settings->assign, value_of(t, a));
	else
		snprintf(one, sizeof(one), "%s=%s", x->variable, value_of(t, a));
	if (joined)
		snprintf(two, sizeof(two), "%c%s%c%s", t->settings->separator, y->name, t->settings->assign, value_of(t, b));
	else if (y && y->name)
		snprintf(two, sizeof(two), ",%s=%s%c%s", y->variable, y->name, t->settings->assign, value_of(t, b));
	else if (y)
		snprintf(two, sizeof(two), ",%s=%s", y->variable, value_of(t, b));
	n = asprintf(&text, "%s%s", one, two);
	return n < 0 ? NULL : text;
}

static int add_choice(struct tune *t, const int a[2], const int b[2])
{
	struct tune_choice *list = reallocarray(t->choices, t->nr_choices + 1, sizeof(*list));
	struct tune_choice c = { .first = { a[0], a[1] }, .second = { b[0], b[1] }, .kept = true };

	if (!list)
		return -ENOMEM;
	t->choices = list;
	c.text = a[0] < 0 ? strdup("") : text_of(t, a, b);
	if (!c.text)
		return -ENOMEM;
	list[t->nr_choices++] = c;
	return 0;
}

static const int none[2] = { -1, -1 };

static int add_singles(struct tune *t)
{
	int err = add_choice(t, none, none);

	for (int i = 0; t->settings->list[i].variable; i++)
		for (int v = 0; t->settings->list[i].values[v] && !err; v++)
			err = add_choice(t, (int[]){ i, v }, none);
	return err;
}

/* ---- runs ---- */

/* What was found before, unless it is missing for one of the figures. */
static bool recall(struct search *s, const struct tune_choice *c, int from, int to, size_t i, double *values)
{
	bool known = true;

	for (int f = from; f < to && known; f++)
		known = memo_get(s->memo, c->text, s->part, f, i, &values[f]);
	s->tune->nr_known += known;
	return known;
}

/* A run of one choice, and its figures. */
struct want {
	struct tune_choice *choice;
	size_t run;
	double values[TUNE_NR];
	bool known;
	struct tested tested;
};

static int parse_choice(struct search *s, struct want *w)
{
	char *label = NULL, why[512];
	int err = asprintf(&label, "%s%s%s", s->tune->alloc, *w->choice->text ? "," : "", w->choice->text) < 0 ? -ENOMEM :
		tested_parse(label, &w->tested, why, sizeof(why));

	if (err)
		snprintf(s->tune->why, sizeof(s->tune->why), "%s: %s", label ? label : "", label ? why : "out of memory");
	free(label);
	return err;
}

/* An allocator that failed is given up. */
static int give_up(struct tune_choice *c, const struct run_error *error)
{
	c->kept = false;
	free(c->error);
	c->error = asprintf(&c->error, "%s: %s", error->kind, error->text) < 0 ? NULL : c->error;
	return c->error ? 0 : -ENOMEM;
}

static int take_result(struct search *s, struct want *w, const struct run_result *res, int from, int to)
{
	if (res->error.kind)
		return give_up(w->choice, &res->error);
	w->values[TUNE_RESIDENT] = (double)res->peak_resident;
	w->values[TUNE_CPU] = (double)res->cpu_ns;
	w->values[TUNE_P99] = trial_metric_value(TRIAL_P99_MALLOC, res);
	for (int f = from; f < to; f++)
		memo_add(s->memo, w->choice->text, s->part, f, w->values[f]);
	return 0;
}

/* Those of the wanted ones that are not known, at once. */
static int play_wanted(struct search *s, struct want *list, size_t nr, int from, int to)
{
	const struct tested **tested = calloc(nr + 1, sizeof(*tested));
	struct run_result *res = calloc(nr + 1, sizeof(*res)); /* histograms are too large for a stack */
	size_t nr_played = 0, k = 0;
	int err = tested && res ? 0 : -ENOMEM;

	for (size_t i = 0; i < nr && !err; i++) {
		err = list[i].known ? 0 : parse_choice(s, &list[i]);
		if (!err && !list[i].known)
			tested[nr_played++] = &list[i].tested;
	}
	if (!err && nr_played) {
		s->tune->nr_runs += nr_played;
		message_progress("%zu runs, %s", s->tune->nr_runs, *list[0].choice->text ? list[0].choice->text : "the defaults");
		err = trials_many(s->trials, tested, from == TUNE_P99 ? CONTROL_LATENCY : 0, res, nr_played);
		message_progress(NULL);
	}
	for (size_t i = 0; i < nr && !err; i++)
		if (!list[i].known)
			err = take_result(s, &list[i], &res[k++], from, to);
	for (size_t i = 0; i < nr_played && res; i++)
		run_result_free(&res[i]);
	for (size_t i = 0; i < nr; i++)
		tested_free(&list[i].tested);
	free(tested);
	free(res);
	return err;
}

/* Figures `from` up to `to` of each of these. */
static int run_figures(struct search *s, struct want *list, size_t nr, int from, int to)
{
	for (size_t i = 0; i < nr; i++)
		list[i].known = !list[i].choice->kept || recall(s, list[i].choice, from, to, list[i].run, list[i].values);
	return play_wanted(s, list, nr, from, to);
}

static int run_quick(struct search *s, struct want *list, size_t nr)
{
	int err = run_figures(s, list, nr, TUNE_RESIDENT, TUNE_P99);

	for (size_t i = 0; i < nr; i++) {
		list[i].choice->quick[TUNE_RESIDENT] = list[i].values[TUNE_RESIDENT];
		list[i].choice->quick[TUNE_CPU] = list[i].values[TUNE_CPU];
	}
	return err;
}

/* All from number `from` on that are kept, while a share of the budget lasts. */
static int run_round(struct search *s, size_t from, double share)
{
	struct tune *t = s->tune;
	size_t batch = executor_batch(s->tune->executor), nr = 0;
	struct want *list = calloc(batch, sizeof(*list));
	int err = list ? 0 : -ENOMEM;

	for (size_t i = from; i < t->nr_choices && !err; i++) {
		if (!t->choices[i].kept)
			continue;
		if (i && (double)elapsed(s) > share * (double)t->budget_ns) {
			t->choices[i].kept = false;
			t->out_of_budget = true;
			continue;
		}
		list[nr++] = (struct want){ .choice = &t->choices[i] };
		if (nr == batch) {
			err = run_quick(s, list, nr);
			nr = 0;
		}
	}
	if (!err && nr)
		err = run_quick(s, list, nr);
	free(list);
	return err;
}

/* ---- choosing ---- */

/* How many of the kept ones are better by a figure. */
static size_t rank_of(const struct tune *t, size_t i, int figure)
{
	size_t rank = 0;

	for (size_t k = 1; k < t->nr_choices; k++)
		rank += t->choices[k].kept && (t->choices[k].quick[figure] < t->choices[i].quick[figure] ||
					       (t->choices[k].quick[figure] == t->choices[i].quick[figure] && k < i));
	return rank;
}

/* Leaves nr of them: two in three by memory, the rest by CPU time, which one run tells less surely. */
static void keep_best(struct tune *t, size_t nr)
{
	size_t by_memory = (nr * 2 + 2) / 3;

	for (size_t i = 1; i < t->nr_choices; i++)
		t->choices[i].on_front = t->choices[i].kept &&
					 (rank_of(t, i, TUNE_RESIDENT) < by_memory || rank_of(t, i, TUNE_CPU) < nr - by_memory);
	for (size_t i = 1; i < t->nr_choices; i++) {
		t->choices[i].kept = t->choices[i].on_front;
		t->choices[i].on_front = false;
	}
}

static bool can_pair(const struct tune *t, size_t i)
{
	return t->choices[i].kept && t->choices[i].second[0] < 0 &&
	       (rank_of(t, i, TUNE_RESIDENT) < PAIRS_OF || rank_of(t, i, TUNE_CPU) < PAIRS_OF / 2);
}

static int add_pairs(struct tune *t)
{
	size_t nr = t->nr_choices;
	int err = 0;

	for (size_t i = 1; i < nr; i++)
		for (size_t k = i + 1; k < nr && !err; k++)
			if (t->choices[i].first[0] != t->choices[k].first[0] && can_pair(t, i) && can_pair(t, k))
				err = add_choice(t, (int[]){ t->choices[i].first[0], t->choices[i].first[1] },
						 (int[]){ t->choices[k].first[0], t->choices[k].first[1] });
	return err;
}

static size_t count_kept(const struct tune *t)
{
	size_t nr = 0;

	for (size_t i = 1; i < t->nr_choices; i++)
		nr += t->choices[i].kept;
	return nr;
}

/* ---- the rounds ---- */

/* Opens the first 1/part of the tape. path: where it is written, removed by the caller. */
static int open_part(const struct search *s, const struct trials *whole, unsigned part, const char *path, struct trials *t)
{
	const struct plan_facts *f = &whole->plan.facts;
	struct rewrite_opts opts = { .to_ns = f->first_ns + (f->last_ns - f->first_ns) / part + 1, .strip = true, .overwrite = true };
	struct rewrite_result res;
	struct tape_reader *r = tape_open(s->tune->tape, false);
	int err = r ? rewrite_tape(r, path, &opts, &res) : -EINVAL;

	tape_reader_close(r);
	return err ? err : trials_try(t, path);
}

/* A round on a part of the tape, or on all of it where that is short or no call lies in the part. */
static int play_part(struct search *s, struct trials *whole, unsigned part, bool is_short, size_t from, double share)
{
	const char *tmp = getenv("TMPDIR");
	char path[PATH_MAX], plan[PATH_MAX + 8];
	struct trials t = { .plan = { .fd = -1 } };
	int fd, err;

	snprintf(path, sizeof(path), "%s/heaptape-tune.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	fd = is_short ? -1 : mkstemp(path);
	err = is_short ? -ENOENT : fd < 0 ? -errno : open_part(s, whole, part, path, &t);

	t.opts.tape_path = whole->opts.tape_path; /* executors work beside the tape itself */
	t.opts.execute = whole->opts.execute;
	t.opts.execute_arg = whole->opts.execute_arg;
	s->trials = err ? whole : &t;
	s->part = err ? 1 : part;
	err = run_round(s, from, share);
	if (fd >= 0) {
		close(fd);
		unlink(path);
		snprintf(plan, sizeof(plan), "%s.plan", path);
		unlink(plan);
		trials_close(&t);
	}
	s->trials = whole;
	s->part = 1;
	return err;
}

/* These runs at once, or one after the other. */
static int play_final_runs(struct search *s, struct want *list, size_t nr, int from, int to)
{
	size_t batch = executor_batch(s->tune->executor);
	int err = 0;

	for (size_t i = 0; i < nr && !err; i += batch)
		err = run_figures(s, &list[i], nr - i < batch ? nr - i : batch, from, to);
	for (size_t i = 0; i < nr && !err; i++)
		for (int f = from; f < to && !err && !list[i].choice->error; f++)
			err = samples_add(&list[i].choice->samples[f], list[i].values[f]);
	return err;
}

/* Finalists in turns, so that a machine that slows down slows all of them. */
static int play_final(struct search *s)
{
	struct tune *t = s->tune;
	struct want *list = calloc(t->nr_choices * TUNE_RUNS, sizeof(*list));
	int err = list ? 0 : -ENOMEM;

	for (int pass = 0; pass < 2 && !err; pass++) {
		size_t nr = 0;

		for (size_t run = 0; run < TUNE_RUNS; run++)
			for (size_t i = 0; i < t->nr_choices; i++)
				if (t->choices[i].kept)
					list[nr++] = (struct want){ .choice = &t->choices[i], .run = run };
		err = pass ? play_final_runs(s, list, nr, TUNE_P99, TUNE_NR) : play_final_runs(s, list, nr, TUNE_RESIDENT, TUNE_P99);
	}
	free(list);
	return err;
}

/* ---- verdicts ---- */

static int judge(struct tune *t)
{
	size_t nr = 0, max = t->nr_choices * TUNE_NR;
	double *p = calloc(max, sizeof(*p));

	if (!p)
		return -ENOMEM;
	for (int pass = 0; pass < 2; pass++) {
		nr = 0;
		for (size_t i = 1; i < t->nr_choices; i++) {
			struct tune_choice *c = &t->choices[i];

			for (int f = 0; f < TUNE_NR && c->kept; f++, nr++) {
				double base = samples_median(&t->choices[0].samples[f]);

				if (!pass) {
					p[nr] = samples_test(&c->samples[f], &t->choices[0].samples[f], 1);
					continue;
				}
				c->p[f] = p[nr];
				c->gain[f] = base > 0 ? 1 - samples_median(&c->samples[f]) / base : 0;
				c->is_better[f] = p[nr] < VERDICT_P && c->gain[f] > VERDICT_SHARE;
				c->is_worse[f] = p[nr] < VERDICT_P && c->gain[f] < -VERDICT_SHARE;
			}
		}
		if (!pass)
			holm(p, nr);
	}
	free(p);
	return 0;
}

/* a is surely better in something, and b in nothing. */
static bool dominates(const struct tune_choice *a, const struct tune_choice *b)
{
	bool better = false;

	for (int f = 0; f < TUNE_NR; f++) {
		double x = samples_median(&a->samples[f]), y = samples_median(&b->samples[f]);
		bool sure = samples_test(&a->samples[f], &b->samples[f], 1) < VERDICT_P && (x < y ? y - x : x - y) > VERDICT_SHARE * y;

		if (sure && x > y)
			return false;
		better |= sure;
	}
	return better;
}

static void find_front(struct tune *t)
{
	for (size_t i = 1; i < t->nr_choices; i++) {
		struct tune_choice *c = &t->choices[i];

		c->on_front = c->kept && (c->is_better[0] || c->is_better[1] || c->is_better[2]);
		for (size_t k = 0; k < t->nr_choices && c->on_front; k++)
			c->on_front = k == i || !t->choices[k].kept || !dominates(&t->choices[k], c);
	}
}

static size_t finalists_for(const struct search *s, uint64_t run_ns)
{
	uint64_t spent = elapsed(s), left = s->tune->budget_ns > spent ? s->tune->budget_ns - spent : 0;
	uint64_t nr = left / (2ull * TUNE_RUNS * (run_ns ? run_ns : 1));

	return nr > TUNE_FINALISTS_MAX ? TUNE_FINALISTS_MAX : nr > 2 ? (size_t)nr - 1 : 1;
}

/* How long a run takes decides on the rounds: if it is known, it is as it was then. */
static uint64_t note_duration(struct search *s, uint64_t ns)
{
	double known;

	if (memo_get(s->memo, "", s->part, TUNE_NR, 0, &known))
		return (uint64_t)known;
	memo_add(s->memo, "", s->part, TUNE_NR, (double)ns);
	return ns;
}

static int search(struct search *s)
{
	struct tune *t = s->tune;
	struct trials *whole = s->trials;
	uint64_t run_ns = clock_monotonic_ns();
	size_t nr_singles;
	bool is_short;
	int err = add_singles(t);

	if (!err)
		err = run_quick(s, &(struct want){ .choice = &t->choices[0] }, 1);
	if (!err && t->choices[0].error) {
		snprintf(t->why, sizeof(t->why), "%s does not get through the replay by itself: %s", t->alloc, t->choices[0].error);
		return -ECANCELED;
	}
	run_ns = note_duration(s, clock_monotonic_ns() - run_ns);
	is_short = run_ns < SHORT_RUN_NS;
	nr_singles = t->nr_choices;
	if (!err)
		err = play_part(s, whole, 8, is_short, 1, 0.25);
	if (!err)
		err = add_pairs(t);
	if (!err)
		err = play_part(s, whole, 8, is_short, nr_singles, 0.4);
	if (!err) {
		size_t half = count_kept(t) / 2;

		keep_best(t, half > KEPT_MIN ? half : KEPT_MIN);
		err = play_part(s, whole, 2, is_short, 1, 0.6);
	}
	if (err)
		return err;
	keep_best(t, finalists_for(s, run_ns));
	t->nr_finalists = count_kept(t);
	err = play_final(s);
	if (!err)
		err = judge(t);
	if (!err)
		find_front(t);
	return err;
}

int tune_run(struct tune *t)
{
	struct trials whole;
	struct search s = { .tune = t, .began_ns = clock_monotonic_ns(), .trials = &whole, .part = 1 };
	int err = trials_open(&whole, t->tape), memo_err;

	if (!err && t->executor)
		executor_use(t->executor, &whole.opts);
	if (!err) {
		s.memo = memo_open(t->tape, t->alloc);
		err = search(&s);
		memo_err = memo_close(s.memo);
		if (memo_err)
			message_verbose("what was measured is not kept: %s", strerror(-memo_err));
		if (err && !*t->why)
			snprintf(t->why, sizeof(t->why), "%s: %s", t->tape, t->executor && *t->executor->why ? t->executor->why : strerror(-err));
	}
	trials_close(&whole);
	t->took_ns = elapsed(&s);
	return err;
}

void tune_free(struct tune *t)
{
	for (size_t i = 0; i < t->nr_choices; i++) {
		free(t->choices[i].text);
		free(t->choices[i].error);
		for (int f = 0; f < TUNE_NR; f++)
			samples_free(&t->choices[i].samples[f]);
	}
	free(t->choices);
}
