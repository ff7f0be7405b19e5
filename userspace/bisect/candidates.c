/* SPDX-License-Identifier: BSD-2-Clause */
/* candidates.c - a line of libraries that are there already: releases, say. */
#include "bisect/line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct candidates {
	struct line line;
	char **libs;
	size_t nr, lo, hi, at; /* the last good one, the first bad one, the one at hand */
	bool *skipped;
};

static struct candidates *of(struct line *l)
{
	return (struct candidates *)l;
}

int line_set(char **to, const char *text)
{
	free(*to);
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

void line_free_texts(struct line *l)
{
	for (size_t i = 0; i < l->nr_open; i++)
		free(l->open[i]);
	free(l->open);
	free(l->current);
	free(l->good);
	free(l->bad);
}

/* The one nearest to the middle that was not skipped; false if none is left. */
static bool choose(struct candidates *c)
{
	size_t mid = c->lo + (c->hi - c->lo) / 2;

	for (size_t off = 0; off < c->nr; off++) {
		for (int side = 0; side < 2; side++) {
			size_t i = side ? mid - off : mid + off; /* wraps round below 0, and is out of range then */

			if (i > c->lo && i < c->hi && !c->skipped[i]) {
				c->at = i;
				return true;
			}
		}
	}
	return false;
}

static int add_open(struct candidates *c)
{
	c->line.open = calloc(c->hi - c->lo, sizeof(*c->line.open));
	if (!c->line.open)
		return -ENOMEM;
	for (size_t i = c->lo + 1; i <= c->hi; i++) {
		c->line.open[c->line.nr_open] = strdup(c->libs[i]);
		if (!c->line.open[c->line.nr_open++])
			return -ENOMEM;
	}
	return 0;
}

static int go_on(struct line *l)
{
	struct candidates *c = of(l);

	l->nr_steps = 0;
	for (size_t left = c->hi - c->lo; left > 1; left /= 2)
		l->nr_steps++;
	if (choose(c))
		return line_set(&l->current, c->libs[c->at]);
	l->state = c->hi - c->lo == 1 ? LINE_FOUND : LINE_OPEN;
	return l->state == LINE_FOUND ? line_set(&l->current, c->libs[c->hi]) : add_open(c);
}

static int mark(struct line *l, enum line_word word)
{
	struct candidates *c = of(l);

	switch (word) {
	case LINE_GOOD: c->lo = c->at; break;
	case LINE_BAD: c->hi = c->at; break;
	case LINE_SKIP: c->skipped[c->at] = true; break;
	}
	return go_on(l);
}

static size_t place(struct line *l, const char *id)
{
	size_t i = 0;

	while (i < of(l)->nr && strcmp(of(l)->libs[i], id))
		i++;
	return i;
}

static int library(struct line *l, const char *id, char path[PATH_MAX])
{
	if (snprintf(path, PATH_MAX, "%s", id) < PATH_MAX)
		return 0;
	snprintf(l->why, sizeof(l->why), "its path is too long");
	return -ECANCELED;
}

static const char *checkout(struct line *l, const char *id)
{
	(void)l;
	(void)id;
	return ".";
}

static char *no_text(struct line *l, const char *id)
{
	(void)l;
	(void)id;
	return NULL;
}

static char *before(struct line *l, const char *id)
{
	size_t i = place(l, id);

	return i && i < of(l)->nr ? strdup(of(l)->libs[i - 1]) : NULL;
}

static void close_line(struct line *l)
{
	line_free_texts(l);
	free(of(l)->skipped);
	free(l);
}

struct line *line_of_candidates(char **libs, size_t nr)
{
	static const struct line_ops ops = { .start = go_on, .mark = mark, .library = library, .checkout = checkout, .title = no_text,
					     .message = no_text, .before = before, .place = place, .close = close_line };
	struct candidates *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->line.ops = &ops;
	c->libs = libs;
	c->nr = nr;
	c->hi = nr - 1;
	c->skipped = calloc(nr, sizeof(*c->skipped));
	if (!c->skipped || line_set(&c->line.good, libs[0]) || line_set(&c->line.bad, libs[nr - 1])) {
		close_line(&c->line);
		return NULL;
	}
	return &c->line;
}
