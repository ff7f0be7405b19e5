/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plan_cache.h - plans are compiled once, and kept beside the tape as TAPE.plan.
 *
 * A kept plan counts only if it was made of these bytes (size, beginning and end of the tape) with these options by this
 * version, and if its file belongs to us or to root and nobody else may write to it: the player executes it. A tape in a folder, which is
 * still being written or cannot be told by its ends, has none. Whatever is not a kept plan is never overwritten.
 */
#ifndef HEAPTAPE_REPLAY_PLAN_CACHE_H
#define HEAPTAPE_REPLAY_PLAN_CACHE_H

#include "replay/plan.h"

/* Takes the plan that is kept for this tape. 0; -ENOENT: there is none that fits; other -errno: it cannot be read. */
int plan_cache_load(const char *tape_path, const struct plan_opts *opts, struct plan *plan);
/*
 * Keeps a plan that was built in plan_cache_dir's folder. 0; -EEXIST: something else has that name; other -errno: it
 * cannot be kept there (no rights, no room), which only means that it is compiled again the next time.
 */
int plan_cache_keep(const char *tape_path, const struct plan_opts *opts, struct plan *plan);
/* For another process of this program: the plan as a new file, whatever it was made of. 0 or -errno. */
int plan_cache_copy(const struct plan *plan, const char *path);
/* That file; it must be ours or root's, and nobody else's to write. As plan_cache_load. */
int plan_cache_open(const char *path, struct plan *plan);
/* The folder that a plan has to be built in to be kept; to be freed, NULL: none, or no memory. */
char *plan_cache_dir(const char *tape_path);

#endif
