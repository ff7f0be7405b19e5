/* SPDX-License-Identifier: BSD-2-Clause */
#include "report/levels_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "message.h"

/* "live_blocks" of "ghc.live_blocks". */
static const char *short_name(const char *figure)
{
	const char *dot = strchr(figure, '.');

	return dot ? dot + 1 : figure;
}

/* Bytes are told as bytes, by the name's end. */
static const char *value_text(const char *name, uint64_t value, char *buf, size_t nbytes)
{
	size_t len = strlen(name);

	if (len > 6 && !strcmp(name + len - 6, "_bytes"))
		return human_nbytes(buf, value);
	snprintf(buf, nbytes, "%" PRIu64, value);
	return buf;
}

#define USES_IN_TABLE 6 /* more are told apart from the figures, those with most free places */

/* The size classes with most free places, at the moment at which there were most. */
static void print_classes(const struct levels *lv, FILE *out)
{
	const struct levels_row *worst = NULL;
	uint64_t most = 0;
	bool shown[LEVELS_USES] = { false };
	char text[3][HUMAN_MAX];

	for (size_t i = 0; i < lv->nr_rows; i++) {
		uint64_t free_nbytes = 0;

		for (unsigned k = 0; k < lv->nr_uses; k++)
			free_nbytes += levels_free_nbytes(&lv->rows[i], k);
		if (!worst || free_nbytes > most) {
			most = free_nbytes;
			worst = &lv->rows[i];
		}
	}
	if (!worst)
		return;
	fprintf(out, "\nSpans when they held most free places, %s at %.2f s:\n", human_nbytes(text[0], most), (double)worst->ns / 1e9);
	fprintf(out, "%16s %10s %10s %8s\n", "size class", "spans", "free", "full");
	for (unsigned n = 0; n < USES_IN_TABLE + 2; n++) {
		unsigned best = LEVELS_USES;

		for (unsigned k = 0; k < lv->nr_uses; k++)
			if (!shown[k] && (best == LEVELS_USES || levels_free_nbytes(worst, k) > levels_free_nbytes(worst, best)))
				best = k;
		if (best == LEVELS_USES || !levels_free_nbytes(worst, best))
			break;
		shown[best] = true;
		fprintf(out, "%16s %10s %10s %6.0f %%\n", lv->uses[best], human_nbytes(text[0], worst->uses[best]),
			human_nbytes(text[1], levels_free_nbytes(worst, best)), 100.0 * (double)worst->taken[best] / (double)worst->uses[best]);
	}
}

static void print_row(const struct levels *lv, const struct levels_row *row, FILE *out)
{
	char text[HUMAN_MAX];

	fprintf(out, "%8.2f s", (double)row->ns / 1e9);
	for (unsigned k = 0; k < lv->nr_figures; k++)
		fprintf(out, " %12s", value_text(lv->figures[k], row->figures[k], text, sizeof(text)));
	for (unsigned k = 0; k < lv->nr_uses && lv->nr_uses <= USES_IN_TABLE; k++)
		fprintf(out, " %10s", human_nbytes(text, row->uses[k]));
	fputc('\n', out);
}

void levels_print(const struct levels *lv, unsigned rows, FILE *out)
{
	uint64_t oldest = levels_oldest(lv);
	size_t nr = 0, at = 0, shown = 0;

	if (!*lv->runtime)
		return;
	for (size_t i = 0; i < lv->nr_rows; i++)
		nr += levels_is_full(lv, &lv->rows[i], oldest);
	fprintf(out, "\nThe runtime of the language (%s, levels %s): its own figures at %zu moments", lv->runtime, lv->levels, lv->nr_rows);
	if (nr < lv->nr_rows)
		fprintf(out, ", of which %zu were full collections", nr);
	fputs(lv->nr_uses && lv->nr_uses <= USES_IN_TABLE ? ", and its spans by their use.\n" : ".\n", out);
	if (!nr)
		return;
	fprintf(out, "%10s", "at");
	for (unsigned k = 0; k < lv->nr_figures; k++)
		fprintf(out, " %12s", short_name(lv->figures[k]));
	for (unsigned k = 0; k < lv->nr_uses && lv->nr_uses <= USES_IN_TABLE; k++)
		fprintf(out, " %10s", lv->uses[k]);
	fputc('\n', out);
	for (size_t i = 0; i < lv->nr_rows; i++) {
		if (!levels_is_full(lv, &lv->rows[i], oldest))
			continue;
		/* Row `at` of nr is the shown-th of `rows` if it is the last of its share. */
		at++;
		if (at * rows / nr > shown || at == nr) {
			shown = at * rows / nr;
			print_row(lv, &lv->rows[i], out);
		}
	}
	if (lv->thinned)
		fprintf(out, "Of %" PRIu64 " moments one is kept here; heaptape dump has all.\n", lv->thinned);
	if (lv->nr_uses > USES_IN_TABLE)
		print_classes(lv, out);
	if (lv->unknown_nbytes)
		fprintf(out, "Spans of %" PRIu64 " bytes ended that the recording had not seen begin.\n", lv->unknown_nbytes);
	if (lv->nr_left_out)
		fprintf(out, "%u events carry names beyond those that are counted, or spans that cannot be: left out.\n", lv->nr_left_out);
}

