/* SPDX-License-Identifier: BSD-2-Clause */
/* info_folder.c - see info_folder.h. */
#include "info_folder.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/summary.h"
#include "command.h"
#include "json_number.h"
#include "message.h"
#include "tape_open.h"

#define INDENT 2

struct entry {
	const struct process_tape *tape;
	struct tape_reader *reader;
	struct summary sum;
};

static int read_one(const char *path, const struct process_tape *t, bool salvage, struct entry *e)
{
	char *file;
	int err;

	*e = (struct entry){ .tape = t };
	if (asprintf(&file, "%s/%s", path, t->file) < 0)
		return -1;
	e->reader = tape_open(file, salvage);
	err = e->reader ? summary_read(e->reader, &e->sum, NULL, NULL) : -1;
	if (err && e->reader)
		tape_print_error(file, e->reader, e->sum.nr_events);
	else if (e->reader)
		tape_warn_incomplete(file, e->reader);
	free(file);
	return err;
}

/* The last, if it has replaced itself. */
static const char *program_of(const struct entry *e)
{
	const char *later = tape_reader_meta(e->reader, "process.exe"), *exe = later ? later : tape_reader_meta(e->reader, "target.exe");
	const char *base = exe ? strrchr(exe, '/') : NULL;

	return base ? base + 1 : exe ? exe : "unknown";
}

static uint64_t number(const struct entry *e, const char *key)
{
	return tape_reader_meta_u64(e->reader, key, 0);
}

/* ---- JSON ---- */

static void add_live(cJSON *to, const char *key, uint64_t objects, uint64_t nbytes)
{
	cJSON *live = cJSON_AddObjectToObject(to, key);

	add_u64(live, "objects", objects);
	add_u64(live, "bytes", nbytes);
}

static void add_entry(cJSON *list, const struct entry *e)
{
	const struct process_tape *t = e->tape;
	cJSON *o = cJSON_CreateObject();

	cJSON_AddItemToArray(list, o);
	cJSON_AddStringToObject(o, "file", t->file);
	add_u64(o, "pid", t->pid);
	add_u64(o, "parent", t->parent);
	cJSON_AddStringToObject(o, "parent_file", t->parent_file);
	cJSON_AddStringToObject(o, "start", t->start);
	add_u64(o, "start_ns", t->start_ns);
	add_u64(o, "end_ns", tape_reader_meta_u64(e->reader, "duration_ns", e->sum.last_ns));
	add_u64(o, "held_ns", number(e, "process.held_ns"));
	cJSON_AddStringToObject(o, "program", program_of(e));
	add_u64(o, "events", e->sum.total);
	add_u64(o, "lost", e->sum.lost_total);
	add_u64(o, "unknown_frees", e->sum.unknown_frees);
	add_u64(o, "execs", e->sum.kinds[TAPE_EXEC]);
	add_u64(o, "children_recorded", number(e, "children.recorded"));
	add_u64(o, "children_left_out", number(e, "children.left_out"));
	add_live(o, "live_at_start", e->sum.kept_objects, e->sum.kept_nbytes);
	add_live(o, "live_at_end", e->sum.live_objects, e->sum.live_nbytes);
	cJSON_AddBoolToObject(o, "complete", tape_reader_complete(e->reader));
}

static int print_json(cJSON *root)
{
	char *text = cJSON_PrintUnformatted(root);
	int failed = !text || puts(text) < 0;

	cJSON_free(text);
	return failed;
}

/* ---- for a person ---- */

static void print_entry(const struct entry *e)
{
	const struct process_tape *t = e->tape;
	char at[HUMAN_MAX], calls[HUMAN_MAX], live[HUMAN_MAX], before[HUMAN_MAX];
	int width = 24 - INDENT * (int)t->depth;

	printf("%*s%-*s %-16s %10s  %9s calls  %10s live", INDENT * (int)t->depth, "", width > 0 ? width : 0, t->file, program_of(e),
	       human_ns(at, t->start_ns), human_count(calls, e->sum.total), human_nbytes(live, e->sum.live_nbytes));
	if (e->sum.kept_objects)
		printf(", %s at its start", human_nbytes(before, e->sum.kept_nbytes));
	if (e->sum.lost_total)
		printf(", %" PRIu64 " LOST", e->sum.lost_total);
	if (number(e, "children.left_out"))
		printf(", %" PRIu64 " children left out", number(e, "children.left_out"));
	printf("\n");
}

int info_folder_print(const char *path, const struct process_folder *folder, bool json, bool salvage)
{
	cJSON *root = json ? cJSON_CreateObject() : NULL, *list = json ? cJSON_AddArrayToObject(root, "processes") : NULL;
	int failed = 0, left_out = 0;

	if (!json)
		printf("%zu process%s; file, program, when it began, calls, what lives at its end:\n", folder->nr, folder->nr == 1 ? "" : "es");
	for (size_t i = 0; i < folder->nr; i++) {
		struct entry e;
		int err = read_one(path, &folder->tapes[i], salvage, &e);

		failed |= err != 0;
		if (!err && json)
			add_entry(list, &e);
		else if (!err)
			print_entry(&e);
		if (!err && number(&e, "children.left_out") && !left_out++ && !json)
			printf("  (left out: %s)\n", tape_reader_meta(e.reader, "children.left_out.why"));
		tape_reader_close(e.reader);
	}
	if (json)
		failed |= print_json(root);
	else
		printf("\nnext: heaptape info %s/%s\n", path, folder->tapes[folder->nr - 1].file);
	cJSON_Delete(root);
	if (fflush(stdout) || ferror(stdout)) {
		message_error("%s: cannot write the result to standard output", path);
		failed = 1;
	}
	return failed ? EXIT_FAILED : EXIT_DONE;
}
