/* SPDX-License-Identifier: BSD-2-Clause */
/* --max-cost: what recording takes of the target's CPU time, once a second, and what is given up when it is too much. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "message.h"
#include "record/session_impl.h"

/* CPU time of all threads so far, in ns; UINT64_MAX: not known. */
static uint64_t cpu_time_ns(const struct session *s)
{
	unsigned long long user, system;
	char text[1024], *name_end;
	int fd = openat(s->process.proc_fd, "stat", O_RDONLY | O_CLOEXEC);
	ssize_t nr = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (nr <= 0)
		return UINT64_MAX;
	text[nr] = '\0';
	name_end = strrchr(text, ')'); /* a name may hold anything */
	if (!name_end || sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
		return UINT64_MAX;
	return (user + system) * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
}

void session_brake_start(struct session *s)
{
	s->brake = (struct brake){ .limit = s->opts->max_cost, .free_stacks = s->opts->stacks && s->opts->free_stacks,
				   .stacks = s->opts->stacks };
	s->brake_cost_ns = 0;
	s->brake_cpu_ns = cpu_time_ns(s);
	s->next_brake_ns = s->start_ns + BRAKE_WINDOW_NS;
}

void session_brake_count(struct session *s, const struct ht_ev_head *h)
{
	bool is_call = h->type == HT_EV_ALLOC || h->type == HT_EV_CALL || h->type == HT_EV_FREE || h->type == HT_EV_FREE_AT;

	if (s->brake.limit > 0 && is_call && h->site < HT_SITES_MAX) {
		s->site_calls[h->site]++;
		s->window_calls++;
	}
}

static void leave_out_free_stacks(struct session *s)
{
	for (unsigned i = 0; i < attach_nr_sites(s->attach); i++) {
		const struct attach_site *site = attach_site(s->attach, i);

		if (site && site->plan && !tape_kind_is_alloc(site->kind))
			kernel_thin_stacks(&s->kernel, i, HT_THIN_ALL);
	}
}

static unsigned thin_hot_sites(struct session *s)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < HT_SITES_MAX; i++) {
		const struct attach_site *site = s->site_calls[i] ? attach_site(s->attach, i) : NULL;

		if (!site || !tape_kind_is_alloc(site->kind) || s->site_calls[i] < (double)s->window_calls * BRAKE_HOT_SHARE)
			continue;
		kernel_thin_stacks(&s->kernel, i, BRAKE_THIN_LG);
		nr++;
	}
	return nr;
}

static int mark(struct session *s, enum tape_mark what, uint64_t now_ns)
{
	struct ledger_mark r = { .h = { .type = LEDGER_MARK, .tid = (uint32_t)s->process.pid, .ts = now_ns }, .mark = what };

	return drain_insert(s->drain, &r.h, sizeof(r)) ? session_fail(s, -ENOMEM, "out of memory") : 0;
}

static int take_step(struct session *s, enum brake_step step, double share, uint64_t now_ns)
{
	double limit = 100 * s->brake.limit;
	unsigned nr;

	switch (step) {
	case BRAKE_FREE_STACKS:
		leave_out_free_stacks(s);
		message_warn("recording takes %.0f %% of the target's CPU time, more than %.0f %%: frees carry no call stack from here on",
			     share, limit);
		return mark(s, TAPE_MARK_NO_FREE_STACKS, now_ns);
	case BRAKE_THIN:
		nr = thin_hot_sites(s);
		message_warn("recording takes %.0f %% of the target's CPU time, more than %.0f %%: at the %u busiest of its sites one call in %d "
			     "carries a call stack from here on", share, limit, nr, BRAKE_THIN_EVERY);
		return mark(s, TAPE_MARK_THINNED, now_ns);
	case BRAKE_DETACH:
		message_warn("recording takes %.0f %% of the target's CPU time, more than %.0f %%, and there is no more to leave out: it ends",
			     share, limit);
		s->too_dear = true;
		return mark(s, TAPE_MARK_DETACHED, now_ns);
	default: return 0;
	}
}

int session_brake_step(struct session *s, uint64_t now_ns)
{
	uint64_t cpu_ns;
	double cost_ns, cost, cpu;
	enum brake_step step;

	if (!(s->brake.limit > 0) || now_ns < s->next_brake_ns)
		return 0;
	s->next_brake_ns = now_ns + BRAKE_WINDOW_NS;
	cpu_ns = cpu_time_ns(s);
	cost_ns = session_cost_ns(s);
	if (cpu_ns == UINT64_MAX || s->brake_cpu_ns == UINT64_MAX || cost_ns < 0) {
		s->brake_cpu_ns = cpu_ns;
		return 0; /* it is ending */
	}
	cost = cost_ns - s->brake_cost_ns;
	cpu = (double)(cpu_ns - s->brake_cpu_ns);
	/* The program of a trap is timed by the clock on the wall, which also runs while others have the CPU. */
	cost = cost < cpu ? cost : cpu;
	step = brake_look(&s->brake, cost, cpu);
	s->brake_cost_ns = cost_ns;
	s->brake_cpu_ns = cpu_ns;
	if (step == BRAKE_NONE) {
		memset(s->site_calls, 0, sizeof(s->site_calls));
		s->window_calls = 0;
		return 0;
	}
	return take_step(s, step, 100 * cost / cpu, now_ns);
}
