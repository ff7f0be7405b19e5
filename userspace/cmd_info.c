/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_info.c - `heaptape info`: what is on a tape, for a person or as JSON. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/summary.h"
#include "command.h"
#include "info_folder.h"
#include "json_number.h"
#include "message.h"
#include "tape_open.h"

#define CUT_PREFIX "stacks.cut." /* meta keys of stacks cut short, by cause */

struct info {
	const char *path;
	struct tape_reader *tape;
	struct summary sum;
	uint64_t duration_ns;
	bool json, salvage;
};

/* ---- JSON ---- */

/* A fact as text, or null. `meta` is the key on the tape. */
static void add_fact(cJSON *to, const char *key, const struct tape_reader *r, const char *meta)
{
	const char *value = tape_reader_meta(r, meta);

	if (value)
		cJSON_AddStringToObject(to, key, value);
	else
		cJSON_AddNullToObject(to, key);
}

static void add_number(cJSON *to, const char *key, const struct tape_reader *r, const char *meta)
{
	uint64_t value = tape_reader_meta_u64(r, meta, UINT64_MAX);

	if (value != UINT64_MAX)
		add_u64(to, key, value);
	else
		add_fact(to, key, r, meta);
}

static void add_target(cJSON *root, const struct tape_reader *r)
{
	cJSON *target = cJSON_AddObjectToObject(root, "target"), *env;
	const char *key, *value;

	add_number(target, "pid", r, "target.pid");
	add_fact(target, "exe", r, "target.exe");
	add_fact(target, "cmdline", r, "target.cmdline");
	env = cJSON_AddObjectToObject(target, "env");
	for (size_t i = 0; tape_reader_meta_at(r, i, &key, &value); i++)
		if (strncmp(key, "target.env.", 11) == 0)
			cJSON_AddStringToObject(env, key + 11, value);
}

static void add_machine(cJSON *root, const struct tape_reader *r)
{
	cJSON *machine = cJSON_AddObjectToObject(root, "machine");

	add_fact(machine, "kernel", r, "machine.kernel");
	add_fact(machine, "arch", r, "machine.arch");
	add_number(machine, "cpus", r, "machine.cpus");
	add_fact(machine, "cpus_allowed", r, "machine.cpus_allowed");
	add_number(machine, "numa_nodes", r, "machine.numa_nodes");
	add_number(machine, "page_size", r, "machine.page_size");
	add_fact(machine, "thp", r, "machine.thp");
	add_fact(machine, "overcommit", r, "machine.overcommit");
	add_fact(machine, "cgroup_limit", r, "machine.cgroup_limit");
}

static void add_record(cJSON *root, const struct tape_reader *r)
{
	cJSON *record = cJSON_AddObjectToObject(root, "record");

	add_fact(record, "version", r, "record.version");
	add_fact(record, "backend", r, "record.backend");
	add_fact(record, "stacks", r, "record.stacks");
	add_number(record, "trap_ns", r, "record.trap_ns");
	add_number(record, "traps", r, "record.traps");
	add_fact(record, "end", r, "record.end");
	add_fact(record, "max_cost", r, "record.max_cost");
	add_fact(record, "copy_cause", r, "copy.cause");
}

/* Of an allocator: by which "way" the recorder reached its file, by what it was "found" if not by names; NULL: not said. */
static const char *fact_of(const struct info *info, uint32_t i, const char *fact)
{
	char key[32];

	snprintf(key, sizeof(key), "allocator.%u.%s", i, fact);
	return tape_reader_meta(info->tape, key);
}

static void add_runtime(cJSON *root, const struct tape_reader *tape)
{
	static const char *const keys[][2] = { { "runtime", "name" }, { "runtime.version", "version" }, { "runtime.levels", "levels" },
					       { "runtime.before", "before" }, { "runtime.unseen", "unseen" } };
	cJSON *o = NULL;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = tape_reader_meta(tape, keys[i][0]);

		if (value && !o)
			o = cJSON_AddObjectToObject(root, "runtime");
		if (value)
			cJSON_AddStringToObject(o, keys[i][1], value);
	}
}

