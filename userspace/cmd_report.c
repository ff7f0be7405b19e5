/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_report.c - `heaptape report`: where the memory is, which code holds it there, and what to do about it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analyze/analysis.h"
#include "analyze/findings.h"
#include "command.h"
#include "find_options.h"
#include "message.h"
#include "report/report.h"
#include "tape_open.h"

#define TOP_SCREEN 5
#define TOP_TABLE 30
#define TOP_JSON 1500

struct report_args {
	const char *path;
	struct analysis_opts opts;
	enum report_by by;
	uint64_t top; /* 0: by what is printed */
	bool json, salvage;
	struct find_options find;
	struct tape_reader *tape;
};

static void show_progress(void *arg, const char *what, uint64_t nr_events)
{
	const struct report_args *x = arg;
	char count[HUMAN_MAX];

	message_progress("%s: %s, %s events", x->path, what, human_count(count, nr_events));
}

static const char *thread_name(void *arg, const struct analysis_thread *t)
{
	static char bufs[2][96];
	static unsigned which;

	which ^= 1;
	return report_thread_name(arg, t, bufs[which], sizeof(bufs[which]));
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

static int print(struct report_args *x, const struct analysis *a)
{
	struct find find = find_options_for(&x->find, x->tape);
	struct finding list[FINDINGS_MAX];
	struct finding_facts facts = { .allocator = allocator_of(x->tape, a), .thread_name = thread_name, .arg = x->tape,
				       .nr_cpus = tape_reader_meta_u64(x->tape, "machine.cpus", 0) };
	struct naming *naming = naming_new(x->tape, &find);
	struct report r = { .path = x->path, .tape = x->tape, .naming = naming, .analysis = a, .findings = list,
			    .colour = message_wants_colour(STDOUT_FILENO) };
	int err = naming ? 0 : -ENOMEM;

	if (!err) {
		r.nr_findings = findings_make(a, &facts, list);
		r.top = x->top ? (unsigned)x->top : x->json ? TOP_JSON : x->by == REPORT_SCREEN ? TOP_SCREEN : TOP_TABLE;
		err = x->json ? report_print_json(&r, stdout) : report_print(&r, x->by, stdout);
	}
	if (!err)
		say_what_lacks(x, naming);
	if (!err && !x->json && x->by == REPORT_SCREEN)
		message_info("next: heaptape report %s --by stack, or heaptape replay %s", x->path, x->path);
	if (err)
		message_error("%s: %s", x->path, strerror(-err));
	naming_free(naming);
	return err ? EXIT_FAILED : EXIT_DONE;
}

static int run_report(struct report_args *x)
{
	struct analysis a;
	int err, status = EXIT_FAILED;

	x->tape = tape_open(x->path, x->salvage);
	if (!x->tape)
		return EXIT_FAILED;
	err = analysis_read(x->tape, &x->opts, &a);
	message_progress(NULL);
	if (err == -ENOMEM)
		message_error("%s: out of memory", x->path);
	else if (err)
		tape_print_error(x->path, x->tape, a.nr_events);
	else
		status = print(x, &a);
	analysis_free(&a);
	tape_reader_close(x->tape);
	return status;
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
	case 's': x->salvage = true; return 0;
	default: return find_options_take(&x->find, cmd, option, value);
	}
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
	return run_report(&x);
}

const struct command cmd_report = {
	.name = "report",
	.synopsis = "FILE [--at TIME|peak] [--from TIME] [--to TIME] [--by stack|size|thread|module|region] [--top N] [--json]",
	.summary = "where the memory is, which code holds it there, and what to do about it",
	.description =
		"One screen: what was recorded; the target's own resident memory, split into what was asked for, holes between\n"
		"objects, pages without an object, and pages that never held one; findings in words, each with its evidence, the\n"
		"call stacks it is about and what to try; and the stacks that hold most. Pinned are the resident pages on which\n"
		"nothing lives but the objects of one stack. Brief objects were freed within a millisecond.\n\n"
		"What is resident follows from the page faults and mappings on the tape. On a tape that began when the program\n"
		"had already run, what is in memory from before and was not seen since is told first, as unknown.",
	.options = (const struct command_option[]){
		{ "at", 'A', "TIME|peak", "the moment whose live set is told (90s, 5m; default: the end)" },
		{ "from", 'F', "TIME", "leave out what was called before; growth is counted from there" },
		{ "to", 'T', "TIME", "leave out what was called behind" },
		{ "by", 'b', "stack|size|thread|module|region", "one table instead: call stacks, requested sizes, threads and who frees whose\n"
							  "objects, the files that called the allocator, or objects that die together" },
		{ "top", 't', "N", "rows of a table (default: 5 on the screen, 30 in a table, 1,500 stacks in JSON)" },
		{ "json", 'j', NULL, "everything as JSON; stacks: the first N by each of their figures, the others in one sum" },
		{ "salvage", 's', NULL, "pass over damaged blocks and say how many there were" },
		FIND_OPTION_ROWS,
		{ NULL, 0, NULL, NULL },
	},
	.run = run,
};
