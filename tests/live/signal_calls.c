/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signal_calls CALLS: allocates and frees while a timer's signal handler does the same many thousand times a second, also
 * in the middle of the main code's calls, and so between two traps of one call. Writes its own log, in the oracle's
 * format, into $ORACLE_DIR. Waits for a line on stdin first.
 *
 * malloc is not meant for signal handlers. The handler keeps to one size that the main code never uses and of which every
 * allocator's thread cache was filled before, so it touches nothing that the interrupted call may hold. (jemalloc must be
 * kept from emptying caches meanwhile: MALLOC_CONF=tcache_gc_incr_bytes:1099511627776.)
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "oracle.h"

enum { LOG_MAX = 2000000, HANDLER_SIZE = 520, WARM = 4, PERIOD_US = 60 };

static struct oracle_call *log_calls;
static atomic_uint nr_calls;
static volatile unsigned nr_signals;
static volatile int inside; /* the main code is in a call */
static volatile unsigned nr_inside; /* signals that came then */

/* A place in the log is taken by one instruction: the handler may come before and after it, not in it. */
static void log_call(uint32_t op, uint64_t size, uint64_t mul, uint64_t align, const void *old, const void *result)
{
	unsigned n = atomic_fetch_add(&nr_calls, 1);

	if (n >= LOG_MAX)
		_exit(3);
	log_calls[n] = (struct oracle_call){ .op = op,
					     .tid = (uint32_t)getpid(),
					     .size = size,
					     .mul = mul,
					     .align = align,
					     .old = (uint64_t)(uintptr_t)old,
					     .result = (uint64_t)(uintptr_t)result };
}

static void on_signal(int signal_nr)
{
	void *p = malloc(HANDLER_SIZE);

	(void)signal_nr;
	log_call(ORACLE_MALLOC, HANDLER_SIZE, 0, 0, NULL, p);
	log_call(ORACLE_FREE, 0, 0, 0, p, NULL);
	free(p);
	nr_signals++;
	nr_inside += inside != 0;
}

/* Small and large, but nothing near HANDLER_SIZE. */
static size_t size_of(unsigned k)
{
	if (k % 301 == 0)
		return 200000 + k;
	return k % 7 ? 1 + k % 380 : 1200 + k % 3000;
}

static void *make(unsigned k)
{
	size_t size = size_of(k), align = (size_t)32 << k % 3;
	void *p = NULL;

	inside = 1;
	switch (k % 11) {
	case 0: p = calloc(2, size / 2); break;
	case 1: p = aligned_alloc(align, 4096); break;
	case 2:
		if (posix_memalign(&p, align, 4096))
			_exit(4);
		break;
	default: p = malloc(size);
	}
	inside = 0;
	switch (k % 11) {
	case 0: log_call(ORACLE_CALLOC, 2, size / 2, 0, NULL, p); break;
	case 1: log_call(ORACLE_ALIGNED_ALLOC, 4096, 0, align, NULL, p); break;
	case 2: log_call(ORACLE_POSIX_MEMALIGN, 4096, 0, align, NULL, p); break;
	default: log_call(ORACLE_MALLOC, size, 0, 0, NULL, p);
	}
	return p;
}

static void *resize(void *p, unsigned k)
{
	size_t size = size_of(k);
	void *q;

	inside = 1;
	q = realloc(p, size);
	inside = 0;
	log_call(p ? ORACLE_REALLOC : ORACLE_MALLOC, size, 0, 0, p, q);
	return q;
}

static void drop(void *p)
{
	if (!p)
		return;
	log_call(ORACLE_FREE, 0, 0, 0, p, NULL);
	inside = 1;
	free(p);
	inside = 0;
}

static int open_log(void)
{
	const char *dir = getenv("ORACLE_DIR");
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%d.0.log", dir ? dir : ".", (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);
	if (fd < 0 || ftruncate(fd, (off_t)(LOG_MAX * sizeof(*log_calls))))
		return -1;
	log_calls = mmap(NULL, LOG_MAX * sizeof(*log_calls), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return log_calls == MAP_FAILED ? -1 : 0;
}

int main(int argc, char **argv)
{
	unsigned nr = argc > 1 ? (unsigned)atoi(argv[1]) : 20000, random = 1;
	struct itimerval timer = { { 0, PERIOD_US }, { 0, PERIOD_US } }, none = { { 0, 0 }, { 0, 0 } };
	void *slots[256] = { 0 }, *warm[WARM];
	char text[96];
	int len;

	for (int i = 0; i < WARM; i++)
		warm[i] = malloc(HANDLER_SIZE);
	for (int i = 0; i < WARM; i++)
		free(warm[i]);
	signal(SIGALRM, on_signal);
	if (open_log() || read(STDIN_FILENO, text, sizeof(text)) < 0)
		return 1;
	setitimer(ITIMER_REAL, &timer, NULL);
	for (unsigned i = 0; i < nr; i++) {
		unsigned k = (random = random * 1103515245u + 12345u) >> 12;
		void **slot = &slots[k % 256];

		if (k % 5 == 0) {
			*slot = resize(*slot, k >> 3);
		} else {
			drop(*slot);
			*slot = make(k >> 3);
		}
	}
	setitimer(ITIMER_REAL, &none, NULL);
	len = snprintf(text, sizeof(text), "signals %u inside %u\n", nr_signals, nr_inside);
	/* What libc does at its end is no call of this program's. */
	_exit(write(STDOUT_FILENO, text, (size_t)len) == len ? 0 : 1);
}
