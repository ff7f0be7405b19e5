/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block_file.h - a tape's file as a row of whole blocks; finds the next one behind damage when told to.
 *
 * Says what is wrong in `why`, with the offset; what a payload means is not known here.
 */
#ifndef HEAPTAPE_BLOCK_FILE_H
#define HEAPTAPE_BLOCK_FILE_H

#include "block.h"
#include "file_parts.h"

struct block_file {
	struct file_parts parts;
	uint64_t nbytes; /* of the file when it was opened */
	bool salvage;
	bool head_is_bad; /* salvage: the file's head, which counts as a bad block */
	struct block_codec *codec;
	struct bytes stored; /* payload of the block at hand */
	/* The way so far. */
	uint64_t offset;   /* of the next block */
	uint64_t at;       /* of the block at hand */
	uint64_t next_seq; /* number that the next block must have */
	uint64_t nr_blocks, nr_bad;
	bool ended; /* the END block was passed */
	uint64_t wasted_nbytes; /* salvage: bytes of payloads that proved false, bounded: see payload_is_false */
	char why[256];
};

/* Opens a regular file and checks its head. 0 or -errno, `why` set; close in any case. */
int block_file_open(struct block_file *f, const char *path, bool salvage);
void block_file_close(struct block_file *f);
void block_file_rewind(struct block_file *f);
/* 1: *head and *payload (valid until the next call) hold the next whole block; a kind that the caller does not
 * `want` (bit 1 << kind) is passed with its payload unread. 0: the end. -errno: `why` says where and what. */
int block_file_next(struct block_file *f, uint32_t want, struct block_head *head, struct cursor *payload);
/* The block at an offset, apart from the way: for the index. Same results. */
int block_file_at(struct block_file *f, uint64_t offset, struct block_head *head, struct cursor *payload);
/* The same, and says why not. */
int block_file_load(struct block_file *f, uint64_t offset, struct block_head *head, struct cursor *payload,
		    const char **why_ret);
/* The way begins at an offset: that of a SEGMENT block. */
void block_file_go(struct block_file *f, uint64_t offset);
/* The offset of the whole block there, or (salvage) of the next one behind it, and its head; f->nbytes: there is none. */
uint64_t block_file_after(struct block_file *f, uint64_t offset, struct block_head *head);
/* Sets `why` for a block off the way; returns err. */
int block_file_fail_at(struct block_file *f, uint64_t offset, uint64_t seq, int err, const char *why);
/* Only the head there. 0 or -EBADMSG. */
int block_file_head_at(struct block_file *f, uint64_t offset, struct block_head *head, const char **why_ret);
/* The block at hand proved false in what it says: fails with the reason, or counts it (salvage) and returns 0. */
int block_file_refuse(struct block_file *f, const struct block_head *head, int err, const char *why);

#endif
