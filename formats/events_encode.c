/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * events_encode.c - events to columns: see events.h and TAPE.md "EVENTS".
 *
 * One pass feeds all columns but the addresses; a second one predicts these, by the rule for size classes that
 * did best lately.
 */
#include <errno.h>
#include <stdlib.h>

#include "columns.h"
#include "events.h"
#include "index_map.h"

/* Values that a column names by number once they stood in it. */
struct words {
	struct index_map map;
};

struct events_encoder {
	struct bytes columns[COLUMN_NR];
	struct words shapes, threads, sizes, args, stacks;
	struct index_map born; /* address -> index of the event of this block that gave it */
	struct piles piles;
	unsigned shift;                         /* all addresses of calls are multiples of 1 << shift */
	uint64_t last_gone;                     /* last address in COLUMN_GONE */
	uint64_t last_addr[256], last_old[256]; /* by kind, of events that are no calls */
	enum class_rule rule;
	uint32_t nr_blocks;
	uint16_t cpus[WORDS_NR_MAX + 1];     /* by thread: the CPU it was on last */
	uint64_t last_units;
	uint32_t run_thread, run_nr; /* the run of one thread that is being counted */
	uint32_t last_tid, cpu_gap;
};

struct events_encoder *events_encoder_new(void)
{
	struct events_encoder *e = calloc(1, sizeof(*e));

	if (e && (index_map_init(&e->shapes.map) || index_map_init(&e->threads.map) || index_map_init(&e->sizes.map) ||
		  index_map_init(&e->args.map) || index_map_init(&e->stacks.map) || index_map_init(&e->born))) {
		events_encoder_free(e);
		return NULL;
	}
	return e;
}

void events_encoder_free(struct events_encoder *e)
{
	if (!e)
		return;
	index_map_free(&e->shapes.map);
	index_map_free(&e->threads.map);
	index_map_free(&e->sizes.map);
	index_map_free(&e->args.map);
	index_map_free(&e->stacks.map);
	index_map_free(&e->born);
	for (unsigned i = 0; i < COLUMN_NR; i++)
		bytes_free(&e->columns[i]);
	free(e);
}

static int encoder_reset(struct events_encoder *e, size_t nr)
{
	for (unsigned i = 0; i < COLUMN_NR; i++) {
		e->columns[i].nbytes = 0;
		/* No column takes more than a mark and a full varint an event, or a run of two such. */
		if (bytes_reserve(&e->columns[i], 32 + nr * 3 * VARINT_NBYTES_MAX))
			return -ENOMEM;
	}
	index_map_clear(&e->shapes.map);
	index_map_clear(&e->threads.map);
	index_map_clear(&e->sizes.map);
	index_map_clear(&e->args.map);
	index_map_clear(&e->stacks.map);
	memset(e->last_addr, 0, sizeof(e->last_addr));
	memset(e->last_old, 0, sizeof(e->last_old));
	memset(e->cpus, 0, sizeof(e->cpus));
	e->last_units = 0;
	e->run_nr = e->cpu_gap = 0;
	return 0;
}

/* 0 and the value when it is new, else its number. Returns the number (0 for a new one that was not kept). */
static int put_word(struct words *w, struct bytes *column, uint64_t value, uint32_t *number_ret)
{
	uint32_t nr = index_map_find(&w->map, value);

	if (nr != INDEX_NONE) {
		bytes_put_varint(column, nr);
		*number_ret = nr;
		return 0;
	}
	bytes_put_u8(column, 0);
	bytes_put_varint(column, value);
	*number_ret = 0;
	if (w->map.nr >= WORDS_NR_MAX)
		return 0;
	*number_ret = w->map.nr + 1;
	return index_map_set(&w->map, value, w->map.nr + 1);
}

static void end_run(struct events_encoder *e)
{
	if (e->run_nr)
		bytes_put_varint(&e->columns[COLUMN_THREAD], e->run_nr - 1);
	e->run_nr = 0;
}

static int put_thread(struct events_encoder *e, const struct tape_event *ev)
{
	if (!e->run_nr || ev->tid != e->last_tid) {
		int err;

		end_run(e);
		err = put_word(&e->threads, &e->columns[COLUMN_THREAD], ev->tid, &e->run_thread);
		if (err)
			return err;
		e->last_tid = ev->tid;
	}
	e->run_nr++;
	if (e->cpus[e->run_thread] != ev->cpu) {
		bytes_put_varint(&e->columns[COLUMN_CPU], e->cpu_gap);
		bytes_put_varint(&e->columns[COLUMN_CPU], ev->cpu);
		e->cpus[e->run_thread] = ev->cpu;
		e->cpu_gap = 0;
	}
	e->cpu_gap++;
	return 0;
}

