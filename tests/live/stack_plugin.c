/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin that allocates; built several times with another ORDER, so that equal offsets are other places. */
#include <stdlib.h>

#include "stack_truth.h"

#ifndef ORDER
#define ORDER 0
#endif

static volatile int plugin_sink;

KNOWN static void plugin_leaf(size_t n)
{
	free(truth_malloc(n));
	plugin_sink++;
}

#if ORDER == 0
KNOWN static int plugin_way(int depth)
{
	char room[64 + 8];

	__asm__ volatile("" : : "r"(room) : "memory");
	if (depth)
		plugin_sink += plugin_way(depth - 1);
	else
		plugin_leaf(88);
	return plugin_sink + room[0] * 0;
}
#else
/* Another frame size at the same place. */
KNOWN static int plugin_way(int depth)
{
	char room[256 + 8 * ORDER];

	__asm__ volatile("" : : "r"(room) : "memory");
	if (depth)
		plugin_sink += plugin_way(depth - 1);
	else
		plugin_leaf(88);
	return plugin_sink + room[0] * 0;
}
#endif

KNOWN int plugin_run(int depth)
{
	static int told;

	if (!told++)
		truth_code(__start_known_text, __stop_known_text);
	plugin_way(depth);
	return plugin_sink;
}
