/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay/plan_steer.h"

#include <stdio.h>
#include <string.h>

enum shape {
	NO_ARGUMENT,
	ONE_ARGUMENT,  /* in arg */
	INT_AND_VALUE, /* a small number in `number`, the value in arg */
	SMALL_ARGUMENT, /* in `number` */
};

static const struct {
	const char *name;
	uint8_t steer; /* enum plan_steer */
	uint8_t shape;
} functions[] = {
	{ "mallopt", PLAN_STEER_MALLOPT, INT_AND_VALUE },
	{ "malloc_trim", PLAN_STEER_MALLOC_TRIM, ONE_ARGUMENT },
	{ "mi_collect", PLAN_STEER_MI_COLLECT, SMALL_ARGUMENT },
	{ "mi_option_set", PLAN_STEER_MI_OPTION_SET, INT_AND_VALUE },
	{ "mi_option_set_default", PLAN_STEER_MI_OPTION_SET_DEFAULT, INT_AND_VALUE },
	{ "mi_option_set_enabled", PLAN_STEER_MI_OPTION_SET_ENABLED, INT_AND_VALUE },
	{ "mi_option_set_enabled_default", PLAN_STEER_MI_OPTION_SET_ENABLED_DEFAULT, INT_AND_VALUE },
	{ "mi_option_enable", PLAN_STEER_MI_OPTION_ENABLE, SMALL_ARGUMENT },
	{ "mi_option_disable", PLAN_STEER_MI_OPTION_DISABLE, SMALL_ARGUMENT },
	{ "MallocExtension_ReleaseFreeMemory", PLAN_STEER_RELEASE_FREE_MEMORY, NO_ARGUMENT },
	{ "MallocExtension_ReleaseToSystem", PLAN_STEER_RELEASE_TO_SYSTEM, ONE_ARGUMENT },
	{ "mallctl:thread.tcache.flush", PLAN_STEER_TCACHE_FLUSH, NO_ARGUMENT },
};

/* "mallctl:arena.N.purge" and "...decay" hand nothing over but the arena's number. */
static bool arena_steer(const char *text, struct plan_op *op)
{
	unsigned arena;
	char what[16], end;

	if (sscanf(text, "mallctl:arena.%u.%15[a-z]%c", &arena, what, &end) != 2)
		return false;
	op->arg = arena;
	op->slot = !strcmp(what, "purge") ? PLAN_STEER_ARENA_PURGE : PLAN_STEER_ARENA_DECAY;
	return op->slot == PLAN_STEER_ARENA_PURGE || !strcmp(what, "decay");
}

bool plan_steer(const char *text, uint64_t arg0, uint64_t arg1, struct plan_op *op_ret)
{
	struct plan_op op = { .kind = PLAN_STEER };

	if (arena_steer(text, &op)) {
		*op_ret = op;
		return true;
	}
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
		bool has_number = functions[i].shape == INT_AND_VALUE || functions[i].shape == SMALL_ARGUMENT;
		int number = (int)arg0;

		if (strcmp(functions[i].name, text))
			continue;
		if (has_number && (number < INT8_MIN || number > INT8_MAX))
			return false;
		op.slot = functions[i].steer;
		op.number = has_number ? (int8_t)number : 0;
		op.arg = functions[i].shape == INT_AND_VALUE ? arg1 : functions[i].shape == ONE_ARGUMENT ? arg0 : 0;
		*op_ret = op;
		return true;
	}
	return false;
}