static void add_allocators(cJSON *root, const struct info *info)
{
	cJSON *list = cJSON_AddArrayToObject(root, "allocators");

	for (uint32_t i = 0; i < tape_reader_nr_allocators(info->tape); i++) {
		const struct tape_allocator *a = tape_reader_allocator(info->tape, i);
		cJSON *item = cJSON_CreateObject();

		cJSON_AddItemToArray(list, item);
		if (!a)
			continue; /* salvage: its dictionary block is gone, the numbers of the others stay */
		cJSON_AddStringToObject(item, "name", a->name);
		cJSON_AddStringToObject(item, "path", a->path);
		cJSON_AddStringToObject(item, "build_id", a->build_id);
		if (fact_of(info, i, "way"))
			cJSON_AddStringToObject(item, "way", fact_of(info, i, "way"));
		if (fact_of(info, i, "found"))
			cJSON_AddStringToObject(item, "found", fact_of(info, i, "found"));
		add_u64(item, "events", info->sum.per_alloc[i]);
	}
}

static void add_events(cJSON *root, const struct summary *s)
{
	cJSON *events = cJSON_AddObjectToObject(root, "events"), *other;

	for (unsigned i = 0; i < FAMILY_NR; i++)
		add_u64(events, summary_family_name(i), s->families[i]);
	add_u64(events, "total", s->total);
	add_u64(root, "failed", s->failed);
	add_u64(root, "nested", s->nested);
	other = cJSON_AddObjectToObject(root, "other");
	for (unsigned kind = 1; kind < 256; kind++)
		if (!tape_kind_is_call(kind) && tape_kind_name(kind))
			add_u64(other, tape_kind_name(kind), s->kinds[kind]);
}

static void add_lost(cJSON *root, const struct summary *s)
{
	cJSON *lost = cJSON_AddObjectToObject(root, "lost"), *causes;

	add_u64(lost, "total", s->lost_total);
	causes = cJSON_AddObjectToObject(lost, "causes");
	for (unsigned i = 0; i < TAPE_LOSS_NR; i++)
		add_u64(causes, tape_loss_name(i), s->lost[i]);
	if (s->lost_other)
		add_u64(causes, "other", s->lost_other);
}

/* How the stacks were had, if the recorder lived to tell. */
static void add_walks(cJSON *stacks, const struct tape_reader *r)
{
	static const char *const counts[] = { "hits",		"misses", "evictions", "not_kept", "lost",
					      "walked_frames", "objects", "rows",      "rows_bytes" };
	cJSON *cut = cJSON_AddObjectToObject(stacks, "cut");
	const char *key, *value;
	char name[64];

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		snprintf(name, sizeof(name), "stacks.%s", counts[i]);
		add_number(stacks, counts[i], r, name);
	}
	for (size_t i = 0; tape_reader_meta_at(r, i, &key, &value); i++)
		if (!strncmp(key, CUT_PREFIX, strlen(CUT_PREFIX)))
			add_number(cut, key + strlen(CUT_PREFIX), r, key);
}

static void add_stacks(cJSON *root, const struct summary *s, const struct tape_reader *r)
{
	cJSON *stacks = cJSON_AddObjectToObject(root, "stacks");

	add_u64(stacks, "unique", s->stacks);
	add_u64(stacks, "events_with", s->events_with_stack);
	add_u64(stacks, "truncated", s->stacks_truncated);
	add_walks(stacks, r);
}

static void add_file(cJSON *root, const struct info *info)
{
	cJSON *file = cJSON_AddObjectToObject(root, "file");
	uint64_t nbytes = tape_reader_file_bytes(info->tape);

	add_u64(file, "bytes", nbytes);
	if (info->sum.total)
		cJSON_AddNumberToObject(file, "bytes_per_event", (double)nbytes / (double)info->sum.total);
	else
		cJSON_AddNullToObject(file, "bytes_per_event");
	add_u64(file, "blocks", tape_reader_nr_blocks(info->tape));
	add_u64(file, "segments", info->sum.segments);
	add_u64(file, "keyframes", info->sum.keyframes);
	add_u64(file, "bad_blocks", tape_reader_nr_bad_blocks(info->tape));
	cJSON_AddBoolToObject(root, "complete", tape_reader_complete(info->tape));
}

