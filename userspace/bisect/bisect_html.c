/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bisect_html.c - what a search has found as one page: the figure of every run along the way as a chart (SVG), the table, the
 * first bad one's message, and what grew. Needs nothing but a browser; texts of commits are escaped.
 */
#include <string.h>

#include "bisect/bisect.h"
#include "message.h"
#include "utf8.h"

enum { CHART_WIDTH = 960, CHART_HEIGHT = 340, LEFT = 84, RIGHT = 16, TOP = 16, BOTTOM = 48, TICKS = 5, TEXT_NBYTES = 4096 };

static const char style[] =
	":root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6470;--line:#d5dae1;--good:#0072b2;--bad:#d55e00;--back:#fff}"
	"@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b2;--line:#39414d;--good:#56b4e9;--bad:#e69f00;--back:#14171b}}"
	"body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:60rem;margin:2rem auto;padding:0 1rem}"
	"h1{font-size:1.3rem}h2{font-size:1.05rem;margin-top:2rem}pre{white-space:pre-wrap;overflow-wrap:anywhere}"
	"table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line)}"
	"td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{overflow-wrap:anywhere}svg{width:100%;height:auto}"
	"svg text{fill:var(--soft);font-size:12px}.good{fill:var(--good)}.bad{fill:var(--bad)}.skip{fill:var(--soft)}"
	"tr.first td{font-weight:600;border-left:3px solid var(--bad)}.soft{color:var(--soft)}";

/* Any bytes: as UTF-8, with nothing that HTML would take for its own. */
static void put_text(FILE *out, const char *text)
{
	char part[TEXT_NBYTES], clean[2 * TEXT_NBYTES + 1];

	snprintf(part, sizeof(part), "%s", text ? text : "");
	utf8_clean(part, clean);
	for (const char *c = clean; *c; c++)
		switch (*c) {
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '&': fputs("&amp;", out); break;
		case '"': fputs("&quot;", out); break;
		case '\'': fputs("&#39;", out); break;
		default: putc(*c, out);
		}
}

static const char *side_of(const struct revision *rev)
{
	return rev->reason ? "skip" : rev->side == SIDE_BAD ? "bad" : rev->side == SIDE_GOOD ? "good" : "skip";
}

/* ---- the chart ---- */

struct chart {
	const struct bisect *b;
	double least, most;
};

static double x_of(const struct chart *c, size_t i)
{
	size_t steps = c->b->nr_revisions > 1 ? c->b->nr_revisions - 1 : 1;

	return LEFT + 12 + (double)(CHART_WIDTH - LEFT - RIGHT - 24) * (double)i / (double)steps;
}

static double y_of(const struct chart *c, double value)
{
	return TOP + (double)(CHART_HEIGHT - TOP - BOTTOM) * (1 - (value - c->least) / (c->most - c->least));
}

/* The range of all runs with a little air; a chart that need not begin at 0 shows small differences. */
static void find_range(struct chart *c)
{
	bool any = false;

	for (size_t i = 0; i < c->b->nr_revisions; i++) {
		const struct samples *s = &c->b->revisions[i].samples;

		if (!s->nr)
			continue;
		c->least = !any || samples_min(s) < c->least ? samples_min(s) : c->least;
		c->most = !any || samples_max(s) > c->most ? samples_max(s) : c->most;
		any = true;
	}
	if (!(c->most > c->least))
		c->most = c->least + (c->least > 0 ? c->least : 1);
	c->least -= (c->most - c->least) * 0.08;
	c->most += (c->most - c->least) * 0.08;
	c->least = c->least < 0 ? 0 : c->least;
}

static void put_axis(const struct chart *c, FILE *out)
{
	char value[HUMAN_MAX];

	for (int i = 0; i <= TICKS; i++) {
		double at = c->least + (c->most - c->least) * i / TICKS, y = y_of(c, at);

		fprintf(out, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"var(--line)\"/>"
			     "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
			LEFT, CHART_WIDTH - RIGHT, y, y, LEFT - 8, y + 4, trial_metric_human(c->b->metric, at, value));
	}
	fprintf(out, "<text x=\"%d\" y=\"%d\">good</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\">bad</text>\n", LEFT, CHART_HEIGHT - 12,
		CHART_WIDTH - RIGHT, CHART_HEIGHT - 12);
}

static void put_threshold(const struct chart *c, FILE *out)
{
	double y = y_of(c, c->b->threshold.at);
	char value[HUMAN_MAX];

	if (c->b->outcome == BISECT_ENDS_ALIKE || c->b->threshold.at < c->least || c->b->threshold.at > c->most)
		return;
	fprintf(out, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"var(--soft)\" stroke-dasharray=\"6 4\"/>"
		     "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">threshold %s</text>\n",
		LEFT, CHART_WIDTH - RIGHT, y, y, CHART_WIDTH - RIGHT, y - 5, trial_metric_human(c->b->metric, c->b->threshold.at, value));
}

