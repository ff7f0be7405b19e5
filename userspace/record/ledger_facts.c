/* SPDX-License-Identifier: BSD-2-Clause */
/* What is no call: threads, the process, and what the recorder itself has to tell (resident set, losses, sleep). */
#include <errno.h>
#include <string.h>

#include "record/ledger_impl.h"

/* ---- threads and the process ---- */

int ledger_take_thread(struct ledger *l, const struct ht_ev_thread *e)
{
	struct tape_event ev = ledger_event(l, e->h.site, &e->h, TAPE_THREAD_NAME);
	struct ledger_thread *t = ledger_thread(l, e->h.tid);
	char name[sizeof(e->comm) + 1];
	uint32_t id;
	int err;

	if (!t)
		return -ENOMEM;
	if (e->h.flags & HT_EVF_EXIT) {
		ev.kind = TAPE_THREAD_EXIT;
		if (t->unmap.open)
			l->nr_unmaps--;
		t->unmap.open = false;
		ledger_pending_remove(l, t);
		return ledger_add(l, &ev);
	}
	if (e->h.flags & HT_EVF_START) {
		ev.kind = TAPE_THREAD_START;
		l->totals.threads++;
	}
	memcpy(name, e->comm, sizeof(e->comm));
	name[sizeof(e->comm)] = '\0';
	err = tape_writer_string(l->opts.writer, name, &id);
	if (err)
		return err;
	ev.arg = id;
	return ledger_add(l, &ev);
}

int ledger_take_exec(struct ledger *l, const struct ht_ev_thread *e)
{
	struct tape_event ev = ledger_event(l, e->h.site, &e->h, TAPE_EXEC);
	char name[sizeof(e->comm) + 1];
	uint32_t id;
	int err;

	memcpy(name, e->comm, sizeof(e->comm));
	name[sizeof(e->comm)] = '\0';
	err = tape_writer_string(l->opts.writer, name, &id);
	if (!err)
		err = heap_apply(l->heap, &ev, NULL);
	if (!err && l->opts.changed)
		err = l->opts.changed(l->opts.arg, &ev, &(struct heap_change){ 0 });
	if (err)
		return err;
	cover_free(l->cover);
	l->cover = NULL;
	ranges_free(&l->ranges);
	l->brk = 0;
	l->nr_pending = 0;
	l->nr_unmaps = 0;
	memset(l->threads, 0, l->threads_room * sizeof(*l->threads));
	l->nr_threads = 0;
	l->last_thread = NULL;
	l->execed = true;
	l->totals.execs++;
	ev.arg = id;
	return ledger_add(l, &ev);
}

/* ---- the recorder's own ---- */

int ledger_take_rss(struct ledger *l, const struct ledger_rss *r)
{
	struct tape_event ev = ledger_event(l, 0, &r->h, TAPE_RSS);

	ev.addr = r->anon;
	ev.old = r->file;
	ev.size = r->shmem;
	return ledger_add(l, &ev);
}

int ledger_take_lost(struct ledger *l, const struct ledger_lost *r)
{
	static const uint8_t causes[HT_LOSS_NR + 1] = { [HT_LOSS_RING_FULL] = TAPE_LOSS_RING_FULL,
						    [HT_LOSS_STASH_FULL] = TAPE_LOSS_STASH_FULL,
						    [HT_LOSS_MAP_FULL] = TAPE_LOSS_MAP_FULL,
						    [HT_LOSS_STACK] = TAPE_LOSS_STACK,
						    [HT_LOSS_PLAN] = TAPE_LOSS_PLAN,
						    [LEDGER_LOSS_MISSED] = TAPE_LOSS_CALL_CUT };
	struct tape_event ev = ledger_event(l, 0, &r->h, TAPE_LOST);

	uint64_t shown = l->lost_but_shown < r->calls ? l->lost_but_shown : r->calls;

	l->lost_but_shown -= shown;
	if (r->calls == shown)
		return 0;
	ev.size = r->calls - shown;
	ev.arg = causes[r->cause];
	ev.old = r->since_ns > l->opts.start_ns ? r->since_ns - l->opts.start_ns : 0;
	l->totals.lost += ev.size;
	return ledger_add(l, &ev);
}

int ledger_write_nested(struct ledger *l, struct tape_event ev, uint64_t calls)
{
	ev.kind = TAPE_COUNTER;
	ev.arg = TAPE_COUNT_NESTED;
	ev.size = calls;
	l->totals.nested += calls;
	return ledger_add(l, &ev);
}

/* The kernel's count and the ledger's own go onto the tape together. */
int ledger_take_nested(struct ledger *l, const struct ledger_nested *r)
{
	uint64_t calls = r->calls + l->nested;

	l->nested = 0;
	return calls ? ledger_write_nested(l, ledger_event(l, 0, &r->h, TAPE_COUNTER), calls) : 0;
}

int ledger_take_suspend(struct ledger *l, const struct ledger_suspend *r)
{
	struct tape_event ev = ledger_event(l, 0, &r->h, TAPE_SUSPEND);

	ev.size = r->slept_ns;
	return ledger_add(l, &ev);
}

int ledger_take_mark(struct ledger *l, const struct ledger_mark *r)
{
	struct tape_event ev = ledger_event(l, 0, &r->h, TAPE_MARK);

	ev.arg = r->mark;
	return ledger_add(l, &ev);
}
