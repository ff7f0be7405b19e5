/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_probe_estimate.h - heaptape probe --estimate. */
#ifndef HEAPTAPE_CMD_PROBE_ESTIMATE_H
#define HEAPTAPE_CMD_PROBE_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

#include "sites/survey.h"
#include "target/process.h"

/* Counts the calls of `p` for duration_ns, prints what recording will cost; the verb's exit status. */
int probe_estimate(const struct process *p, struct allocator *const *list, unsigned nr, uint64_t duration_ns, bool json);

#endif
