/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lived before the recording: read off the allocators' own metadata while the probes stand and the target runs.
 *
 * All records from the start mark on are held back, so that they can be put together with what was read (why that is
 * exact: reconcile.h), and so that none of them reaches the tape before the keyframe that they rest on.
 */
#include "record/session_impl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "message.h"

#define PASSAGE_NS 1000000000ull /* a thread that is not out of its call by then is taken for one that is in none */
#define LOOK_NS 2000000ull
#define WAIT_US 500
#define HORIZON_NS 15000000000ull /* a starved thread may have been preempted between taking its place in a ring and filling it */
#define BUSY_NBYTES (256u << 10)
#define SLICE 20000 /* objects or records between two looks at the rings: some milliseconds */
#define HELD_NBYTES_MAX (4ull << 30)

/* ---- while it is held ---- */

static int note_call(struct session *s, const struct ht_ev_head *h, uint64_t addr, uint64_t nbytes, uint64_t old)
{
	const struct attach_site *site = attach_site(s->attach, h->site);
	int err = 0;

	if (!site || !site->kind)
		return 0;
	/* Given up before the start mark, or noted then: the first event counts. */
	if (old)
		err = baseline_death(s->baseline, site->obj, old);
	return err ? err : baseline_birth(s->baseline, site->obj, addr, nbytes);
}

static int note_free(struct session *s, const struct ht_ev_free *e)
{
	const struct attach_site *site = attach_site(s->attach, e->h.site);

	return site && site->kind ? baseline_death(s->baseline, site->obj, e->addr) : 0;
}

static int note_record(struct session *s, const struct ht_ev_head *h)
{
	const struct ht_ev_alloc *alloc = (const void *)h;
	const struct ht_ev_call *call = (const void *)h;

	if (h->ts < s->start_ns)
		return 0;
	switch (h->type) {
	case HT_EV_ALLOC: return note_call(s, h, alloc->addr, alloc->size, 0);
	case HT_EV_CALL: return note_call(s, h, call->addr, call->size, call->old);
	case HT_EV_FREE:
	case HT_EV_FREE_AT:
	case HT_EV_GIVE_UP: return note_free(s, (const void *)h);
	case HT_EV_EXEC:
		s->spoilt = "the target started another program meanwhile";
		return 0;
	default: return 0;
	}
}

int session_hold(struct session *s, unsigned cpu, const struct ht_ev_head *h)
{
	int err = s->noting ? note_record(s, h) : 0;

	if (s->passage && (h->type <= HT_EV_GIVE_UP || h->type == HT_EV_FREE_AT))
		passage_note(s->passage, h->tid);
	if (!err)
		err = hold_push(&s->hold, cpu, h);
	return err ? session_fail(s, err, "out of memory: %zu MiB of records wait for the baseline; --baseline none does without",
				  s->hold.nbytes >> 20) : 0;
}

/* What every wait does meanwhile. */
static int keep_up(struct session *s)
{
	size_t nbytes;
	int err = session_drain(s, &nbytes);

	if (!err && s->noting && baseline_measure(s->baseline))
		err = session_fail(s, -ENOMEM, "out of memory");
	if (!err)
		err = session_sample_due(s, clock_monotonic_ns());
	if (!err)
		err = session_follow_code(s);
	session_follow_step(s);
	if (!process_is_alive(&s->process))
		s->spoilt = "the target ended meanwhile";
	if (s->hold.nbytes > HELD_NBYTES_MAX)
		s->spoilt = "more than 4 GiB of records came meanwhile";
	if (!err && nbytes < BUSY_NBYTES)
		usleep(WAIT_US);
	return err;
}

