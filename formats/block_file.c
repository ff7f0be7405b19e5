/* SPDX-License-Identifier: BSD-2-Clause */
/* block_file.c - the row of blocks in a file, and the way back to it behind damage: see block_file.h. */
#include "block_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define SCAN_NBYTES (256u << 10)

static int fail(struct block_file *f, int err, const char *why)
{
	snprintf(f->why, sizeof(f->why), "%s", why);
	return err;
}

static int fail_at(struct block_file *f, uint64_t offset, int err, const char *why)
{
	snprintf(f->why, sizeof(f->why), "block %" PRIu64 " at offset %" PRIu64 ": %s", f->next_seq, offset, why);
	return err;
}

static int fail_errno(struct block_file *f, int err, const char *doing)
{
	snprintf(f->why, sizeof(f->why), "%s: %s", doing, strerror(-err));
	return err;
}

/* A head that is damaged, not merely of a later version, is no reason to leave the blocks behind it. */
static bool head_is_whole(const uint8_t head[FILE_HEAD_NBYTES], long nbytes)
{
	return nbytes == FILE_HEAD_NBYTES && get_u64(head + 56) == block_hash(head, 56);
}

static uint64_t scan(struct block_file *f, uint64_t from, struct block_head *head);

static int check_file_head(struct block_file *f)
{
	uint8_t data[FILE_HEAD_NBYTES];
	struct file_head head;
	struct block_head first;
	const char *why;
	long n = file_parts_read(&f->parts, data, sizeof(data), 0);
	int err;

	if (n < 0)
		return fail_errno(f, (int)n, "cannot read");
	err = file_head_decode(data, (size_t)n, &head, &why);
	if (err == -ENOTSUP && head.version > 1) {
		snprintf(f->why, sizeof(f->why),
			 "this is a tape of version %" PRIu32 ", later than this program knows", head.version);
		err = -ENOTSUP;
	} else if (err) {
		fail(f, err, why);
	}
	if (!err || !f->salvage || head_is_whole(data, n) || scan(f, 0, &first) == f->nbytes)
		return err;
	f->head_is_bad = true;
	block_file_rewind(f);
	return 0;
}

int block_file_open(struct block_file *f, const char *path, bool salvage)
{
	int err;

	*f = (struct block_file){ .salvage = salvage };
	err = file_parts_open(&f->parts, path);
	if (err == -EISDIR)
		return fail(f, err, "this is a directory without segments, not a tape");
	if (err == -EINVAL)
		return fail(f, err, "not a regular file; a tape is read from a file, not from a pipe or device");
	if (err)
		return fail_errno(f, err, "cannot open");
	f->nbytes = f->parts.nbytes;
	f->codec = block_codec_new(0);
	if (!f->codec)
		return fail(f, -ENOMEM, "out of memory");
	block_file_rewind(f);
	return check_file_head(f);
}

void block_file_close(struct block_file *f)
{
	file_parts_close(&f->parts);
	block_codec_free(f->codec);
	f->codec = NULL;
	bytes_free(&f->stored);
}

void block_file_rewind(struct block_file *f)
{
	f->offset = f->nbytes < FILE_HEAD_NBYTES ? f->nbytes : FILE_HEAD_NBYTES;
	f->at = f->next_seq = f->nr_blocks = f->wasted_nbytes = 0;
	f->nr_bad = f->head_is_bad;
	f->ended = false;
}

void block_file_go(struct block_file *f, uint64_t offset)
{
	block_file_rewind(f);
	f->offset = offset;
}

int block_file_head_at(struct block_file *f, uint64_t offset, struct block_head *head, const char **why_ret)
{
	uint8_t data[BLOCK_HEAD_NBYTES];
	long n;

	*why_ret = "the file ends within the block's head";
	if (offset > f->nbytes || f->nbytes - offset < BLOCK_HEAD_NBYTES)
		return -ENODATA;
	n = file_parts_read(&f->parts, data, sizeof(data), offset);
	if (n < 0)
		return *why_ret = "cannot read", (int)n;
	if (n < (long)sizeof(data))
		return -ENODATA; /* the file was cut while it was read */
	return block_head_decode(data, head, why_ret);
}

