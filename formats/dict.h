/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dict.h - the dictionaries of a tape: strings, stacks, allocators, each entry with a number (TAPE.md "DICT").
 *
 * The writer's side finds the number of an equal entry and collects new ones until the next DICT block;
 * the reader's side takes DICT payloads and looks numbers up. Entries never move while their side lives.
 */
#ifndef HEAPTAPE_DICT_H
#define HEAPTAPE_DICT_H

#include "arena.h"
#include "bytes.h"
#include "tape.h"

#define DICT_STRING_NBYTES_MAX 65535u
#define DICT_STACK_FRAMES_MAX 4096u
#define DICT_ID_MAX ((1u << 30) - 1) /* strings, stacks; so that tables and counts stay within 32 bits */

enum dict_type { DICT_STRING = 1, DICT_STACK = 2, DICT_ALLOCATOR = 3, DICT_NR };

/* ---- writer's side ---- */

struct dict_writer;

struct dict_writer *dict_writer_new(void);
void dict_writer_free(struct dict_writer *d);
/* 0, -ENOMEM, or -ENOSPC when the dictionary's numbers are used up. */
int dict_writer_string(struct dict_writer *d, const char *s, uint32_t *id_ret);
int dict_writer_stack(struct dict_writer *d, const struct tape_frame *frames, uint32_t nr_frames, bool truncated,
		      uint32_t *id_ret);
int dict_writer_allocator(struct dict_writer *d, const struct tape_allocator *a, uint8_t *id_ret);
/* See tape_writer_each_frame, tape_writer_stack_frames. */
typedef int dict_frame_fn(void *arg, uint32_t module, const char *module_name, uint64_t place);
int dict_writer_each_frame(const struct dict_writer *d, dict_frame_fn *fn, void *arg);
int dict_writer_stack_frames(const struct dict_writer *d, uint32_t stack, dict_frame_fn *fn, void *arg);
/* A new segment begins: what it uses is written again. What waits for a block is forgotten: what is used of it will
 * be asked for again. */
void dict_writer_segment(struct dict_writer *d);
/* Numbers that an event names: where this segment has not yet written them, they wait for the next block. Unknown
 * numbers are none of the dictionary's business. 0 or -ENOMEM. */
int dict_writer_use_string(struct dict_writer *d, uint64_t id);
int dict_writer_use_stack(struct dict_writer *d, uint32_t id);
/* Bytes and entries that wait for a block. */
size_t dict_writer_pending_nbytes(const struct dict_writer *d);
uint32_t dict_writer_pending(const struct dict_writer *d);
/* Appends the payload of a DICT block to out and empties what waits. 0 or -ENOMEM. */
int dict_writer_take(struct dict_writer *d, struct bytes *out);

/* ---- reader's side ---- */

struct dict_reader;

struct dict_reader *dict_reader_new(void);
void dict_reader_free(struct dict_reader *d);
/* Takes one DICT payload. 0, -ENOMEM or -EBADMSG with *why_ret. */
int dict_reader_add(struct dict_reader *d, struct cursor payload, const char **why_ret);
const char *dict_reader_string(const struct dict_reader *d, uint32_t id);
uint32_t dict_reader_stack(const struct dict_reader *d, uint32_t id, const struct tape_frame **frames_ret,
			   bool *truncated_ret);
const struct tape_allocator *dict_reader_allocator(const struct dict_reader *d, uint32_t id);
uint32_t dict_reader_nr_allocators(const struct dict_reader *d);
uint32_t dict_reader_nr_stacks(const struct dict_reader *d);

#endif