static void add_baseline(cJSON *root, const struct tape_reader *r)
{
	static const char *const numbers[] = { "objects", "bytes", "walk_ns", "pause_ns" };
	const char *how = tape_reader_meta(r, "baseline"), *why = tape_reader_meta(r, "baseline.why");
	cJSON *o;

	if (!how)
		return;
	o = cJSON_AddObjectToObject(root, "baseline");
	cJSON_AddStringToObject(o, "how", how);
	cJSON_AddStringToObject(o, "why", why ? why : "");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		char key[32];

		snprintf(key, sizeof(key), "baseline.%s", numbers[i]);
		add_u64(o, numbers[i], tape_reader_meta_u64(r, key, 0));
	}
}

/* Where the recorder gave something up; null: it did not. */
static void add_mark(cJSON *root, const char *key, const struct info *info, enum tape_mark mark)
{
	if (info->sum.marks[mark])
		add_u64(root, key, info->sum.mark_ns[mark]);
	else
		cJSON_AddNullToObject(root, key);
}

static int print_json(const struct info *info)
{
	cJSON *root = cJSON_CreateObject(), *live, *start;
	char *text;
	int failed;

	add_u64(root, "version", TAPE_VERSION);
	add_target(root, info->tape);
	add_machine(root, info->tape);
	add_record(root, info->tape);
	add_allocators(root, info);
	add_runtime(root, info->tape);
	add_number(root, "start_unix_ns", info->tape, "start_unix_ns");
	add_u64(root, "duration_ns", info->duration_ns);
	add_u64(root, "start_ns", info->sum.start_ns);
	start = cJSON_AddObjectToObject(root, "live_at_start");
	add_u64(start, "objects", info->sum.kept_objects);
	add_u64(start, "bytes", info->sum.kept_nbytes);
	add_number(root, "ring_bytes", info->tape, "ring.nbytes");
	add_u64(root, "suspended_ns", info->sum.suspended_ns);
	add_mark(root, "no_free_stacks_from_ns", info, TAPE_MARK_NO_FREE_STACKS);
	add_mark(root, "thinned_from_ns", info, TAPE_MARK_THINNED);
	add_baseline(root, info->tape);
	add_u64(root, "threads", info->sum.threads);
	add_events(root, &info->sum);
	add_lost(root, &info->sum);
	add_u64(root, "unknown_frees", info->sum.unknown_frees);
	add_u64(root, "implied_frees", info->sum.implied_frees);
	add_stacks(root, &info->sum, info->tape);
	live = cJSON_AddObjectToObject(root, "live_at_end");
	add_u64(live, "objects", info->sum.live_objects);
	add_u64(live, "bytes", info->sum.live_nbytes);
	add_u64(root, "live_peak_bytes", info->sum.peak_nbytes);
	add_u64(root, "requested_bytes", info->sum.requested_nbytes);
	add_file(root, info);
	text = cJSON_PrintUnformatted(root);
	failed = !text || puts(text) < 0;
	cJSON_free(text);
	cJSON_Delete(root);
	return failed;
}

/* ---- for a person ---- */

static const char *fact(const struct info *info, const char *key)
{
	const char *value = tape_reader_meta(info->tape, key);

	return value && *value ? value : "unknown";
}

/* A language's runtime, recorded or not. */
static void print_runtime(const struct tape_reader *tape)
{
	const char *name = tape_reader_meta(tape, "runtime"), *version = tape_reader_meta(tape, "runtime.version");
	const char *before = tape_reader_meta(tape, "runtime.before"), *unseen = tape_reader_meta(tape, "runtime.unseen");
	const char *levels = tape_reader_meta(tape, "runtime.levels");

	if (name)
		printf("runtime     %s%s%s, levels %s%s%s\n", name, version ? " " : "", version ? version : "", levels ? levels : "?",
		       before ? "; " : "", before ? before : "");
	if (unseen)
		printf("runtime     %s: its objects are not seen\n", unseen);
}

