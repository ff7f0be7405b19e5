/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heaptape-scratch - makes known calls of an allocator, so that heaptape can hold its probes against the truth.
 *
 * Started by heaptape with no rights and with the allocator preloaded. It calls each function by its argument numbers,
 * over all size classes, alignments and edge cases, from one thread and then from four.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sites/check.h"
#include "sites/functions.h"

enum { ARGS = 6, KEPT = 24 };

typedef uintptr_t (*any_function)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

static struct check_area *area;
static any_function calls[CHECK_FUNCTIONS_MAX];
static int plain_free = -1; /* function number of free */

static bool frees(const struct check_function *f)
{
	return f->kind == TAPE_FREE || f->kind == TAPE_DELETE || f->kind == TAPE_SDALLOCX;
}

static unsigned log2_of(uintptr_t n)
{
	return n ? (unsigned)__builtin_ctzl(n) : 0;
}

/* One call and its line in the log. */
static uintptr_t make_call(unsigned fn, unsigned thread, uintptr_t size, uintptr_t mul, uintptr_t align, uintptr_t old)
{
	const struct check_function *f = &area->functions[fn];
	uintptr_t args[ARGS + 1] = { 0 }, out = 0, result;
	uint32_t n = atomic_fetch_add((_Atomic uint32_t *)&area->nr_calls, 1);

	if (n >= CHECK_CALLS_MAX)
		return 0;
	args[f->size] = size;
	args[f->mul] = mul;
	args[f->old] = old;
	args[f->align] = f->flags & FUNCTION_LG_ALIGN ? log2_of(align) : align;
	if (f->ptr)
		args[f->ptr] = f->flags & FUNCTION_BY_POINTER ? (uintptr_t)&out : old;
	/* nothrow_t behind the last argument that has a meaning: any address will do. */
	for (int i = 1; i <= ARGS; i++)
		if (i != f->size && i != f->mul && i != f->old && i != f->align && i != f->ptr)
			args[i] = f->flags & FUNCTION_NEW ? (uintptr_t)&area->ready : 0;
	area->calls[n] = (struct check_call){ .tid = (uint32_t)syscall(SYS_gettid), .function = (uint16_t)fn,
					      .thread = (uint16_t)thread, .align = f->align ? align : 0 };
	area->calls[n].size = !f->mul ? f->size ? size : 0 : mul && size > UINTPTR_MAX / mul ? UINTPTR_MAX : size * mul;
	result = calls[fn](args[1], args[2], args[3], args[4], args[5], args[6]);
	if (frees(f)) {
		area->calls[n].result = old;
		return 0;
	}
	area->calls[n].old = f->old ? old : 0;
	area->calls[n].result = f->flags & FUNCTION_BY_POINTER ? result ? 0 : out : result;
	return area->calls[n].result;
}

static void release(unsigned thread, uintptr_t p)
{
	if (p)
		make_call((unsigned)plain_free, thread, 0, 0, 0, p);
}

static void try_alloc(unsigned fn, unsigned thread, bool all_sizes)
{
	const struct check_function *f = &area->functions[fn];
	uintptr_t kept[KEPT] = { 0 };
	unsigned at = 0;

	/* jemalloc's x functions are not defined for size 0. */
	for (uintptr_t size = f->flags & FUNCTION_LG_ALIGN ? 1 : 0; size <= (all_sizes ? 300000 : 3000); size += 1 + size / 8) {
		uintptr_t align = f->align ? (uintptr_t)16 << size % 5 : 0;

		for (int twice = 0; twice < 2; twice++, at++) {
			release(thread, kept[at % KEPT]);
			kept[at % KEPT] = make_call(fn, thread, f->kind == TAPE_ALIGNED_ALLOC && align ?
						    (size + align) / align * align : size, f->mul ? 1 + size % 3 : 1, align, 0);
		}
	}
	for (unsigned i = 0; i < KEPT; i++)
		release(thread, kept[i]);
	/* Larger than any memory, and an overflow: calls that fail. What throws would end the program. */
	if (f->flags & FUNCTION_NEW)
		return;
	release(thread, make_call(fn, thread, (uintptr_t)1 << 62, 1, f->align ? 64 : 0, 0));
	if (f->mul)
		release(thread, make_call(fn, thread, UINTPTR_MAX / 2, 3, 0, 0));
}

