/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * read_tape.c - how another program reads a tape: prints live bytes over time, ten times a second of tape time.
 *
 *   cc read_tape.c -I.. -lheaptape_formats -lzstd -lxxhash -o read_tape && ./read_tape app.tape
 */
#include <inttypes.h>
#include <stdio.h>

#include "formats/heap.h"
#include "formats/tape.h"

#define STEP_NS 100000000

static int print_live(struct tape_reader *tape, struct heap *heap)
{
	uint64_t next_ns = 0;
	struct tape_event ev;
	int got;

	printf("seconds\tlive_bytes\tlive_objects\n");
	while ((got = tape_reader_next(tape, &ev)) == 1) {
		for (; ev.ns >= next_ns; next_ns += STEP_NS)
			printf("%.1f\t%" PRIu64 "\t%" PRIu64 "\n", (double)next_ns / 1e9, heap_live_nbytes(heap),
			       heap_nr_objects(heap));
		got = heap_apply(heap, &ev, NULL);
		if (got < 0)
			break;
	}
	return got;
}

int main(int argc, char **argv)
{
	struct tape_reader *tape = NULL;
	struct heap *heap = heap_new();
	int err = -1;

	if (argc != 2) {
		fprintf(stderr, "usage: read_tape FILE\n");
		heap_free(heap);
		return 2;
	}
	if (tape_reader_open(argv[1], NULL, &tape)) {
		fprintf(stderr, "read_tape: %s: %s\n", argv[1], tape_reader_error(NULL));
	} else if (heap) {
		err = print_live(tape, heap);
		if (err)
			fprintf(stderr, "read_tape: %s: %s\n", argv[1], tape_reader_error(tape));
		else if (!tape_reader_complete(tape))
			fprintf(stderr, "read_tape: %s: the tape has no end; read up to its last whole block\n", argv[1]);
	}
	tape_reader_close(tape);
	heap_free(heap);
	return err ? 1 : 0;
}