static void print_target(const struct info *info)
{
	const char *cmdline = tape_reader_meta(info->tape, "target.cmdline");
	char line[200];

	printf("target      pid %s, %s\n", fact(info, "target.pid"), fact(info, "target.exe"));
	if (cmdline && *cmdline) {
		snprintf(line, sizeof(line), "%s", cmdline);
		printf("command     %s%s\n", line, strlen(cmdline) >= sizeof(line) ? " ..." : "");
	}
	for (uint32_t i = 0; i < tape_reader_nr_allocators(info->tape); i++) {
		const struct tape_allocator *a = tape_reader_allocator(info->tape, i);
		const char *way = fact_of(info, i, "way"), *found = fact_of(info, i, "found");

		if (a)
			printf("allocator   %s, %s%s%.12s%s%s%s%s\n", a->name, a->path, *a->build_id ? ", build " : "", a->build_id,
			       way ? ", by " : "", way ? way : "", found ? ", without names, by the code of " : "", found ? found : "");
	}
	print_runtime(info->tape);
	printf("machine     Linux %s, %s CPUs, %s NUMA node(s), pages of %s bytes, THP %s\n",
	       fact(info, "machine.kernel"), fact(info, "machine.cpus"), fact(info, "machine.numa_nodes"),
	       fact(info, "machine.page_size"), fact(info, "machine.thp"));
}

/* What ended the recording, or had this copy made of it: the reason why the tape is there. */
static void print_cause(const struct info *info)
{
	static const struct {
		const char *cause, *ended, *copied;
	} causes[] = {
		{ "oom", "the target was killed for lack of memory", NULL },
		{ "exit", "the target ended", NULL },
		{ "signal", "the recorder was told to", "at SIGUSR1" },
		{ "rss", NULL, "when the resident set reached --trigger-rss" },
		{ "duration", "the time asked for was over", NULL },
		{ "cost", "recording took more than --max-cost allowed", NULL },
	};
	const char *end = tape_reader_meta(info->tape, "record.end"), *copy = tape_reader_meta(info->tape, "copy.cause");

	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (end && causes[i].ended && !strcmp(end, causes[i].cause))
			printf("ends        %s\n", causes[i].ended);
		else if (!end && copy && causes[i].copied && !strcmp(copy, causes[i].cause))
			printf("copied      %s, while recording went on\n", causes[i].copied);
	}
}

static void print_families(const struct summary *s)
{
	bool first = true;

	printf("            ");
	for (unsigned i = 0; i < FAMILY_NR; i++) {
		char count[HUMAN_MAX];

		if (!s->families[i])
			continue;
		printf("%s%s %s", first ? "" : ", ", summary_family_name(i), human_count(count, s->families[i]));
		first = false;
	}
	printf("%s\n", first ? "none" : "");
}

static void print_others(const struct summary *s)
{
	const char *sep = "others      ";

	for (unsigned kind = 1; kind < 256; kind++) {
		char count[HUMAN_MAX];

		if (tape_kind_is_call(kind) || !tape_kind_name(kind) || !s->kinds[kind] || kind >= TAPE_LOST)
			continue;
		printf("%s%s %s", sep, tape_kind_name(kind), human_count(count, s->kinds[kind]));
		sep = ", ";
	}
	if (*sep == ',')
		printf("\n");
}

/* Loss is told first and last, or as "nothing": never left to be noticed. */
static void print_truth(const struct info *info)
{
	const struct summary *s = &info->sum;
	const char *sep = " (";

	if (!s->lost_total) {
		printf("lost        nothing\n");
	} else {
		printf("lost        %" PRIu64 " calls, %.2g %%", s->lost_total,
		       100.0 * (double)s->lost_total / (double)(s->lost_total + s->total));
		for (unsigned i = 0; i < TAPE_LOSS_NR; i++) {
			if (!s->lost[i])
				continue;
			printf("%s%s %" PRIu64, sep, tape_loss_name(i), s->lost[i]);
			sep = ", ";
		}
		printf("%s\n", *sep == ',' ? ")" : "");
	}
	printf("            %" PRIu64 " frees of blocks born before the recording, %" PRIu64 " implied frees, %" PRIu64
	       " failed calls, %" PRIu64 " nested\n",
	       s->unknown_frees, s->implied_frees, s->failed, s->nested);
}

static uint64_t walk_count(const struct tape_reader *r, const char *name)
{
	char key[64];

	snprintf(key, sizeof(key), "stacks.%s", name);
	return tape_reader_meta_u64(r, key, 0);
}

