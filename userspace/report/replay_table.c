/* SPDX-License-Identifier: BSD-2-Clause */
/* The table that heaptape replay prints. */
#include "report/replay_table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

#define CELL_MAX 48
#define SAME_SHARE 0.005 /* smaller differences of single runs are told as none */

enum column {
	COL_NAME, COL_PEAK, COL_VS, COL_END, COL_LIVE, COL_INTERNAL, COL_HOLES, COL_RETAINED, COL_METADATA, COL_TIME,
	COL_TIME_VS, COL_FAULTS, COL_P99, COL_NR,
};
static const char *const heads[COL_NR] = { "allocator", "peak", "vs rec.", "at end", "live", "internal", "holes",
					   "retained", "metadata", "time", "vs rec.", "faults", "p99 malloc" };

struct table {
	char (*cells)[COL_NR][CELL_MAX];
	int widths[COL_NR];
};

/* As asked for, without the directory of a path. */
static const char *label_of(const struct replay_result *res)
{
	const char *label = res->tested->label;
	return strchr(label, '/') && res->tested->name ? strstr(label, res->tested->name) : label;
}

static const struct replay_result *recorded_result(const struct replay_report *r)
{
	for (size_t i = 0; i < r->nr_results; i++) {
		if (r->results[i].is_recorded && !r->results[i].error.kind)
			return &r->results[i];
	}
	return NULL;
}

/* With enough runs, a difference that chance may have made is told as none. */
static void fill_difference(char *cell, const struct replay_result *recorded, const struct replay_result *res,
			    enum metric metric)
{
	const struct verdict *v = &res->verdicts[metric];
	if (!recorded || recorded == res) {
		snprintf(cell, CELL_MAX, recorded == res ? "=" : "-");
		return;
	}
	snprintf(cell, CELL_MAX, v->kind == VERDICT_NONE ? "none" : "%+.1f %%", v->share * 100);
}

static void fill_row(char (*cells)[CELL_MAX], const struct replay_report *r, const struct replay_result *res)
{
	const struct run_result *m = &res->measured;
	const struct split *s = &m->end_split;
	snprintf(cells[COL_NAME], CELL_MAX, "%.40s%s", label_of(res), res->is_recorded ? " *" : "");
	if (res->error.kind)
		return;
	human_nbytes(cells[COL_PEAK], m->peak_resident);
	fill_difference(cells[COL_VS], recorded_result(r), res, METRIC_PEAK);
	if (r->opts->repeat >= VERDICT_RUNS_MIN)
		fill_difference(cells[COL_TIME_VS], recorded_result(r), res, METRIC_WALL);
	human_nbytes(cells[COL_END], m->end_resident);
	human_nbytes(cells[COL_LIVE], r->plan->facts.live_nbytes);
	if (m->has_usable)
		human_nbytes(cells[COL_INTERNAL], s->internal);
	else
		snprintf(cells[COL_INTERNAL], CELL_MAX, "unknown");
	human_nbytes(cells[COL_HOLES], s->holes);
	human_nbytes(cells[COL_RETAINED], s->retained);
	human_nbytes(cells[COL_METADATA], s->metadata);
	human_ns(cells[COL_TIME], res->wall_ns.median);
	human_count(cells[COL_FAULTS], res->page_faults.median);
	if (res->has_latency)
		human_ns(cells[COL_P99], (uint64_t)res->latency_ns[CONTROL_HIST_MALLOC][LATENCY_P99]);
}

static void measure_widths(struct table *t, size_t nr)
{
	for (int c = 0; c < COL_NR; c++) {
		t->widths[c] = 0;
		for (size_t i = 0; i < nr; i++) {
			int n = (int)strlen(t->cells[i][c]);
			t->widths[c] = n > t->widths[c] ? n : t->widths[c];
		}
		if (t->widths[c] && (int)strlen(heads[c]) > t->widths[c])
			t->widths[c] = (int)strlen(heads[c]);
	}
}

static void print_line(const struct table *t, const char *const *texts, char (*cells)[CELL_MAX], FILE *out)
{
	for (int c = 0; c < COL_NR; c++) {
		const char *text = texts ? texts[c] : cells[c];
		if (t->widths[c])
			fprintf(out, c == COL_NAME ? "%-*s" : "  %*s", t->widths[c], text);
	}
	fputc('\n', out);
}

static void print_rows(const struct replay_report *r, FILE *out)
{
	struct table t = { .cells = calloc(r->nr_results + 1, sizeof(*t.cells)) };
	if (!t.cells)
		return;
	for (size_t i = 0; i < r->nr_results; i++)
		fill_row(t.cells[i], r, &r->results[i]);
	measure_widths(&t, r->nr_results);
	print_line(&t, heads, NULL, out);
	for (size_t i = 0; i < r->nr_results; i++) {
		if (r->results[i].error.kind)
			fprintf(out, "%-*s  failed: %s\n", t.widths[COL_NAME], t.cells[i][COL_NAME], r->results[i].error.text);
		else
			print_line(&t, NULL, t.cells[i], out);
	}
	free(t.cells);
}

