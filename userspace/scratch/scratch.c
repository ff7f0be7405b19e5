/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heaptape-scratch - makes known calls of an allocator, so that heaptape can hold its probes against the truth, or count
 * which ways through its code are the usual ones.
 *
 * Started by heaptape with no rights and with the allocator preloaded. It calls each function by its argument numbers,
 * over all size classes, alignments and edge cases, first as a program of one thread, then from four more.
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

#include "check/area.h"
#include "formats/tape.h"
#include "sites/functions.h"

enum { ARGS = 6, KEPT = 24 };

typedef uintptr_t (*any_function)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

static struct area *area;
static any_function calls[AREA_FUNCTIONS_MAX];
static int plain_free = -1; /* function number of free */
static uint8_t next_flags[AREA_THREADS + 1]; /* of each thread's next call */

static bool frees(const struct area_function *f)
{
	return f->kind == TAPE_FREE || f->kind == TAPE_DELETE || f->kind == TAPE_SDALLOCX;
}

static unsigned log2_of(uintptr_t n)
{
	return n ? (unsigned)__builtin_ctzl(n) : 0;
}

/* ---- calls of every kind ---- */

/* One call and its line in the log. */
static uintptr_t make_call(unsigned fn, unsigned thread, uintptr_t size, uintptr_t mul, uintptr_t align, uintptr_t old)
{
	const struct area_function *f = &area->functions[fn];
	uintptr_t args[ARGS + 1] = { 0 }, out = 0, result;
	uint32_t n = atomic_fetch_add((_Atomic uint32_t *)&area->nr_calls, 1);

	if (n >= AREA_CALLS_MAX)
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
	area->calls[n] = (struct area_call){ .function = (uint16_t)fn, .thread = (uint8_t)thread, .flags = next_flags[thread],
					     .align = f->align ? align : 0 };
	next_flags[thread] = 0;
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
	const struct area_function *f = &area->functions[fn];
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
	const struct area_function *f = &area->functions[fn];
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
	/* Fails, and p lives on. What throws would end the program. */
	if (!(f->flags & FUNCTION_NEW))
		make_call(fn, thread, (uintptr_t)1 << 62, 1, align, p);
	/* To nothing: frees the block, and may give another one. */
	if (!(f->flags & FUNCTION_LG_ALIGN) && !f->align)
		p = make_call(fn, thread, 0, 1, 0, p);
	release(thread, p);
	release(thread, q);
}

