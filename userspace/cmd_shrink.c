/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_shrink.c - `heaptape shrink`: the smallest tape that still shows what a command looks for. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bisect/child.h"
#include "command.h"
#include "message.h"
#include "shrink/shrink.h"
#include "tape_open.h"

struct shrink_args {
	const char *path, *out_path;
	bool overwrite;
	struct shrink shrink;
};

static int take_option(struct shrink_args *a, const struct command *cmd, int option, const char *value)
{
	switch (option) {
	case COMMAND_BAD: return EXIT_USAGE + 1;
	case COMMAND_HELP: return EXIT_DONE + 1;
	case 'c': a->shrink.check = value; break;
	case 'o': a->out_path = value; break;
	case 'f': a->overwrite = true; break;
	case 'b':
		if (parse_duration_ns(value, &a->shrink.budget_ns) || !a->shrink.budget_ns)
			return command_usage_error(cmd, "--budget wants a time such as 10m, not '%s'", value) + 1;
		break;
	}
	return 0;
}

static int parse_args(struct shrink_args *a, const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	int option, status;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) != COMMAND_END) {
		status = take_option(a, cmd, option, args.value);
		if (status)
			return status;
	}
	if (argc - args.next != 1)
		return command_usage_error(cmd, argc == args.next ? "which tape?" : "one tape at a time") + 1;
	if (!a->shrink.check)
		return command_usage_error(cmd, "--check says what the smaller tape still has to show") + 1;
	if (!a->out_path)
		return command_usage_error(cmd, "-o FILE says where the smaller tape goes") + 1;
	a->path = argv[args.next];
	return 0;
}

/* Before hours are spent. */
static int check_output(const struct shrink_args *a)
{
	struct stat in, out;

	if (stat(a->out_path, &out))
		return 0;
	if (!stat(a->path, &in) && in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
		message_error("%s: this is the tape itself; give another output file", a->out_path);
		return -EEXIST;
	}
	if (!a->overwrite)
		message_error("%s: this file exists; give another name, or -f to overwrite it", a->out_path);
	return a->overwrite ? 0 : -EEXIST;
}

static void show_progress(void *arg, const struct shrink_size *now, uint64_t nr_checks)
{
	char events[HUMAN_MAX];

	(void)arg;
	message_progress("%llu checks, %s events left, by %u threads", (unsigned long long)nr_checks, human_count(events, now->nr_events),
			 now->nr_threads);
}

static void say_failed(const struct shrink_args *a, int err)
{
	const char *why = tape_reader_error(a->shrink.reader);

	if (err == -ENOEXEC)
		message_error("--check does not end with status 0 for the whole tape: HEAPTAPE_TAPE names the file that it is to look at");
	else if (err == -EAGAIN)
		message_error("--check ends with status 0 for the whole tape at some times, and not at others: nothing could be concluded");
	else if (err == -EBADMSG || err == -ENOTSUP)
		tape_print_error(a->path, a->shrink.reader, 0);
	else
		message_error("%s: %s", a->path, why && *why ? why : strerror(-err));
}

static int finish(struct shrink_args *a)
{
	struct shrink *s = &a->shrink;
	char before[HUMAN_MAX], after[HUMAN_MAX], took[2][HUMAN_MAX];
	int err = shrink_write(s, a->out_path, a->overwrite);

	if (err) {
		message_error("%s: cannot write: %s", a->out_path, strerror(-err));
		return EXIT_FAILED;
	}
	message_info("%s: %s events by %u threads in %s, of %s by %u in %s; %llu checks", a->out_path, human_count(after, s->after.nr_events),
		     s->after.nr_threads, human_ns(took[0], s->after.duration_ns), human_count(before, s->before.nr_events),
		     s->before.nr_threads, human_ns(took[1], s->before.duration_ns), (unsigned long long)s->nr_checks);
	if (s->stopped)
		message_warn("it was stopped before the end: a smaller one may be found in %s by the same command", a->out_path);
	message_info("next: heaptape dump %s", a->out_path);
	return EXIT_DONE;
}

static int shrink_main(const struct command *cmd, int argc, char **argv)
{
	struct shrink_args a = { .shrink = { .progress = show_progress } };
	const char *tmp = getenv("TMPDIR");
	char folder[PATH_MAX - 64], candidate[PATH_MAX];
	int status = parse_args(&a, cmd, argc, argv), err;

	if (status)
		return status - 1;
	if (check_output(&a))
		return EXIT_FAILED;
	a.shrink.reader = tape_open(a.path, false);
	if (!a.shrink.reader)
		return EXIT_FAILED;
	snprintf(folder, sizeof(folder), "%s/heaptape-shrink.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(folder)) {
		message_error("%s: %s; TMPDIR names a folder with room", folder, strerror(errno));
		tape_reader_close(a.shrink.reader);
		return EXIT_FAILED;
	}
	a.shrink.folder = folder;
	child_watch_signals();
	err = shrink_run(&a.shrink);
	message_progress(NULL);
	if (err)
		say_failed(&a, err);
	status = err ? EXIT_FAILED : finish(&a);
	shrink_free(&a.shrink);
	tape_reader_close(a.shrink.reader);
	snprintf(candidate, sizeof(candidate), "%s/candidate.tape", folder);
	unlink(candidate);
	rmdir(folder);
	return status;
}

const struct command cmd_shrink = {
	.name = "shrink",
	.synopsis = "FILE --check CMD -o FILE [-f] [--budget T]",
	.summary = "the smallest tape that still shows what a command looks for",
	.description =
		"Takes away what is not needed, as long as CMD ends with status 0: kinds of events that are no calls, threads, objects\n"
		"(with their birth, resizes and end, so that each candidate is a valid tape), at last the time between events. CMD is\n"
		"run by a shell, with the candidate's path in HEAPTAPE_TAPE; its output goes nowhere. For the whole tape it must end\n"
		"with 0 three times. Call stacks are left out. The tape's events are held in memory, 68 bytes each.\n\n"
		"    heaptape shrink big.tape -o small.tape --check \\\n"
		"      'heaptape replay $HEAPTAPE_TAPE --alloc ./new.so --json --plan-cache off | grep -q crashed'",
	.options = (const struct command_option[]){
		{ "check", 'c', "CMD", "Ends with status 0 if the tape shows what is looked for." },
		{ "output", 'o', "FILE", "The new tape." },
		{ "force", 'f', NULL, "Overwrite the output file." },
		{ "budget", 'b', "T", "Stop after this time with the smallest so far (10m); so does Ctrl-C." },
		{ 0 },
	},
	.run = shrink_main,
};
