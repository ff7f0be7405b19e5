/* SPDX-License-Identifier: BSD-2-Clause */
/* perf_map.c - see perf_map.h. */
#include "perf_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/io.h"
#include "spans.h"

#define NBYTES_MAX (256ll << 20) /* two million functions; more is a mistake of the program's */

struct perf_map {
	char *text;
	const char **names; /* into text */
	struct spans spans;
};

static char *read_text(int fd, uid_t uid)
{
	struct stat st;
	char *text;
	long n;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || (st.st_uid != uid && st.st_uid != 0) || st.st_size > NBYTES_MAX)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	n = text ? io_pread_all(fd, text, (size_t)st.st_size, 0) : -1;
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = 0;
	return text;
}

/* One line, cut into its parts. false: it is none of ours. */
static int take_line(struct perf_map *m, char *line, uint32_t nr)
{
	char *at = line;
	uint64_t start, nbytes;

	errno = 0;
	start = strtoull(at, &at, 16);
	if (at == line || *at != ' ')
		return 0;
	nbytes = strtoull(at, &at, 16);
	if (*at != ' ' || !at[1] || errno || start + nbytes < start)
		return 0;
	m->names[nr] = at + 1;
	return spans_add(&m->spans, start, start + nbytes, nr);
}

static uint32_t count_lines(const char *text)
{
	uint32_t nr = 1;

	for (; (text = strchr(text, '\n')); text++)
		nr++;
	return nr;
}

/* A function that was thrown away and whose place was taken is no longer meant: shorten what a later entry covers. */
static void bury(struct spans *s)
{
	size_t kept = 0;

	spans_sort(s);
	for (size_t i = 0; i < s->nr; i++) {
		struct span now = s->list[i];

		while (kept && s->list[kept - 1].end > now.start && s->list[kept - 1].owner < now.owner &&
		       s->list[kept - 1].start >= now.start)
			kept--;
		if (kept && s->list[kept - 1].end > now.start) {
			if (s->list[kept - 1].owner < now.owner)
				s->list[kept - 1].end = now.start;
			else if (now.end <= s->list[kept - 1].end)
				continue;
			else
				now.start = s->list[kept - 1].end;
		}
		s->list[kept++] = now;
	}
	s->nr = kept;
}

struct perf_map *perf_map_read(int fd, uid_t uid)
{
	struct perf_map *m = calloc(1, sizeof(*m));
	uint32_t nr = 0;
	char *line, *rest;

	if (m)
		m->text = read_text(fd, uid);
	close(fd);
	if (m && m->text)
		m->names = calloc(count_lines(m->text), sizeof(*m->names));
	if (!m || !m->names) {
		perf_map_free(m);
		return NULL;
	}
	for (rest = m->text; (line = strsep(&rest, "\n"));)
		if (take_line(m, line, nr++))
			break;
	bury(&m->spans);
	if (m->spans.nr)
		return m;
	perf_map_free(m);
	return NULL;
}

void perf_map_free(struct perf_map *m)
{
	if (!m)
		return;
	spans_free(&m->spans);
	free(m->names);
	free(m->text);
	free(m);
}

const char *perf_map_find(const struct perf_map *m, uint64_t addr)
{
	uint32_t nr = spans_find(&m->spans, addr);

	return nr == SPANS_NONE ? NULL : m->names[nr];
}