static void put_runs(const struct chart *c, FILE *out)
{
	for (size_t i = 0; i < c->b->nr_revisions; i++) {
		const struct revision *rev = &c->b->revisions[i];
		char value[HUMAN_MAX];
		double x = x_of(c, i);

		for (size_t k = 0; k < rev->samples.nr; k++) {
			fprintf(out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\" opacity=\".55\"><title>%.12s: ", side_of(rev), x,
				y_of(c, rev->samples.list[k]), strrchr(rev->id, '/') ? "library" : rev->id);
			put_text(out, trial_metric_human(c->b->metric, rev->samples.list[k], value));
			fputs("</title></circle>\n", out);
		}
		if (rev->samples.nr)
			fprintf(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"var(--ink)\" stroke-width=\"2\"/>\n", x - 9,
				x + 9, y_of(c, samples_median(&rev->samples)), y_of(c, samples_median(&rev->samples)));
		else
			fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">&#215;</text>\n", x, CHART_HEIGHT - BOTTOM + 4);
		if (c->b->outcome == BISECT_FOUND && !strcmp(rev->id, c->b->line->current))
			fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" class=\"bad\">first bad</text>\n", x, CHART_HEIGHT - 28);
	}
}

static void put_chart(const struct bisect *b, FILE *out)
{
	struct chart c = { .b = b };

	find_range(&c);
	fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"every run of every revision, from good to bad\">\n", CHART_WIDTH,
		CHART_HEIGHT);
	put_axis(&c, out);
	put_threshold(&c, out);
	put_runs(&c, out);
	fputs("</svg>\n<p class=\"soft\">Dots are runs, bars their medians, crosses revisions that were skipped before they had a run.</p>\n", out);
}

/* ---- tables ---- */

static void put_table(const struct bisect *b, FILE *out)
{
	fputs("<table><thead><tr><th>revision</th><th>side</th><th class=\"n\">median</th><th class=\"n\">spread</th><th class=\"n\">runs</th>"
	      "<th></th></tr></thead><tbody>\n", out);
	for (size_t i = 0; i < b->nr_revisions; i++) {
		const struct revision *rev = &b->revisions[i];
		bool is_first = b->outcome == BISECT_FOUND && !strcmp(rev->id, b->line->current);
		char median[HUMAN_MAX] = "", spread[HUMAN_MAX] = "";

		if (rev->samples.nr) {
			trial_metric_human(b->metric, samples_median(&rev->samples), median);
			trial_metric_human(b->metric, samples_spread(&rev->samples), spread);
		}
		fprintf(out, "<tr%s><td><code>", is_first ? " class=\"first\"" : "");
		put_text(out, rev->id);
		fprintf(out, "</code></td><td>%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%zu</td><td>", side_of(rev), median,
			spread, rev->samples.nr);
		put_text(out, rev->reason ? rev->reason : rev->title);
		fputs("</td></tr>\n", out);
	}
	fputs("</tbody></table>\n", out);
}

static void put_split(const char *what, const struct split *s, FILE *out)
{
	const uint64_t parts[] = { s->resident, s->requested, s->internal, s->holes, s->retained, s->metadata };
	char value[HUMAN_MAX];

	fprintf(out, "<tr><td>%s</td>", what);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		fprintf(out, "<td class=\"n\" title=\"%llu bytes\">%s</td>", (unsigned long long)parts[i], human_nbytes(value, parts[i]));
	fputs("</tr>\n", out);
}

static void put_comparison(const struct bisect *b, FILE *out)
{
	fputs("<h2>What grew</h2>\n", out);
	if (!b->compared) {
		fputs("<p>Not compared with the one before: ", out);
		put_text(out, b->compare_why);
		fputs("</p>\n", out);
		return;
	}
	fputs("<table><thead><tr><th></th><th class=\"n\">resident</th><th class=\"n\">requested</th><th class=\"n\">internal</th><th class=\"n\">holes</th>"
	      "<th class=\"n\">retained</th><th class=\"n\">metadata</th></tr></thead><tbody>\n", out);
	put_split("at the peak, before", &b->measured[0].peak_split, out);
	put_split("at the peak, first bad", &b->measured[1].peak_split, out);
	put_split("at the end, before", &b->measured[0].end_split, out);
	put_split("at the end, first bad", &b->measured[1].end_split, out);
	fputs("</tbody></table>\n", out);
}

static void put_outcome(const struct bisect *b, FILE *out)
{
	switch (b->outcome) {
	case BISECT_FOUND:
		fputs("<h1>First bad: <code>", out);
		put_text(out, b->line->current);
		fputs("</code></h1>\n<pre>", out);
		for (const char *line = b->message; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
			char text[TEXT_NBYTES];

			snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
			put_text(out, text);
			putc('\n', out);
		}
		fputs("</pre>\n", out);
		break;
	case BISECT_OPEN:
		fputs("<h1>The first bad one could be any of these</h1>\n<ul>\n", out);
		for (size_t i = 0; i < b->line->nr_open; i++) {
			fputs("<li><code>", out);
			put_text(out, b->line->open[i]);
			fputs("</code></li>\n", out);
		}
		fputs("</ul>\n", out);
		break;
	case BISECT_ENDS_ALIKE: fputs("<h1>No regression: the ends do not differ by more than their spread</h1>\n", out); break;
	}
}

void bisect_html(const struct bisect *b, FILE *out)
{
	const char *metric = b->metric == TRIAL_NR ? "the script's number" : trial_metric_names[b->metric];

	fprintf(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
		     "<title>heaptape bisect</title><style>%s</style></head><body>\n", style);
	put_outcome(b, out);
	fputs("<p class=\"soft\">Tape: ", out);
	put_text(out, b->trials->path);
	fprintf(out, ". What is compared: %s. heaptape %s.</p>\n<h2>Along the way, from good to bad</h2>\n", metric, HEAPTAPE_VERSION);
	put_chart(b, out);
	put_table(b, out);
	if (b->outcome == BISECT_FOUND)
		put_comparison(b, out);
	fputs("</body></html>\n", out);
}
