/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of return addresses beside the stack, and the log of it. Not instrumented itself. */
#include "stack_truth.h"

#include <pthread.h>
#include <sys/syscall.h>

#include "stack_log.h"

#define DEPTH_MAX 1024
#define CODE_MAX 32

struct known {
	uint64_t ra[DEPTH_MAX], fn[DEPTH_MAX];
	int nr;
};

static __thread struct known known;
static struct stack_log *log_;
static struct { uint64_t start, end; } code[CODE_MAX];
static int nr_code;

void __cyg_profile_func_enter(void *fn, void *ra);
void __cyg_profile_func_exit(void *fn, void *ra);

void __cyg_profile_func_enter(void *fn, void *ra)
{
	if (known.nr < DEPTH_MAX) {
		known.ra[known.nr] = (uint64_t)(uintptr_t)ra;
		known.fn[known.nr] = (uint64_t)(uintptr_t)fn;
	}
	known.nr++;
}

void __cyg_profile_func_exit(void *fn, void *ra)
{
	(void)fn;
	(void)ra;
	known.nr--;
}

void truth_interrupted(uint64_t pc)
{
	known.fn[known.nr] = 0;
	known.ra[known.nr++] = pc + 1;
}

void truth_resumed(void)
{
	known.nr--;
}

void truth_code(const char *start, const char *end)
{
	int known_before = 0;

	if (!log_)
		log_ = stack_log_open();
	if (!log_)
		return;
	for (int i = 0; i < nr_code; i++)
		known_before |= code[i].start == (uint64_t)(uintptr_t)start && code[i].end == (uint64_t)(uintptr_t)end;
	stack_log_range(log_, (uint64_t)(uintptr_t)start, (uint64_t)(uintptr_t)end);
	if (known_before || nr_code == CODE_MAX)
		return;
	code[nr_code].start = (uint64_t)(uintptr_t)start;
	code[nr_code++].end = (uint64_t)(uintptr_t)end;
}

static int is_known(uint64_t pc)
{
	for (int i = 0; i < nr_code; i++)
		if (pc > code[i].start && pc <= code[i].end)
			return 1;
	return 0;
}

void *truth_malloc(size_t size)
{
	uint64_t pcs[STACK_LOG_FRAMES];
	uint32_t nr = 0, sample;
	void *p;

	/* No size twice, so that an event that was lost is not taken for the one before it. */
	size += log_ ? log_->nr_samples : 0;
	p = malloc(size);
	if (!log_)
		return p;
	pcs[nr++] = (uint64_t)(uintptr_t)__builtin_return_address(0);
	for (int i = known.nr - 1; i >= 0 && nr < STACK_LOG_FRAMES; i--)
		if (is_known(known.ra[i]))
			pcs[nr++] = known.ra[i];
		else if (i && is_known(known.fn[i - 1] + 1)) /* it called other code, which called back */
			pcs[nr++] = known.fn[i - 1] | STACK_LOG_WITHIN;
	sample = stack_log_add(log_, (uint32_t)syscall(SYS_gettid), p, size, pcs, nr, 0);
	if (sample < STACK_LOG_SAMPLES)
		free(malloc(STACK_LOG_MARK + sample)); /* NULL */
	return p;
}
