/* SPDX-License-Identifier: BSD-2-Clause */
/* build_id.h - build ids as text, and how distributions name files after them. */
#ifndef HEAPTAPE_BUILD_ID_H
#define HEAPTAPE_BUILD_ID_H

#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>

#define BUILD_ID_TEXT_MAX 129 /* 64 bytes in hex, and the NUL: more than any linker makes */

/* Of bytes; "" if there are none or too many. */
void build_id_text(const void *bytes, size_t nbytes, char text[BUILD_ID_TEXT_MAX]);
/* Of a file; "" if it has none. */
void build_id_of(Elf *elf, char text[BUILD_ID_TEXT_MAX]);
/* "xx/yyyy": where below a .build-id folder. false if the id is too short or no hex. */
bool build_id_path(const char *build_id, char *path, size_t cap);

#endif
