/* SPDX-License-Identifier: BSD-2-Clause */
/* find_options.c - see find_options.h. */
#include "find_options.h"

#include "message.h"
#include "symbols/debuginfod.h"

#define TOLD_MAX 10 /* files that are another build's: after an upgrade of the system it may be all of them */

int find_options_take(struct find_options *o, const struct command *cmd, int option, const char *value)
{
	const char *missing;

	if (option == 'D') {
		if (o->nr_debug_dirs == FIND_DEBUG_DIRS_MAX)
			return command_usage_error(cmd, "more than %d times --debug-dir", FIND_DEBUG_DIRS_MAX);
		o->debug_dirs[o->nr_debug_dirs++] = value;
	} else {
		missing = debuginfod_missing();
		if (missing)
			return command_usage_error(cmd, "--debuginfod cannot be done: %s", missing);
		o->debuginfod = true;
	}
	return 0;
}

static void tell(void *arg, const char *line)
{
	struct find_options *o = arg;

	if (o->nr_told < TOLD_MAX || message_level > 0)
		message_warn("%s", line);
	else if (o->nr_told == TOLD_MAX)
		message_warn("... and others; -v shows all");
	o->nr_told++;
}

struct find find_options_for(struct find_options *o, const struct tape_reader *r)
{
	return (struct find){ .debug_dirs = o->debug_dirs,
			      .nr_debug_dirs = o->nr_debug_dirs,
			      .root_fd = -1,
			      .recorded_at = tape_reader_meta_u64(r, "start_unix_ns", 0) / 1000000000,
			      .debuginfod = o->debuginfod,
			      .tell = tell,
			      .arg = o };
}
