/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_report.c - `heaptape report`: where the memory is, which code holds it there, and what to do about it. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyze/analysis.h"
#include "analyze/findings.h"
#include "cmd_report.h"
#include "command.h"
#include "find_options.h"
#include "message.h"
#include "out_file.h"
#include "report/report.h"
#include "report/stack_text.h"
#include "tape_open.h"

#define TOP_SCREEN 5
#define TOP_TABLE 30
#define TOP_JSON 1500
#define PAGE_STACKS_MAX 2000 /* of the HTML report: what a browser draws and sorts at once, and 3 MB hold */
#define PAGE_NAME_MAX 2000
#define PAGE_MOMENTS 25
#define REPLAY_JSON_MAX (256u << 20)

enum report_to { TO_TEXT, TO_JSON, TO_HTML };

struct report_args {
	const char *path;
	struct analysis_opts opts;
	enum report_by by;
	uint64_t top; /* 0: by what is printed */
	const char *out_path;    /* NULL: standard output */
	const char *replay_path; /* of `replay --json`; NULL: none */
	char *replay_json;
	enum report_to to;
	bool json, salvage, overwrite;
	struct find_options find;
	struct tape_reader *tape;
};

static void show_progress(void *arg, const char *what, uint64_t nr_events)
{
	const struct report_args *x = arg;

	message_progress_events(x->path, what, nr_events, tape_reader_events_told(x->tape));
}

static const char *thread_name(void *arg, const struct analysis_thread *t)
{
	static char bufs[2][96];
	static unsigned which;

	which ^= 1;
	return report_thread_name(arg, t, bufs[which], sizeof(bufs[which]));
}

/* The function that called what allocates, and where: the runtime's own entry counts as a part of the allocator. */
static uint64_t place(void *arg, uint32_t stack)
{
	const struct tape_frame *frames;
	bool truncated;
	uint32_t nr = tape_reader_stack(arg, stack, &frames, &truncated), at;

	if (!nr)
		return 0;
	at = stack_text_first(arg, frames, nr);
	at += at + 1 < nr && frames[at].module == frames[0].module;
	return (uint64_t)frames[at].module << 48 ^ frames[at].offset;
}

static const char *allocator_of(const struct tape_reader *r, const struct analysis *a)
{
	const struct tape_allocator *alloc = a->allocator == TAPE_NO_ALLOC ? NULL : tape_reader_allocator(r, a->allocator);

	return alloc ? alloc->name : "";
}

static void say_what_lacks(const struct report_args *x, struct naming *naming)
{
	struct naming_counts counts;

	naming_counts(naming, &counts);
	if (counts.modules_missing)
		message_warn("%llu of %llu places have no name: %u of the recorded binaries %s not on this machine (or other builds); "
			     "give --debug-dir, or record with --embed-symbols",
			     (unsigned long long)counts.unnamed, (unsigned long long)counts.places, counts.modules_missing,
			     counts.modules_missing == 1 ? "is" : "are");
	tape_warn_incomplete(x->path, x->tape);
}

