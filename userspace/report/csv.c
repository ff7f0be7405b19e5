/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * csv.c - one table of an analysis as CSV (RFC 4180, lines end in a newline alone): a head line with the columns' names, which
 * end in their units, then plain numbers. A figure that is not known is an empty field.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "report/course.h"
#include "report/stack_text.h"

#define STACK_FRAMES 128
#define STACK_NBYTES 65536

const char *course_table_name(enum course_table table)
{
	static const char *const names[COURSE_NR] = { [COURSE_TIME] = "time", [COURSE_STACKS] = "stacks", [COURSE_SIZES] = "sizes",
						      [COURSE_THREADS] = "threads", [COURSE_PAIRS] = "pairs",
						      [COURSE_RUNTIME] = "runtime" };

	return names[table];
}

static void put_u64(FILE *out, uint64_t n)
{
	fprintf(out, "%" PRIu64 ",", n);
}

/* UINT64_MAX is what is not known. */
static void put_known(FILE *out, uint64_t n)
{
	if (n == UINT64_MAX)
		putc(',', out);
	else
		put_u64(out, n);
}

static void put_text(FILE *out, const char *text)
{
	putc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			putc('"', out);
		putc(*text, out);
	}
	putc('"', out);
}

static void write_time(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;

	fprintf(out, "ns,live_bytes,live,allocations,frees,allocated_bytes,rss_anon_bytes,threads,resident_bytes,requested_bytes,"
		     "holes_bytes,retained_bytes,metadata_bytes,around_bytes\n");
	for (size_t i = 0; i < a->nr_points; i++) {
		const struct analysis_point *p = &a->points[i];
		const struct pages_split *s = &p->split;

		fprintf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", p->ns, p->live_nbytes, p->live_nr,
			p->births, p->deaths, p->born_nbytes);
		put_known(out, p->rss_anon);
		put_u64(out, p->threads);
		if (a->has_pages)
			fprintf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", s->resident, s->requested,
				s->holes, s->retained, s->metadata, s->around);
		else
			fprintf(out, ",,,,,\n");
	}
}

static int write_stacks(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;
	char *text = malloc(STACK_NBYTES);

	if (!text)
		return -ENOMEM;
	fprintf(out, "stack_number,allocations,allocated_bytes,frees,live,live_bytes,brief,brief_bytes,old,old_bytes,pinned_bytes,"
		     "freed_by_others,freed_by_others_bytes,stack\n");
	for (size_t i = 0; i < a->nr_stacks; i++) {
		const struct analysis_stack *s = &a->stacks[i];
		const uint64_t row[] = { s->stack, s->births, s->born_nbytes, s->deaths, s->live, s->live_nbytes, s->soon, s->soon_nbytes, s->old,
					 s->old_nbytes, s->pinned_nbytes, s->cross, s->cross_nbytes };

		for (size_t k = 0; k < sizeof(row) / sizeof(row[0]); k++)
			put_u64(out, row[k]);
		put_text(out, stack_text(r->tape, r->naming, s->stack, STACK_FRAMES, text, STACK_NBYTES));
		putc('\n', out);
	}
	free(text);
	return 0;
}

static void write_sizes(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;

	fprintf(out, "from_bytes,to_bytes,allocations,allocated_bytes,live,live_bytes,peak_live_bytes,peak_ns\n");
	for (size_t i = 0; i < a->nr_sizes; i++) {
		const struct analysis_size *s = &a->sizes[i];

		fprintf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", s->from, s->to,
			s->births, s->born_nbytes, s->live, s->live_nbytes, s->peak_live_nbytes, s->peak_ns);
	}
}

static void write_threads(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;

	fprintf(out, "tid,allocations,allocated_bytes,frees,live_bytes,last_call_ns,started_ns,ended_ns,name\n");
	for (size_t i = 0; i < a->nr_threads; i++) {
		const struct analysis_thread *t = &a->threads[i];
		const char *name = t->name ? tape_reader_string(r->tape, t->name) : NULL;

		fprintf(out, "%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", t->tid, t->births, t->born_nbytes,
			t->deaths, t->live_nbytes, t->last_call_ns);
		put_known(out, t->started_ns);
		put_known(out, t->ended_ns);
		put_text(out, naming_text(r->naming, name ? name : ""));
		putc('\n', out);
	}
}

static void write_pairs(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;

	fprintf(out, "owner_tid,freer_tid,objects,bytes,owner_silent,owner_silent_bytes,longest_silence_ns\n");
	for (size_t i = 0; i < a->nr_pairs; i++) {
		const struct analysis_pair *p = &a->pairs[i];

		fprintf(out, "%" PRIu32 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", a->threads[p->owner].tid,
			a->threads[p->freer].tid, p->nr, p->nbytes, p->silent, p->silent_nbytes, p->idle_max_ns);
	}
}

/* A row a collection: the runtime's own figures, then its spans and what is taken of them, by their use. */
static void write_runtime(const struct report *r, FILE *out)
{
	const struct levels *lv = &r->analysis->levels;

	fputs("ns,objects,object_bytes", out);
	for (unsigned k = 0; k < lv->nr_figures; k++)
		fprintf(out, ",%s", naming_text(r->naming, lv->figures[k]));
	for (unsigned k = 0; k < lv->nr_uses; k++)
		fprintf(out, ",\"spans %s bytes\",\"taken %s bytes\"", naming_text(r->naming, lv->uses[k]), naming_text(r->naming, lv->uses[k]));
	putc('\n', out);
	for (size_t i = 0; i < lv->nr_rows; i++) {
		const struct levels_row *row = &lv->rows[i];

		fprintf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64, row->ns, row->live, row->live_nbytes);
		for (unsigned k = 0; k < lv->nr_figures; k++)
			fprintf(out, ",%" PRIu64, row->figures[k]);
		for (unsigned k = 0; k < lv->nr_uses; k++)
			fprintf(out, ",%" PRIu64 ",%" PRIu64, row->uses[k], row->taken[k]);
		putc('\n', out);
	}
}

static int write_csv(const struct report *r, enum course_table table, FILE *out)
{
	switch (table) {
	case COURSE_STACKS: return write_stacks(r, out);
	case COURSE_SIZES: write_sizes(r, out); break;
	case COURSE_THREADS: write_threads(r, out); break;
	case COURSE_PAIRS: write_pairs(r, out); break;
	case COURSE_RUNTIME: write_runtime(r, out); break;
	default: write_time(r, out);
	}
	return 0;
}

const struct course_format course_csv = { .name = "csv", .nr_points = 200, .write = write_csv };
