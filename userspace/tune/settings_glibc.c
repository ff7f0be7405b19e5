/* SPDX-License-Identifier: BSD-2-Clause */
/* glibc: mallopt(3) and "Memory Allocation Tunables" of its manual. */
#include "tune/settings.h"

#define V(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define TUNABLES "GLIBC_TUNABLES"

static const struct setting list[] = {
	{ "MALLOC_ARENA_MAX", NULL, V("1", "2", "4", "8"), "heaps that threads share; fewer hold less, and wait for each other", "2.10" },
	{ "MALLOC_TRIM_THRESHOLD_", NULL, V("65536", "1048576", "16777216"), "free bytes at the top from which on they are given back", "2.0" },
	{ "MALLOC_TOP_PAD_", NULL, V("0", "1048576"), "bytes asked of the kernel beyond what is needed", "2.0" },
	{ "MALLOC_MMAP_THRESHOLD_", NULL, V("32768", "65536", "131072", "1048576", "33554432"),
	  "blocks from this size on are mapped each; setting it ends its growing by itself", "2.0" },
	{ TUNABLES, "glibc.malloc.tcache_count", V("0", "2", "32", "127"), "blocks of a size that a thread keeps", "2.26" },
	{ TUNABLES, "glibc.malloc.tcache_max", V("64", "256"), "largest block that a thread keeps", "2.26" },
	{ TUNABLES, "glibc.malloc.mxfast", V("0", "160"), "largest block that is not merged when it is freed", "2.26" },
	{ 0 },
};

const struct settings settings_glibc = { "glibc", '=', ':', list };
