/* SPDX-License-Identifier: BSD-2-Clause */
/* find_options.h - --debug-dir and --debuginfod, of every verb that names code. */
#ifndef HEAPTAPE_FIND_OPTIONS_H
#define HEAPTAPE_FIND_OPTIONS_H

#include "command.h"
#include "formats/tape.h"
#include "symbols/find.h"

#define FIND_DEBUG_DIRS_MAX 16

#define FIND_OPTION_ROWS                                                                                                         \
	{ "debug-dir", 'D', "DIR", "look for binaries and debug files there first (may be given several times)" },               \
	{ "debuginfod", 'N', NULL, "ask the servers that DEBUGINFOD_URLS names for debug files that are not on this\n"            \
				   "machine; without it the network is never touched" }

struct find_options {
	const char *debug_dirs[FIND_DEBUG_DIRS_MAX];
	size_t nr_debug_dirs;
	bool debuginfod;
	unsigned nr_told;
};

/* Takes 'D' and 'N'. 0, or EXIT_USAGE after printing what is wrong. */
int find_options_take(struct find_options *o, const struct command *cmd, int option, const char *value);
/* How to find what the tape speaks of; o must live as long. What is not used, and why, is warned of, as o->nr_told counts. */
struct find find_options_for(struct find_options *o, const struct tape_reader *r);

#endif
