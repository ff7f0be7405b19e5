/* SPDX-License-Identifier: BSD-2-Clause */
/* One screen: what was recorded, the split as a bar, the findings, the stacks; or one table. */
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/index_map.h"
#include "message.h"
#include "report/levels_report.h"
#include "report/stack_text.h"

#define BAR_WIDTH 60
#define LINE_MAX_NBYTES 512
#define FRAMES_SHOWN 4
#define RUNTIME_ROWS 12

const char *report_thread_name(const struct tape_reader *tape, const struct analysis_thread *t, char *buf, size_t nbytes)
{
	const char *name = t->name ? tape_reader_string(tape, t->name) : NULL;

	if (!t->tid) {
		snprintf(buf, nbytes, "(before the recording)");
		return buf;
	}

	snprintf(buf, nbytes, "%s %" PRIu32, name && *name ? name : "thread", t->tid);
	for (char *c = buf; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return buf;
}

static double percent_of(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

/* ---- the head ---- */

static void print_head(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;
	const char *cmdline = tape_reader_meta(r->tape, "target.cmdline"), *exe = tape_reader_meta(r->tape, "target.exe");
	size_t nr_threads = 0;
	char births[HUMAN_MAX], span[HUMAN_MAX], born[HUMAN_MAX], live[HUMAN_MAX], peak[HUMAN_MAX];

	fprintf(out, "%s: %s\n", r->path, naming_text(r->naming, cmdline && *cmdline ? cmdline : exe ? exe : "a program without a name"));
	for (size_t i = 0; i < a->nr_threads; i++)
		nr_threads += a->threads[i].tid != 0;
	fprintf(out, "%s allocations of %s in %s by %zu thread%s", human_count(births, a->births), human_nbytes(born, a->born_nbytes),
		human_ns(span, a->to_ns - a->from_ns), nr_threads, nr_threads == 1 ? "" : "s");
	fprintf(out, "; %s live at %.3f s, at most %s (at %.3f s)\n", human_nbytes(live, a->live_nbytes), (double)a->at_ns / 1e9,
		human_nbytes(peak, a->peak_live_nbytes), (double)a->peak_ns / 1e9);
}

/* What is in none of the sums, and where to see it; or whose objects these are. */
static void print_allocators(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;
	const struct tape_allocator *alloc;
	char count[HUMAN_MAX];

	if (a->one_alloc) {
		alloc = tape_reader_allocator(r->tape, a->allocator);
		fprintf(out, "Objects of %s alone, of which %s were born inside objects of other allocators.\n",
			alloc ? naming_text(r->naming, alloc->name) : "?", human_count(count, a->subs[a->allocator]));
		return;
	}
	for (uint32_t i = 0; i < tape_reader_nr_allocators(r->tape); i++) {
		const char *name = naming_text(r->naming, tape_reader_allocator(r->tape, i)->name);

		if (a->subs[i])
			fprintf(out, "Not counted: %s sub-allocations of %s, inside objects of others; --allocator %s shows them.\n",
				human_count(count, a->subs[i]), name, name);
	}
}

/* ---- the split ---- */

struct part {
	const char *name, *what;
	uint64_t nbytes;
	char mark;
};

/* What the kernel counted beyond what the tape knows; on a tape that began late that was there before. */
static uint64_t unknown_nbytes(const struct analysis *a)
{
	uint64_t known = a->split.resident + a->split.around;

	return a->from_exec || a->rss_anon == UINT64_MAX || a->rss_anon < known ? 0 : a->rss_anon - known;
}

static void print_bar(const struct part *parts, size_t nr, uint64_t all, FILE *out)
{
	uint64_t sum = 0;
	unsigned put = 0;

	fputs("  [", out);
	for (size_t i = 0; i < nr; i++) {
		unsigned end;

		sum += parts[i].nbytes;
		end = all ? (unsigned)((double)sum / (double)all * BAR_WIDTH + 0.5) : 0;
		for (; put < end && put < BAR_WIDTH; put++)
			fputc(parts[i].mark, out);
	}
	for (; put < BAR_WIDTH; put++)
		fputc(' ', out);
	fputs("]\n", out);
}

static void print_split(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;
	const struct pages_split *s = &a->split;
	const struct part parts[] = {
		{ "unknown", "in memory since before the recording, and not seen since", unknown_nbytes(a), '?' },
		{ "requested", "inside live objects", s->requested, '#' },
		{ "holes", "between and behind objects, on pages that hold one", s->holes, 'o' },
		{ "retained", "pages without an object that have held one", s->retained, '-' },
		{ "metadata", "pages that never held one", s->metadata, 'm' },
	};
	size_t nr = sizeof(parts) / sizeof(*parts);
	const char *unseen = tape_reader_meta(r->tape, "runtime.unseen");
	char bytes[HUMAN_MAX], rss[HUMAN_MAX];
	uint64_t all = 0;

	if (a->one_alloc)
		return;
	if (unseen)
		fprintf(out, "\nThe program runs in %s, whose objects are not seen: what follows is of its allocator alone, and the mappings of that\n"
			"heap are in `around`.\n", naming_text(r->naming, unseen));
	if (!a->has_pages) {
		fputs("\nThe tape has no page faults (--faults off, or rights): what is resident is not known.\n", out);
		return;
	}
	for (size_t i = 0; i < nr; i++)
		all += parts[i].nbytes;
	fprintf(out, "\nThe heap's %s in memory", human_nbytes(bytes, all));
	if (a->rss_anon != UINT64_MAX)
		fprintf(out, ", of %s anonymous memory of the process", human_nbytes(rss, a->rss_anon));
	fputs(":\n", out);
	print_bar(parts, nr, all, out);
	for (size_t i = 0; i < nr; i++)
		if (parts[i].nbytes || i == 1)
			fprintf(out, "  %c %-10s %10s  %5.1f %%  %s\n", parts[i].mark, parts[i].name, human_nbytes(bytes, parts[i].nbytes),
				percent_of(parts[i].nbytes, all), parts[i].what);
	if (s->around)
		fprintf(out, "  . %-10s %10s           the process's own: its mappings, data, stacks\n", "around", human_nbytes(bytes, s->around));
	if (s->unresident > s->requested / 100)
		fprintf(out, "  %s of live objects are not in memory: never touched.\n", human_nbytes(bytes, s->unresident));
}

/* ---- findings ---- */

static void print_stack_line(const struct report *r, const struct analysis_stack *s, FILE *out)
{
	char text[LINE_MAX_NBYTES], live[HUMAN_MAX], pinned[HUMAN_MAX], count[HUMAN_MAX];

	fprintf(out, "     %10s live in %-8s pinning %10s  %s\n", human_nbytes(live, s->live_nbytes), human_count(count, s->live),
		human_nbytes(pinned, s->pinned_nbytes), stack_text(r->tape, r->naming, s->stack, FRAMES_SHOWN, text, sizeof(text)));
}

static const struct analysis_stack *find_stack(const struct analysis *a, uint32_t stack)
{
	size_t lo = 0, hi = a->nr_stacks;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (a->stacks[mid].stack < stack)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < a->nr_stacks && a->stacks[lo].stack == stack ? &a->stacks[lo] : NULL;
}

static void print_findings(const struct report *r, FILE *out)
{
	const char *bold = r->colour ? "\033[1m" : "", *plain = r->colour ? "\033[0m" : "";

	fputs(r->nr_findings ? "\nFindings\n" : "\nFindings: none of the known diseases shows.\n", out);
	for (size_t i = 0; i < r->nr_findings; i++) {
		const struct finding *f = &r->findings[i];

		fprintf(out, "%s%2zu. %s.%s [%s]\n    %s\n    Try: %s\n", bold, i + 1, f->title, plain, f->rule, f->evidence, f->advice);
		for (unsigned k = 0; k < f->nr_stacks; k++) {
			const struct analysis_stack *s = find_stack(r->analysis, f->stacks[k]);

			if (s)
				print_stack_line(r, s, out);
		}
	}
}

/* ---- tables ---- */

static int by_live(const void *a, const void *b)
{
	const struct analysis_stack *x = *(const struct analysis_stack *const *)a, *y = *(const struct analysis_stack *const *)b;

	if (x->live_nbytes != y->live_nbytes)
		return x->live_nbytes < y->live_nbytes ? 1 : -1;
	return x->born_nbytes < y->born_nbytes ? 1 : x->born_nbytes > y->born_nbytes ? -1 : (int)(x->stack > y->stack) - (int)(x->stack < y->stack);
}

static int print_stacks(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;
	const struct analysis_stack **order = malloc((a->nr_stacks + 1) * sizeof(*order));
	char text[LINE_MAX_NBYTES], b[6][HUMAN_MAX];

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < a->nr_stacks; i++)
		order[i] = &a->stacks[i];
	qsort(order, a->nr_stacks, sizeof(*order), by_live);
	fprintf(out, "\n%10s %8s %10s %10s %8s %6s  %s\n", "live", "objects", "pinned", "allocated", "calls", "brief", "by (innermost first)");
	for (size_t i = 0; i < a->nr_stacks && i < r->top; i++) {
		const struct analysis_stack *s = order[i];

		fprintf(out, "%10s %8s %10s %10s %8s %4.0f %%  %s\n", human_nbytes(b[0], s->live_nbytes), human_count(b[1], s->live),
			human_nbytes(b[2], s->pinned_nbytes), human_nbytes(b[3], s->born_nbytes), human_count(b[4], s->births),
			percent_of(s->soon, s->births), stack_text(r->tape, r->naming, s->stack, FRAMES_SHOWN, text, sizeof(text)));
	}
	if (a->nr_stacks > r->top)
		fprintf(out, "%zu more stacks; --top shows them.\n", a->nr_stacks - r->top);
	free(order);
	return 0;
}

static int by_grouped(const void *a, const void *b)
{
	const struct analysis_stack *x = *(const struct analysis_stack *const *)a, *y = *(const struct analysis_stack *const *)b;

	return (x->grouped < y->grouped) - (x->grouped > y->grouped);
}

/* Objects of a stack that die together. */
static int print_regions(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;
	const struct analysis_stack **order = malloc((a->nr_stacks + 1) * sizeof(*order));
	char text[LINE_MAX_NBYTES], b[5][HUMAN_MAX];
	size_t nr = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < a->nr_stacks; i++)
		if (a->stacks[i].groups)
			order[nr++] = &a->stacks[i];
	qsort(order, nr, sizeof(*order), by_grouped);
	fprintf(out, "\nObjects that die together: freed by one thread with no allocation and no 10 ms between.\n");
	fprintf(out, "%8s %8s %8s %9s %10s %8s  %s\n", "groups", "objects", "of freed", "in a group", "its bytes", "overhead", "by (innermost first)");
	for (size_t i = 0; i < nr && i < r->top; i++) {
		const struct analysis_stack *s = order[i];

		fprintf(out, "%8s %8s %6.0f %% %10s %10s %8s  %s\n", human_count(b[0], s->groups), human_count(b[1], s->grouped),
			percent_of(s->grouped, s->deaths), human_count(b[2], s->grouped / s->groups),
			human_nbytes(b[3], s->grouped_nbytes / s->groups), human_nbytes(b[4], s->grouped_added_nbytes / s->groups),
			stack_text(r->tape, r->naming, s->stack, FRAMES_SHOWN, text, sizeof(text)));
	}
	if (!nr)
		fprintf(out, "None.\n");
	free(order);
	return 0;
}

