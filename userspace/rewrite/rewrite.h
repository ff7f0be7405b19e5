/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rewrite.h - one tape from another: a part of it, or one that tells less.
 *
 * A part that does not begin where the recording did starts with a keyframe.
 */
#ifndef HEAPTAPE_REWRITE_H
#define HEAPTAPE_REWRITE_H

#include "formats/tape.h"

struct rewrite_opts {
	uint64_t from_ns, to_ns; /* events at from_ns and before to_ns */
	bool strip;              /* no stacks, no names, no command line */
	bool no_addresses;       /* only with strip: object numbers in their place */
	bool overwrite;
	void (*progress)(void *arg, uint64_t nr_events);
	void *arg;
};

struct rewrite_result {
	uint64_t nr_events;  /* written */
	uint64_t nr_objects; /* of the keyframe */
	uint64_t nbytes;
	unsigned nr_settings; /* of the allocator, in the environment, that strip left out */
	bool reading; /* it was the reader that failed */
};

/* 0 or -errno; -ERANGE: nothing of the tape lies between the times. On failure no file is left. */
int rewrite_tape(struct tape_reader *r, const char *path, const struct rewrite_opts *opts, struct rewrite_result *res);

#endif
