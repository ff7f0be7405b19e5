/* SPDX-License-Identifier: BSD-2-Clause */
/* sleep_watch.c - see sleep_watch.h. */
#include "record/sleep_watch.h"

#include "clock.h"

#define READ_NS_MAX 1000000    /* three readings that took longer were interrupted, and say nothing */
#define SLEEP_NS_MIN 10000000  /* no machine goes to sleep and wakes up faster */

uint64_t sleep_watch_look(struct sleep_watch *w, uint64_t before_ns, uint64_t boot_ns, uint64_t after_ns)
{
	uint64_t offset = boot_ns > after_ns ? boot_ns - after_ns : 0, slept = offset - w->offset_ns;

	if (after_ns - before_ns > READ_NS_MAX)
		return 0;
	if (w->begun && (offset <= w->offset_ns || slept < SLEEP_NS_MIN))
		return 0;
	w->offset_ns = offset;
	if (w->begun)
		return slept;
	w->begun = true;
	return 0;
}

uint64_t sleep_watch_now(struct sleep_watch *w)
{
	uint64_t before = clock_monotonic_ns(), boot = clock_boottime_ns();

	return sleep_watch_look(w, before, boot, clock_monotonic_ns());
}
