/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tape_reader.c - what the blocks of a tape mean: see tape.h and TAPE.md.
 *
 * Memory: one block (payload and events) and the dictionaries, whatever the file's length.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "block_file.h"
#include "dict.h"
#include "events.h"
#include "keyframe.h"
#include "meta.h"
#include "names.h"
#include "process_folder.h"
#include "segments.h"
#include "tape.h"

#define END_NBYTES (BLOCK_HEAD_NBYTES + 16) /* of the whole END block */
#define WANTED \
	(1u << BLOCK_META | 1u << BLOCK_DICT | 1u << BLOCK_EVENTS | 1u << BLOCK_INDEX | 1u << BLOCK_END | 1u << BLOCK_NAMES | \
	 1u << BLOCK_KEYFRAME | 1u << BLOCK_SEGMENT | 1u << BLOCK_STATE)

struct tape_reader {
	struct block_file file;
	struct dict_reader *dict;
	struct events_decoder *decoder;
	struct meta meta;
	uint64_t meta_end; /* META blocks in front of this offset are in `meta` already */
	struct names_reader *names; /* NULL: nobody asked for them */
	uint64_t names_end; /* the same for NAMES blocks */
	struct tape_event *events;
	size_t nr_events, cap_events, next_event;
	uint64_t last_ns;
	struct segment start;    /* where reading begins */
	uint64_t keyframe_at;    /* next block on the way through its keyframe; 0: that is behind us */
	uint64_t nr_segments, nr_keyframes;
	uint64_t events_told; /* by the END block; 0: there is none */
	int err; /* stays, until a rewind: what lies behind a refused block is not read */
};

static _Thread_local char open_error[sizeof(((struct block_file *)0)->why)];

/* META and NAMES: blocks that are wanted before the events, wherever they stand. */
static int take_fact(struct tape_reader *r, const struct block_head *head, struct cursor payload, const char **why_ret)
{
	if (head->kind == BLOCK_NAMES)
		return names_reader_add(r->names, payload, head->count, why_ret);
	return meta_add(&r->meta, payload, head->count, why_ret);
}

/* All blocks of a kind that the index names. 0, or an error that makes the caller walk the heads instead. */
static int load_by_index(struct tape_reader *r, uint16_t kind, struct cursor index, uint32_t nr)
{
	uint64_t offset = FILE_HEAD_NBYTES;

	for (; nr && !index.bad; nr--) {
		uint64_t its_kind = cursor_varint(&index);
		struct block_head head;
		struct cursor payload;
		const char *why;

		offset += cursor_varint(&index);
		for (unsigned skip = 0; skip < 3; skip++)
			cursor_varint(&index);
		if (its_kind != kind || index.bad)
			continue;
		if (block_file_at(&r->file, offset, &head, &payload) || head.kind != kind ||
		    take_fact(r, &head, payload, &why))
			return -EBADMSG;
	}
	return index.bad ? -EBADMSG : 0;
}

/* The offset of the INDEX block by the END block at the file's end; 0 if there is none. */
static uint64_t find_index(struct tape_reader *r)
{
	struct block_head head;
	struct cursor payload;

	if (r->file.nbytes < FILE_HEAD_NBYTES + END_NBYTES)
		return 0;
	if (block_file_at(&r->file, r->file.nbytes - END_NBYTES, &head, &payload) || head.kind != BLOCK_END ||
	    cursor_left(&payload) < 16)
		return 0;
	r->events_told = get_u64(payload.p + 8);
	return get_u64(payload.p);
}

/* Without an index: from head to head up to the first that is not whole, whose offset is returned. Reading refuses or
 * salvages later. */
static uint64_t load_by_heads(struct tape_reader *r, uint16_t kind)
{
	uint64_t offset = FILE_HEAD_NBYTES;
	struct block_head head;
	struct cursor payload;
	const char *why;

	while (block_file_head_at(&r->file, offset, &head, &why) == 0) {
		if (head.stored_nbytes > r->file.nbytes - offset - BLOCK_HEAD_NBYTES)
			break;
		if (head.kind == kind &&
		    (block_file_at(&r->file, offset, &head, &payload) || take_fact(r, &head, payload, &why)))
			break;
		offset += BLOCK_HEAD_NBYTES + head.stored_nbytes;
	}
	return offset;
}

/* All whole blocks of a kind; the offset in front of which there are no others. What was taken by a false index is given
 * up by `drop` before the heads are walked. */
