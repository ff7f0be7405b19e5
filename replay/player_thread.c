/* SPDX-License-Identifier: BSD-2-Clause */
/* The player's threads: one for each recorded one, on stacks in a shared mapping. */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "replay/player.h"

_Static_assert(sizeof(pthread_t) <= sizeof(uint64_t), "a pthread_t fits into the table");

static void *thread_main(void *arg)
{
	uint32_t index = (uint32_t)(uintptr_t)arg;
	struct control_thread *self = &player.threads[index];
	atomic_store(&self->ktid, (int32_t)syscall(SYS_gettid));
	atomic_store(&self->state, CONTROL_THREAD_RUNS);
	if (player.rows[index].name[0])
		prctl(PR_SET_NAME, player.rows[index].name, 0, 0, 0);
	player_run(index);
	/* No exit on the tape: it lives until the process ends. */
	while (atomic_load(&self->state) == CONTROL_THREAD_RUNS)
		player_futex_wait(&self->state, CONTROL_THREAD_RUNS);
	return NULL;
}

/* Waits for all that the allocator does at the thread's exit, and frees the thread library's own block. */
void player_thread_join(uint32_t index)
{
	struct control_thread *t = &player.threads[index];
	pthread_join((pthread_t)t->pthread, NULL);
	atomic_store(&t->state, CONTROL_THREAD_JOINED);
}

void player_thread_start(const struct run *r, const struct plan_op *op)
{
	const struct plan_thread *row = &player.rows[op->slot];
	struct control_thread *t = &player.threads[op->slot];
	if (row->before != UINT32_MAX)
		player_thread_join(row->before);
	char *stack = player.stacks + (uint64_t)row->stack_slot * CONTROL_STACK_NBYTES;
	pthread_attr_t attr;
	pthread_t thread;
	pthread_attr_init(&attr);
	int err = pthread_attr_setstack(&attr, stack, CONTROL_STACK_NBYTES);
	if (!err)
		err = pthread_create(&thread, &attr, thread_main, (void *)(uintptr_t)op->slot);
	pthread_attr_destroy(&attr);
	if (err)
		player_fail(r, op, &(struct player_failure){ .error = CONTROL_ERR_THREAD, .detail = err });
	t->pthread = (uint64_t)thread;
}
