/* SPDX-License-Identifier: BSD-2-Clause */
/* Helpers beside the executable. */
#include "own_programs.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int own_program_find(const char *name, char *path, size_t path_nbytes)
{
	static const char *const places[] = { "", "../libexec/heaptape/" };
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return -errno;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, path_nbytes, "%s/%s%s", self, places[i], name);
		if (!access(path, X_OK))
			return 0;
	}
	return -ENOENT;
}
