/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_rerun.c - `heaptape rerun`: a program run and recorded under several variants, and its tapes side by side. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bisect/child.h"
#include "command.h"
#include "message.h"
#include "rerun/rerun.h"

enum { REPEATS_MAX = 1000 };

struct rerun_args {
	struct rerun rerun;
	const char *file, *base, *out;
	bool overwrite, json;
	char folder[PATH_MAX];
};

static int take_option(struct rerun_args *a, const struct command *cmd, int option, const char *value)
{
	struct rerun_opts *o = &a->rerun.opts;
	uint64_t n;

	switch (option) {
	case COMMAND_BAD: return EXIT_USAGE + 1;
	case COMMAND_HELP: return EXIT_DONE + 1;
	case 'V': a->file = value; break;
	case 'b': a->base = value; break;
	case 'o': a->out = value; break;
	case 'f': a->overwrite = true; break;
	case 'i': o->input = value; break;
	case 'u': o->user = value; break;
	case 'P': o->plain = true; break;
	case 'j': a->json = true; break;
	case 'N': o->no_record = true; break;
	case 'R': o->predict = true; break;
	case 'r':
		if (parse_count(value, &n) || !n || n > REPEATS_MAX)
			return command_usage_error(cmd, "--repeat wants a number from 1 to %d, not '%s'", REPEATS_MAX, value) + 1;
		o->nr_repeats = (unsigned)n;
		break;
	case 'd':
		if (parse_duration_ns(value, &o->duration_ns) || !o->duration_ns)
			return command_usage_error(cmd, "--duration wants a time such as 30s or 5m, not '%s'", value) + 1;
		break;
	}
	return 0;
}

static int parse_args(struct rerun_args *a, const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	int option, status;

	while ((option = command_next_option(cmd, &args, argc, argv)) != COMMAND_END) {
		status = take_option(a, cmd, option, args.value);
		if (status)
			return status;
	}
	if (!a->file)
		return command_usage_error(cmd, "--variants FILE says what the command is run under") + 1;
	if (args.next >= argc)
		return command_usage_error(cmd, "which command? It stands behind --") + 1;
	if (a->rerun.opts.no_record && (a->rerun.opts.plain || a->rerun.opts.predict))
		return command_usage_error(cmd, "--no-record leaves nothing for %s", a->rerun.opts.plain ? "--plain" : "--predict") + 1;
	if (a->overwrite && !a->out)
		return command_usage_error(cmd, "-f is for the folder of -o") + 1;
	a->rerun.opts.argv = argv + args.next;
	return 0;
}

static int find_base(struct rerun_args *a, const struct variants *v)
{
	for (size_t i = 0; a->base && i < v->nr; i++) {
		if (strcmp(a->base, v->list[i].name) != 0)
			continue;
		a->rerun.opts.base = i;
		return 0;
	}
	return a->base ? -ENOENT : 0;
}

/* ---- the folder ---- */

static bool is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	unsigned nr = 0;

	while (dir && (d = readdir(dir)))
		nr += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	if (dir)
		closedir(dir);
	return dir && !nr;
}

/* The program's own user needs no way in: it has its files open. */
static int make_folder(struct rerun_args *a)
{
	const char *tmp = getenv("TMPDIR");

	if (!a->out) {
		snprintf(a->folder, sizeof(a->folder), "%s/heaptape-rerun.XXXXXX", tmp && *tmp ? tmp : "/tmp");
		if (mkdtemp(a->folder))
			return 0;
		message_error("%s: %s; TMPDIR or -o names another place for the tapes", a->folder, strerror(errno));
		return -1;
	}
	snprintf(a->folder, sizeof(a->folder), "%s", a->out);
	if (!mkdir(a->folder, 0700))
		return 0;
	if (errno == EEXIST && (a->overwrite || is_empty(a->folder)))
		return 0;
	if (errno == EEXIST)
		message_error("%s: is there already, and not empty; -f writes over the tapes in it, -o names another folder", a->folder);
	else
		message_error("%s: %s", a->folder, strerror(errno));
	return -1;
}

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

/* ---- the verb ---- */

static size_t count_failed(const struct rerun *r)
{
	size_t nr = 0;

	for (size_t i = 0; i < r->nr_variants; i++)
		nr += *r->variants[i].error != '\0';
	return nr;
}

