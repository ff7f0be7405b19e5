/* SPDX-License-Identifier: BSD-2-Clause */
/* tape_open.c - see tape_open.h. */
#include "tape_open.h"

#include <errno.h>
#include <inttypes.h>

#include "formats/process_folder.h"
#include "message.h"

/* Once: of several processes this is one. */
static void tell_others(const char *path)
{
	static bool told;
	struct process_folder folder;

	if (told || process_folder_read(path, &folder))
		return;
	told = true;
	if (folder.nr > 1)
		message_info("%s holds the tapes of %zu processes; this is the first, %s/%s, and another is named like that: see heaptape info %s",
			     path, folder.nr, path, folder.tapes[0].file, path);
	process_folder_free(&folder);
}

struct tape_reader *tape_open(const char *path, bool salvage)
{
	struct tape_reader_opts opts = { .salvage = salvage };
	struct tape_reader *r;
	int err = tape_reader_open(path, &opts, &r);

	if (err == -ENOTSUP)
		message_error("%s: %s; use a newer heaptape", path, tape_reader_error(NULL));
	else if (err == -EBADMSG)
		message_error("%s: %s; give a file that heaptape record wrote", path, tape_reader_error(NULL));
	else if (err)
		message_error("%s: %s", path, tape_reader_error(NULL));
	else
		tell_others(path);
	return r;
}

void tape_print_error(const char *path, const struct tape_reader *r, uint64_t nr_events)
{
	const char *why = tape_reader_error(r);
	char count[HUMAN_MAX];

	if (!*why) { /* not the tape's fault */
		message_error("%s: out of memory after %s events", path, human_count(count, nr_events));
		return;
	}
	message_error("%s: %s; %" PRIu64 " blocks (%s events) are readable, use --salvage to read all that are whole",
		      path, why, tape_reader_nr_blocks(r), human_count(count, nr_events));
}

void tape_warn_incomplete(const char *path, const struct tape_reader *r)
{
	uint64_t bad = tape_reader_nr_bad_blocks(r);

	if (bad)
		message_warn("%s: %" PRIu64 " damaged block%s passed over; every number here lacks them", path, bad,
			     bad == 1 ? " was" : "s were");
	if (!tape_reader_complete(r))
		message_warn("%s: the tape has no end (recorder killed, or file cut off); read up to its last whole block",
			     path);
}
