/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * suspend_clock.c - preloaded into the recorder: CLOCK_BOOTTIME jumps by 30 s once the file that SUSPEND_CLOCK names is
 * there, as it does when a machine was suspended; no test can suspend the machine it runs on.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLEPT_S 30

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	const char *file = getenv("SUSPEND_CLOCK");
	int status = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_BOOTTIME && file && access(file, F_OK) == 0)
		ts->tv_sec += SLEPT_S;
	return status;
}
