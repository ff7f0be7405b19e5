/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events_decode.c - columns to events: see events.h and TAPE.md "EVENTS".
 *
 * Trusts nothing: a column that ends early, or names what was not there, refuses the block.
 */
#include <errno.h>
#include <stdlib.h>

#include "block.h"
#include "columns.h"
#include "events.h"
#include "state.h"

struct words {
	uint64_t values[WORDS_NR_MAX];
	uint32_t nr;
};

struct events_decoder {
	struct cursor columns[COLUMN_NR];
	uint8_t fields[BLOCK_EVENTS_NR_MAX]; /* enum shape_field of each event */
	struct words shapes, threads, sizes, args, stacks;
	uint16_t cpus[WORDS_NR_MAX + 1];
	struct piles piles;
	unsigned shift;
	uint64_t last_gone;
	uint64_t last_addr[256], last_old[256];
};

struct events_decoder *events_decoder_new(void)
{
	return calloc(1, sizeof(struct events_decoder));
}

void events_decoder_free(struct events_decoder *d)
{
	free(d);
}

static void decoder_reset(struct events_decoder *d)
{
	for (unsigned i = 0; i < COLUMN_NR; i++)
		d->columns[i] = cursor_empty();
	d->shapes.nr = d->threads.nr = d->sizes.nr = d->args.nr = d->stacks.nr = 0;
	memset(d->cpus, 0, sizeof(d->cpus));
	memset(d->last_addr, 0, sizeof(d->last_addr));
	memset(d->last_old, 0, sizeof(d->last_old));
	d->last_gone = 0;
	piles_reset(&d->piles, CLASS_STEPS);
}

/* The next value of a column of words; *number_ret as put_word gave it. */
static inline uint64_t take_word(struct words *w, struct cursor *c, uint32_t *number_ret)
{
	uint64_t nr = cursor_varint(c), value;

	if (nr > 0 && nr <= w->nr) {
		*number_ret = (uint32_t)nr;
		return w->values[nr - 1];
	}
	value = cursor_varint(c);
	*number_ret = 0;
	if (nr > w->nr)
		c->bad = true;
	else if (w->nr < WORDS_NR_MAX) {
		w->values[w->nr++] = value;
		*number_ret = w->nr;
	}
	return value;
}

static void take_shapes(struct events_decoder *d, struct tape_event *evs, size_t nr)
{
	struct cursor c = d->columns[COLUMN_SHAPE];

	for (size_t i = 0; i < nr; i++) {
		uint32_t number;
		uint64_t shape = take_word(&d->shapes, &c, &number);

		c.bad |= shape >> 24 > HAS_ALL;
		evs[i] = (struct tape_event){ .kind = (uint8_t)shape,
					      .flags = (uint8_t)(shape >> 8),
					      .alloc = (uint8_t)(shape >> 16) };
		d->fields[i] = (uint8_t)(shape >> 24);
	}
	d->columns[COLUMN_SHAPE] = c;
}

static void take_threads(struct events_decoder *d, struct tape_event *evs, size_t nr)
{
	struct cursor *threads = &d->columns[COLUMN_THREAD], *cpus = &d->columns[COLUMN_CPU];
	uint64_t gap = cursor_left(cpus) ? cursor_varint(cpus) : UINT64_MAX;
	size_t i = 0;

	while (i < nr && !threads->bad && !cpus->bad) {
		uint32_t number;
		uint64_t tid = take_word(&d->threads, threads, &number);
		uint64_t run = cursor_varint(threads);

		if (tid > UINT32_MAX || run >= nr - i)
			threads->bad = true;
		for (uint64_t left = run + 1; left && i < nr; left--, i++, gap--) {
			if (gap == 0) {
				uint64_t cpu = cursor_varint(cpus);

				cpus->bad |= cpu > UINT16_MAX;
				d->cpus[number] = (uint16_t)cpu;
				gap = cursor_left(cpus) ? cursor_varint(cpus) : UINT64_MAX;
			}
			evs[i].tid = (uint32_t)tid;
			evs[i].cpu = d->cpus[number];
		}
	}
}

static void take_times(struct events_decoder *d, uint64_t first_ns, uint64_t unit_ns, struct tape_event *evs, size_t nr)
{
	struct cursor c = d->columns[COLUMN_TIME];
	uint64_t ns = first_ns;

	for (size_t i = 0; i < nr; i++) {
		uint64_t step;

		if (__builtin_mul_overflow(cursor_varint(&c), unit_ns, &step) || __builtin_add_overflow(ns, step, &ns))
			c.bad = true;
		evs[i].ns = ns;
	}
	d->columns[COLUMN_TIME] = c;
}

