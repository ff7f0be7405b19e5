/* SPDX-License-Identifier: BSD-2-Clause */
/* rewrite_run.c - see rewrite_run.h. */
#include "rewrite/rewrite_run.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "message.h"
#include "tape_open.h"

static void show_progress(void *arg, uint64_t nr_events)
{
	message_progress_events(arg, "reading", nr_events, 0);
}

static bool is_same_file(const char *a, const char *b)
{
	struct stat sa, sb;

	return stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static void say_failed(const char *path, const char *out_path, const struct tape_reader *tape, int err,
		       const struct rewrite_result *res)
{
	if (res->reading)
		tape_print_error(path, tape, res->nr_events);
	else if (err == -ERANGE)
		message_error("%s: nothing of the tape lies between these times; heaptape info says how long it is", path);
	else if (err == -EEXIST)
		message_error("%s: this file exists; give another name, or -f to overwrite it", out_path);
	else
		message_error("%s: cannot write: %s", out_path, strerror(-err));
}

int rewrite_run(const char *path, const char *out_path, bool salvage, struct rewrite_opts *opts)
{
	char count[HUMAN_MAX], objects[HUMAN_MAX], nbytes[HUMAN_MAX];
	struct rewrite_result res;
	struct tape_reader *tape;
	int err;

	if (is_same_file(path, out_path)) {
		message_error("%s: this is the tape itself; give another output file", out_path);
		return EXIT_FAILED;
	}
	tape = tape_open(path, salvage);
	if (!tape)
		return EXIT_FAILED;
	opts->progress = show_progress;
	opts->arg = (void *)(uintptr_t)path;
	err = rewrite_tape(tape, out_path, opts, &res);
	message_progress(NULL);
	if (err) {
		say_failed(path, out_path, tape, err, &res);
	} else {
		if (opts->to_ns == UINT64_MAX)
			tape_warn_incomplete(path, tape);
		message_info("%s: %s events behind a keyframe of %s objects, %s", out_path, human_count(count, res.nr_events),
			     human_count(objects, res.nr_objects), human_nbytes(nbytes, res.nbytes));
		if (res.nr_settings)
			message_info("%u setting%s of the allocator in the target's environment went too; a replay under it can be given "
				     "them: --alloc NAME,KEY=VALUE", res.nr_settings, res.nr_settings == 1 ? "" : "s");
	}
	tape_reader_close(tape);
	return err ? EXIT_FAILED : EXIT_DONE;
}
