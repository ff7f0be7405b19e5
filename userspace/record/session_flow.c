/* SPDX-License-Identifier: BSD-2-Clause */
/* While it records: rings are emptied, losses and the resident set told, new code and new programs followed. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "message.h"
#include "record/session_impl.h"

#define DRAIN_PERIOD_MS 5
#define RSS_PERIOD_NS 50000000      /* the issue of a curve is its shape: twenty points a second */
#define FLUSH_PERIOD_NS 500000000   /* a killed recorder loses at most this much, and a block */
#define RESCAN_PERIOD_NS 1000000000 /* for new allocators where mappings are not traced */

void session_ask_dump(struct session *s, enum ring_cause cause)
{
	if (!s->dump_asked)
		s->dump_cause = cause;
	s->dump_asked = true;
}

/* Once each time that the size is reached from below. */
static void watch_rss(struct session *s, uint64_t nbytes)
{
	uint64_t limit = s->opts->trigger_rss_nbytes;

	if (!limit || nbytes < limit - limit / 10)
		s->rss_triggered = false;
	if (!limit || nbytes < limit || s->rss_triggered)
		return;
	s->rss_triggered = true;
	session_ask_dump(s, RING_RSS);
	message_info("the target's resident set has reached --trigger-rss");
}

int session_sample_rss(struct session *s, uint64_t at_ns)
{
	struct ledger_rss r = { .h = { .type = LEDGER_RSS, .tid = (uint32_t)s->process.pid, .ts = at_ns } };
	struct process_resident resident;

	if (process_resident(&s->process, &resident))
		return 0; /* it is ending */
	r.anon = resident.anon;
	r.file = resident.file;
	r.shmem = resident.shmem;
	s->rss_anon = resident.anon;
	watch_rss(s, r.anon + r.file + r.shmem);
	return drain_insert(s->drain, &r.h, sizeof(r));
}

static int insert_lost(struct session *s, int cause, uint64_t calls, uint64_t at_ns)
{
	struct ledger_lost r = { .h = { .type = LEDGER_LOST, .tid = (uint32_t)s->process.pid, .ts = at_ns },
				 .cause = (uint64_t)cause,
				 .calls = calls,
				 .since_ns = s->counted_at_ns };

	return drain_insert(s->drain, &r.h, sizeof(r));
}

/*
 * Puts what was lost since the last look onto the tape. A count may fall again within microseconds (a wrapper's record
 * was lost, the inner call's was not), so only what two successive looks agree on is told; the last look is final.
 */
int session_tell_losses(struct session *s, uint64_t at_ns, bool final)
{
	struct ledger_nested nested = { .h = { .type = LEDGER_NESTED, .tid = (uint32_t)s->process.pid, .ts = at_ns } };
	struct ht_counters now;
	uint64_t missed;
	int err = 0;

	kernel_counters(&s->kernel, &now);
	for (int c = 0; c < HT_LOSS_NR && !err; c++) {
		int64_t sure = final || now.lost[c] < s->lost_before[c] ? now.lost[c] : s->lost_before[c];

		s->lost_before[c] = now.lost[c];
		if (sure <= (int64_t)s->lost_told[c])
			continue;
		err = insert_lost(s, c, (uint64_t)sure - s->lost_told[c], at_ns);
		s->lost_told[c] = (uint64_t)sure;
	}
	missed = final ? kernel_missed_runs(&s->kernel) - s->missed_before : 0;
	if (missed && !err)
		err = insert_lost(s, LEDGER_LOSS_MISSED, missed, at_ns);
	nested.calls = now.nested - s->counted.nested;
	if (!err && (nested.calls || final))
		err = drain_insert(s->drain, &nested.h, sizeof(nested));
	s->counted = now;
	s->counted_at_ns = at_ns;
	return err;
}

int session_follow_code(struct session *s)
{
	int err = s->stacks ? stacks_follow(s->stacks, &s->process, clock_monotonic_ns()) : 0;

	return err ? session_fail(s, err, "the mappings of pid %d cannot be read: %s", s->process.pid, strerror(-err)) : 0;
}