static void print_sizes(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;
	char b[6][HUMAN_MAX], range[64];

	fprintf(out, "\n%21s %10s %8s %10s %8s %10s %9s\n", "requested bytes", "live", "objects", "allocated", "calls", "peak live", "at");
	for (size_t i = 0; i < a->nr_sizes; i++) {
		const struct analysis_size *s = &a->sizes[i];

		snprintf(range, sizeof(range), "%" PRIu64 " - %" PRIu64, s->from, s->to);
		fprintf(out, "%21s %10s %8s %10s %8s %10s %7.2f s\n", range, human_nbytes(b[0], s->live_nbytes), human_count(b[1], s->live),
			human_nbytes(b[2], s->born_nbytes), human_count(b[3], s->births), human_nbytes(b[4], s->peak_live_nbytes),
			(double)s->peak_ns / 1e9);
	}
}

static void print_threads(const struct report *r, FILE *out)
{
	const struct analysis *a = r->analysis;
	char b[6][HUMAN_MAX], owner[96], freer[96];

	fprintf(out, "\n%-24s %10s %10s %8s %8s %12s\n", "thread", "live", "allocated", "calls", "frees", "last call at");
	for (size_t i = 0; i < a->nr_threads; i++) {
		const struct analysis_thread *t = &a->threads[i];

		fprintf(out, "%-24s %10s %10s %8s %8s %10.3f s%s\n", report_thread_name(r->tape, t, owner, sizeof(owner)),
			human_nbytes(b[0], t->live_nbytes), human_nbytes(b[1], t->born_nbytes), human_count(b[2], t->births),
			human_count(b[3], t->deaths), (double)t->last_call_ns / 1e9, t->ended_ns != UINT64_MAX ? "  ended" : "");
	}
	if (a->nr_pairs)
		fprintf(out, "\n%-24s %-24s %10s %8s %12s %14s\n", "made by", "freed by", "bytes", "objects", "owner silent", "longest silence");
	for (size_t i = 0; i < a->nr_pairs; i++) {
		const struct analysis_pair *p = &a->pairs[i];

		fprintf(out, "%-24s %-24s %10s %8s %12s %14s\n", report_thread_name(r->tape, &a->threads[p->owner], owner, sizeof(owner)),
			report_thread_name(r->tape, &a->threads[p->freer], freer, sizeof(freer)), human_nbytes(b[0], p->nbytes),
			human_count(b[1], p->nr), human_nbytes(b[2], p->silent_nbytes), human_ns(b[3], p->idle_max_ns));
	}
}