static void put_time(struct events_encoder *e, uint64_t units, bool any_order)
{
	uint64_t step = units - e->last_units;

	bytes_put_varint(&e->columns[COLUMN_TIME], any_order ? zigzag(step) : step);
	e->last_units = units;
}

/* Address and former address of an event that is no call: against the last of its kind. */
static void put_place(struct events_encoder *e, const struct tape_event *ev, uint32_t has)
{
	if (has & HAS_ADDR) {
		bytes_put_varint(&e->columns[COLUMN_PLACE], zigzag(ev->addr - e->last_addr[ev->kind]));
		e->last_addr[ev->kind] = ev->addr;
	}
	if (has & HAS_OLD && ev->kind != TAPE_REALLOC) {
		bytes_put_varint(&e->columns[COLUMN_PLACE], zigzag(ev->old - e->last_old[ev->kind]));
		e->last_old[ev->kind] = ev->old;
	}
}

static int put_event(struct events_encoder *e, const struct tape_event *ev)
{
	uint32_t shape = shape_of(ev), has = shape >> 24, number;
	int err;

	err = put_word(&e->shapes, &e->columns[COLUMN_SHAPE], shape, &number);
	if (!err)
		err = put_thread(e, ev);
	if (!err && has & HAS_SIZE)
		err = put_word(&e->sizes, &e->columns[COLUMN_SIZE], ev->size, &number);
	if (kind_is_birth(ev->kind) || kind_is_gone(ev->kind))
		has &= ~(uint32_t)HAS_ADDR;
	put_place(e, ev, has);
	if (!err && has & HAS_ARG)
		err = put_word(&e->args, &e->columns[COLUMN_ARG], ev->arg, &number);
	if (!err && has & HAS_STACK)
		err = put_word(&e->stacks, &e->columns[COLUMN_STACK], ev->stack, &number);
	return err;
}

/* ---- addresses of calls ---- */

/* The largest power of two that divides all of them. */
static unsigned address_shift(const struct tape_event *evs, size_t nr)
{
	uint64_t bits = 1ull << ADDRESS_SHIFT_MAX;

	for (size_t i = 0; i < nr; i++) {
		if (kind_is_birth(evs[i].kind) || kind_is_gone(evs[i].kind))
			bits |= evs[i].addr;
		if (evs[i].kind == TAPE_REALLOC)
			bits |= evs[i].old;
	}
	return (unsigned)__builtin_ctzll(bits);
}

static void put_literal(struct events_encoder *e, enum events_column column, uint64_t addr, uint64_t *last)
{
	bytes_put_varint(&e->columns[column], zigzag((uint64_t)((int64_t)(addr - *last) >> e->shift)));
	*last = addr;
}

/* A block that goes at event i. Returns the pile that it lies on from now on. */
static struct pile *put_gone(struct events_encoder *e, const struct tape_event *evs, uint32_t i, uint64_t addr)
{
	uint32_t born = index_map_find(&e->born, addr);

	if (born != INDEX_NONE) {
		bytes_put_varint(&e->columns[COLUMN_BACK], i - born);
		return pile_of(&e->piles, evs[born].size, evs[i].tid);
	}
	bytes_put_u8(&e->columns[COLUMN_BACK], 0);
	put_literal(e, COLUMN_GONE, addr, &e->last_gone);
	return &e->piles.unknown;
}

static int put_birth(struct events_encoder *e, const struct tape_event *ev, uint32_t i)
{
	struct bytes *column = &e->columns[COLUMN_PICK];
	struct pile *pile = pile_of(&e->piles, ev->size, ev->tid);
	uint32_t depth;

	if (ev->addr == ev->old) {
		bytes_put_varint(column, PICK_SAME);
	} else if ((depth = pile_find(pile, ev->addr)) < PILE_DEPTH) {
		bytes_put_varint(column, PICK_KNOWN + depth);
		pile_take(pile, depth);
	} else if ((depth = pile_find(&e->piles.unknown, ev->addr)) < PILE_DEPTH) {
		bytes_put_varint(column, PICK_UNKNOWN + depth);
		pile_take(&e->piles.unknown, depth);
	} else {
		bytes_put_varint(column, PICK_FRESH);
		put_literal(e, COLUMN_FRESH, ev->addr, &pile->near);
	}
	pile->near = ev->addr;
	return index_map_set(&e->born, ev->addr, i);
}

