/* SPDX-License-Identifier: BSD-2-Clause */
/* block.c - heads and payloads of the tape's blocks: see block.h and TAPE.md. */
#include "block.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>
#include <zstd.h>

#include "tape.h"

static const uint8_t file_magic[8] = { 0x89, 'H', 'T', 'A', 'P', 'E', '\n', 0x1a };

struct block_codec {
	int level;
	ZSTD_CCtx *cctx; /* made when first needed: a reader needs only one of the two */
	ZSTD_DCtx *dctx;
	struct bytes raw;
};

uint64_t block_hash(const uint8_t *data, size_t nbytes)
{
	return XXH3_64bits(data, nbytes);
}

void file_head_encode(const struct file_head *h, uint8_t out[FILE_HEAD_NBYTES])
{
	memset(out, 0, FILE_HEAD_NBYTES);
	memcpy(out, file_magic, sizeof(file_magic));
	put_u32(out + 8, h->version);
	put_u32(out + 12, FILE_HEAD_NBYTES);
	put_u64(out + 16, h->features);
	put_u64(out + 24, h->features_optional);
	put_u64(out + 56, block_hash(out, 56));
}

int file_head_decode(const uint8_t *data, size_t nbytes, struct file_head *h, const char **why_ret)
{
	size_t known = nbytes < sizeof(file_magic) ? nbytes : sizeof(file_magic);

	if (nbytes == 0)
		return *why_ret = "the file is empty", -EBADMSG;
	if (memcmp(data, file_magic, known) != 0)
		return *why_ret = "this is no tape (it does not start with a tape's magic bytes)", -EBADMSG;
	if (nbytes < FILE_HEAD_NBYTES)
		return *why_ret = "the file ends within the tape's head", -EBADMSG;
	h->version = get_u32(data + 8);
	h->features = get_u64(data + 16);
	h->features_optional = get_u64(data + 24);
	/* The version goes first: a later one may have moved everything behind it. */
	if (h->version > TAPE_VERSION)
		return *why_ret = "the tape's version is later than this program knows", -ENOTSUP;
	if (get_u64(data + 56) != block_hash(data, 56))
		return *why_ret = "checksum mismatch in the tape's head", -EBADMSG;
	if (h->version == 0 || get_u32(data + 12) != FILE_HEAD_NBYTES)
		return *why_ret = "the tape's head has no valid version or length", -EBADMSG;
	if (h->features)
		return *why_ret = "the tape uses features that this program does not know", -ENOTSUP;
	return 0;
}

void block_head_encode(const struct block_head *h, uint8_t out[BLOCK_HEAD_NBYTES])
{
	uint8_t *p = out;

	p = put_u32(p, BLOCK_SYNC);
	p = put_u16(p, h->kind);
	p = put_u16(p, h->flags);
	p = put_u32(p, h->stored_nbytes);
	p = put_u32(p, h->raw_nbytes);
	p = put_u64(p, h->seq);
	p = put_u32(p, h->segment);
	p = put_u32(p, h->count);
	p = put_u64(p, h->first_ns);
	p = put_u64(p, h->last_ns);
	p = put_u64(p, h->payload_hash);
	put_u64(p, block_hash(out, (size_t)(p - out)));
}

static const char *block_head_fault(const struct block_head *h)
{
	if (h->stored_nbytes > BLOCK_STORED_NBYTES_MAX || h->raw_nbytes > BLOCK_RAW_NBYTES_MAX)
		return "block larger than the format allows";
	if (!(h->flags & BLOCK_ZSTD) && h->stored_nbytes != h->raw_nbytes)
		return "uncompressed block with two lengths";
	if ((h->kind == BLOCK_EVENTS || h->kind == BLOCK_KEYFRAME || h->kind == BLOCK_STATE) && h->count > BLOCK_EVENTS_NR_MAX)
		return "more events in a block than the format allows";
	if (h->first_ns > h->last_ns)
		return "block ends before it starts";
	return NULL;
}

int block_head_decode(const uint8_t in[BLOCK_HEAD_NBYTES], struct block_head *h, const char **why_ret)
{
	if (get_u32(in) != BLOCK_SYNC)
		return *why_ret = "no block starts here (sync word missing)", -EBADMSG;
	if (get_u64(in + 56) != block_hash(in, 56))
		return *why_ret = "checksum mismatch in the block's head", -EBADMSG;
	*h = (struct block_head){
		.kind = get_u16(in + 4),
		.flags = get_u16(in + 6),
		.stored_nbytes = get_u32(in + 8),
		.raw_nbytes = get_u32(in + 12),
		.seq = get_u64(in + 16),
		.segment = get_u32(in + 24),
		.count = get_u32(in + 28),
		.first_ns = get_u64(in + 32),
		.last_ns = get_u64(in + 40),
		.payload_hash = get_u64(in + 48),
	};
	*why_ret = block_head_fault(h);
	return *why_ret ? -EBADMSG : 0;
}

