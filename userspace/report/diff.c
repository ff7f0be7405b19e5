/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/diff.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "formats/index_map.h"
#include "json_number.h"
#include "message.h"
#include "report/stack_text.h"

#define FRAMES_SHOWN 4
#define LINE_MAX_NBYTES 512

/* Of the functions' names, all of them, the allocator's own left out. */
static int key_of(const struct report *r, uint32_t stack, XXH3_state_t *state, uint64_t *key_ret)
{
	const struct tape_frame *frames;
	bool truncated;
	uint32_t nr = tape_reader_stack(r->tape, stack, &frames, &truncated);

	XXH3_64bits_reset(state);
	for (uint32_t i = nr ? stack_text_first(r->tape, frames, nr) : 0; i < nr; i++) {
		uint32_t nr_names;
		const struct tape_name *names = naming_frame(r->naming, frames, i, &nr_names);

		if (!names)
			return -ENOMEM;
		for (uint32_t k = 0; k < nr_names; k++)
			XXH3_64bits_update(state, names[k].function, strlen(names[k].function) + 1);
	}
	*key_ret = XXH3_64bits_digest(state);
	return 0;
}

static int add_side(struct diff *d, int side, struct index_map *index, XXH3_state_t *state)
{
	const struct analysis *a = d->reports[side]->analysis;
	int err = 0;

	for (size_t i = 0; i < a->nr_stacks && !err; i++) {
		const struct analysis_stack *s = &a->stacks[i];
		struct diff_row *row;
		uint64_t key = 0;
		uint32_t at;

		err = key_of(d->reports[side], s->stack, state, &key);
		at = index_map_find(index, key);
		if (!err && at == INDEX_NONE) {
			at = (uint32_t)d->nr_rows++;
			d->rows[at] = (struct diff_row){ .key = key };
			err = index_map_set(index, key, at);
		}
		if (err)
			break;
		row = &d->rows[at];
		row->stack[side] = s->stack;
		row->sides[side].live_nbytes += s->live_nbytes;
		row->sides[side].live += s->live;
		row->sides[side].born_nbytes += s->born_nbytes;
		row->sides[side].births += s->births;
		row->sides[side].pinned_nbytes += s->pinned_nbytes;
	}
	return err;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static int by_distance(const void *a, const void *b)
{
	const struct diff_row *x = a, *y = b;
	uint64_t u = distance(x->sides[0].live_nbytes, x->sides[1].live_nbytes), v = distance(y->sides[0].live_nbytes, y->sides[1].live_nbytes);

	if (u == v) {
		u = distance(x->sides[0].born_nbytes, x->sides[1].born_nbytes);
		v = distance(y->sides[0].born_nbytes, y->sides[1].born_nbytes);
	}
	return u != v ? (u < v ? 1 : -1) : (x->key > y->key) - (x->key < y->key);
}

int diff_make(struct diff *d, const struct report *before, const struct report *after)
{
	XXH3_state_t *state = XXH3_createState();
	struct index_map index = { 0 };
	int err = state ? index_map_init(&index) : -ENOMEM;

	*d = (struct diff){ .reports = { before, after } };
	d->rows = calloc(before->analysis->nr_stacks + after->analysis->nr_stacks + 1, sizeof(*d->rows));
	if (!d->rows)
		err = -ENOMEM;
	for (int side = 0; side < 2 && !err; side++)
		err = add_side(d, side, &index, state);
	if (!err && d->nr_rows)
		qsort(d->rows, d->nr_rows, sizeof(*d->rows), by_distance);
	index_map_free(&index);
	XXH3_freeState(state);
	return err;
}

void diff_free(struct diff *d)
{
	free(d->rows);
	*d = (struct diff){ 0 };
}

/* ---- text ---- */

static const char *signed_nbytes(char *buf, uint64_t from, uint64_t to)
{
	buf[0] = to < from ? '-' : '+';
	human_nbytes(buf + 1, distance(from, to));
	return buf;
}

static void print_figure(FILE *out, const char *name, uint64_t from, uint64_t to)
{
	char a[HUMAN_MAX], b[HUMAN_MAX], d[HUMAN_MAX + 1];

	fprintf(out, "  %-18s %10s %10s %11s", name, human_nbytes(a, from), human_nbytes(b, to), signed_nbytes(d, from, to));
	if (from)
		fprintf(out, "  %+.1f %%", 100.0 * ((double)to - (double)from) / (double)from);
	fputc('\n', out);
}

static void print_sums(const struct diff *d, FILE *out)
{
	const struct analysis *a = d->reports[0]->analysis, *b = d->reports[1]->analysis;

	fprintf(out, "  %-18s %10s %10s %11s\n", "", "before", "after", "difference");
	print_figure(out, "live", a->live_nbytes, b->live_nbytes);
	print_figure(out, "live at most", a->peak_live_nbytes, b->peak_live_nbytes);
	print_figure(out, "allocated in all", a->born_nbytes, b->born_nbytes);
	if (a->rss_anon != UINT64_MAX && b->rss_anon != UINT64_MAX)
		print_figure(out, "anonymous memory", a->rss_anon, b->rss_anon);
	if (!a->has_pages || !b->has_pages)
		return;
	print_figure(out, "the heap's", a->split.resident, b->split.resident);
	print_figure(out, "  requested", a->split.requested, b->split.requested);
	print_figure(out, "  holes", a->split.holes, b->split.holes);
	print_figure(out, "  retained", a->split.retained, b->split.retained);
	print_figure(out, "  metadata", a->split.metadata, b->split.metadata);
}

static const char *row_text(const struct diff *d, const struct diff_row *row, char *buf, size_t nbytes)
{
	int side = row->stack[1] != TAPE_NO_STACK ? 1 : 0;

	return stack_text(d->reports[side]->tape, d->reports[side]->naming, row->stack[side], FRAMES_SHOWN, buf, nbytes);
}

void diff_print(const struct diff *d, FILE *out)
{
	char a[HUMAN_MAX], b[HUMAN_MAX], live[HUMAN_MAX + 1], born[HUMAN_MAX + 1], text[LINE_MAX_NBYTES];

	fprintf(out, "before: %s\nafter:  %s\n\n", d->reports[0]->path, d->reports[1]->path);
	print_sums(d, out);
	fprintf(out, "\n%10s %10s %11s %12s  %s\n", "live", "live after", "difference", "allocated", "by (innermost first)");
	for (size_t i = 0; i < d->nr_rows && i < d->reports[1]->top; i++) {
		const struct diff_row *row = &d->rows[i];

		if (!distance(row->sides[0].live_nbytes, row->sides[1].live_nbytes) && !distance(row->sides[0].born_nbytes, row->sides[1].born_nbytes))
			break;
		fprintf(out, "%10s %10s %11s %12s  %s\n", human_nbytes(a, row->sides[0].live_nbytes), human_nbytes(b, row->sides[1].live_nbytes),
			signed_nbytes(live, row->sides[0].live_nbytes, row->sides[1].live_nbytes),
			signed_nbytes(born, row->sides[0].born_nbytes, row->sides[1].born_nbytes), row_text(d, row, text, sizeof(text)));
	}
	if (d->nr_rows > d->reports[1]->top)
		fprintf(out, "%zu stacks in all; --top shows more.\n", d->nr_rows);
}

/* ---- JSON ---- */

static void put_sums(cJSON *to, const char *key, const struct report *r)
{
	const struct analysis *a = r->analysis;
	cJSON *o = cJSON_AddObjectToObject(to, key);

	cJSON_AddStringToObject(o, "tape", naming_text(r->naming, r->path));
	add_u64(o, "live_bytes", a->live_nbytes);
	add_u64(o, "peak_live_bytes", a->peak_live_nbytes);
	add_u64(o, "allocated_bytes", a->born_nbytes);
	add_u64(o, "resident", a->split.resident);
	add_u64(o, "requested", a->split.requested);
	add_u64(o, "holes", a->split.holes);
	add_u64(o, "retained", a->split.retained);
	add_u64(o, "metadata", a->split.metadata);
}

static void put_side(cJSON *to, const char *key, const struct diff_side *s)
{
	cJSON *o = cJSON_AddObjectToObject(to, key);

	add_u64(o, "live", s->live);
	add_u64(o, "live_bytes", s->live_nbytes);
	add_u64(o, "allocations", s->births);
	add_u64(o, "allocated_bytes", s->born_nbytes);
	add_u64(o, "pinned_bytes", s->pinned_nbytes);
}

int diff_print_json(const struct diff *d, FILE *out)
{
	cJSON *root = cJSON_CreateObject(), *list;
	char text[LINE_MAX_NBYTES], *printed;

	put_sums(root, "before", d->reports[0]);
	put_sums(root, "after", d->reports[1]);
	list = cJSON_AddArrayToObject(root, "stacks");
	for (size_t i = 0; i < d->nr_rows && i < d->reports[1]->top; i++) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddItemToArray(list, o);
		cJSON_AddStringToObject(o, "stack", row_text(d, &d->rows[i], text, sizeof(text)));
		put_side(o, "before", &d->rows[i].sides[0]);
		put_side(o, "after", &d->rows[i].sides[1]);
	}
	printed = cJSON_PrintUnformatted(root);
	cJSON_Delete(root);
	if (!printed)
		return -ENOMEM;
	fprintf(out, "%s\n", printed);
	cJSON_free(printed);
	return 0;
}
