/* SPDX-License-Identifier: BSD-2-Clause */
/* test_custom.c - calls of described allocators, as their records come: paired, nested, raced, lost, in pools. */
#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "runtime/custom.h"

/* What is described: functions of this very program, found in its symbols. */
#define FUNCTION __attribute__((noinline, used)) void
FUNCTION tc_alloc(void) { __asm__(""); }
FUNCTION tc_calloc(void) { __asm__(" nop"); }
FUNCTION tc_realloc(void) { __asm__(" nop; nop"); }
FUNCTION tc_free(void) { __asm__(" nop; nop; nop"); }
FUNCTION tc_pool_new(void) { __asm__(" nop; nop; nop; nop"); }
FUNCTION tc_pool_clear(void) { __asm__(" nop; nop; nop; nop; nop"); }
FUNCTION tc_pool_free(void) { __asm__(" nop; nop; nop; nop; nop; nop"); }

static const char profile[] = "allocator t\n"
			      "alloc tc_alloc(size=arg1,group=arg2)\n"
			      "alloc tc_calloc(size=arg1*arg2)\n"
			      "realloc tc_realloc(old=arg1,size=arg2)\n"
			      "free tc_free(ptr=arg1)\n"
			      "new-group tc_pool_new(parent=arg2)->*arg1\n"
			      "clear-group tc_pool_clear(group=arg1)\n"
			      "free-group tc_pool_free(group=arg1)\n";

enum { FIRST = 70 };

struct rig {
	struct custom_specs specs;
	struct object *obj;
	struct custom *custom;
	struct runtime *rt;
	uint64_t now;
	char said[4096];
	int answer; /* of the sink */
};

static int put(void *arg, const struct ht_ev_head *at, struct tape_event *ev, const char *name)
{
	struct rig *r = arg;
	size_t used = strlen(r->said);

	CHECK(!name);
	if (ev->kind == TAPE_COUNTER)
		snprintf(r->said + used, sizeof(r->said) - used, "%u nested\n", at->tid);
	else
		snprintf(r->said + used, sizeof(r->said) - used, "%u %s %" PRIx64 "+%" PRIu64 "%s%s\n", at->tid, tape_kind_name(ev->kind), ev->addr, ev->size,
			 ev->old ? " moved" : "", ev->flags & TAPE_COLLECTED ? " collected" : "");
	return r->answer;
}

static struct rig *rig_open(void)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct runtime_sink sink = { put, r };
	struct custom_error e;

	CHECK_EQ(custom_profile_parse(profile, &r->specs, &e), 0);
	CHECK_EQ(object_open_path("/proc/self/exe", &r->obj), 0);
	r->custom = custom_new(&r->specs.list[0]);
	CHECK_EQ(custom_open(r->custom, r->obj, FIRST, 64, false, &sink, &r->rt), 0);
	CHECK_EQ(custom_found(r->custom), 127);
	CHECK_EQ(r->rt->nr_probes, 13);
	return r;
}

static void rig_close(struct rig *r, const char *want)
{
	CHECK_STR(r->said, want);
	runtime_free(r->rt);
	custom_free(r->custom);
	object_close(r->obj);
	free(r);
}

static uint16_t site(const struct rig *r, const char *function, bool is_return)
{
	for (unsigned i = 0; i < r->rt->nr_probes; i++)
		if (!strcmp(r->rt->probes[i].function, function) && r->rt->probes[i].is_return == is_return)
			return (uint16_t)(FIRST + i);
	CHECK(!"such a probe");
	return 0;
}

static void enter(struct rig *r, uint32_t tid, const char *function, uint64_t sp, uint64_t a, uint64_t b)
{
	struct ht_ev_capture e = { .h = { .type = HT_EV_CAPTURE, .site = site(r, function, false), .tid = tid, .ts = r->now += 10 },
				   .words = { sp, a, b } };

	CHECK_EQ(runtime_take(r->rt, &e), 0);
}

static void leave(struct rig *r, uint32_t tid, const char *function, uint64_t sp, uint64_t result, uint64_t out)
{
	struct ht_ev_capture e = { .h = { .type = HT_EV_CAPTURE, .site = site(r, function, true), .tid = tid, .ts = r->now += 10 },
				   .words = { result, sp + 8, out } };

	CHECK_EQ(runtime_take(r->rt, &e), 0);
}

