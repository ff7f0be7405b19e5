/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_bisect.c - `heaptape bisect`: the first commit, or release, that made an allocator worse on a tape. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "bisect/bisect.h"
#include "bisect/child.h"
#include "cache_dir.h"
#include "command.h"
#include "message.h"

enum { EXIT_ALIKE = 3, EXIT_OPEN = 4 };

struct bisect_args {
	const char *path;
	struct git_opts git;
	char repo[PATH_MAX], lib[PATH_MAX];
	const char *lib_text;
	bool candidates, json;
	char **rest;
	size_t nr_rest;
	struct bisect bisect;
	struct executor executor;
	/* Folders. */
	char folder[PATH_MAX], builds[PATH_MAX], state[PATH_MAX + 16];
	bool is_temporary;
	int lock_fd;
};

/* ---- options ---- */

static int take_option(struct bisect_args *a, const struct command *cmd, int option, const char *value)
{
	switch (option) {
	case COMMAND_BAD: return EXIT_USAGE + 1;
	case COMMAND_HELP: return EXIT_DONE + 1;
	case 'R': a->git.repo = value; break;
	case 'G': a->git.good = value; break;
	case 'B': a->git.bad = value; break;
	case 'b': a->git.build = value; break;
	case 'l': a->lib_text = value; break;
	case 's': a->bisect.script = value; break;
	case 'k': a->git.keep = true; break;
	case '1': a->git.first_parent = true; break;
	case 'c': a->candidates = true; break;
	case 'j': a->json = true; break;
	case 'J':
	case 'X': return executor_take(&a->executor, cmd, option, value) ? EXIT_USAGE + 1 : 0;
	case 'm':
		a->bisect.metric = trial_metric_parse(value);
		if (a->bisect.metric == TRIAL_NR)
			return command_usage_error(cmd, "no metric '%s'; one of " TRIAL_METRIC_LIST, value) + 1;
		break;
	}
	return 0;
}

static int check_args(const struct bisect_args *a, const struct command *cmd)
{
	const struct git_opts *g = &a->git;

	if (!a->path)
		return command_usage_error(cmd, "which tape?");
	if (a->candidates && (g->repo || g->good || g->bad || g->build || a->lib_text))
		return command_usage_error(cmd, "--candidates are libraries that are there; --repo and what belongs to it is for commits");
	if (a->candidates)
		return a->nr_rest >= 2 ? 0 : command_usage_error(cmd, "--candidates: name at least two libraries, the good one first");
	if (!g->repo || !g->good || !g->bad)
		return command_usage_error(cmd, "--repo, --good and --bad say what to search, or --candidates");
	if (!a->bisect.script && !a->lib_text)
		return command_usage_error(cmd, "--lib says where the build leaves the shared object");
	if (a->lib_text && *a->lib_text == '/')
		return command_usage_error(cmd, "--lib is a path inside of each revision's worktree, so it cannot begin with '/'");
	return 0;
}

/* "build/lib.so,KEY=VALUE": the path, and the settings. */
static void split_lib(struct bisect_args *a)
{
	const char *comma = strchr(a->lib_text, ',');

	snprintf(a->lib, sizeof(a->lib), "%.*s", comma ? (int)(comma - a->lib_text) : PATH_MAX - 1, a->lib_text);
	a->git.lib = a->lib;
	a->bisect.settings = comma ? comma + 1 : NULL;
}

static int parse_args(struct bisect_args *a, const struct command *cmd, int argc, char **argv)
{
	struct command_args args = { 0 };
	int option, status;

	while ((option = command_next_option_anywhere(cmd, &args, argc, argv)) != COMMAND_END) {
		status = take_option(a, cmd, option, args.value);
		if (status)
			return status;
	}
	a->path = args.next < argc ? argv[args.next] : NULL;
	a->rest = argv + args.next + 1;
	a->nr_rest = args.next + 1 < argc ? (size_t)(argc - args.next - 1) : 0;
	status = check_args(a, cmd);
	if (status)
		return status + 1;
	if (a->lib_text)
		split_lib(a);
	if (a->bisect.script)
		a->bisect.metric = TRIAL_NR;
	a->git.paths = a->rest;
	a->git.nr_paths = a->nr_rest;
	return 0;
}

/* ---- folders ---- */

static void hash_text(XXH3_state_t *h, const char *text)
{
	XXH3_64bits_update(h, text ? text : "-", strlen(text ? text : "-") + 1);
}

