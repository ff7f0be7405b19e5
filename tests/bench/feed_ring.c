/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * feed_ring.c - events a second from full rings to the disk, on one core: drain, ledger and writer as a recording has them.
 *
 *   feed_ring FILE [EVENTS]
 *
 * The records are a made-up server's (stream.h), fed into two kernel rings batch by batch; only what empties them is timed, in
 * CPU time, since the machine may be busy. Needs rights for BPF.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sys/resource.h>

#include "bench/feed.skel.h"
#include "bench/stream.h"
#include "record/drain.h"
#include "record/ledger.h"

#define BATCH_NR 50000 /* of 48 bytes at most: a ring of 16 MiB holds some of them */

enum { SITE_MALLOC, SITE_FREE };

static struct ledger_site site(void *arg, unsigned nr)
{
	(void)arg;
	return (struct ledger_site){ .kind = nr == SITE_MALLOC ? TAPE_MALLOC : TAPE_FREE };
}

static uint32_t stack(void *arg, uint32_t id)
{
	(void)arg;
	return id;
}

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct ht_ev_alloc record_of(const struct tape_event *ev)
{
	bool birth = tape_kind_is_alloc(ev->kind);

	return (struct ht_ev_alloc){ .h = { .type = birth ? HT_EV_ALLOC : HT_EV_FREE, .site = birth ? SITE_MALLOC : SITE_FREE,
					    .tid = ev->tid, .ts = ev->ns },
				     .addr = ev->addr, .size = ev->size, .stack = ev->stack };
}

/* The events from `from` on that belong to one CPU, as many as a batch has; the index behind them. */
static size_t feed(int prog_fd, const struct tape_event *evs, size_t from, size_t nr)
{
	static struct ht_ev_alloc records[BATCH_NR];
	struct {
		uint64_t records, nr, ring;
	} ctx = { .records = (uint64_t)(uintptr_t)records, .ring = evs[from].cpu % 2 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	while (ctx.nr < BATCH_NR && from + ctx.nr < nr && evs[from + ctx.nr].cpu == evs[from].cpu) {
		records[ctx.nr] = record_of(&evs[from + ctx.nr]);
		ctx.nr++;
	}
	if (bpf_prog_test_run_opts(prog_fd, &opts) || opts.retval != ctx.nr) {
		fprintf(stderr, "feed_ring: %u of %llu records went into the ring: %s\n", opts.retval, (unsigned long long)ctx.nr,
			strerror(errno));
		exit(1);
	}
	return from + ctx.nr;
}

static int write_stacks(struct tape_writer *w)
{
	struct tape_frame frames[8] = { 0 };
	uint32_t id;
	int err = tape_writer_string(w, "00ff /usr/bin/server", &frames[0].module);

	for (unsigned i = 1; i <= STREAM_STACKS_NR && !err; i++) {
		for (unsigned f = 0; f < 8; f++)
			frames[f] = (struct tape_frame){ frames[0].module, 1000 * i + f };
		err = tape_writer_stack(w, frames, 8, false, &id);
	}
	return err;
}

static int empty(struct drain *d, struct ledger *l, uint64_t now_ns)
{
	const struct ht_ev_head *h;
	unsigned cpu;
	size_t nbytes;
	int err = drain_collect(d, now_ns, &nbytes);

	while (!err && (h = drain_next(d, &cpu)))
		err = ledger_take(l, cpu, h);
	return err;
}

int main(int argc, char **argv)
{
	size_t nr = argc > 2 ? strtoull(argv[2], NULL, 10) : 8000000, done = 0;
	struct tape_event *evs = make_stream(nr);
	struct feed_bpf *skel = feed_bpf__open_and_load();
	struct tape_writer_opts wo = { .overwrite = true };
	struct ledger_opts lo = { .site = site, .stack = stack, .page_size = 4096 };
	struct drain *d = NULL;
	struct ledger *l;
	double took = 0, begin;
	uint64_t nbytes;
	int fds[2], err;

	if (argc < 2 || !evs || !skel) {
		fprintf(stderr, "feed_ring FILE [EVENTS]: %s\n", strerror(errno));
		return 1;
	}
	fds[0] = bpf_map__fd(skel->maps.ring_0);
	fds[1] = bpf_map__fd(skel->maps.ring_1);
	err = tape_writer_open(argv[1], &wo, &lo.writer);
	if (!err)
		err = write_stacks(lo.writer);
	if (!err)
		err = drain_new(fds, 2, &d);
	l = ledger_new(&lo);
	while (!err && l && done < nr) {
		done = feed(bpf_program__fd(skel->progs.feed), evs, done, nr);
		begin = cpu_seconds();
		err = empty(d, l, evs[done - 1].ns);
		took += cpu_seconds() - begin;
	}
	begin = cpu_seconds();
	if (!err)
		err = tape_writer_flush(lo.writer);
	nbytes = err ? 0 : tape_writer_bytes(lo.writer);
	if (!err)
		err = tape_writer_close(lo.writer);
	took += cpu_seconds() - begin;
	if (err || !l) {
		fprintf(stderr, "feed_ring: %s\n", strerror(-err));
		return 1;
	}
	printf("from the rings to the disk: %.1f M events/s on one core (%zu events, %.2f bytes each)\n", (double)nr / took / 1e6, nr,
	       (double)nbytes / (double)nr);
	ledger_free(l);
	drain_free(d);
	feed_bpf__destroy(skel);
	free(evs);
	return 0;
}