static void allocate(struct rig *r, uint32_t tid, uint64_t addr, uint64_t nbytes, uint64_t group)
{
	enter(r, tid, "tc_alloc", 0x7000, nbytes, group);
	leave(r, tid, "tc_alloc", 0x7000, addr, 0);
}

/* Calls in calls: told apart by the stack; one that never returns, or whose end was lost, is left behind. */
static void test_pairing(void)
{
	struct rig *r = rig_open();

	leave(r, 1, "tc_alloc", 0x7000, 0x1000, 0); /* its begin was before the recording */
	enter(r, 1, "tc_alloc", 0x7000, 10, 0);
	enter(r, 1, "tc_alloc", 0x6000, 20, 0);
	enter(r, 2, "tc_alloc", 0x6000, 25, 0);
	enter(r, 1, "tc_alloc", 0x5000, 30, 0); /* never returns */
	leave(r, 1, "tc_alloc", 0x6000, 0x2000, 0);
	leave(r, 2, "tc_alloc", 0x6000, 0x2500, 0);
	leave(r, 1, "tc_alloc", 0x7000, 0x3000, 0);
	leave(r, 1, "tc_alloc", 0x5000, 0x4000, 0);
	rig_close(r, "1 malloc 2000+20\n2 malloc 2500+25\n1 malloc 3000+10\n");
}

/* Of calls that give one address the innermost is the event, be it by a header in front; their frees likewise. */
static void test_wrappers(void)
{
	struct rig *r = rig_open();

	enter(r, 1, "tc_calloc", 0x7000, 3, 10);
	enter(r, 1, "tc_alloc", 0x6000, 30, 0);
	leave(r, 1, "tc_alloc", 0x6000, 0x1000, 0);
	leave(r, 1, "tc_calloc", 0x7000, 0x1000, 0);
	enter(r, 1, "tc_calloc", 0x7000, 1, 30);
	enter(r, 1, "tc_alloc", 0x6000, 46, 0);
	leave(r, 1, "tc_alloc", 0x6000, 0x2000, 0);
	leave(r, 1, "tc_calloc", 0x7000, 0x2010, 0);
	enter(r, 1, "tc_free", 0x7000, 0x2010, 0);
	enter(r, 1, "tc_free", 0x6000, 0x2000, 0);
	/* One free calls the other for the same block; and later it is another block's. */
	enter(r, 1, "tc_free", 0x7000, 0x1000, 0);
	enter(r, 1, "tc_free", 0x6000, 0x1000, 0);
	allocate(r, 1, 0x1000, 5, 0);
	enter(r, 1, "tc_free", 0x6000, 0x1000, 0);
	enter(r, 1, "tc_alloc", 0x7000, 1, 0);
	leave(r, 1, "tc_alloc", 0x7000, 0, 0);
	enter(r, 1, "tc_calloc", 0x7000, UINT64_MAX, 2);
	leave(r, 1, "tc_calloc", 0x7000, 0, 0);
	rig_close(r, "1 malloc 1000+30\n1 nested\n1 malloc 2000+46\n1 nested\n1 nested\n1 free 2000+0\n"
		     "1 free 1000+0\n1 nested\n1 malloc 1000+5\n1 free 1000+0\n1 malloc 0+1\n1 malloc 0+18446744073709551615\n");
}

static void resize(struct rig *r, uint64_t old, uint64_t nbytes, uint64_t addr)
{
	enter(r, 1, "tc_realloc", 0x7000, nbytes, old); /* words in the order of the capture: size, old */
	leave(r, 1, "tc_realloc", 0x7000, addr, 0);
}

