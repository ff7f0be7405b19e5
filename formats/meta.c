/* SPDX-License-Identifier: BSD-2-Clause */
/* meta.c - see meta.h. */
#include "meta.h"

#include <errno.h>
#include <stdlib.h>

/* A recording has some dozen keys; the limits keep a false tape from costing memory or time. */
#define META_NR_MAX 1024
#define META_NBYTES_MAX (16u << 20)

static struct meta_pair *meta_pair_of(const struct meta *m, const char *key)
{
	for (size_t i = 0; i < m->nr; i++)
		if (strcmp(m->pairs[i].key, key) == 0)
			return &m->pairs[i];
	return NULL;
}

static int meta_grow(struct meta *m)
{
	size_t cap = m->cap ? m->cap * 2 : 32;
	struct meta_pair *pairs;

	if (m->nr < m->cap)
		return 0;
	pairs = reallocarray(m->pairs, cap, sizeof(*pairs));
	if (!pairs)
		return -ENOMEM;
	m->pairs = pairs;
	m->cap = cap;
	return 0;
}

/* Takes ownership of both strings when it returns 0. */
static int meta_set(struct meta *m, char *key, char *value, const char **why_ret)
{
	struct meta_pair *there = meta_pair_of(m, key);

	if (there) { /* segments repeat all facts: they count once */
		m->nbytes -= strlen(there->key) + strlen(there->value);
		free(there->value);
		free(key);
		there->value = value;
		return 0;
	}
	if (m->nr == META_NR_MAX)
		return *why_ret = "more keys than the format allows", -EBADMSG;
	if (meta_grow(m))
		return *why_ret = "out of memory", -ENOMEM;
	m->pairs[m->nr++] = (struct meta_pair){ key, value };
	return 0;
}

static char *take_text(struct cursor *c)
{
	uint64_t nbytes = cursor_varint(c);
	const char *s = (const char *)cursor_take(c, nbytes);

	return !c->bad && !memchr(s, 0, nbytes) ? strndup(s, nbytes) : NULL;
}

int meta_add(struct meta *m, struct cursor payload, uint32_t nr, const char **why_ret)
{
	for (; nr; nr--) {
		char *key = take_text(&payload), *value = key ? take_text(&payload) : NULL;
		size_t nbytes = value ? strlen(key) + strlen(value) : 0;
		int err = value ? meta_set(m, key, value, why_ret) : -EBADMSG;

		if (!value)
			*why_ret = "key or value cut off, or with a NUL in it";
		if (!err && (m->nbytes += nbytes) > META_NBYTES_MAX)
			return *why_ret = "facts larger than the format allows", -EBADMSG;
		if (err) {
			free(key);
			free(value);
			return err;
		}
	}
	return cursor_left(&payload) ? (*why_ret = "more bytes than its keys need", -EBADMSG) : 0;
}

const char *meta_find(const struct meta *m, const char *key)
{
	const struct meta_pair *pair = meta_pair_of(m, key);

	return pair ? pair->value : NULL;
}

void meta_free(struct meta *m)
{
	for (size_t i = 0; i < m->nr; i++) {
		free(m->pairs[i].key);
		free(m->pairs[i].value);
	}
	free(m->pairs);
	*m = (struct meta){ 0 };
}
