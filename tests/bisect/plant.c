/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plant FILE EVENTS - a tape of four threads and about so many events, with resizes, page faults and blocks that pass between threads;
 * somewhere in it a block of 7777 bytes is asked for while one of 3333 lives, and far from there each of them alone.
 */
#include "replay/tape_maker.h"

static void noise(struct maker *m, uint64_t nr_calls)
{
	while (m->nr_calls < nr_calls) {
		uint32_t tid = MAKER_PID + (uint32_t)maker_below(m, 4);

		maker_step(m, tid, 2000, 26);
		if (m->nr_calls % 50 == 0)
			maker_event(m, (struct tape_event){ .kind = TAPE_FAULT, .tid = tid, .addr = m->objects[0].addr });
	}
}

/* Its place in the list of live objects, as long as nothing else is made or freed. */
static void alone(struct maker *m, uint64_t size)
{
	maker_birth(m, MAKER_PID, TAPE_MALLOC, size, 0);
	maker_free(m, MAKER_PID, m->nr - 1);
}

int main(int argc, char **argv)
{
	uint64_t nr = argc == 3 ? strtoull(argv[2], NULL, 0) : 0, at;
	struct maker m;

	if (!nr)
		return 2;
	maker_open(&m, argv[1], 7, 2);
	for (uint32_t i = 1; i < 4; i++)
		maker_thread_start(&m, MAKER_PID + i);
	noise(&m, nr / 5);
	alone(&m, 7777);
	noise(&m, nr / 2);
	/* Nothing frees it in between: it is no object of the maker's list meanwhile. */
	at = maker_birth(&m, MAKER_PID + 2, TAPE_MALLOC, 3333, 0);
	m.nr--;
	noise(&m, nr * 3 / 5);
	maker_birth(&m, MAKER_PID + 1, TAPE_MALLOC, 7777, 0);
	maker_event(&m, (struct tape_event){ .kind = TAPE_FREE, .tid = MAKER_PID + 3, .addr = at });
	noise(&m, nr * 4 / 5);
	alone(&m, 3333);
	noise(&m, nr);
	maker_close(&m);
	return 0;
}
