/* SPDX-License-Identifier: BSD-2-Clause */
/* utf8.h - names come from processes and files, as any bytes; what is printed for other programs is UTF-8. */
#ifndef HEAPTAPE_UTF8_H
#define HEAPTAPE_UTF8_H

#include <stddef.h>

/* The length of the character at s, 1 to 4; 0 if none starts there (overlong, surrogate, beyond Unicode, cut off). */
size_t utf8_length(const unsigned char *s);
/* Bytes that are no UTF-8 are taken as Latin-1, control characters become spaces. out holds 2 * strlen(text) + 1. */
void utf8_clean(const char *text, char *out);

#endif