static bool payload_fits(const struct block_file *f, uint64_t offset, const struct block_head *head)
{
	return head->stored_nbytes <= f->nbytes - offset - BLOCK_HEAD_NBYTES;
}

/* Salvage: the offset of the next block head at or behind `from` whose payload is within the file; nbytes if none. */
static uint64_t scan(struct block_file *f, uint64_t from, struct block_head *head)
{
	static const uint8_t sync[4] = { BLOCK_SYNC & 0xff, BLOCK_SYNC >> 8 & 0xff, BLOCK_SYNC >> 16 & 0xff,
					 BLOCK_SYNC >> 24 };
	const char *why;

	if (bytes_reserve(&f->stored, SCAN_NBYTES))
		return f->nbytes;
	while (from + BLOCK_HEAD_NBYTES <= f->nbytes) {
		long n = file_parts_read(&f->parts, f->stored.data, SCAN_NBYTES, from);
		const uint8_t *p = f->stored.data, *end = p + n;

		if (n < BLOCK_HEAD_NBYTES)
			break;
		for (; (p = memmem(p, (size_t)(end - p), sync, sizeof(sync))); p++) {
			uint64_t offset = from + (uint64_t)(p - f->stored.data);

			if (block_file_head_at(f, offset, head, &why) == 0 && payload_fits(f, offset, head))
				return offset;
		}
		from += (uint64_t)n - (sizeof(sync) - 1); /* the word may lie across two reads */
	}
	return f->nbytes;
}

/*
 * Salvage: goes to the next block behind `from`. What lies between counts as the blocks whose numbers are
 * missing there, one at least. True if there is one.
 */
static bool resync(struct block_file *f, uint64_t from)
{
	struct block_head head;
	uint64_t offset = scan(f, from, &head);

	f->offset = offset;
	if (offset < f->nbytes && head.seq > f->next_seq)
		return true; /* block_in_order counts the missing numbers */
	f->nr_bad++;
	return offset < f->nbytes;
}

/* The payload of `head` at `offset`, read and checked. */
static int load_payload(struct block_file *f, uint64_t offset, const struct block_head *head, struct cursor *payload,
			const char **why_ret)
{
	long n;

	f->stored.nbytes = 0;
	if (bytes_reserve(&f->stored, (size_t)head->stored_nbytes + 1))
		return *why_ret = "out of memory", -ENOMEM;
	n = file_parts_read(&f->parts, f->stored.data, head->stored_nbytes, offset + BLOCK_HEAD_NBYTES);
	if (n < 0)
		return *why_ret = "cannot read", (int)n;
	if (n < (long)head->stored_nbytes)
		return *why_ret = "the file ends within the block", -ENODATA;
	return block_payload(f->codec, head, f->stored.data, payload, why_ret);
}

/*
 * A whole head whose payload is false. Usually the payload is damaged and its length is right; where bytes
 * are missing, the next block starts earlier. A file made to have heads within payloads must not make the
 * reader check the same bytes over and over: after as many as the file has, the length is believed.
 */
static uint64_t behind_false_payload(struct block_file *f, const struct block_head *head)
{
	struct block_head next;
	const char *why;
	uint64_t end = f->at + BLOCK_HEAD_NBYTES + head->stored_nbytes;

	f->wasted_nbytes += head->stored_nbytes;
	if (end == f->nbytes || f->wasted_nbytes > f->nbytes || block_file_head_at(f, end, &next, &why) == 0)
		return end;
	return f->at + BLOCK_HEAD_NBYTES;
}

/*
 * The numbers of blocks rise one by one; a tape that was cut from a longer one starts with a SEGMENT block of
 * any number. 1: goes on; 0: salvage passes over this block; -errno.
 */
static int block_in_order(struct block_file *f, const struct block_head *head)
{
	if (head->seq != f->next_seq && !(f->nr_blocks == 0 && head->kind == BLOCK_SEGMENT)) {
		if (!f->salvage)
			return fail_at(f, f->at, -EBADMSG,
				       head->seq > f->next_seq ? "blocks are missing in front of it"
							       : "block stands there twice or out of order");
		if (head->seq < f->next_seq) {
			f->nr_bad++;
			return 0;
		}
		f->nr_bad += f->nr_blocks ? head->seq - f->next_seq : 1;
	}
	f->next_seq = head->seq + 1;
	return 1;
}