/* Until every thread is out of the call that it may be in now. */
static int wait_for_passage(struct session *s)
{
	struct passage passage;
	uint64_t until = clock_monotonic_ns() + PASSAGE_NS, next = 0, now;
	unsigned nr_inside = 1;
	int err = passage_begin(&passage, &s->process);

	if (err == -ESRCH)
		err = 0;
	else if (err)
		session_fail(s, err, "the threads of pid %d cannot be listed: %s", s->process.pid, strerror(-err));
	s->passage = &passage;
	while (!err && nr_inside && !s->spoilt && (now = clock_monotonic_ns()) < until) {
		err = keep_up(s);
		if (now < next)
			continue;
		next = now + LOOK_NS;
		nr_inside = passage_look(&passage);
	}
	s->passage = NULL;
	passage_end(&passage);
	if (nr_inside && !err && !s->spoilt)
		message_verbose("baseline: %u threads were not seen to leave a call that they may have been in", nr_inside);
	return err;
}

static int wait_for_thread(struct session *s)
{
	int err = 0;

	while (!err && !baseline_is_done(s->baseline))
		err = keep_up(s);
	return err;
}

/* All records up to now are here. */
static int wait_for_records(struct session *s)
{
	uint64_t now = clock_monotonic_ns();
	int err = 0;

	while (!err && drain_horizon(s->drain) < now && !s->spoilt) {
		err = keep_up(s);
		if (clock_monotonic_ns() > now + HORIZON_NS)
			s->spoilt = "a record of that time never came";
	}
	return err;
}

static int64_t calls_lost(const struct session *s)
{
	struct ht_counters now;
	int64_t lost = 0;

	kernel_counters(&s->kernel, &now);
	for (int c = 0; c < HT_LOSS_NR; c++)
		lost += c == HT_LOSS_STACK ? 0 : now.lost[c];
	return lost;
}

static int read_heap(struct session *s)
{
	int64_t lost = 0;
	int err;

	/* The start mark has looked at the counters: what is in s->counted is of then. */
	for (int c = 0; c < HT_LOSS_NR; c++)
		lost += c == HT_LOSS_STACK ? 0 : s->counted.lost[c];
	err = wait_for_passage(s);
	if (!err && baseline_start(s->baseline))
		s->spoilt = "no thread could be started";
	if (!err && !s->spoilt)
		err = wait_for_thread(s);
	if (!err)
		err = wait_for_passage(s);
	if (!err)
		err = wait_for_records(s);
	if (!err && calls_lost(s) > lost)
		s->spoilt = "calls were lost while the heap was read (a larger --buffer makes room)";
	return err;
}

/* ---- onto the tape ---- */

static int add_objects(struct session *s, const struct baseline_part *part)
{
	int err = 0;

	for (size_t i = 0; i < part->walk.nr && !err; i++) {
		const struct walk_block *b = &part->walk.blocks[i];

		if (ledger_found(s->ledger, part->obj, b->addr, b->usable, b->owner, b->inexact))
			return session_fail(s, -ENOMEM, "out of memory at %zu blocks of the baseline; --baseline none does without", i);
		if (i % SLICE == SLICE - 1)
			err = keep_up(s);
	}
	s->res->baseline.nr_objects += part->walk.nr;
	s->res->baseline.nbytes += part->nbytes;
	return err;
}

/* What could not be read, in words. */
static void note_lack(struct session *s, const struct baseline_part *part)
{
	char *why = s->res->baseline.why;
	size_t nr = strlen(why);

	snprintf(why + nr, sizeof(s->res->baseline.why) - nr, "%s%s: %s", nr ? "; " : "", part->name, part->why);
}

static void tell_part(const struct baseline_part *part)
{
	const struct reconcile_counts *c = &part->counts;

	message_verbose("baseline: %s: %zu blocks live, %llu in its caches; %llu addresses by events, %llu gone before they were seen "
			"(%llu of unknown size), %llu remains of others; read %u times%s%s", part->name, part->walk.nr,
			(unsigned long long)part->nr_free, (unsigned long long)c->by_events, (unsigned long long)c->unlisted,
			(unsigned long long)c->size_unknown, (unsigned long long)c->overlapping, part->nr_walks,
			part->walk.differs ? "; not held against itself: " : "", part->walk.differs ? part->walk.why : "");
}

