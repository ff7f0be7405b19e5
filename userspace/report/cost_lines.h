/* SPDX-License-Identifier: BSD-2-Clause */
/* cost_lines.h - what recording costs, in words and in JSON: the same before (probe --estimate) and after (record). */
#ifndef HEAPTAPE_COST_LINES_H
#define HEAPTAPE_COST_LINES_H

#include <cjson/cJSON.h>

#include "record/calibrate.h"

enum { COST_MAX = 40 };
/* "410,000": two or three digits that mean something. buf holds COST_MAX bytes and is returned. */
const char *cost_number(char *buf, double n);
/* "0.6 of a CPU", "2.4 CPUs". */
const char *cost_cpus(char *buf, double cpus);
/* Adds "traps" (their sum), "traps_emulated", "traps_stepped", "traps_return", "trap_ns", "stepped_trap_ns",
 * "return_trap_ns". */
void cost_add_json(cJSON *to, const uint64_t traps[HT_TRAP_NR], const struct trap_costs *costs);

#endif
