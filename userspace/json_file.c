/* SPDX-License-Identifier: BSD-2-Clause */
/* json_file.c - see json_file.h. */
#include "json_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

cJSON *json_file_read(const char *path, size_t nbytes_max)
{
	FILE *in = fopen(path, "re");
	struct stat st;
	cJSON *root = NULL;
	char *text;

	if (!in)
		return NULL;
	text = fstat(fileno(in), &st) || (size_t)st.st_size > nbytes_max ? NULL : calloc(1, (size_t)st.st_size + 1);
	if (text && fread(text, 1, (size_t)st.st_size, in) == (size_t)st.st_size)
		root = cJSON_Parse(text);
	free(text);
	fclose(in);
	return root;
}
