/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocators that the user has described: looked for by name in every file that the target maps, probed, told. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "record/session_impl.h"
#include "runtime/custom.h"

#define KERNEL_ENOTSUPP 524 /* the kernel's own number for it, which no header of user space has */

/* One of the described allocators. */
struct described {
	struct session *s;
	struct custom *custom;
	bool on_tape;
	uint8_t tape_alloc;
};

/* What one file has of one of them. */
struct custom_part {
	struct runtime *rt;
	struct captures *captures;
};

/* A file that was looked into. */
struct custom_file {
	uint64_t dev, inode;
	struct object *obj; /* NULL: it has nothing of theirs */
};

struct session_custom {
	struct described list[CUSTOM_ALLOCATORS_MAX];
	struct custom_file *files;
	size_t nr_files, files_room;
	struct custom_part *parts;
	size_t nr_parts, parts_room;
	unsigned nr_probes;
	unsigned cpu; /* of the record at hand */
};

static const struct custom_specs *specs(const struct session *s)
{
	return &s->opts->customs;
}

unsigned session_custom_nr_probes(const struct session *s)
{
	return s->custom ? s->custom->nr_probes : 0;
}

/* ---- records ---- */

static int put_event(void *arg, const struct ht_ev_head *at, struct tape_event *ev, const char *name)
{
	const struct described *d = arg;
	struct session *s = d->s;
	uint64_t since = ev->ns;

	(void)name;
	if (at->ts < s->start_ns)
		return 1;
	ev->alloc = d->tape_alloc;
	ev->stack = ev->stack && s->stacks && (tape_kind_is_alloc(ev->kind) || s->opts->free_stacks) ? stacks_number(s->stacks, ev->stack) :
												       TAPE_NO_STACK;
	return ledger_put_call(s->ledger, s->custom->cpu, at, ev, since);
}

int session_custom_take(struct session *s, unsigned cpu, const struct ht_ev_head *h)
{
	struct session_custom *x = s->custom;

	if (!x)
		return 0;
	x->cpu = cpu;
	for (size_t i = 0; i < x->nr_parts; i++) {
		struct runtime *rt = x->parts[i].rt;

		if (h->site >= rt->first && h->site - rt->first < rt->nr_probes)
			return runtime_take(rt, (const void *)h);
	}
	return 0;
}

/* ---- finding ---- */

static int begin(struct session *s)
{
	struct session_custom *x = calloc(1, sizeof(*x));

	s->custom = x;
	for (unsigned i = 0; x && i < specs(s)->nr; i++) {
		x->list[i] = (struct described){ .s = s, .custom = custom_new(&specs(s)->list[i]) };
		if (!x->list[i].custom)
			return -ENOMEM;
	}
	return x ? 0 : -ENOMEM;
}

static int write_allocator(struct session *s, struct described *d, const char *name, const struct object *obj)
{
	struct tape_allocator on_tape = { name, object_path(obj), object_build_id(obj) };
	char key[32];
	int err;

	if (d->on_tape)
		return 0;
	err = tape_writer_allocator(s->writer, &on_tape, &d->tape_alloc);
	d->on_tape = !err;
	snprintf(key, sizeof(key), "custom.%u", d->tape_alloc);
	if (!err)
		err = tape_writer_meta(s->writer, key, name);
	return err ? session_fail_tape(s, err) : 0;
}

static void report(struct session *s, const char *name, const struct object *obj, unsigned nr_probes)
{
	struct session_allocator *r = &s->res->allocators[s->res->nr_allocators];

	message_info("found %s, as described, in %s: %u probes", name, object_path(obj), nr_probes);
	if (s->res->nr_allocators >= HT_OBJECTS_MAX)
		return; /* what is left are the others' places */
	snprintf(r->name, sizeof(r->name), "%s", name);
	snprintf(r->path, sizeof(r->path), "%s", object_path(obj));
	snprintf(r->build_id, sizeof(r->build_id), "%s", object_build_id(obj));
	r->nr_sites = nr_probes;
	s->res->nr_allocators++;
}

