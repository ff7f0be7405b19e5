/* SPDX-License-Identifier: BSD-2-Clause */
/* Falls over after a while. */
#include <signal.h>

#include "bump_rest.h"

static _Atomic unsigned nr_calls;

EXPORT void *malloc(size_t size)
{
	if (++nr_calls > 1000)
		raise(SIGSEGV);
	return bump_alloc(size, 0);
}

EXPORT void free(void *block)
{
	(void)block;
}
