/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bytes.h - the alphabet of the tape: little-endian words, varints, a growing buffer and a bounded cursor.
 *
 * Writing goes into a struct bytes whose room was reserved before (the put functions do not check it);
 * reading goes through a struct cursor that never passes its end: a read that would sets `bad` and gives 0.
 */
#ifndef HEAPTAPE_BYTES_H
#define HEAPTAPE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the tape's words are little-endian, and so must the machine be"
#endif

#define VARINT_NBYTES_MAX 10 /* 64 bits, 7 a byte */

struct bytes {
	uint8_t *data;
	size_t nbytes, cap;
};

/* Makes room for `more` bytes behind the content. 0 or -ENOMEM. */
int bytes_reserve(struct bytes *b, size_t more);
/* Appends, reserving. 0 or -ENOMEM. */
int bytes_append(struct bytes *b, const void *data, size_t nbytes);
void bytes_free(struct bytes *b);

static inline uint8_t *put_u16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline uint8_t *put_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline uint8_t *put_u64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static inline uint16_t get_u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t get_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Small magnitudes of either sign become small numbers: 0, -1, 1, -2 ... -> 0, 1, 2, 3 ... Differences wrap mod 2^64. */
static inline uint64_t zigzag(uint64_t diff)
{
	return (diff << 1) ^ (uint64_t)((int64_t)diff >> 63);
}

static inline uint64_t unzigzag(uint64_t v)
{
	return (v >> 1) ^ -(v & 1);
}

static inline uint8_t *put_varint(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)v | 0x80;
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

/* The room must have been reserved. */
static inline void bytes_put_varint(struct bytes *b, uint64_t v)
{
	b->nbytes = (size_t)(put_varint(b->data + b->nbytes, v) - b->data);
}

static inline void bytes_put_u8(struct bytes *b, uint8_t v)
{
	b->data[b->nbytes++] = v;
}

struct cursor {
	const uint8_t *p, *end;
	bool bad; /* something reached for more than there is, or a varint was longer than 64 bits */
};

/* No bytes may lie at NULL. */
static inline struct cursor cursor_of(const uint8_t *data, size_t nbytes)
{
	return (struct cursor){ .p = data, .end = nbytes ? data + nbytes : data };
}

static inline struct cursor cursor_empty(void)
{
	return cursor_of((const uint8_t *)"", 0);
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

uint64_t cursor_varint_slow(struct cursor *c);

static inline uint64_t cursor_varint(struct cursor *c)
{
	if (c->p < c->end && *c->p < 0x80)
		return *c->p++;
	return cursor_varint_slow(c);
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	if (c->p == c->end) {
		c->bad = true;
		return 0;
	}
	return *c->p++;
}

/* The next nbytes; NULL, and bad, if there are not so many. */
static inline const uint8_t *cursor_take(struct cursor *c, uint64_t nbytes)
{
	const uint8_t *p = c->p;

	if (nbytes > cursor_left(c)) {
		c->bad = true;
		return NULL;
	}
	c->p += nbytes;
	return p;
}

/* A part of the rest as a cursor of its own; empty, and c bad, if there is not so much. */
static inline struct cursor cursor_part(struct cursor *c, uint64_t nbytes)
{
	const uint8_t *p = cursor_take(c, nbytes);

	return p ? cursor_of(p, nbytes) : cursor_of(c->p, 0);
}

#endif
