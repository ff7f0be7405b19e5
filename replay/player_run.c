/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: executes one thread's stream. Compiled twice: the plain loop of timed runs does nothing but the
 * plan; the full one also measures, verifies or takes times, as control.flags says.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "replay/hist.h"
#include "replay/player.h"

#define PREFETCH_AHEAD 8 /* operations; the plan's tables follow the last chunk, so this stays inside the file */
#define TOUCH_BYTE 0x5a

#ifndef RUSAGE_THREAD
#define RUSAGE_THREAD 1
#endif

static long thread_faults(void)
{
	struct rusage usage;
	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* Maps a chunk in and the one before out, so that the plan's length shows neither in faults nor in memory. */
static void enter_chunk(struct run *r, uint32_t pos, uint32_t nr_ops)
{
	const uintptr_t page = PLAN_PAGE;
	uintptr_t start = (uintptr_t)(player.plan + pos) & ~(page - 1);
	/* Prefetching looks past the chunk's end. */
	uintptr_t end = ((uintptr_t)(player.plan + pos + nr_ops + PREFETCH_AHEAD) + page - 1) & ~(page - 1);
	long before = thread_faults();
	r->self->own_syscalls++;
	if (madvise((void *)start, end - start, MADV_POPULATE_READ)) { /* before Linux 5.14 */
		for (uintptr_t at = start; at < end; at += page)
			(void)*(volatile const uint8_t *)at;
	}
	if (r->chunk && r->chunk_nr * sizeof(*r->chunk) >= page && ++r->self->own_syscalls)
		madvise((void *)(uintptr_t)r->chunk, r->chunk_nr * sizeof(*r->chunk), MADV_DONTNEED);
	r->self->own_faults += (uint32_t)(thread_faults() - before);
	r->chunk = player.plan + pos;
	r->chunk_nr = nr_ops;
	r->op = r->chunk;
}

/* ---- touching ---- */

static inline void write_byte(uint64_t addr)
{
	*(volatile uint8_t *)addr = TOUCH_BYTE;
}

/*
 * The bytes of `nr` recorded pages, the first of which began at `start` - PLAN_PAGE relative to the object. Here the
 * object may lie differently on its pages: one write at the beginning of each recorded page, and one at the end of
 * the run if it is longer than a page or ends with the object, touch as many pages as writing all of it would.
 */
static void touch_run(uint64_t addr, uint64_t size, uint64_t start, uint64_t nr)
{
	uint64_t end = start + nr * PLAN_PAGE - PLAN_PAGE; /* relative to the object */
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t at = start + i * PLAN_PAGE;
		write_byte(addr + (at > PLAN_PAGE ? at - PLAN_PAGE : 0));
	}
	if (nr > 1 || end >= size)
		write_byte(addr + (end < size ? end : size) - 1);
}

static void touch_pages(uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to; at += PLAN_PAGE)
		write_byte(at);
	write_byte(to - 1);
}

static inline void touch(const struct plan_op *op, uint64_t addr, uint64_t from, uint64_t to)
{
	if (from >= to)
		return;
	if (op->flags & PLAN_TOUCH_WHOLE)
		memset((void *)(addr + from), TOUCH_BYTE, to - from);
	else if (op->flags & PLAN_TOUCH_PAGES)
		touch_pages(addr + from, addr + to);
	else if (op->flags & PLAN_TOUCH_FIRST && !from)
		write_byte(addr);
}

/* ---- what full runs add ---- */

static void count_time(const struct run *r, enum control_hist hist, uint64_t since)
{
	r->hists[hist * HIST_BUCKETS + hist_index(player_ticks() - since)]++;
}

static void full_birth(struct run *r, const struct plan_op *op, uint64_t addr)
{
	r->nr_births++;
	if (!addr)
		return;
	if (player.usable) {
		player.usable[op->slot] = player_usable_size ? player_usable_size((void *)addr) : op->arg;
		player_mark_held(r, op, addr, op->arg);
	}
	if (player.shadow)
		verify_birth(r, op, addr, op->arg);
}

static void full_death(const struct run *r, const struct plan_op *op, const struct control_slot *slot)
{
	if (!slot->addr)
		return;
	/* Again at the end: the mark at birth may have been cleared since, with the page out of memory. */
	if (player.usable)
		player_mark_held(r, op, slot->addr, slot->size);
	if (player.shadow)
		verify_death(r, op, slot->addr, slot->size);
}

