/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine as the allocator sees it: time is tape time, CPUs are the recorded machine's.
 *
 * These functions stand in the executable, so the dynamic linker takes them for everybody's calls (libc's own
 * internal ones excepted). What the recording says nothing about goes to the kernel. Safe before main: until
 * the tables are mapped, everything goes to the kernel.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "replay/player.h"

/* What CLOCK_MONOTONIC shows at tape time 0: far from 0, so that no allocator takes it for "never". */
#define MONOTONIC_BASE_NS 1000000000000ull
#define NS_PER_S 1000000000ull

__thread uint32_t player_cpu = UINT32_MAX;

long __sysconf(int name); /* libc's own, under the name that this file does not take */

static bool has_flag(uint32_t flag)
{
	return player.control && player.control->flags & flag;
}

/* ---- time ---- */

static uint64_t real_ns(clockid_t id)
{
	struct timespec ts;
	syscall(SYS_clock_gettime, id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t player_now_ns(void)
{
	return real_ns(CLOCK_MONOTONIC);
}

uint64_t player_cpu_ns(void)
{
	return real_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void player_clock_set(uint64_t ns)
{
	_Atomic uint64_t *clock = &player.control->clock_ns;
	uint64_t now = atomic_load_explicit(clock, memory_order_relaxed);
	while (now < ns && !atomic_compare_exchange_weak(clock, &now, ns))
		;
}

/* Sleeps until the recorded program was at `ns`, at the pace asked for; time at checkpoints does not count. */
void player_pace(uint64_t ns)
{
	const struct control *c = player.control;
	unsigned __int128 due = (unsigned __int128)(ns - c->first_ns) * 1000 / c->pace_milli;
	uint64_t at = atomic_load(&c->run_start_ns) + atomic_load(&c->held_up_ns) + (uint64_t)due;
	struct timespec ts = { .tv_sec = (time_t)(at / NS_PER_S), .tv_nsec = (long)(at % NS_PER_S) };
	while (player_now_ns() < at && syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

int clock_gettime(clockid_t id, struct timespec *ts)
{
	uint64_t ns;
	if (!has_flag(CONTROL_CLOCK_TAPE))
		return (int)syscall(SYS_clock_gettime, id, ts);
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE: ns = player.control->start_unix_ns; break;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME: ns = MONOTONIC_BASE_NS; break;
	default: return (int)syscall(SYS_clock_gettime, id, ts);
	}
	ns += atomic_load_explicit(&player.control->clock_ns, memory_order_relaxed);
	ts->tv_sec = (time_t)(ns / NS_PER_S);
	ts->tv_nsec = (long)(ns % NS_PER_S);
	return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	if (tz)
		memset(tz, 0, sizeof(struct timezone));
	return 0;
}

time_t time(time_t *now)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (now)
		*now = ts.tv_sec;
	return ts.tv_sec;
}

/* ---- CPUs ---- */

static uint32_t recorded_cpus(void)
{
	return has_flag(CONTROL_MACHINE) ? player.control->nr_cpus : 0;
}

long sysconf(int name)
{
	if ((name == _SC_NPROCESSORS_CONF || name == _SC_NPROCESSORS_ONLN) && recorded_cpus())
		return (long)recorded_cpus();
	return __sysconf(name);
}

int get_nprocs(void)
{
	return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int get_nprocs_conf(void)
{
	return (int)sysconf(_SC_NPROCESSORS_CONF);
}

int sched_getaffinity(pid_t pid, size_t nbytes, cpu_set_t *set)
{
	uint32_t nr = recorded_cpus();
	if (!nr) {
		long got = syscall(SYS_sched_getaffinity, pid, nbytes, set);
		if (got >= 0 && (size_t)got < nbytes)
			memset((char *)set + got, 0, nbytes - (size_t)got);
		return got < 0 ? -1 : 0;
	}
	if (nbytes * 8 < nr) {
		errno = EINVAL;
		return -1;
	}
	CPU_ZERO_S(nbytes, set);
	for (uint32_t i = 0; i < nr; i++)
		CPU_SET_S(i, nbytes, set);
	return 0;
}

int pthread_getaffinity_np(pthread_t thread, size_t nbytes, cpu_set_t *set)
{
	(void)thread; /* all threads of the recorded program are taken to be free to run anywhere */
	return sched_getaffinity(0, nbytes, set) ? errno : 0;
}

int sched_getcpu(void)
{
	unsigned cpu = 0;
	if (has_flag(CONTROL_PIN) && recorded_cpus() && player_cpu < recorded_cpus())
		return (int)player_cpu;
	return syscall(SYS_getcpu, &cpu, NULL, NULL) ? -1 : (int)cpu;
}

/* A CPU that went away since the parent looked is no reason to stop: the thread stays where it is. */
void player_move(uint32_t cpu)
{
	const struct control *c = player.control;
	uint64_t set[PLAN_CPUS_MAX / 64] = { 0 };
	player_cpu = cpu;
	if (!(c->flags & CONTROL_PIN) || cpu >= c->nr_cpu_map)
		return;
	uint32_t to = c->cpu_map[cpu];
	set[to / 64] |= 1ull << to % 64;
	syscall(SYS_sched_setaffinity, 0, sizeof(set), set);
}
