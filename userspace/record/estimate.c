/* SPDX-License-Identifier: BSD-2-Clause */
/* Counting probes, and the arithmetic that makes a prediction of them. */
#include "estimate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "message.h"
#include "record/attach.h"
#include "record/counter.h"

enum {
	THREADS_MAX = 4096,      /* whose CPU time is read; more are few of the whole */
	BUSY_SHARE = 100,        /* a thread that ran for one part in so many is busy */
	RING_NBYTES = 64 << 10,  /* nothing but the calibration's records travels */
};

/* A site at which calls begin, and the plan that says what they take. */
struct counted_site {
	const struct plan *plan;
	enum ht_trap trap; /* SHARED: the site before it stands on the same instruction */
};

struct thread_time {
	pid_t tid;
	uint64_t ns;
};

struct counting {
	struct estimate *est;
	const struct process *process;
	struct counter *counter;
	struct counted_site sites[HT_SITES_MAX];
	struct counter_place places[HT_SITES_MAX];
	struct ht_count before[HT_SITES_MAX], after[HT_SITES_MAX];
	unsigned nr_sites;
	struct thread_time *threads;
	unsigned nr_threads;
};

__attribute__((format(printf, 3, 4))) static int fail(struct counting *c, int err, const char *fmt, ...)
{
	va_list ap;

	if (c->est->error[0])
		return err;
	va_start(ap, fmt);
	vsnprintf(c->est->error, sizeof(c->est->error), fmt, ap);
	va_end(ap);
	return err;
}

/* ---- sites ---- */

static enum ht_trap trap_of_class(enum site_class class)
{
	return class == SITE_RETURN ? HT_TRAP_RETURN : class == SITE_STEPPED ? HT_TRAP_STEPPED : HT_TRAP_EMULATED;
}

static bool begins_call(const struct ht_site *site)
{
	return site->role != HT_ROLE_FINISH && site->role != HT_ROLE_GUARD && site->role != HT_ROLE_OWN;
}

/* Every call passes exactly one site that is no FINISH. The sites of one file are the last ones, from `first` on. */
static int add_site(struct counting *c, const struct plan *plan, const struct plan_site *ps, unsigned first)
{
	struct counted_site *site = &c->sites[c->nr_sites];

	if (c->nr_sites == HT_SITES_MAX)
		return fail(c, -E2BIG, "more than %d sites", HT_SITES_MAX);
	*site = (struct counted_site){ plan, trap_of_class(ps->class) };
	for (unsigned i = first; i < c->nr_sites; i++)
		if (c->places[i].offset == ps->offset)
			site->trap = HT_TRAP_SHARED;
	c->places[c->nr_sites++] = (struct counter_place){ ps->offset, ps->site.cond };
	return 0;
}

/* The first site shows no breakpoint: what was probed is another file than the one mapped. Where memory cannot be read, nobody
 * knows. */
static bool stands_nowhere(const struct counting *c, const struct allocator *a)
{
	uint8_t byte;

	for (unsigned i = 0; i < a->nr_plans; i++)
		for (unsigned k = 0; k < a->plans[i].nr_sites; k++)
			if (begins_call(&a->plans[i].sites[k].site))
				return !process_read(c->process, a->plans[i].sites[k].vaddr + object_bias(a->obj), &byte, 1) &&
				       byte != ATTACH_BREAKPOINT;
	return false;
}

static int count_allocator(struct counting *c, const struct allocator *a)
{
	unsigned first = c->nr_sites;
	int err = 0;

	for (unsigned i = 0; i < a->nr_plans; i++) {
		const struct plan *plan = &a->plans[i];

		for (unsigned k = 0; k < plan->nr_sites && !err; k++)
			if (begins_call(&plan->sites[k].site))
				err = add_site(c, plan, &plan->sites[k], first);
	}
	if (!err)
		err = counter_attach(c->counter, c->process->pid, a->obj, c->places + first, c->nr_sites - first, first);
	if (err)
		return fail(c, err, "probes in %s could not be put in place: %s; see heaptape doctor", object_path(a->obj),
			    strerror(-err));
	if (stands_nowhere(c, a))
		return fail(c, -ENXIO, "probes in %s do not show in pid %d: what %s leads to is not what it has mapped; record tries other ways",
			    object_path(a->obj), c->process->pid, object_way(a->obj));
	return 0;
}

/* ---- the target's own time ---- */

static uint64_t thread_ns(const struct process *p, pid_t tid)
{
	char path[48], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "task/%d/schedstat", tid);
	fd = openat(p->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strtoull(text, NULL, 10);
}

static int note_thread(void *arg, pid_t tid)
{
	struct counting *c = arg;

	if (c->nr_threads < THREADS_MAX)
		c->threads[c->nr_threads++] = (struct thread_time){ tid, thread_ns(c->process, tid) };
	return 0;
}

static int add_thread_time(void *arg, pid_t tid)
{
	struct counting *c = arg;
	uint64_t ns = thread_ns(c->process, tid);

	for (unsigned i = 0; i < c->nr_threads; i++)
		if (c->threads[i].tid == tid)
			ns -= ns < c->threads[i].ns ? ns : c->threads[i].ns;
	c->est->busy_ns += ns;
	c->est->nr_busy += ns > c->est->duration_ns / BUSY_SHARE;
	return 0;
}