/* What to do about a head that could not be had. 1: go on at f->offset; 0: the end; -errno. */
static int head_is_false(struct block_file *f, int err, const char *why)
{
	if (err == -ENODATA)
		return f->offset = f->nbytes, 0; /* cut off: the tape ends with its last whole block */
	if (err != -EBADMSG || !f->salvage)
		return fail_at(f, f->at, err, why);
	return resync(f, f->at + 1);
}

/* The same for a payload. */
static int payload_is_false(struct block_file *f, const struct block_head *head, int err, const char *why)
{
	if (err == -ENODATA)
		return f->offset = f->nbytes, 0;
	if ((err == -EBADMSG || err == -ENOTSUP) && f->salvage) {
		f->nr_bad++;
		f->offset = behind_false_payload(f, head);
		return 1;
	}
	f->next_seq = head->seq; /* for the message */
	return fail_at(f, f->at, err, why);
}

/* A whole head whose payload reaches beyond the end. Without salvage that is a tape cut off. */
static int payload_is_cut(struct block_file *f)
{
	struct block_head head;

	f->offset = f->salvage ? scan(f, f->at + 1, &head) : f->nbytes;
	return f->offset < f->nbytes;
}

/* One step along the file: 1: block at hand; 2: passed over, go on; 0: the end; -errno. */
static int step(struct block_file *f, uint32_t want, struct block_head *head, struct cursor *payload)
{
	const char *why;
	int err, go;

	f->at = f->offset;
	err = block_file_head_at(f, f->at, head, &why);
	if (err) {
		go = head_is_false(f, err, why);
		return go > 0 ? 2 : go;
	}
	if (!payload_fits(f, f->at, head))
		return payload_is_cut(f) ? 2 : 0;
	f->offset = f->at + BLOCK_HEAD_NBYTES + head->stored_nbytes;
	go = block_in_order(f, head);
	if (go <= 0)
		return go < 0 ? go : 2;
	*payload = cursor_empty();
	if (head->kind < 32 && want >> head->kind & 1) {
		err = load_payload(f, f->at, head, payload, &why);
		if (err) {
			go = payload_is_false(f, head, err, why);
			return go > 0 ? 2 : go;
		}
	}
	f->nr_blocks++;
	f->ended |= head->kind == BLOCK_END;
	return 1;
}

int block_file_next(struct block_file *f, uint32_t want, struct block_head *head, struct cursor *payload)
{
	int got = 2;

	while (got == 2) {
		if (f->offset >= f->nbytes)
			return 0;
		if (f->ended && !f->salvage)
			return fail_at(f, f->offset, -EBADMSG, "something follows the end block");
		got = step(f, want, head, payload);
	}
	return got;
}

int block_file_load(struct block_file *f, uint64_t offset, struct block_head *head, struct cursor *payload,
		    const char **why_ret)
{
	int err = block_file_head_at(f, offset, head, why_ret);

	if (!err && !payload_fits(f, offset, head))
		err = -ENODATA;
	return err ? err : load_payload(f, offset, head, payload, why_ret);
}

int block_file_at(struct block_file *f, uint64_t offset, struct block_head *head, struct cursor *payload)
{
	const char *why;

	return block_file_load(f, offset, head, payload, &why);
}

int block_file_fail_at(struct block_file *f, uint64_t offset, uint64_t seq, int err, const char *why)
{
	f->next_seq = seq;
	return fail_at(f, offset, err, why);
}

uint64_t block_file_after(struct block_file *f, uint64_t offset, struct block_head *head)
{
	const char *why;

	if (offset <= f->nbytes && block_file_head_at(f, offset, head, &why) == 0 && payload_fits(f, offset, head))
		return offset;
	return f->salvage && offset < f->nbytes ? scan(f, offset + 1, head) : f->nbytes;
}

int block_file_refuse(struct block_file *f, const struct block_head *head, int err, const char *why)
{
	if (f->salvage && (err == -EBADMSG || err == -ENOTSUP)) {
		f->nr_bad++;
		f->nr_blocks--;
		return 0;
	}
	f->next_seq = head->seq;
	return fail_at(f, f->at, err, why);
}
