/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tests' own recorder, preloaded into a target: logs each call with arguments, result and thread, and passes it on.
 *
 * It knows nothing of heaptape and shares no code with it. Being a wrapper around the real allocator, it also puts the
 * rule about wrappers to the test. Calls that a logged call makes itself are not logged: they are not the program's.
 * Files are mapped and written in place, so that nothing is missing however the target ends.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oracle.h"

#define CHUNK_CALLS 87381 /* calls mapped at once: 4 MiB */
#define CHUNK_NBYTES (CHUNK_CALLS * sizeof(struct oracle_call))
#define FAST __attribute__((tls_model("initial-exec")))

static __thread FAST int depth;
static __thread FAST int log_fd;
static __thread FAST uint32_t thread_id;
static __thread FAST off_t log_at;
static __thread FAST struct oracle_call *chunk;
static __thread FAST uint32_t nr_in_chunk;
static atomic_uint nr_files;

static void die(const char *what)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "oracle: %s: %s\n", what, strerror(errno));

	if (write(2, text, (size_t)len) < 0)
		_exit(98);
	_exit(99);
}

/* Maps a piece of the file that holds nr_in_chunk == 0 .. CHUNK_CALLS - 1. The old piece stays in the file. */
static void next_chunk(void)
{
	char path[512];
	off_t page = log_at & ~4095ll;
	void *map;

	if (!chunk) {
		const char *dir = getenv("ORACLE_DIR");

		thread_id = (uint32_t)syscall(SYS_gettid);
		/* The number is taken already where an exec has begun this process anew. */
		do {
			snprintf(path, sizeof(path), "%s/%u.%u.log", dir ? dir : ".", thread_id, atomic_fetch_add(&nr_files, 1));
			log_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		} while (log_fd < 0 && errno == EEXIST);
		if (log_fd < 0)
			die(path);
	} else {
		munmap((void *)((uintptr_t)chunk & ~4095ull), CHUNK_NBYTES + 8192);
	}
	if (ftruncate(log_fd, log_at + (off_t)CHUNK_NBYTES))
		die("ftruncate");
	map = mmap(NULL, CHUNK_NBYTES + 8192, PROT_READ | PROT_WRITE, MAP_SHARED, log_fd, page);
	if (map == MAP_FAILED)
		die("mmap");
	chunk = (struct oracle_call *)(void *)((char *)map + (log_at - page));
	nr_in_chunk = 0;
	log_at += (off_t)CHUNK_NBYTES;
}

static void log_call(uint32_t op, uint64_t size, uint64_t mul, uint64_t align, const void *old, const void *result)
{
	int saved = errno;
	struct oracle_call *c;

	if (!chunk || nr_in_chunk == CHUNK_CALLS)
		next_chunk();
	c = &chunk[nr_in_chunk++];
	c->tid = thread_id;
	c->size = size;
	c->mul = mul;
	c->align = align;
	c->old = (uint64_t)(uintptr_t)old;
	c->result = (uint64_t)(uintptr_t)result;
	c->op = op;
	errno = saved;
}

static void *next_function(_Atomic(void *) *slot, const char *name)
{
	void *fn = atomic_load_explicit(slot, memory_order_relaxed);

	if (fn)
		return fn;
	fn = dlsym(RTLD_NEXT, name);
	if (!fn)
		die(name);
	atomic_store(slot, fn);
	return fn;
}

/* Defines NAME as: pass on, then log at the outermost level. */
#define NEXT(type, name)                   \
	static _Atomic(void *) slot;       \
	__typeof__(type) *fn = (__typeof__(type) *)next_function(&slot, name)