/* Why a report could not be written, and whether it was. */
static int say_how(const struct report_args *x, int err)
{
	const char *to = x->out_path ? x->out_path : "standard output";

	if (err == -ENOMEM)
		message_error("%s: out of memory", x->path);
	else if (err)
		message_error("%s: cannot write: %s", to, strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}

static int print_as(const struct report_args *x, const struct report *r, FILE *out)
{
	switch (x->to) {
	case TO_JSON: return report_print_json(r, out);
	case TO_HTML: return report_print_html(r, out);
	default: return report_print(r, x->by, out);
	}
}

static unsigned top_rows(const struct report_args *x)
{
	if (x->top)
		return (unsigned)x->top;
	return x->to != TO_TEXT ? TOP_JSON : x->by == REPORT_SCREEN ? TOP_SCREEN : TOP_TABLE;
}

static void say_what_next(const struct report_args *x)
{
	if (x->to == TO_HTML)
		message_info("next: open %s in a browser", x->out_path);
	else if (x->to == TO_TEXT && x->by == REPORT_SCREEN)
		message_info("next: heaptape report %s -o report.html, or heaptape replay %s", x->path, x->path);
}

static int print(struct report_args *x, const struct analysis *a, FILE *out)
{
	struct find find = find_options_for(&x->find, x->tape);
	struct finding list[FINDINGS_MAX];
	struct finding_facts facts = { .allocator = allocator_of(x->tape, a), .thread_name = thread_name, .place = place, .arg = x->tape,
				       .nr_cpus = tape_reader_meta_u64(x->tape, "machine.cpus", 0) };
	struct naming *naming = naming_new(x->tape, &find);
	struct report r = { .path = x->path, .tape = x->tape, .naming = naming, .analysis = a, .findings = list,
			    .top = top_rows(x), .replay_json = x->replay_json, .colour = message_wants_colour(STDOUT_FILENO) };
	int err = naming ? 0 : -ENOMEM;

	if (x->to == TO_HTML) {
		r.stacks_max = PAGE_STACKS_MAX;
		r.name_max = PAGE_NAME_MAX;
	}
	if (!err) {
		r.nr_findings = findings_make(a, &facts, list);
		err = print_as(x, &r, out);
	}
	if (!err && (fflush(out) || ferror(out)))
		err = errno ? -errno : -EIO;
	if (!err)
		say_what_lacks(x, naming);
	naming_free(naming);
	return say_how(x, err);
}

static int analyse(struct report_args *x, FILE *out)
{
	struct analysis a;
	int err, status = EXIT_FAILED;

	x->opts.nr_moments = x->to == TO_HTML ? PAGE_MOMENTS : 0;
	err = analysis_read(x->tape, &x->opts, &a);
	message_progress(NULL);
	if (err == -ENOMEM)
		message_error("%s: out of memory", x->path);
	else if (err == -ENOENT && x->opts.allocator)
		message_error("%s: no call of an allocator that is called %s is on it; heaptape info %s lists those that there are", x->path,
			      x->opts.allocator, x->path);
	else if (err)
		tape_print_error(x->path, x->tape, a.nr_events);
	else
		status = print(x, &a, out);
	analysis_free(&a);
	return status;
}

/* Opened before the work, so that a name that cannot be is told at once. */
static int run_report(struct report_args *x)
{
	FILE *out = stdout;
	int fd = -1, status;

	x->tape = tape_open(x->path, x->salvage);
	if (!x->tape)
		return EXIT_FAILED;
	if (x->out_path) {
		fd = out_file_open(x->out_path, x->path, x->overwrite);
		out = fd < 0 ? NULL : fdopen(fd, "w");
	}
	if (fd >= 0 && !out) {
		say_how(x, -errno);
		close(fd);
	}
	status = out ? analyse(x, out) : EXIT_FAILED;
	if (out && out != stdout && fclose(out) && status == EXIT_DONE)
		status = say_how(x, -errno);
	if (status != EXIT_DONE && fd >= 0 && !x->overwrite)
		unlink(x->out_path); /* half a report would stand in the way of the next try */
	if (status == EXIT_DONE)
		say_what_next(x);
	tape_reader_close(x->tape);
	return status;
}

bool report_page_is_there(const char *out_path)
{
	if (report_has_html())
		return true;
	message_error("%s: this heaptape was built without the HTML report; install npm and node (Debian packages npm and nodejs) "
		      "and build again, with the npm registry in reach",
		      out_path);
	return false;
}

int report_page_write(const char *tape_path, FILE *out, const char *out_path, char *replay_json)
{
	struct report_args x = { .path = tape_path, .out_path = out_path, .to = TO_HTML, .replay_json = replay_json,
				 .opts = { .to_ns = UINT64_MAX, .at_ns = UINT64_MAX, .progress = show_progress } };
	int status;

	x.opts.progress_arg = &x;
	x.tape = tape_open(tape_path, false);
	if (!x.tape)
		return EXIT_FAILED;
	status = analyse(&x, out);
	tape_reader_close(x.tape);
	return status;
}

/* What `replay --json` wrote, taken in only if it is that. */
static int read_replay(struct report_args *x)
{
	size_t nbytes = 0;
	char *text = NULL;
	FILE *in = fopen(x->replay_path, "re");
	cJSON *doc = NULL;

	if (!in) {
		message_error("%s: %s", x->replay_path, strerror(errno));
		return EXIT_FAILED;
	}
	if (getdelim(&text, &nbytes, '\0', in) > 0 && nbytes < REPLAY_JSON_MAX)
		doc = cJSON_Parse(text);
	fclose(in);
	free(text);
	if (doc && cJSON_IsArray(cJSON_GetObjectItem(doc, "results")) && cJSON_IsObject(cJSON_GetObjectItem(doc, "plan")))
		x->replay_json = cJSON_PrintUnformatted(doc);
	cJSON_Delete(doc);
	if (x->replay_json)
		return EXIT_DONE;
	message_error("%s: no results of a replay; make them with heaptape replay %s -o %s", x->replay_path, x->path, x->replay_path);
	return EXIT_FAILED;
}

static int take_out(struct report_args *x, const struct command *cmd, const char *path)
{
	const char *dot = strrchr(path, '.');

	x->out_path = path;
	if (dot && !strcmp(dot, ".html"))
		x->to = TO_HTML;
	else if (dot && !strcmp(dot, ".json"))
		x->to = TO_JSON;
	else
		return command_usage_error(cmd, "-o %s: its name tells the format, .html or .json", path);
	return 0;
}

static int take_time(struct report_args *x, const struct command *cmd, const char *name, const char *value, uint64_t *ns)
{
	if (ns == &x->opts.at_ns && !strcmp(value, "peak")) {
		x->opts.peak = true;
		return 0;
	}
	if (!parse_duration_ns(value, ns))
		return 0;
	return command_usage_error(cmd, "--%s wants a time such as 90s or 5m%s, not '%s'", name, ns == &x->opts.at_ns ? ", or peak" : "", value);
}

static int take_by(struct report_args *x, const struct command *cmd, const char *value)
{
	static const char *const names[] = { [REPORT_BY_STACK] = "stack", [REPORT_BY_SIZE] = "size", [REPORT_BY_THREAD] = "thread",
					     [REPORT_BY_MODULE] = "module", [REPORT_BY_REGION] = "region" };

	for (int i = REPORT_BY_STACK; i <= REPORT_BY_REGION; i++) {
		if (strcmp(names[i], value) != 0)
			continue;
		x->by = (enum report_by)i;
		return 0;
	}
	return command_usage_error(cmd, "--by wants stack, size, thread, module or region, not '%s'", value);
}

static int take_option(struct report_args *x, const struct command *cmd, int option, const char *value)
{
	switch (option) {
	case 'A': return take_time(x, cmd, "at", value, &x->opts.at_ns);
	case 'F': return take_time(x, cmd, "from", value, &x->opts.from_ns);
	case 'T': return take_time(x, cmd, "to", value, &x->opts.to_ns);
	case 'b': return take_by(x, cmd, value);
	case 't':
		if (!parse_count(value, &x->top) && x->top && x->top <= 1000000)
			return 0;
		return command_usage_error(cmd, "--top wants a number from 1 on, not '%s'", value);
	case 'j': x->json = true; return 0;
	case 'o': return take_out(x, cmd, value);
	case 'f': x->overwrite = true; return 0;
	case 'a': x->opts.allocator = value; return 0;
	case 'R': x->replay_path = value; return 0;
	case 's': x->salvage = true; return 0;
	default: return find_options_take(&x->find, cmd, option, value);
	}
}

static int run_with_replay(struct report_args *x, const struct command *cmd)
{
	int status = EXIT_DONE;

	if (x->replay_path && x->to == TO_TEXT)
		return command_usage_error(cmd, "--replay goes into a report that is written with -o FILE.html (or .json)");
	if (x->to == TO_HTML && !report_page_is_there(x->out_path))
		return EXIT_FAILED;
	if (x->replay_path)
		status = read_replay(x);
	if (status == EXIT_DONE)
		status = run_report(x);
	free(x->replay_json);
	return status;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct report_args x = { .opts = { .to_ns = UINT64_MAX, .at_ns = UINT64_MAX, .progress = show_progress } };
	struct command_args args = { 0 };
	int opt;

	x.opts.progress_arg = &x;
	while ((opt = command_next_option_anywhere(cmd, &args, argc, argv)) != COMMAND_END) {
		if (opt == COMMAND_HELP)
			return EXIT_DONE;
		if (opt == COMMAND_BAD || take_option(&x, cmd, opt, args.value))
			return EXIT_USAGE;
	}
	if (args.next + 1 != argc)
		return command_usage_error(cmd, args.next == argc ? "no tape was named" : "one tape at a time");
	if (x.opts.from_ns >= x.opts.to_ns)
		return command_usage_error(cmd, "--from lies behind --to");
	x.path = argv[args.next];
	if (x.out_path && x.json)
		return command_usage_error(cmd, "--json prints on standard output; -o FILE.json writes the same to a file");
	if (x.json)
		x.to = TO_JSON;
	if (x.out_path && x.by != REPORT_SCREEN)
		return command_usage_error(cmd, "--by is a table on standard output; %s holds all of them", x.out_path);
	return run_with_replay(&x, cmd);
}

const struct command cmd_report = {
	.name = "report",
	.synopsis = "FILE [-o FILE.html [-f]] [--replay FILE.json] [--at TIME|peak] [--from TIME] [--to TIME]\n"
		    "[--by stack|size|thread|module|region] [--top N] [--json]",
	.summary = "where the memory is, which code holds it there, and what to do about it",
	.description =
		"One screen: what was recorded; the target's own resident memory, split into what was asked for, holes between\n"
		"objects, pages without an object, and pages that never held one; findings in words, each with its evidence, the\n"
		"call stacks it is about and what to try; and the stacks that hold most. Pinned are the resident pages on which\n"
		"nothing lives but the objects of one stack. Brief objects were freed within a millisecond.\n\n"
		"What is resident follows from the page faults and mappings on the tape. On a tape that began when the program\n"
		"had already run, what is in memory from before and was not seen since is told first, as unknown.\n\n"
		"-o FILE.html writes it all as one page for a browser, that asks nothing of any network: time line, split, map of the\n"
		"heap, flame graphs, tables, lifetimes, threads, and with --replay the allocators side by side. A time that is chosen\n"
		"there holds for all of it.",
	.options = (const struct command_option[]){
		{ "at", 'A', "TIME|peak", "the moment whose live set is told (90s, 5m; default: the end)" },
		{ "from", 'F', "TIME", "leave out what was called before; growth is counted from there" },
		{ "to", 'T', "TIME", "leave out what was called behind" },
		{ "by", 'b', "stack|size|thread|module|region", "one table instead: call stacks, requested sizes, threads and who frees whose\n"
							  "objects, the files that called the allocator, or objects that die together" },
		{ "allocator", 'a', "NAME", "the objects of this allocator alone (info lists them), also those that lie inside another's objects\n"
					  "and are in no sum otherwise; what is resident is not told then" },
		{ "out", 'o', "FILE", "write to FILE: a page if its name ends in .html, JSON if it ends in .json" },
		{ "force", 'f', NULL, "overwrite FILE" },
		{ "replay", 'R', "FILE.json", "what replay -o FILE.json wrote of this tape, to be shown with it" },
		{ "top", 't', "N", "rows of a table (default: 5 on the screen, 30 in a table, 1,500 stacks in JSON, where -o FILE.html takes 2,000\n"
				  "in all)" },
		{ "json", 'j', NULL, "everything as JSON; stacks: the first N by each of their figures, the others in one sum" },
		{ "salvage", 's', NULL, "pass over damaged blocks and say how many there were" },
		FIND_OPTION_ROWS,
		{ NULL, 0, NULL, NULL },
	},
	.run = run,
};
