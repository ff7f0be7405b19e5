/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_plan.c - libFuzzer target: any events as a tape, compiled into a play plan, and that played without threads in
 * schedules that its waits allow (tests/unit/plan_sim.h).
 *
 *   fuzz_plan -max_total_time=60 CORPUS_DIR tests/fuzz/seeds
 *
 * Byte 0 chooses order, touching and placement; from byte 1 on EVENT_NBYTES make an event, of few threads and addresses so
 * that they meet. Whatever a tape says, the plan must be sound or be refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "formats/tape.h"
#include "tests/unit/plan_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

enum {
	EVENT_NBYTES = 6,
	EVENTS_MAX = 4000,
	THREADS_NR = 8,
	ADDRS_NR = 64,
	CHECKPOINTS_NR = 7,
	SCHEDULES_NR = 2,
};

static const uint8_t kinds[] = {
	TAPE_MALLOC, TAPE_CALLOC, TAPE_REALLOC, TAPE_POSIX_MEMALIGN, TAPE_ALIGNED_ALLOC, TAPE_MEMALIGN, TAPE_VALLOC, TAPE_PVALLOC, TAPE_NEW,
	TAPE_FREE, TAPE_FREE, TAPE_FREE, TAPE_DELETE, TAPE_SDALLOCX, TAPE_GIVE_UP, TAPE_MMAP, TAPE_MUNMAP, TAPE_MREMAP, TAPE_BRK,
	TAPE_MADVISE, TAPE_THREAD_START, TAPE_THREAD_NAME, TAPE_THREAD_EXIT, TAPE_FAULT, TAPE_RSS, TAPE_EXEC, TAPE_STEER, TAPE_LOST,
	TAPE_COUNTER, TAPE_SUSPEND, TAPE_SPAN, TAPE_SPAN_FREE, TAPE_FIGURE, 99,
};

static uint64_t addr_of(uint8_t b)
{
	return b % 16 == 15 ? 0 : 0x7f0000000000u + (b % ADDRS_NR) * 4096u;
}

/* Time passes by steps that differ much, flags come rarely. */
static struct tape_event event_of(const uint8_t *b, uint64_t *ns)
{
	struct tape_event ev = { .kind = kinds[b[0] % sizeof(kinds)], .tid = 100 + b[1] % THREADS_NR, .cpu = b[1] >> 4,
				 .addr = addr_of(b[2]), .size = (uint64_t)(b[3] & 31) << (b[3] >> 5) * 3 };

	*ns += 1000ull << b[4] % 16;
	ev.ns = *ns;
	if (ev.kind == TAPE_REALLOC || ev.kind == TAPE_MREMAP || ev.kind == TAPE_BRK)
		ev.old = addr_of(b[5]);
	else if (tape_kind_is_alloc(ev.kind) && b[5] & 1)
		ev.align = 1ull << b[5] % 20;
	else if (!tape_kind_is_alloc(ev.kind))
		ev.arg = b[5];
	if (b[4] >> 4 == 15)
		ev.flags = b[5];
	ev.alloc = b[5] >> 6;
	return ev;
}

static void write_tape(const char *path, const uint8_t *data, size_t nbytes)
{
	struct tape_writer_opts opts = { .overwrite = true };
	struct tape_writer *w;
	uint64_t ns = 0;

	if (tape_writer_open(path, &opts, &w) || tape_writer_meta(w, "target.pid", "100"))
		abort();
	for (size_t i = 0; i < EVENTS_MAX && (i + 1) * EVENT_NBYTES <= nbytes; i++) {
		struct tape_event ev = event_of(data + i * EVENT_NBYTES, &ns);

		ev.flags &= (uint8_t)~TAPE_KEPT; /* the reader's own */
		if (tape_writer_add(w, &ev))
			abort();
	}
	if (tape_writer_close(w))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
	static char path[64];
	static int fd = -1;
	struct plan_opts opts = { .nr_checkpoints = CHECKPOINTS_NR };
	struct tape_reader *r;
	struct plan plan;
	int err;

	if (!nbytes)
		return 0;
	if (fd < 0) {
		fd = memfd_create("tape", MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	opts.order = data[0] & 1 ? PLAN_ORDER_STRICT : PLAN_ORDER_DEPS;
	opts.touch = (enum plan_touch)(data[0] >> 1 & 3);
	opts.placement = (enum plan_placement)((data[0] >> 3) % 3);
	write_tape(path, data + 1, nbytes - 1);
	if (tape_reader_open(path, NULL, &r))
		abort();
	err = plan_build(r, &opts, &plan);
	if (err && err != -ENODATA) {
		fprintf(stderr, "refused: %s\n", strerror(-err));
		abort();
	}
	for (uint64_t seed = 0; !err && seed < SCHEDULES_NR; seed++)
		sim_run(&plan, seed);
	if (check_nr_failed)
		abort();
	plan_free(&plan);
	tape_reader_close(r);
	return 0;
}
