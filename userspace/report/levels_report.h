/* SPDX-License-Identifier: BSD-2-Clause */
/* levels_report.h - what a language's runtime holds, for people and for programs. Nothing where the tape has none. */
#ifndef HEAPTAPE_LEVELS_REPORT_H
#define HEAPTAPE_LEVELS_REPORT_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "analyze/levels.h"

/* At most `rows` moments, spread evenly, the last among them. */
void levels_print(const struct levels *lv, unsigned rows, FILE *out);
/* "runtime" of the document: names of figures and uses, and one row of numbers a moment, times and figures first. 0 or -ENOMEM. */
int levels_put_json(const struct levels *lv, cJSON *root);

#endif
