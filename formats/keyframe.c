/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * keyframe.c - see keyframe.h.
 *
 * First the state: who finds the keyframe whole finds it whole too. Then what threads have given up, as a birth and a give-up each: another object may live at that address already.
 * Then all others in ascending order of addresses, which makes them small.
 */
#include "keyframe.h"

#include <errno.h>
#include <stdlib.h>

#include "block.h"
#include "events.h"

#define KEYFRAME_ZSTD_LEVEL 3

struct encoding {
	struct keyframe *k;
	const struct heap *heap;
	const struct state *state;
	uint16_t block; /* kind of the blocks at hand */
	uint64_t ns, unit_ns, left; /* left: events that have not gone into a block yet */
	uint64_t *addrs;
	size_t nr_addrs;
	uint64_t *seen; /* bit i: stack i is among k->stacks */
	size_t nr_seen; /* words */
	struct tape_event *events;
	uint32_t nr_events;
	int (*put)(void *arg, const struct bytes *block); /* NULL: blocks are kept */
	void *put_arg;
	struct events_encoder *encoder;
	struct block_codec *codec;
};

static int note_stack(struct encoding *e, uint32_t stack)
{
	size_t word = stack / 64;

	if (!stack)
		return 0;
	if (word >= e->nr_seen) {
		size_t nr = word * 2 + 64;
		uint64_t *seen = reallocarray(e->seen, nr, sizeof(*seen));

		if (!seen)
			return -ENOMEM;
		memset(seen + e->nr_seen, 0, (nr - e->nr_seen) * sizeof(*seen));
		e->seen = seen;
		e->nr_seen = nr;
	}
	e->seen[word] |= 1ull << stack % 64;
	return 0;
}

static int list_stacks(struct encoding *e)
{
	struct keyframe *k = e->k;

	for (size_t i = 0; i < e->nr_seen; i++)
		k->nr_stacks += (size_t)__builtin_popcountll(e->seen[i]);
	k->stacks = malloc((k->nr_stacks + 1) * sizeof(*k->stacks));
	if (!k->stacks)
		return -ENOMEM;
	k->nr_stacks = 0;
	for (size_t i = 0; i < e->nr_seen; i++)
		for (uint64_t bits = e->seen[i]; bits; bits &= bits - 1)
			k->stacks[k->nr_stacks++] = (uint32_t)(i * 64 + (size_t)__builtin_ctzll(bits));
	return 0;
}

static int end_block(struct encoding *e)
{
	struct block_head h = { .kind = e->block, .count = e->nr_events };
	uint8_t left[VARINT_NBYTES_MAX];
	struct bytes parts[COLUMN_NR + 1] = { { .data = left, .cap = sizeof(left) } };
	const struct bytes *columns;
	int err;

	e->left -= e->nr_events;
	h.first_ns = h.last_ns = e->ns / e->unit_ns * e->unit_ns;
	bytes_put_varint(&parts[0], e->left);
	err = events_encode_keyframe(e->encoder, e->events, e->nr_events, e->ns, e->unit_ns, &columns);
	if (err)
		return err;
	memcpy(parts + 1, columns, COLUMN_NR * sizeof(*columns));
	e->nr_events = 0;
	err = block_encode(e->codec, &h, parts, COLUMN_NR + 1, &e->k->blocks);
	if (!err && e->put) {
		err = e->put(e->put_arg, &e->k->blocks);
		e->k->blocks.nbytes = 0;
	}
	return err;
}

static int put_event(struct encoding *e, const struct tape_event *ev)
{
	e->events[e->nr_events++] = *ev;
	return e->nr_events == KEYFRAME_BLOCK_EVENTS ? end_block(e) : 0;
}

static int put_object(struct encoding *e, const struct heap_object *obj)
{
	struct tape_event ev = { .ns = obj->born_ns, .addr = obj->addr, .size = obj->size, .tid = obj->tid,
				 .stack = obj->stack, .kind = obj->kind, .alloc = obj->alloc,
				 .flags = obj->found ? TAPE_UNKNOWN : 0 };
	int err = note_stack(e, obj->stack);

	return err ? err : put_event(e, &ev);
}

static int count_state(void *arg, const struct tape_event *ev)
{
	struct encoding *e = arg;

	e->left++;
	e->k->nr_strings += ev->kind == TAPE_THREAD_START;
	return 0;
}

