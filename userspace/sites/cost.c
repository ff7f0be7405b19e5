/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of what traps cost, and where return probes are forbidden. */
#include "cost.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define NR(a) (sizeof(a) / sizeof((a)[0]))

/*
 * Relative to an emulated trap, best windows, x86-64, 6.18, two machines: emulated 1.23 to 1.29 us and 0.84, stepped 6.1 to
 * 8 us and 9.3, a return probe adds 0.86 to 0.98 us and 0.57 as a system call (6.11 and later) and about one more trap
 * before that. Stepped ones also wait for each other on busy machines. A return probe is put down a little dearer than a second trap all the same: it writes into the target's stack, which is what goes
 * wrong with stacks that move, exceptions and shadow stacks. Newest kernel first.
 */
static const struct cost table[] = {
	{ "x86_64", 6, 14, COST_EMULATED, 800, 110, false },
	{ "x86_64", 6, 11, COST_EMULATED, 800, 110, true },
	{ "x86_64", 4, 16, COST_EMULATED, 800, 130, false }, /* the first to emulate push */
};

const struct cost *cost_find(const char *machine, const char *release)
{
	unsigned major = 0, minor = 0;

	sscanf(release, "%u.%u", &major, &minor);
	for (size_t i = 0; i < NR(table); i++)
		if (!strcmp(table[i].machine, machine) &&
		    (major > table[i].major || (major == table[i].major && minor >= table[i].minor)))
			return &table[i];
	return NULL;
}

const struct cost *cost_here(void)
{
	const struct cost *found = NULL;
	struct utsname name;

	if (!uname(&name))
		found = cost_find(name.machine, name.release);
	return found ? found : &table[NR(table) - 1];
}

const char *cost_no_return(const struct cost *cost, const struct cost_target *target)
{
	if (target->stacks_move)
		return "its stacks move";
	if (target->shadow_stack)
		return "it has shadow stacks";
	if (target->seccomp && cost->return_is_syscall)
		return "its seccomp filter would deny this kernel's uretprobe system call";
	return NULL;
}
