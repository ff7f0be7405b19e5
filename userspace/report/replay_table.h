/* SPDX-License-Identifier: BSD-2-Clause */
/* replay_table.h - results of a replay as a table for a person, with a sentence that says what it shows. */
#ifndef HEAPTAPE_REPLAY_TABLE_H
#define HEAPTAPE_REPLAY_TABLE_H

#include <stdio.h>

#include "replay/replay.h"

void replay_table_print(const struct replay_report *r, FILE *out);

#endif
