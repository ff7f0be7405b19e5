/* SPDX-License-Identifier: BSD-2-Clause */
/* ring.c - see ring.h. */
#include "record/ring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/block.h"
#include "formats/file_parts.h"
#include "message.h"
#include "record/keyframer.h"

#define FILES_MAX 64           /* beyond, the oldest goes: a reader holds each open */
#define SHARE_OF_KEYFRAMES 10  /* a segment is at least so many keyframes long */
#define SEGMENTS_WANTED 8      /* in a ring, where keyframes are small: what is dropped at once is so much of it */
#define EVENT_NBYTES 4         /* of a block, generously: blocks must be small beside a small ring */
#define BLOCK_EVENTS_MIN 1024u
#define BLOCK_EVENTS_MAX 65536u
#define RETRY_NS 1000000000ull /* after a keyframe that could not be made */
#define OBJECT_NBYTES_LARGE 4096 /* of programs that were looked at, none has larger ones on the average */
#define KEYFRAME_OBJECT_NBYTES 4 /* of an object in a keyframe: 3 to 6 */

struct ring_file {
	uint32_t number;
	uint64_t nbytes, start_ns;
	bool whole; /* it can be the first that is left: its keyframe is there */
};

struct ring {
	char path[4096];
	bool folder;
	struct ring_opts opts;
	struct ring_file files[FILES_MAX + 1]; /* the last is being written; one file: only that */
	unsigned nr;
	uint64_t nbytes, limit;
	struct keyframer keyframer;
	uint64_t keyframe_so_far; /* bytes of the one being written, with the facts and dictionaries that go with it */
	uint64_t keyframe_nbytes; /* of the last one that was whole, */
	uint64_t keyframe_objects; /* and what it lists */
	uint64_t objects_at_start; /* of the one being made */
	bool grown; /* the tape does not say the limit yet */
	uint64_t nr_keyframes, all_keyframes_nbytes;
	uint64_t next_try_ns;
	bool appending; /* what is written now is counted there */
	struct ring_dump dump;
};

/* ---- files ---- */

static void file_path(const struct ring *r, uint32_t number, char *path, size_t nbytes)
{
	if (r->folder)
		snprintf(path, nbytes, "%s/" FILE_PART_NAME, r->path, number);
	else
		snprintf(path, nbytes, "%s", r->path);
}

static struct ring_file *last_file(struct ring *r)
{
	return &r->files[r->nr - 1];
}

static void drop_first(struct ring *r)
{
	char path[4200];

	file_path(r, r->files[0].number, path, sizeof(path));
	unlink(path);
	r->nbytes -= r->files[0].nbytes;
	memmove(r->files, r->files + 1, --r->nr * sizeof(r->files[0]));
}

/* What remains must hold a whole keyframe; readers begin there. */
static bool can_drop(const struct ring *r)
{
	for (unsigned i = 1; i < r->nr; i++)
		if (r->files[i].whole)
			return true;
	return false;
}

/* Only the segments that replay needs are left, and they need more: better a larger ring than none that replays. */
static void widen(struct ring *r, uint64_t least)
{
	char was[HUMAN_MAX], is[HUMAN_MAX], keyframe[HUMAN_MAX];
	uint64_t before = r->limit;

	if (least <= r->limit)
		return;
	r->limit = least + least / 4;
	r->grown = true;
	message_warn("%s: the live set has outgrown a ring of %s: its keyframe takes %s; the ring is %s from here on (--ring %lluM)",
		     r->path, human_nbytes(was, before), human_nbytes(keyframe, r->keyframe_nbytes),
		     human_nbytes(is, r->limit), (unsigned long long)(r->limit >> 20) + 1);
}

/* The writer is about to append: at no moment do the files exceed the size. */
static int make_room(void *arg, uint64_t nbytes)
{
	struct ring *r = arg;

	while (r->folder && r->nbytes + nbytes > r->limit && can_drop(r))
		drop_first(r);
	if (r->folder)
		widen(r, r->nbytes + nbytes);
	r->nbytes += nbytes;
	last_file(r)->nbytes += nbytes;
	if (r->appending)
		r->keyframe_so_far += nbytes;
	return 0;
}

/* ---- life ---- */

/* Only segments are taken out of a folder that is written over: whatever else lies there is not the ring's. */
static void empty_folder(const struct ring *r)
{
	DIR *dir = opendir(r->path);
	struct dirent *e;
	unsigned number;
	char name[32];

	while (dir && (e = readdir(dir))) {
		if (sscanf(e->d_name, "%u", &number) != 1)
			continue;
		snprintf(name, sizeof(name), FILE_PART_NAME, number);
		if (!strcmp(name, e->d_name))
			unlinkat(dirfd(dir), name, 0);
	}
	if (dir)
		closedir(dir);
}

