/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocators of the target: found, planned, probed, and the probes proven to stand. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "message.h"
#include "record/session_impl.h"
#include "check/prepare.h"

static struct inventory *current_inventory(struct session *s)
{
	return s->inventories[s->nr_inventories - 1];
}

int session_new_inventory(struct session *s)
{
	if (s->nr_inventories == INVENTORIES_MAX)
		return session_fail(s, -E2BIG, "the target has replaced its program %d times; recording ends here", INVENTORIES_MAX);
	s->inventories[s->nr_inventories] = inventory_new();
	return s->inventories[s->nr_inventories++] ? 0 : session_fail(s, -ENOMEM, "out of memory");
}

static int explain_attach(struct session *s, const struct allocator *a, int err)
{
	if (err == -EPERM || err == -EACCES)
		return session_fail(s, err, "no right to probe %s in pid %d: %s needs %s; see heaptape doctor", object_path(a->obj),
			    s->process.pid, s->kernel.backend == KERNEL_PERF ? "a perf-event uprobe" : "a uprobe",
			    s->kernel.backend == KERNEL_PERF ? "CAP_SYS_ADMIN" : "CAP_BPF and CAP_PERFMON");
	if (err == -ESRCH)
		return session_fail(s, err, "pid %d ended while probes were put in place", s->process.pid);
	return session_fail(s, err, "probes in %s could not be put in place: %s", object_path(a->obj), strerror(-err));
}

/* Every site must show the kernel's breakpoint, or this allocator would be silent on the tape. 1: none does, so that the file
 * is not the one that is mapped. */
static int check_sites(struct session *s, const struct allocator *a)
{
	const struct plan_site *missing;
	int nr = attach_check(s->attach, &s->process, a, &missing);

	if (nr == -EACCES) {
		message_warn("the sites in %s cannot be read back: /proc/%d/mem needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
			     object_path(a->obj), s->process.pid);
		return 0;
	}
	if (nr < 0 && !process_is_alive(&s->process))
		return session_fail(s, -ESRCH, "pid %d ended while probes were put in place", s->process.pid);
	if (nr < 0)
		return session_fail(s, nr, "the sites in %s cannot be read back: %s", object_path(a->obj), strerror(-nr));
	if (nr && (unsigned)nr == allocator_nr_sites(a))
		return 1;
	if (nr)
		return session_fail(s, -ENXIO, "%d of %u sites in %s show no breakpoint in pid %d (the first at offset 0x%llx): its code there "
				    "has been written to (a debugger's breakpoint, a patch)", nr, allocator_nr_sites(a),
				    object_path(a->obj), s->process.pid, (unsigned long long)missing->offset);
	return 0;
}

static void report_allocator(struct session *s, const struct allocator *a)
{
	struct session_allocator *r = &s->res->allocators[s->res->nr_allocators++];

	snprintf(r->name, sizeof(r->name), "%s", a->name);
	snprintf(r->path, sizeof(r->path), "%s", object_path(a->obj));
	snprintf(r->build_id, sizeof(r->build_id), "%s", object_build_id(a->obj));
	r->nr_sites = allocator_nr_sites(a);
	r->nr_unrecorded = allocator_nr_unrecorded(a);
	if (*a->found)
		message_info("%s has no names, but the code of %s", r->path, a->found);
	message_info("found %s in %s by %s, build id %.12s: %u sites%s", r->name, r->path, object_way(a->obj),
		     *r->build_id ? r->build_id : "none", r->nr_sites, s->opts->pid && s->nr_placed == 1 ? ", first in the search order" : "");
	for (unsigned i = 0; i < a->nr_plans; i++)
		if (!a->plans[i].nr_sites && !a->plans[i].skipped)
			message_warn("%s of %s is not recorded: %s", a->plans[i].symbol, r->name, a->plans[i].why);
}

/* What the check made the kernel count is none of the target's. */
static void forget_counts(struct session *s, const struct ht_counters *before, const struct ht_counters *after)
{
	for (int c = 0; c < HT_LOSS_NR; c++) {
		s->lost_told[c] += (uint64_t)(after->lost[c] - before->lost[c]);
		s->lost_before[c] += after->lost[c] - before->lost[c];
	}
	s->counted.nested += after->nested - before->nested;
	s->counted.other_lost += after->other_lost - before->other_lost;
	for (int t = 0; t < HT_TRAP_NR; t++)
		s->traps_before[t] += after->traps[t] - before->traps[t];
	s->timed_ns_before += after->timed_ns - before->timed_ns;
	s->timed_before += after->timed - before->timed;
	s->other_lost_before += after->other_lost - before->other_lost;
}