static int run_all(struct rerun_args *a, const struct variants *v)
{
	struct rerun *r = &a->rerun;
	int err, unpredicted = 0, status = EXIT_FAILED;

	if (make_folder(a))
		return EXIT_FAILED;
	r->opts.folder = a->folder;
	r->opts.keep = a->out != NULL;
	child_watch_signals();
	err = rerun_run(r, v);
	if (!err && r->opts.predict)
		unpredicted = rerun_predict(r);
	if (!err && a->json)
		err = rerun_print_json(r);
	else if (!err)
		rerun_print(r);
	if (err)
		message_error("rerun: %s", err == -ECANCELED ? "stopped by a signal" : strerror(-err));
	else
		status = count_failed(r) || unpredicted ? EXIT_FAILED : EXIT_DONE;
	rerun_free(r);
	if (!a->out)
		remove_folder(a->folder);
	else if (r->opts.no_record)
		message_info("what the runs printed is in %s", a->out);
	else
		message_info("tapes and what the runs printed are in %s; next: heaptape diff %s/%s.1.tape and another's", a->out, a->out,
			     v->list[r->opts.base].name);
	return status;
}

static int run(const struct command *cmd, int argc, char **argv)
{
	struct rerun_args a = { .rerun.opts.nr_repeats = 1 };
	struct variants v;
	char why[800];
	int status = parse_args(&a, cmd, argc, argv);

	if (status)
		return status - 1;
	if (variants_read(a.file, &v, why, sizeof(why))) {
		message_error("%s", why);
		status = EXIT_FAILED;
	} else if (a.rerun.opts.input && access(a.rerun.opts.input, R_OK)) {
		message_error("--input %s: %s", a.rerun.opts.input, strerror(errno));
		status = EXIT_FAILED;
	} else if (find_base(&a, &v)) {
		status = command_usage_error(cmd, "--base: no variant in %s is called '%s'", a.file, a.base);
	} else {
		status = run_all(&a, &v);
	}
	variants_free(&v);
	return status;
}

const struct command cmd_rerun = {
	.name = "rerun",
	.synopsis = "--variants FILE [--base NAME] [--repeat N] [--plain] [--predict] [-o DIR] [--json] -- CMD [ARGS]",
	.summary = "run and record a program under several settings, allocators or arguments, and compare the tapes",
	.description =
		"For questions that a replay cannot answer: settings that change what the program does, such as when its runtime collects\n"
		"garbage; and to hold a replay's prediction against reality. FILE has a variant a line:\n\n"
		"    NAME: [KEY=VALUE | unset:KEY | alloc:NAME-OR-PATH[,KEY=VALUE...]]... [-- ARGUMENT...]\n\n"
		"KEY=VALUE is set in the environment of CMD (not of the recorder). alloc: preloads an allocator: glibc, jemalloc, mimalloc,\n"
		"tcmalloc, or a shared object by its path; a run on whose tape another one is in force fails. Arguments come\n"
		"behind those of CMD, or in the place of an argument {}. Quotes and backslashes work as in a shell; # begins a comment.\n\n"
		"Runs go in rounds, each variant once a round. Compared with the base (the first line) are: the most bytes that lived at\n"
		"once; anonymous resident memory as the kernel counts it, looked at twenty times a second, its most and its last; CPU time,\n"
		"elapsed time and page faults; and the findings of `heaptape report` that are gone or new. CPU time and time are those of\n"
		"a recorded program: --plain shows them without. From five runs on, what is no more than chance is shown as '='.\n"
		"--predict plays the base's first tape under each variant with the same arguments: what the replay says, and what was.\n"
		"What CMD prints goes to files (NAME.N.out) beside the tapes.\n\n"
		"Exit status: 0 done; 1 failed, or a variant did; 2 wrong usage.",
	.options = (const struct command_option[]){
		{ "variants", 'V', "FILE", "what the command is run under, a variant a line" },
		{ "base", 'b', "NAME", "the variant that the others are compared with (default: the first)" },
		{ "repeat", 'r', "N", "runs of each variant (default 1)" },
		{ "plain", 'P', NULL, "run each without recording too, and show what recording adds" },
		{ "predict", 'R', NULL, "replay the base's first tape under each variant too, and show what that says beside its runs" },
		{ "no-record", 'N', NULL, "only run: for programs without an allocator that can be recorded (static, Go); no tape, no findings" },
		{ "duration", 'd', "TIME", "end a run that lasts longer (SIGTERM, 5 s later SIGKILL); its figures are as of then" },
		{ "input", 'i', "FILE", "stdin of each run (default: nothing)" },
		{ "user", 'u', "NAME", "run CMD as this user (default: the user who called sudo)" },
		{ "output", 'o', "DIR", "keep the tapes here (default: they are removed)" },
		{ "force", 'f', NULL, "DIR may hold files; tapes of the same names are written over" },
		{ "json", 'j', NULL, "print results as JSON" },
		{ NULL, 0, NULL, NULL },
	},
	.run = run,
};