static int find_kind(unsigned kind)
{
	for (unsigned i = 0; i < area->nr_functions; i++)
		if (area->functions[i].found && area->functions[i].kind == kind && !area->functions[i].mul && !area->functions[i].align)
			return (int)i;
	return -1;
}

static void try_realloc(unsigned fn, unsigned thread)
{
	const struct check_function *f = &area->functions[fn];
	uintptr_t p = 0, q = 0, align = f->align ? 16 : 0;
	int with = find_kind(TAPE_MALLOC);

	/* jemalloc's rallocx wants a block; the others take NULL for a malloc. */
	if (f->flags & FUNCTION_LG_ALIGN) {
		p = make_call((unsigned)with, thread, 10, 1, 0, 0);
		q = make_call((unsigned)with, thread, 20, 1, 0, 0);
	}
	for (uintptr_t size = 1; size < 400000; size += 1 + size / 3) {
		p = make_call(fn, thread, size, 1, align, p);         /* grows, moving now and then */
		q = make_call(fn, thread, 400000 - size, 1, align, q); /* shrinks */
	}
	make_call(fn, thread, (uintptr_t)1 << 62, 1, align, p); /* fails, p lives on */
	release(thread, p);
	release(thread, q);
}

static void try_free(unsigned fn, unsigned thread, int with)
{
	for (uintptr_t size = 1; size <= 100000; size += 1 + size / 6) {
		uintptr_t p = make_call((unsigned)with, thread, size, 1, 0, 0);

		if (p)
			make_call(fn, thread, size, 0, 16, p);
	}
}

static void try_all(unsigned thread, bool all_sizes)
{
	int with_malloc = find_kind(TAPE_MALLOC), with_new = find_kind(TAPE_NEW);

	for (unsigned i = 0; i < area->nr_functions; i++) {
		const struct check_function *f = &area->functions[i];

		if (!f->found || with_malloc < 0)
			continue;
		if (frees(f)) {
			int with = f->flags & FUNCTION_NEW && with_new >= 0 ? with_new : with_malloc;

			if (with >= 0 && !f->align)
				try_free(i, thread, with);
		} else if (f->kind == TAPE_REALLOC) {
			try_realloc(i, thread);
		} else {
			try_alloc(i, thread, all_sizes);
		}
	}
}

/* Threads are made before the probes stand, since making one calls the allocator, and never end, since that does too. */
static atomic_int may_run, nr_finished;

static void *thread_run(void *arg)
{
	while (!atomic_load(&may_run))
		usleep(200);
	try_all((unsigned)(uintptr_t)arg, false);
	atomic_fetch_add(&nr_finished, 1);
	for (;;)
		pause();
	return NULL;
}

static uint64_t offset_in_file(const void *address)
{
	Dl_info info;

	/* The first segment is mapped from the file's beginning in every allocator known; heaptape checks the byte it finds. */
	return dladdr(address, &info) ? (uint64_t)((const char *)address - (const char *)info.dli_fbase) : 0;
}

int main(void)
{
	pthread_t threads[4];
	char go;

	area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE, MAP_SHARED, CHECK_FD, 0);
	if (area == MAP_FAILED)
		return 2;
	for (unsigned i = 0; i < area->nr_functions && i < CHECK_FUNCTIONS_MAX; i++) {
		struct check_function *f = &area->functions[i];

		*(void **)&calls[i] = dlsym(RTLD_DEFAULT, f->symbol);
		if (!calls[i])
			continue;
		f->found = offset_in_file(*(void **)&calls[i]) == f->offset;
		if (f->found && plain_free < 0 && f->kind == TAPE_FREE && f->flags & FUNCTION_CORE)
			plain_free = (int)i;
	}
	if (plain_free < 0)
		return 3;
	for (uintptr_t i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, thread_run, (void *)(i + 1)))
			return 5;
	atomic_store((_Atomic uint32_t *)&area->ready, 1);
	if (read(CHECK_GO_FD, &go, 1) != 1)
		return 4;
	try_all(0, true);
	atomic_store(&may_run, 1);
	while (atomic_load(&nr_finished) < 4)
		usleep(200);
	atomic_store((_Atomic uint32_t *)&area->done, 1);
	_exit(0);
}
