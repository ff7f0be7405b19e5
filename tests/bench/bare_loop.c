/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The least that any player of a plan has to do, for tests/bench/replay.sh: reads a one-thread plan's operations
 * from the same array and makes its calls, without clock, windows, checkpoints or tables of results.
 *   bare_loop TAPE    prints ns an event of playing (0 where there are several threads) and of planning;
 *                     run it with LD_PRELOAD to change the allocator
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "replay/plan.h"

static double now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void *make(const struct plan_op *op)
{
	void *block = op->kind == PLAN_CALLOC ? calloc(1, op->arg) : malloc(op->arg);
	if (block && op->flags & PLAN_TOUCH_WHOLE)
		memset(block, 0x5a, op->arg);
	return block;
}

static uint64_t play(const struct plan_op *ops, uint32_t pos, void **slots)
{
	uint64_t nr_calls = 0;
	for (const struct plan_op *op = ops + pos; op->kind != PLAN_END; op++) {
		switch (op->kind) {
		case PLAN_MALLOC:
		case PLAN_CALLOC: slots[op->slot] = make(op); break;
		case PLAN_REALLOC: slots[op->slot] = realloc(slots[op->slot], op->arg); break;
		case PLAN_FREE: free(slots[op->slot]); break;
		case PLAN_JUMP: op = ops + op->arg - 1; continue;
		default: continue;
		}
		nr_calls++;
	}
	return nr_calls;
}

int main(int argc, char **argv)
{
	struct tape_reader *r;
	struct plan plan;
	struct plan_opts opts = { 0 };
	double begin = now_ns();
	if (argc != 2 || tape_reader_open(argv[1], NULL, &r) || plan_build(r, &opts, &plan)) {
		fprintf(stderr, "usage: bare_loop TAPE\n");
		return 2;
	}
	double planned = (now_ns() - begin) / (double)plan.facts.nr_planned;
	if (plan.head.nr_threads > 1) {
		printf("0 %.1f\n", planned);
		return 0;
	}
	const struct plan_op *ops = mmap(NULL, plan.head.file_nbytes, PROT_READ, MAP_SHARED | MAP_POPULATE, plan.fd, 0);
	void **slots = mmap(NULL, (plan.head.nr_slots + 1ull) * sizeof(void *), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ops == MAP_FAILED || slots == MAP_FAILED)
		return 1;
	begin = now_ns();
	uint64_t nr_calls = play(ops, plan.threads[0].first_pos, slots);
	printf("%.2f %.1f\n", (now_ns() - begin) / (double)nr_calls, planned);
	return 0;
}
