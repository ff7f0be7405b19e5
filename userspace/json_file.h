/* SPDX-License-Identifier: BSD-2-Clause */
/* json_file.h - what heaptape itself has kept as JSON. */
#ifndef HEAPTAPE_JSON_FILE_H
#define HEAPTAPE_JSON_FILE_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* For cJSON_Delete; NULL if there is no such file, if it is larger, or if it is no JSON. */
cJSON *json_file_read(const char *path, size_t nbytes_max);

#endif