static int write_facts(struct session *s)
{
	static const char *const modes[] = { [BASELINE_WALK] = "walk", [BASELINE_PAUSE] = "pause", [BASELINE_NONE] = "none" };
	const struct session_baseline *b = &s->res->baseline;
	bool none = s->opts->baseline == BASELINE_NONE;
	int err = tape_writer_meta(s->writer, "baseline", none ? "none" : b->known ? modes[s->opts->baseline] : "unknown");

	if (!none && !b->known)
		message_verbose("baseline: not known: %s", b->why);
	if (!err && *b->why)
		err = tape_writer_meta(s->writer, "baseline.why", b->why);
	if (!err && b->known)
		err = tape_writer_meta_u64(s->writer, "baseline.objects", b->nr_objects);
	if (!err && b->known)
		err = tape_writer_meta_u64(s->writer, "baseline.bytes", b->nbytes);
	if (!err && b->known)
		err = tape_writer_meta_u64(s->writer, "baseline.walk_ns", b->walk_ns);
	if (!err && b->pause_ns)
		err = tape_writer_meta_u64(s->writer, "baseline.pause_ns", b->pause_ns);
	return err ? session_fail_tape(s, err) : 0;
}

/* The blocks are known from here on, and the tape starts with them. */
static int put_baseline(struct session *s)
{
	struct session_baseline *res = &s->res->baseline;
	struct baseline *b = s->baseline;
	int err = 0;

	for (unsigned i = 0; i < baseline_nr_parts(b) && !err; i++) {
		const struct baseline_part *part = baseline_part(b, i);

		if (!part->is_good) {
			note_lack(s, part);
			continue;
		}
		tell_part(part);
		res->known = true;
		err = add_objects(s, part);
	}
	res->walk_ns = baseline_walk_ns(b);
	res->pause_ns = baseline_pause_ns(b);
	if (!err)
		err = write_facts(s);
	if (err || !res->known)
		return err;
	err = ring_start_late(s->ring, s->writer, ledger_heap(s->ledger));
	return err ? session_fail(s, err, "%s: the baseline's keyframe could not be begun: %s; --baseline none does without",
				  s->res->tape_path, strerror(-err)) : 0;
}

/* What was held, in its order, and what comes meanwhile behind it; where that is more than can be written, the rings wait ever
 * longer (and lose what they cannot hold, as they would later), so that it ends. */
static int release(struct session *s)
{
	const struct ht_ev_head *h;
	size_t nbytes, nr = 0, slice = SLICE, before = s->hold.nbytes;
	unsigned cpu;
	int err = 0;

	while (!err && (h = hold_pop(&s->hold, &cpu))) {
		err = session_take_one(s, cpu, h);
		if (err || ++nr < slice)
			continue;
		err = session_drain(s, &nbytes);
		nr = 0;
		if (s->hold.nbytes >= before)
			slice *= 2;
		before = s->hold.nbytes;
	}
	s->holding = false;
	return err;
}

static int find(struct session *s)
{
	int err = read_heap(s);

	s->noting = false;
	if (!err && !s->spoilt)
		err = baseline_settle(s->baseline) ? session_fail(s, -EAGAIN, "no thread could be started") : wait_for_thread(s);
	if (err || !s->spoilt)
		return err ? err : put_baseline(s);
	snprintf(s->res->baseline.why, sizeof(s->res->baseline.why), "%s", s->spoilt);
	return write_facts(s);
}

int session_prepare_baseline(struct session *s)
{
	int err;

	if (!s->opts->pid || s->opts->baseline == BASELINE_NONE)
		return 0; /* a new program: nothing lived before */
	err = baseline_new(&s->process, s->opts->baseline, &s->baseline);
	for (unsigned i = 0; i < s->nr_placed && !err; i++)
		err = baseline_allocator(s->baseline, (uint8_t)i, s->placed[i].a->name, s->placed[i].a->obj);
	return err ? session_fail(s, err, "out of memory") : 0;
}

int session_find_baseline(struct session *s)
{
	int err;

	if (!s->baseline)
		return s->opts->pid ? write_facts(s) : 0;
	s->holding = s->noting = true;
	err = baseline_has_walker(s->baseline) ? find(s) : put_baseline(s);
	baseline_free(s->baseline);
	s->baseline = NULL;
	return err ? err : release(s);
}