/* All that the runs depend on, but for the commits' content. */
static uint64_t search_key(const struct bisect_args *a)
{
	XXH3_state_t *h = XXH3_createState();
	uint64_t key = 0, tape;

	if (!h)
		return 0;
	XXH3_64bits_reset(h);
	tape = trials_tape_hash(a->path);
	XXH3_64bits_update(h, &tape, sizeof(tape));
	for (size_t i = 0; i < 7; i++)
		hash_text(h, (const char *[]){ a->candidates ? "" : a->repo, a->git.good, a->git.bad, a->git.build, a->lib_text,
					       a->bisect.script, a->git.first_parent ? "first parents" : "" }[i]);
	XXH3_64bits_update(h, &a->bisect.metric, sizeof(a->bisect.metric));
	for (size_t i = 0; i < a->nr_rest; i++)
		hash_text(h, a->rest[i]);
	key = XXH3_64bits_digest(h);
	XXH3_freeState(h);
	return key;
}

static int make_dir(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? -errno : 0;
}

/* Without a cache nothing is kept: neither builds nor, if it is interrupted, what was measured. */
static int make_temporary(struct bisect_args *a)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(a->folder, sizeof(a->folder), "%s/heaptape-bisect.XXXXXX", tmp && *tmp ? tmp : "/tmp");
	a->is_temporary = true;
	message_warn("there is no cache folder (HEAPTAPE_CACHE): if this search is interrupted, it begins anew");
	return mkdtemp(a->folder) ? 0 : -errno;
}

static int make_folders(struct bisect_args *a, uint64_t key)
{
	char cache[PATH_MAX - 64];
	int err = cache_dir(cache, sizeof(cache));

	if (err == -ENOENT)
		return make_temporary(a);
	if (err)
		return err;
	snprintf(a->builds, sizeof(a->builds), "%s/bisect", cache);
	err = make_dir(a->builds);
	snprintf(a->folder, sizeof(a->folder), "%s/bisect/%016" PRIx64, cache, key);
	snprintf(a->builds, sizeof(a->builds), "%s/bisect/builds", cache);
	if (!err)
		err = make_dir(a->folder);
	if (!err)
		err = make_dir(a->builds);
	snprintf(a->state, sizeof(a->state), "%s/state.json", a->folder);
	a->bisect.state_path = a->state;
	a->git.builds = a->builds;
	return err;
}

static int lock(struct bisect_args *a)
{
	a->lock_fd = open(a->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->lock_fd >= 0 && !flock(a->lock_fd, LOCK_EX | LOCK_NB))
		return 0;
	if (errno == EWOULDBLOCK)
		message_error("the same search is running already");
	else
		message_error("%s: %s", a->folder, strerror(errno));
	return -EBUSY;
}

/* What is left when the search has ended: builds, for the next one. */
static void remove_folder(const struct bisect_args *a)
{
	const char *argv[] = { "rm", "-rf", "--", a->folder, NULL };
	struct child rm = { .argv = argv };

	if (!a->git.keep) {
		child_run(&rm);
		free(rm.output);
	}
}

/* ---- the verb ---- */

static int drop_root(const struct bisect_args *a, const struct trials *t)
{
	int err = child_drop_root(a->git.repo ? a->repo : NULL);

	if (err < 0) {
		message_error("root's rights cannot be given up: %s", strerror(-err));
	} else if (err && access(t->player, X_OK)) {
		message_error("%s cannot be run by user %u, for whom this is done; install heaptape where that user can reach it",
			      t->player, (unsigned)getuid());
		return -EACCES;
	} else if (!err && geteuid() == 0 && a->git.repo) {
		message_warn("%s belongs to root: its builds run as root", a->repo);
	}
	return err < 0 ? err : 0;
}

static int tell(const struct bisect_args *a, int err)
{
	const struct bisect *b = &a->bisect;
	char *text;

	if (err == -EINTR) {
		message_error("interrupted; %s", b->state_path ? "the same command goes on where it was" : "nothing was kept");
		return EXIT_FAILED;
	}
	if (err) {
		message_error("%s", *b->why ? b->why : strerror(-err));
		return EXIT_FAILED;
	}
	if (!a->json) {
		bisect_print(b, stdout);
	} else {
		text = bisect_json(b);
		puts(text ? text : "");
		free(text);
	}
	return b->outcome == BISECT_FOUND ? EXIT_DONE : b->outcome == BISECT_OPEN ? EXIT_OPEN : EXIT_ALIKE;
}

