/* SPDX-License-Identifier: BSD-2-Clause */
/* probe_lines.h - the plans of an allocator and what is known of them, as text and as JSON. */
#ifndef HEAPTAPE_PROBE_LINES_H
#define HEAPTAPE_PROBE_LINES_H

#include <cjson/cJSON.h>

#include "check/prepare.h"
#include "record/calibrate.h"

/* costs: measured here, or NULL. */
void probe_print(const struct allocator *a, const struct prepare_result *prepared, const struct trap_costs *costs);
/* For cJSON_Delete. */
cJSON *probe_json(const struct allocator *a, const struct prepare_result *prepared, const struct trap_costs *costs);

#endif
