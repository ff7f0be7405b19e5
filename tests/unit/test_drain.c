/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_drain.c - rings in, one stream in the order of time out. Needs rights for BPF: the rings are the kernel's, filled
 * by a program of a few instructions that is run by hand.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "check.h"
#include "random_tape.h"
#include "record/drain.h"

enum { RINGS = 3, RING_NBYTES = 1 << 16 };

/* A record of the tests: the head, and a number to know it by. */
struct record {
	struct ht_ev_head h;
	uint64_t id;
};

/* What the program gets: the record, and an address it reads between reserve and submit (a bad one does no harm). */
struct context {
	struct record record;
	uint64_t wait_at;
};

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })
#define MOV(d, s) INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define MOV_IMM(d, i) INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD_IMM(d, i) INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LOAD(d, s, o) INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define STORE(d, s, o) INSN(BPF_STX | BPF_MEM | BPF_DW, d, s, o, 0)
#define CALL(f) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_##f)
#define EXIT_INSN INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define MAP_FD(d, fd) INSN(BPF_LD | BPF_DW | BPF_IMM, d, BPF_PSEUDO_MAP_FD, 0, fd), INSN(0, 0, 0, 0, 0)

/* Reserves a record, reads from wait_at, fills and submits it. */
static int producer_load(int ring_fd)
{
	const struct bpf_insn insns[] = {
		MOV(BPF_REG_6, BPF_REG_1),
		MAP_FD(BPF_REG_1, ring_fd),
		MOV_IMM(BPF_REG_2, sizeof(struct record)),
		MOV_IMM(BPF_REG_3, 0),
		CALL(ringbuf_reserve),
		INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 2, 0),
		MOV_IMM(BPF_REG_0, 1), /* no room */
		EXIT_INSN,
		MOV(BPF_REG_7, BPF_REG_0),
		MOV(BPF_REG_1, BPF_REG_10),
		ADD_IMM(BPF_REG_1, -8),
		MOV_IMM(BPF_REG_2, 8),
		LOAD(BPF_REG_3, BPF_REG_6, offsetof(struct context, wait_at)),
		CALL(copy_from_user),
		LOAD(BPF_REG_1, BPF_REG_6, 0),
		STORE(BPF_REG_7, BPF_REG_1, 0),
		LOAD(BPF_REG_1, BPF_REG_6, 8),
		STORE(BPF_REG_7, BPF_REG_1, 8),
		LOAD(BPF_REG_1, BPF_REG_6, 16),
		STORE(BPF_REG_7, BPF_REG_1, 16),
		MOV(BPF_REG_1, BPF_REG_7),
		MOV_IMM(BPF_REG_2, 0),
		CALL(ringbuf_submit),
		MOV_IMM(BPF_REG_0, 0),
		EXIT_INSN,
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .prog_flags = BPF_F_SLEEPABLE);

	return bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "produce", "GPL", insns, sizeof(insns) / sizeof(insns[0]), &opts);
}

struct rig {
	int rings[RINGS], programs[RINGS];
	struct drain *drain;
};

static void rig_close(struct rig *rig)
{
	drain_free(rig->drain);
	for (int i = 0; i < RINGS; i++) {
		if (rig->rings[i] >= 0)
			close(rig->rings[i]);
		if (rig->programs[i] >= 0)
			close(rig->programs[i]);
	}
}

static int rig_open(struct rig *rig)
{
	int err = 0;

	rig->drain = NULL;
	for (int i = 0; i < RINGS; i++) {
		rig->rings[i] = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "ring", 0, 0, RING_NBYTES, NULL);
		rig->programs[i] = rig->rings[i] < 0 ? -1 : producer_load(rig->rings[i]);
		if (rig->programs[i] < 0 && !err)
			err = -errno;
	}
	if (!err)
		err = drain_new(rig->rings, RINGS, &rig->drain);
	if (err)
		rig_close(rig);
	return err;
}

static bool produce_waiting(const struct rig *rig, int ring, uint64_t ts, uint64_t id, const void *wait_at)
{
	struct context context = { .record = { .h = { .type = HT_EV_FREE, .ts = ts }, .id = id },
				   .wait_at = (uint64_t)(uintptr_t)wait_at };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &context, .ctx_size_in = sizeof(context));

	return !bpf_prog_test_run_opts(rig->programs[ring], &opts) && !opts.retval;
}

static bool produce(const struct rig *rig, int ring, uint64_t ts, uint64_t id)
{
	return produce_waiting(rig, ring, ts, id, NULL);
}

