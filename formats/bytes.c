/* SPDX-License-Identifier: BSD-2-Clause */
/* bytes.c - what of bytes.h is too long or too rare to be inline. */
#include "bytes.h"

#include <errno.h>
#include <stdlib.h>

int bytes_reserve(struct bytes *b, size_t more)
{
	size_t need, cap = b->cap ? b->cap : 256;
	uint8_t *data;

	if (__builtin_add_overflow(b->nbytes, more, &need) || need > SIZE_MAX / 2)
		return -ENOMEM;
	if (need <= b->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

int bytes_append(struct bytes *b, const void *data, size_t nbytes)
{
	int err = bytes_reserve(b, nbytes);

	if (err)
		return err;
	if (nbytes)
		memcpy(b->data + b->nbytes, data, nbytes);
	b->nbytes += nbytes;
	return 0;
}

void bytes_free(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){ 0 };
}

uint64_t cursor_varint_slow(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && c->p < c->end; shift += 7) {
		uint8_t byte = *c->p++;

		if (shift == 63 && byte > 1)
			break; /* bits beyond the 64th */
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return v;
	}
	c->bad = true;
	c->p = c->end; /* so that loops over the rest end */
	return 0;
}