/* Of a keyframe: births in any order, none behind the keyframe. */
static void take_birth_times(struct events_decoder *d, uint64_t at_ns, uint64_t unit_ns, struct tape_event *evs, size_t nr)
{
	struct cursor c = d->columns[COLUMN_TIME];
	uint64_t units = at_ns / unit_ns;

	for (size_t i = 0; i < nr; i++) {
		units += unzigzag(cursor_varint(&c));
		c.bad |= units > at_ns / unit_ns;
		evs[i].ns = c.bad ? 0 : units * unit_ns;
	}
	d->columns[COLUMN_TIME] = c;
}

static void take_sizes(struct events_decoder *d, struct tape_event *evs, size_t nr)
{
	struct cursor c = d->columns[COLUMN_SIZE];
	uint32_t number;

	for (size_t i = 0; i < nr; i++)
		if (d->fields[i] & HAS_SIZE)
			evs[i].size = take_word(&d->sizes, &c, &number);
	d->columns[COLUMN_SIZE] = c;
}

static void take_args(struct events_decoder *d, struct tape_event *evs, size_t nr)
{
	struct cursor c = d->columns[COLUMN_ARG];
	uint32_t number;

	for (size_t i = 0; i < nr; i++)
		if (d->fields[i] & HAS_ARG)
			evs[i].arg = take_word(&d->args, &c, &number);
	d->columns[COLUMN_ARG] = c;
}

static void take_stacks(struct events_decoder *d, struct tape_event *evs, size_t nr)
{
	struct cursor c = d->columns[COLUMN_STACK];
	uint32_t number;

	for (size_t i = 0; i < nr; i++) {
		uint64_t stack;

		if (!(d->fields[i] & HAS_STACK))
			continue;
		stack = take_word(&d->stacks, &c, &number);
		c.bad |= stack > UINT32_MAX;
		evs[i].stack = (uint32_t)stack;
	}
	d->columns[COLUMN_STACK] = c;
}

/* ---- addresses: the mirror of events_encode.c ---- */

static inline uint64_t take_literal(struct events_decoder *d, enum events_column column, uint64_t *last)
{
	return *last += unzigzag(cursor_varint(&d->columns[column])) << d->shift;
}

/* A block that goes at event i. *pile_ret: where it lies from now on. */
static inline uint64_t take_gone(struct events_decoder *d, const struct tape_event *evs, size_t i,
				 struct pile **pile_ret)
{
	struct cursor *c = &d->columns[COLUMN_BACK];
	uint64_t distance = cursor_varint(c);

	*pile_ret = &d->piles.unknown;
	if (distance > i)
		c->bad = true;
	if (distance == 0 || distance > i)
		return take_literal(d, COLUMN_GONE, &d->last_gone);
	*pile_ret = pile_of(&d->piles, evs[i - distance].size, evs[i].tid);
	return evs[i - distance].addr;
}

static inline uint64_t take_birth(struct events_decoder *d, const struct tape_event *ev)
{
	struct cursor *c = &d->columns[COLUMN_PICK];
	struct pile *pile = pile_of(&d->piles, ev->size, ev->tid);
	uint64_t pick = cursor_varint(c), addr = 0;

	if (pick == PICK_FRESH)
		addr = take_literal(d, COLUMN_FRESH, &pile->near);
	else if (pick == PICK_SAME)
		addr = ev->old;
	else if (pick - PICK_KNOWN < pile->nr)
		addr = pile_take(pile, (uint32_t)(pick - PICK_KNOWN));
	else if (pick >= PICK_UNKNOWN && pick - PICK_UNKNOWN < d->piles.unknown.nr)
		addr = pile_take(&d->piles.unknown, (uint32_t)(pick - PICK_UNKNOWN));
	else
		c->bad = true;
	return pile->near = addr;
}

static inline void take_place(struct events_decoder *d, struct tape_event *ev, unsigned has)
{
	struct cursor *c = &d->columns[COLUMN_PLACE];

	if (has & HAS_ADDR)
		ev->addr = d->last_addr[ev->kind] += unzigzag(cursor_varint(c));
	if (has & HAS_OLD)
		ev->old = d->last_old[ev->kind] += unzigzag(cursor_varint(c));
}

/* Births and reallocs. Those other than realloc may have an `old` too, where a later writer gives it a meaning. */
static inline void take_alloc(struct events_decoder *d, struct tape_event *evs, size_t i, unsigned has)
{
	struct pile *pile = NULL;
	struct tape_event *ev = &evs[i];

	if (has & HAS_OLD && ev->kind == TAPE_REALLOC)
		ev->old = take_gone(d, evs, i, &pile);
	else
		take_place(d, ev, has & HAS_OLD);
	if (has & HAS_ADDR)
		ev->addr = take_birth(d, ev);
	if (pile && ev->addr && ev->addr != ev->old)
		pile_push(pile, ev->old);
}

