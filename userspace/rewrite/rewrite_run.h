/* SPDX-License-Identifier: BSD-2-Clause */
/* rewrite_run.h - what the verbs that make a tape of another share: files, progress, the words at the end. */
#ifndef HEAPTAPE_REWRITE_RUN_H
#define HEAPTAPE_REWRITE_RUN_H

#include "rewrite/rewrite.h"

/* Exit status. */
int rewrite_run(const char *path, const char *out_path, bool salvage, struct rewrite_opts *opts);

#endif
