/* SPDX-License-Identifier: BSD-2-Clause */
/* test_run_file.c - a run's result goes from one process to another and is the same there; a damaged one is refused. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "executor/executor.h"
#include "xorshift.h"

static struct plan plan = { .head.nr_checkpoints = 5 };
static struct run_result sent, got;

static void fill(void)
{
	for (size_t i = 0; i < sizeof(sent.hists) / sizeof(uint64_t); i++)
		((uint64_t *)sent.hists)[i] = next_random(UINT64_MAX);
	sent.wall_ns = 123456789;
	sent.peak_resident = 1ull << 40;
	sent.ns_per_tick = 0.25;
	sent.end_split.holes = 77;
	sent.resident = calloc(5, sizeof(*sent.resident));
	sent.end_classes.list = calloc(3, sizeof(*sent.end_classes.list));
	sent.end_classes.nr = 3;
	for (unsigned i = 0; i < 5; i++)
		sent.resident[i] = next_random(UINT64_MAX);
	for (unsigned i = 0; i < 3; i++)
		sent.end_classes.list[i].usable = 16 * i;
	sent.output = strdup("what the allocator printed\n");
	sent.error.kind = "crashed";
	snprintf(sent.error.text, sizeof(sent.error.text), "signal 11");
}

static int written(void)
{
	int fd = memfd_create("run", MFD_CLOEXEC);

	CHECK_EQ(run_file_write(fd, &plan, &sent, -ENOSPC, true), 0);
	return fd;
}

static void test_same(void)
{
	bool unbound = false;
	int fd = written(), err = 0;

	lseek(fd, 0, SEEK_SET);
	CHECK_EQ(run_file_read(fd, &plan, &got, &err, &unbound), 0);
	CHECK_EQ(err, -ENOSPC);
	CHECK(unbound);
	CHECK(!memcmp(got.hists, sent.hists, sizeof(got.hists)));
	CHECK(!memcmp(got.resident, sent.resident, 5 * sizeof(*got.resident)) && got.resident != sent.resident);
	CHECK_EQ(got.end_classes.nr, 3);
	CHECK_EQ(got.end_classes.list[2].usable, 32);
	CHECK(!got.peak_classes.list);
	CHECK(got.peak_resident == sent.peak_resident && got.end_split.holes == 77 && got.ns_per_tick == 0.25);
	CHECK_STR(got.output, sent.output);
	CHECK_STR(got.error.kind, "crashed");
	CHECK_STR(got.error.text, "signal 11");
	run_result_free(&got);
	close(fd);
}

/* Cut off anywhere, or with any bit of its head turned: refused or read, never believed beyond what is there. */
static void test_damaged(void)
{
	int fd = written(), err;
	off_t nbytes = lseek(fd, 0, SEEK_END);
	bool unbound;

	for (off_t cut = nbytes - 1; cut >= 0; cut -= 1 + (off_t)next_random(cut > 400 ? 200 : 1)) {
		CHECK(!ftruncate(fd, cut));
		lseek(fd, 0, SEEK_SET);
		CHECK_EQ(run_file_read(fd, &plan, &got, &err, &unbound), -EBADMSG);
		run_result_free(&got);
	}
	close(fd);
	for (unsigned bit = 0; bit < 8 * 100; bit++) {
		uint8_t byte;

		fd = written();
		CHECK(pread(fd, &byte, 1, bit / 8) == 1);
		byte ^= (uint8_t)(1u << bit % 8);
		CHECK(pwrite(fd, &byte, 1, bit / 8) == 1);
		lseek(fd, 0, SEEK_SET);
		err = run_file_read(fd, &plan, &got, &(int){ 0 }, &unbound);
		CHECK(!err || err == -EBADMSG || err == -ENOMEM);
		run_result_free(&got);
		close(fd);
	}
}

static void test_another_plan(void)
{
	struct plan other = { .head.nr_checkpoints = 6 };
	bool unbound;
	int fd = written(), err;

	lseek(fd, 0, SEEK_SET);
	CHECK_EQ(run_file_read(fd, &other, &got, &err, &unbound), -EBADMSG);
	run_result_free(&got);
	close(fd);
}

int main(void)
{
	fill();
	test_same();
	test_damaged();
	test_another_plan();
	sent.error.kind = NULL; /* static, all else is freed */
	run_result_free(&sent);
	return check_done();
}
