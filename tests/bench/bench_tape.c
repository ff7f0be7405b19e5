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
#include "unit/random_tape.h"

#define CLASSES_NR 9
#define KEYS_NR 200000
#define RUNS 3 /* the best counts: the machine is shared */

/* An allocator as simple as its prediction is hard: a free list for each class, then fresh memory. */
struct toy {
	uint64_t *freed[CLASSES_NR];
	size_t nr_freed[CLASSES_NR];
	uint64_t next;
};

struct stream {
	struct rng rng;
	struct toy toy;
	uint64_t keys[KEYS_NR]; /* address << 4 | class of each key's value, 0 if it has none */
	struct tape_event *evs;
	size_t nr, max;
	uint64_t ns;
};

static const uint64_t class_sizes[CLASSES_NR] = { 8, 16, 24, 48, 64, 96, 320, 1024, 16384 };

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void add(struct stream *s, uint8_t kind, uint64_t addr, uint64_t size, uint32_t stack)
{
	if (s->nr == s->max)
		return;
	s->ns += 1200 + rng_below(&s->rng, 1500);
	if (!rng_below(&s->rng, 60))
		s->ns += rng_below(&s->rng, 60000);
	s->evs[s->nr++] = (struct tape_event){ .ns = s->ns, .kind = kind, .addr = addr, .size = size, .tid = 4711,
					       .cpu = s->nr / 100000 % 2, .stack = stack };
}

static uint64_t get(struct stream *s, unsigned class, uint32_t stack)
{
	struct toy *t = &s->toy;
	uint64_t addr;

	if (t->nr_freed[class]) {
		addr = t->freed[class][--t->nr_freed[class]];
	} else {
		addr = t->next;
		t->next += (class_sizes[class] + 23) & ~15ull;
	}
	add(s, TAPE_MALLOC, addr, class_sizes[class] - rng_below(&s->rng, 3) * (class > 2), stack);
	return addr;
}

static void put(struct stream *s, unsigned class, uint64_t addr)
{
	struct toy *t = &s->toy;

	add(s, TAPE_FREE, addr, 0, 0);
	if (t->nr_freed[class] % 1024 == 0)
		t->freed[class] = realloc(t->freed[class], (t->nr_freed[class] + 1024) * sizeof(uint64_t));
	t->freed[class][t->nr_freed[class]++] = addr;
}

/* One command: its arguments are read, looked at and let go; SET keeps one and lets the old value go. */
static void command(struct stream *s)
{
	uint64_t key = rng_below(&s->rng, KEYS_NR), query = get(s, 8, 1), arg[4];
	bool set = rng_below(&s->rng, 2);
	unsigned nr = set ? 3 : 2;

	for (unsigned i = 0; i < nr; i++)
		arg[i] = get(s, i == 2 ? 6 : 3, 2 + i);
	if (set) {
		if (s->keys[key])
			put(s, 6, s->keys[key]);
		s->keys[key] = arg[2];
		nr--;
	} else {
		uint64_t reply = get(s, 7, 9);

		put(s, 7, reply);
	}
	while (nr)
		put(s, 3, arg[--nr]);
	put(s, 8, query);
}

static struct tape_event *make_stream(size_t nr)
{
	static struct stream s;

	s.rng.state = 1;
	s.toy.next = 0x7f0000000010;
	s.evs = calloc(nr, sizeof(*s.evs));
	s.max = nr;
	while (s.evs && s.nr < nr)
		command(&s);
	for (unsigned i = 0; i < CLASSES_NR; i++)
		free(s.toy.freed[i]);
	return s.evs;
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
