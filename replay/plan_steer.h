/* SPDX-License-Identifier: BSD-2-Clause */
/* plan_steer.h - calls that steer an allocator (malloc_trim, mallopt ...) as operations of a plan. */
#ifndef HEAPTAPE_REPLAY_PLAN_STEER_H
#define HEAPTAPE_REPLAY_PLAN_STEER_H

#include <stdbool.h>
#include <stdint.h>

#include "replay/plan_file.h"

/*
 * `text` is the function as the tape has it, "mallctl:arena.0.purge" for those told apart by a name; arg0 and arg1 its
 * first integer arguments. False if it cannot be played: it is not known, or what it hands over is not on the tape.
 */
bool plan_steer(const char *text, uint64_t arg0, uint64_t arg1, struct plan_op *op_ret);

#endif