static void collect(struct rig *rig, uint64_t now_ns, size_t want_nbytes)
{
	size_t nbytes;

	CHECK_EQ(drain_collect(rig->drain, now_ns, &nbytes), 0);
	CHECK_EQ(nbytes, want_nbytes);
}

/* 0: nothing is handed out. */
static uint64_t next_id(struct rig *rig, unsigned *cpu_ret)
{
	const struct ht_ev_head *h = drain_next(rig->drain, cpu_ret);

	return h ? ((const struct record *)(const void *)h)->id : 0;
}

enum { IN_RING = sizeof(struct record) + 8 }; /* the kernel's head of a record */

static void test_order_over_rings_and_horizon(void)
{
	struct rig rig;
	unsigned cpu;

	CHECK_EQ(rig_open(&rig), 0);
	CHECK(produce(&rig, 0, 100, 1));
	CHECK(produce(&rig, 2, 50, 2));
	CHECK(produce(&rig, 1, 75, 3));
	CHECK(produce(&rig, 0, 90, 4)); /* out of order within its ring: its program was preempted */
	CHECK(produce(&rig, 1, 101, 5));
	CHECK(produce(&rig, 1, 200, 6));
	CHECK(!next_id(&rig, &cpu)); /* nothing was collected yet */
	collect(&rig, 100, 6 * IN_RING);
	CHECK_EQ(next_id(&rig, &cpu), 2);
	CHECK_EQ(cpu, 2);
	CHECK_EQ(next_id(&rig, &cpu), 3);
	CHECK_EQ(cpu, 1);
	CHECK_EQ(next_id(&rig, &cpu), 4);
	CHECK_EQ(next_id(&rig, &cpu), 1);
	CHECK_EQ(cpu, 0);
	CHECK_EQ(next_id(&rig, &cpu), 0); /* 101 lies beyond the horizon: an earlier one may still come */
	CHECK(produce(&rig, 0, 100, 7));
	collect(&rig, 150, IN_RING);
	CHECK_EQ(next_id(&rig, &cpu), 7);
	CHECK_EQ(next_id(&rig, &cpu), 5);
	CHECK_EQ(next_id(&rig, &cpu), 0);
	drain_finish(rig.drain);
	CHECK_EQ(next_id(&rig, &cpu), 6);
	CHECK_EQ(next_id(&rig, &cpu), 0);
	rig_close(&rig);
}

static void test_own_records_are_merged(void)
{
	struct record own = { .h = { .ts = 60 }, .id = 9 };
	struct rig rig;
	unsigned cpu;

	CHECK_EQ(rig_open(&rig), 0);
	CHECK(produce(&rig, 0, 50, 1));
	CHECK(produce(&rig, 0, 70, 2));
	CHECK(produce(&rig, 1, 60, 3));
	collect(&rig, 100, 3 * IN_RING);
	CHECK_EQ(drain_insert(rig.drain, &own.h, sizeof(own)), 0);
	CHECK_EQ(next_id(&rig, &cpu), 1);
	CHECK_EQ(next_id(&rig, &cpu), 3);
	CHECK_EQ(next_id(&rig, &cpu), 9);
	CHECK_EQ(cpu, RINGS);
	CHECK_EQ(next_id(&rig, &cpu), 2);
	rig_close(&rig);
}

static void test_full_ring(void)
{
	struct rig rig;
	uint64_t made = 0, seen = 0;
	unsigned cpu;

	CHECK_EQ(rig_open(&rig), 0);
	CHECK(drain_fill(rig.drain) == 0);
	while (made < RING_NBYTES && produce(&rig, 1, made + 1, made + 1))
		made++;
	CHECK_EQ(made, RING_NBYTES / IN_RING - (RING_NBYTES % IN_RING == 0));
	CHECK(drain_fill(rig.drain) > 0.99);
	collect(&rig, made, made * IN_RING);
	CHECK(drain_fill(rig.drain) == 0);
	while (next_id(&rig, &cpu) == seen + 1)
		seen++;
	CHECK_EQ(seen, made);
	CHECK(produce(&rig, 1, made + 1, made + 1)); /* there is room again */
	rig_close(&rig);
}

/* ---- a record reserved but not submitted: its program sleeps on a page that the test withholds ---- */

struct sleeper {
	struct rig *rig;
	void *page;
	bool done;
};

