/* SPDX-License-Identifier: BSD-2-Clause */
/* measure_error.h - what is said about an allocator that did not get through a run. */
#ifndef HEAPTAPE_REPLAY_MEASURE_ERROR_H
#define HEAPTAPE_REPLAY_MEASURE_ERROR_H

#include "replay/measure.h"

void run_error_set(struct run_error *e, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Appends the last line that the player printed. */
void run_error_add_output(struct run_error *e, const struct launched *l);
/* The player has ended by itself: why. */
void run_error_of_end(struct run_error *e, const struct launched *l, const struct plan *plan, const struct tested *a);

#endif
