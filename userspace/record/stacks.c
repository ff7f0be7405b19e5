/* SPDX-License-Identifier: BSD-2-Clause */
/* Stacks on their way from the kernel to the tape. */
#include "stacks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/index_map.h"
#include "message.h"
#include "unwind/tables.h"

#define NUMBERS (2u * HT_STACK_WINDOW) /* a memo's number is younger than the window; records are on their way as long again */
#define LOOK_PERIOD_MIN_NS 20000000ull
#define LOOK_PERIOD_MAX_NS 1000000000ull

struct stacks {
	const struct kernel *kernel;
	struct tables *tables;
	struct tape_writer *writer;
	uint32_t *numbers; /* of the tape, by the kernel's number modulo NUMBERS */
	uint32_t newest;   /* the highest of the kernel's numbers so far */
	uint32_t *modules; /* string numbers of the tape by object, 0: not written yet */
	size_t modules_room;
	struct index_map site_of; /* module and offset -> index of entries */
	uint64_t *entries;        /* where the site's function begins */
	uint32_t nr_entries, entries_room;
	struct ht_stack_counters before; /* as of the start mark */
	uint64_t next_look_ns, look_period_ns;
};

struct stacks *stacks_new(const struct kernel *k, enum ht_stacks_mode mode, struct tape_writer *writer)
{
	struct stacks *st = calloc(1, sizeof(*st));
	struct unwind_kernel uk;

	if (!st)
		return NULL;
	kernel_unwind(k, &uk);
	st->kernel = k;
	st->writer = writer;
	st->look_period_ns = LOOK_PERIOD_MIN_NS;
	st->tables = tables_new(&uk, mode);
	st->numbers = calloc(NUMBERS, sizeof(*st->numbers));
	if (st->tables && st->numbers && !index_map_init(&st->site_of))
		return st;
	stacks_free(st);
	return NULL;
}

void stacks_free(struct stacks *st)
{
	if (!st)
		return;
	tables_free(st->tables);
	free(st->numbers);
	free(st->modules);
	free(st->entries);
	index_map_free(&st->site_of);
	free(st);
}

int stacks_branch(struct stacks *st, const struct kernel *k)
{
	struct unwind_kernel uk;

	kernel_unwind(k, &uk);
	st->kernel = k;
	st->newest = 0;
	st->look_period_ns = LOOK_PERIOD_MIN_NS;
	free(st->numbers); /* 32 MiB of which few are touched: new ones are cheaper than zeroes */
	st->numbers = calloc(NUMBERS, sizeof(*st->numbers));
	return st->numbers ? tables_branch(st->tables, &uk) : -ENOMEM;
}

void stacks_each_fd(const struct stacks *st, void (*fn)(void *arg, int fd), void *arg)
{
	tables_each_fd(st->tables, fn, arg);
}

int stacks_follow(struct stacks *st, const struct process *p, uint64_t now_ns)
{
	bool stale = tables_are_stale(st->tables), changed;
	struct tables_totals totals;
	int err;

	if (!stale && !(tables_lack_code(st->tables) && now_ns >= st->next_look_ns))
		return 0;
	err = tables_update(st->tables, p, &changed);
	if (err)
		return process_is_alive(p) ? err : 0;
	/* Code that stays unknown is not asked for ever faster. */
	st->look_period_ns = changed ? LOOK_PERIOD_MIN_NS : 2 * st->look_period_ns;
	if (st->look_period_ns > LOOK_PERIOD_MAX_NS)
		st->look_period_ns = LOOK_PERIOD_MAX_NS;
	st->next_look_ns = now_ns + st->look_period_ns;
	tables_totals(st->tables, &totals);
	if (changed)
		message_verbose("unwind tables: %llu objects, %llu rows in %llu KiB", (unsigned long long)totals.objects,
				(unsigned long long)totals.rows, (unsigned long long)totals.nbytes >> 10);
	return 0;
}

/* The string number of an object's name. */
static int module_number(struct stacks *st, unsigned object, uint32_t *nr_ret)
{
	const char *name;
	int err;

	if (object >= st->modules_room) {
		size_t room = st->modules_room ? 2 * st->modules_room : 64;
		uint32_t *modules;

		while (room <= object)
			room *= 2;
		modules = realloc(st->modules, room * sizeof(*modules));
		if (!modules)
			return -ENOMEM;
		memset(modules + st->modules_room, 0, (room - st->modules_room) * sizeof(*modules));
		st->modules = modules;
		st->modules_room = room;
	}
	if (!st->modules[object]) {
		name = tables_module(st->tables, object);
		err = tape_writer_string(st->writer, name ? name : "- ?", &st->modules[object]);
		if (err)
			return err;
	}
	*nr_ret = st->modules[object];
	return 0;
}