static void tell_check(const struct allocator *a, const struct prepare_result *p, bool arrived_late)
{
	const struct check_result *c = &p->check;
	char took[HUMAN_MAX];

	if (p->how == PREPARED_SIMPLE && arrived_late)
		message_info("%s came while recording and no earlier check is remembered: its plans are the simple ones",
			     object_path(a->obj));
	else if (p->how == PREPARED_SIMPLE && *p->why)
		message_info("%s: plans not checked (%s), the simple ones are used", object_path(a->obj), p->why);
	else if (p->how != PREPARED_SIMPLE)
		message_verbose("%s: %u plans hold in %llu %s%s, %u did not and are replaced, %u %s (%s)", object_path(a->obj),
				c->nr_checked, (unsigned long long)c->nr_calls,
				p->how == PREPARED_LIVE ? "calls of the target" : "known calls",
				p->how == PREPARED_CACHED ? " (remembered)" : "", c->nr_failed, c->nr_unreached,
				p->how == PREPARED_LIVE ? "made too few" : "cannot be called", human_ns(took, p->took_ns));
	for (unsigned i = 0; i < a->nr_plans; i++)
		if (a->plans[i].check == PLAN_CHECK_FAILED)
			message_verbose("%s: %s", a->plans[i].symbol, a->plans[i].why);
}

/* Plans that rest on data flow are used only if a check has borne them out. The rings must be idle for that: before the
 * recording, or while a child is held; later on, only what is remembered can be used. */
static int make_plans(struct session *s, struct allocator *a, bool late)
{
	struct prepare_opts opts = { .simple = s->opts->simple_plans, .target = &s->process, .target_runs = s->opts->pid };
	struct ht_counters before, after;
	struct prepare_result prepared;
	int err;

	/* Each perf event takes 45 ms to be taken away, and a check has about a hundred. */
	if (s->kernel.backend == KERNEL_PERF && !opts.simple)
		message_progress("checking where to probe %s, once for each build of it: some seconds on this kernel", object_path(a->obj));
	kernel_counters(&s->kernel, &before);
	err = prepare_plans(late ? NULL : &s->kernel, s->drain, a, &opts, &prepared);
	kernel_counters(&s->kernel, &after);
	message_progress(NULL);
	if (err)
		return session_fail(s, err, "%s: %s", object_path(a->obj), strerror(-err));
	if (!late)
		forget_counts(s, &before, &after);
	tell_check(a, &prepared, late);
	return 0;
}

/* Sites inside their functions; a part of a function that lies elsewhere is told as it is. */
static int tell_sites(struct session *s, const struct allocator *a)
{
	int err = 0;

	for (unsigned i = 0; i < a->nr_plans && s->stacks; i++) {
		const struct plan *p = &a->plans[i];
		uint64_t entry;

		if (object_offset(a->obj, p->vaddr, &entry))
			continue;
		for (unsigned k = 0; k < p->nr_sites && !err; k++)
			if (p->sites[k].vaddr - p->vaddr < p->nbytes)
				err = stacks_site(s->stacks, object_build_id(a->obj), object_path(a->obj), p->sites[k].offset, entry);
	}
	return err ? session_fail_tape(s, err) : 0;
}

/* What the tape says of how the file was found: none of the names in the target need lead to it any more. */
static int write_way(struct session *s, uint8_t tape_alloc, const struct object *obj)
{
	char key[32];

	snprintf(key, sizeof(key), "allocator.%u.way", tape_alloc);
	return tape_writer_meta(s->writer, key, object_way(obj));
}

/* Where no names tell the allocator: what does. */
static int write_found(struct session *s, uint8_t tape_alloc, const struct allocator *a)
{
	char key[32];

	snprintf(key, sizeof(key), "allocator.%u.found", tape_alloc);
	return *a->found ? tape_writer_meta(s->writer, key, a->found) : 0;
}

/* Another file for allocator i of the inventory: the one that was found is not what the target has mapped. */
static int other_file(struct session *s, struct inventory *inv, unsigned i)
{
	struct allocator *a = inventory_get(inv, i);
	char path[256], way[256];
	int err;

	snprintf(path, sizeof(path), "%s", object_path(a->obj));
	snprintf(way, sizeof(way), "%s", object_way(a->obj));
	attach_withdraw(s->attach);
	err = inventory_other_file(inv, i, &s->process);
	if (err == -ENOENT)
		return session_fail(s, -ENXIO, "probes in %s never show in pid %d: no way leads to the file that it has mapped, %s was the last "
				    "one tried; the file was changed or replaced since, and can be recorded when the process has been "
				    "started anew", path, s->process.pid, way);
	if (err)
		return session_fail(s, err, "%s: %s", path, strerror(-err));
	message_verbose("%s: what %s leads to is not what pid %d has mapped", path, way, s->process.pid);
	return make_plans(s, inventory_get(inv, i), s->nr_placed > 0);
}

/* By every way to the file, until the probes show. */
static int place_by_any_way(struct session *s, struct inventory *inv, unsigned i)
{
	int err;

	do {
		struct allocator *a = inventory_get(inv, i);

		err = attach_allocator(s->attach, a, (uint8_t)s->nr_placed);
		if (err)
			return explain_attach(s, a, err);
		err = check_sites(s, a);
		if (err <= 0)
			return err;
		err = other_file(s, inv, i);
	} while (!err);
	return err;
}

