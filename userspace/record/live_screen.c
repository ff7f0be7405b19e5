/* SPDX-License-Identifier: BSD-2-Clause */
/* live_screen.c - a moment of a recording as lines of text: no terminal, no thread, so that a test can read it. */
#include "record/live_view.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "message.h"
#include "utf8.h"

struct screen {
	FILE *out;
	unsigned rows, columns, row;
	bool colour;
};

/* So many bytes of the text as fill at most `columns` places, whole characters. */
static size_t fitting(const char *text, unsigned columns)
{
	size_t at = 0;

	while (text[at] && columns--) {
		size_t length = utf8_length((const unsigned char *)text + at);

		at += length ? length : 1;
	}
	return at;
}

/* One line, cut where the screen ends; nothing below the last row. */
__attribute__((format(printf, 3, 4))) static void put_line(struct screen *s, bool bold, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	if (s->row == s->rows)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	line[fitting(line, s->columns)] = '\0';
	fprintf(s->out, "%s%s%s%s", s->row ? "\n" : "", bold && s->colour ? "\033[1m" : "", line, bold && s->colour ? "\033[0m" : "");
	s->row++;
}

static uint64_t a_second(uint64_t n, uint64_t period_ns)
{
	return period_ns ? (uint64_t)((double)n * 1e9 / (double)period_ns) : 0;
}

/* "+1.2 MiB" */
static const char *change_text(char buf[HUMAN_MAX + 1], int64_t nbytes, uint64_t period_ns)
{
	uint64_t rate = a_second((uint64_t)(nbytes < 0 ? -nbytes : nbytes), period_ns);

	buf[0] = nbytes < 0 ? '-' : '+';
	human_nbytes(buf + 1, rate);
	return rate ? buf : "0 B";
}

static void put_head(struct screen *s, const struct live_moment *m)
{
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX], d[HUMAN_MAX], change[HUMAN_MAX + 1];

	put_line(s, true, "heaptape  recording %d %s  %.0f s  tape %s  (Ctrl-C ends it)", m->pid, m->program, (double)m->ns / 1e9,
		 human_nbytes(a, m->tape_nbytes));
	put_line(s, false, "calls     %s/s: allocations %s/s of %s/s, frees %s/s", human_count(a, a_second(m->calls, m->period_ns)),
		 human_count(b, a_second(m->births, m->period_ns)), human_nbytes(c, a_second(m->born_nbytes, m->period_ns)),
		 human_count(d, a_second(m->deaths, m->period_ns)));
	put_line(s, false, "live      %s in %s objects, %s/s", human_nbytes(a, m->live_nbytes), human_count(b, m->live),
		 change_text(change, m->live_change, m->period_ns));
	put_line(s, false, "resident  %s anonymous; %" PRIu64 " threads seen", m->rss_nbytes ? human_nbytes(a, m->rss_nbytes) : "not known", m->threads);
	if (m->cpus >= 0)
		put_line(s, m->lost > 0, "lost      %" PRIu64 " calls; recording takes %.2f CPUs of the target", m->lost, m->cpus);
	else
		put_line(s, m->lost > 0, "lost      %" PRIu64 " calls", m->lost);
	put_line(s, false, " ");
}

void live_screen_print(const struct live_moment *m, unsigned rows, unsigned columns, bool colour,
		       const char *(*stack)(void *arg, const struct live_row *row), void *arg, FILE *out)
{
	struct screen s = { .out = out, .rows = rows, .columns = columns, .colour = colour };
	char live[HUMAN_MAX], count[HUMAN_MAX], rate[HUMAN_MAX], change[HUMAN_MAX + 1];

	put_head(&s, m);
	if (!m->has_stacks)
		put_line(&s, false, "No call stacks are recorded (--stacks none).");
	else
		put_line(&s, true, "%10s %10s %8s %8s  %s", "live", "change/s", "objects", "calls/s", "by (innermost first)");
	for (unsigned i = 0; i < m->nr_rows && m->has_stacks; i++) {
		const struct live_stack *l = &m->rows[i].sums;

		put_line(&s, false, "%10s %10s %8s %8s  %s", human_nbytes(live, l->live_nbytes),
			 change_text(change, (int64_t)(l->live_nbytes - l->live_nbytes_before), m->period_ns), human_count(count, l->live),
			 human_count(rate, a_second(l->births - l->births_before, m->period_ns)), stack(arg, &m->rows[i]));
	}
}
