/* SPDX-License-Identifier: BSD-2-Clause */
/* The moments of an analysis as columns of numbers: short, and good to deflate. */
#include "report/moments_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_number.h"

/* "[1,2,3]" of nr numbers. 0 or -ENOMEM. */
static int put_numbers(cJSON *to, const char *key, size_t nr, uint64_t (*number)(const void *arg, size_t i), const void *arg)
{
	char *text = NULL;
	size_t nbytes;
	FILE *f = open_memstream(&text, &nbytes);
	cJSON *raw;

	if (!f)
		return -ENOMEM;
	fputc('[', f);
	for (size_t i = 0; i < nr; i++)
		fprintf(f, "%s%" PRIu64, i ? "," : "", number(arg, i));
	fputc(']', f);
	if (fclose(f)) {
		free(text);
		return -ENOMEM;
	}
	raw = cJSON_CreateRaw(text);
	free(text);
	if (!raw)
		return -ENOMEM;
	if (key)
		cJSON_AddItemToObject(to, key, raw);
	else
		cJSON_AddItemToArray(to, raw);
	return 0;
}

/* ---- one column of a list of structs ---- */

struct column {
	const char *key;
	size_t offset;
};

struct column_of {
	const void *rows;
	size_t row_nbytes, offset;
};

static uint64_t column_number(const void *arg, size_t i)
{
	const struct column_of *c = arg;

	return *(const uint64_t *)((const char *)c->rows + i * c->row_nbytes + c->offset);
}

static bool is_zero(const struct column_of *c, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (column_number(c, i))
			return false;
	return true;
}

/* Columns that are zero throughout are left out. */
static int put_columns(cJSON *to, const struct column *columns, size_t nr_columns, const void *rows, size_t nr, size_t row_nbytes)
{
	int err = 0;

	for (size_t k = 0; k < nr_columns && !err; k++) {
		struct column_of c = { rows, row_nbytes, columns[k].offset };

		if (!is_zero(&c, nr))
			err = put_numbers(to, columns[k].key, nr, column_number, &c);
	}
	return err;
}

#define NR(list) (sizeof(list) / sizeof(*(list)))

/* ---- stacks ---- */

struct moment_stack *moments_of_stack(const struct analysis *a, uint32_t stack)
{
	struct moment_stack *rows = calloc(a->nr_moments + 1, sizeof(*rows));

	for (size_t i = 0; rows && i < a->nr_moments; i++) {
		const struct analysis_moment *m = &a->moments[i];
		size_t lo = 0, hi = m->nr_stacks;

		while (lo < hi) {
			size_t mid = (lo + hi) / 2;

			if (m->stacks[mid].stack < stack)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo < m->nr_stacks && m->stacks[lo].stack == stack)
			rows[i] = m->stacks[lo];
	}
	return rows;
}

void moments_add(struct moment_stack *to, const struct moment_stack *rows, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		to[i].live += rows[i].live;
		to[i].live_nbytes += rows[i].live_nbytes;
		to[i].pinned_nbytes += rows[i].pinned_nbytes;
		to[i].births += rows[i].births;
		to[i].born_nbytes += rows[i].born_nbytes;
		to[i].soon += rows[i].soon;
		to[i].soon_nbytes += rows[i].soon_nbytes;
	}
}

int moments_put_stack(cJSON *to, const struct moment_stack *rows, size_t nr)
{
	static const struct column columns[] = {
		{ "live", offsetof(struct moment_stack, live) },
		{ "live_bytes", offsetof(struct moment_stack, live_nbytes) },
		{ "pinned_bytes", offsetof(struct moment_stack, pinned_nbytes) },
		{ "allocations", offsetof(struct moment_stack, births) },
		{ "allocated_bytes", offsetof(struct moment_stack, born_nbytes) },
		{ "temporary", offsetof(struct moment_stack, soon) },
		{ "temporary_bytes", offsetof(struct moment_stack, soon_nbytes) },
	};

	return put_columns(cJSON_AddObjectToObject(to, "moments"), columns, NR(columns), rows, nr, sizeof(*rows));
}

/* ---- threads, sizes ---- */

struct over_time {
	const struct analysis *a;
	size_t which;
	bool bytes;
};

static uint64_t thread_number(const void *arg, size_t i)
{
	const struct over_time *o = arg;
	const struct analysis_moment *m = &o->a->moments[i];

	return o->which < m->nr_threads ? m->threads[o->which] : 0;
}

static uint64_t size_number(const void *arg, size_t i)
{
	const struct over_time *o = arg;
	const struct analysis_moment *m = &o->a->moments[i];
	uint64_t from = o->a->sizes[o->which].from;

	for (size_t k = 0; k < m->nr_sizes; k++)
		if (m->sizes[k].from == from)
			return o->bytes ? m->sizes[k].live_nbytes : m->sizes[k].live;
	return 0;
}