static void print_walks(const struct tape_reader *r)
{
	uint64_t hits = walk_count(r, "hits"), misses = walk_count(r, "misses"), lost = walk_count(r, "lost");
	const char *key, *value, *between = "            cut short ";
	char a[HUMAN_MAX], b[HUMAN_MAX];

	if (!(hits + misses))
		return;
	printf("            %.1f %% by memo, %s walked; %s memos gave way", 100.0 * (double)hits / (double)(hits + misses),
	       human_count(a, misses), human_count(b, walk_count(r, "evictions")));
	if (lost)
		printf(", %s lost with a full ring", human_count(a, lost));
	printf("\n");
	for (size_t i = 0; tape_reader_meta_at(r, i, &key, &value); i++) {
		if (strncmp(key, CUT_PREFIX, strlen(CUT_PREFIX)) != 0 || !strcmp(value, "0"))
			continue;
		printf("%s%s %s", between, key + strlen(CUT_PREFIX), value);
		between = ", ";
	}
	if (*between == ',')
		printf("\n");
}

static void print_sizes(const struct info *info)
{
	const struct summary *s = &info->sum;
	uint64_t file_nbytes = tape_reader_file_bytes(info->tape);
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX];

	printf("live        %s in %s objects at the end, %s at most\n", human_nbytes(a, s->live_nbytes),
	       human_count(b, s->live_objects), human_nbytes(c, s->peak_nbytes));
	printf("stacks      %" PRIu32 " different, on %s events, %" PRIu32 " truncated\n", s->stacks,
	       human_count(a, s->events_with_stack), s->stacks_truncated);
	print_walks(info->tape);
	printf("file        %s in %" PRIu64 " blocks", human_nbytes(a, file_nbytes), tape_reader_nr_blocks(info->tape));
	if (s->total)
		printf(", %.2f bytes a call", (double)file_nbytes / (double)s->total);
	if (s->segments)
		printf(", %" PRIu64 " segments, %" PRIu64 " keyframes", s->segments, s->keyframes);
	printf("%s\n", tape_reader_complete(info->tape) ? "" : ", without its end");
}

/* A tape that was cut, or a ring's: what lived where it starts. */
static void print_start(const struct summary *s)
{
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX];

	if (s->start_ns)
		printf("starts      %s into the recording, with a keyframe: %s in %s objects\n", human_ns(a, s->start_ns),
		       human_nbytes(b, s->kept_nbytes), human_count(c, s->kept_objects));
}

/* A process that had lived before it was recorded. */
static void print_baseline(const struct info *info)
{
	const char *how = tape_reader_meta(info->tape, "baseline"), *why = tape_reader_meta(info->tape, "baseline.why");
	uint64_t walk_ns = tape_reader_meta_u64(info->tape, "baseline.walk_ns", 0);
	uint64_t pause_ns = tape_reader_meta_u64(info->tape, "baseline.pause_ns", 0);
	uint64_t nbytes = tape_reader_meta_u64(info->tape, "baseline.bytes", 0);
	char a[HUMAN_MAX], b[HUMAN_MAX], c[HUMAN_MAX];

	if (!how)
		return;
	if (!strcmp(how, "unknown") || !strcmp(how, "none")) {
		printf("baseline    what lived before is not known%s%s; %s were resident\n", why ? ": " : "", why ? why : "",
		       human_nbytes(a, tape_reader_meta_u64(info->tape, "start.rss_anon", 0)));
		return;
	}
	printf("baseline    %s in %s blocks lived before, %.1f %% of the most that ever did; read in %s",
	       human_nbytes(a, nbytes), human_count(b, tape_reader_meta_u64(info->tape, "baseline.objects", 0)),
	       info->sum.peak_nbytes ? 100.0 * (double)nbytes / (double)info->sum.peak_nbytes : 0.0, human_ns(c, walk_ns));
	if (pause_ns)
		printf(", for %s of which the target stood", human_ns(a, pause_ns));
	printf("\n");
	if (why)
		printf("            not in it: %s\n", why);
}

