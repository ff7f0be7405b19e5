/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tape_writer.c - collects events, and writes them block by block: see tape.h and TAPE.md.
 *
 * What the next EVENTS block needs (META, DICT) goes out in one write with it, in front of it, so that a
 * killed recorder leaves whole groups but for the last.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block.h"
#include "dict.h"
#include "events.h"
#include "io.h"
#include "names.h"
#include "tape.h"

#define ZSTD_LEVEL_DEFAULT 3
#define TIME_UNIT_NS_DEFAULT 1000
#define BLOCK_EVENTS_DEFAULT 65536
#define DICT_PENDING_NBYTES_MAX (4u << 20) /* goes out by itself then: far below a block's limit */
#define META_PENDING_NBYTES_MAX (1u << 20)
#define NAMES_PENDING_NBYTES_MAX (1u << 20)
#define INDEX_NBYTES_MAX (BLOCK_RAW_NBYTES_MAX - 64) /* a longer index is left out: readers scan then */

struct tape_writer {
	int fd;
	int err; /* final once set */
	uint64_t time_unit_ns;
	struct tape_event *events; /* of the block that is being filled */
	uint32_t nr_events, nr_events_max;
	uint64_t last_ns;
	uint64_t nr_events_written;
	struct block_codec *codec;
	struct events_encoder *encoder;
	struct dict_writer *dict;
	struct names_writer *names; /* NULL: none were given */
	struct bytes meta; /* key/value pairs that wait for a block */
	uint32_t nr_meta;
	struct bytes all_meta; /* all pairs so far: each segment repeats them */
	uint32_t nr_all_meta;
	uint32_t segment;
	int (*before_write)(void *arg, uint64_t nbytes);
	void *arg;
	uint64_t nbytes_before; /* of the files of earlier segments */
	struct bytes scratch, out;
	uint64_t nbytes; /* of the file at hand, in whole blocks */
	uint64_t next_seq;
	struct bytes index; /* an entry for each block so far */
	uint32_t nr_index;
	uint64_t index_offset, index_ns; /* of the last entry: the next is coded against them */
	char error[256];
};

static int writer_fail(struct tape_writer *w, int err, const char *doing)
{
	w->err = err;
	snprintf(w->error, sizeof(w->error), "%s at offset %" PRIu64 ": %s", doing, w->nbytes, strerror(-err));
	return err;
}

static void writer_free(struct tape_writer *w)
{
	if (!w)
		return;
	if (w->fd >= 0)
		close(w->fd);
	free(w->events);
	block_codec_free(w->codec);
	events_encoder_free(w->encoder);
	dict_writer_free(w->dict);
	names_writer_free(w->names);
	bytes_free(&w->meta);
	bytes_free(&w->all_meta);
	bytes_free(&w->scratch);
	bytes_free(&w->out);
	bytes_free(&w->index);
	free(w);
}

static struct tape_writer *writer_new(const struct tape_writer_opts *opts)
{
	struct tape_writer *w = calloc(1, sizeof(*w));
	int level = opts && opts->zstd_level ? opts->zstd_level : ZSTD_LEVEL_DEFAULT;

	if (!w)
		return NULL;
	w->fd = -1;
	w->time_unit_ns = opts && opts->time_unit_ns ? opts->time_unit_ns : TIME_UNIT_NS_DEFAULT;
	w->nr_events_max = opts && opts->block_events_max ? opts->block_events_max : BLOCK_EVENTS_DEFAULT;
	if (w->nr_events_max > BLOCK_EVENTS_NR_MAX)
		w->nr_events_max = BLOCK_EVENTS_NR_MAX;
	w->before_write = opts ? opts->before_write : NULL;
	w->arg = opts ? opts->arg : NULL;
	w->events = reallocarray(NULL, w->nr_events_max, sizeof(*w->events));
	w->codec = block_codec_new(level);
	w->encoder = events_encoder_new();
	w->dict = dict_writer_new();
	if (!w->events || !w->codec || !w->encoder || !w->dict) {
		writer_free(w);
		return NULL;
	}
	return w;
}

