/* SPDX-License-Identifier: BSD-2-Clause */
/* rewrite.c - see rewrite.h. */
#include "rewrite/rewrite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/index_map.h"
#include "formats/keyframe.h"
#include "rewrite/renumber.h"

struct rewrite {
	struct tape_reader *r;
	struct tape_writer *w;
	const struct rewrite_opts *opts;
	struct rewrite_result *res;
	struct heap *heap;        /* what lives, as the new tape says it, until that begins */
	struct state *state;      /* and what holds beside it */
	struct renumber *renumber; /* NULL: addresses stay */
	struct index_map stacks;  /* old number -> new */
	uint32_t nr_allocators;   /* told to the writer so far: numbers stay the same */
	uint64_t start_ns;
	bool keyframe, begun;
};

/* ---- facts ---- */

#define PAGE_NBYTES 4096 /* where the tape does not say */
#define SETTING_PREFIX "target.env."
#define KERNEL_KEY "machine.kernel"

/* What a replay needs to know of machine and recording. All else goes, keys of later versions too: it might name something. */
static bool fact_is_harmless(const char *key)
{
	static const char *const keys[] = { "machine.arch", "machine.cpus", "machine.cpus_allowed", "machine.numa_nodes",
					    "machine.page_size", "machine.thp", "machine.overcommit", "machine.cgroup_limit",
					    "record.version", "record.backend", "record.trap_ns", "record.traps", "record.end",
					    "copy.cause", "ring.nbytes", "start.from_exec", "record.cost_ns", "record.max_cost",
					    "start.rss_anon", "start.rss_file", "start.rss_shmem" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(key, keys[i]))
			return true;
	return false;
}

/* "6.1.0-acme-prod" names its house; 6.1.0 does not. */
static int copy_kernel(struct rewrite *rw, const char *release)
{
	char version[32];

	snprintf(version, sizeof(version), "%.*s", (int)strspn(release, "0123456789."), release);
	return tape_writer_meta(rw->w, KERNEL_KEY, version);
}

static int copy_fact(struct rewrite *rw, const char *key, const char *value)
{
	if (!strcmp(key, "duration_ns"))
		return 0; /* at the end */
	if (!rw->opts->strip || fact_is_harmless(key))
		return tape_writer_meta(rw->w, key, value);
	rw->res->nr_settings += !strncmp(key, SETTING_PREFIX, strlen(SETTING_PREFIX));
	return strcmp(key, KERNEL_KEY) ? 0 : copy_kernel(rw, value);
}

static int copy_facts(struct rewrite *rw)
{
	const char *key, *value;
	int err = 0;

	for (size_t i = 0; !err && tape_reader_meta_at(rw->r, i, &key, &value); i++)
		err = copy_fact(rw, key, value);
	return err;
}

static int copy_duration(struct rewrite *rw)
{
	uint64_t ns = tape_reader_meta_u64(rw->r, "duration_ns", UINT64_MAX);

	if (ns > rw->opts->to_ns)
		ns = rw->opts->to_ns;
	return ns == UINT64_MAX ? 0 : tape_writer_meta_u64(rw->w, "duration_ns", ns);
}

/* ---- numbers of the dictionaries ---- */

/* In the order of their numbers, each before the first event that may name it. One that is missing keeps its place. */
static int copy_allocators(struct rewrite *rw)
{
	int err = 0;

	for (; rw->nr_allocators < tape_reader_nr_allocators(rw->r) && !err; rw->nr_allocators++) {
		const struct tape_allocator *a = tape_reader_allocator(rw->r, rw->nr_allocators);
		struct tape_allocator copy = a ? *a : (struct tape_allocator){ .name = "unknown" };
		char number[16];
		uint8_t id;

		if (!a || rw->opts->strip) {
			/* Two of a name stay two. */
			snprintf(number, sizeof(number), "%u", rw->nr_allocators);
			copy.path = rw->nr_allocators ? number : "";
			copy.build_id = "";
		}
		err = tape_writer_allocator(rw->w, &copy, &id);
	}
	return err;
}