static uint64_t site_key(uint32_t module, uint64_t offset)
{
	return (uint64_t)module << 40 | (offset & ((1ull << 40) - 1));
}

int stacks_site(struct stacks *st, const char *build_id, const char *path, uint64_t site_offset, uint64_t entry_offset)
{
	uint32_t module, at;
	uint64_t key;
	char *name;
	int err;

	if (asprintf(&name, "%s %s", *build_id ? build_id : "-", path) < 0)
		return -ENOMEM;
	err = tape_writer_string(st->writer, name, &module);
	free(name);
	if (err)
		return err;
	key = site_key(module, site_offset);
	at = index_map_find(&st->site_of, key);
	/* Code that functions share is told as it is. */
	if (at != INDEX_NONE) {
		if (st->entries[at] != entry_offset)
			st->entries[at] = site_offset;
		return 0;
	}
	if (st->nr_entries == st->entries_room) {
		uint32_t room = st->entries_room ? 2 * st->entries_room : 64;
		uint64_t *entries = reallocarray(st->entries, room, sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		st->entries = entries;
		st->entries_room = room;
	}
	st->entries[st->nr_entries] = entry_offset;
	return index_map_set(&st->site_of, key, st->nr_entries++);
}

int stacks_take(struct stacks *st, const struct ht_ev_stack *e)
{
	const __u64 *words = (const __u64 *)(const void *)(e + 1);
	struct tape_frame frames[HT_FRAMES_MAX];
	unsigned nr = e->nr < HT_FRAMES_MAX ? e->nr : HT_FRAMES_MAX;
	uint32_t number, site;
	int err;

	for (unsigned i = 0; i < nr; i++) {
		err = module_number(st, (unsigned)(words[i] >> HT_FRAME_SHIFT), &frames[i].module);
		if (err)
			return err;
		frames[i].offset = words[i] & ((1ull << HT_FRAME_SHIFT) - 1);
	}
	site = nr ? index_map_find(&st->site_of, site_key(frames[0].module, frames[0].offset)) : INDEX_NONE;
	if (site != INDEX_NONE)
		frames[0].offset = st->entries[site];
	if ((int32_t)(e->id - st->newest) > 0)
		st->newest = e->id;
	number = TAPE_NO_STACK;
	err = nr ? tape_writer_stack(st->writer, frames, nr, e->cut != HT_CUT_NONE, &number) : 0;
	st->numbers[e->id % NUMBERS] = number;
	return err;
}

uint32_t stacks_number(const struct stacks *st, uint32_t id)
{
	if (!id || (int32_t)(id - st->newest) > 0)
		return TAPE_NO_STACK;
	return st->numbers[id % NUMBERS];
}

void stacks_start(struct stacks *st)
{
	kernel_stack_counters(st->kernel, &st->before);
}

static int write_count(const struct stacks *st, const char *name, uint64_t now, uint64_t before)
{
	char key[64];

	snprintf(key, sizeof(key), "stacks.%s", name);
	return tape_writer_meta_u64(st->writer, key, now - before);
}

int stacks_write_totals(const struct stacks *st)
{
	static const char *const cuts[HT_CUT_NR] = {
		[HT_CUT_MAX_FRAMES] = "cut.max_frames", [HT_CUT_STALE] = "cut.stale",	    [HT_CUT_NO_CODE] = "cut.no_code",
		[HT_CUT_NO_ROW] = "cut.no_row",		[HT_CUT_RULE] = "cut.rule",	    [HT_CUT_UNREADABLE] = "cut.unreadable",
		[HT_CUT_FP] = "cut.fp",			[HT_CUT_BUSY] = "cut.busy",
	};
	const struct ht_stack_counters *b = &st->before;
	struct tables_totals totals;
	struct ht_stack_counters now;
	int err;

	kernel_stack_counters(st->kernel, &now);
	tables_totals(st->tables, &totals);
	err = write_count(st, "hits", now.hits, b->hits);
	if (!err)
		err = write_count(st, "misses", now.misses, b->misses);
	if (!err)
		err = write_count(st, "evictions", now.evictions, b->evictions);
	if (!err)
		err = write_count(st, "not_kept", now.not_kept, b->not_kept);
	if (!err)
		err = write_count(st, "lost", now.lost, b->lost);
	if (!err)
		err = write_count(st, "walked_frames", now.frames, b->frames);
	for (int c = 0; c < HT_CUT_NR && !err; c++)
		if (cuts[c])
			err = write_count(st, cuts[c], now.cut[c], b->cut[c]);
	if (!err)
		err = write_count(st, "objects", totals.objects, 0);
	if (!err)
		err = write_count(st, "rows", totals.rows, 0);
	return err ? err : write_count(st, "rows_bytes", totals.nbytes, 0);
}