/* What the recorder gave up when it cost too much. */
static void print_marks(const struct info *info)
{
	static const char *const texts[TAPE_MARK_NR] = { [TAPE_MARK_NO_FREE_STACKS] = "frees carry no call stack",
							 [TAPE_MARK_THINNED] = "at the busiest sites one call in 16 carries a call stack" };
	char time[HUMAN_MAX];

	for (unsigned i = 0; i < TAPE_MARK_NR; i++)
		if (texts[i] && info->sum.marks[i])
			printf("from %-6s %s: recording cost more than --max-cost\n", human_ns(time, info->sum.mark_ns[i]), texts[i]);
}

static int print_text(const struct info *info)
{
	char a[HUMAN_MAX], b[HUMAN_MAX];

	print_target(info);
	printf("time        %s, %" PRIu64 " thread%s\n", human_ns(a, info->duration_ns), info->sum.threads,
	       info->sum.threads == 1 ? "" : "s");
	if (info->sum.suspended_ns)
		printf("suspended   %" PRIu64 " time%s, %s in all, which the times on the tape leave out\n", info->sum.kinds[TAPE_SUSPEND],
		       info->sum.kinds[TAPE_SUSPEND] == 1 ? "" : "s", human_ns(a, info->sum.suspended_ns));
	print_marks(info);
	print_cause(info);
	printf("calls       %s, asking for %s in all\n", human_count(a, info->sum.total),
	       human_nbytes(b, info->sum.requested_nbytes));
	print_families(&info->sum);
	print_start(&info->sum);
	print_baseline(info);
	print_others(&info->sum);
	print_truth(info);
	print_sizes(info);
	printf("\nnext: heaptape replay %s --alloc glibc --alloc jemalloc\n", info->path);
	return 0;
}

/* ---- the verb ---- */

static void show_progress(void *arg, uint64_t nr_events)
{
	const struct info *info = arg;

	message_progress_events(info->path, "reading", nr_events, tape_reader_events_told(info->tape));
}

static int run_info(struct info *info)
{
	int err, failed;

	info->tape = tape_open(info->path, info->salvage);
	if (!info->tape)
		return EXIT_FAILED;
	err = summary_read(info->tape, &info->sum, show_progress, info);
	message_progress(NULL);
	if (err) {
		tape_print_error(info->path, info->tape, info->sum.nr_events);
		return EXIT_FAILED;
	}
	info->duration_ns = tape_reader_meta_u64(info->tape, "duration_ns", info->sum.last_ns);
	info->duration_ns -= info->duration_ns > info->sum.start_ns ? info->sum.start_ns : info->duration_ns;
	tape_warn_incomplete(info->path, info->tape);
	failed = info->json ? print_json(info) : print_text(info);
	if (failed || fflush(stdout) || ferror(stdout)) {
		message_error("%s: cannot write the result to standard output", info->path);
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

static int info_main(const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	struct info info = { 0 };
	struct process_folder folder;
	int option, status;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) != COMMAND_END) {
		switch (option) {
		case COMMAND_BAD:
			return EXIT_USAGE;
		case COMMAND_HELP:
			return EXIT_DONE;
		case 'j':
			info.json = true;
			break;
		case 's':
			info.salvage = true;
			break;
		}
	}
	if (argc - args.next != 1)
		return command_usage_error(cmd, argc == args.next ? "which tape?" : "one tape at a time");
	info.path = argv[args.next];
	if (!process_folder_read(info.path, &folder)) {
		status = info_folder_print(info.path, &folder, info.json, info.salvage);
		process_folder_free(&folder);
		return status;
	}
	status = run_info(&info);
	tape_reader_close(info.tape);
	return status;
}

const struct command cmd_info = {
	.name = "info",
	.synopsis = "FILE [--json] [--salvage]",
	.summary = "what is on a tape: target, machine, counts, losses, time span",
	.description = "Reads the whole tape once and tells what it holds. Sizes are bytes, times nanoseconds in JSON.\n"
		       "Of a folder with the tapes of several processes (record --follow-fork) it prints the family as a tree;\n"
		       "each of them is a tape: FOLDER/PID.tape.\n"
		       "A tape without its end (the recorder was killed) is read up to its last whole block.",
	.options = (const struct command_option[]){
		{ "json", 'j', NULL, "print one JSON object" },
		{ "salvage", 's', NULL, "pass over damaged blocks, and say how many, instead of failing" },
		{ 0 },
	},
	.run = info_main,
};