static int copy_string(struct rewrite *rw, uint64_t old, uint32_t *new_ret)
{
	const char *s = old <= UINT32_MAX ? tape_reader_string(rw->r, (uint32_t)old) : NULL;

	*new_ret = 0;
	return s ? tape_writer_string(rw->w, s, new_ret) : 0;
}

/* Of a frame, where the tape carries them. */
static int copy_names(struct rewrite *rw, const struct tape_frame *frames, uint32_t i, uint32_t module)
{
	uint64_t place = tape_frame_place(frames, i);
	const struct tape_name *names;
	uint32_t nr = tape_reader_names(rw->r, frames[i].module, place, &names);

	return nr ? tape_writer_names(rw->w, module, place, names, nr) : 0;
}

static int copy_stack(struct rewrite *rw, uint32_t old, uint32_t *new_ret)
{
	const struct tape_frame *frames;
	struct tape_frame *copy;
	bool truncated;
	uint32_t nr;
	int err = 0;

	*new_ret = index_map_find(&rw->stacks, old);
	if (*new_ret != INDEX_NONE)
		return 0;
	*new_ret = 0;
	nr = tape_reader_stack(rw->r, old, &frames, &truncated);
	copy = calloc(nr + 1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr && !err; i++) {
		copy[i].offset = frames[i].offset;
		err = copy_string(rw, frames[i].module, &copy[i].module);
		if (!err)
			err = copy_names(rw, frames, i, copy[i].module);
	}
	if (!err && frames)
		err = tape_writer_stack(rw->w, copy, nr, truncated, new_ret);
	free(copy);
	return err ? err : index_map_set(&rw->stacks, old, *new_ret);
}

/* ---- events ---- */

static int copy_name(struct rewrite *rw, struct tape_event *ev)
{
	uint32_t id;
	int err;

	/* Those name what is the allocator's or the runtime's, not the program's. */
	if (rw->opts->strip && ev->kind != TAPE_STEER && ev->kind < TAPE_SPAN) {
		ev->arg = 0;
		return 0;
	}
	err = copy_string(rw, ev->arg, &id);
	ev->arg = id;
	return err;
}

/* Without addresses these say nothing, and with them too much. */
static bool tells_addresses(const struct tape_event *ev)
{
	return (ev->kind >= TAPE_MMAP && ev->kind <= TAPE_MADVISE) || ev->kind == TAPE_FAULT || ev->kind == TAPE_SPAN ||
	       ev->kind == TAPE_SPAN_FREE || ev->flags & TAPE_SUB;
}

/* The event as the new tape has it. 1; 0: it is left out; -errno. */
static int transform(struct rewrite *rw, struct tape_event *ev)
{
	int err = 0;

	if (rw->renumber && tells_addresses(ev))
		return 0;
	if (rw->opts->strip)
		ev->stack = TAPE_NO_STACK;
	else if (ev->stack)
		err = copy_stack(rw, ev->stack, &ev->stack);
	if (!err && tape_kind_has_string(ev->kind))
		err = copy_name(rw, ev);
	if (!err && rw->renumber)
		err = renumber_event(rw->renumber, ev);
	return err ? err : 1;
}

/* Where the new tape begins: with the live set as it is now, unless it begins as the recording did. */
static int begin(struct rewrite *rw)
{
	struct keyframe k = { 0 };
	int err;

	rw->begun = true;
	if (!rw->keyframe)
		return 0;
	err = tape_writer_segment(rw->w, rw->start_ns, NULL);
	if (!err)
		err = keyframe_encode(rw->heap, rw->state, rw->start_ns, tape_writer_time_unit(rw->w), &k);
	if (!err)
		err = tape_writer_use_strings(rw->w, k.strings, k.nr_strings);
	if (!err)
		err = tape_writer_keyframe(rw->w, k.blocks.data, k.blocks.nbytes, k.stacks, k.nr_stacks);
	rw->res->nr_objects = k.nr_objects;
	keyframe_free(&k);
	heap_free(rw->heap);
	state_free(rw->state);
	rw->heap = NULL;
	rw->state = NULL;
	return err;
}