/* ---- by module ---- */

struct module_sum {
	uint32_t module;
	uint64_t live_nbytes, pinned_nbytes, born_nbytes, births;
};

static int by_module_live(const void *a, const void *b)
{
	const struct module_sum *x = a, *y = b;

	return x->live_nbytes != y->live_nbytes ? (x->live_nbytes < y->live_nbytes ? 1 : -1) : (x->born_nbytes < y->born_nbytes) - (x->born_nbytes > y->born_nbytes);
}

/* The file that called the allocator. */
static uint32_t module_of(const struct report *r, uint32_t stack)
{
	const struct tape_frame *frames;
	bool truncated;
	uint32_t nr = tape_reader_stack(r->tape, stack, &frames, &truncated);

	return nr ? frames[stack_text_first(r->tape, frames, nr)].module : 0;
}

static int sum_modules(const struct report *r, struct module_sum *sums, size_t *nr_ret)
{
	const struct analysis *a = r->analysis;
	struct index_map index;
	int err = index_map_init(&index);

	for (size_t i = 0; i < a->nr_stacks && !err; i++) {
		const struct analysis_stack *s = &a->stacks[i];
		uint32_t module = module_of(r, s->stack), at = index_map_find(&index, module);

		if (at == INDEX_NONE) {
			at = (uint32_t)(*nr_ret)++;
			sums[at] = (struct module_sum){ .module = module };
			err = index_map_set(&index, module, at);
		}
		sums[at].live_nbytes += s->live_nbytes;
		sums[at].pinned_nbytes += s->pinned_nbytes;
		sums[at].born_nbytes += s->born_nbytes;
		sums[at].births += s->births;
	}
	index_map_free(&index);
	return err;
}