static struct custom_part *new_part(struct session_custom *x)
{
	if (x->nr_parts == x->parts_room) {
		size_t room = x->parts_room ? 2 * x->parts_room : 8;
		struct custom_part *parts = reallocarray(x->parts, room, sizeof(*parts));

		if (!parts)
			return NULL;
		x->parts = parts;
		x->parts_room = room;
	}
	return &x->parts[x->nr_parts];
}

/* What obj has of this allocator is probed. 1: it has something, and the file that was opened is not the one that is mapped. */
static int place_in(struct session *s, struct described *d, const struct custom_spec *spec, const struct object *obj, bool *found_ret)
{
	struct session_custom *x = s->custom;
	struct custom_part *part = new_part(x);
	struct runtime_sink sink = { put_event, d };
	const struct runtime_probe *missing = NULL;
	unsigned first = HT_CAPTURES_LANGUAGE + x->nr_probes;
	int err = part ? custom_open(d->custom, obj, first, HT_CAPTURES_MAX - first, s->opts->free_stacks, &sink, &part->rt) : -ENOMEM;

	if (err == -ENOENT)
		return 0;
	if (err == -ENOTSUP) {
		message_warn("%s has functions of %s, and is a Go program: its stacks move, and a return probe would kill it; they are not "
			     "recorded", object_path(obj), spec->name);
		return 0;
	}
	if (err == -E2BIG)
		return session_fail(s, err, "%s in %s: more than %d probes in all; name fewer functions, or the file that is meant (library)",
				    spec->name, object_path(obj), HT_CAPTURES_MAX - HT_CAPTURES_LANGUAGE);
	if (err)
		return session_fail(s, err, "%s: %s", object_path(obj), strerror(-err));
	err = captures_attach(&s->kernel, &s->process, part->rt, &part->captures, &missing);
	if (!err)
		err = write_allocator(s, d, spec->name, obj);
	if (err) {
		captures_free(part->captures);
		runtime_free(part->rt);
		if (err == -ENXIO || !process_is_alive(&s->process))
			return err == -ENXIO ? 1 : -ESRCH;
		return session_fail(s, err, "probes of %s in %s could not be put in place: %s", spec->name, object_path(obj),
				    err == -KERNEL_ENOTSUPP ? "the kernel takes none on the first instruction of one of its functions" :
							      strerror(-err));
	}
	x->nr_probes += part->rt->nr_probes;
	report(s, spec->name, obj, part->rt->nr_probes);
	x->nr_parts++;
	*found_ret = true;
	return 0;
}

static int look_into(struct session *s, struct object *obj, bool *found_ret)
{
	int err = 0;

	for (unsigned i = 0; i < specs(s)->nr && !err; i++)
		err = place_in(s, &s->custom->list[i], &specs(s)->list[i], obj, found_ret);
	return err;
}

/* By every way to the file, until the probes show. */
static int look_by_any_way(struct session *s, const struct map_region *region, struct object **obj_ret)
{
	struct object *obj, *other;
	bool found = false;
	int err;

	*obj_ret = NULL;
	if (object_open(&s->process, region, &obj))
		return 0; /* what cannot be read is told where allocators are looked for */
	while ((err = look_into(s, obj, &found)) == 1 && !found && !object_open_other(&s->process, obj, &other)) {
		object_close(obj);
		obj = other;
	}
	if (err == 1)
		err = session_fail(s, -ENXIO, "probes in %s do not show in pid %d: the file was changed or replaced since, or its code there was "
				   "written to", object_path(obj), s->process.pid);
	if (found)
		*obj_ret = obj; /* probes rest on it */
	else
		object_close(obj);
	return err;
}

static bool is_known(const struct session_custom *x, const struct map_region *r)
{
	for (size_t i = 0; i < x->nr_files; i++)
		if (x->files[i].dev == r->dev && x->files[i].inode == r->inode)
			return true;
	return false;
}