static void full_realloc(const struct run *r, const struct plan_op *op, uint64_t old, uint64_t old_size, uint64_t addr)
{
	if (addr && player.usable) {
		player.usable[op->slot] = player_usable_size ? player_usable_size((void *)addr) : op->arg;
		player_mark_held(r, op, addr, op->arg);
	}
	if (player.shadow)
		verify_realloc(r, op, old, old_size, addr, op->arg);
}

/* ---- calls ---- */

static _Noreturn void fail_null(const struct run *r, const struct plan_op *op)
{
	player_fail(r, op, &(struct player_failure){ .error = CONTROL_ERR_NULL, .size = op->arg,
						     .align = op->align_log2 ? 1ull << op->align_log2 : 0 });
}

/* Where a loop is compiled without `full`, everything about it vanishes. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE uint64_t time_from(const struct run *r, bool full)
{
	return full && r->hists ? player_ticks() : 0;
}

ALWAYS_INLINE void birth(struct run *r, const struct plan_op *op, bool full)
{
	struct control_slot *slot = &player.slots[op->slot];
	uint64_t since = time_from(r, full);
	void *addr;
	switch (op->kind) {
	case PLAN_MALLOC: addr = malloc(op->arg); break;
	case PLAN_CALLOC: addr = calloc(1, op->arg); break;
	default: addr = player_call_birth(op);
	}
	if (full && r->hists)
		count_time(r, CONTROL_HIST_MALLOC, since);
	if (__builtin_expect(!addr && op->arg, 0))
		fail_null(r, op);
	slot->addr = (uint64_t)addr;
	slot->size = op->arg;
	if (full)
		full_birth(r, op, (uint64_t)addr);
	if (addr)
		touch(op, (uint64_t)addr, 0, op->arg);
	if (full && addr && player.shadow)
		verify_touched((uint64_t)addr, op->arg);
}

ALWAYS_INLINE void death(struct run *r, const struct plan_op *op, bool full)
{
	struct control_slot *slot = &player.slots[op->slot];
	void *addr = (void *)slot->addr;
	if (full) {
		full_death(r, op, slot);
		r->nr_deaths++;
	}
	slot->addr = 0;
	uint64_t since = time_from(r, full);
	if (op->kind == PLAN_FREE)
		free(addr);
	else
		player_call_death(op, addr);
	if (full && r->hists)
		count_time(r, CONTROL_HIST_FREE, since);
}

ALWAYS_INLINE void resize(struct run *r, const struct plan_op *op, bool full)
{
	struct control_slot *slot = &player.slots[op->slot];
	uint64_t old = slot->addr, old_size = slot->size;
	if (full && old)
		full_death(r, op, slot);
	uint64_t since = time_from(r, full);
	void *addr = realloc((void *)old, op->arg);
	if (full && r->hists)
		count_time(r, CONTROL_HIST_REALLOC, since);
	if (__builtin_expect(!addr && op->arg, 0))
		fail_null(r, op);
	slot->addr = (uint64_t)addr;
	slot->size = op->arg;
	if (full)
		full_realloc(r, op, old, old_size, (uint64_t)addr);
	if (addr)
		touch(op, (uint64_t)addr, old_size, op->arg);
	if (full && addr && player.shadow)
		verify_touched((uint64_t)addr, op->arg);
}

/* ---- all other operations ---- */

static void pass_time(const struct run *r, const struct plan_op *op)
{
	player_clock_set(op->arg);
	/* A sign of life, for the parent's watch over hanging allocators. */
	atomic_store_explicit(&r->self->nr_done, run_op_number(r, op), memory_order_relaxed);
	if (player.control->pace_milli)
		player_pace(op->arg);
}

static void touch_later(const struct plan_op *op)
{
	const struct control_slot *slot = &player.slots[op->slot];
	if (!slot->addr || !slot->size)
		return;
	touch_run(slot->addr, slot->size, op->arg & PLAN_TOUCH_OFFSET_MASK, op->arg >> PLAN_TOUCH_SHIFT);
	if (player.shadow)
		verify_touched(slot->addr, slot->size);
}

