/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * player.h - inside of the player: the small program that runs under the allocator to be tested.
 *
 * It is started by launch.c with the allocator preloaded and its tables as open descriptors (control.h). It
 * links nothing but libc and makes no allocation of its own but one malloc and free before the first operation.
 */
#ifndef HEAPTAPE_REPLAY_PLAYER_H
#define HEAPTAPE_REPLAY_PLAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replay/control.h"
#include "replay/plan_file.h"

/* Where everything lies; filled in before the allocator first runs. */
struct player {
	struct control *control;
	struct control_thread *threads;
	struct control_slot *slots;
	uint64_t *usable; /* NULL outside of measuring runs */
	char *stacks;
	const struct plan_op *plan; /* the whole file */
	const struct plan_header *head;
	const struct plan_thread *rows;
	_Atomic uint32_t *windows_left; /* threads that have not left window i yet */
	uint64_t *hists; /* NULL outside of latency runs */
	struct marks_dir *marks_dir, *shadow_dir;
	uint8_t *marks, *shadow;
};
extern struct player player;

/* A thread on its way through its stream. */
struct run {
	uint32_t index;
	struct control_thread *self;
	const struct plan_op *op;    /* the next operation */
	const struct plan_op *chunk; /* start of the current chunk */
	uint32_t chunk_nr;           /* operations in it */
	uint32_t chunk_first;        /* number of its first operation */
	uint64_t *hists;
	uint64_t nr_births, nr_deaths; /* full runs */
};

/* Executes a thread's stream to PLAN_EXIT or PLAN_END. */
void player_run(uint32_t index);
/* Number of an operation of the current chunk in the thread's stream. */
static inline uint32_t run_op_number(const struct run *r, const struct plan_op *op)
{
	return r->chunk_first + (uint32_t)(op - r->chunk);
}

/* Gives up: the first failure of all threads is kept for the parent. */
struct player_failure {
	enum control_error error;
	uint64_t size, align, addr, other;
	int64_t detail;
};
_Noreturn void player_fail(const struct run *r, const struct plan_op *op, const struct player_failure *f);

/* player_thread.c */
void player_thread_start(const struct run *r, const struct plan_op *op);
void player_thread_join(uint32_t index);

/* player_calls.c: what stands for each recorded call; malloc, calloc, realloc and free are called directly. */
void player_calls_resolve(void);
void *player_call_birth(const struct plan_op *op);
void player_call_death(const struct plan_op *op, void *addr);
/* NULL unless the object that defines malloc defines it too. */
extern size_t (*player_usable_size)(void *addr);

/* player_steer.c: nothing for an allocator that was not steered, or lacks the function. */
void player_steer_resolve(void);
void player_steer(const struct plan_op *op);

/* player_wait.c */
void gate_wait(struct control_gate *gate, uint32_t need);
/* The gate's only writer sets a new value; wakes whom it concerns. */
void gate_set(struct control_gate *gate, uint32_t value);
/* value was raised already */
void gate_wake(struct control_gate *gate, uint32_t value);
void player_arrive(void);
void player_resume(void);
void player_checkpoint(struct control_thread *self, const struct plan_op *op);
void player_leave_window(uint32_t window);
void player_futex_wait(_Atomic uint32_t *word, uint32_t value);
void player_futex_wake(_Atomic uint32_t *word);

/* player_clock.c */
void player_clock_set(uint64_t ns);
void player_pace(uint64_t ns);
uint64_t player_now_ns(void); /* the real CLOCK_MONOTONIC */
uint64_t player_cpu_ns(void); /* CPU time of the process */
extern __thread uint32_t player_cpu; /* recorded CPU, UINT32_MAX: not known */
void player_move(uint32_t cpu);

/* player_verify.c: full runs only. verify_birth and verify_realloc come before the object is written to,
 * verify_touched after. */
void player_mark_held(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size);
void verify_birth(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size);
void verify_touched(uint64_t addr, uint64_t size);
void verify_death(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size);
void verify_realloc(const struct run *r, const struct plan_op *op, uint64_t old, uint64_t old_size, uint64_t addr,
		    uint64_t size);

static inline uint64_t player_ticks(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return player_now_ns();
#endif
}

#endif
