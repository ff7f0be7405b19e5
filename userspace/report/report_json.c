/* SPDX-License-Identifier: BSD-2-Clause */
/* The whole analysis as JSON: what the HTML report is made of, and what programs read. Bytes and ns are whole numbers. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/index_map.h"
#include "report/report.h"
#include "json_number.h"
#include "report/choose_stacks.h"
#include "report/levels_report.h"
#include "report/moments_json.h"
#include "report/stack_text.h"

struct json {
	const struct report *r;
	struct index_map frame_of; /* name's address -> index in the list of frames */
	cJSON *frames;
	uint32_t nr_frames;
};

static void add_known(cJSON *to, const char *key, uint64_t value)
{
	if (value == UINT64_MAX)
		cJSON_AddNullToObject(to, key);
	else
		add_u64(to, key, value);
}

static cJSON *add_row(cJSON *list)
{
	cJSON *o = cJSON_CreateObject();

	cJSON_AddItemToArray(list, o);
	return o;
}

static void put_split(cJSON *o, const struct pages_split *s)
{
	add_u64(o, "resident", s->resident);
	add_u64(o, "requested", s->requested);
	add_u64(o, "holes", s->holes);
	add_u64(o, "retained", s->retained);
	add_u64(o, "metadata", s->metadata);
	add_u64(o, "unresident", s->unresident);
	add_u64(o, "around", s->around);
}

/* Where and when it was recorded, as far as the tape says. */
static void put_machine(cJSON *o, const struct report *r)
{
	static const char *const keys[] = { "machine.kernel", "machine.arch", "machine.cpus", "machine.cpus_allowed", "machine.thp",
					    "machine.cgroup_limit", "target.pid", "target.exe", "start_unix_ns" };
	const struct tape_allocator *alloc =
		r->analysis->allocator == TAPE_NO_ALLOC ? NULL : tape_reader_allocator(r->tape, r->analysis->allocator);

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		const char *value = tape_reader_meta(r->tape, keys[i]);

		if (value)
			cJSON_AddStringToObject(o, keys[i], naming_text(r->naming, value));
	}
	if (alloc)
		cJSON_AddStringToObject(o, "allocator", naming_text(r->naming, alloc->name));
}

/* Births inside of objects of other allocators, which no sum holds unless they were asked for. */
static void put_subs(cJSON *root, const struct report *r)
{
	cJSON *list = cJSON_AddObjectToObject(root, "sub_allocations");

	for (uint32_t i = 0; i < tape_reader_nr_allocators(r->tape); i++)
		if (r->analysis->subs[i])
			add_u64(list, naming_text(r->naming, tape_reader_allocator(r->tape, i)->name), r->analysis->subs[i]);
	cJSON_AddBoolToObject(root, "one_allocator", r->analysis->one_alloc);
}

static void put_summary(cJSON *root, const struct report *r)
{
	const struct analysis *a = r->analysis;
	const char *cmdline = tape_reader_meta(r->tape, "target.cmdline"), *exe = tape_reader_meta(r->tape, "target.exe");
	cJSON *o = cJSON_AddObjectToObject(root, "summary");

	cJSON_AddStringToObject(root, "heaptape", HEAPTAPE_VERSION);
	cJSON_AddStringToObject(root, "tape", naming_text(r->naming, r->path));
	cJSON_AddStringToObject(o, "program", naming_text(r->naming, cmdline && *cmdline ? cmdline : exe ? exe : ""));
	add_u64(o, "first_ns", a->first_ns);
	add_u64(o, "last_ns", a->last_ns);
	add_u64(o, "from_ns", a->from_ns);
	add_u64(o, "to_ns", a->to_ns);
	add_u64(o, "at_ns", a->at_ns);
	add_u64(o, "peak_ns", a->peak_ns);
	add_u64(o, "events", a->nr_events);
	add_u64(o, "allocations", a->births);
	add_u64(o, "allocated_bytes", a->born_nbytes);
	add_u64(o, "frees", a->deaths);
	add_u64(o, "unknown_frees", a->unknown_frees);
	add_u64(o, "lost", a->lost);
	add_u64(o, "live", a->live);
	add_u64(o, "live_bytes", a->live_nbytes);
	add_u64(o, "peak_live_bytes", a->peak_live_nbytes);
	add_known(o, "rss_anon", a->rss_anon);
	add_u64(o, "shared_pages_bytes", a->shared_nbytes);
	cJSON_AddBoolToObject(o, "from_exec", a->from_exec);
	cJSON_AddBoolToObject(o, "has_pages", a->has_pages);
	if (tape_reader_meta(r->tape, "runtime.unseen"))
		cJSON_AddStringToObject(o, "unseen_runtime", naming_text(r->naming, tape_reader_meta(r->tape, "runtime.unseen")));
	put_split(cJSON_AddObjectToObject(root, "split"), &a->split);
	put_machine(cJSON_AddObjectToObject(root, "machine"), r);
}