static int search(struct bisect_args *a)
{
	char why[1200] = "out of memory";
	int err, status;

	a->git.folder = a->folder;
	if (lock(a))
		return EXIT_FAILED;
	a->bisect.line = a->candidates ? line_of_candidates(a->rest, a->nr_rest) : line_of_git(&a->git, why, sizeof(why));
	if (!a->bisect.line) {
		message_error("%s", why);
		return EXIT_FAILED;
	}
	child_watch_signals();
	err = bisect_run(&a->bisect);
	status = tell(a, err);
	line_close(a->bisect.line);
	bisect_free(&a->bisect);
	if (!err || a->is_temporary)
		remove_folder(a);
	if (a->git.keep && !a->candidates)
		message_info("the worktree is kept: %s/tree; git -C %s worktree remove --force takes it away", a->folder, a->repo);
	return status;
}

static int bisect_main(const struct command *cmd, int argc, char **argv)
{
	struct bisect_args a = { .lock_fd = -1 };
	struct trials t;
	uint64_t key;
	int status = parse_args(&a, cmd, argc, argv), err;

	if (status)
		return status - 1;
	if (a.git.repo && !realpath(a.git.repo, a.repo)) {
		message_error("--repo %s: %s", a.git.repo, strerror(errno));
		return EXIT_FAILED;
	}
	if (a.git.repo)
		a.git.repo = a.repo;
	a.bisect.trials = &t;
	a.bisect.executor = &a.executor;
	status = EXIT_FAILED;
	err = trials_open(&t, a.path); /* as who calls: the tape may be root's alone */
	executor_use(&a.executor, &t.opts);
	key = search_key(&a);
	if (!err && !drop_root(&a, &t)) {
		err = make_folders(&a, key);
		if (err)
			message_error("no folder to work in: %s; HEAPTAPE_CACHE names one that belongs to you alone", strerror(-err));
		else
			status = search(&a);
	}
	if (a.lock_fd >= 0)
		close(a.lock_fd);
	trials_close(&t);
	return status;
}

const struct command cmd_bisect = {
	.name = "bisect",
	.synopsis = "FILE --repo DIR --good REV --bad REV --build CMD --lib PATH [OPTIONS] [-- PATHS]\n"
		    "       heaptape bisect FILE --candidates LIB1 LIB2 ... [--metric M]",
	.summary = "the first commit, or release, that made an allocator worse on a tape",
	.description =
		"Measures both ends, seven times each or more, and goes on only if they differ by more than their spread. Then git\n"
		"bisect chooses revisions, in a worktree of its own: checkout, branches and index of the repository stay as they\n"
		"are. CMD is run by a shell in each, after all that is not in git was removed; PATH is what it builds there. A step\n"
		"is repeated until its side is certain (odds of 1000 to 1 by the error rate of the ends' runs), 15 times at most;\n"
		"what does not build, fails the replay or stays uncertain is skipped, with the reason. Submodules are not fetched.\n\n"
		"As root, all of it is done as the user who called sudo, or else as the repository's owner. Builds are kept in the\n"
		"cache folder, by content and build command; what was measured too, until the search has ended: interrupted by\n"
		"whatever, the same command goes on where it was.\n\n"
		"Exit status: 0 the first bad one was found; 1 failed or interrupted; 2 wrong usage; 3 the ends do not differ by\n"
		"more than their spread; 4 only skipped ones are left (they are listed).",
	.options = (const struct command_option[]){
		{ "repo", 'R', "DIR", "A git repository whose build makes a shared object that exports malloc." },
		{ "good", 'G', "REV", "A revision that is good." },
		{ "bad", 'B', "REV", "A later one that is bad." },
		{ "build", 'b', "CMD", "What builds a revision." },
		{ "lib", 'l', "PATH[,KEY=VALUE...]", "The shared object it builds, and settings for it." },
		{ "metric", 'm', "M", TRIAL_METRIC_LIST "\n" TRIAL_METRIC_HELP },
		{ "script", 's', "CMD",
		  "Instead of a replay: CMD is run in the worktree, and the last line it prints is the number.\n"
		  "HEAPTAPE_TAPE and HEAPTAPE_LIB name tape and library; --build and --lib may be left out. Any other\n"
		  "status than 0 skips." },
		{ "candidates", 'c', NULL, "The operands behind FILE are libraries in order, the first good, the last bad; no git." },
		{ "first-parent", '1', NULL, "As git bisect does: of merges, only the merge itself is a step." },
		{ "keep", 'k', NULL, "Leave the worktree." },
		EXECUTOR_OPTION_ROWS,
		{ "json", 'j', NULL, "Print the result as JSON." },
		{ 0 },
	},
	.run = bisect_main,
};
