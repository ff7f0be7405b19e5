/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The player: executes a play plan under the allocator that the dynamic linker gave it.
 *
 * Its tables are mapped before any constructor has run (.preinit_array), then it waits, so that the parent can
 * note what is mapped: whatever comes later is the allocator's. Main makes one malloc and free, waits again
 * for the parent's "go", and becomes the recorded program's first thread.
 */
#include "replay/player.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STACK_TOP_NBYTES (16u << 10) /* of each stack, mapped in before the run: thread block and first frames */

struct player player;

_Noreturn void player_fail(const struct run *r, const struct plan_op *op, const struct player_failure *f)
{
	struct control *c = player.control;
	uint32_t none = CONTROL_OK;
	if (atomic_compare_exchange_strong(&c->error, &none, f->error)) {
		c->error_thread = r ? r->index : 0;
		c->error_op = r ? run_op_number(r, op) : 0;
		c->error_kind = op ? op->kind : 0;
		c->error_size = f->size;
		c->error_align = f->align;
		c->error_addr = f->addr;
		c->error_other = f->other;
		c->error_detail = f->detail;
		_exit(CONTROL_EXIT_GAVE_UP);
	}
	/* Another thread is on its way out with its own failure. */
	for (;;)
		pause();
}

static _Noreturn void fail_setup(int err)
{
	player_fail(NULL, NULL, &(struct player_failure){ .error = CONTROL_ERR_SETUP, .detail = err });
}

/* The whole file behind a descriptor; NULL if there is none. populate: no page faults later. */
static void *map_fd(int fd, int prot, bool populate)
{
	struct stat st;
	if (fstat(fd, &st) || !st.st_size)
		return NULL;
	int flags = MAP_SHARED | MAP_NORESERVE | (populate ? MAP_POPULATE : 0);
	void *map = mmap(NULL, (size_t)st.st_size, prot, flags, fd, 0);
	if (map == MAP_FAILED)
		fail_setup(errno);
	return map;
}

static void prepare_stacks(void)
{
	for (uint32_t i = 0; i < player.head->nr_stacks; i++) {
		char *top = player.stacks + (i + 1ull) * CONTROL_STACK_NBYTES - STACK_TOP_NBYTES;
		if (madvise(top, STACK_TOP_NBYTES, MADV_POPULATE_WRITE)) { /* before Linux 5.14 */
			for (char *at = top; at < top + STACK_TOP_NBYTES; at += PLAN_PAGE)
				*(volatile char *)at = 0;
		}
	}
}

static void wait_for_stage(uint32_t reached, uint32_t awaited)
{
	_Atomic uint32_t *stage = &player.control->stage;
	atomic_store(stage, reached);
	player_futex_wake(stage);
	for (uint32_t now; (now = atomic_load(stage)) < awaited;)
		player_futex_wait(stage, now);
}

static void map_tables(struct control *c)
{
	const int rw = PROT_READ | PROT_WRITE;
	player.plan = map_fd(CONTROL_FD_PLAN, PROT_READ, false);
	if (!player.plan)
		fail_setup(EINVAL);
	player.head = (const struct plan_header *)player.plan;
	player.rows = (const struct plan_thread *)((const char *)player.plan + player.head->threads_at);
	player.threads = (struct control_thread *)((char *)c + c->threads_at);
	player.windows_left = (_Atomic uint32_t *)((char *)c + c->windows_left_at);
	player.hists = c->flags & CONTROL_LATENCY ? (uint64_t *)((char *)c + c->hists_at) : NULL;
	player.slots = map_fd(CONTROL_FD_SLOTS, rw, true);
	player.stacks = map_fd(CONTROL_FD_STACKS, rw, false);
	if (c->flags & CONTROL_USABLE) {
		player.usable = map_fd(CONTROL_FD_USABLE, rw, true);
		player.marks_dir = map_fd(CONTROL_FD_MARKS_DIR, rw, false);
		player.marks = map_fd(CONTROL_FD_MARKS, rw, false);
	}
	if (c->flags & CONTROL_VERIFY) {
		player.shadow_dir = map_fd(CONTROL_FD_SHADOW_DIR, rw, false);
		player.shadow = map_fd(CONTROL_FD_SHADOW, rw, false);
	}
	prepare_stacks();
}

static void set_up(int argc, char **argv, char **envp)
{
	(void)argc, (void)argv, (void)envp;
	struct stat st;
	if (fstat(CONTROL_FD, &st) || (size_t)st.st_size < sizeof(struct control))
		return; /* started by hand: main says so */
	struct control *c = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
				 CONTROL_FD, 0);
	if (c == MAP_FAILED || c->magic != CONTROL_MAGIC)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* nobody measures an orphan */
	player.control = c;
	map_tables(c);
	for (int fd = CONTROL_FD; fd < CONTROL_FD_END; fd++)
		close(fd);
	wait_for_stage(CONTROL_SETUP, CONTROL_GO_INIT);
}

/* Runs before any constructor, the allocator's own included. */
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **, char **) = set_up;

static void initialise_allocator(void)
{
	void *volatile block = malloc(1);
	free(block);
}

static uint64_t voluntary_switches(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)usage.ru_nvcsw;
}

/* Between two readings lies the time of one. */
static uint64_t cost_of_ticks(void)
{
	enum { READINGS = 1000 };
	uint64_t begin = player_ticks(), end = begin;
	for (int i = 0; i < READINGS; i++)
		end = player_ticks();
	return (end - begin) / READINGS;
}

int main(void)
{
	struct control *c = player.control;
	if (!c) {
		fputs("heaptape-player is started by heaptape replay, not by hand\n", stderr);
		return 2;
	}
	initialise_allocator();
	player_calls_resolve();
	player_steer_resolve();
	struct control_thread *self = &player.threads[0];
	atomic_store(&self->ktid, (int32_t)getpid());
	atomic_store(&self->state, CONTROL_THREAD_RUNS);
	wait_for_stage(CONTROL_READY, CONTROL_GO_RUN);
	player_resume();
	atomic_store(&c->run_start_ns, atomic_load(&c->resume_ns));
	c->ticks_cost = cost_of_ticks();
	uint64_t switches_before = voluntary_switches();
	c->ticks_start_ns = player_now_ns();
	c->ticks_start = player_ticks();
	player_run(0);
	/* Nothing recorded for the first thread, or its part is over: the parent ends the replay. */
	for (uint32_t wake; (wake = atomic_load(&self->wake)), atomic_load(&c->released) < player.head->nr_checkpoints;)
		player_futex_wait(&self->wake, wake);
	c->ticks_end = player_ticks();
	c->ticks_end_ns = player_now_ns();
	c->nr_switches = voluntary_switches() - switches_before;
	return 0;
}
