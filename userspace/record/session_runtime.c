/* SPDX-License-Identifier: BSD-2-Clause */
/* The runtime of a language in the target, if it has one that a profile knows: found, probed, told. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baseline/pause.h"
#include "message.h"
#include "record/session_impl.h"
#include "runtime/unseen.h"

/* The program that a command's name means, as execvp looks for it. false: there is none. */
static bool find_program(const char *name, char *path, size_t path_nbytes)
{
	const char *dirs = getenv("PATH");

	if (strchr(name, '/'))
		return snprintf(path, path_nbytes, "%s", name) < (int)path_nbytes;
	for (const char *end; dirs; dirs = *end ? end + 1 : NULL) {
		end = strchrnul(dirs, ':');
		if (snprintf(path, path_nbytes, "%.*s/%s", (int)(end - dirs), dirs, name) < (int)path_nbytes && !access(path, X_OK))
			return true;
	}
	return false;
}

/* A profile's name, or NULL for whichever knows the program. */
static const char *wanted(const struct session *s)
{
	return s->opts->runtime && strcmp(s->opts->runtime, "auto") != 0 ? s->opts->runtime : NULL;
}

/* Before anything is loaded: the programs for its probes cost half a second of the kernel's checks. */
int session_runtime_look(struct session *s)
{
	char path[4096];
	struct object *obj;

	if (s->opts->runtime && !strcmp(s->opts->runtime, "none"))
		return 0;
	if (s->opts->pid)
		snprintf(path, sizeof(path), "/proc/%d/exe", s->process.pid);
	else if (!find_program(s->opts->argv[0], path, sizeof(path)))
		return 0;
	if (object_open_path(path, &obj))
		return 0; /* what cannot be read is told where allocators are looked for */
	s->runtime_profile = runtime_find(obj, wanted(s));
	object_close(obj);
	return 0;
}

bool session_has_runtime(const struct session *s)
{
	return s->runtime_profile || s->opts->customs.nr;
}

static int put_event(void *arg, const struct ht_ev_head *at, struct tape_event *ev, const char *name)
{
	struct session *s = arg;
	uint32_t id = 0;
	int err = 0;

	if (at->ts < s->start_ns || (at->ts != s->start_ns && at->ts < s->runtime_from_ns))
		return 1;
	if (name)
		err = tape_writer_string(s->writer, name, &id);
	if (err)
		return err;
	if (ev->kind == TAPE_MALLOC || ev->kind == TAPE_FREE)
		ev->alloc = s->runtime_alloc;
	else
		ev->arg = id;
	ev->stack = ev->stack && s->stacks ? stacks_number(s->stacks, ev->stack) : TAPE_NO_STACK;
	return ledger_put(s->ledger, s->runtime_cpu, at, ev);
}

int session_runtime_take(struct session *s, unsigned cpu, const struct ht_ev_head *h)
{
	s->runtime_cpu = cpu;
	if (h->site >= HT_CAPTURES_LANGUAGE)
		return session_custom_take(s, cpu, h);
	return s->runtime ? runtime_take(s->runtime, (const void *)h) : 0;
}

static int object_of_program(const struct session *s, struct object **obj_ret)
{
	struct maps maps;
	int err = maps_read(s->process.proc_fd, &maps);
	char *exe = process_exe(&s->process);

	if (!err)
		err = -ENOENT;
	for (size_t i = 0; exe && i < maps.nr_regions; i++)
		if (maps.regions[i].executable && !strcmp(maps.regions[i].path, exe)) {
			err = object_open(&s->process, &maps.regions[i], obj_ret);
			break;
		}
	free(exe);
	maps_free(&maps);
	return err;
}

static int write_meta(struct session *s)
{
	const struct runtime *rt = s->runtime;
	char levels[32];
	int err;

	snprintf(levels, sizeof(levels), "os%s%s", rt->levels & RUNTIME_PAGES ? ",pages" : "", rt->levels & RUNTIME_OBJECTS ? ",objects" : "");
	err = tape_writer_meta(s->writer, "runtime", rt->profile->name);
	if (!err && *rt->version)
		err = tape_writer_meta(s->writer, "runtime.version", rt->version);
	if (!err)
		err = tape_writer_meta(s->writer, "runtime.levels", levels);
	return err;
}

/* What it needs is there, and where it stands is known; no probe is in place yet. */
static int open_runtime(struct session *s)
{
	struct runtime_sink sink = { put_event, s };
	int err = object_of_program(s, &s->runtime_obj);

	if (err)
		return err;
	return runtime_open(s->runtime_profile, s->runtime_obj, s->opts->levels, &sink, &s->runtime);
}

