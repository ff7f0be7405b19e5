/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * moments_json.h - the moments of an analysis as JSON, for the HTML report.
 *
 * Columns: "live_bytes": [...] holds a number for each moment (or cell); a column that is zero throughout is left out.
 * Of cells, "start" is the distance to the cell before, in cells; "resident" counts pages; "oldest" and "youngest" are births
 * in thousandths of the recording. All return 0 or -ENOMEM.
 */
#ifndef HEAPTAPE_MOMENTS_JSON_H
#define HEAPTAPE_MOMENTS_JSON_H

#include <cjson/cJSON.h>

#include "analyze/analysis.h"

/* "moments" and "map" of the document. */
int moments_put(cJSON *root, const struct analysis *a);
/* The stack at each of the moments, zero where it was not known yet. To be freed; NULL: no memory. */
struct moment_stack *moments_of_stack(const struct analysis *a, uint32_t stack);
void moments_add(struct moment_stack *to, const struct moment_stack *rows, size_t nr);
/* "moments" of one stack. */
int moments_put_stack(cJSON *to, const struct moment_stack *rows, size_t nr);

#endif
