/* SPDX-License-Identifier: BSD-2-Clause */
/* demangle.c - see demangle.h. */
#include "demangle.h"

#include <libiberty/demangle.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAME_NBYTES_MAX 8192 /* longer ones cost a demangler seconds, and nobody reads them */

/* GHC's escapes (compiler/GHC/Utils/Encoding.hs), of one letter behind z, and behind Z. */
static const char small[26] = { ['a' - 'a'] = '&', ['b' - 'a'] = '|', ['c' - 'a'] = '^', ['d' - 'a'] = '$', ['e' - 'a'] = '=', ['g' - 'a'] = '>',
				['h' - 'a'] = '#', ['i' - 'a'] = '.', ['l' - 'a'] = '<', ['m' - 'a'] = '-', ['n' - 'a'] = '!', ['p' - 'a'] = '+',
				['q' - 'a'] = '\'', ['r' - 'a'] = '\\', ['s' - 'a'] = '/', ['t' - 'a'] = '*', ['u' - 'a'] = '_', ['v' - 'a'] = '%',
				['z' - 'a'] = 'z' };
static const char large[26] = { ['C' - 'A'] = ':', ['L' - 'A'] = '(', ['M' - 'A'] = '[', ['N' - 'A'] = ']', ['R' - 'A'] = ')', ['Z' - 'A'] = 'Z' };

/* Text between two underscores; *escapes_ret counts. false: it is none of GHC's. */
static bool haskell_part(const char *at, const char *end, char **to, unsigned *escapes_ret)
{
	for (; at < end; at++) {
		char c = *at;

		if (c == 'z' || c == 'Z') {
			at++;
			c = at == end ? 0 : c == 'z' ? (*at >= 'a' && *at <= 'z' ? small[*at - 'a'] : 0) :
						       (*at >= 'A' && *at <= 'Z' ? large[*at - 'A'] : 0);
			++*escapes_ret;
		}
		if (!c)
			return false; /* tuples and characters by number are left as they are */
		*(*to)++ = c;
	}
	return true;
}

/*
 * "bytestringzm0zi10_DataziByteString_zdwreplicate_info" is $wreplicate of Data.ByteString: package (not for Main), module, name.
 * A C function may be called alike, so that one escape is asked for, or the module's name to be Main.
 */
static char *demangle_haskell(const char *name)
{
	const char *end = name + strlen(name), *module = name, *symbol, *first;
	char *text, *to;
	unsigned escapes = 0;
	bool good;

	if (end - name < 8 || strcmp(end - 5, "_info") != 0)
		return NULL;
	end -= 5;
	first = strchr(name, '_');
	symbol = first && first < end ? strchr(first + 1, '_') : NULL;
	if (symbol && symbol < end)
		module = first + 1;
	else
		symbol = first;
	if (!symbol || symbol >= end || *module < 'A' || *module > 'Z' || memchr(symbol + 1, '_', (size_t)(end - symbol - 1)))
		return NULL;
	text = to = malloc((size_t)(end - name) + 1);
	if (!text)
		return NULL;
	good = haskell_part(module, symbol, &to, &escapes);
	*to++ = '.';
	good = good && haskell_part(symbol + 1, end, &to, &escapes);
	*to = '\0';
	if (good && (escapes || !strncmp(text, "Main.", 5)))
		return text;
	free(text);
	return NULL;
}

char *demangle(const char *name)
{
	int how = DMGL_PARAMS | DMGL_ANSI;

	if (strlen(name) > NAME_NBYTES_MAX)
		return NULL;
	if (name[0] != '_')
		return demangle_haskell(name);
	/* D is not among the styles that DMGL_AUTO tries. */
	return cplus_demangle(name, name[1] == 'D' ? how | DMGL_DLANG : how | DMGL_AUTO);
}
