/* SPDX-License-Identifier: BSD-2-Clause */
/* build_id.c - see build_id.h. */
#include "build_id.h"

#include <elfutils/libdwelf.h>
#include <stdio.h>
#include <string.h>

void build_id_text(const void *bytes, size_t nbytes, char text[BUILD_ID_TEXT_MAX])
{
	const unsigned char *b = bytes;

	text[0] = 0;
	if (2 * nbytes >= BUILD_ID_TEXT_MAX)
		return;
	for (size_t i = 0; i < nbytes; i++)
		snprintf(text + 2 * i, 3, "%02x", b[i]);
}

void build_id_of(Elf *elf, char text[BUILD_ID_TEXT_MAX])
{
	const void *bytes;
	ssize_t nbytes = dwelf_elf_gnu_build_id(elf, &bytes);

	build_id_text(bytes, nbytes > 0 ? (size_t)nbytes : 0, text);
}

bool build_id_path(const char *build_id, char *path, size_t cap)
{
	size_t nbytes = strlen(build_id);

	if (nbytes < 4 || strspn(build_id, "0123456789abcdef") != nbytes)
		return false;
	return snprintf(path, cap, "%.2s/%s", build_id, build_id + 2) < (int)cap;
}