/* ---- in words ---- */

static void print_head(const struct replay_report *r, FILE *out)
{
	const struct plan_facts *f = &r->plan->facts;
	char events[HUMAN_MAX], span[HUMAN_MAX], live[HUMAN_MAX];
	fprintf(out, "%s: %s events of %u thread%s in %s, at most %s live\n\n", r->tape, human_count(events, f->nr_planned),
		r->plan->head.nr_threads, r->plan->head.nr_threads == 1 ? "" : "s",
		human_ns(span, f->last_ns - f->first_ns), human_nbytes(live, f->peak_nbytes));
}

static void print_verdict(const struct replay_report *r, FILE *out)
{
	const struct replay_result *best = NULL, *worst = NULL;
	char smallest[HUMAN_MAX], largest[HUMAN_MAX];
	for (size_t i = 0; i < r->nr_results; i++) {
		const struct replay_result *res = &r->results[i];
		/* Memory that an allocator keeps inside its own object is in no figure. */
		if (res->error.kind || res->measured.end_split.outside)
			continue;
		if (!best || res->measured.peak_resident < best->measured.peak_resident)
			best = res;
		if (!worst || res->measured.peak_resident > worst->measured.peak_resident)
			worst = res;
	}
	if (!best || best == worst)
		return;
	double share = 1 - (double)best->measured.peak_resident / (double)worst->measured.peak_resident;
	human_nbytes(smallest, best->measured.peak_resident);
	human_nbytes(largest, worst->measured.peak_resident);
	if (share < SAME_SHARE)
		fprintf(out, "All of them need the same memory at their peak, %s.\n", largest);
	else
		fprintf(out, "%s needs the least memory at its peak, %s: %.0f %% less than %s with %s.\n", label_of(best),
			smallest, share * 100, label_of(worst), largest);
}

static void print_fidelity(const struct replay_report *r, FILE *out)
{
	const struct replay_result *recorded = recorded_result(r);
	char when[HUMAN_MAX];
	if (!recorded || !recorded->has_fidelity)
		return;
	fprintf(out, "Replayed with %s, memory follows the recorded process within %.1f %% (mean), %+.1f %% (worst, at %s)."
		     "\n", label_of(recorded), recorded->fidelity_mean * 100, recorded->fidelity_worst * 100,
		human_ns(when, recorded->fidelity_worst_ns));
}

static void print_around(const struct replay_report *r, FILE *out)
{
	uint64_t peak = plan_around_peak(r->plan);
	char nbytes[HUMAN_MAX];
	if (peak)
		fprintf(out, "Around its allocator the recorded process held up to %s (own mappings, data, stacks); no figure above holds that.\n",
			human_nbytes(nbytes, peak));
}

static void print_legend(const struct replay_report *r, FILE *out)
{
	fputs("peak, at end: memory the allocator holds in RAM. live: what the program had asked for and not freed at the end.\n"
	      "The rest at the end is internal (rounded up in objects), holes (free between objects on the same page), retained\n"
	      "(pages without an object that once held some) and metadata. ", out);
	fputs(r->opts->repeat > 1 ? "time, faults: medians; the waits of threads for each other are in them.\n" :
				    "time: of one run, waits of threads for each other included.\n", out);
	if (recorded_result(r))
		fputs("* the allocator the tape was recorded with; vs rec.: against it, by peak and by time.\n", out);
	if (r->opts->repeat >= VERDICT_RUNS_MIN)
		fputs("none: no difference shown (rank test over the repeats, corrected for their number, at 0.05; 0.5 % at least).\n",
		      out);
	else if (r->nr_results > 1)
		fputs("Differences of fewer than 5 runs are not tested for chance: --repeat 5.\n", out);
}

void replay_table_print(const struct replay_report *r, FILE *out)
{
	print_head(r, out);
	print_rows(r, out);
	fputc('\n', out);
	print_verdict(r, out);
	print_fidelity(r, out);
	print_around(r, out);
	print_legend(r, out);
	for (size_t i = 0; i < r->warnings->nr; i++)
		fprintf(out, "warning: %s\n", r->warnings->list[i]);
	for (size_t i = 0; i < r->nr_results; i++) {
		for (size_t k = 0; k < r->results[i].warnings.nr; k++)
			fprintf(out, "warning: %s %s\n", label_of(&r->results[i]), r->results[i].warnings.list[k]);
	}
}
