/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls that steer an allocator, for the allocator that they were made for (CONTROL_STEER). */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>

#include "replay/player.h"

static const char *const names[PLAN_STEER_NR] = {
	[PLAN_STEER_MALLOPT] = "mallopt",
	[PLAN_STEER_MALLOC_TRIM] = "malloc_trim",
	[PLAN_STEER_MI_COLLECT] = "mi_collect",
	[PLAN_STEER_MI_OPTION_SET] = "mi_option_set",
	[PLAN_STEER_MI_OPTION_SET_DEFAULT] = "mi_option_set_default",
	[PLAN_STEER_MI_OPTION_SET_ENABLED] = "mi_option_set_enabled",
	[PLAN_STEER_MI_OPTION_SET_ENABLED_DEFAULT] = "mi_option_set_enabled_default",
	[PLAN_STEER_MI_OPTION_ENABLE] = "mi_option_enable",
	[PLAN_STEER_MI_OPTION_DISABLE] = "mi_option_disable",
	[PLAN_STEER_RELEASE_FREE_MEMORY] = "MallocExtension_ReleaseFreeMemory",
	[PLAN_STEER_RELEASE_TO_SYSTEM] = "MallocExtension_ReleaseToSystem",
	[PLAN_STEER_TCACHE_FLUSH] = "mallctl",
	[PLAN_STEER_ARENA_PURGE] = "mallctl",
	[PLAN_STEER_ARENA_DECAY] = "mallctl",
};

static union steer_function {
	void *symbol;
	int (*of_ints)(int, int);
	int (*of_size)(size_t);
	void (*of_int)(int);
	void (*of_bool)(bool);
	void (*of_option)(int, long);
	void (*of_option_bool)(int, bool);
	void (*of_nothing)(void);
	void (*of_bytes)(size_t);
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);
} functions[PLAN_STEER_NR];

void player_steer_resolve(void)
{
	for (int i = 0; i < PLAN_STEER_NR; i++)
		functions[i].symbol = dlsym(RTLD_DEFAULT, names[i]);
}

/* An allocator of another version may lack a function: then the call does nothing, as it would there. */
void player_steer(const struct plan_op *op)
{
	const union steer_function *f = &functions[op->slot < PLAN_STEER_NR ? op->slot : 0];
	char name[64];

	if (!(player.control->flags & CONTROL_STEER) || op->slot >= PLAN_STEER_NR || !f->symbol)
		return;
	switch ((enum plan_steer)op->slot) {
	case PLAN_STEER_MALLOPT: f->of_ints(op->number, (int)op->arg); break;
	case PLAN_STEER_MALLOC_TRIM: f->of_size(op->arg); break;
	case PLAN_STEER_MI_COLLECT: f->of_bool(op->number & 1); break;
	case PLAN_STEER_MI_OPTION_SET:
	case PLAN_STEER_MI_OPTION_SET_DEFAULT: f->of_option(op->number, (long)op->arg); break;
	case PLAN_STEER_MI_OPTION_SET_ENABLED:
	case PLAN_STEER_MI_OPTION_SET_ENABLED_DEFAULT: f->of_option_bool(op->number, op->arg & 1); break;
	case PLAN_STEER_MI_OPTION_ENABLE:
	case PLAN_STEER_MI_OPTION_DISABLE: f->of_int(op->number); break;
	case PLAN_STEER_RELEASE_FREE_MEMORY: f->of_nothing(); break;
	case PLAN_STEER_RELEASE_TO_SYSTEM: f->of_bytes(op->arg); break;
	case PLAN_STEER_TCACHE_FLUSH: f->mallctl("thread.tcache.flush", NULL, NULL, NULL, 0); break;
	case PLAN_STEER_ARENA_PURGE:
	case PLAN_STEER_ARENA_DECAY:
		snprintf(name, sizeof(name), "arena.%u.%s", (unsigned)op->arg, op->slot == PLAN_STEER_ARENA_PURGE ? "purge" : "decay");
		f->mallctl(name, NULL, NULL, NULL, 0);
		break;
	case PLAN_STEER_NR: break;
	}
}