static uint64_t load_kind(struct tape_reader *r, uint16_t kind, void (*drop)(struct tape_reader *r))
{
	uint64_t offset = find_index(r);
	struct block_head head;
	struct cursor payload;
	struct bytes copy = { 0 };
	bool loaded;

	/* The payload is copied: reading the blocks that it names uses the same buffers. */
	loaded = offset && block_file_at(&r->file, offset, &head, &payload) == 0 && head.kind == BLOCK_INDEX &&
		 bytes_append(&copy, payload.p, cursor_left(&payload)) == 0 &&
		 load_by_index(r, kind, cursor_of(copy.data, copy.nbytes), head.count) == 0;
	bytes_free(&copy);
	if (loaded)
		return r->file.nbytes;
	drop(r);
	return load_by_heads(r, kind);
}

static void drop_meta(struct tape_reader *r)
{
	meta_free(&r->meta);
}

/* Names that an index led to were whole blocks' and stay: the same are found again. */
static void drop_nothing(struct tape_reader *r)
{
	(void)r;
}

int tape_reader_load_names(struct tape_reader *r)
{
	if (r->names)
		return 0;
	r->names = names_reader_new();
	if (!r->names)
		return -ENOMEM;
	r->names_end = load_kind(r, BLOCK_NAMES, drop_nothing);
	return 0;
}

/* The tape's first block is a SEGMENT: what came before is missing. */
static bool starts_late(struct tape_reader *r)
{
	struct block_head head;
	const char *why;

	return block_file_head_at(&r->file, FILE_HEAD_NBYTES, &head, &why) == 0 && head.kind == BLOCK_SEGMENT;
}

static void go_to_start(struct tape_reader *r)
{
	r->nr_events = r->next_event = 0;
	r->last_ns = r->nr_segments = r->nr_keyframes = 0;
	r->err = 0;
	r->keyframe_at = r->start.offset;
	if (r->start.offset)
		block_file_go(&r->file, r->start.offset);
	else
		block_file_rewind(&r->file);
}

static void begin_at(struct tape_reader *r, uint64_t ns)
{
	segments_find(&r->file, ns, &r->start);
	go_to_start(r);
}

/* Of a folder of processes' tapes the first is taken. */
static int open_folder(const char *path, const struct tape_reader_opts *opts, struct tape_reader **r_ret)
{
	struct process_folder folder;
	char *file = NULL;
	int err = process_folder_read(path, &folder);

	if (!err && asprintf(&file, "%s/%s", path, folder.tapes[0].file) < 0)
		err = -ENOMEM;
	if (!err)
		err = tape_reader_open(file, opts, r_ret);
	else
		snprintf(open_error, sizeof(open_error), "cannot open: this is a directory without segments and without tapes of processes, not a tape");
	free(file);
	process_folder_free(&folder);
	return err == -ENOENT ? -EISDIR : err;
}

int tape_reader_open(const char *path, const struct tape_reader_opts *opts, struct tape_reader **r_ret)
{
	struct tape_reader *r = calloc(1, sizeof(*r));
	int err;

	*r_ret = NULL;
	snprintf(open_error, sizeof(open_error), "out of memory");
	if (!r)
		return -ENOMEM;
	err = block_file_open(&r->file, path, opts && opts->salvage);
	if (err == -EISDIR) {
		tape_reader_close(r);
		return open_folder(path, opts, r_ret);
	}
	if (err)
		snprintf(open_error, sizeof(open_error), "%s", r->file.why);
	r->dict = dict_reader_new();
	r->decoder = events_decoder_new();
	if (!err && (!r->dict || !r->decoder))
		err = -ENOMEM;
	if (err) {
		tape_reader_close(r);
		return err;
	}
	r->meta_end = load_kind(r, BLOCK_META, drop_meta); /* how the recording ended stands behind the events */
	if (starts_late(r))
		begin_at(r, 0);
	open_error[0] = 0;
	*r_ret = r;
	return 0;
}

void tape_reader_close(struct tape_reader *r)
{
	if (!r)
		return;
	block_file_close(&r->file);
	dict_reader_free(r->dict);
	events_decoder_free(r->decoder);
	meta_free(&r->meta);
	names_reader_free(r->names);
	free(r->events);
	free(r);
}

const char *tape_reader_error(const struct tape_reader *r)
{
	return r ? r->file.why : open_error;
}

static int room_for_events(struct tape_reader *r, uint32_t nr, const char **why_ret)
{
	struct tape_event *events;

	if (nr <= r->cap_events)
		return 0;
	events = reallocarray(r->events, nr, sizeof(*events));
	if (!events)
		return *why_ret = "out of memory", -ENOMEM;
	r->events = events;
	r->cap_events = nr;
	return 0;
}

