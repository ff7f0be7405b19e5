/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * line.h - what is bisected: revisions of a repository, or libraries in order. Both ends are given.
 *
 * A line knows which one is to be judged next, and makes the library of any. It judges nothing. One thread at a time;
 * 0 or -errno, with the reason in line.why.
 */
#ifndef HEAPTAPE_BISECT_LINE_H
#define HEAPTAPE_BISECT_LINE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line_state { LINE_NEXT, LINE_FOUND, LINE_OPEN };
enum line_word { LINE_GOOD, LINE_BAD, LINE_SKIP };

struct line {
	const struct line_ops *ops;
	enum line_state state;
	char *current;     /* LINE_NEXT: the one to be judged; LINE_FOUND: the first bad one */
	char *good, *bad;  /* the ends */
	unsigned nr_steps; /* that are left, about */
	char **open;       /* LINE_OPEN: it is one of these, the others of which were skipped */
	size_t nr_open;
	char why[1024];
};

struct line_ops {
	/* Finds what comes first; sets state and current, as mark does. */
	int (*start)(struct line *l);
	int (*mark)(struct line *l, enum line_word word);
	/* Path of the library of any of them, made if it must be. -ECANCELED: it cannot be made, line.why says why. */
	int (*library)(struct line *l, const char *id, char path[PATH_MAX]);
	/* A folder with the content of `id`, built, for scripts; valid until the next of any of these. NULL: none, line.why says why */
	const char *(*checkout)(struct line *l, const char *id);
	/* One line; and all that is known. To be freed, NULL: nothing. */
	char *(*title)(struct line *l, const char *id);
	char *(*message)(struct line *l, const char *id);
	/* The one before, to be freed; NULL: there is none. */
	char *(*before)(struct line *l, const char *id);
	/* A number that grows from good to bad. */
	size_t (*place)(struct line *l, const char *id);
	void (*close)(struct line *l);
};

/* Shared by both kinds. */
int line_set(char **to, const char *text);
void line_free_texts(struct line *l);

/* Libraries in order, the first good, the last bad. */
struct line *line_of_candidates(char **libs, size_t nr);

struct git_opts {
	const char *repo, *good, *bad;
	const char *build; /* command of a shell; NULL: nothing is built */
	const char *lib;   /* relative to a worktree; NULL: scripts only */
	bool first_parent, keep;
	char *const *paths; /* that commits must touch */
	size_t nr_paths;
	const char *folder; /* private, for the worktree */
	uint64_t build_timeout_ns; /* 0: none */
	const char *builds; /* what was built, by tree and command; NULL: nothing is kept */
};
/*
 * A worktree of its own in opts->folder (one that is left there is taken away first); the user's checkout, branches, index
 * and refs/bisect are never touched. NULL with the reason in `why`. opts must live as long.
 */
struct line *line_of_git(const struct git_opts *opts, char *why, size_t why_nbytes);

static inline void line_close(struct line *l)
{
	if (l)
		l->ops->close(l);
}

#endif