static void *sleeper_run(void *arg)
{
	struct sleeper *s = arg;

	s->done = produce_waiting(s->rig, 0, 50, 1, s->page);
	return NULL;
}

/* A page whose first reader waits until uffd gives it. -1: this kernel gives no such thing. */
static int page_withheld(void **page_ret)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .range.len = 4096, .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	*page_ret = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	range.range.start = (uint64_t)(uintptr_t)*page_ret;
	if (fd >= 0 && !ioctl(fd, UFFDIO_API, &api) && !ioctl(fd, UFFDIO_REGISTER, &range))
		return fd;
	if (fd >= 0)
		close(fd);
	munmap(*page_ret, 4096);
	return -1;
}

static void test_unsubmitted_record_holds_back_all_behind_it(void)
{
	struct pollfd pfd = { .events = POLLIN };
	struct uffdio_zeropage give = { .range.len = 4096 };
	struct sleeper s = { 0 };
	struct rig rig;
	unsigned cpu;
	pthread_t tid;

	pfd.fd = page_withheld(&s.page);
	if (pfd.fd < 0) {
		printf("SKIP unsubmitted record: userfaultfd: %s\n", strerror(errno));
		return;
	}
	CHECK_EQ(rig_open(&rig), 0);
	s.rig = &rig;
	CHECK_EQ(pthread_create(&tid, NULL, sleeper_run, &s), 0);
	CHECK_EQ(poll(&pfd, 1, -1), 1); /* the record is reserved, its program sleeps */
	CHECK(produce(&rig, 0, 60, 2)); /* behind it in the same ring */
	CHECK(produce(&rig, 1, 70, 3));
	collect(&rig, 100, IN_RING);
	CHECK_EQ(next_id(&rig, &cpu), 0); /* 3 is here, but 1 and 2 are not */
	give.range.start = (uint64_t)(uintptr_t)s.page;
	CHECK_EQ(ioctl(pfd.fd, UFFDIO_ZEROPAGE, &give), 0);
	CHECK_EQ(pthread_join(tid, NULL), 0);
	CHECK(s.done);
	collect(&rig, 200, 2 * IN_RING);
	CHECK_EQ(next_id(&rig, &cpu), 1);
	CHECK_EQ(next_id(&rig, &cpu), 2);
	CHECK_EQ(next_id(&rig, &cpu), 3);
	close(pfd.fd);
	munmap(s.page, 4096);
	rig_close(&rig);
}

/* Many records, at random times, in random rings, collected at random moments: none lost, none early, all in order. */
static void test_random_order(void)
{
	enum { NR = 20000 };
	struct rng rng = rng_seeded("drain");
	uint64_t now = 1000, last_ts = 0, horizon = 0, nr_out = 0, sum = 0;
	struct rig rig;

	CHECK_EQ(rig_open(&rig), 0);
	for (uint64_t id = 1; id <= NR; id++) {
		int ring = (int)rng_below(&rng, RINGS);
		/* Anything after the last horizon may still come. */
		uint64_t ts = horizon + 1 + rng_below(&rng, now - horizon);
		const struct ht_ev_head *h;
		size_t nbytes;
		unsigned cpu;

		CHECK(produce(&rig, ring, ts, id));
		now += rng_below(&rng, 5);
		if (rng_below(&rng, 300) && id != NR)
			continue;
		horizon = now - rng_below(&rng, 3);
		CHECK_EQ(drain_collect(rig.drain, horizon, &nbytes), 0);
		if (id == NR)
			drain_finish(rig.drain);
		while ((h = drain_next(rig.drain, &cpu))) {
			CHECK(h->ts >= last_ts);
			CHECK(h->ts <= horizon || id == NR);
			last_ts = h->ts;
			sum += ((const struct record *)(const void *)h)->id;
			nr_out++;
		}
		now++;
	}
	CHECK_EQ(nr_out, NR);
	CHECK_EQ(sum, (uint64_t)NR * (NR + 1) / 2);
	rig_close(&rig);
}

int main(void)
{
	struct rig rig;
	int err = rig_open(&rig);

	if (err == -EPERM || err == -EACCES) {
		printf("SKIP no right to make BPF rings (%s): run as root\n", strerror(-err));
		return 0;
	}
	CHECK_EQ(err, 0);
	if (err)
		return check_done();
	rig_close(&rig);
	test_order_over_rings_and_horizon();
	test_own_records_are_merged();
	test_full_ring();
	test_unsubmitted_record_holds_back_all_behind_it();
	test_random_order();
	return check_done();
}
