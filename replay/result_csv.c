/* SPDX-License-Identifier: BSD-2-Clause */
/* The results as comma separated values: a line of names, a line an allocator. Bytes and nanoseconds; empty: not known. */
#include <inttypes.h>
#include <stdio.h>

#include "replay/replay.h"

/* Quoted as RFC 4180 has it. */
static void print_text(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text; text++)
		fprintf(out, *text == '"' ? "\"\"" : "%c", *text);
	fputc('"', out);
}

static void print_u64(FILE *out, uint64_t n)
{
	fprintf(out, ",%" PRIu64, n);
}

static void print_split(FILE *out, const struct run_result *m, const struct split *s)
{
	print_u64(out, s->requested);
	if (m->has_usable)
		print_u64(out, s->internal);
	else
		fputc(',', out);
	print_u64(out, s->holes);
	print_u64(out, s->retained);
	print_u64(out, s->metadata);
}

static void print_verdict(FILE *out, const struct verdict *v)
{
	static const char *const kinds[] = { "reference", "too few runs", "no difference shown", "differs" };
	fprintf(out, ",%.6f,%s", v->share, kinds[v->kind]);
}

static void print_result(FILE *out, const struct replay_report *rep, const struct replay_result *r)
{
	const struct run_result *m = &r->measured;
	print_text(out, r->tested->label);
	fprintf(out, ",%d,", r->is_recorded);
	if (r->error.kind) {
		print_text(out, r->error.text);
		fputs(",,,,,,,,,,,,,,,,,,,,\n", out);
		return;
	}
	print_u64(out, m->peak_resident);
	print_u64(out, m->end_resident);
	print_split(out, m, &m->peak_split);
	print_split(out, m, &m->end_split);
	print_u64(out, r->wall_ns.median);
	fprintf(out, ",%.0f", r->wall_ns.median ? 1e9 * (double)rep->plan->facts.nr_planned / (double)r->wall_ns.median : 0);
	print_u64(out, r->page_faults.median);
	if (r->has_latency)
		fprintf(out, ",%.0f", r->latency_ns[CONTROL_HIST_MALLOC][LATENCY_P99]);
	else
		fputc(',', out);
	print_verdict(out, &r->verdicts[METRIC_PEAK]);
	print_verdict(out, &r->verdicts[METRIC_WALL]);
	fputc('\n', out);
}

void replay_csv(const struct replay_report *rep, FILE *out)
{
	fputs("allocator,recorded,error,peak_resident,end_resident,peak_requested,peak_internal,peak_holes,peak_retained,"
	      "peak_metadata,end_requested,end_internal,end_holes,end_retained,end_metadata,wall_ns,events_per_s,page_faults,"
	      "p99_malloc_ns,peak_difference,peak_verdict,wall_difference,wall_verdict\n", out);
	for (size_t i = 0; i < rep->nr_results; i++)
		print_result(out, rep, &rep->results[i]);
}
