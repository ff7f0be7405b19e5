/* SPDX-License-Identifier: BSD-2-Clause */
/* rerun.c - see rerun.h. */
#include "rerun/rerun.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "analyze/analysis.h"
#include "bisect/child.h"
#include "message.h"
#include "replay/rank_test.h"
#include "report/report.h"
#include "rerun/run_once.h"
#include "utf8.h"

const struct rerun_figure_kind rerun_figures[RERUN_NR] = {
	[RERUN_PEAK_LIVE] = { "peak_live", "peak live", RERUN_BYTES, true },
	[RERUN_PEAK_RESIDENT] = { "peak_resident", "peak resident", RERUN_BYTES, false },
	[RERUN_END_RESIDENT] = { "end_resident", "at end", RERUN_BYTES, false },
	[RERUN_CPU] = { "cpu_ns", "CPU time", RERUN_NS, false },
	[RERUN_WALL] = { "wall_ns", "time", RERUN_NS, false },
	[RERUN_FAULTS] = { "faults", "faults", RERUN_COUNT, false },
};

/* ---- what a tape says ---- */

static struct found_rule *rule_of(struct rerun_variant *v, const char *rule)
{
	for (unsigned i = 0; i < v->nr_rules; i++)
		if (!strcmp(v->rules[i].rule, rule))
			return &v->rules[i];
	if (v->nr_rules == FINDINGS_MAX)
		return NULL;
	v->rules[v->nr_rules] = (struct found_rule){ .rule = rule };
	return &v->rules[v->nr_rules++];
}

static const char *thread_name(void *arg, const struct analysis_thread *t)
{
	static char bufs[2][96];
	static unsigned which;

	which ^= 1;
	return report_thread_name(arg, t, bufs[which], sizeof(bufs[which]));
}

static void take_findings(struct rerun_variant *v, struct tape_reader *tape, const struct analysis *a, const char *allocator)
{
	struct finding list[FINDINGS_MAX];
	struct finding_facts facts = { .allocator = allocator, .thread_name = thread_name, .arg = tape,
				       .nr_cpus = tape_reader_meta_u64(tape, "machine.cpus", 0) };
	size_t nr = findings_make(a, &facts, list);

	for (size_t i = 0; i < nr; i++) {
		struct found_rule *r = rule_of(v, list[i].rule);
		bool again = false;

		for (size_t k = 0; k < i; k++) /* a rule may fire more than once on a tape */
			again |= !strcmp(list[k].rule, list[i].rule);
		if (!r || again)
			continue;
		r->nr++;
		if (!*r->title)
			snprintf(r->title, sizeof(r->title), "%s", list[i].title);
	}
}

static bool same_file(const struct tested *asked, const struct tape_allocator *found)
{
	struct stat st;

	if (*asked->build_id && *found->build_id)
		return !strcmp(asked->build_id, found->build_id);
	return !stat(found->path, &st) && st.st_dev == asked->dev && st.st_ino == asked->ino;
}

/* What ld.so cannot preload it passes over with a word nobody reads. */
static bool check_allocator(struct rerun_variant *v, const struct tape_allocator *found)
{
	if (!v->variant->has_alloc || (found && same_file(&v->variant->alloc, found)))
		return true;
	snprintf(v->error, sizeof(v->error), "%s was to be the allocator, but %s%.200s was in force: the program is static, runs with other rights, "
		 "brings its own, or the file cannot be preloaded", v->variant->alloc.path, found ? "" : "none that is known",
		 found ? found->path : "");
	return false;
}

static void show_progress(void *arg, const char *what, uint64_t nr_events)
{
	const struct rerun_one *run = arg;
	char count[HUMAN_MAX];

	message_progress("%s: %s, %s events", strrchr(run->tape, '/') + 1, what, human_count(count, nr_events));
}

