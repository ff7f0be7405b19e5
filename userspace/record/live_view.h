/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * live_view.h - a terminal's screen that shows a recording while it runs, once a second.
 *
 * A thread of its own names code and draws, so that neither debug information nor a slow terminal holds up the rings. It
 * draws on the terminal's other screen, and leaves the first one as it was. Messages wait until then.
 */
#ifndef HEAPTAPE_LIVE_VIEW_H
#define HEAPTAPE_LIVE_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "record/embed.h"
#include "record/live_sums.h"

enum { LIVE_ROWS_MAX = 40, LIVE_FRAMES_MAX = 16, LIVE_MODULES_MAX = 1024 };
#define LIVE_PERIOD_NS 1000000000ull

struct live_frame {
	uint16_t module; /* of live_view_module */
	uint64_t place;
};

struct live_row {
	struct live_stack sums;
	unsigned nr_frames;
	struct live_frame frames[LIVE_FRAMES_MAX]; /* innermost first */
};

/* A moment of a recording. Rates are since the one before. */
struct live_moment {
	int pid;
	char program[128];
	uint64_t ns;          /* since the start mark */
	uint64_t period_ns;   /* since the moment before */
	uint64_t calls, births, born_nbytes, deaths; /* in the period */
	uint64_t live, live_nbytes;
	int64_t live_change;  /* bytes, in the period */
	uint64_t rss_nbytes;  /* anonymous; 0: not known */
	uint64_t threads, lost, tape_nbytes;
	double cpus;          /* that the traps took from the target; below 0: not known */
	bool has_stacks;
	unsigned nr_rows;
	struct live_row rows[LIVE_ROWS_MAX];
};

struct live_view;

/* Takes over the terminal on stderr. NULL: no memory, or no thread. */
struct live_view *live_view_open(const struct embed *embed);
/* The number of a module's name, which may be new; LIVE_MODULES_MAX: there is no room for it. */
uint16_t live_view_module(struct live_view *v, const char *module);
/* Copies it for the thread to draw; one that has not been drawn yet is replaced. */
void live_view_show(struct live_view *v, const struct live_moment *m);
/* Gives the terminal back. May be NULL. */
void live_view_close(struct live_view *v);
/* Whether stderr is a terminal that such a screen can be drawn on; if not, *why_ret says what it lacks. */
bool live_view_possible(const char **why_ret);

/* live_screen.c: a moment as `rows` lines of at most `columns` characters. stack: a row's call stack in words. */
void live_screen_print(const struct live_moment *m, unsigned rows, unsigned columns, bool colour,
		       const char *(*stack)(void *arg, const struct live_row *row), void *arg, FILE *out);

#endif