static int put_addresses(struct events_encoder *e, const struct tape_event *evs, size_t nr, enum class_rule rule)
{
	int err = 0;

	index_map_clear(&e->born);
	piles_reset(&e->piles, rule);
	e->last_gone = 0;
	for (unsigned column = COLUMN_BACK; column <= COLUMN_FRESH; column++)
		e->columns[column].nbytes = 0;
	for (uint32_t i = 0; i < nr && !err; i++) {
		const struct tape_event *ev = &evs[i];
		struct pile *pile = NULL;

		if (ev->kind == TAPE_REALLOC && ev->old)
			pile = put_gone(e, evs, i, ev->old);
		if (kind_is_birth(ev->kind) && ev->addr)
			err = put_birth(e, ev, i);
		if (pile && ev->addr && ev->addr != ev->old)
			pile_push(pile, ev->old); /* moved: its old place is free now */
		if (kind_is_gone(ev->kind) && ev->addr)
			pile_push(put_gone(e, evs, i, ev->addr), ev->addr);
	}
	return err;
}

#define RULE_PERIOD 16 /* blocks between two trials of the other rules: 6 % more work */

/* What the prediction left over, roughly in bits. */
static size_t addresses_cost(const struct events_encoder *e)
{
	const struct bytes *pick = &e->columns[COLUMN_PICK];
	size_t cost = e->columns[COLUMN_FRESH].nbytes * 6;

	for (size_t i = 0; i < pick->nbytes; i++)
		cost += pick->data[i] != PICK_KNOWN;
	return cost;
}

/* Sizes fall into classes by the allocator's rule, which is found by trying: no name needs to be known. */
static int choose_rule(struct events_encoder *e, const struct tape_event *evs, size_t nr)
{
	size_t least = SIZE_MAX;

	for (enum class_rule rule = CLASS_STEPS; rule < CLASS_NR; rule++) {
		int err = put_addresses(e, evs, nr, rule);

		if (err)
			return err;
		if (addresses_cost(e) < least) {
			least = addresses_cost(e);
			e->rule = rule;
		}
	}
	return 0;
}

static int encode_addresses(struct events_encoder *e, const struct tape_event *evs, size_t nr)
{
	e->shift = address_shift(evs, nr);
	if (e->nr_blocks++ % RULE_PERIOD == 0) {
		int err = choose_rule(e, evs, nr);

		if (err || e->rule == e->piles.rule)
			return err;
	}
	return put_addresses(e, evs, nr, e->rule);
}

static void put_directory(struct events_encoder *e, uint64_t unit_ns)
{
	struct bytes *head = &e->columns[COLUMN_HEAD];
	unsigned nr = 0;

	for (unsigned i = COLUMN_HEAD + 1; i < COLUMN_NR; i++)
		nr += e->columns[i].nbytes > 0;
	bytes_put_varint(head, unit_ns);
	bytes_put_varint(head, e->shift);
	bytes_put_varint(head, nr);
	for (unsigned i = COLUMN_HEAD + 1; i < COLUMN_NR; i++) {
		if (!e->columns[i].nbytes)
			continue;
		bytes_put_u8(head, (uint8_t)i);
		bytes_put_u8(head, i == COLUMN_PICK ? (uint8_t)e->rule : 1);
		bytes_put_varint(head, e->columns[i].nbytes);
	}
}

static int encode(struct events_encoder *e, const struct tape_event *evs, size_t nr, uint64_t from_ns, bool any_order,
		  uint64_t unit_ns, const struct bytes **columns_ret)
{
	int err = encoder_reset(e, nr);

	if (bytes_reserve(&e->columns[COLUMN_HEAD], 3 * VARINT_NBYTES_MAX + COLUMN_NR * (2 + VARINT_NBYTES_MAX)))
		err = -ENOMEM;
	e->last_units = from_ns / unit_ns;
	for (size_t i = 0; i < nr && !err; i++) {
		put_time(e, evs[i].ns / unit_ns, any_order);
		err = put_event(e, &evs[i]);
	}
	if (!err)
		err = encode_addresses(e, evs, nr);
	if (err)
		return err;
	end_run(e);
	put_directory(e, unit_ns);
	*columns_ret = e->columns;
	return 0;
}

int events_encode(struct events_encoder *e, const struct tape_event *evs, size_t nr, uint64_t unit_ns,
		  const struct bytes **columns_ret)
{
	return encode(e, evs, nr, nr ? evs[0].ns : 0, false, unit_ns, columns_ret);
}

int events_encode_keyframe(struct events_encoder *e, const struct tape_event *evs, size_t nr, uint64_t at_ns,
			   uint64_t unit_ns, const struct bytes **columns_ret)
{
	return encode(e, evs, nr, at_ns, true, unit_ns, columns_ret);
}