static void test_realloc(void)
{
	struct rig *r = rig_open();

	resize(r, 0, 10, 0x1000);
	resize(r, 0x1000, 20, 0x1000);
	resize(r, 0x1000, 30, 0x2000);
	resize(r, 0x2000, 99, 0); /* failed */
	resize(r, 0x2000, 0, 0);  /* frees */
	/* By a new block and a free inside of it. */
	allocate(r, 1, 0x3000, 10, 0);
	enter(r, 1, "tc_realloc", 0x7000, 50, 0x3000);
	enter(r, 1, "tc_alloc", 0x6000, 50, 0);
	leave(r, 1, "tc_alloc", 0x6000, 0x4000, 0);
	enter(r, 1, "tc_free", 0x6000, 0x3000, 0);
	leave(r, 1, "tc_realloc", 0x7000, 0x4000, 0);
	/* Another thread has got the old block's place before this call is back. */
	enter(r, 1, "tc_realloc", 0x7000, 60, 0x4000);
	allocate(r, 2, 0x4000, 7, 0);
	leave(r, 1, "tc_realloc", 0x7000, 0x5000, 0);
	enter(r, 2, "tc_free", 0x7000, 0x4000, 0);
	rig_close(r, "1 malloc 1000+10\n1 realloc 1000+20 moved\n1 realloc 2000+30 moved\n1 realloc 0+99 moved\n1 free 2000+0\n"
		     "1 malloc 3000+10\n1 malloc 4000+50\n1 free 3000+0\n1 nested\n"
		     "1 free 4000+0\n2 malloc 4000+7\n1 malloc 5000+60\n2 free 4000+0\n");
}

static void new_pool(struct rig *r, uint64_t pool, uint64_t parent)
{
	enter(r, 1, "tc_pool_new", 0x7000, parent, 0x7fff0);
	leave(r, 1, "tc_pool_new", 0x7000, 0, pool);
}

static void test_pools(void)
{
	struct rig *r = rig_open();

	new_pool(r, 0xa0, 0);
	new_pool(r, 0xb0, 0xa0);
	new_pool(r, 0xc0, 0xb0);
	allocate(r, 1, 0x1000, 1, 0xa0);
	allocate(r, 1, 0x2000, 2, 0xb0);
	allocate(r, 1, 0x3000, 3, 0xc0);
	allocate(r, 1, 0x4000, 4, 0xa0);
	allocate(r, 1, 0x5000, 5, 0xd0); /* its begin was not seen */
	enter(r, 1, "tc_free", 0x7000, 0x4000, 0);
	enter(r, 1, "tc_pool_clear", 0x7000, 0xb0, 0);
	leave(r, 1, "tc_pool_clear", 0x7000, 0, 0);
	strcat(r->said, "--\n");
	allocate(r, 1, 0x6000, 6, 0xb0); /* it is still inside of a0; c0 is no more */
	allocate(r, 1, 0x7000, 7, 0xc0);
	enter(r, 1, "tc_pool_free", 0x7000, 0xa0, 0);
	allocate(r, 1, 0x8000, 8, 0xa0); /* by a destructor */
	enter(r, 1, "tc_free", 0x6000, 0x6000, 0); /* by another, of what has ended */
	leave(r, 1, "tc_pool_free", 0x7000, 0, 0);
	strcat(r->said, "--\n");
	enter(r, 1, "tc_pool_free", 0x7000, 0xd0, 0);
	leave(r, 1, "tc_pool_free", 0x7000, 0, 0);
	enter(r, 1, "tc_pool_free", 0x7000, 0xe0, 0); /* of which nothing is known */
	leave(r, 1, "tc_pool_free", 0x7000, 0, 0);
	rig_close(r, "1 malloc 1000+1\n1 malloc 2000+2\n1 malloc 3000+3\n1 malloc 4000+4\n1 malloc 5000+5\n1 free 4000+0\n"
		     "1 free 3000+0 collected\n1 free 2000+0 collected\n--\n"
		     "1 malloc 6000+6\n1 malloc 7000+7\n1 free 6000+0 collected\n1 free 1000+0 collected\n1 malloc 8000+8\n1 nested\n"
		     "1 free 8000+0 collected\n--\n1 free 5000+0 collected\n");
}

/* What the sink tells at another level is not kept: its end is the sink's to judge as well. */
static void test_told_elsewhere(void)
{
	struct rig *r = rig_open();

	r->answer = 1;
	allocate(r, 1, 0x1000, 600, 0xa0);
	r->answer = 0;
	enter(r, 1, "tc_pool_free", 0x7000, 0xa0, 0);
	leave(r, 1, "tc_pool_free", 0x7000, 0, 0);
	enter(r, 1, "tc_free", 0x7000, 0x1000, 0);
	custom_forget(r->custom);
	rig_close(r, "1 malloc 1000+600\n1 free 1000+0\n");
}

int main(void)
{
	test_pairing();
	test_wrappers();
	test_realloc();
	test_pools();
	test_told_elsewhere();
	return check_done();
}