static void put_timeline(cJSON *root, const struct analysis *a)
{
	cJSON *list = cJSON_AddArrayToObject(root, "timeline");

	for (size_t i = 0; i < a->nr_points; i++) {
		const struct analysis_point *p = &a->points[i];
		cJSON *o = add_row(list);

		add_u64(o, "ns", p->ns);
		add_u64(o, "live_bytes", p->live_nbytes);
		add_u64(o, "live", p->live_nr);
		add_u64(o, "allocations", p->births);
		add_u64(o, "frees", p->deaths);
		add_u64(o, "allocated_bytes", p->born_nbytes);
		add_known(o, "rss_anon", p->rss_anon);
		add_u64(o, "threads", p->threads);
		put_split(o, &p->split);
	}
}

/* ---- stacks ---- */

/* Names can be of any length. Cut between characters, not inside one. */
static void put_name(const struct json *j, cJSON *o, const char *key, const char *text)
{
	size_t nbytes, max = j->r->name_max;
	char *cut;

	text = naming_text(j->r->naming, text);
	nbytes = strlen(text);
	if (!max || nbytes <= max) {
		cJSON_AddStringToObject(o, key, text);
		return;
	}
	while (max && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	if (asprintf(&cut, "%.*s... (%zu bytes)", (int)max, text, nbytes) < 0)
		return;
	cJSON_AddStringToObject(o, key, cut);
	free(cut);
}

static int put_frame(struct json *j, cJSON *to, const struct tape_name *name, const char *module)
{
	uint64_t key = (uint64_t)(uintptr_t)name;
	uint32_t at = index_map_find(&j->frame_of, key);

	if (at == INDEX_NONE) {
		cJSON *o = add_row(j->frames);

		at = j->nr_frames++;
		if (index_map_set(&j->frame_of, key, at))
			return -ENOMEM;
		put_name(j, o, "function", name->function);
		if (*name->file)
			put_name(j, o, "file", name->file);
		if (name->line)
			add_u64(o, "line", name->line);
		put_name(j, o, "module", module);
	}
	cJSON_AddItemToArray(to, cJSON_CreateNumber(at));
	return 0;
}

/* `frames` of a stack, innermost first; the first `allocator_frames` of them are the allocator's own. */
static int put_frames(struct json *j, cJSON *o, uint32_t stack)
{
	cJSON *to = cJSON_AddArrayToObject(o, "frames");
	const struct tape_frame *frames;
	bool truncated;
	uint32_t nr = tape_reader_stack(j->r->tape, stack, &frames, &truncated);
	uint32_t first = nr ? stack_text_first(j->r->tape, frames, nr) : 0, nr_skipped = 0;
	int err = 0;

	for (uint32_t i = 0; i < nr && !err; i++) {
		const char *module = tape_reader_string(j->r->tape, frames[i].module), *space = module ? strchr(module, ' ') : NULL;
		uint32_t nr_names;
		const struct tape_name *names = naming_frame(j->r->naming, frames, i, &nr_names);

		if (!names)
			return -ENOMEM;
		for (uint32_t k = 0; k < nr_names && !err; k++)
			err = put_frame(j, to, &names[k], space ? space + 1 : "");
		nr_skipped += i < first ? nr_names : 0;
	}
	add_u64(o, "allocator_frames", nr_skipped);
	return err;
}

/* at: what it was at the moments, which is freed; NULL: no memory. */
static int put_stack(struct json *j, cJSON *list, const struct analysis_stack *s, struct moment_stack *at)
{
	size_t nr_moments = j->r->analysis->nr_moments;
	int err;

	cJSON *o = add_row(list), *lives;

	add_u64(o, "stack", s->stack);
	add_u64(o, "allocations", s->births);
	add_u64(o, "allocated_bytes", s->born_nbytes);
	add_u64(o, "frees", s->deaths);
	add_u64(o, "temporary", s->soon);
	add_u64(o, "temporary_bytes", s->soon_nbytes);
	add_u64(o, "resizes", s->resizes);
	add_u64(o, "live", s->live);
	add_u64(o, "live_bytes", s->live_nbytes);
	add_u64(o, "old_bytes", s->old_nbytes);
	add_u64(o, "live_bytes_at_start", s->start_live_nbytes);
	add_u64(o, "live_bytes_half_way", s->half_live_nbytes);
	add_u64(o, "pinned_bytes", s->pinned_nbytes);
	add_u64(o, "pinning_bytes", s->pinned_live_nbytes);
	add_u64(o, "freed_by_others_bytes", s->cross_nbytes);
	add_u64(o, "groups", s->groups);
	add_u64(o, "died_in_groups", s->grouped);
	add_u64(o, "died_in_groups_bytes", s->grouped_nbytes);
	add_u64(o, "died_in_groups_overhead_bytes", s->grouped_added_nbytes);
	lives = cJSON_AddArrayToObject(o, "lifetimes");
	for (unsigned i = 0; i < ANALYSIS_LIFE_BUCKETS; i++)
		cJSON_AddItemToArray(lives, cJSON_CreateNumber(s->lives[i]));
	err = !at ? -ENOMEM : nr_moments ? moments_put_stack(o, at, nr_moments) : 0;
	free(at);
	return err ? err : put_frames(j, o, s->stack);
}

static void add_to_rest(struct analysis_stack *rest, const struct analysis_stack *s)
{
	rest->births += s->births;
	rest->born_nbytes += s->born_nbytes;
	rest->deaths += s->deaths;
	rest->soon += s->soon;
	rest->soon_nbytes += s->soon_nbytes;
	rest->resizes += s->resizes;
	rest->live += s->live;
	rest->live_nbytes += s->live_nbytes;
	rest->old_nbytes += s->old_nbytes;
	rest->start_live_nbytes += s->start_live_nbytes;
	rest->half_live_nbytes += s->half_live_nbytes;
	rest->pinned_nbytes += s->pinned_nbytes;
	rest->pinned_live_nbytes += s->pinned_live_nbytes;
	rest->cross_nbytes += s->cross_nbytes;
	rest->groups += s->groups;
	rest->grouped += s->grouped;
	rest->grouped_nbytes += s->grouped_nbytes;
	rest->grouped_added_nbytes += s->grouped_added_nbytes;
	for (unsigned i = 0; i < ANALYSIS_LIFE_BUCKETS; i++)
		rest->lives[i] += s->lives[i];
}

static int add_moments_to_rest(struct moment_stack *rest, const struct analysis *a, uint32_t stack)
{
	struct moment_stack *rows = a->nr_moments ? moments_of_stack(a, stack) : NULL;

	if (rows)
		moments_add(rest, rows, a->nr_moments);
	free(rows);
	return rows || !a->nr_moments ? 0 : -ENOMEM;
}

/* All others together are one row, so that sums stay what they are. */
static int put_stacks(struct json *j, cJSON *root)
{
	const struct analysis *a = j->r->analysis;
	cJSON *list = cJSON_AddArrayToObject(root, "stacks");
	struct analysis_stack rest = { .stack = TAPE_NO_STACK };
	struct moment_stack *rest_moments = calloc(a->nr_moments + 1, sizeof(*rest_moments));
	bool *chosen = calloc(a->nr_stacks + 1, sizeof(*chosen));
	size_t nr_rest = 0;
	int err = chosen && rest_moments ? choose_stacks(j->r, chosen) : -ENOMEM;

	for (size_t i = 0; i < a->nr_stacks && !err; i++) {
		if (chosen[i]) {
			err = put_stack(j, list, &a->stacks[i], moments_of_stack(a, a->stacks[i].stack));
			continue;
		}
		add_to_rest(&rest, &a->stacks[i]);
		err = add_moments_to_rest(rest_moments, a, a->stacks[i].stack);
		nr_rest++;
	}
	free(chosen);
	add_u64(root, "stacks_left_out", nr_rest);
	if (!err && nr_rest)
		return put_stack(j, list, &rest, rest_moments);
	free(rest_moments);
	return err;
}

/* ---- the rest ---- */

static void put_threads(cJSON *root, const struct report *r)
{
	const struct analysis *a = r->analysis;
	cJSON *list = cJSON_AddArrayToObject(root, "threads"), *pairs = cJSON_AddArrayToObject(root, "freed_by_others");

	for (size_t i = 0; i < a->nr_threads; i++) {
		const struct analysis_thread *t = &a->threads[i];
		const char *name = t->name ? tape_reader_string(r->tape, t->name) : NULL;
		cJSON *o = add_row(list);

		add_u64(o, "tid", t->tid);
		cJSON_AddStringToObject(o, "name", naming_text(r->naming, name ? name : ""));
		add_u64(o, "allocations", t->births);
		add_u64(o, "allocated_bytes", t->born_nbytes);
		add_u64(o, "frees", t->deaths);
		add_u64(o, "live_bytes", t->live_nbytes);
		add_u64(o, "last_call_ns", t->last_call_ns);
		add_known(o, "started_ns", t->started_ns);
		add_known(o, "ended_ns", t->ended_ns);
	}
	for (size_t i = 0; i < a->nr_pairs; i++) {
		const struct analysis_pair *p = &a->pairs[i];
		cJSON *o = add_row(pairs);

		add_u64(o, "owner", a->threads[p->owner].tid);
		add_u64(o, "freer", a->threads[p->freer].tid);
		add_u64(o, "objects", p->nr);
		add_u64(o, "bytes", p->nbytes);
		add_u64(o, "owner_silent", p->silent);
		add_u64(o, "owner_silent_bytes", p->silent_nbytes);
		add_u64(o, "longest_silence_ns", p->idle_max_ns);
	}
}

static void put_sizes(cJSON *root, const struct analysis *a)
{
	cJSON *list = cJSON_AddArrayToObject(root, "sizes"), *ends = cJSON_AddArrayToObject(root, "lifetime_ends_ns");

	for (size_t i = 0; i < a->nr_sizes; i++) {
		const struct analysis_size *s = &a->sizes[i];
		cJSON *o = add_row(list);

		add_u64(o, "from", s->from);
		add_u64(o, "to", s->to);
		add_u64(o, "allocations", s->births);
		add_u64(o, "allocated_bytes", s->born_nbytes);
		add_u64(o, "live", s->live);
		add_u64(o, "live_bytes", s->live_nbytes);
		add_u64(o, "peak_live_bytes", s->peak_live_nbytes);
		add_u64(o, "peak_ns", s->peak_ns);
	}
	for (unsigned i = 0; i + 1 < ANALYSIS_LIFE_BUCKETS; i++)
		cJSON_AddItemToArray(ends, cJSON_CreateNumber((double)analysis_life_end_ns(i)));
}

static void put_findings(cJSON *root, const struct report *r)
{
	cJSON *list = cJSON_AddArrayToObject(root, "findings");

	for (size_t i = 0; i < r->nr_findings; i++) {
		const struct finding *f = &r->findings[i];
		cJSON *o = add_row(list), *stacks;

		cJSON_AddStringToObject(o, "rule", f->rule);
		cJSON_AddStringToObject(o, "title", naming_text(r->naming, f->title));
		cJSON_AddStringToObject(o, "evidence", naming_text(r->naming, f->evidence));
		cJSON_AddStringToObject(o, "advice", f->advice);
		add_known(o, "bytes", f->nbytes);
		stacks = cJSON_AddArrayToObject(o, "stacks");
		for (unsigned k = 0; k < f->nr_stacks; k++)
			cJSON_AddItemToArray(stacks, cJSON_CreateNumber(f->stacks[k]));
	}
}

char *report_json(const struct report *r)
{
	cJSON *root = cJSON_CreateObject();
	struct json j = { .r = r };
	char *text = NULL;
	int err = root ? index_map_init(&j.frame_of) : -ENOMEM;

	if (!err) {
		put_summary(root, r);
		put_subs(root, r);
		put_findings(root, r);
		put_timeline(root, r->analysis);
		j.frames = cJSON_AddArrayToObject(root, "frames");
		err = put_stacks(&j, root);
	}
	if (!err) {
		put_threads(root, r);
		put_sizes(root, r->analysis);
		err = r->analysis->nr_moments ? moments_put(root, r->analysis) : 0;
	}
	if (!err)
		err = levels_put_json(&r->analysis->levels, root);
	if (!err && r->replay_json)
		cJSON_AddRawToObject(root, "replay", r->replay_json);
	if (!err)
		text = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	index_map_free(&j.frame_of);
	return text;
}

int report_print_json(const struct report *r, FILE *out)
{
	char *text = report_json(r);

	if (!text)
		return -ENOMEM;
	fprintf(out, "%s\n", text);
	free(text);
	return 0;
}
