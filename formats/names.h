/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * names.h - names of places in the code, as they stand on a tape (TAPE.md "NAMES").
 *
 * The writer's side collects places until the next NAMES block; the reader's side takes payloads and looks places up.
 * What a lookup gives lives as long as its reader.
 */
#ifndef HEAPTAPE_NAMES_H
#define HEAPTAPE_NAMES_H

#include "bytes.h"
#include "tape.h"

#define NAMES_TEXT_NBYTES_MAX 4095u /* a writer cuts there: longer ones are templates that nobody reads to their end */
#define NAMES_NR_MAX 256u	    /* of one place: functions inlined into each other */

/* ---- writer's side ---- */

struct names_writer;

struct names_writer *names_writer_new(void);
void names_writer_free(struct names_writer *n);
/* 0 or -ENOMEM; -EINVAL for module 0. Names beyond NAMES_NR_MAX are left out, the outermost stays. */
int names_writer_add(struct names_writer *n, uint32_t module, uint64_t place, const struct tape_name *names, uint32_t nr);
/* Places that wait for a block, and their payload; `take` empties what waits, and the payload is valid until the next add. */
uint32_t names_writer_pending(const struct names_writer *n);
const struct bytes *names_writer_payload(const struct names_writer *n);
void names_writer_taken(struct names_writer *n);

/* ---- reader's side ---- */

struct names_reader;

struct names_reader *names_reader_new(void);
void names_reader_free(struct names_reader *n);
/* Takes one payload of nr places. 0, -ENOMEM or -EBADMSG with *why_ret. */
int names_reader_add(struct names_reader *n, struct cursor payload, uint32_t nr, const char **why_ret);
/* 0 if the place has no names. */
uint32_t names_reader_find(const struct names_reader *n, uint32_t module, uint64_t place, const struct tape_name **names_ret);
uint64_t names_reader_nr_places(const struct names_reader *n);

#endif
