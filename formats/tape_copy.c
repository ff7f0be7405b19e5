/* SPDX-License-Identifier: BSD-2-Clause */
/* tape_copy.c - see tape_copy.h. */
#include "tape_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "io.h"

#define COPY_NBYTES ((size_t)1 << 20)

struct last {
	uint64_t seq, nr_events; /* seq: of the next block */
	uint32_t segment;
};

/* Up to where the blocks are whole, by their heads; an END is left out. */
static uint64_t whole_nbytes(const struct file_parts *from, struct last *last)
{
	uint64_t offset = FILE_HEAD_NBYTES;

	while (offset + BLOCK_HEAD_NBYTES <= from->nbytes) {
		uint8_t data[BLOCK_HEAD_NBYTES];
		struct block_head h;
		const char *why;

		if (file_parts_read(from, data, sizeof(data), offset) != sizeof(data) || block_head_decode(data, &h, &why) ||
		    h.stored_nbytes > from->nbytes - offset - BLOCK_HEAD_NBYTES)
			break;
		if (h.kind == BLOCK_END)
			break;
		offset += BLOCK_HEAD_NBYTES + h.stored_nbytes;
		last->seq = h.seq + 1;
		last->segment = h.segment;
		last->nr_events += h.kind == BLOCK_EVENTS ? h.count : 0;
	}
	return offset;
}

/* Too short to be compressed. */
static int put_block(struct last *last, uint16_t kind, const struct bytes *payload, int fd)
{
	struct block_head h = { .kind = kind, .seq = last->seq++, .segment = last->segment, .count = kind == BLOCK_META };
	struct bytes out = { 0 };
	int err = block_encode(NULL, &h, payload, 1, &out);

	if (!err)
		err = io_write_all(fd, out.data, out.nbytes);
	bytes_free(&out);
	return err;
}

static int put_fact(struct last *last, const char *key, const char *value, int fd)
{
	struct bytes payload = { 0 };
	size_t key_nbytes = strlen(key), value_nbytes = strlen(value);
	int err = bytes_reserve(&payload, key_nbytes + value_nbytes + 2 * VARINT_NBYTES_MAX);

	if (err)
		return err;
	bytes_put_varint(&payload, key_nbytes);
	bytes_append(&payload, key, key_nbytes);
	bytes_put_varint(&payload, value_nbytes);
	bytes_append(&payload, value, value_nbytes);
	err = put_block(last, BLOCK_META, &payload, fd);
	bytes_free(&payload);
	return err;
}

static int put_end(struct last *last, int fd)
{
	uint8_t data[16];
	struct bytes payload = { .data = data, .nbytes = sizeof(data), .cap = sizeof(data) };

	put_u64(data, 0); /* no index */
	put_u64(data + 8, last->nr_events);
	return put_block(last, BLOCK_END, &payload, fd);
}

int tape_copy(const struct file_parts *from, const char *cause, int fd)
{
	struct last last = { 0 };
	uint64_t nbytes = whole_nbytes(from, &last), done = 0;
	uint8_t *data = malloc(COPY_NBYTES);
	int err = !data ? -ENOMEM : from->nbytes < FILE_HEAD_NBYTES ? -EBADMSG : 0;

	while (!err && done < nbytes) {
		size_t want = nbytes - done < COPY_NBYTES ? nbytes - done : COPY_NBYTES;
		long n = file_parts_read(from, data, want, done);

		err = n < 0 ? (int)n : n < (long)want ? -EBADMSG : io_write_all(fd, data, want);
		done += want;
	}
	if (!err)
		err = put_fact(&last, "copy.cause", cause, fd);
	if (!err)
		err = put_end(&last, fd);
	free(data);
	return err;
}
