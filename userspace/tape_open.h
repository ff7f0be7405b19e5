/* SPDX-License-Identifier: BSD-2-Clause */
/* tape_open.h - what every verb that reads a tape says about it: errors with the file's name and the way on. */
#ifndef HEAPTAPE_TAPE_OPEN_H
#define HEAPTAPE_TAPE_OPEN_H

#include "formats/tape.h"

/* NULL after printing why. */
struct tape_reader *tape_open(const char *path, bool salvage);
/* Prints why reading failed after nr_events, with what can still be done. */
void tape_print_error(const char *path, const struct tape_reader *r, uint64_t nr_events);
/* At the end: warns when the tape has no end or blocks were passed over. */
void tape_warn_incomplete(const char *path, const struct tape_reader *r);

#endif