static int add_number(cJSON *list, uint64_t value)
{
	cJSON *number = cJSON_CreateNumber((double)value);

	if (!number)
		return -ENOMEM;
	cJSON_AddItemToArray(list, number);
	return 0;
}

static int put_row(const struct levels *lv, const struct levels_row *row, cJSON *rows)
{
	cJSON *list = cJSON_CreateArray();
	int err = list ? add_number(list, row->ns) : -ENOMEM;

	if (!list)
		return err;
	cJSON_AddItemToArray(rows, list);
	for (unsigned k = 0; k < lv->nr_figures && !err; k++)
		err = add_number(list, row->figures[k]);
	for (unsigned k = 0; k < lv->nr_uses && !err; k++)
		err = add_number(list, row->uses[k]);
	for (unsigned k = 0; k < lv->nr_uses && !err; k++)
		err = add_number(list, row->taken[k]);
	if (!err)
		err = add_number(list, row->live);
	return err ? err : add_number(list, row->live_nbytes);
}

int levels_put_json(const struct levels *lv, cJSON *root)
{
	cJSON *o, *columns, *rows;
	char name[2 * LEVELS_NAME];
	int err = 0;

	if (!*lv->runtime)
		return 0;
	o = cJSON_AddObjectToObject(root, "runtime");
	cJSON_AddStringToObject(o, "name", lv->runtime);
	cJSON_AddStringToObject(o, "levels", lv->levels);
	cJSON_AddNumberToObject(o, "spans", (double)lv->nr_spans);
	cJSON_AddNumberToObject(o, "span_frees", (double)lv->nr_span_frees);
	cJSON_AddNumberToObject(o, "unknown_span_bytes", (double)lv->unknown_nbytes);
	cJSON_AddNumberToObject(o, "objects", (double)lv->born);
	cJSON_AddNumberToObject(o, "object_bytes", (double)lv->born_nbytes);
	cJSON_AddNumberToObject(o, "collected", (double)lv->collected);
	cJSON_AddNumberToObject(o, "own_span_bytes", (double)lv->held_nbytes);
	cJSON_AddNumberToObject(o, "own_span_object_bytes", (double)lv->asked_nbytes);
	cJSON_AddNumberToObject(o, "rows_of", (double)(lv->thinned ? lv->thinned : 1));
	columns = cJSON_AddArrayToObject(o, "columns");
	cJSON_AddItemToArray(columns, cJSON_CreateString("ns"));
	for (unsigned k = 0; k < lv->nr_figures; k++)
		cJSON_AddItemToArray(columns, cJSON_CreateString(lv->figures[k]));
	for (unsigned k = 0; k < lv->nr_uses; k++) {
		snprintf(name, sizeof(name), "spans.%s", lv->uses[k]);
		cJSON_AddItemToArray(columns, cJSON_CreateString(name));
	}
	for (unsigned k = 0; k < lv->nr_uses; k++) {
		snprintf(name, sizeof(name), "taken.%s", lv->uses[k]);
		cJSON_AddItemToArray(columns, cJSON_CreateString(name));
	}
	cJSON_AddItemToArray(columns, cJSON_CreateString("objects"));
	cJSON_AddItemToArray(columns, cJSON_CreateString("object_bytes"));
	rows = cJSON_AddArrayToObject(o, "rows");
	for (size_t i = 0; i < lv->nr_rows && !err; i++)
		err = rows ? put_row(lv, &lv->rows[i], rows) : -ENOMEM;
	return err;
}
