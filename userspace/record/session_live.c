/* SPDX-License-Identifier: BSD-2-Clause */
/* What a person sees while it records: once a second the sums, the rates, and the stacks that hold most. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "record/calibrate.h"
#include "record/live_view.h"
#include "record/session_impl.h"

struct session_live {
	struct live_view *view;
	struct live_sums sums;
	struct live_moment moment;
	uint64_t next_ns, shown_ns;
	/* As of the moment before: */
	uint64_t calls, births, born_nbytes, deaths, live_nbytes;
	double cost_ns;
};

int session_live_changed(void *arg, const struct tape_event *ev, const struct heap_change *change)
{
	struct session *s = arg;

	return live_sums_apply(&s->live->sums, ev, change);
}

int session_live_prepare(struct session *s)
{
	s->live = calloc(1, sizeof(*s->live));
	return s->live && !live_sums_init(&s->live->sums) ? 0 : session_fail(s, -ENOMEM, "out of memory");
}

/* Its file's name. */
static void name_program(struct session *s, struct live_moment *m)
{
	char *exe = process_exe(&s->process), *slash = exe ? strrchr(exe, '/') : NULL;

	snprintf(m->program, sizeof(m->program), "%s", slash ? slash + 1 : exe ? exe : "");
	free(exe);
}

int session_live_open(struct session *s)
{
	if (!s->live)
		return 0;
	name_program(s, &s->live->moment);
	s->live->view = live_view_open(s->embed);
	s->live->shown_ns = s->start_ns;
	return s->live->view ? 0 : session_fail(s, -ENOMEM, "--live: no thread can be made");
}

/* A row on its way to the view. */
struct row_frames {
	struct live_view *view;
	struct live_row *row;
};

static int add_frame(void *arg, uint32_t module, const char *module_name, uint64_t place)
{
	struct row_frames *f = arg;

	(void)module;
	f->row->frames[f->row->nr_frames++] = (struct live_frame){ .module = live_view_module(f->view, module_name), .place = place };
	return f->row->nr_frames == LIVE_FRAMES_MAX;
}

static void add_rows(struct session *s, struct live_moment *m)
{
	struct live_stack top[LIVE_ROWS_MAX];

	m->has_stacks = s->opts->stacks != HT_STACKS_NONE;
	m->nr_rows = live_sums_top(&s->live->sums, top, LIVE_ROWS_MAX);
	for (unsigned i = 0; i < m->nr_rows; i++) {
		struct row_frames f = { .view = s->live->view, .row = &m->rows[i] };

		*f.row = (struct live_row){ .sums = top[i] };
		tape_writer_stack_frames(s->writer, top[i].stack, add_frame, &f);
	}
}

/* What of the target's CPU time the traps took, in CPUs. */
static double cpus_since(struct session *s, uint64_t period_ns)
{
	double cost = session_cost_ns(s), since = cost - s->live->cost_ns;

	s->live->cost_ns = cost;
	return cost < 0 ? -1 : since / (double)period_ns;
}

void session_live_step(struct session *s, uint64_t now_ns)
{
	struct session_live *l = s->live;
	struct live_moment *m;
	struct ledger_totals totals;

	if (!l || !l->view || now_ns < l->next_ns)
		return;
	m = &l->moment;
	l->next_ns = now_ns + LIVE_PERIOD_NS;
	ledger_totals(s->ledger, &totals);
	m->pid = s->process.pid;
	m->ns = now_ns - s->start_ns;
	m->period_ns = now_ns - l->shown_ns;
	m->calls = totals.events - l->calls;
	m->births = l->sums.births - l->births;
	m->born_nbytes = l->sums.born_nbytes - l->born_nbytes;
	m->deaths = l->sums.deaths - l->deaths;
	m->live = totals.live_objects;
	m->live_nbytes = totals.live_nbytes;
	m->live_change = (int64_t)(totals.live_nbytes - l->live_nbytes);
	m->rss_nbytes = s->rss_anon;
	m->threads = totals.threads;
	m->lost = totals.lost;
	m->tape_nbytes = tape_writer_bytes(s->writer);
	m->cpus = cpus_since(s, m->period_ns);
	add_rows(s, m);
	live_view_show(l->view, m);
	l->shown_ns = now_ns;
	l->calls = totals.events;
	l->births = l->sums.births;
	l->born_nbytes = l->sums.born_nbytes;
	l->deaths = l->sums.deaths;
	l->live_nbytes = totals.live_nbytes;
}

void session_live_close(struct session *s)
{
	if (!s->live)
		return;
	live_view_close(s->live->view);
	s->live->view = NULL;
}

void session_live_free(struct session *s)
{
	if (!s->live)
		return;
	session_live_close(s);
	live_sums_free(&s->live->sums);
	free(s->live);
	s->live = NULL;
}
