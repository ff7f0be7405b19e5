/* SPDX-License-Identifier: BSD-2-Clause */
/* cmd_probe_runtime.h - what would be probed of a language's runtime. */
#ifndef HEAPTAPE_CMD_PROBE_RUNTIME_H
#define HEAPTAPE_CMD_PROBE_RUNTIME_H

#include <cjson/cJSON.h>
#include <stdbool.h>

/* The runtime in the program of that path: printed, or as "runtime" of root (NULL: print). true: it has one that is known. */
bool probe_runtime(const char *path, cJSON *root);

#endif