static int take_events(struct tape_reader *r, const struct block_head *head, struct cursor payload,
		       const char **why_ret)
{
	int err;

	if (head->first_ns < r->last_ns)
		return *why_ret = "its time lies before that of the blocks in front of it", -EBADMSG;
	err = room_for_events(r, head->count, why_ret);
	if (err)
		return err;
	err = events_decode(r->decoder, payload, head->first_ns, head->last_ns, head->count, r->events, why_ret);
	if (err)
		return err;
	r->nr_events = head->count;
	r->last_ns = head->last_ns;
	return 0;
}

/* Objects that lived when reading begins, or the state as of then, as events that come before all others. */
static int take_keyframe(struct tape_reader *r, const struct block_head *head, struct cursor payload, const char **why_ret)
{
	uint64_t left;
	int err = keyframe_left(&payload, &left, why_ret);

	if (!err)
		err = room_for_events(r, head->count, why_ret);
	if (!err)
		err = (head->kind == BLOCK_STATE ? events_decode_state : events_decode_keyframe)(
			r->decoder, payload, head->first_ns, head->count, r->events, why_ret);
	if (err)
		return err;
	for (uint32_t i = 0; i < head->count; i++)
		r->events[i].flags |= TAPE_KEPT;
	r->nr_events = head->count;
	return 0;
}

/* The next block of the keyframe with objects in it, and the dictionaries in front. 1; 0: there is none; -errno. */
static int next_keyframe(struct tape_reader *r)
{
	struct block_head head;
	struct cursor payload;

	while (r->keyframe_at && (r->keyframe_at = block_file_after(&r->file, r->keyframe_at, &head)) < r->start.end) {
		uint64_t offset = r->keyframe_at;
		const char *why = NULL;
		int err = 0;

		r->keyframe_at += BLOCK_HEAD_NBYTES + head.stored_nbytes;
		if (head.kind != BLOCK_KEYFRAME && head.kind != BLOCK_STATE && head.kind != BLOCK_DICT)
			continue;
		err = block_file_load(&r->file, offset, &head, &payload, &why);
		if (!err && head.kind == BLOCK_DICT)
			err = dict_reader_add(r->dict, payload, &why);
		else if (!err)
			err = take_keyframe(r, &head, payload, &why);
		if (err && (!r->file.salvage || err == -ENOMEM))
			return block_file_fail_at(&r->file, offset, head.seq, err, why);
		if (r->nr_events) /* a damaged block is passed over here, and counted on the way through the segment */
			return 1;
	}
	r->keyframe_at = 0;
	return 0;
}

/* One (or a state) that is passed on the way: only its checksum, and that it says how many follow, can be held against it. */
static int pass_keyframe(struct tape_reader *r, const struct block_head *head, struct cursor payload, const char **why_ret)
{
	uint64_t left;
	int err = keyframe_left(&payload, &left, why_ret);

	r->nr_keyframes += !err && !left && head->kind == BLOCK_KEYFRAME;
	return err;
}

static int take_block(struct tape_reader *r, const struct block_head *head, struct cursor payload,
		      const char **why_ret)
{
	switch (head->kind) {
	case BLOCK_META:
		return r->file.at < r->meta_end ? 0 : take_fact(r, head, payload, why_ret);
	case BLOCK_NAMES:
		return !r->names || r->file.at < r->names_end ? 0 : take_fact(r, head, payload, why_ret);
	case BLOCK_DICT:
		return dict_reader_add(r->dict, payload, why_ret);
	case BLOCK_EVENTS:
		return take_events(r, head, payload, why_ret);
	case BLOCK_SEGMENT:
		r->nr_segments++;
		return 0;
	case BLOCK_KEYFRAME:
	case BLOCK_STATE:
		return pass_keyframe(r, head, payload, why_ret);
	default:
		return 0; /* INDEX and END were checked as blocks; other kinds are passed by their length */
	}
}

/* Reads on over blocks of these kinds, up to one that brings events. 1, 0 at the end, -errno. */
static int next_blocks(struct tape_reader *r, uint32_t want)
{
	struct block_head head;
	struct cursor payload;
	int got;

	while ((got = block_file_next(&r->file, want, &head, &payload)) > 0) {
		const char *why = NULL;
		/* Others come with their payload unread. */
		int err = head.kind < 32 && want >> head.kind & 1 ? take_block(r, &head, payload, &why) : 0;

		if (err)
			err = block_file_refuse(&r->file, &head, err, why);
		if (err)
			return r->err = err;
		if (r->file.at + BLOCK_HEAD_NBYTES > r->meta_end)
			r->meta_end = r->file.at + BLOCK_HEAD_NBYTES; /* not again after a rewind */
		if (r->file.at + BLOCK_HEAD_NBYTES > r->names_end)
			r->names_end = r->file.at + BLOCK_HEAD_NBYTES;
		if (r->nr_events)
			return 1;
	}
	return r->err = got;
}

