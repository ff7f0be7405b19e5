/* SPDX-License-Identifier: BSD-2-Clause */
/* utf8.c - see utf8.h. */
#include "utf8.h"

size_t utf8_length(const unsigned char *s)
{
	size_t nr = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
		    s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < nr; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if (nr == 3 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0)))
		return 0; /* overlong, surrogate */
	if (nr == 4 && ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90)))
		return 0; /* overlong, beyond Unicode */
	return nr;
}

void utf8_clean(const char *text, char *out)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t nr = utf8_length(s);

		if (nr == 0) {
			*out++ = (char)(0xc0 | *s >> 6);
			*out++ = (char)(0x80 | (*s++ & 0x3f));
			continue;
		}
		if (*s < 0x20 || *s == 0x7f) {
			*out++ = ' ';
			s++;
			continue;
		}
		for (; nr; nr--)
			*out++ = (char)*s++;
	}
	*out = 0;
}
