/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the player's threads wait: for each other's operations, for windows, for the parent.
 *
 * A gate's value only grows. A waiter spins a little, then notes the value it needs (the smallest of all
 * sleepers') and sleeps on seq. Whoever raises the value past the one needed clears the note, counts seq up
 * and wakes all; those that need more note it again. The note is checked after seq is read, and the value
 * after the note, so that no wake-up is lost. Values are compared by difference: they may wrap.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "replay/player.h"

/* Not private: the parent sleeps and wakes on some of these words. */
void player_futex_wait(_Atomic uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

void player_futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

static inline bool reached(uint32_t value, uint32_t need)
{
	return (int32_t)(value - need) >= 0;
}

static inline void pause_cpu(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* 0 means that nobody sleeps; a need that has come round to 0 is noted as one less, which wakes too early at worst. */
static void note_need(struct control_gate *gate, uint32_t need)
{
	need -= need == 0;
	uint32_t noted = atomic_load(&gate->need);
	while (!noted || !reached(need, noted)) {
		if (atomic_compare_exchange_weak(&gate->need, &noted, need))
			return;
	}
}

void gate_wait(struct control_gate *gate, uint32_t need)
{
	for (uint32_t i = 0; i < player.control->spin; i++) {
		if (reached(atomic_load_explicit(&gate->value, memory_order_acquire), need))
			return;
		pause_cpu();
	}
	for (;;) {
		uint32_t seq = atomic_load(&gate->seq);
		note_need(gate, need);
		if (reached(atomic_load(&gate->value), need))
			return;
		player_futex_wait(&gate->seq, seq);
	}
}

void gate_wake(struct control_gate *gate, uint32_t value)
{
	uint32_t need = atomic_load(&gate->need);
	if (__builtin_expect(!need || !reached(value, need), 1))
		return;
	atomic_store(&gate->need, 0);
	atomic_fetch_add(&gate->seq, 1);
	player_futex_wake(&gate->seq);
}

void gate_set(struct control_gate *gate, uint32_t value)
{
	atomic_store(&gate->value, value); /* a full barrier, as the note may be written just now */
	gate_wake(gate, value);
}

/* The last one out closes the window, and any later ones that are empty already. */
void player_leave_window(uint32_t window)
{
	struct control_gate *gate = &player.control->windows;
	if (atomic_fetch_sub(&player.windows_left[window], 1) != 1)
		return;
	uint32_t done = atomic_load(&gate->value);
	while (done < player.head->nr_windows && !atomic_load(&player.windows_left[done])) {
		if (atomic_compare_exchange_strong(&gate->value, &done, done + 1))
			done++;
	}
	gate_wake(gate, done);
}

void player_arrive(void)
{
	struct control *c = player.control;
	if (atomic_fetch_add(&c->arrived, 1) + 1 != atomic_load(&c->arrive_goal))
		return;
	atomic_store(&c->arrive_cpu_ns, player_cpu_ns());
	atomic_store(&c->arrive_ns, player_now_ns());
	atomic_fetch_add(&c->arrive_seq, 1);
	player_futex_wake(&c->arrive_seq);
}

/* The first thread that goes on starts the clocks again. */
void player_resume(void)
{
	struct control *c = player.control;
	uint64_t none = 0;
	if (!atomic_load(&c->resume_ns) && atomic_compare_exchange_strong(&c->resume_ns, &none, player_now_ns()))
		atomic_store(&c->resume_cpu_ns, player_cpu_ns());
}

/* Stands still until the parent releases the checkpoint. */
void player_checkpoint(struct control_thread *self, const struct plan_op *op)
{
	struct control *c = player.control;
	uint32_t until = (uint32_t)op->arg + 1;
	atomic_store(&self->parked_at, until);
	player_arrive();
	for (;;) {
		uint32_t wake = atomic_load(&self->wake);
		if (atomic_load(&c->released) >= until)
			break;
		player_futex_wait(&self->wake, wake);
	}
	atomic_store(&self->parked_at, 0);
	player_resume();
}
