/* SPDX-License-Identifier: BSD-2-Clause */
/* tcmalloc of gperftools: "Modifying Runtime Behavior" of its manual. */
#include "tune/settings.h"

#define V(...) ((const char *const[]){ __VA_ARGS__, NULL })

static const struct setting list[] = {
	{ "TCMALLOC_RELEASE_RATE", NULL, V("0", "5", "10"), "how eagerly free pages go back", "1.2" },
	{ "TCMALLOC_MAX_TOTAL_THREAD_CACHE_BYTES", NULL, V("1048576", "8388608", "134217728"), "what all threads keep together", "0.7" },
	{ "TCMALLOC_AGGRESSIVE_DECOMMIT", NULL, V("1"), "free pages go back at once", "2.2" },
	{ "TCMALLOC_TRANSFER_NUM_OBJ", NULL, V("40", "4096"), "blocks that threads hand over at once", "2.1" },
	{ 0 },
};

const struct settings settings_tcmalloc = { "tcmalloc", '=', ',', list };