static int put_threads_and_sizes(cJSON *to, const struct analysis *a)
{
	cJSON *threads = cJSON_AddArrayToObject(to, "threads_live_bytes"), *sizes = cJSON_AddArrayToObject(to, "sizes_live"),
	      *nbytes = cJSON_AddArrayToObject(to, "sizes_live_bytes");
	int err = 0;

	for (size_t i = 0; i < a->nr_threads && !err; i++)
		err = put_numbers(threads, NULL, a->nr_moments, thread_number, &(struct over_time){ .a = a, .which = i });
	for (size_t i = 0; i < a->nr_sizes && !err; i++) {
		err = put_numbers(sizes, NULL, a->nr_moments, size_number, &(struct over_time){ .a = a, .which = i });
		if (!err)
			err = put_numbers(nbytes, NULL, a->nr_moments, size_number, &(struct over_time){ a, i, true });
	}
	return err;
}

/* ---- the map ---- */

/* In thousandths of the recording: short numbers for what is only ever looked at. */
static uint64_t permille(const struct analysis *a, uint64_t ns)
{
	uint64_t span = a->last_ns - a->first_ns;

	return ns <= a->first_ns || ns == UINT64_MAX || !span ? 0 : (uint64_t)((unsigned __int128)(ns - a->first_ns) * 1000 / span);
}

static int put_cells(cJSON *list, const struct analysis *a, const struct analysis_moment *m)
{
	static const struct column columns[] = {
		{ "start", offsetof(struct moment_cell, start) },
		{ "resident", offsetof(struct moment_cell, resident) },
		{ "live_bytes", offsetof(struct moment_cell, live_nbytes) },
		{ "live", offsetof(struct moment_cell, live) },
		{ "oldest", offsetof(struct moment_cell, oldest_ns) },
		{ "youngest", offsetof(struct moment_cell, youngest_ns) },
	};
	struct moment_cell *cells = calloc(m->nr_cells + 1, sizeof(*cells));
	uint64_t (*stacks)[2 * MOMENT_CELL_STACKS] = calloc(m->nr_cells + 1, sizeof(*stacks));
	cJSON *o = cJSON_CreateObject();
	int err = cells && stacks ? 0 : -ENOMEM;

	cJSON_AddItemToArray(list, o);
	for (size_t i = 0; i < m->nr_cells && !err; i++) {
		cells[i] = m->cells[i];
		cells[i].start = (m->cells[i].start - (i ? m->cells[i - 1].start : 0)) / m->cell_nbytes;
		cells[i].resident /= PAGES_NBYTES;
		cells[i].oldest_ns = permille(a, m->cells[i].oldest_ns);
		cells[i].youngest_ns = permille(a, m->cells[i].youngest_ns);
		for (unsigned k = 0; k < MOMENT_CELL_STACKS; k++) {
			stacks[i][2 * k] = m->cells[i].stacks[k].stack;
			stacks[i][2 * k + 1] = m->cells[i].stacks[k].nbytes;
		}
	}
	if (!err) {
		add_u64(o, "cell_bytes", m->cell_nbytes);
		add_u64(o, "cells", m->nr_cells);
		err = put_columns(o, columns, NR(columns), cells, m->nr_cells, sizeof(*cells));
	}
	for (unsigned k = 0; k < MOMENT_CELL_STACKS && !err; k++) {
		char names[2][16];
		struct column both[2] = { { names[0], 2 * k * sizeof(uint64_t) }, { names[1], (2 * k + 1) * sizeof(uint64_t) } };

		snprintf(names[0], sizeof(names[0]), "stack%u", k);
		snprintf(names[1], sizeof(names[1]), "stack%u_bytes", k);
		err = put_columns(o, both, 2, stacks, m->nr_cells, sizeof(*stacks));
	}
	free(cells);
	free(stacks);
	return err;
}

int moments_put(cJSON *root, const struct analysis *a)
{
	static const struct column columns[] = {
		{ "ns", offsetof(struct analysis_moment, ns) },
		{ "live", offsetof(struct analysis_moment, live) },
		{ "live_bytes", offsetof(struct analysis_moment, live_nbytes) },
		{ "rss_anon", offsetof(struct analysis_moment, rss_anon) }, /* 2^64-1: not known */
		{ "shared_pages_bytes", offsetof(struct analysis_moment, shared_nbytes) },
		{ "resident", offsetof(struct analysis_moment, split.resident) },
		{ "requested", offsetof(struct analysis_moment, split.requested) },
		{ "holes", offsetof(struct analysis_moment, split.holes) },
		{ "retained", offsetof(struct analysis_moment, split.retained) },
		{ "metadata", offsetof(struct analysis_moment, split.metadata) },
		{ "unresident", offsetof(struct analysis_moment, split.unresident) },
		{ "around", offsetof(struct analysis_moment, split.around) },
	};
	cJSON *o = cJSON_AddObjectToObject(root, "moments"), *map = cJSON_AddArrayToObject(root, "map");
	int err = put_columns(o, columns, NR(columns), a->moments, a->nr_moments, sizeof(*a->moments));

	if (!err)
		err = put_threads_and_sizes(o, a);
	for (size_t i = 0; i < a->nr_moments && !err; i++)
		err = put_cells(map, a, &a->moments[i]);
	return err;
}
