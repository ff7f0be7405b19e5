/* SPDX-License-Identifier: BSD-2-Clause */
/* mimalloc: "Environment Options" of its manual, and the names in its library. */
#include "tune/settings.h"

#define V(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const struct setting list[] = {
	{ "MIMALLOC_RESET_DELAY", NULL, V("0", "100", "1000"), "after how many ms free pages go back", "1.4" },
	{ "MIMALLOC_PURGE_DELAY", NULL, V("0", "100", "1000"), "the same, under its later name", "2.1" },
	{ "MIMALLOC_SEGMENT_DECOMMIT_DELAY", NULL, V("0", "100", "5000"), "after how many ms free segments go back", "2.0" },
	{ "MIMALLOC_ALLOW_DECOMMIT", NULL, V("0"), "free pages go back at all", "2.0" },
	{ "MIMALLOC_ABANDONED_PAGE_DECOMMIT", NULL, V("1"), "so do those of threads that have ended, at once", "2.0" },
	{ "MIMALLOC_EAGER_COMMIT_DELAY", NULL, V("0", "4"), "segments of a thread that are not taken at once", "1.7" },
	{ 0 },
};

const struct settings settings_mimalloc = { "mimalloc", '=', ',', list };
