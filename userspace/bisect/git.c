/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * git.c - a line of revisions: git bisect itself, in a linked worktree, whose HEAD, index and refs/bisect are its own.
 *
 * Hooks of the repository do not run there. What was built is kept by its tree and the build command.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "bisect/child.h"
#include "message.h"
#include "bisect/line.h"

#define GIT_WORDS_MAX 24

struct git_line {
	struct line line;
	const struct git_opts *opts;
	char tree[PATH_MAX]; /* the worktree */
	char **order;        /* commits from good to bad */
	size_t nr_order;
	bool has_tree;
	char *ready;         /* the commit that the worktree holds, built; NULL: none */
};

static struct git_line *of(struct line *l)
{
	return (struct git_line *)l;
}

/* ---- git ---- */

/* Runs git in dir; the words end with NULL. Its status; what it printed stands in *output_ret (may be NULL), to be freed. */
static int git(const char *dir, char **output_ret, ...)
{
	const char *argv[GIT_WORDS_MAX] = { "git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-c",
					    "gc.auto=0", "-c", "maintenance.auto=false", "-c", "submodule.recurse=false" };
	struct child c = { .argv = argv, .dir = dir };
	size_t n = 11;
	va_list ap;
	int status;

	va_start(ap, output_ret);
	while (n < GIT_WORDS_MAX - 1 && (argv[n] = va_arg(ap, const char *)))
		n++;
	va_end(ap);
	status = child_run(&c);
	if (output_ret)
		*output_ret = c.output;
	else
		free(c.output);
	return status;
}

/* The first line that git prints, to be freed; NULL if it fails. */
static char *git_word(const char *dir, const char *verb, const char *option, const char *what)
{
	char *output = NULL;

	if (git(dir, &output, verb, option, what, NULL) || !output) {
		free(output);
		return NULL;
	}
	output[strcspn(output, "\n")] = '\0';
	return output;
}

static int resolve(const struct git_opts *o, const char *rev, char **commit_ret, char *why, size_t why_nbytes)
{
	char *text = NULL, *output = NULL, line[256];
	int status = asprintf(&text, "%s^{commit}", rev) < 0 ? -ENOMEM :
							       git(o->repo, &output, "rev-parse", "--verify", "--end-of-options", text, NULL);

	if (!status) {
		/* Some versions print the option too. */
		text_last_line(output, line, sizeof(line));
		status = line_set(commit_ret, line);
	} else if (status == 127) {
		snprintf(why, why_nbytes, "git is not installed, or %s is no folder", o->repo);
	} else {
		snprintf(why, why_nbytes, "%s: no commit '%s': %s", o->repo, rev, text_last_line(output, line, sizeof(line)));
	}
	free(text);
	free(output);
	return status;
}

/* ---- the worktree ---- */

static void remove_tree(struct git_line *g)
{
	const char *argv[] = { "rm", "-rf", "--", g->tree, NULL };
	struct child rm = { .argv = argv };

	git(g->opts->repo, NULL, "worktree", "remove", "--force", "--force", g->tree, NULL);
	if (!access(g->tree, F_OK)) /* one that git knows nothing of */
		child_run(&rm);
	free(rm.output);
}

static int add_tree(struct git_line *g, char *why, size_t why_nbytes)
{
	char *output = NULL, line[256];
	int status;

	remove_tree(g);
	status = git(g->opts->repo, &output, "worktree", "add", "--force", "--detach", g->tree, g->line.bad, NULL);
	g->has_tree = !status;
	if (status)
		snprintf(why, why_nbytes, "%s: git cannot make a worktree in %s: %s", g->opts->repo, g->tree,
			 text_last_line(output, line, sizeof(line)));
	free(output);
	return status ? -EIO : 0;
}

/* What the last build or script left goes, so that no revision is judged by another's files. */
static int clean(struct git_line *g)
{
	char *output = NULL, line[256];
	int status = git(g->tree, &output, "reset", "--hard", "--quiet", NULL);

	if (!status) {
		free(output);
		status = git(g->tree, &output, "clean", "-ffdxq", NULL);
	}
	if (status)
		snprintf(g->line.why, sizeof(g->line.why), "git cannot clean the worktree %.700s: %s", g->tree,
			 text_last_line(output, line, sizeof(line)));
	free(output);
	return status ? -EIO : 0;
}