static void try_free(unsigned fn, unsigned thread, int with)
{
	const struct area_function *f = &area->functions[fn];

	/* Nothing to see; jemalloc's x functions are not defined for it. */
	if (f->flags & FUNCTION_CORE)
		make_call(fn, thread, 0, 0, 16, 0);
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
		const struct area_function *f = &area->functions[i];

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

/* ---- usual calls ---- */

enum { COUNT_LIVE = 128, COUNT_CALLS = 800, COUNT_CALLS_RARE = 100 };

static uint32_t random_next(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u; /* Numerical Recipes' generator */
	return *state >> 8;
}

/* Mostly small, as programs ask. */
static uintptr_t usual_size(uint32_t *state)
{
	uint32_t kind = random_next(state) % 100, r = random_next(state);

	if (kind < 70)
		return 8 + r % 248;
	if (kind < 95)
		return 256 + r % 1792;
	return kind < 99 ? 2048 + r % 30000 : 32768 + r % 200000;
}

static uintptr_t call_plainly(unsigned fn, uintptr_t size, uintptr_t old)
{
	const struct area_function *f = &area->functions[fn];
	uintptr_t args[ARGS + 1] = { 0 }, out = 0, result;

	args[f->size] = size;
	args[f->mul] = 1 + size % 3;
	args[f->old] = old;
	args[f->align] = f->flags & FUNCTION_LG_ALIGN ? 0 : 16;
	if (f->ptr)
		args[f->ptr] = f->flags & FUNCTION_BY_POINTER ? (uintptr_t)&out : old;
	result = calls[fn](args[1], args[2], args[3], args[4], args[5], args[6]);
	return f->flags & FUNCTION_BY_POINTER ? out : result;
}

static void count_alloc(unsigned fn, int free_fn, unsigned thread)
{
	const struct area_function *f = &area->functions[fn];
	bool usual = !f->align && !f->old;
	uintptr_t live[COUNT_LIVE] = { 0 };
	uint32_t state = thread + 1;

	/* As many calls of a program with one thread as of one with several. */
	for (int i = 0; i < (usual ? COUNT_CALLS : COUNT_CALLS_RARE) / (thread ? AREA_THREADS : 1); i++) {
		uintptr_t *slot = &live[random_next(&state) % COUNT_LIVE], size = usual_size(&state);

		if (f->old) {
			if (!*slot && f->flags & FUNCTION_LG_ALIGN)
				*slot = call_plainly((unsigned)find_kind(TAPE_MALLOC), 16, 0);
			*slot = call_plainly(fn, size, *slot);
		} else {
			if (*slot)
				call_plainly((unsigned)free_fn, 0, *slot);
			*slot = call_plainly(fn, f->kind == TAPE_ALIGNED_ALLOC ? (size + 15) / 16 * 16 : size, 0);
		}
	}
	for (int i = 0; i < COUNT_LIVE; i++)
		if (live[i])
			call_plainly((unsigned)free_fn, 0, live[i]);
}

static void count_free(unsigned fn, int with, uint32_t seed)
{
	uint32_t state = seed;

	for (int i = 0; i < COUNT_CALLS_RARE; i++) {
		uintptr_t size = usual_size(&state), args[ARGS + 1] = { 0 };
		const struct area_function *f = &area->functions[fn];

		args[f->align] = 16;
		args[f->size] = size;
		args[f->ptr] = call_plainly((unsigned)with, size, 0);
		calls[fn](args[1], args[2], args[3], args[4], args[5], args[6]);
	}
}

static void count_all(unsigned thread)
{
	int with_malloc = find_kind(TAPE_MALLOC), with_new = find_kind(TAPE_NEW), delete = find_kind(TAPE_DELETE);

	for (unsigned i = 0; i < area->nr_functions && with_malloc >= 0; i++) {
		const struct area_function *f = &area->functions[i];
		bool cxx = f->flags & FUNCTION_NEW;

		if (!f->found || (thread && !(f->flags & FUNCTION_CORE)))
			continue; /* threads change the way of malloc and free; the others follow */
		if (!frees(f))
			count_alloc(i, cxx && delete >= 0 ? delete : plain_free, thread);
		else if (!f->align && !f->mul)
			count_free(i, cxx && with_new >= 0 ? with_new : with_malloc, thread + 1);
	}
}

/* ---- threads ---- */

static atomic_int nr_finished;

/* They never end, since that calls the allocator, too. */
static void *thread_run(void *arg)
{
	unsigned thread = (unsigned)(uintptr_t)arg;

	if (area->mode == AREA_COUNT)
		count_all(thread);
	else
		try_all(thread, false);
	atomic_fetch_add(&nr_finished, 1);
	for (;;)
		pause();
	return NULL;
}

/* Making a thread calls the allocator, unseen by the log. */
static bool run_threads(void)
{
	pthread_t threads[AREA_THREADS];

	for (uintptr_t i = 0; i < AREA_THREADS; i++)
		if (pthread_create(&threads[i], NULL, thread_run, (void *)(i + 1)))
			return false;
	while (atomic_load(&nr_finished) < AREA_THREADS)
		usleep(200);
	return true;
}

static uint64_t offset_in_file(const void *address)
{
	Dl_info info;

	/* The first segment is mapped from the file's beginning in every allocator known; heaptape checks the byte it finds. */
	return dladdr(address, &info) ? (uint64_t)((const char *)address - (const char *)info.dli_fbase) : 0;
}

static void find_functions(void)
{
	for (unsigned i = 0; i < area->nr_functions && i < AREA_FUNCTIONS_MAX; i++) {
		struct area_function *f = &area->functions[i];

		*(void **)&calls[i] = dlsym(RTLD_DEFAULT, f->symbol);
		if (!calls[i])
			continue;
		f->found = offset_in_file(*(void **)&calls[i]) == f->offset;
		if (f->found && plain_free < 0 && f->kind == TAPE_FREE && f->flags & FUNCTION_CORE)
			plain_free = (int)i;
	}
}

int main(void)
{
	char go;

	area = mmap(NULL, sizeof(*area), PROT_READ | PROT_WRITE, MAP_SHARED, AREA_FD, 0);
	if (area == MAP_FAILED)
		return 2;
	find_functions();
	if (plain_free < 0)
		return 3;
	atomic_store((_Atomic uint32_t *)&area->ready, 1);
	if (read(AREA_GO_FD, &go, 1) != 1)
		return 4;
	if (area->mode == AREA_COUNT)
		count_all(0);
	else
		try_all(0, true);
	if (!run_threads())
		return 5;
	/* Once more as the first thread, now that others are there. */
	next_flags[0] = AREA_CALL_AFTER_GAP;
	if (area->mode == AREA_CHECK)
		try_all(0, false);
	atomic_store((_Atomic uint32_t *)&area->done, 1);
	for (;;)
		pause();
}