/* 0, also with v->error; -ENOMEM. */
static int read_tape(struct rerun_variant *v, struct rerun_one *run)
{
	struct analysis_opts opts = { .to_ns = UINT64_MAX, .at_ns = UINT64_MAX, .progress = show_progress, .progress_arg = run };
	const struct tape_allocator *found;
	struct tape_reader *tape;
	struct analysis a = { 0 };
	int err = tape_reader_open(run->tape, NULL, &tape);

	if (err) {
		snprintf(v->error, sizeof(v->error), "its tape cannot be read: %s", tape_reader_error(NULL));
		return 0;
	}
	err = analysis_read(tape, &opts, &a);
	message_progress(NULL);
	if (err && err != -ENOMEM)
		snprintf(v->error, sizeof(v->error), "its tape cannot be read: %s", tape_reader_error(tape));
	if (!err) {
		found = a.allocator == TAPE_NO_ALLOC ? NULL : tape_reader_allocator(tape, a.allocator);
		if (check_allocator(v, found))
			take_findings(v, tape, &a, found ? found->name : "");
		run->figures[RERUN_PEAK_LIVE] = (double)a.peak_live_nbytes;
		run->figures[RERUN_PEAK_RESIDENT] = (double)a.peak_rss_anon;
		run->figures[RERUN_END_RESIDENT] = a.rss_anon == UINT64_MAX ? 0 : (double)a.rss_anon;
	}
	analysis_free(&a);
	tape_reader_close(tape);
	return err == -ENOMEM ? err : 0;
}

/* ---- runs ---- */

/* The program's last words are the reason, unless it had none. */
static void say_failed(struct rerun_variant *v, const char *what, int status, const char *log)
{
	char words[300], clean[2 * sizeof(words) + 1];
	size_t n;

	if (WIFSIGNALED(status))
		n = (size_t)snprintf(v->error, sizeof(v->error), "%s was ended by signal %d", what, WTERMSIG(status));
	else
		n = (size_t)snprintf(v->error, sizeof(v->error), "%s ended with status %d", what, WEXITSTATUS(status));
	utf8_clean(log_reason(log, words, sizeof(words)), clean);
	if (*clean)
		snprintf(v->error + n, sizeof(v->error) - n, ": %s", clean);
}

/* 0, also with v->error; -ECANCELED, other -errno. */
static int run_variant(struct rerun *r, struct rerun_variant *v, unsigned round, bool recorded)
{
	char **argv = variant_argv(v->variant, r->opts.argv), log[PATH_MAX], what[80];
	struct rerun_one run = { 0 };
	struct once_order order = { .argv = argv, .env = v->variant->env, .user = r->opts.user, .input = r->opts.input,
				   .log = log, .tape = recorded ? run.tape : NULL, .duration_ns = r->opts.duration_ns,
				   .alloc = v->variant->has_alloc && v->variant->alloc.preload ? &v->variant->alloc : NULL };
	struct once_outcome o;
	bool counts = recorded || r->opts.no_record; /* as the variant's, not only beside it */
	int err = argv ? 0 : -ENOMEM;

	snprintf(what, sizeof(what), "run %u%s", round + 1, recorded ? "" : " without a recording");
	if (snprintf(run.tape, sizeof(run.tape), "%s/%s.%u.tape", r->opts.folder, v->variant->name, round + 1) >= PATH_MAX ||
	    snprintf(log, sizeof(log), "%s/%s.%u%s.out", r->opts.folder, v->variant->name, round + 1, recorded ? "" : ".plain") >= PATH_MAX)
		err = -ENAMETOOLONG;
	message_progress("%s: %s of %u", v->variant->name, what, r->opts.nr_repeats);
	if (!err)
		err = run_once(&order, &o);
	message_progress(NULL);
	free(argv);
	if (err || o.stopped)
		return err ? err : -ECANCELED;
	if (*o.error)
		snprintf(v->error, sizeof(v->error), "%s: %s", what, o.error);
	else if (o.status && !o.cut)
		say_failed(v, what, o.status, log);
	else if (r->opts.no_record && order.alloc && !o.alloc_seen)
		snprintf(v->error, sizeof(v->error), "%s was to be the allocator, and was never seen in the program's memory in %.3f s: it is static, "
			 "runs with other rights, or the file cannot be preloaded", v->variant->alloc.path, (double)o.wall_ns / 1e9);
	if (*v->error)
		return 0;
	run.cut = o.cut;
	run.calls = o.calls;
	run.lost = o.lost;
	run.cost_ns = o.cost_ns;
	run.figures[RERUN_PEAK_RESIDENT] = (double)o.peak_resident;
	run.figures[RERUN_END_RESIDENT] = (double)o.end_resident;
	run.figures[RERUN_CPU] = (double)o.cpu_ns;
	run.figures[RERUN_WALL] = (double)o.wall_ns;
	run.figures[RERUN_FAULTS] = (double)o.faults;
	if (recorded)
		err = read_tape(v, &run);
	if (recorded && !r->opts.keep && !(r->opts.predict && v == &r->variants[r->opts.base] && !round))
		unlink(run.tape);
	if (err || *v->error)
		return err;
	for (int f = 0; f < RERUN_NR && !err; f++)
		err = samples_add(counts ? &v->samples[f] : &v->plain[f], run.figures[f]);
	if (counts) {
		v->runs[v->nr_runs++] = run;
		v->nr_cut += run.cut;
		v->lost += run.lost;
	}
	return err;
}

