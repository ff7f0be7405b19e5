/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block.h - heads and payloads of the tape's blocks, and the head of the file (TAPE.md "File head", "Blocks").
 *
 * Knows nothing of what payloads mean. Nothing is allocated before its size was checked against the limits here.
 */
#ifndef HEAPTAPE_BLOCK_H
#define HEAPTAPE_BLOCK_H

#include "bytes.h"

#define FILE_HEAD_NBYTES 64
#define BLOCK_HEAD_NBYTES 64
#define BLOCK_SYNC 0x0ab7c2e5u /* stands in no ASCII text; what salvage scans for */
#define BLOCK_RAW_NBYTES_MAX (32u << 20)
#define BLOCK_STORED_NBYTES_MAX (33u << 20) /* zstd's worst case is below 1 % more */
#define BLOCK_EVENTS_NR_MAX (1u << 18)

enum block_kind {
	BLOCK_META = 1,
	BLOCK_DICT = 2,
	BLOCK_EVENTS = 3,
	BLOCK_KEYFRAME = 4,
	BLOCK_SEGMENT = 5,
	BLOCK_INDEX = 6,
	BLOCK_END = 7,
	BLOCK_NAMES = 8,
	BLOCK_STATE = 9,
};

enum block_flag { BLOCK_ZSTD = 1 };

struct block_head {
	uint16_t kind, flags;
	uint32_t stored_nbytes; /* payload as it stands in the file */
	uint32_t raw_nbytes;    /* payload decompressed; equal to stored_nbytes without BLOCK_ZSTD */
	uint64_t seq;           /* the block's number in the tape, from 0 */
	uint32_t segment;
	uint32_t count;             /* entries, in the kind's own sense */
	uint64_t first_ns, last_ns; /* of its events; both 0 for kinds without time */
	uint64_t payload_hash;
};

struct file_head {
	uint32_t version;
	uint64_t features;          /* bits that a reader must know */
	uint64_t features_optional; /* bits that a reader may ignore */
};

void file_head_encode(const struct file_head *h, uint8_t out[FILE_HEAD_NBYTES]);
/* 0; -EBADMSG (no tape, or damaged) or -ENOTSUP (later version, unknown features), *why_ret says which. */
int file_head_decode(const uint8_t *data, size_t nbytes, struct file_head *h, const char **why_ret);

void block_head_encode(const struct block_head *h, uint8_t out[BLOCK_HEAD_NBYTES]);
/* 0 or -EBADMSG with *why_ret. A head that passes is within the limits above. */
int block_head_decode(const uint8_t in[BLOCK_HEAD_NBYTES], struct block_head *h, const char **why_ret);
uint64_t block_hash(const uint8_t *data, size_t nbytes);

/* Compresses and decompresses, keeping what zstd needs between blocks. */
struct block_codec;
struct block_codec *block_codec_new(int zstd_level);
void block_codec_free(struct block_codec *c);
/*
 * Appends the block (head and payload) to out. The payload's parts are compressed one behind the other into
 * one frame, each with its own statistics: they are columns of different nature. Sets the sizes, hash and
 * flags of h. 0, -ENOMEM, or -EINVAL when the payload is over the limit.
 */
int block_encode(struct block_codec *c, struct block_head *h, const struct bytes *parts, size_t nr_parts,
		 struct bytes *out);
/* Checks the stored payload against its head and gives the raw one, valid until the codec's or `stored`'s next use. */
int block_payload(struct block_codec *c, const struct block_head *h, const uint8_t *stored, struct cursor *raw_ret,
		  const char **why_ret);

#endif