struct block_codec *block_codec_new(int zstd_level)
{
	struct block_codec *c = calloc(1, sizeof(*c));

	if (c)
		c->level = zstd_level;
	return c;
}

void block_codec_free(struct block_codec *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->cctx);
	ZSTD_freeDCtx(c->dctx);
	bytes_free(&c->raw);
	free(c);
}

static int cctx_begin(struct block_codec *c, size_t raw_nbytes)
{
	if (!c->cctx) {
		c->cctx = ZSTD_createCCtx();
		if (!c->cctx)
			return -ENOMEM;
	}
	ZSTD_CCtx_reset(c->cctx, ZSTD_reset_session_only);
	if (ZSTD_isError(ZSTD_CCtx_setParameter(c->cctx, ZSTD_c_compressionLevel, c->level)) ||
	    ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(c->cctx, raw_nbytes)))
		return -EINVAL;
	return 0;
}

/* Compresses the parts behind out's content; a flush between two starts a zstd block with its own tables. */
static int compress_parts(struct block_codec *c, const struct bytes *parts, size_t nr_parts, struct bytes *out)
{
	for (size_t i = 0; i < nr_parts; i++) {
		ZSTD_EndDirective end = i + 1 == nr_parts ? ZSTD_e_end : ZSTD_e_flush;
		ZSTD_inBuffer in = { parts[i].data, parts[i].nbytes, 0 };
		ZSTD_outBuffer to = { out->data, out->cap, out->nbytes };
		size_t left;

		if (!parts[i].nbytes && end == ZSTD_e_flush)
			continue;
		left = ZSTD_compressStream2(c->cctx, &to, &in, end);
		if (left != 0)
			return -ENOMEM; /* the room was reserved for the worst case */
		out->nbytes = to.pos;
	}
	return 0;
}

static int append_plain(const struct bytes *parts, size_t nr_parts, struct bytes *out)
{
	int err = 0;

	for (size_t i = 0; i < nr_parts && !err; i++)
		err = bytes_append(out, parts[i].data, parts[i].nbytes);
	return err;
}

int block_encode(struct block_codec *c, struct block_head *h, const struct bytes *parts, size_t nr_parts,
		 struct bytes *out)
{
	size_t start = out->nbytes, raw_nbytes = 0;
	int err;

	for (size_t i = 0; i < nr_parts; i++)
		raw_nbytes += parts[i].nbytes;
	if (raw_nbytes > BLOCK_RAW_NBYTES_MAX)
		return -EINVAL;
	/* A flush may cost a block head and a last empty block each. */
	err = bytes_reserve(out, BLOCK_HEAD_NBYTES + ZSTD_compressBound(raw_nbytes) + 64 * (nr_parts + 1));
	if (err)
		return err;
	out->nbytes += BLOCK_HEAD_NBYTES;
	h->flags = raw_nbytes >= 64 ? BLOCK_ZSTD : 0; /* below, a frame's head costs more than it saves */
	if (h->flags & BLOCK_ZSTD) {
		err = cctx_begin(c, raw_nbytes);
		if (!err)
			err = compress_parts(c, parts, nr_parts, out);
	} else {
		err = append_plain(parts, nr_parts, out);
	}
	if (err)
		return err;
	h->raw_nbytes = (uint32_t)raw_nbytes;
	h->stored_nbytes = (uint32_t)(out->nbytes - start - BLOCK_HEAD_NBYTES);
	h->payload_hash = block_hash(out->data + start + BLOCK_HEAD_NBYTES, h->stored_nbytes);
	block_head_encode(h, out->data + start);
	return 0;
}

int block_payload(struct block_codec *c, const struct block_head *h, const uint8_t *stored, struct cursor *raw_ret,
		  const char **why_ret)
{
	size_t got;

	if (h->flags & ~BLOCK_ZSTD)
		return *why_ret = "block with flags that this program does not know", -ENOTSUP;
	if (block_hash(stored, h->stored_nbytes) != h->payload_hash)
		return *why_ret = "checksum mismatch", -EBADMSG;
	*raw_ret = cursor_of(stored, h->stored_nbytes);
	if (!(h->flags & BLOCK_ZSTD))
		return 0;
	c->raw.nbytes = 0;
	if (!c->dctx)
		c->dctx = ZSTD_createDCtx();
	if (!c->dctx || bytes_reserve(&c->raw, h->raw_nbytes + 1))
		return *why_ret = "out of memory", -ENOMEM;
	got = ZSTD_decompressDCtx(c->dctx, c->raw.data, h->raw_nbytes, stored, h->stored_nbytes);
	if (ZSTD_isError(got) || got != h->raw_nbytes)
		return *why_ret = "payload does not decompress to the length its head gives", -EBADMSG;
	*raw_ret = cursor_of(c->raw.data, got);
	return 0;
}