static void jump(struct run *r, const struct plan_op *op)
{
	uint32_t first = run_op_number(r, op) + 1;
	atomic_store_explicit(&r->self->nr_done, first, memory_order_relaxed);
	struct plan_op target = *op; /* leaves memory with its chunk */
	enter_chunk(r, (uint32_t)target.arg, target.slot);
	r->chunk_first = first;
}

static void wait_for(const struct plan_op *op)
{
	struct control_gate *gate = &player.threads[op->slot].progress;
	if ((int32_t)(atomic_load_explicit(&gate->value, memory_order_acquire) - (uint32_t)op->arg) < 0)
		gate_wait(gate, (uint32_t)op->arg);
}

static void report_done(struct run *r, const struct plan_op *op)
{
	atomic_store(&r->self->nr_done, run_op_number(r, op) + 1);
	atomic_fetch_add(&player.control->nr_births, r->nr_births);
	atomic_fetch_add(&player.control->nr_deaths, r->nr_deaths);
	r->nr_births = r->nr_deaths = 0;
}

/* Returns false at the end of the stream. */
static bool other_operation(struct run *r, const struct plan_op *op)
{
	switch (op->kind) {
	case PLAN_TOUCH: touch_later(op); break;
	case PLAN_TIME: pass_time(r, op); break;
	case PLAN_STEER: player_steer(op); break;
	case PLAN_CPU: player_move(op->slot); break;
	case PLAN_ENTER:
		if (op->slot > 1)
			gate_wait(&player.control->windows, op->slot - 1);
		break;
	case PLAN_LEAVE: player_leave_window(op->slot); break;
	case PLAN_CHECKPOINT:
		report_done(r, op);
		player_checkpoint(r->self, op);
		break;
	case PLAN_START: player_thread_start(r, op); break;
	case PLAN_JOIN: player_thread_join(op->slot); break;
	case PLAN_EXIT:
		report_done(r, op);
		atomic_store(&r->self->state, CONTROL_THREAD_ENDS);
		player_arrive();
		return false;
	case PLAN_END: report_done(r, op); return false;
	default: break;
	}
	return true;
}

ALWAYS_INLINE void run_stream(struct run *r, bool full)
{
	for (const struct plan_op *op = r->op;; op++) {
		__builtin_prefetch(&player.slots[op[PREFETCH_AHEAD].slot], 1);
		switch (op->kind) {
		case PLAN_MALLOC:
		case PLAN_CALLOC:
		case PLAN_POSIX_MEMALIGN:
		case PLAN_ALIGNED_ALLOC:
		case PLAN_MEMALIGN:
		case PLAN_VALLOC:
		case PLAN_PVALLOC:
		case PLAN_NEW: birth(r, op, full); break;
		case PLAN_REALLOC: resize(r, op, full); break;
		case PLAN_FREE:
		case PLAN_DELETE:
		case PLAN_SDALLOCX: death(r, op, full); break;
		case PLAN_WAIT: wait_for(op); break;
		case PLAN_JUMP:
			jump(r, op);
			op = r->op - 1;
			continue;
		case PLAN_NOP: break;
		default:
			if (!other_operation(r, op))
				return;
		}
		if (__builtin_expect(op->flags & PLAN_PUBLISH, 0))
			gate_set(&r->self->progress, run_op_number(r, op) + 1);
	}
}

static __attribute__((noinline)) void run_plain(struct run *r)
{
	run_stream(r, false);
}

static __attribute__((noinline)) void run_full(struct run *r)
{
	run_stream(r, true);
}

void player_run(uint32_t index)
{
	const struct plan_thread *row = &player.rows[index];
	struct run r = { .index = index, .self = &player.threads[index] };
	if (player.hists) /* by stack, so that threads one after the other share them; the first thread has none */
		r.hists = player.hists + (row->stack_slot == PLAN_NO_STACK_SLOT ? 0 : row->stack_slot + 1ull) *
						 CONTROL_HIST_NR * HIST_BUCKETS;
	enter_chunk(&r, row->first_pos, row->first_nr);
	if (player.control->flags & (CONTROL_USABLE | CONTROL_VERIFY | CONTROL_LATENCY))
		run_full(&r);
	else
		run_plain(&r);
}