int session_take_one(struct session *s, unsigned cpu, const struct ht_ev_head *h)
{
	int err;

	/* No event, and needed by those that follow; one from before the start mark may be named after it. */
	if (h->type == HT_EV_STACK)
		err = s->stacks ? stacks_take(s->stacks, (const struct ht_ev_stack *)(const void *)h) : 0;
	else if (s->end_ns && h->ts > s->end_ns)
		return 0;
	else if (h->type == HT_EV_CAPTURE || h->type == HT_EV_CAPTURE_BITS)
		err = session_runtime_take(s, cpu, h);
	else
		err = ledger_take(s->ledger, cpu, h);
	/* At this very point the ledger holds what the child begins with. */
	if (!err && s->follow && (h->type == HT_EV_FORK || h->type == HT_EV_CHILD))
		return session_follow_child(s, (const struct ht_ev_thread *)(const void *)h);
	session_brake_count(s, h);
	return err ? session_fail_tape(s, err) : 0;
}

int session_take_all(struct session *s)
{
	const struct ht_ev_head *h;
	unsigned cpu;
	int err = 0;

	while (!err && (h = drain_next(s->drain, &cpu)))
		err = s->holding ? session_hold(s, cpu, h) : session_take_one(s, cpu, h);
	return err;
}

int session_drain(struct session *s, size_t *nbytes_ret)
{
	int err = drain_collect(s->drain, clock_monotonic_ns(), nbytes_ret);

	if (err)
		return session_fail(s, err, "the ring buffers cannot be read: %s", strerror(-err));
	return session_take_all(s);
}

/* Looked for each time that the rings are emptied: the mark stands where the sleep was. */
static int mark_suspend(struct session *s, uint64_t at_ns)
{
	struct ledger_suspend r = { .h = { .type = LEDGER_SUSPEND, .tid = (uint32_t)s->process.pid, .ts = at_ns },
				    .slept_ns = sleep_watch_now(&s->sleep_watch) };
	char time[HUMAN_MAX];

	if (!r.slept_ns)
		return 0;
	message_info("the machine was suspended for %s; the tape says so, its times leave it out", human_ns(time, r.slept_ns));
	return drain_insert(s->drain, &r.h, sizeof(r)) ? session_fail(s, -ENOMEM, "out of memory") : 0;
}

int session_sample_due(struct session *s, uint64_t now_ns)
{
	int err;

	if (now_ns < s->next_rss_ns)
		return 0;
	s->next_rss_ns = now_ns + RSS_PERIOD_NS;
	err = session_sample_rss(s, now_ns);
	if (!err)
		err = session_tell_losses(s, now_ns, false);
	return err ? session_fail(s, err, "out of memory") : 0;
}

double session_cost_ns(const struct session *s)
{
	uint64_t traps[HT_TRAP_NR], timed = s->counted.timed - s->timed_before;
	double program_ns = timed ? (double)(s->counted.timed_ns - s->timed_ns_before) / (double)timed : 0;

	for (int t = 0; t < HT_TRAP_NR; t++) {
		traps[t] = s->counted.traps[t] - s->traps_before[t];
		if (traps[t] && t != HT_TRAP_SHARED && !s->res->costs.ns[t])
			return -1;
	}
	return trap_real_cost_ns(&s->res->costs, traps, program_ns);
}

/* What has its time: resident set, losses, blocks to the disk, a look for new code. */
static int do_periodic(struct session *s)
{
	uint64_t now = clock_monotonic_ns();
	int err = mark_suspend(s, now);

	if (err)
		return err;
	err = session_sample_due(s, now);
	if (err)
		return err;
	session_live_step(s, now);
	session_follow_step(s);
	err = session_brake_step(s, now);
	if (err)
		return err;
	if (now >= s->next_flush_ns) {
		struct ledger_totals totals;
		char count[HUMAN_MAX], nbytes[HUMAN_MAX];

		s->next_flush_ns = now + FLUSH_PERIOD_NS;
		err = tape_writer_flush(s->writer);
		if (err)
			return session_fail_tape(s, err);
		ledger_totals(s->ledger, &totals);
		message_progress("recording %d: %.0f s, %s calls, tape %s, lost %llu", s->process.pid,
				 (double)(now - s->start_ns) / 1e9, human_count(count, totals.events),
				 human_nbytes(nbytes, tape_writer_bytes(s->writer)), (unsigned long long)totals.lost);
	}
	if (!s->kernel.has_tracepoints && now >= s->next_rescan_ns) {
		s->next_rescan_ns = now + RESCAN_PERIOD_NS;
		err = session_place_new(s);
	}
	return err;
}