static int print_modules(const struct report *r, FILE *out)
{
	struct module_sum *sums = calloc(r->analysis->nr_stacks + 1, sizeof(*sums));
	char b[4][HUMAN_MAX];
	size_t nr = 0;
	int err = sums ? sum_modules(r, sums, &nr) : -ENOMEM;

	if (!err) {
		qsort(sums, nr, sizeof(*sums), by_module_live);
		fprintf(out, "\n%10s %10s %10s %8s  %s\n", "live", "pinned", "allocated", "calls", "called from");
	}
	for (size_t i = 0; i < nr && i < r->top && !err; i++) {
		const char *name = sums[i].module ? tape_reader_string(r->tape, sums[i].module) : NULL;
		const char *space = name ? strchr(name, ' ') : NULL;

		fprintf(out, "%10s %10s %10s %8s  %s\n", human_nbytes(b[0], sums[i].live_nbytes), human_nbytes(b[1], sums[i].pinned_nbytes),
			human_nbytes(b[2], sums[i].born_nbytes), human_count(b[3], sums[i].births),
			space ? naming_text(r->naming, space + 1) : "[no stack]");
	}
	free(sums);
	return err;
}

int report_print(const struct report *r, enum report_by by, FILE *out)
{
	print_head(r, out);
	print_allocators(r, out);
	switch (by) {
	case REPORT_BY_STACK: return print_stacks(r, out);
	case REPORT_BY_SIZE: print_sizes(r, out); return 0;
	case REPORT_BY_THREAD: print_threads(r, out); return 0;
	case REPORT_BY_MODULE: return print_modules(r, out);
	case REPORT_BY_REGION: return print_regions(r, out);
	case REPORT_SCREEN: break;
	}
	print_split(r, out);
	levels_print(&r->analysis->levels, RUNTIME_ROWS, out);
	print_findings(r, out);
	return print_stacks(r, out);
}