static int place(struct session *s, struct inventory *inv, unsigned i)
{
	struct tape_allocator on_tape;
	uint8_t obj = (uint8_t)s->nr_placed, tape_alloc;
	struct allocator *a;
	struct stat st;
	int err;

	if (s->nr_placed == ATTACH_REFERENCE_OBJ)
		return session_fail(s, -E2BIG, "more than %d allocators in pid %d", ATTACH_REFERENCE_OBJ, s->process.pid);
	err = place_by_any_way(s, inv, i);
	if (err)
		return err;
	a = inventory_get(inv, i);
	on_tape = (struct tape_allocator){ a->name, object_path(a->obj), object_build_id(a->obj) };
	err = tape_writer_allocator(s->writer, &on_tape, &tape_alloc);
	if (!err)
		err = write_way(s, tape_alloc, a->obj);
	if (!err)
		err = write_found(s, tape_alloc, a);
	if (err)
		return session_fail_tape(s, err);
	err = tell_sites(s, a);
	if (err)
		return err;
	fstat(object_fd(a->obj), &st);
	s->placed[s->nr_placed++] = (struct placed){ a, st.st_dev, st.st_ino, tape_alloc };
	ledger_allocator(s->ledger, obj, tape_alloc);
	report_allocator(s, a);
	return 0;
}

/* The sites of this very file stand already, as allocator *obj_ret. */
static bool is_placed(const struct session *s, const struct allocator *a, uint8_t *obj_ret)
{
	struct stat st;

	if (fstat(object_fd(a->obj), &st))
		return false;
	for (unsigned i = 0; i < s->nr_placed; i++)
		if (s->placed[i].dev == st.st_dev && s->placed[i].inode == st.st_ino) {
			*obj_ret = (uint8_t)i;
			return true;
		}
	return false;
}

int session_place_new(struct session *s)
{
	struct inventory *inv = current_inventory(s);
	unsigned nr_before = inventory_nr(inv), nr_new;
	uint64_t start, end;
	uint8_t obj;
	int err;

	process_reopen_mem(&s->process); /* an exec may have come between */
	err = inventory_update(inv, &s->process, &nr_new);
	if (err && !process_is_alive(&s->process))
		return 0; /* it ended meanwhile: nothing to probe any more */
	if (err)
		return session_fail(s, err, "the mappings of pid %d cannot be read: %s; another's process needs CAP_SYS_PTRACE, and "
				    "a sandbox may forbid it even then; see heaptape doctor", s->process.pid, strerror(-err));
	if (inventory_loader(inv, &start, &end))
		ledger_loader(s->ledger, start, end);
	/* All checks come first: once an allocator is probed, the target's records are in the rings. */
	for (unsigned i = nr_before; i < nr_before + nr_new && !err; i++)
		if (!is_placed(s, inventory_get(inv, i), &obj))
			err = make_plans(s, inventory_get(inv, i), s->start_ns && s->opts->pid);
	for (unsigned i = nr_before; i < nr_before + nr_new && !err; i++) {
		struct allocator *a = inventory_get(inv, i);

		/* After an exec the links by inode still stand: the same file only lies elsewhere. */
		if (is_placed(s, a, &obj))
			err = attach_moved(s->attach, a, obj);
		else
			err = place(s, inv, i);
	}
	if (!err)
		err = session_tell_unseen(s);
	if (!err)
		err = session_custom_place(s);
	return err == -ESRCH && s->start_ns ? 0 : err;
}

int session_place_inherited(struct session *s)
{
	const struct inventory *inv = current_inventory(s);
	uint64_t start, end;
	uint8_t obj;
	int err = 0;

	if (inventory_loader(inv, &start, &end))
		ledger_loader(s->ledger, start, end);
	for (unsigned i = 0; i < inventory_nr(inv) && !err; i++) {
		const struct allocator *found = inventory_get(inv, i), *a;

		if (!is_placed(s, found, &obj))
			continue;
		/* The plans are those of the first one found of that file; it may lie elsewhere since an exec. */
		a = s->placed[obj].a;
		err = attach_allocator(s->attach, a, obj);
		if (err)
			return explain_attach(s, a, err);
		err = attach_moved(s->attach, found, obj);
		if (!err)
			err = write_way(s, s->placed[obj].tape_alloc, a->obj);
		if (err)
			return session_fail_tape(s, err);
		err = tell_sites(s, a);
		report_allocator(s, a);
	}
	return err;
}

void session_warn_unread(struct session *s)
{
	const struct inventory *inv = current_inventory(s);

	for (unsigned i = 0; i < inventory_nr_unread(inv); i++) {
		const struct inventory_unread *u = inventory_unread_at(inv, i);

		message_warn("%s, which pid %d has mapped, cannot be opened (%s): an allocator in it would not be recorded; "
			     "deleted and replaced files need CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_CHECKPOINT_RESTORE",
			     u->path, s->process.pid, strerror(-u->err));
	}
}
