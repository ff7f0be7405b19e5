/* SPDX-License-Identifier: BSD-2-Clause */
/* demangle.c - see demangle.h. */
#include "demangle.h"

#include <libiberty/demangle.h>
#include <string.h>

#define NAME_NBYTES_MAX 8192 /* longer ones cost a demangler seconds, and nobody reads them */

char *demangle(const char *name)
{
	int how = DMGL_PARAMS | DMGL_ANSI;

	if (name[0] != '_' || strlen(name) > NAME_NBYTES_MAX)
		return NULL;
	/* D is not among the styles that DMGL_AUTO tries. */
	return cplus_demangle(name, name[1] == 'D' ? how | DMGL_DLANG : how | DMGL_AUTO);
}