static int rewrite_event(struct rewrite *rw, struct tape_event ev)
{
	bool before = !rw->begun && (ev.flags & TAPE_KEPT || ev.ns < rw->start_ns);
	int err = 0, kept;

	if (!rw->begun && !before)
		err = begin(rw);
	kept = err ? err : transform(rw, &ev);
	if (kept <= 0)
		return kept;
	if (before && state_concerns(&ev))
		err = state_apply(rw->state, &ev);
	if (before)
		return err ? err : heap_apply(rw->heap, &ev, NULL);
	rw->res->nr_events++;
	return tape_writer_add(rw->w, &ev);
}

static int rewrite_events(struct rewrite *rw)
{
	const struct tape_event *evs;
	bool over = false;
	long nr;
	int err = 0;

	while (!err && !over && (nr = tape_reader_next_block(rw->r, &evs)) > 0) {
		err = copy_allocators(rw);
		for (long i = 0; i < nr && !err && !over; i++) {
			over = !(evs[i].flags & TAPE_KEPT && !rw->begun) && evs[i].ns >= rw->opts->to_ns;
			if (!over)
				err = rewrite_event(rw, evs[i]);
		}
		if (rw->opts->progress)
			rw->opts->progress(rw->opts->arg, rw->res->nr_events);
	}
	if (!err && !over && nr < 0) {
		rw->res->reading = true;
		return (int)nr;
	}
	if (!err && !rw->begun)
		err = over || rw->heap ? begin(rw) : 0; /* nothing happened between the times, but there is what lives */
	return err;
}

/* Times finer than microseconds are kept so. */
static int find_unit(struct tape_reader *r, uint64_t *unit_ret)
{
	const struct tape_event *evs;
	long nr = tape_reader_next_block(r, &evs);

	*unit_ret = 1000;
	for (long i = 0; i < nr; i++)
		if (evs[i].ns % 1000)
			*unit_ret = 1;
	return nr < 0 ? (int)nr : tape_reader_rewind(r);
}

static int prepare(struct rewrite *rw, const char *path)
{
	struct tape_writer_opts wo = { .overwrite = rw->opts->overwrite };
	bool keyframe;
	int err = rw->opts->strip ? 0 : tape_reader_load_names(rw->r);

	if (!err)
		err = tape_reader_seek(rw->r, rw->opts->from_ns);
	if (!err)
		err = find_unit(rw->r, &wo.time_unit_ns);
	rw->res->reading = err != 0;
	if (err)
		return err;
	rw->start_ns = tape_reader_start_ns(rw->r, &keyframe);
	rw->keyframe = keyframe || rw->opts->from_ns > rw->start_ns;
	if (rw->opts->from_ns > rw->start_ns)
		rw->start_ns = rw->opts->from_ns / wo.time_unit_ns * wo.time_unit_ns;
	if (rw->opts->to_ns <= rw->start_ns)
		return -ERANGE;
	rw->heap = heap_new();
	rw->state = state_new(tape_reader_meta_u64(rw->r, "machine.page_size", PAGE_NBYTES));
	rw->renumber = rw->opts->no_addresses ? renumber_new() : NULL;
	if (!rw->heap || !rw->state || (rw->opts->no_addresses && !rw->renumber) || index_map_init(&rw->stacks))
		return -ENOMEM;
	err = tape_writer_open(path, &wo, &rw->w);
	return err ? err : copy_facts(rw);
}

int rewrite_tape(struct tape_reader *r, const char *path, const struct rewrite_opts *opts, struct rewrite_result *res)
{
	struct rewrite rw = { .r = r, .opts = opts, .res = res };
	bool opened;
	int err, close_err;

	memset(res, 0, sizeof(*res));
	err = prepare(&rw, path);
	opened = rw.w != NULL;
	if (!err)
		err = rewrite_events(&rw);
	if (!err)
		err = copy_duration(&rw);
	if (!err)
		err = tape_writer_flush(rw.w);
	res->nbytes = rw.w ? tape_writer_bytes(rw.w) : 0;
	close_err = tape_writer_close(rw.w);
	err = err ? err : close_err;
	if (err && opened)
		unlink(path);
	heap_free(rw.heap);
	state_free(rw.state);
	renumber_free(rw.renumber);
	index_map_free(&rw.stacks);
	return err;
}