/* Reads on to the next block with events. 1, 0 at the end, -errno. */
static int next_events(struct tape_reader *r)
{
	int got;

	r->nr_events = r->next_event = 0;
	if (r->err)
		return r->err;
	got = next_keyframe(r);
	if (got)
		return got < 0 ? r->err = got : got;
	return next_blocks(r, WANTED);
}

int tape_reader_skim(struct tape_reader *r)
{
	r->nr_events = r->next_event = 0;
	return r->err ? r->err : next_blocks(r, WANTED & ~(1u << BLOCK_EVENTS));
}

int tape_reader_next(struct tape_reader *r, struct tape_event *ev)
{
	if (r->next_event == r->nr_events) {
		int got = next_events(r);

		if (got <= 0)
			return got;
	}
	*ev = r->events[r->next_event++];
	return 1;
}

long tape_reader_next_block(struct tape_reader *r, const struct tape_event **evs_ret)
{
	size_t nr;

	*evs_ret = NULL;
	if (r->next_event == r->nr_events) {
		int got = next_events(r);

		if (got <= 0)
			return got;
	}
	nr = r->nr_events - r->next_event;
	*evs_ret = r->events + r->next_event;
	r->next_event = r->nr_events;
	return (long)nr;
}

int tape_reader_rewind(struct tape_reader *r)
{
	struct dict_reader *dict = dict_reader_new();

	if (!dict)
		return -ENOMEM;
	dict_reader_free(r->dict);
	r->dict = dict;
	go_to_start(r);
	return 0;
}

int tape_reader_seek(struct tape_reader *r, uint64_t ns)
{
	segments_find(&r->file, ns, &r->start);
	return tape_reader_rewind(r);
}

uint64_t tape_reader_start_ns(const struct tape_reader *r, bool *keyframe_ret)
{
	if (keyframe_ret)
		*keyframe_ret = r->start.keyframe;
	return r->start.ns;
}

uint64_t tape_reader_events_told(const struct tape_reader *r)
{
	return r->events_told;
}

uint64_t tape_reader_nr_segments(const struct tape_reader *r)
{
	return r->nr_segments;
}

uint64_t tape_reader_nr_keyframes(const struct tape_reader *r)
{
	return r->nr_keyframes;
}

const char *tape_reader_meta(const struct tape_reader *r, const char *key)
{
	return meta_find(&r->meta, key);
}

uint64_t tape_reader_meta_u64(const struct tape_reader *r, const char *key, uint64_t absent)
{
	const char *text = meta_find(&r->meta, key);
	char *end;
	uint64_t value;

	if (!text || *text < '0' || *text > '9')
		return absent;
	errno = 0;
	value = strtoull(text, &end, 10);
	return errno || *end ? absent : value;
}

bool tape_reader_meta_at(const struct tape_reader *r, size_t i, const char **key_ret, const char **value_ret)
{
	if (i >= r->meta.nr)
		return false;
	*key_ret = r->meta.pairs[i].key;
	*value_ret = r->meta.pairs[i].value;
	return true;
}

const char *tape_reader_string(const struct tape_reader *r, uint32_t id)
{
	return dict_reader_string(r->dict, id);
}

uint32_t tape_reader_stack(const struct tape_reader *r, uint32_t id, const struct tape_frame **frames_ret,
			   bool *truncated_ret)
{
	return dict_reader_stack(r->dict, id, frames_ret, truncated_ret);
}

uint32_t tape_reader_names(const struct tape_reader *r, uint32_t module, uint64_t place, const struct tape_name **names_ret)
{
	if (r->names)
		return names_reader_find(r->names, module, place, names_ret);
	*names_ret = NULL;
	return 0;
}

uint64_t tape_reader_nr_names(const struct tape_reader *r)
{
	return r->names ? names_reader_nr_places(r->names) : 0;
}

const struct tape_allocator *tape_reader_allocator(const struct tape_reader *r, uint32_t id)
{
	return dict_reader_allocator(r->dict, id);
}

uint32_t tape_reader_nr_allocators(const struct tape_reader *r)
{
	return dict_reader_nr_allocators(r->dict);
}

uint32_t tape_reader_nr_stacks(const struct tape_reader *r)
{
	return dict_reader_nr_stacks(r->dict);
}

bool tape_reader_complete(const struct tape_reader *r)
{
	return r->file.ended;
}

uint64_t tape_reader_nr_blocks(const struct tape_reader *r)
{
	return r->file.nr_blocks;
}

uint64_t tape_reader_nr_bad_blocks(const struct tape_reader *r)
{
	return r->file.nr_bad;
}

uint64_t tape_reader_file_bytes(const struct tape_reader *r)
{
	return r->file.nbytes;
}
