/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events.h - events to columns and back (TAPE.md "EVENTS"). Knows neither files nor zstd.
 *
 * A block's events are coded by themselves: nothing is carried from one call to the next but memory.
 */
#ifndef HEAPTAPE_EVENTS_H
#define HEAPTAPE_EVENTS_H

#include "bytes.h"
#include "tape.h"

/* The numbers stand on disk. */
enum events_column {
	COLUMN_HEAD = 0,    /* time unit, address alignment and the directory of the others */
	COLUMN_SHAPE = 1,   /* kind, flags, allocator and which fields follow, as one number */
	COLUMN_THREAD = 2,  /* runs */
	COLUMN_CPU = 3,     /* where it differs from the thread's last */
	COLUMN_TIME = 4,
	COLUMN_SIZE = 5,
	COLUMN_BACK = 6,    /* blocks that go: distance to the event of their birth */
	COLUMN_GONE = 7,    /* ... their addresses, where that is in another block */
	COLUMN_PICK = 8,    /* births: which of the freed addresses it is */
	COLUMN_FRESH = 9,   /* ... their addresses, where it is none */
	COLUMN_PLACE = 10,  /* addr and old of events that are no calls */
	COLUMN_ARG = 11,
	COLUMN_STACK = 12,
	COLUMN_NR,
};

struct events_encoder;

struct events_encoder *events_encoder_new(void);
void events_encoder_free(struct events_encoder *e);
/*
 * Encodes nr events (1 .. BLOCK_EVENTS_NR_MAX) whose times do not fall; times are rounded down to the unit.
 * *columns_ret: COLUMN_NR parts of the payload, in order, valid until the next call. 0 or -ENOMEM.
 */
int events_encode(struct events_encoder *e, const struct tape_event *evs, size_t nr, uint64_t unit_ns,
		  const struct bytes **columns_ret);

/* The same for a keyframe at at_ns: times may fall, and are coded with their signs, the first against at_ns. */
int events_encode_keyframe(struct events_encoder *e, const struct tape_event *evs, size_t nr, uint64_t at_ns,
			   uint64_t unit_ns, const struct bytes **columns_ret);

struct events_decoder;

struct events_decoder *events_decoder_new(void);
void events_decoder_free(struct events_decoder *d);
/*
 * Decodes a payload of nr events of which the first is at first_ns into evs, which has room for them.
 * 0, -ENOMEM, -ENOTSUP or -EBADMSG with *why_ret.
 */
int events_decode(struct events_decoder *d, struct cursor payload, uint64_t first_ns, uint64_t last_ns, size_t nr,
		  struct tape_event *evs, const char **why_ret);
/* The same for a keyframe at at_ns, whose events are births, and blocks given up, from before. */
int events_decode_keyframe(struct events_decoder *d, struct cursor payload, uint64_t at_ns, size_t nr,
			   struct tape_event *evs, const char **why_ret);
/* The same for a STATE block. */
int events_decode_state(struct events_decoder *d, struct cursor payload, uint64_t at_ns, size_t nr, struct tape_event *evs,
			const char **why_ret);

#endif
