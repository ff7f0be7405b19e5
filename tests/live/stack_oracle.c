/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into a program: at every STACK_EVERYth allocation of a thread it walks its own stack with the compiler's
 * unwinder, which knows nothing of ours, and logs what it saw.
 */
#include <dlfcn.h>
#include <errno.h>
#include <sys/syscall.h>
#include <unwind.h>

#include "stack_log.h"

/* libgcc's own, in no header of its: whether an address has a row at all. */
struct dwarf_eh_bases {
	void *tbase, *dbase, *func;
};
const void *_Unwind_Find_FDE(void *pc, struct dwarf_eh_bases *bases);

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static struct stack_log *log_;
static uint32_t every = 1;
static __thread uint32_t nr_calls __attribute__((tls_model("initial-exec")));
static __thread int inside __attribute__((tls_model("initial-exec")));

/* dlsym allocates before the next functions are known. */
static char early[65536];
static size_t early_used;

static void *early_alloc(size_t n)
{
	void *p = early + early_used;

	early_used += (n + 15) & ~(size_t)15;
	return early_used <= sizeof(early) ? p : NULL;
}

static void find_next(void)
{
	static int finding;

	if (next_malloc || finding)
		return;
	finding = 1;
	next_calloc = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "calloc");
	next_realloc = (void *(*)(void *, size_t))dlsym(RTLD_NEXT, "realloc");
	next_malloc = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
	log_ = stack_log_open();
	if (getenv("STACK_EVERY"))
		every = (uint32_t)atoi(getenv("STACK_EVERY"));
	finding = 0;
}

struct walk {
	uint64_t pcs[STACK_LOG_FRAMES];
	uint32_t nr;
};

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *arg)
{
	struct walk *w = arg;
	int exact = 0;
	uint64_t ip = _Unwind_GetIPInfo(context, &exact);

	/* The same convention as the tape's: of all frames the byte before is meant. */
	if (ip && w->nr < STACK_LOG_FRAMES)
		w->pcs[w->nr++] = ip + (exact != 0);
	return _URC_NO_REASON;
}

static void sample(const void *addr, size_t size)
{
	int saved = errno;
	struct dwarf_eh_bases bases;
	struct walk w;
	uint32_t nr;

	if (!log_ || !addr || inside || nr_calls++ % every || log_->nr_samples >= STACK_LOG_SAMPLES)
		return;
	inside = 1;
	w.nr = 0;
	_Unwind_Backtrace(on_frame, &w);
	nr = stack_log_add(log_, (uint32_t)syscall(SYS_gettid), addr, size, w.pcs, w.nr,
			   w.nr && !_Unwind_Find_FDE((void *)(uintptr_t)(w.pcs[w.nr - 1] - 1), &bases));
	if (nr < STACK_LOG_SAMPLES)
		free(next_malloc(STACK_LOG_MARK + nr)); /* NULL */
	inside = 0;
	errno = saved;
}

void *malloc(size_t n)
{
	void *p;

	find_next();
	if (!next_malloc)
		return early_alloc(n);
	p = next_malloc(n);
	sample(p, n);
	return p;
}

void *calloc(size_t n, size_t m)
{
	void *p;

	find_next();
	if (!next_malloc)
		return early_alloc(n * m);
	p = next_calloc(n, m);
	sample(p, n * m);
	return p;
}

void *realloc(void *old, size_t n)
{
	void *p;

	find_next();
	if ((char *)old >= early && (char *)old < early + sizeof(early)) {
		p = malloc(n);
		if (p)
			memcpy(p, old, n < 4096 ? n : 4096);
		return p;
	}
	p = next_realloc(old, n);
	if (n)
		sample(p, n);
	return p;
}