/* Its probes stand: the tape has it from here on. */
static int tell_runtime(struct session *s)
{
	const struct runtime_profile *profile = s->runtime_profile;
	struct tape_allocator on_tape = { profile->name, object_path(s->runtime_obj), object_build_id(s->runtime_obj) };
	int err = tape_writer_allocator(s->writer, &on_tape, &s->runtime_alloc);

	if (!err)
		err = write_meta(s);
	message_info("found the runtime of %s (%s) in %s: %u probes", profile->language, profile->name, object_path(s->runtime_obj),
		     s->runtime->nr_probes);
	return err ? session_fail_tape(s, err) : 0;
}

/* Once the program is mapped. A runtime that was asked for by name must be there; one that was found may lack what it takes. */
int session_runtime_place(struct session *s)
{
	const struct runtime_probe *missing = NULL;
	const struct runtime_profile *profile = s->runtime_profile;
	int err;

	if (!profile || s->runtime)
		return 0;
	err = open_runtime(s);
	if (!err)
		err = captures_attach(&s->kernel, &s->process, s->runtime, &s->captures, &missing);
	if (!err)
		return tell_runtime(s);
	if (wanted(s))
		return session_fail(s, err, "--runtime %s: %s", profile->name, s->runtime && *s->runtime->why ? s->runtime->why : strerror(-err));
	message_warn("the runtime of %s is in pid %d, and what it holds is not recorded: %s%s%s", profile->language, s->process.pid,
		     s->runtime && *s->runtime->why ? s->runtime->why : strerror(-err), missing ? "; no probe shows in " : "",
		     missing ? missing->function : "");
	session_runtime_free(s);
	return 0;
}

/* What the runtime of a live process holds already; stopped for it if that was asked for. */
static int read_before(struct session *s)
{
	struct ht_ev_head at = { .tid = (uint32_t)s->process.pid, .ts = s->start_ns };
	struct pause_guard guard;
	bool stands = s->opts->baseline == BASELINE_PAUSE && s->runtime->profile->at_rest;
	int err;

	if (s->opts->baseline == BASELINE_NONE)
		return runtime_fail(s->runtime, 0, "what it held before was not asked for");
	if (s->runtime->profile->at_rest && !stands)
		return runtime_fail(s->runtime, 0, "what it held before is read from a process that stands alone: --baseline pause");
	err = stands ? pause_begin(&s->process, &guard) : 0;
	if (err)
		return runtime_fail(s->runtime, 0, "what it held before is not known: it cannot be stopped (%s)", strerror(-err));
	/* What was read holds all that had happened until then. */
	s->runtime_from_ns = stands ? clock_monotonic_ns() : 0;
	err = runtime_begin(s->runtime, &s->process, &at);
	if (stands)
		s->res->baseline.pause_ns += pause_end(&guard);
	return err;
}

int session_runtime_begin(struct session *s)
{
	int err = s->runtime && s->opts->pid && (s->opts->levels & (RUNTIME_PAGES | RUNTIME_OBJECTS)) ? read_before(s) : 0;

	if (!err && s->runtime && *s->runtime->why) {
		message_info("%s: %s", s->runtime->profile->name, s->runtime->why);
		err = tape_writer_meta(s->writer, "runtime.before", s->runtime->why);
	}
	return err ? session_fail_tape(s, err) : 0;
}

/* The first of them that is mapped; a process has one. */
int session_tell_unseen(struct session *s)
{
	struct maps maps;
	const char *runtime = NULL;
	int err;

	if (s->unseen_told || maps_read(s->process.proc_fd, &maps))
		return 0;
	for (size_t i = 0; i < maps.nr_regions && !runtime; i++)
		runtime = maps.regions[i].executable ? unseen_runtime(maps.regions[i].path) : NULL;
	maps_free(&maps);
	if (!runtime)
		return 0;
	s->unseen_told = true;
	message_warn("the heap of %s in pid %d is not malloc's: its objects are not seen, only the mappings that hold them", runtime, s->process.pid);
	err = tape_writer_meta(s->writer, "runtime.unseen", runtime);
	return err ? session_fail_tape(s, err) : 0;
}

/* Another program has taken its place. */
void session_runtime_free(struct session *s)
{
	captures_free(s->captures);
	runtime_free(s->runtime);
	object_close(s->runtime_obj);
	s->captures = NULL;
	s->runtime = NULL;
	s->runtime_obj = NULL;
}