static int put_state_event(void *arg, const struct tape_event *ev)
{
	struct encoding *e = arg;
	int err = note_stack(e, ev->stack);

	if (ev->kind == TAPE_THREAD_START)
		e->k->strings[e->k->nr_strings++] = (uint32_t)ev->arg;
	return err ? err : put_event(e, ev);
}

static int put_state(struct encoding *e)
{
	int err;

	if (!e->state)
		return 0;
	e->block = BLOCK_STATE;
	e->left = 0;
	state_each(e->state, count_state, e);
	e->k->strings = malloc((e->k->nr_strings + 1) * sizeof(*e->k->strings));
	if (!e->k->strings)
		return -ENOMEM;
	e->k->nr_strings = 0;
	err = state_each(e->state, put_state_event, e);
	return !err && e->nr_events ? end_block(e) : err;
}

static int put_given(void *arg, uint32_t tid, const struct heap_object *obj)
{
	struct encoding *e = arg;
	struct tape_event ev = { .ns = e->ns, .addr = obj->addr, .tid = tid, .kind = TAPE_GIVE_UP, .alloc = TAPE_NO_ALLOC };
	int err = put_object(e, obj);

	return err ? err : put_event(e, &ev);
}

static int count_given(void *arg, uint32_t tid, const struct heap_object *obj)
{
	(void)tid;
	(void)obj;
	++*(uint64_t *)arg;
	return 0;
}

static int note_addr(void *arg, const struct heap_object *obj)
{
	struct encoding *e = arg;

	e->addrs[e->nr_addrs++] = obj->addr;
	return 0;
}

static int compare_addrs(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Given-up objects come by the walk too; what the table finds at an address is the one that is not given up. */
static int put_objects(struct encoding *e)
{
	struct heap_object obj;
	int err = 0;

	qsort(e->addrs, e->nr_addrs, sizeof(*e->addrs), compare_addrs);
	for (size_t i = 0; i < e->nr_addrs && !err; i++)
		if ((!i || e->addrs[i] != e->addrs[i - 1]) && heap_find(e->heap, e->addrs[i], &obj))
			err = put_object(e, &obj);
	return err;
}

static int encode(struct encoding *e)
{
	uint64_t nr_given = 0, nr = heap_nr_objects(e->heap);
	int err;

	e->addrs = malloc((nr + 1) * sizeof(*e->addrs));
	e->events = malloc(KEYFRAME_BLOCK_EVENTS * sizeof(*e->events));
	e->encoder = events_encoder_new();
	e->codec = block_codec_new(KEYFRAME_ZSTD_LEVEL);
	if (!e->addrs || !e->events || !e->encoder || !e->codec)
		return -ENOMEM;
	err = put_state(e);
	if (err)
		return err;
	e->block = BLOCK_KEYFRAME;
	heap_each_given(e->heap, count_given, &nr_given);
	e->k->nr_objects = nr;
	e->left = nr + nr_given;
	err = heap_each(e->heap, note_addr, e);
	if (!err)
		err = heap_each_given(e->heap, put_given, e);
	if (!err)
		err = put_objects(e);
	if (!err && (e->nr_events || !(nr + nr_given))) /* an empty heap is a keyframe too */
		err = end_block(e);
	return err ? err : list_stacks(e);
}

int keyframe_encode(const struct heap *heap, const struct state *state, uint64_t ns, uint64_t unit_ns, struct keyframe *k)
{
	return keyframe_encode_to(heap, state, ns, unit_ns, NULL, NULL, k);
}

int keyframe_encode_to(const struct heap *heap, const struct state *state, uint64_t ns, uint64_t unit_ns,
		       int (*put)(void *arg, const struct bytes *block), void *arg, struct keyframe *k)
{
	struct encoding e = { .k = k, .heap = heap, .state = state, .ns = ns, .unit_ns = unit_ns, .put = put, .put_arg = arg };
	int err;

	*k = (struct keyframe){ 0 };
	err = encode(&e);
	free(e.addrs);
	free(e.seen);
	free(e.events);
	events_encoder_free(e.encoder);
	block_codec_free(e.codec);
	return err;
}

void keyframe_free(struct keyframe *k)
{
	bytes_free(&k->blocks);
	free(k->stacks);
	free(k->strings);
	*k = (struct keyframe){ 0 };
}

int keyframe_left(struct cursor *payload, uint64_t *left_ret, const char **why_ret)
{
	*left_ret = cursor_varint(payload);
	return payload->bad ? (*why_ret = "a keyframe cut off", -EBADMSG) : 0;
}