#define ALLOC(symbol, op, params, types, args, size, mul, align)           \
	void *symbol params                                                \
	{                                                                  \
		NEXT(void *types, #symbol);                             \
		void *p;                                                   \
                                                                           \
		depth++;                                                   \
		p = fn args;                                               \
		if (!--depth)                                              \
			log_call(op, size, mul, align, NULL, p);           \
		return p;                                                  \
	}

#define FREE(symbol, op, params, types, args, size)            \
	void symbol params                                     \
	{                                                      \
		NEXT(void types, #symbol);                 \
                                                               \
		if (!depth && p)                               \
			log_call(op, size, 0, 0, p, NULL);     \
		depth++;                                       \
		fn args;                                       \
		depth--;                                       \
	}

ALLOC(malloc, ORACLE_MALLOC, (size_t n), (size_t), (n), n, 0, 0)
ALLOC(calloc, ORACLE_CALLOC, (size_t m, size_t n), (size_t, size_t), (m, n), n, m, 0)
ALLOC(aligned_alloc, ORACLE_ALIGNED_ALLOC, (size_t a, size_t n), (size_t, size_t), (a, n), n, 0, a)
ALLOC(memalign, ORACLE_MEMALIGN, (size_t a, size_t n), (size_t, size_t), (a, n), n, 0, a)
ALLOC(valloc, ORACLE_VALLOC, (size_t n), (size_t), (n), n, 0, 0)
ALLOC(pvalloc, ORACLE_PVALLOC, (size_t n), (size_t), (n), n, 0, 0)
FREE(free, ORACLE_FREE, (void *p), (void *), (p), 0)
FREE(cfree, ORACLE_CFREE, (void *p), (void *), (p), 0)

void *realloc(void *old, size_t n)
{
	NEXT(void *(void *, size_t), "realloc");
	void *p;

	depth++;
	p = fn(old, n);
	if (!--depth)
		log_call(ORACLE_REALLOC, n, 0, 0, old, p);
	return p;
}

void *reallocarray(void *old, size_t m, size_t n)
{
	NEXT(void *(void *, size_t, size_t), "reallocarray");
	void *p;

	depth++;
	p = fn(old, m, n);
	if (!--depth)
		log_call(ORACLE_REALLOCARRAY, n, m, 0, old, p);
	return p;
}

int posix_memalign(void **out, size_t a, size_t n)
{
	NEXT(int(void **, size_t, size_t), "posix_memalign");
	int err;

	depth++;
	err = fn(out, a, n);
	if (!--depth)
		log_call(ORACLE_POSIX_MEMALIGN, n, 0, a, NULL, err ? NULL : *out);
	return err;
}

/*
 * operator new and delete are the program's calls where the allocator has its own ($ORACLE_NEW set); otherwise they end
 * in malloc and free, which log themselves. A new that throws is logged as a failed call on its way through the cleanup;
 * what it calls meanwhile (the exception's own memory) is logged too, as the allocator's new calls no malloc.
 */
static bool logs_new(void)
{
	static atomic_int logs; /* 0: not looked yet */

	if (!atomic_load(&logs))
		atomic_store(&logs, getenv("ORACLE_NEW") ? 2 : 1);
	return atomic_load(&logs) == 2;
}

/* jemalloc's aligned forms go through the PLT, and so through here: they are aligned_alloc's calls. */
static bool new_ends_in_aligned_alloc(void)
{
	static atomic_int ends; /* 0: not looked yet */

	if (!atomic_load(&ends))
		atomic_store(&ends, getenv("ORACLE_NEW") && !strcmp(getenv("ORACLE_NEW"), "jemalloc") ? 2 : 1);
	return atomic_load(&ends) == 2;
}

struct new_call {
	size_t size, align;
	void *result;
};

static void leave(struct new_call *call)
{
	if (logs_new() && !(call->align && new_ends_in_aligned_alloc()))
		log_call(ORACLE_NEW, call->size, 0, call->align, NULL, call->result);
}

#define NEW(symbol, params, types, args, align)                                          \
	void *symbol params                                                              \
	{                                                                                \
		NEXT(void *types, #symbol);                                           \
		__attribute__((cleanup(leave))) struct new_call call = { n, align, NULL }; \
                                                                                         \
		call.result = fn args;                                                   \
		return call.result;                                                      \
	}

NEW(_Znwm, (size_t n), (size_t), (n), 0)
NEW(_Znam, (size_t n), (size_t), (n), 0)
NEW(_ZnwmRKSt9nothrow_t, (size_t n, const void *t), (size_t, const void *), (n, t), 0)
NEW(_ZnamRKSt9nothrow_t, (size_t n, const void *t), (size_t, const void *), (n, t), 0)
NEW(_ZnwmSt11align_val_t, (size_t n, size_t a), (size_t, size_t), (n, a), a)
NEW(_ZnamSt11align_val_t, (size_t n, size_t a), (size_t, size_t), (n, a), a)
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t n, size_t a, const void *t), (size_t, size_t, const void *), (n, a, t), a)
NEW(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t n, size_t a, const void *t), (size_t, size_t, const void *), (n, a, t), a)
#define DELETE(symbol, params, types, args, size)                  \
	void symbol params                                         \
	{                                                          \
		NEXT(void types, #symbol);                         \
                                                                   \
		if (!logs_new()) {                                 \
			fn args;                                   \
			return;                                    \
		}                                                  \
		if (!depth && p)                                   \
			log_call(ORACLE_DELETE, size, 0, 0, p, NULL); \
		depth++;                                           \
		fn args;                                           \
		depth--;                                           \
	}

DELETE(_ZdlPv, (void *p), (void *), (p), 0)
DELETE(_ZdaPv, (void *p), (void *), (p), 0)
DELETE(_ZdlPvm, (void *p, size_t n), (void *, size_t), (p, n), n)
DELETE(_ZdaPvm, (void *p, size_t n), (void *, size_t), (p, n), n)
DELETE(_ZdlPvRKSt9nothrow_t, (void *p, const void *t), (void *, const void *), (p, t), 0)
DELETE(_ZdaPvRKSt9nothrow_t, (void *p, const void *t), (void *, const void *), (p, t), 0)
DELETE(_ZdlPvSt11align_val_t, (void *p, size_t a), (void *, size_t), (p, a), 0)
DELETE(_ZdaPvSt11align_val_t, (void *p, size_t a), (void *, size_t), (p, a), 0)
DELETE(_ZdlPvmSt11align_val_t, (void *p, size_t n, size_t a), (void *, size_t, size_t), (p, n, a), n)
DELETE(_ZdaPvmSt11align_val_t, (void *p, size_t n, size_t a), (void *, size_t, size_t), (p, n, a), n)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t a, const void *t), (void *, size_t, const void *),
       (p, a, t), 0)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t a, const void *t), (void *, size_t, const void *), (p, a, t), 0)
