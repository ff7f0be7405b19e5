/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_tape.c - bytes an event, and events a second written, read, applied to the live set and dumped.
 *
 *   bench_tape [EVENTS]       on a stream like that of a key-value server under load, made up here
 *   bench_tape --tape FILE    on the events of a real tape
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "analyze/summary.h"
#include "formats/heap.h"
#include "report/lines.h"
#include "bench/stream.h"

#define RUNS 3 /* the best counts: the machine is shared */

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct tape_event *load_tape(const char *path, size_t *nr_ret)
{
	struct tape_reader *r;
	struct tape_event *evs = NULL;
	const struct tape_event *block;
	size_t nr = 0;
	long got;

	if (tape_reader_open(path, NULL, &r)) {
		fprintf(stderr, "%s: %s\n", path, tape_reader_error(NULL));
		exit(1);
	}
	while ((got = tape_reader_next_block(r, &block)) > 0) {
		evs = reallocarray(evs, nr + (size_t)got, sizeof(*evs));
		memcpy(evs + nr, block, (size_t)got * sizeof(*evs));
		nr += (size_t)got;
	}
	tape_reader_close(r);
	*nr_ret = nr;
	return evs;
}

static double bench_write(const char *path, const struct tape_event *evs, size_t nr, uint64_t *nbytes_ret)
{
	struct tape_writer_opts opts = { .overwrite = true };
	struct tape_writer *w;
	double start = seconds();

	if (tape_writer_open(path, &opts, &w))
		exit(1);
	for (size_t i = 0; i < nr; i++)
		tape_writer_add(w, &evs[i]);
	tape_writer_flush(w);
	*nbytes_ret = tape_writer_bytes(w);
	if (tape_writer_close(w))
		exit(1);
	return seconds() - start;
}

static double bench_read(const char *path, size_t want)
{
	struct tape_reader *r;
	const struct tape_event *evs;
	size_t nr = 0;
	double start = seconds();
	long got;

	if (tape_reader_open(path, NULL, &r))
		exit(1);
	while ((got = tape_reader_next_block(r, &evs)) > 0)
		nr += (size_t)got;
	tape_reader_close(r);
	if (nr != want)
		exit(1);
	return seconds() - start;
}

static double bench_heap(const struct tape_event *evs, size_t nr)
{
	struct heap *h = heap_new();
	double start = seconds();

	for (size_t i = 0; i < nr; i++)
		heap_apply(h, &evs[i], NULL);
	start = seconds() - start;
	heap_free(h);
	return start;
}

static double bench_dump(const struct tape_event *evs, size_t nr)
{
	struct lines l;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	double start = seconds();

	if (fd < 0 || lines_open(&l, LINES_NDJSON, fd, NULL))
		exit(1);
	for (size_t i = 0; i < nr; i++)
		lines_put(&l, &evs[i]);
	lines_flush(&l);
	lines_close(&l);
	close(fd);
	return seconds() - start;
}

int main(int argc, char **argv)
{
	size_t nr = argc == 2 ? strtoull(argv[1], NULL, 10) : 4000000;
	struct tape_event *evs = argc == 3 ? load_tape(argv[2], &nr) : make_stream(nr);
	double best[4] = { 1e9, 1e9, 1e9, 1e9 };
	static const char *const names[] = { "write", "read", "heap", "dump" };
	const char *path = temp_tape();
	uint64_t nbytes = 0;

	if (!evs || !nr)
		return 1;
	for (unsigned run = 0; run < RUNS; run++) {
		double took[4] = { bench_write(path, evs, nr, &nbytes), bench_read(path, nr), bench_heap(evs, nr),
				   bench_dump(evs, nr) };

		for (unsigned i = 0; i < 4; i++)
			if (took[i] < best[i])
				best[i] = took[i];
	}
	unlink(path);
	printf("events %zu, %.3f bytes an event\n", nr, (double)nbytes / (double)nr);
	for (unsigned i = 0; i < 4; i++)
		printf("%-5s %6.1f M events/s\n", names[i], (double)nr / best[i] / 1e6);
	free(evs);
	return 0;
}
