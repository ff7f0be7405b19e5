/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * levels.h - what a language's runtime holds, by its spans, its own figures and its objects.
 *
 * A row is a moment at which the runtime told figures (the end of a collection), with what its spans and objects held then.
 * Events come in the tape's order. Memory: 16 bytes for each 4 KiB that were ever in a span, and the rows. One thread.
 */
#ifndef HEAPTAPE_LEVELS_H
#define HEAPTAPE_LEVELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/heap.h"
#include "formats/tape.h"

enum { LEVELS_FIGURES = 16, LEVELS_USES = 144, LEVELS_PAGE = 4096, LEVELS_NAME = 32 };

struct levels_row {
	uint64_t ns;
	uint64_t figures[LEVELS_FIGURES]; /* by the order in which their names came */
	uint64_t uses[LEVELS_USES];       /* bytes of spans by what they are for */
	uint64_t taken[LEVELS_USES];      /* of these: bytes of the places that live objects take up */
	uint64_t born[LEVELS_USES];       /* bytes of places that objects have taken up so far */
	uint64_t live, live_nbytes;       /* objects of the runtime */
};

struct levels {
	char runtime[16]; /* "" : the tape has none */
	char levels[32];  /* as the tape says they were recorded */
	char figures[LEVELS_FIGURES][LEVELS_NAME], uses[LEVELS_USES][LEVELS_NAME]; /* their names */
	unsigned nr_figures, nr_uses, nr_left_out; /* left_out: names beyond those, and spans that cannot be */
	uint64_t nr_spans, nr_span_frees;                    /* events */
	uint64_t unknown_nbytes;                             /* of spans that ended without having begun on the tape */
	uint64_t born, born_nbytes, collected;               /* objects of the runtime, and those that it took back */
	uint64_t held_nbytes, asked_nbytes;                  /* of spans that were made for one object each, and of those objects */
	struct levels_row now, *rows;
	size_t nr_rows, rows_room;
	uint64_t thinned; /* of so many moments one has a row; 0: all have */
	uint8_t alloc; /* the runtime's number, TAPE_NO_ALLOC */
	struct levels_impl *impl; /* while it reads */
};

/* The tape's facts must be known, and r outlive the reading. 0 or -ENOMEM. */
int levels_begin(struct levels *lv, const struct tape_reader *r);
/* Spans and figures; all other events are passed over. 0 or -ENOMEM. */
int levels_take(struct levels *lv, const struct tape_event *ev);
/* An object was born, or has ended. */
void levels_birth(struct levels *lv, const struct heap_object *born);
void levels_death(struct levels *lv, const struct heap_object *dead, bool collected);
/* What only reading needs is freed. */
void levels_end(struct levels *lv);
void levels_free(struct levels *lv);

/* Bytes of a row's spans of one use that no live object takes up. */
static inline uint64_t levels_free_nbytes(const struct levels_row *row, unsigned use)
{
	return row->uses[use] > row->taken[use] ? row->uses[use] - row->taken[use] : 0;
}
/* Whether a row is of a full collection: one of the oldest generation, where there are generations (`oldest` as levels_oldest has it). */
uint64_t levels_oldest(const struct levels *lv);
bool levels_is_full(const struct levels *lv, const struct levels_row *row, uint64_t oldest);

/* Index of a figure or a use by its name; -1: the tape has none of it. */
int levels_figure(const struct levels *lv, const char *name);
int levels_use(const struct levels *lv, const char *name);

#endif
