/* SPDX-License-Identifier: BSD-2-Clause */
/* json_number.h - whole numbers in JSON: cJSON's are doubles, these are exact. */
#ifndef HEAPTAPE_JSON_NUMBER_H
#define HEAPTAPE_JSON_NUMBER_H

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

static inline void add_u64(cJSON *to, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	cJSON_AddRawToObject(to, key, text);
}

#endif
