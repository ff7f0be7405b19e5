/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_report.h - the HTML report for other verbs. Both functions say on stderr what is wrong. */
#ifndef HEAPTAPE_CMD_REPORT_H
#define HEAPTAPE_CMD_REPORT_H

#include <stdbool.h>
#include <stdio.h>

/* False where heaptape was built without npm. */
bool report_page_is_there(const char *out_path);
/* Reads the tape and writes its report with a replay's results in it. Returns an exit status. */
int report_page_write(const char *tape_path, FILE *out, const char *out_path, char *replay_json);

#endif