/* Puts a commit's content there, and nothing else. */
static int switch_to(struct git_line *g, const char *id)
{
	char *output = NULL, line[256], *head;
	int status = clean(g);

	if (status)
		return status;
	head = git_word(g->tree, "rev-parse", "--verify", "HEAD");
	if (!head || strcmp(head, id)) {
		status = git(g->tree, &output, "checkout", "--quiet", "--force", "--detach", id, NULL);
		if (status)
			snprintf(g->line.why, sizeof(g->line.why), "git cannot check it out: %s", text_last_line(output, line, sizeof(line)));
	}
	free(head);
	free(output);
	return status ? -ECANCELED : 0;
}

/* ---- builds ---- */

static int copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, err = 0;
	struct stat st;
	ssize_t n = 1;

	if (in < 0 || fstat(in, &st) || (out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700)) < 0)
		err = -errno;
	while (!err && n > 0) {
		n = sendfile(out, in, NULL, 1 << 24);
		err = n < 0 ? -errno : 0;
	}
	if (in >= 0)
		close(in);
	if (out >= 0 && close(out) && !err)
		err = -errno;
	return err;
}

/* Where the library of a tree is kept. */
static int kept_path(const struct git_line *g, const char *id, char path[PATH_MAX])
{
	const struct git_opts *o = g->opts;
	const char *name = strrchr(o->lib, '/') ? strrchr(o->lib, '/') + 1 : o->lib;
	char *rev = NULL, *tree, *key = NULL;
	int len = -1;

	if (asprintf(&rev, "%s^{tree}", id) < 0)
		return -ENOMEM;
	tree = git_word(o->repo, "rev-parse", "--verify", rev);
	if (tree && asprintf(&key, "%s\n%s\n%s", tree, o->build ? o->build : "", o->lib) >= 0) {
		XXH128_hash_t h = XXH3_128bits(key, strlen(key));

		len = snprintf(path, PATH_MAX, "%s/%016" PRIx64 "%016" PRIx64 "-%s", o->builds ? o->builds : o->folder, h.high64,
			       h.low64, name);
	}
	free(rev);
	free(tree);
	free(key);
	return len < 0 ? -ENOMEM : len >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* A commit's content, built. */
static int prepare(struct git_line *g, const char *id)
{
	const struct git_opts *o = g->opts;
	const char *argv[] = { "/bin/sh", "-c", o->build, NULL };
	char log[PATH_MAX + 16], line[512], took[HUMAN_MAX];
	struct child c = { .argv = argv, .dir = g->tree, .log = log, .timeout_ns = o->build_timeout_ns };
	int status;

	if (g->ready && !strcmp(g->ready, id))
		return 0;
	free(g->ready);
	g->ready = NULL;
	status = switch_to(g, id);
	if (status)
		return status;
	snprintf(log, sizeof(log), "%s/build.log", o->folder);
	status = o->build ? child_run(&c) : 0;
	if (status < 0)
		return status;
	if (status == CHILD_TIMED_OUT && o->build_timeout_ns) {
		snprintf(g->line.why, sizeof(g->line.why), "does not build within %s (--build-timeout)", human_ns(took, o->build_timeout_ns));
		return -ECANCELED;
	}
	if (status) {
		snprintf(g->line.why, sizeof(g->line.why), "does not build (status %d): %s", status,
			 log_reason(log, line, sizeof(line)));
		return -ECANCELED;
	}
	return line_set(&g->ready, id);
}

static const char *checkout(struct line *l, const char *id)
{
	return prepare(of(l), id) ? NULL : of(l)->tree;
}

static int library(struct line *l, const char *id, char path[PATH_MAX])
{
	struct git_line *g = of(l);
	char built[2 * PATH_MAX], part[PATH_MAX + 8];
	int err;

	path[0] = '\0';
	if (!g->opts->lib)
		return 0; /* a script does without */
	err = kept_path(g, id, path);
	if (err || !access(path, R_OK))
		return err;
	err = prepare(g, id);
	if (err)
		return err;
	snprintf(built, sizeof(built), "%s/%s", g->tree, g->opts->lib);
	if (access(built, R_OK)) {
		snprintf(l->why, sizeof(l->why), "its build makes no %s", g->opts->lib);
		return -ECANCELED;
	}
	snprintf(part, sizeof(part), "%s.part", path);
	err = copy_file(built, part);
	if (!err && rename(part, path))
		err = -errno;
	if (err)
		snprintf(l->why, sizeof(l->why), "%.400s cannot be kept as %.400s: %s", built, path, strerror(-err));
	return err;
}

/* ---- bisecting ---- */

static bool is_hex(const char *text, size_t n)
{
	while (n && isxdigit((unsigned char)*text)) {
		text++;
		n--;
	}
	return !n;
}

/* "Bisecting: 12 revisions left to test after this (roughly 4 steps)" */
static void read_steps(struct line *l, const char *line)
{
	const char *roughly = strstr(line, "(roughly ");

	if (roughly)
		l->nr_steps = (unsigned)strtoul(roughly + 9, NULL, 10) + 1;
}

static int add_open(struct line *l, const char *id, size_t n)
{
	char **open = reallocarray(l->open, l->nr_open + 1, sizeof(*open));

	if (!open)
		return -ENOMEM;
	l->open = open;
	open[l->nr_open] = strndup(id, n);
	return open[l->nr_open++] ? 0 : -ENOMEM;
}

/* What git bisect says: it has found it, only skipped ones are left, or another one is checked out. */
static int understand(struct line *l, int status, const char *output)
{
	static const char found[] = " is the first bad commit";
	bool listing = false;
	char last[256];
	int err = 0;

	l->state = LINE_NEXT;
	for (const char *line = output; *line && !err && l->state != LINE_FOUND;) {
		size_t n = strcspn(line, "\n"), id = strcspn(line, " \n");

		if (!strncmp(line + id, found, sizeof(found) - 1) && is_hex(line, id)) {
			free(l->current);
			l->current = strndup(line, id);
			l->state = LINE_FOUND;
			err = l->current ? 0 : -ENOMEM;
		} else if (listing && n == id && n >= 40 && is_hex(line, n)) {
			err = add_open(l, line, n);
		}
		listing |= !strncmp(line, "The first bad commit could be any of", 36);
		if (!strncmp(line, "Bisecting: ", 11))
			read_steps(l, line);
		line += n + (line[n] == '\n');
	}
	if (err || l->state == LINE_FOUND)
		return err;
	if (l->nr_open) {
		l->state = LINE_OPEN;
		return 0;
	}
	if (status) {
		snprintf(l->why, sizeof(l->why), "git bisect: %s", text_last_line(output, last, sizeof(last)));
		return -EIO;
	}
	free(l->current);
	l->current = git_word(of(l)->tree, "rev-parse", "--verify", "HEAD");
	return l->current ? 0 : -EIO;
}

static int start(struct line *l)
{
	struct git_line *g = of(l);
	const struct git_opts *o = g->opts;
	const char **argv = calloc(o->nr_paths + 12, sizeof(*argv));
	struct child c = { .argv = argv, .dir = g->tree };
	size_t n = 0;
	int status;

	if (!argv)
		return -ENOMEM;
	free(g->ready);
	g->ready = NULL;
	if (switch_to(g, l->bad)) {
		free(argv);
		return -EIO;
	}
	argv[n++] = "git";
	argv[n++] = "-c";
	argv[n++] = "core.hooksPath=/dev/null";
	argv[n++] = "bisect";
	argv[n++] = "start";
	if (o->first_parent)
		argv[n++] = "--first-parent";
	argv[n++] = l->bad;
	argv[n++] = l->good;
	argv[n++] = "--";
	for (size_t i = 0; i < o->nr_paths; i++)
		argv[n++] = o->paths[i];
	status = child_run(&c);
	free(argv);
	status = c.output ? understand(l, status, c.output) : status;
	free(c.output);
	return status;
}

static int mark(struct line *l, enum line_word word)
{
	static const char *const words[] = { "good", "bad", "skip" };
	char *output = NULL;
	int err = clean(of(l)), status;

	free(of(l)->ready);
	of(l)->ready = NULL;
	if (err)
		return err;
	status = git(of(l)->tree, &output, "bisect", words[word], l->current, NULL);
	err = output ? understand(l, status, output) : -ENOMEM;
	free(output);
	return err;
}

/* ---- what is known of a revision ---- */

static char *title(struct line *l, const char *id)
{
	char *output = NULL;

	if (git(of(l)->opts->repo, &output, "show", "--no-patch", "--no-color", "--no-show-signature", "--format=%s", id, NULL) || !output) {
		free(output);
		return NULL;
	}
	output[strcspn(output, "\n")] = '\0';
	return output;
}

static char *message(struct line *l, const char *id)
{
	char *output = NULL;

	if (git(of(l)->opts->repo, &output, "show", "--no-patch", "--no-color", "--no-show-signature",
		"--format=%an <%ae>, %ad%n%n%B", id, NULL)) {
		free(output);
		return NULL;
	}
	return output;
}

static char *before(struct line *l, const char *id)
{
	char *rev = NULL, *commit = asprintf(&rev, "%s^1", id) < 0 ? NULL : git_word(of(l)->opts->repo, "rev-parse", "--verify", rev);

	free(rev);
	return commit;
}

/* From good to bad; git's order of topology, in which no parent stands behind its child. */
static int read_order(struct git_line *g)
{
	char *output = NULL, *range = NULL;
	int err = 0;

	if (asprintf(&range, "%s..%s", g->line.good, g->line.bad) < 0)
		return -ENOMEM;
	if (!git(g->opts->repo, &output, "rev-list", "--topo-order", "--reverse", range, NULL) && output) {
		size_t max = g->line.bad ? strlen(output) / strlen(g->line.bad) + 1 : 0;

		g->order = calloc(max, sizeof(*g->order));
		err = g->order ? 0 : -ENOMEM;
		for (char *at = output, *line; !err && g->nr_order < max && (line = strsep(&at, "\n"));)
			if (*line)
				err = line_set(&g->order[g->nr_order++], line);
	}
	free(range);
	free(output);
	return err;
}

static size_t place(struct line *l, const char *id)
{
	struct git_line *g = of(l);

	for (size_t i = 0; i < g->nr_order; i++)
		if (!strcmp(g->order[i], id))
			return i + 1;
	return 0; /* good, or what is older */
}

static void close_line(struct line *l)
{
	struct git_line *g = of(l);

	if (g->has_tree && !g->opts->keep)
		remove_tree(g);
	for (size_t i = 0; i < g->nr_order; i++)
		free(g->order[i]);
	free(g->order);
	free(g->ready);
	line_free_texts(l);
	free(l);
}

struct line *line_of_git(const struct git_opts *opts, char *why, size_t why_nbytes)
{
	static const struct line_ops ops = { .start = start, .mark = mark, .library = library, .checkout = checkout, .title = title,
					     .message = message, .before = before, .place = place, .close = close_line };
	struct git_line *g = calloc(1, sizeof(*g));
	int err;

	snprintf(why, why_nbytes, "out of memory");
	if (!g)
		return NULL;
	/* Git is to find the repository by its folder alone, and to speak as it is read here. */
	for (size_t i = 0; i < 5; i++)
		unsetenv((const char *[]){ "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX" }[i]);
	setenv("LC_ALL", "C", 1);
	g->line.ops = &ops;
	g->opts = opts;
	snprintf(g->tree, sizeof(g->tree), "%s/tree", opts->folder);
	err = resolve(opts, opts->good, &g->line.good, why, why_nbytes);
	if (!err)
		err = resolve(opts, opts->bad, &g->line.bad, why, why_nbytes);
	if (!err)
		err = read_order(g);
	if (!err && !strcmp(g->line.good, g->line.bad)) {
		snprintf(why, why_nbytes, "--good and --bad are the same commit");
		err = -EINVAL;
	}
	if (!err)
		err = add_tree(g, why, why_nbytes);
	if (err) {
		close_line(&g->line);
		return NULL;
	}
	return &g->line;
}