/* ---- verdicts ---- */

static double change_of(const struct samples *base, const struct samples *other)
{
	double b = samples_median(base), o = samples_median(other);

	return b > 0 ? o / b - 1 : 0;
}

static bool is_compared(const struct rerun *r, size_t i)
{
	return i != r->opts.base && !*r->variants[i].error && !*r->variants[r->opts.base].error;
}

/* All variants by one figure; the levels are corrected over them. */
static int judge(struct rerun *r, int figure)
{
	const struct rerun_variant *base = &r->variants[r->opts.base];
	double p[VARIANTS_MAX];
	size_t nr_tests = 0;

	for (size_t i = 0; i < r->nr_variants; i++) {
		struct verdict_of *v = &r->variants[i].verdicts[figure];

		*v = (struct verdict_of){ .p = -1, .kind = VERDICT_REFERENCE };
		if (!is_compared(r, i))
			continue;
		v->change = change_of(&base->samples[figure], &r->variants[i].samples[figure]);
		v->kind = base->nr_runs < VERDICT_RUNS_MIN ? VERDICT_TOO_FEW : VERDICT_NONE;
		if (v->kind == VERDICT_TOO_FEW)
			continue;
		p[nr_tests] = samples_test(&base->samples[figure], &r->variants[i].samples[figure], 1);
		if (p[nr_tests++] < 0)
			return -ENOMEM;
	}
	holm(p, nr_tests);
	nr_tests = 0;
	for (size_t i = 0; i < r->nr_variants; i++) {
		struct verdict_of *v = &r->variants[i].verdicts[figure];

		if (v->kind != VERDICT_NONE)
			continue;
		v->p = p[nr_tests++];
		if (v->p < VERDICT_P && (v->change > VERDICT_SHARE || v->change < -VERDICT_SHARE))
			v->kind = VERDICT_DIFFERS;
	}
	return 0;
}

bool rerun_has_rule(const struct rerun_variant *v, const char *rule)
{
	for (unsigned i = 0; i < v->nr_rules; i++)
		if (!strcmp(v->rules[i].rule, rule))
			return 2 * v->rules[i].nr > v->nr_runs;
	return false;
}

/* ---- all of it ---- */

static int make_variants(struct rerun *r, const struct variants *variants)
{
	r->variants = calloc(variants->nr, sizeof(*r->variants));
	if (!r->variants)
		return -ENOMEM;
	r->nr_variants = variants->nr;
	for (size_t i = 0; i < r->nr_variants; i++) {
		r->variants[i].variant = &variants->list[i];
		r->variants[i].runs = calloc(r->opts.nr_repeats, sizeof(struct rerun_one));
		if (!r->variants[i].runs)
			return -ENOMEM;
	}
	return 0;
}

int rerun_run(struct rerun *r, const struct variants *variants)
{
	int err = make_variants(r, variants);

	for (unsigned round = 0; round < r->opts.nr_repeats && !err; round++) {
		for (size_t i = 0; i < r->nr_variants && !err; i++) {
			struct rerun_variant *v = &r->variants[i];
			bool failed_before = *v->error;

			if (!failed_before)
				err = run_variant(r, v, round, !r->opts.no_record);
			if (!err && !*v->error && r->opts.plain)
				err = run_variant(r, v, round, false);
			if (!err && *v->error && !failed_before)
				message_error("%s: %s; this variant is given up", v->variant->name, v->error);
		}
	}
	for (int f = 0; f < RERUN_NR && !err; f++)
		err = judge(r, f);
	return err;
}

void rerun_free(struct rerun *r)
{
	for (size_t i = 0; i < r->nr_variants; i++) {
		free(r->variants[i].runs);
		for (int f = 0; f < RERUN_NR; f++) {
			samples_free(&r->variants[i].samples[f]);
			samples_free(&r->variants[i].plain[f]);
		}
	}
	free(r->variants);
	r->variants = NULL;
	r->nr_variants = 0;
}