static void take_addresses(struct events_decoder *d, struct tape_event *evs, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		unsigned has = d->fields[i] & (HAS_ADDR | HAS_OLD);

		if (kind_is_birth(evs[i].kind)) {
			take_alloc(d, evs, i, has);
		} else if (kind_is_gone(evs[i].kind) && has & HAS_ADDR) {
			struct pile *pile;

			evs[i].addr = take_gone(d, evs, i, &pile);
			pile_push(pile, evs[i].addr);
			take_place(d, &evs[i], has & HAS_OLD);
		} else {
			take_place(d, &evs[i], has);
		}
	}
}

static bool column_is_known(uint8_t id, uint8_t encoding)
{
	if (id == COLUMN_PICK)
		return encoding >= CLASS_STEPS && encoding < CLASS_NR;
	return id > COLUMN_HEAD && id < COLUMN_NR && encoding == 1;
}

/* Reads the directory and lays a cursor on each column. */
static int take_directory(struct events_decoder *d, struct cursor *c, uint64_t *unit_ret, const char **why_ret)
{
	uint8_t ids[COLUMN_NR];
	uint64_t nbytes[COLUMN_NR], nr, shift;

	*unit_ret = cursor_varint(c);
	shift = cursor_varint(c);
	nr = cursor_varint(c);
	if (c->bad || *unit_ret == 0 || shift > ADDRESS_SHIFT_MAX || nr >= COLUMN_NR)
		return *why_ret = "no valid time unit or alignment, or too many columns", -EBADMSG;
	d->shift = (unsigned)shift;
	for (uint64_t i = 0; i < nr; i++) {
		uint8_t encoding;

		ids[i] = cursor_u8(c);
		encoding = cursor_u8(c);
		if (!column_is_known(ids[i], encoding))
			return *why_ret = "column or encoding that this program does not know", -ENOTSUP;
		if (ids[i] == COLUMN_PICK)
			piles_reset(&d->piles, encoding);
		nbytes[i] = cursor_varint(c);
	}
	for (uint64_t i = 0; i < nr; i++)
		d->columns[ids[i]] = cursor_part(c, nbytes[i]);
	if (c->bad || cursor_left(c))
		return *why_ret = "columns do not fill the block", -EBADMSG;
	return 0;
}

static int decode(struct events_decoder *d, struct cursor payload, uint64_t first_ns, bool any_order, size_t nr,
		  struct tape_event *evs, const char **why_ret)
{
	uint64_t unit_ns;
	int err;

	if (nr > BLOCK_EVENTS_NR_MAX)
		return *why_ret = "more events in a block than the format allows", -EBADMSG;
	decoder_reset(d);
	err = take_directory(d, &payload, &unit_ns, why_ret);
	if (err)
		return err;
	take_shapes(d, evs, nr);
	take_threads(d, evs, nr);
	(any_order ? take_birth_times : take_times)(d, first_ns, unit_ns, evs, nr);
	take_sizes(d, evs, nr);
	take_addresses(d, evs, nr);
	take_args(d, evs, nr);
	take_stacks(d, evs, nr);
	for (unsigned i = COLUMN_HEAD + 1; i < COLUMN_NR; i++)
		if (d->columns[i].bad || cursor_left(&d->columns[i]))
			return *why_ret = "a column does not hold what its events need", -EBADMSG;
	return 0;
}

int events_decode(struct events_decoder *d, struct cursor payload, uint64_t first_ns, uint64_t last_ns, size_t nr,
		  struct tape_event *evs, const char **why_ret)
{
	int err = decode(d, payload, first_ns, false, nr, evs, why_ret);

	if (err)
		return err;
	if (nr && evs[nr - 1].ns != last_ns)
		return *why_ret = "times do not end where the block's head says", -EBADMSG;
	return 0;
}

int events_decode_keyframe(struct events_decoder *d, struct cursor payload, uint64_t at_ns, size_t nr,
			   struct tape_event *evs, const char **why_ret)
{
	int err = decode(d, payload, at_ns, true, nr, evs, why_ret);

	for (size_t i = 0; i < nr && !err; i++)
		if (!kind_is_birth(evs[i].kind) && evs[i].kind != TAPE_GIVE_UP)
			err = (*why_ret = "a keyframe holds what is neither an object nor given up", -EBADMSG);
	return err;
}

int events_decode_state(struct events_decoder *d, struct cursor payload, uint64_t at_ns, size_t nr, struct tape_event *evs,
			const char **why_ret)
{
	int err = decode(d, payload, at_ns, true, nr, evs, why_ret);

	for (size_t i = 0; i < nr && !err; i++)
		if (!state_may_hold(&evs[i]))
			err = (*why_ret = "a state holds what is neither mapping, break, thread nor sub-allocation", -EBADMSG);
	return err;
}
