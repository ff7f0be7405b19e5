/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_large_tape FILE NBYTES: a tape of at least so many bytes, of random calls, for measuring its readers. */
#include <stdio.h>
#include <stdlib.h>

#include "unit/random_tape.h"

int main(int argc, char **argv)
{
	uint64_t nbytes = argc == 3 ? strtoull(argv[2], NULL, 10) : 0, nr = 0;
	struct tape_event ev = { .tid = 1 };
	struct rng rng = { 1 };
	struct tape_writer *w;

	if (!nbytes || tape_writer_open(argv[1], NULL, &w))
		return 1;
	while (tape_writer_bytes(w) < nbytes) {
		uint64_t bits = rng_u64(&rng);

		ev.kind = bits & 1 ? TAPE_MALLOC : TAPE_FREE;
		ev.addr = 0x7f0000000000u + (bits >> 1 & 0xffffff) * 16;
		ev.size = ev.kind == TAPE_MALLOC ? bits >> 50 : 0;
		ev.ns += bits >> 32 & 0xfff;
		if (tape_writer_add(w, &ev))
			return 1;
		nr++;
	}
	printf("%" PRIu64 " events, %.2f bytes each\n", nr, (double)tape_writer_bytes(w) / (double)nr);
	return tape_writer_close(w) != 0;
}