static int make_folder(const struct ring *r, bool overwrite)
{
	struct stat st;

	if (overwrite && stat(r->path, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			return unlink(r->path) || mkdir(r->path, 0700) ? -errno : 0;
		empty_folder(r);
		return 0;
	}
	return mkdir(r->path, 0700) < 0 ? -errno : 0;
}

int ring_open(const char *path, const struct ring_opts *opts, bool overwrite, struct ring **ring_ret)
{
	struct ring *r = calloc(1, sizeof(*r));
	int err = r ? 0 : -ENOMEM;

	*ring_ret = NULL;
	if (err)
		return err;
	snprintf(r->path, sizeof(r->path), "%s", path);
	r->opts = *opts;
	r->folder = opts->nbytes > 0;
	r->limit = opts->nbytes;
	r->keyframer = KEYFRAMER_NEW;
	r->nr = 1;
	r->files[0] = (struct ring_file){ .whole = true, .nbytes = FILE_HEAD_NBYTES };
	r->nbytes = FILE_HEAD_NBYTES;
	if (r->folder)
		err = make_folder(r, overwrite);
	if (err) {
		free(r);
		return err;
	}
	*ring_ret = r;
	return 0;
}

void ring_prepare(struct ring *r, struct tape_writer_opts *wo, char *path, size_t path_nbytes)
{
	uint64_t events = r->limit / SEGMENTS_WANTED / SEGMENTS_WANTED / EVENT_NBYTES;

	file_path(r, 0, path, path_nbytes);
	wo->before_write = make_room;
	wo->arg = r;
	if (r->folder)
		wo->block_events_max = events < BLOCK_EVENTS_MIN ? BLOCK_EVENTS_MIN : events > BLOCK_EVENTS_MAX ? BLOCK_EVENTS_MAX : (uint32_t)events;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	keyframer_close(&r->keyframer);
	ring_dump_finish(&r->dump);
	free(r);
}

void ring_remove(struct ring *r)
{
	while (r->nr)
		drop_first(r);
	if (r->folder)
		rmdir(r->path);
}

/* ---- segments ---- */

/* Bytes of the next keyframe: the last one's, by the number of objects then and now. */
static uint64_t next_keyframe_nbytes(const struct ring *r, const struct heap *heap)
{
	uint64_t objects = heap_nr_objects(heap);
	double each = r->keyframe_objects ? (double)r->keyframe_nbytes / (double)r->keyframe_objects : KEYFRAME_OBJECT_NBYTES;
	uint64_t nbytes = (uint64_t)(each * (double)objects);

	return nbytes > r->limit / 64 ? nbytes : r->limit / 64;
}

/*
 * Bytes after which a segment ends. It must stay until the next one's keyframe is whole, and that one until the one after
 * it is: so all that a ring of SIZE has for events is SIZE less two keyframes, and a slack for what comes while one is made.
 */
static uint64_t segment_nbytes(const struct ring *r, const struct heap *heap)
{
	uint64_t next = next_keyframe_nbytes(r, heap), room = r->limit - r->limit / 16;
	uint64_t wanted = SHARE_OF_KEYFRAMES * r->keyframe_nbytes;

	if (wanted < r->limit / SEGMENTS_WANTED)
		wanted = r->limit / SEGMENTS_WANTED;
	room = room > next + next / 4 ? room - next - next / 4 : 0;
	return wanted < room ? wanted : room;
}

static bool segment_is_due(struct ring *r, const struct heap *heap, uint64_t now_ns)
{
	const struct ring_file *last = last_file(r);
	uint64_t age = now_ns > last->start_ns ? now_ns - last->start_ns : 0;

	if (r->keyframer.fd >= 0 || now_ns < r->next_try_ns || r->nr > FILES_MAX)
		return false;
	if (r->opts.period_ns && age >= r->opts.period_ns)
		return true;
	if (!r->folder)
		return false;
	return last->nbytes >= segment_nbytes(r, heap) || (r->opts.keep_ns && age >= r->opts.keep_ns / SEGMENTS_WANTED);
}

static int begin_segment(struct ring *r, struct tape_writer *w, const struct heap *heap, const struct state *state,
			 uint64_t ns, uint64_t now_ns)
{
	char path[4200];
	/* What came before is the former segment's; where the tape starts, nothing stands in front. */
	int err = tape_writer_bytes(w) > FILE_HEAD_NBYTES ? tape_writer_flush(w) : 0;

	if (err)
		return err;
	if (r->folder) {
		if (r->nr == FILES_MAX && can_drop(r))
			drop_first(r);
		r->files[r->nr] = (struct ring_file){ .number = last_file(r)->number + 1 };
		r->nr++;
		file_path(r, last_file(r)->number, path, sizeof(path));
	}
	last_file(r)->start_ns = now_ns;
	r->keyframe_so_far = 0;
	r->objects_at_start = heap_nr_objects(heap);
	r->appending = true;
	err = tape_writer_segment(w, ns, r->folder ? path : NULL);
	r->appending = false;
	if (err)
		return err;
	if (keyframer_start(&r->keyframer, heap, state, ns, tape_writer_time_unit(w))) {
		message_warn("%s: no keyframe could be made: the recorder cannot be copied", r->path);
		r->next_try_ns = now_ns + RETRY_NS;
	}
	return 0;
}

int ring_start_late(struct ring *r, struct tape_writer *w, const struct heap *heap)
{
	int err = keyframer_start(&r->keyframer, heap, NULL, 0, tape_writer_time_unit(w));

	if (err)
		return err;
	last_file(r)->whole = false;
	r->keyframe_so_far = 0;
	r->appending = true;
	err = tape_writer_start_late(w);
	r->appending = false;
	return err;
}

int ring_begin_at(struct ring *r, struct tape_writer *w, const struct heap *heap, const struct state *state, uint64_t ns)
{
	int err = begin_segment(r, w, heap, state, ns, ns);

	last_file(r)->whole = false;
	return err ? err : r->keyframer.fd < 0 ? -EAGAIN : 0;
}

static int keyframe_ended(struct ring *r, int state, uint64_t now_ns)
{
	if (state == KEYFRAMER_FAILED) {
		message_warn("%s: a keyframe could not be made: memory is short", r->path);
		r->next_try_ns = now_ns + RETRY_NS;
	}
	if (state != KEYFRAMER_DONE)
		return state < 0 ? state : 0;
	r->nr_keyframes++;
	r->keyframe_nbytes = r->keyframe_so_far;
	r->keyframe_objects = r->objects_at_start;
	r->all_keyframes_nbytes += r->keyframe_so_far;
	last_file(r)->whole = true;
	if (r->folder)
		widen(r, RING_KEYFRAMES_MIN * r->keyframe_nbytes);
	return 0;
}

static int step_keyframe(struct ring *r, struct tape_writer *w, int (*step)(struct keyframer *, struct tape_writer *),
			 uint64_t now_ns)
{
	int state;

	if (r->keyframer.fd < 0)
		return 0;
	if (!r->appending && (state = tape_writer_flush(w)) < 0) /* events are not counted as the keyframe's */
		return state;
	r->appending = true;
	state = step(&r->keyframer, w);
	r->appending = false;
	return keyframe_ended(r, state, now_ns);
}

bool ring_is_busy(const struct ring *r)
{
	return r->keyframer.fd >= 0;
}

/* What cannot be dropped until the keyframe being made is whole comes near the size: then it is waited for. */
static bool is_pressed(const struct ring *r)
{
	uint64_t stays = 0;
	bool whole = false;

	for (unsigned i = r->nr; i-- && !whole;) {
		stays += r->files[i].nbytes;
		whole = r->files[i].whole;
	}
	return r->folder && stays > r->limit - r->limit / SEGMENTS_WANTED;
}

uint64_t ring_least_nbytes(uint64_t resident_nbytes)
{
	uint64_t least = RING_KEYFRAMES_MIN * (resident_nbytes / OBJECT_NBYTES_LARGE) * KEYFRAME_OBJECT_NBYTES;

	return least > RING_LEAST_NBYTES ? least : RING_LEAST_NBYTES;
}

int ring_step(struct ring *r, struct tape_writer *w, const struct heap *heap, const struct state *state, uint64_t now_ns)
{
	int err = 0;

	if (r->keyframer.fd >= 0 && is_pressed(r))
		err = step_keyframe(r, w, keyframer_finish, now_ns);
	else if (r->keyframer.fd >= 0 && keyframer_has_ended(&r->keyframer))
		err = step_keyframe(r, w, keyframer_step, now_ns);
	while (r->opts.keep_ns && can_drop(r) && r->files[1].start_ns + r->opts.keep_ns < now_ns)
		drop_first(r);
	if (!err && segment_is_due(r, heap, now_ns))
		err = begin_segment(r, w, heap, state, tape_writer_last_ns(w), now_ns);
	if (!err && r->grown)
		err = tape_writer_meta_u64(w, "ring.nbytes", r->limit);
	r->grown = false;
	ring_dump_step(&r->dump);
	return err;
}

int ring_finish(struct ring *r, struct tape_writer *w)
{
	int err = step_keyframe(r, w, keyframer_finish, 0);

	ring_dump_finish(&r->dump);
	return err;
}

int ring_dump(struct ring *r, struct tape_writer *w, enum ring_cause cause)
{
	int err = tape_writer_flush(w);

	return err ? err : ring_dump_start(&r->dump, r->path, cause);
}

int ring_dump_closed(struct ring *r, enum ring_cause cause)
{
	int err;

	ring_dump_finish(&r->dump);
	err = ring_dump_start(&r->dump, r->path, cause);
	ring_dump_finish(&r->dump);
	return err;
}

bool ring_is_folder(const struct ring *r)
{
	return r->folder;
}

uint64_t ring_nbytes(const struct ring *r)
{
	return r->nbytes;
}

uint64_t ring_limit(const struct ring *r)
{
	return r->limit;
}

uint64_t ring_nr_keyframes(const struct ring *r)
{
	return r->nr_keyframes;
}

uint64_t ring_keyframe_nbytes(const struct ring *r)
{
	return r->all_keyframes_nbytes;
}