static struct custom_file *new_file(struct session_custom *x)
{
	if (x->nr_files == x->files_room) {
		size_t room = x->files_room ? 2 * x->files_room : 64;
		struct custom_file *files = reallocarray(x->files, room, sizeof(*files));

		if (!files)
			return NULL;
		x->files = files;
		x->files_room = room;
	}
	return &x->files[x->nr_files++];
}

int session_custom_place(struct session *s)
{
	struct maps maps;
	int err;

	if (!specs(s)->nr)
		return 0;
	err = s->custom ? 0 : begin(s);
	if (err)
		return session_fail(s, err, "out of memory");
	err = maps_read(s->process.proc_fd, &maps);
	for (size_t i = 0; i < maps.nr_regions && !err; i++) {
		const struct map_region *r = &maps.regions[i];
		struct custom_file *file;

		if (!r->executable || !r->inode || is_known(s->custom, r))
			continue;
		file = new_file(s->custom);
		if (!file) {
			err = session_fail(s, -ENOMEM, "out of memory");
			break;
		}
		*file = (struct custom_file){ .dev = r->dev, .inode = r->inode };
		err = look_by_any_way(s, r, &file->obj);
	}
	maps_free(&maps);
	return process_is_alive(&s->process) ? err : 0;
}

/* The names of functions that are nowhere, or all of them. */
static const char *list_names(const struct custom_spec *spec, uint32_t except, char *buf, size_t nbytes)
{
	size_t at = 0;

	*buf = 0;
	for (unsigned i = 0; i < spec->nr_functions && at < nbytes; i++)
		if (!(except >> i & 1))
			at += (size_t)snprintf(buf + at, nbytes - at, "%s%s", at ? ", " : "", spec->functions[i].name);
	return buf;
}

void session_custom_tell_missing(struct session *s)
{
	char names[200];

	for (unsigned i = 0; s->custom && i < specs(s)->nr; i++) {
		const struct custom_spec *spec = &specs(s)->list[i];
		uint32_t found = custom_found(s->custom->list[i].custom);

		if (found != (uint32_t)((1ull << spec->nr_functions) - 1))
			message_warn("%s: %s: not found by name in what pid %d has mapped%s; a stripped file keeps the names of exported functions "
				     "alone, and what was inlined everywhere has none", spec->name, list_names(spec, found, names, sizeof(names)),
				     s->process.pid, *spec->library ? " and library names" : "");
	}
}

int session_custom_check(struct session *s)
{
	char names[200];

	for (unsigned i = 0; s->custom && i < specs(s)->nr; i++)
		if (!custom_found(s->custom->list[i].custom))
			return session_fail(s, -ENOENT, "%s: none of its functions (%s) is found by name in what pid %d has mapped", specs(s)->list[i].name,
					    list_names(&specs(s)->list[i], 0, names, sizeof(names)), s->process.pid);
	session_custom_tell_missing(s);
	return 0;
}

/* ---- end ---- */

void session_custom_detach(struct session *s)
{
	for (size_t i = 0; s->custom && i < s->custom->nr_parts; i++) {
		captures_free(s->custom->parts[i].captures);
		s->custom->parts[i].captures = NULL;
	}
	if (!s->opts->pid)
		session_custom_tell_missing(s);
}

void session_custom_forget(struct session *s)
{
	struct session_custom *x = s->custom;

	if (!x)
		return;
	for (size_t i = 0; i < x->nr_parts; i++) {
		captures_free(x->parts[i].captures);
		runtime_free(x->parts[i].rt);
	}
	for (size_t i = 0; i < x->nr_files; i++)
		object_close(x->files[i].obj);
	for (unsigned i = 0; i < specs(s)->nr; i++)
		if (x->list[i].custom)
			custom_forget(x->list[i].custom);
	x->nr_parts = x->nr_files = x->nr_probes = 0;
}

void session_custom_free(struct session *s)
{
	struct session_custom *x = s->custom;

	if (!x)
		return;
	session_custom_forget(s);
	for (unsigned i = 0; i < specs(s)->nr; i++)
		custom_free(x->list[i].custom);
	free(x->parts);
	free(x->files);
	free(x);
	s->custom = NULL;
}