static void take_thread_times(struct counting *c)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	process_each_thread(c->process, add_thread_time, c);
	if (nr_cpus > 0 && c->est->nr_busy > (unsigned)nr_cpus)
		c->est->nr_busy = (unsigned)nr_cpus;
}

/* ---- counting ---- */

static int read_counts(struct counting *c, struct ht_count *counts)
{
	int err = counter_read(c->counter, c->nr_sites, counts);

	return err ? fail(c, err, "the counts cannot be read: %s", strerror(-err)) : 0;
}

/* What the recording would have taken follows from each plan's traps of usual calls. */
static void tally(struct counting *c)
{
	struct estimate *est = c->est;

	for (unsigned i = 0; i < c->nr_sites; i++) {
		const struct counted_site *site = &c->sites[i];
		const struct plan_traps *traps = &site->plan->traps;
		uint64_t calls = c->after[i].calls - c->before[i].calls;

		est->counted_traps[site->trap] += c->after[i].reached - c->before[i].reached;
		est->calls += calls;
		est->traps[HT_TRAP_EMULATED] += calls * traps->emulated / PLAN_USUAL_CALLS;
		est->traps[HT_TRAP_STEPPED] += calls * traps->stepped / PLAN_USUAL_CALLS;
		est->traps[HT_TRAP_RETURN] += calls * traps->returned / PLAN_USUAL_CALLS;
	}
	est->counted_traps[HT_TRAP_SHARED] = 0; /* no traps of their own */
}

/* Waits, unless the target ends before. */
static void wait_for(const struct counting *c, uint64_t duration_ns)
{
	uint64_t end_ns = clock_monotonic_ns() + duration_ns, now;
	struct pollfd fd = { .fd = c->process->pid_fd, .events = POLLIN };

	while ((now = clock_monotonic_ns()) < end_ns) {
		message_progress("counting the calls of %d: %.0f s left", c->process->pid, (double)(end_ns - now) / 1e9);
		if (poll(&fd, 1, end_ns - now < 200000000 ? (int)((end_ns - now + 999999) / 1000000) : 200) > 0)
			break;
	}
	message_progress(NULL);
}

static int count(struct counting *c, struct allocator *const *list, unsigned nr, uint64_t duration_ns)
{
	uint64_t begin;
	int err = 0;

	for (unsigned i = 0; i < nr && !err; i++)
		err = count_allocator(c, list[i]);
	if (err)
		return err;
	process_each_thread(c->process, note_thread, c);
	/* Probes come and go one after the other, for seconds if each is a perf event: only the time between counts. */
	err = read_counts(c, c->before);
	begin = clock_monotonic_ns();
	if (!err) {
		wait_for(c, duration_ns);
		c->est->duration_ns = clock_monotonic_ns() - begin;
		err = read_counts(c, c->after);
		take_thread_times(c);
	}
	counter_detach(c->counter);
	if (!err)
		tally(c);
	return err;
}

/* Only the kinds of traps that would occur. */
static int calibrate(struct counting *c)
{
	struct kernel_opts opts = { .pid = c->process->pid, .ring_nbytes = RING_NBYTES };
	struct kernel kernel;
	const char *why = "";
	int err = kernel_open(&opts, &kernel, &why);

	if (err)
		return fail(c, err, "%s failed: %s; see heaptape doctor", why, strerror(-err));
	for (int t = HT_TRAP_EMULATED; t <= HT_TRAP_RETURN && !err; t++)
		if (t == HT_TRAP_EMULATED || c->est->traps[t])
			err = calibrate_trap(&kernel, (enum ht_trap)t, &c->est->costs);
	kernel_close(&kernel);
	return err ? fail(c, err, "the cost of a trap could not be measured: %s", strerror(-err)) : 0;
}

int estimate_run(const struct process *p, struct allocator *const *list, unsigned nr, uint64_t duration_ns,
		 struct estimate *est)
{
	struct counting *c = calloc(1, sizeof(*c));
	int err;

	memset(est, 0, sizeof(*est));
	if (!c)
		return -ENOMEM;
	c->est = est;
	c->process = p;
	c->threads = calloc(THREADS_MAX, sizeof(*c->threads));
	err = c->threads ? counter_open(&c->counter) : -ENOMEM;
	if (err)
		fail(c, err, "the counting program cannot be loaded: %s; see heaptape doctor", strerror(-err));
	if (!err)
		err = count(c, list, nr, duration_ns);
	if (!err)
		err = calibrate(c);
	if (!err)
		estimate_conclude(est);
	counter_close(c->counter);
	free(c->threads);
	free(c);
	return err;
}

/* The target's own work goes on at the rate that was seen, as long as its busy threads find the time for the traps. */
void estimate_conclude(struct estimate *est)
{
	double seconds = (double)est->duration_ns / 1e9, counting_ns = trap_cost_ns(&est->costs, est->counted_traps);
	double recording_ns = trap_cost_ns(&est->costs, est->traps), own_ns = (double)est->busy_ns - counting_ns;
	double room_ns = (double)est->nr_busy * (double)est->duration_ns, share = 1;

	if (!est->duration_ns)
		return;
	if (own_ns < 0)
		own_ns = 0;
	if (est->nr_busy && own_ns + recording_ns > room_ns)
		share = room_ns / (own_ns + recording_ns);
	est->calls_per_s = (double)est->calls / seconds;
	est->recorded_calls_per_s = share * est->calls_per_s;
	est->cpus = share * recording_ns / (double)est->duration_ns;
}
