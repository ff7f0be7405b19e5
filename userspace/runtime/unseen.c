/* SPDX-License-Identifier: BSD-2-Clause */
#include "runtime/unseen.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

const char *unseen_runtime(const char *path)
{
	/* A file's name, and whether a version may stand behind it (libHSrts_thr-ghc9.0.2.so: anything). */
	static const struct {
		const char *file, *runtime;
		bool versions;
	} known[] = { { "libHSrts", "GHC (its runtime lies in a library of its own)", true },
		      { "libjvm.so", "Java's virtual machine", false }, { "libcoreclr.so", ".NET", false },
		      { "libmonosgen-2.0.so", "Mono", true },		{ "libnode.so", "V8", true },
		      { "libv8.so", "V8", true },			{ "node", "V8", false },
		      { "nodejs", "V8", false },			{ "chromium", "V8", false },
		      { "chrome", "V8", false } };
	const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		size_t len = strlen(known[i].file);

		if (!strcmp(file, known[i].file) || (known[i].versions && !strncmp(file, known[i].file, len) && (file[len] == '.' || i == 0)))
			return known[i].runtime;
	}
	return NULL;
}
