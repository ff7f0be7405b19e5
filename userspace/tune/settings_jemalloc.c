/* SPDX-License-Identifier: BSD-2-Clause */
/* jemalloc: "TUNING" of jemalloc(3). */
#include "tune/settings.h"

#define V(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define CONF "MALLOC_CONF"

static const struct setting list[] = {
	{ CONF, "narenas", V("1", "2", "4"), "heaps that threads share", "3.0" },
	{ CONF, "dirty_decay_ms", V("0", "1000", "60000"), "after how long free pages go back", "5.0" },
	{ CONF, "muzzy_decay_ms", V("0", "10000"), "after how long pages that the kernel may take are given up", "5.0" },
	{ CONF, "tcache", V("false"), "threads keep blocks", "3.0" },
	{ CONF, "lg_tcache_max", V("11", "13", "17"), "largest block that a thread keeps, as a power of two", "3.0" },
	{ CONF, "retain", V("false"), "address space is kept for later", "4.5" },
	{ CONF, "lg_extent_max_active_fit", V("2", "4", "8"), "how much larger a free run may be that is cut, as a power of two", "5.1" },
	{ CONF, "oversize_threshold", V("0", "1048576"), "blocks from this size on have a heap of their own", "5.1" },
	{ 0 },
};

const struct settings settings_jemalloc = { "jemalloc", ':', ',', list };
