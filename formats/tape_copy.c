/* SPDX-License-Identifier: BSD-2-Clause */
/* tape_copy.c - see tape_copy.h. */
#include "tape_copy.h"

#include <errno.h>
#include <stdlib.h>

#include "block.h"
#include "io.h"

#define COPY_NBYTES ((size_t)1 << 20)

struct last {
	uint64_t seq, nr_events;
	uint32_t segment;
	bool ended;
};

/* Up to where the blocks are whole, by their heads. */
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
		offset += BLOCK_HEAD_NBYTES + h.stored_nbytes;
		last->seq = h.seq;
		last->segment = h.segment;
		last->nr_events += h.kind == BLOCK_EVENTS ? h.count : 0;
		last->ended = h.kind == BLOCK_END;
	}
	return offset;
}

static int put_end(const struct last *last, int fd)
{
	struct block_head h = { .kind = BLOCK_END, .seq = last->seq + 1, .segment = last->segment };
	uint8_t payload[16];
	struct bytes part = { .data = payload, .nbytes = sizeof(payload), .cap = sizeof(payload) }, out = { 0 };
	int err;

	put_u64(payload, 0); /* no index */
	put_u64(payload + 8, last->nr_events);
	err = block_encode(NULL, &h, &part, 1, &out); /* too short to be compressed */
	if (!err)
		err = io_write_all(fd, out.data, out.nbytes);
	bytes_free(&out);
	return err;
}

int tape_copy(const struct file_parts *from, int fd)
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
	if (!err && !last.ended)
		err = put_end(&last, fd);
	free(data);
	return err;
}