/* A tape tells what a process did: its owner alone may read it, also where the file was there before. */
static int open_file(const char *path, bool overwrite)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | /* nor wait for a FIFO's reader */ (overwrite ? O_TRUNC : O_EXCL), 0600);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) != 0600 && fchmod(fd, 0600) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* A new file with its head. The descriptor or -errno. */
static int create_file(const char *path, bool overwrite)
{
	struct file_head head = { .version = TAPE_VERSION };
	uint8_t data[FILE_HEAD_NBYTES];
	int fd = open_file(path, overwrite), err;

	file_head_encode(&head, data);
	err = fd < 0 ? fd : io_write_all(fd, data, sizeof(data));
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

int tape_writer_open(const char *path, const struct tape_writer_opts *opts, struct tape_writer **w_ret)
{
	struct tape_writer *w = writer_new(opts);
	int err = -ENOMEM;

	*w_ret = NULL;
	if (!w)
		return err;
	w->fd = create_file(path, opts && opts->overwrite);
	if (w->fd < 0) {
		err = w->fd;
		writer_free(w);
		return err;
	}
	w->nbytes = w->index_offset = FILE_HEAD_NBYTES;
	*w_ret = w;
	return 0;
}

static int index_add(struct tape_writer *w, const struct block_head *h, uint64_t offset)
{
	if (w->index.nbytes > INDEX_NBYTES_MAX || bytes_reserve(&w->index, 5 * VARINT_NBYTES_MAX))
		return -ENOMEM;
	bytes_put_varint(&w->index, h->kind);
	bytes_put_varint(&w->index, offset - w->index_offset);
	bytes_put_varint(&w->index, h->count);
	bytes_put_varint(&w->index, zigzag(h->first_ns - w->index_ns));
	bytes_put_varint(&w->index, h->last_ns - h->first_ns);
	w->index_offset = offset;
	w->index_ns = h->first_ns;
	w->nr_index++;
	return 0;
}

/* Appends a block to what the next write_out writes. */
static int put_block(struct tape_writer *w, struct block_head *h, const struct bytes *parts, size_t nr_parts)
{
	uint64_t offset = w->nbytes + w->out.nbytes;
	int err;

	h->seq = w->next_seq;
	h->segment = w->segment;
	err = block_encode(w->codec, h, parts, nr_parts, &w->out);
	if (err)
		return writer_fail(w, err, "cannot encode a block");
	w->next_seq++;
	index_add(w, h, offset); /* without room for it the tape has no index, and readers scan */
	return 0;
}

/* On failure the file is cut back to its whole blocks, where it is one that can be cut. */
static int write_out(struct tape_writer *w)
{
	int err = w->before_write ? w->before_write(w->arg, w->out.nbytes) : 0;

	if (err)
		return writer_fail(w, err, "no room could be made");
	err = io_write_all(w->fd, w->out.data, w->out.nbytes);
	if (err) {
		int cut = ftruncate(w->fd, (off_t)w->nbytes);

		(void)cut; /* a reader leaves the half block out anyway */
		return writer_fail(w, err, "cannot write");
	}
	w->nbytes += w->out.nbytes;
	w->out.nbytes = 0;
	return 0;
}

static int put_meta(struct tape_writer *w)
{
	struct block_head h = { .kind = BLOCK_META, .count = w->nr_meta };
	int err;

	if (!w->nr_meta)
		return 0;
	err = put_block(w, &h, &w->meta, 1);
	w->meta.nbytes = w->nr_meta = 0;
	return err;
}

static int put_dict(struct tape_writer *w)
{
	struct block_head h = { .kind = BLOCK_DICT, .count = dict_writer_pending(w->dict) };
	int err;

	if (!h.count)
		return 0;
	w->scratch.nbytes = 0;
	err = dict_writer_take(w->dict, &w->scratch);
	if (err)
		return writer_fail(w, err, "cannot encode a dictionary");
	return put_block(w, &h, &w->scratch, 1);
}

static int put_names(struct tape_writer *w)
{
	struct block_head h = { .kind = BLOCK_NAMES, .count = w->names ? names_writer_pending(w->names) : 0 };
	int err;

	if (!h.count)
		return 0;
	err = put_block(w, &h, names_writer_payload(w->names), 1);
	names_writer_taken(w->names);
	return err;
}

static int put_events(struct tape_writer *w)
{
	uint64_t unit = w->time_unit_ns;
	struct block_head h = { .kind = BLOCK_EVENTS, .count = w->nr_events };
	const struct bytes *columns;
	int err;

	if (!w->nr_events)
		return 0;
	h.first_ns = w->events[0].ns / unit * unit;
	h.last_ns = w->events[w->nr_events - 1].ns / unit * unit;
	err = events_encode(w->encoder, w->events, w->nr_events, unit, &columns);
	if (err)
		return writer_fail(w, err, "cannot encode events");
	err = put_block(w, &h, columns, COLUMN_NR);
	w->nr_events_written += w->nr_events;
	w->nr_events = 0;
	return err;
}

int tape_writer_flush(struct tape_writer *w)
{
	int err = w->err;

	if (!err)
		err = put_meta(w);
	if (!err)
		err = put_dict(w);
	if (!err)
		err = put_names(w);
	if (!err)
		err = put_events(w);
	if (!err && w->out.nbytes)
		err = write_out(w);
	return err;
}

/* After an entry was added: many new ones at once go out before the events that use them. */
static int dict_added(struct tape_writer *w, int err)
{
	if (!err && dict_writer_pending_nbytes(w->dict) > DICT_PENDING_NBYTES_MAX)
		err = put_dict(w);
	return err;
}

/* What the event names must stand in its segment. */
static int use_dict(struct tape_writer *w, const struct tape_event *ev)
{
	int err = ev->stack ? dict_writer_use_stack(w->dict, ev->stack) : 0;

	if (!err && tape_kind_has_string(ev->kind))
		err = dict_writer_use_string(w->dict, ev->arg);
	return err || w->segment == 0 ? err : dict_added(w, 0); /* only a later segment uses what it has not just defined */
}

int tape_writer_add(struct tape_writer *w, const struct tape_event *ev)
{
	int err;

	if (w->err)
		return w->err;
	if (ev->ns < w->last_ns || ev->kind == TAPE_NONE)
		return -EINVAL;
	err = use_dict(w, ev);
	if (err)
		return err;
	w->last_ns = ev->ns;
	w->events[w->nr_events++] = *ev;
	return w->nr_events == w->nr_events_max ? tape_writer_flush(w) : 0;
}

static void put_pair(struct bytes *to, const char *key, size_t key_nbytes, const char *value, size_t value_nbytes)
{
	bytes_put_varint(to, key_nbytes);
	bytes_append(to, key, key_nbytes);
	bytes_put_varint(to, value_nbytes);
	bytes_append(to, value, value_nbytes);
}

int tape_writer_meta(struct tape_writer *w, const char *key, const char *value)
{
	size_t key_nbytes = strnlen(key, DICT_STRING_NBYTES_MAX), value_nbytes = strnlen(value, DICT_STRING_NBYTES_MAX);
	int err = w->err;

	if (!err && w->meta.nbytes > META_PENDING_NBYTES_MAX)
		err = put_meta(w);
	if (!err)
		err = bytes_reserve(&w->meta, key_nbytes + value_nbytes + 2 * VARINT_NBYTES_MAX);
	if (err)
		return err;
	if (bytes_reserve(&w->all_meta, key_nbytes + value_nbytes + 2 * VARINT_NBYTES_MAX))
		return -ENOMEM;
	put_pair(&w->meta, key, key_nbytes, value, value_nbytes);
	w->nr_meta++;
	put_pair(&w->all_meta, key, key_nbytes, value, value_nbytes);
	w->nr_all_meta++;
	return 0;
}

int tape_writer_meta_u64(struct tape_writer *w, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return tape_writer_meta(w, key, text);
}

int tape_writer_string(struct tape_writer *w, const char *s, uint32_t *id_ret)
{
	return w->err ? w->err : dict_added(w, dict_writer_string(w->dict, s, id_ret));
}

int tape_writer_stack(struct tape_writer *w, const struct tape_frame *frames, uint32_t nr_frames, bool truncated,
		      uint32_t *id_ret)
{
	return w->err ? w->err : dict_added(w, dict_writer_stack(w->dict, frames, nr_frames, truncated, id_ret));
}

int tape_writer_allocator(struct tape_writer *w, const struct tape_allocator *a, uint8_t *id_ret)
{
	return w->err ? w->err : dict_added(w, dict_writer_allocator(w->dict, a, id_ret));
}

int tape_writer_names(struct tape_writer *w, uint32_t module, uint64_t place, const struct tape_name *names, uint32_t nr)
{
	int err;

	if (w->err)
		return w->err;
	if (!w->names)
		w->names = names_writer_new();
	err = w->names ? names_writer_add(w->names, module, place, names, nr) : -ENOMEM;
	if (err == -ENOMEM)
		return writer_fail(w, err, "cannot keep names"); /* half a place may be pending */
	if (!err && names_writer_payload(w->names)->nbytes > NAMES_PENDING_NBYTES_MAX)
		err = tape_writer_flush(w);
	return err;
}

int tape_writer_each_frame(struct tape_writer *w,
			   int (*fn)(void *arg, uint32_t module, const char *module_name, uint64_t place), void *arg)
{
	return dict_writer_each_frame(w->dict, fn, arg);
}

int tape_writer_stack_frames(struct tape_writer *w, uint32_t stack,
			     int (*fn)(void *arg, uint32_t module, const char *module_name, uint64_t place), void *arg)
{
	return dict_writer_stack_frames(w->dict, stack, fn, arg);
}

uint64_t tape_writer_bytes(const struct tape_writer *w)
{
	return w->nbytes_before + w->nbytes;
}

const char *tape_writer_error(const struct tape_writer *w)
{
	return w->error;
}

/* ---- segments ---- */

/* What follows goes to another file. The one at hand ends without an index: readers scan. */
static int change_file(struct tape_writer *w, const char *path)
{
	int fd = w->before_write ? w->before_write(w->arg, FILE_HEAD_NBYTES) : 0;

	if (!fd)
		fd = create_file(path, false);
	if (fd < 0)
		return writer_fail(w, fd, "cannot start the next segment's file");
	close(w->fd);
	w->fd = fd;
	w->nbytes_before += w->nbytes;
	w->nbytes = w->index_offset = FILE_HEAD_NBYTES;
	w->index.nbytes = w->nr_index = 0; /* it could not say where the blocks of other files are */
	w->index_ns = 0;
	return 0;
}

static int put_segment(struct tape_writer *w)
{
	uint64_t ns = w->last_ns / w->time_unit_ns * w->time_unit_ns;
	struct block_head h = { .kind = BLOCK_SEGMENT, .first_ns = ns, .last_ns = ns };
	struct bytes none = { 0 };

	return put_block(w, &h, &none, 1);
}

int tape_writer_segment(struct tape_writer *w, uint64_t ns, const char *path)
{
	int err = w->err;

	if (!err && ns < w->last_ns)
		return -EINVAL;
	if (!err && (w->next_seq || w->nr_events)) /* a tape may start with one: nothing stands in front then */
		err = tape_writer_flush(w);
	if (!err && path)
		err = change_file(w, path);
	if (err)
		return err;
	w->last_ns = ns;
	w->segment++;
	dict_writer_segment(w->dict);
	w->meta.nbytes = w->nr_meta = 0;
	err = bytes_append(&w->meta, w->all_meta.data, w->all_meta.nbytes);
	w->nr_meta = w->nr_all_meta;
	if (!err)
		err = put_segment(w);
	return err ? err : tape_writer_flush(w);
}

int tape_writer_branch(struct tape_writer *w, const char *path, const struct tape_writer_opts *opts)
{
	int fd = create_file(path, false);

	if (fd < 0)
		return fd;
	w->fd = fd;
	w->err = 0;
	*w->error = '\0';
	w->before_write = opts->before_write;
	w->arg = opts->arg;
	names_writer_free(w->names);
	w->names = NULL;
	w->nr_events = w->nr_meta = w->nr_all_meta = w->nr_index = 0;
	w->nr_events_written = w->nbytes_before = w->next_seq = w->index_ns = w->last_ns = 0;
	w->meta.nbytes = w->all_meta.nbytes = w->out.nbytes = w->index.nbytes = 0;
	w->nbytes = w->index_offset = FILE_HEAD_NBYTES;
	return 0;
}

int tape_writer_start_late(struct tape_writer *w)
{
	struct block_head h = { .kind = BLOCK_SEGMENT };
	struct bytes none = { 0 };

	if (w->err)
		return w->err;
	return w->next_seq ? -EINVAL : put_block(w, &h, &none, 1);
}

/* The blocks as they stand, but for what only the tape knows: number and segment. */
static int put_finished(struct tape_writer *w, const uint8_t *blocks, size_t nbytes)
{
	while (nbytes) {
		struct block_head h;
		const char *why;
		uint64_t offset = w->nbytes + w->out.nbytes;
		size_t whole;

		if (nbytes < BLOCK_HEAD_NBYTES || block_head_decode(blocks, &h, &why) ||
		    h.stored_nbytes > nbytes - BLOCK_HEAD_NBYTES)
			return -EINVAL;
		whole = BLOCK_HEAD_NBYTES + h.stored_nbytes;
		if (bytes_append(&w->out, blocks, whole))
			return writer_fail(w, -ENOMEM, "cannot append a keyframe");
		h.seq = w->next_seq++;
		h.segment = w->segment;
		block_head_encode(&h, w->out.data + w->out.nbytes - whole);
		index_add(w, &h, offset);
		blocks += whole;
		nbytes -= whole;
	}
	return 0;
}

int tape_writer_keyframe(struct tape_writer *w, const uint8_t *blocks, size_t nbytes, const uint32_t *stacks, size_t nr_stacks)
{
	int err = tape_writer_flush(w);

	for (size_t i = 0; i < nr_stacks && !err; i++)
		err = dict_added(w, dict_writer_use_stack(w->dict, stacks[i]));
	if (!err)
		err = put_dict(w);
	if (!err)
		err = put_finished(w, blocks, nbytes);
	return !err && w->out.nbytes ? write_out(w) : err;
}

int tape_writer_use_strings(struct tape_writer *w, const uint32_t *strings, size_t nr)
{
	int err = w->err;

	for (size_t i = 0; i < nr && !err; i++)
		err = dict_added(w, dict_writer_use_string(w->dict, strings[i]));
	return err;
}

uint32_t tape_writer_segment_nr(const struct tape_writer *w)
{
	return w->segment;
}

uint64_t tape_writer_last_ns(const struct tape_writer *w)
{
	return w->last_ns;
}

uint64_t tape_writer_time_unit(const struct tape_writer *w)
{
	return w->time_unit_ns;
}

/* The END block has a fixed length and stands last: readers find it, and through it the index, from the end. */
static int put_end(struct tape_writer *w)
{
	struct block_head index = { .kind = BLOCK_INDEX, .count = w->nr_index };
	struct block_head end = { .kind = BLOCK_END };
	struct bytes payload = { 0 };
	uint64_t index_offset = w->nbytes + w->out.nbytes;
	bool has_index = w->nr_index && w->nr_index == w->next_seq; /* not behind a change of the file */
	int err = bytes_reserve(&payload, 16);

	if (!err && has_index)
		err = put_block(w, &index, &w->index, 1);
	if (!err) {
		put_u64(payload.data, has_index ? index_offset : 0);
		put_u64(payload.data + 8, w->nr_events_written);
		payload.nbytes = 16;
		err = put_block(w, &end, &payload, 1);
	}
	bytes_free(&payload);
	return err ? err : write_out(w);
}

int tape_writer_close(struct tape_writer *w)
{
	int err;

	if (!w)
		return 0;
	err = tape_writer_flush(w);
	if (!err)
		err = put_end(w);
	/* Pipes and devices cannot be synced: EINVAL. */
	if (!err && fsync(w->fd) < 0 && errno != EINVAL && errno != EROFS)
		err = -errno;
	if (close(w->fd) < 0 && !err && errno != EINTR)
		err = -errno;
	w->fd = -1;
	writer_free(w);
	return err;
}