int session_follow_target(struct session *s)
{
	int err = 0;

	if (ledger_saw_exec(s->ledger)) {
		session_runtime_free(s);
		session_custom_forget(s);
		err = session_new_inventory(s);
		if (!err)
			err = session_follow_execed(s);
		if (!err)
			err = session_place_new(s);
	}
	if (!err && ledger_saw_code_mapped(s->ledger))
		err = session_place_new(s);
	if (!err)
		err = session_follow_code(s);
	return err;
}

/* The child has stopped because code was mapped (or somebody stopped it): probe, let it go on. */
static int serve_child(struct session *s, bool *ended)
{
	enum launch_state state = launch_poll(&s->launch, &s->res->child_status, &s->res->child_usage);
	size_t nbytes;
	int err = 0;

	if (state == LAUNCH_ENDED) {
		*ended = true;
		s->launch.pid = -1; /* reaped: the number may be another's by now */
	}
	if (state != LAUNCH_STOPPED)
		return 0;
	err = session_drain(s, &nbytes);
	if (!err)
		err = session_follow_target(s);
	if (!err)
		err = session_place_new(s);
	launch_continue(&s->launch);
	return err;
}

bool session_read_signals(struct session *s)
{
	struct signalfd_siginfo info;
	bool asked = false;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo == SIGUSR1)
			session_ask_dump(s, RING_SIGNAL);
		else
			asked |= info.ssi_signo != SIGCHLD;
	return asked;
}

/* Sleeps until something happens or the rings want to be emptied. True: a signal asks to end. */
static bool wait_a_little(struct session *s, bool busy)
{
	struct pollfd fds[] = { { .fd = s->signal_fd, .events = POLLIN }, { .fd = s->process.pid_fd, .events = POLLIN },
				{ .fd = session_follow_doorbell(s), .events = POLLIN } };

	/* A ring that filled up while the last records were written is emptied again at once. */
	poll(fds, sizeof(fds) / sizeof(fds[0]), busy ? 0 : DRAIN_PERIOD_MS);
	return session_read_signals(s);
}

/* Segments, keyframes, and copies that were asked for. */
static int step_ring(struct session *s)
{
	int err = ring_step(s->ring, s->writer, ledger_heap(s->ledger), ledger_state(s->ledger),
			    clock_monotonic_ns() - s->start_ns);

	if (!err && s->dump_asked && ring_is_folder(s->ring)) {
		err = ring_dump(s->ring, s->writer, s->dump_cause);
		if (err == -EBUSY)
			return 0; /* once the one before is done */
		if (err)
			message_warn("%s: it could not be copied: %s", s->res->tape_path, strerror(-err));
		s->dump_asked = false;
		return 0;
	}
	if (s->dump_asked)
		message_warn("SIGUSR1 makes a copy of a ring; this recording is none (--ring)");
	s->dump_asked = false;
	return err ? session_fail_tape(s, err) : 0;
}

int session_record_until_end(struct session *s)
{
	uint64_t deadline = s->opts->duration_ns ? s->start_ns + s->opts->duration_ns : UINT64_MAX;
	bool ended = false;
	size_t nbytes = 0;
	int err = 0;

	while (!err) {
		if (wait_a_little(s, nbytes > (1u << 20))) {
			s->res->end = SESSION_SIGNAL;
			return 0;
		}
		if (session_follow_end_asked(s))
			return 0;
		if (!s->opts->pid)
			err = serve_child(s, &ended);
		if (ended || !process_is_alive(&s->process)) {
			s->res->end = kernel_target_oom(&s->kernel) ? SESSION_TARGET_OOM : SESSION_TARGET_EXITED;
			return err;
		}
		if (clock_monotonic_ns() >= deadline) {
			s->res->end = SESSION_DURATION;
			return err;
		}
		if (!err)
			err = do_periodic(s);
		if (!err && s->too_dear) {
			s->res->end = SESSION_COST;
			return 0;
		}
		if (!err)
			err = session_drain(s, &nbytes);
		if (!err)
			err = session_follow_target(s);
		if (!err)
			err = session_follow_holds(s);
		if (!err)
			err = step_ring(s);
	}
	return err;
}
