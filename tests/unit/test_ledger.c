/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ledger.c - records in, tape out: what the ledger writes is read back from the tape and compared as text. */
#include <errno.h>
#include <sys/mman.h>

#include "check.h"
#include "formats/heap.h"
#include "formats/keyframe.h"
#include "random_tape.h"
#include "record/ledger.h"

enum { PAGE = 4096, START = 1000, NR_OBJECTS = 3 };

/* The sites of the tests: each of three allocators has all of these, site number = 16 * obj + what. */
enum what { W_NONE, W_MALLOC, W_CALLOC, W_REALLOC, W_FREE, W_MALLOCX, W_RALLOCX, W_MEMALIGN, W_DELETE, W_MALLCTL };

#define SITE(obj, what) (16 * (obj) + W_##what)

static struct ledger_site test_site(void *arg, unsigned nr)
{
	static const struct ledger_site sites[16] = {
		[W_MALLOC] = { .kind = TAPE_MALLOC },
		[W_CALLOC] = { .kind = TAPE_CALLOC },
		[W_REALLOC] = { .kind = TAPE_REALLOC },
		[W_FREE] = { .kind = TAPE_FREE },
		[W_MALLOCX] = { .kind = TAPE_MALLOC, .lg_align = true },
		[W_RALLOCX] = { .kind = TAPE_REALLOC, .lg_align = true },
		[W_MEMALIGN] = { .kind = TAPE_MEMALIGN },
		[W_DELETE] = { .kind = TAPE_DELETE },
		[W_MALLCTL] = { .kind = TAPE_STEER, .steer = "mallctl" },
	};
	struct ledger_site site = sites[nr % 16];

	(void)arg;
	site.obj = (uint8_t)(nr / 16);
	return site;
}

struct rig {
	struct tape_writer *writer;
	struct ledger *ledger;
	char path[64];
	uint64_t now;
	uint16_t cpu;
};

static struct rig rig_open(bool skip_mappings)
{
	struct rig r = { .now = START, .cpu = 1 };
	struct tape_writer_opts wo = { .time_unit_ns = 1, .overwrite = true };
	struct ledger_opts lo = { .site = test_site, .start_ns = START, .page_size = PAGE, .skip_mappings = skip_mappings };

	snprintf(r.path, sizeof(r.path), "/tmp/heaptape_test_ledger.%d.tape", (int)getpid());
	CHECK_EQ(tape_writer_open(r.path, &wo, &r.writer), 0);
	lo.writer = r.writer;
	r.ledger = ledger_new(&lo);
	CHECK(r.ledger != NULL);
	for (uint8_t i = 0; i < NR_OBJECTS; i++) {
		char name[8];
		struct tape_allocator a = { .name = name, .path = "/x", .build_id = "" };
		uint8_t id;

		snprintf(name, sizeof(name), "a%d", i);
		CHECK_EQ(tape_writer_allocator(r.writer, &a, &id), 0);
		ledger_allocator(r.ledger, i, id);
	}
	ledger_loader(r.ledger, 0x7000000, 0x7100000);
	return r;
}

static void take(struct rig *r, const void *record)
{
	CHECK_EQ(ledger_take(r->ledger, r->cpu, record), 0);
}

static struct ht_ev_head head(struct rig *r, uint8_t type, uint32_t tid, uint16_t site, uint8_t flags)
{
	return (struct ht_ev_head){ .type = type, .flags = flags, .site = site, .tid = tid, .ts = r->now += 10 };
}

static void got(struct rig *r, uint32_t tid, uint16_t site, uint64_t addr, uint64_t size)
{
	struct ht_ev_alloc e = { .h = head(r, HT_EV_ALLOC, tid, site, 0), .addr = addr, .size = size };

	take(r, &e);
}

static void got_aligned(struct rig *r, uint32_t tid, uint16_t site, uint64_t addr, uint64_t size, uint64_t align)
{
	struct ht_ev_call e = { .h = head(r, HT_EV_CALL, tid, site, 0), .addr = addr, .size = size, .align = align };

	take(r, &e);
}

static void resized(struct rig *r, uint32_t tid, uint16_t site, uint64_t old, uint64_t addr, uint64_t size)
{
	struct ht_ev_call e = { .h = head(r, HT_EV_CALL, tid, site, 0), .addr = addr, .size = size, .old = old };

	take(r, &e);
}

static void given_up(struct rig *r, uint32_t tid, uint16_t site, uint64_t old, uint64_t size)
{
	struct ht_ev_free e = { .h = head(r, HT_EV_GIVE_UP, tid, site, 0), .addr = old, .size = size };

	take(r, &e);
}

static void freed(struct rig *r, uint32_t tid, uint16_t site, uint64_t addr)
{
	struct ht_ev_free e = { .h = head(r, HT_EV_FREE, tid, site, 0), .addr = addr };

	take(r, &e);
}

static void freed_inner(struct rig *r, uint32_t tid, uint16_t site, uint64_t addr)
{
	struct ht_ev_free e = { .h = head(r, HT_EV_FREE, tid, site, HT_EVF_INNER), .addr = addr };

	take(r, &e);
}

static void faulted(struct rig *r, uint32_t tid, uint64_t addr)
{
	struct ht_ev_free e = { .h = head(r, HT_EV_FAULT, tid, 0xffff, 0), .addr = addr };

	take(r, &e);
}

static void thread(struct rig *r, uint8_t type, uint32_t tid, uint8_t flags, const char *comm)
{
	struct ht_ev_thread e = { .h = head(r, type, tid, 2, flags) };

	memcpy(e.comm, comm, strnlen(comm, sizeof(e.comm)));
	take(r, &e);
}

/* A mapping call; its caller is the program unless set otherwise. */
struct map {
	uint32_t tid, call;
	uint64_t arg[5];
	int64_t ret;
	uint64_t ip;
	bool open; /* inside a call of allocator obj */
	uint32_t obj;
};

static void map_record(struct rig *r, uint8_t type, const struct map *m)
{
	struct ht_ev_map e = { .h = head(r, type, m->tid, 2, m->open ? HT_EVF_OPEN : 0),
			       .call = m->call,
			       .obj = m->obj,
			       .ret = m->ret,
			       .ip = m->ip };

	memcpy(e.arg, m->arg, sizeof(e.arg));
	take(r, &e);
}

#define ENTER(r, ...) map_record(r, HT_EV_MAP_ENTER, &(struct map){ __VA_ARGS__ })
#define EXIT(r, ...) map_record(r, HT_EV_MAP_EXIT, &(struct map){ __VA_ARGS__ })

/* ---- the tape as text ---- */

static void event_print(FILE *out, const struct tape_reader *reader, const struct tape_event *ev)
{
	static const struct {
		uint8_t flag;
		const char *name;
	} flags[] = { { TAPE_FAILED, "failed" }, { TAPE_UNKNOWN, "unknown" }, { TAPE_IMPLIED_FREE, "implied" }, { TAPE_SUB, "sub" } };
	bool is_map = ev->kind >= TAPE_MMAP && ev->kind <= TAPE_MADVISE;

	fprintf(out, "%u %s", ev->tid, tape_kind_name(ev->kind));
	if (ev->addr || ev->size)
		fprintf(out, " %" PRIx64 "+%" PRIu64, ev->addr, ev->size);
	if (ev->old)
		fprintf(out, " old=%" PRIx64, ev->old);
	if (tape_kind_has_string(ev->kind))
		fprintf(out, " %s", tape_reader_string(reader, (uint32_t)ev->arg));
	else if (ev->arg)
		fprintf(out, " %s=%" PRIu64, tape_kind_is_call(ev->kind) ? "align" : "arg", ev->arg);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (ev->flags & flags[i].flag)
			fprintf(out, " %s", flags[i].name);
	if (is_map)
		fprintf(out, " by=%s", tape_by_name(ev->flags >> TAPE_BY_SHIFT));
	if (ev->alloc != TAPE_NO_ALLOC)
		fprintf(out, " a%u", ev->alloc);
	fputc('\n', out);
}

/* What the tape says must also be what its readers' live set makes of it, contradictions included. */
static void live_set_agrees(const struct tape_event *evs, size_t nr, const struct ledger_totals *totals)
{
	struct heap *heap = heap_new();
	uint64_t unknown = 0, implied = 0;

	for (size_t i = 0; i < nr; i++) {
		struct heap_change change;

		CHECK_EQ(heap_apply(heap, &evs[i], &change), 0);
		if (!tape_kind_is_call(evs[i].kind))
			continue;
		CHECK_EQ(change.unknown || (evs[i].flags & TAPE_KEPT), !!(evs[i].flags & TAPE_UNKNOWN));
		CHECK_EQ(change.implied, !!(evs[i].flags & TAPE_IMPLIED_FREE));
		unknown += change.unknown;
		implied += change.implied;
	}
	CHECK_EQ(totals->live_objects, heap_nr_objects(heap));
	CHECK_EQ(totals->live_nbytes, heap_live_nbytes(heap));
	CHECK_EQ(totals->unknown_frees, unknown);
	CHECK_EQ(totals->implied_frees, implied);
	heap_free(heap);
}

/* Ends the recording; the tape's events, as text with a line each, are for free(). */
static char *rig_close(struct rig *r, struct ledger_totals *totals_ret)
{
	struct ledger_totals totals;
	struct tape_reader *reader = NULL;
	struct tape_event *evs = NULL;
	size_t nr = 0, room = 0, text_nbytes;
	uint64_t last_ns = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &text_nbytes);

	ledger_totals(r->ledger, &totals);
	CHECK_EQ(tape_writer_close(r->writer), 0);
	CHECK_EQ(tape_reader_open(r->path, NULL, &reader), 0);
	for (;; nr++) {
		if (nr == room) {
			room = room ? 2 * room : 64;
			evs = reallocarray(evs, room, sizeof(*evs));
		}
		if (tape_reader_next(reader, &evs[nr]) != 1)
			break;
		CHECK(evs[nr].ns >= last_ns);
		last_ns = evs[nr].ns;
		event_print(out, reader, &evs[nr]);
	}
	CHECK(tape_reader_complete(reader));
	live_set_agrees(evs, nr, &totals);
	fclose(out);
	free(evs);
	tape_reader_close(reader);
	ledger_free(r->ledger);
	unlink(r->path);
	if (totals_ret)
		*totals_ret = totals;
	return text;
}

static void rig_expect_at(int line, struct rig *r, const char *want)
{
	char *text = rig_close(r, NULL);

	check_nr++;
	if (strcmp(text, want) != 0) {
		check_nr_failed++;
		fprintf(stderr, "%s:%d: the tape says\n%snot\n%s", __FILE__, line, text, want);
	}
	free(text);
}

#define rig_expect(r, want) rig_expect_at(__LINE__, r, want)

/* ---- calls ---- */

static void test_simple_calls(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x1000, 10);
	got(&r, 1, SITE(0, CALLOC), 0x2000, 20);
	got(&r, 1, SITE(0, MALLOC), 0, 1ull << 40); /* failed */
	got(&r, 1, SITE(0, MALLOC), 0x3000, 0);
	got(&r, 2, SITE(0, NONE), 0x4000, 40); /* a site nobody knows */
	freed(&r, 2, SITE(0, FREE), 0x1000);
	freed(&r, 2, SITE(0, DELETE), 0x2000);
	rig_expect(&r, "1 malloc 1000+10 a0\n"
		       "1 calloc 2000+20 a0\n"
		       "1 malloc 0+1099511627776 failed a0\n"
		       "1 malloc 3000+0 a0\n"
		       "2 free 1000+0 a0\n"
		       "2 delete 2000+0 a0\n");
}

static void test_realloc_in_place_moving_null_and_failed(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;
	char *text;

	got(&r, 1, SITE(0, MALLOC), 0x1000, 10);
	given_up(&r, 1, SITE(0, REALLOC), 0x1000, 20);
	resized(&r, 1, SITE(0, REALLOC), 0x1000, 0x1000, 20);
	given_up(&r, 1, SITE(0, REALLOC), 0x1000, 30);
	resized(&r, 1, SITE(0, REALLOC), 0x1000, 0x2000, 30);
	given_up(&r, 1, SITE(0, REALLOC), 0, 5);
	resized(&r, 1, SITE(0, REALLOC), 0, 0x1000, 5); /* realloc(NULL, 5) */
	given_up(&r, 1, SITE(0, REALLOC), 0x2000, 1ull << 50);
	resized(&r, 1, SITE(0, REALLOC), 0x2000, 0, 1ull << 50); /* failed: the old block lives on */
	freed(&r, 1, SITE(0, FREE), 0x2000);
	given_up(&r, 1, SITE(0, REALLOC), 0x1000, 0);
	resized(&r, 1, SITE(0, REALLOC), 0x1000, 0, 0); /* frees */
	resized(&r, 1, SITE(0, REALLOC), 0, 0, 7);      /* realloc(NULL, 7) fails */
	text = rig_close(&r, &totals);
	CHECK_STR(text, "1 malloc 1000+10 a0\n"
			"1 realloc 1000+20 old=1000 a0\n"
			"1 realloc 2000+30 old=1000 a0\n"
			"1 malloc 1000+5 a0\n"
			"1 realloc 0+1125899906842624 old=2000 failed a0\n"
			"1 free 2000+0 a0\n"
			"1 free 1000+0 a0\n"
			"1 malloc 0+7 failed a0\n");
	CHECK_EQ(totals.live_objects, 0);
	CHECK_EQ(totals.failed, 2);
	CHECK_EQ(totals.events, 6); /* failed calls are none */
	free(text);
}

/* realloc(p, 0) that gives a block of no bytes, as mimalloc does. */
static void test_realloc_to_zero_that_keeps_a_block(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x1000, 10);
	given_up(&r, 1, SITE(0, REALLOC), 0x1000, 0);
	resized(&r, 1, SITE(0, REALLOC), 0x1000, 0x2000, 0);
	freed(&r, 1, SITE(0, FREE), 0x2000);
	rig_expect(&r, "1 malloc 1000+10 a0\n"
		       "1 realloc 2000+0 old=1000 a0\n"
		       "1 free 2000+0 a0\n");
}

static void test_realloc_race_is_written_just_before_the_reuse(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x1000, 0x100);
	got(&r, 3, SITE(0, MALLOC), 0x8000, 8);
	given_up(&r, 1, SITE(0, REALLOC), 0x1000, 0x400);
	got(&r, 2, SITE(0, MALLOC), 0x1100, 16); /* next to it: no overlap */
	got(&r, 2, SITE(0, MALLOC), 0xff0, 16);  /* up to it */
	freed(&r, 3, SITE(0, FREE), 0x8000);
	got(&r, 2, SITE(0, MALLOC), 0x10f0, 16); /* its last bytes */
	got(&r, 2, SITE(0, MALLOC), 0x1000, 16); /* its first; said already */
	resized(&r, 1, SITE(0, REALLOC), 0x1000, 0x4000, 0x400);
	rig_expect(&r, "1 malloc 1000+256 a0\n"
		       "3 malloc 8000+8 a0\n"
		       "2 malloc 1100+16 a0\n"
		       "2 malloc ff0+16 a0\n"
		       "3 free 8000+0 a0\n"
		       "1 give_up 1000+0 a0\n"
		       "2 malloc 10f0+16 a0\n"
		       "2 malloc 1000+16 a0\n"
		       "1 realloc 4000+1024 old=1000 a0\n");
}

/* A realloc's own result at its old place, and a block of no bytes at that of another's. */
static void test_give_up_only_for_others(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x1000, 0);
	given_up(&r, 1, SITE(0, REALLOC), 0x1000, 8);
	got(&r, 2, SITE(0, MALLOC), 0x1000, 0);
	resized(&r, 1, SITE(0, REALLOC), 0x1000, 0x2000, 8);
	given_up(&r, 1, SITE(0, REALLOC), 0x2000, 9);
	resized(&r, 1, SITE(0, REALLOC), 0x2000, 0x2000, 9);
	given_up(&r, 1, SITE(0, REALLOC), 0x5000, 9); /* nobody saw it being born: only its realloc can say so */
	got(&r, 2, SITE(0, MALLOC), 0x5000, 1);
	resized(&r, 1, SITE(0, REALLOC), 0x5000, 0x6000, 9);
	rig_expect(&r, "1 malloc 1000+0 a0\n"
		       "1 give_up 1000+0 a0\n"
		       "2 malloc 1000+0 a0\n"
		       "1 realloc 2000+8 old=1000 a0\n"
		       "1 realloc 2000+9 old=2000 a0\n"
		       "2 malloc 5000+1 a0\n"
		       "1 realloc 6000+9 old=5000 a0\n");
}

/* What lives goes on in a copy of the target; its other threads, and what they had begun, do not. */
static void test_branch_of_a_fork(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;

	got(&r, 1, SITE(0, MALLOC), 0x1000, 8);
	got(&r, 2, SITE(0, MALLOC), 0x2000, 8);
	given_up(&r, 2, SITE(0, REALLOC), 0x2000, 16); /* it never comes to its end here */
	ledger_branch(r.ledger);
	ledger_totals(r.ledger, &totals);
	CHECK_EQ(totals.events, 0);
	CHECK_EQ(totals.live_objects, 2);
	freed(&r, 3, SITE(0, FREE), 0x1000);
	got(&r, 3, SITE(0, MALLOC), 0x2008, 1); /* inside what was given up: nobody is left to be told of first */
	freed(&r, 3, SITE(0, FREE), 0x8000);
	ledger_totals(r.ledger, &totals);
	CHECK_EQ(totals.events, 3);
	CHECK_EQ(totals.unknown_frees, 1);
	rig_expect(&r, "1 malloc 1000+8 a0\n"
		       "2 malloc 2000+8 a0\n"
		       "3 free 1000+0 a0\n"
		       "3 malloc 2008+1 a0\n"
		       "3 free 8000+0 unknown a0\n");
}

static void test_realloc_to_zero_race(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;
	char *text;

	got(&r, 1, SITE(0, MALLOC), 0x1000, 64);
	given_up(&r, 1, SITE(0, REALLOC), 0x1000, 0);
	got(&r, 2, SITE(0, MALLOC), 0x1000, 64);
	resized(&r, 1, SITE(0, REALLOC), 0x1000, 0, 0);
	got(&r, 1, SITE(0, MALLOC), 0x3000, 64);
	given_up(&r, 1, SITE(0, REALLOC), 0x3000, 0);
	got(&r, 2, SITE(0, MALLOC), 0x3000, 64);
	resized(&r, 1, SITE(0, REALLOC), 0x3000, 0x4000, 0); /* gave a block of no bytes after all */
	text = rig_close(&r, &totals);
	CHECK_STR(text, "1 malloc 1000+64 a0\n"
			"1 free 1000+0 a0\n"
			"2 malloc 1000+64 a0\n"
			"1 malloc 3000+64 a0\n"
			"1 free 3000+0 a0\n"
			"2 malloc 3000+64 a0\n"
			"1 malloc 4000+0 a0\n");
	CHECK_EQ(totals.implied_frees, 0);
	CHECK_EQ(totals.live_objects, 3);
	free(text);
}

/* Its block was given up, then the call failed: the block lives on. (Only where a record of others was lost.) */
static void test_failed_realloc_after_its_give_up(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;
	char *text;

	got(&r, 1, SITE(0, MALLOC), 0x1000, 64);
	given_up(&r, 1, SITE(0, REALLOC), 0x1000, 1ull << 50);
	got(&r, 2, SITE(0, MALLOC), 0x1020, 8);
	resized(&r, 1, SITE(0, REALLOC), 0x1000, 0, 1ull << 50);
	freed(&r, 1, SITE(0, FREE), 0x1000);
	text = rig_close(&r, &totals);
	CHECK_STR(text, "1 malloc 1000+64 a0\n"
			"1 give_up 1000+0 a0\n"
			"2 malloc 1020+8 a0\n"
			"1 realloc 0+1125899906842624 old=1000 failed a0\n"
			"1 free 1000+0 a0\n");
	CHECK_EQ(totals.live_objects, 1);
	free(text);
}

static void test_realloc_end_lost(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x1000, 64);
	given_up(&r, 1, SITE(0, REALLOC), 0x1000, 128);
	got(&r, 1, SITE(0, MALLOC), 0x2000, 8); /* the same thread calls again: the realloc has ended */
	got(&r, 2, SITE(0, MALLOC), 0x1000, 8); /* not a reuse during the call any more */
	got(&r, 3, SITE(0, MALLOC), 0x4000, 8);
	given_up(&r, 3, SITE(0, REALLOC), 0x4000, 128);
	thread(&r, HT_EV_THREAD, 3, HT_EVF_EXIT, "");
	got(&r, 2, SITE(0, MALLOC), 0x4000, 8);
	rig_expect(&r, "1 malloc 1000+64 a0\n"
		       "1 malloc 2000+8 a0\n"
		       "2 malloc 1000+8 implied a0\n"
		       "3 malloc 4000+8 a0\n"
		       "3 thread_exit\n"
		       "2 malloc 4000+8 implied a0\n");
}

/* ---- several allocators ---- */

/* Allocator 1 is a wrapper around 0: its mallocs make no record, its frees come first. The owner's free is the event. */
static void test_wrappers_free_before_the_owners(void)
{
	struct rig r = rig_open(false);
	struct ledger_nested nested = { .calls = 5 };
	struct ledger_totals totals;
	char *text;

	got(&r, 1, SITE(0, MALLOC), 0x1000, 64);
	freed(&r, 1, SITE(1, FREE), 0x1000);
	freed_inner(&r, 1, SITE(0, FREE), 0x1000);
	got(&r, 1, SITE(0, MALLOC), 0x2000, 64);
	freed(&r, 1, SITE(1, FREE), 0x2000); /* the wrapper keeps it: it lives on */
	freed(&r, 1, SITE(1, FREE), 0x9000); /* birth unseen: a wrapper's, then the owner's */
	freed_inner(&r, 1, SITE(0, FREE), 0x9000);
	nested.h = head(&r, LEDGER_NESTED, 1, 0, 0);
	take(&r, &nested);
	nested.calls = 0;
	nested.h = head(&r, LEDGER_NESTED, 1, 0, 0);
	take(&r, &nested); /* nothing new: no event */
	freed(&r, 1, SITE(1, FREE), 0x2000);
	CHECK_EQ(ledger_end(r.ledger, r.now + 10), 0);
	text = rig_close(&r, &totals);
	CHECK_STR(text, "1 malloc 1000+64 a0\n"
			"1 free 1000+0 a0\n"
			"1 malloc 2000+64 a0\n"
			"1 free 9000+0 unknown a0\n"
			"1 counter 0+8\n"
			"0 counter 0+1\n"
			"0 mark arg=1\n");
	CHECK_EQ(totals.nested, 9);
	CHECK_EQ(totals.live_objects, 1);
	free(text);
}

/* Both have owned blocks; of a block that neither is known to own the outer free is the event. */
static void test_unknown_block_freed_at_two_levels_is_one_event(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x1000, 8);
	got(&r, 1, SITE(1, MALLOC), 0x5000, 8);
	freed(&r, 1, SITE(1, FREE), 0x9000);
	freed_inner(&r, 1, SITE(0, FREE), 0x9000);
	freed(&r, 1, SITE(0, FREE), 0x9000); /* again, by itself: another call */
	rig_expect(&r, "1 malloc 1000+8 a0\n"
		       "1 malloc 5000+8 a1\n"
		       "1 free 9000+0 unknown a1\n"
		       "1 free 9000+0 unknown a0\n");
}

static void test_sub_allocations(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;
	char *text;

	got(&r, 1, SITE(0, MALLOC), 0x10000, 0x1000);
	got(&r, 1, SITE(1, MALLOC), 0x10010, 16); /* carved out of it */
	got(&r, 1, SITE(0, MALLOC), 0x10fff, 16); /* the same allocator: no sub-allocation */
	got(&r, 1, SITE(1, MALLOC), 0x12000, 16); /* beside it */
	given_up(&r, 1, SITE(1, REALLOC), 0x10010, 32);
	resized(&r, 1, SITE(1, REALLOC), 0x10010, 0x10100, 32);
	freed(&r, 2, SITE(1, FREE), 0x10100);
	freed(&r, 2, SITE(0, FREE), 0x10000);
	got(&r, 1, SITE(1, MALLOC), 0x10010, 16); /* nothing lies over it any more */
	text = rig_close(&r, &totals);
	CHECK_STR(text, "1 malloc 10000+4096 a0\n"
			"1 malloc 10010+16 sub a1\n"
			"1 malloc 10fff+16 a0\n"
			"1 malloc 12000+16 a1\n"
			"1 realloc 10100+32 old=10010 sub a1\n"
			"2 free 10100+0 sub a1\n"
			"2 free 10000+0 a0\n"
			"1 malloc 10010+16 a1\n");
	CHECK_EQ(totals.sub, 3);
	CHECK_EQ(totals.events, 5);
	free(text);
}

/* A pool dropped whole leaves sub-allocations that nobody frees; their addresses come back as other objects. */
static void test_sub_allocations_left_behind(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x10000, 0x1000);
	got(&r, 1, SITE(1, MALLOC), 0x10010, 16);
	got(&r, 1, SITE(1, MALLOC), 0x10020, 16);
	freed(&r, 1, SITE(0, FREE), 0x10000); /* takes both with it */
	got(&r, 1, SITE(0, MALLOC), 0x10010, 24);
	freed(&r, 1, SITE(0, FREE), 0x10010);
	got(&r, 1, SITE(1, MALLOC), 0x10020, 24); /* a block of the pool's own now */
	given_up(&r, 1, SITE(1, REALLOC), 0x10020, 99);
	resized(&r, 1, SITE(1, REALLOC), 0x10020, 0x20000, 99);
	freed(&r, 1, SITE(1, FREE), 0x20000);
	rig_expect(&r, "1 malloc 10000+4096 a0\n"
		       "1 malloc 10010+16 sub a1\n"
		       "1 malloc 10020+16 sub a1\n"
		       "1 free 10000+0 a0\n"
		       "1 malloc 10010+24 a0\n"
		       "1 free 10010+0 a0\n"
		       "1 malloc 10020+24 a1\n"
		       "1 realloc 20000+99 old=10020 a1\n"
		       "1 free 20000+0 a1\n");
}

/* A wrapper's free of a sub-allocation is no event either: its owner's is. */
static void test_wrappers_free_of_a_sub_allocation(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x10000, 0x1000);
	got(&r, 1, SITE(1, MALLOC), 0x10010, 16);
	freed(&r, 1, SITE(2, FREE), 0x10010);
	freed_inner(&r, 1, SITE(1, FREE), 0x10010);
	rig_expect(&r, "1 malloc 10000+4096 a0\n"
		       "1 malloc 10010+16 sub a1\n"
		       "1 free 10010+0 sub a1\n");
}

/* A pool's realloc that leaves its pool, and one that goes into it: the level-1 part must not stay or vanish unsaid. */
static void test_realloc_across_levels(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;
	char *text;

	got(&r, 1, SITE(0, MALLOC), 0x10000, 0x1000);
	got(&r, 1, SITE(1, MALLOC), 0x10010, 16);
	given_up(&r, 1, SITE(1, REALLOC), 0x10010, 0x9000);
	resized(&r, 1, SITE(1, REALLOC), 0x10010, 0x50000, 0x9000); /* too large for the pool: mapped */
	given_up(&r, 1, SITE(1, REALLOC), 0x50000, 32);
	resized(&r, 1, SITE(1, REALLOC), 0x50000, 0x10040, 32); /* and back */
	freed(&r, 1, SITE(1, FREE), 0x10040);
	text = rig_close(&r, &totals);
	CHECK_STR(text, "1 malloc 10000+4096 a0\n"
			"1 malloc 10010+16 sub a1\n"
			"1 free 10010+0 sub a1\n"
			"1 malloc 50000+36864 a1\n"
			"1 free 50000+0 a1\n"
			"1 malloc 10040+32 sub a1\n"
			"1 free 10040+0 sub a1\n");
	CHECK_EQ(totals.live_objects, 1);
	free(text);
}

/* Thread 1's old block is taken over by thread 2 while its realloc runs: what lies there afterwards is thread 2's. */
static void test_cover_follows_a_realloc_race(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x10000, 0x1000);
	got(&r, 1, SITE(1, MALLOC), 0x40000, 8); /* two allocators from now on */
	given_up(&r, 1, SITE(0, REALLOC), 0x10000, 0x2000);
	got(&r, 2, SITE(0, MALLOC), 0x10000, 0x100);
	resized(&r, 1, SITE(0, REALLOC), 0x10000, 0x20000, 0x2000);
	got(&r, 1, SITE(1, MALLOC), 0x10080, 8);
	got(&r, 1, SITE(1, MALLOC), 0x10800, 8); /* where only the old block was */
	rig_expect(&r, "1 malloc 10000+4096 a0\n"
		       "1 malloc 40000+8 a1\n"
		       "1 give_up 10000+0 a0\n"
		       "2 malloc 10000+256 a0\n"
		       "1 realloc 20000+8192 old=10000 a0\n"
		       "1 malloc 10080+8 sub a1\n"
		       "1 malloc 10800+8 a1\n");
}

static void test_unknown_and_implied_frees(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;
	char *text;

	freed(&r, 1, SITE(0, FREE), 0x1000); /* born before the recording */
	got(&r, 1, SITE(0, MALLOC), 0x2000, 8);
	got(&r, 2, SITE(0, MALLOC), 0x2000, 9); /* the free between the two was lost */
	freed(&r, 2, SITE(0, FREE), 0x2000);
	freed(&r, 2, SITE(0, FREE), 0x2000);
	given_up(&r, 2, SITE(0, REALLOC), 0x2000, 10);
	resized(&r, 2, SITE(0, REALLOC), 0x2000, 0x3000, 10);
	text = rig_close(&r, &totals);
	CHECK_STR(text, "1 free 1000+0 unknown a0\n"
			"1 malloc 2000+8 a0\n"
			"2 malloc 2000+9 implied a0\n"
			"2 free 2000+0 a0\n"
			"2 free 2000+0 unknown a0\n"
			"2 realloc 3000+10 old=2000 unknown a0\n");
	CHECK_EQ(totals.unknown_frees, 3);
	CHECK_EQ(totals.implied_frees, 1);
	free(text);
}

static void test_alignment_of_mallocx(void)
{
	struct rig r = rig_open(false);

	got_aligned(&r, 1, SITE(0, MALLOCX), 0x1000, 8, 64);
	got_aligned(&r, 1, SITE(0, MALLOCX), 0x2000, 8, 0);
	got_aligned(&r, 1, SITE(0, MEMALIGN), 0x3000, 8, 32);
	got_aligned(&r, 1, SITE(0, MALLOC), 0x4000, 8, 32); /* only mallocx becomes another kind */
	rig_expect(&r, "1 aligned_alloc 1000+8 align=64 a0\n"
		       "1 malloc 2000+8 a0\n"
		       "1 memalign 3000+8 align=32 a0\n"
		       "1 malloc 4000+8 align=32 a0\n");
}

static void test_steer_names(void)
{
	struct rig r = rig_open(false);
	struct ht_ev_steer e = { .arg0 = 1, .arg1 = 2 };

	e.h = head(&r, HT_EV_STEER, 1, SITE(1, MALLCTL), 0);
	take(&r, &e);
	e.h = head(&r, HT_EV_STEER, 1, SITE(1, MALLCTL), 0);
	strcpy(e.name, "arena.0.purge");
	take(&r, &e);
	e.h = head(&r, HT_EV_STEER, 1, SITE(1, MALLCTL), 0);
	memset(e.name, 'n', sizeof(e.name)); /* cut off: no end */
	take(&r, &e);
	e.h = head(&r, HT_EV_STEER, 1, SITE(1, NONE), 0);
	take(&r, &e);
	rig_expect(&r, "1 steer 1+2 mallctl a1\n"
		       "1 steer 1+2 mallctl:arena.0.purge a1\n"
		       "1 steer 1+2 mallctl:nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn a1\n");
}

/* ---- threads, the process, losses ---- */

static void test_records_before_the_start_mark(void)
{
	struct rig r = rig_open(false);

	r.now = START - 25;
	got(&r, 1, SITE(0, MALLOC), 0x1000, 8);
	got(&r, 1, SITE(0, MALLOC), 0x2000, 8);
	got(&r, 1, SITE(0, MALLOC), 0x3000, 8); /* 5 ns after the mark */
	freed(&r, 1, SITE(0, FREE), 0x1000);
	rig_expect(&r, "1 malloc 3000+8 a0\n"
		       "1 free 1000+0 unknown a0\n");
}

static void test_times_count_from_the_mark(void)
{
	struct rig r = rig_open(false);
	struct tape_reader *reader;
	struct tape_event ev;

	ledger_start(r.ledger, START + 100);
	r.now = START + 100 + 32;
	got(&r, 1, SITE(0, MALLOC), 0x1000, 8);
	CHECK_EQ(tape_writer_flush(r.writer), 0);
	CHECK_EQ(tape_reader_open(r.path, NULL, &reader), 0);
	CHECK_EQ(tape_reader_next(reader, &ev), 1);
	CHECK_EQ(ev.ns, 42);
	CHECK_EQ(ev.cpu, 1);
	tape_reader_close(reader);
	rig_expect(&r, "1 malloc 1000+8 a0\n");
}

static void test_thread_names(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;
	char *text;

	thread(&r, HT_EV_THREAD, 7, HT_EVF_START, "worker");
	thread(&r, HT_EV_THREAD, 7, 0, "sixteen-letters!"); /* no NUL within the record */
	thread(&r, HT_EV_THREAD, 7, HT_EVF_EXIT, "");
	thread(&r, HT_EV_FORK, 7, 0, "child");
	text = rig_close(&r, &totals);
	CHECK_STR(text, "7 thread_start worker\n"
			"7 thread_name sixteen-letters!\n"
			"7 thread_exit\n");
	CHECK_EQ(totals.threads, 1);
	CHECK_EQ(totals.forks, 1);
	free(text);
}

static void test_exec_ends_all(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;
	char *text;

	got(&r, 1, SITE(0, MALLOC), 0x10000, 0x1000);
	got(&r, 1, SITE(1, MALLOC), 0x10010, 16);
	given_up(&r, 2, SITE(0, REALLOC), 0x10000, 99);
	ENTER(&r, .tid = 3, .call = HT_MAP_MUNMAP, .arg = { 0x50000, PAGE });
	CHECK(!ledger_saw_exec(r.ledger));
	thread(&r, HT_EV_EXEC, 1, 0, "next");
	CHECK(ledger_saw_exec(r.ledger));
	CHECK(!ledger_saw_exec(r.ledger));
	got(&r, 1, SITE(0, MALLOC), 0x10000, 8); /* nobody's give-up, no implied free */
	got(&r, 1, SITE(1, MALLOC), 0x10800, 8); /* nothing lies over it */
	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, PAGE }, .ret = 0x50000); /* nobody's munmap */
	freed(&r, 1, SITE(1, FREE), 0x10010);
	text = rig_close(&r, &totals);
	CHECK_STR(text, "1 malloc 10000+4096 a0\n"
			"1 malloc 10010+16 sub a1\n"
			"1 exec next\n"
			"1 malloc 10000+8 a0\n"
			"1 malloc 10800+8 a1\n"
			"1 mmap 50000+4096 by=program\n"
			"1 free 10010+0 unknown a1\n");
	CHECK_EQ(totals.execs, 1);
	free(text);
}

static void test_losses_and_resident_set(void)
{
	struct rig r = rig_open(false);
	struct ledger_lost lost = { .cause = HT_LOSS_MAP_FULL, .calls = 12, .since_ns = START + 3 };
	struct ledger_rss rss = { .anon = 4096, .file = 8192, .shmem = 12288 };
	struct ledger_totals totals;
	char *text;

	lost.h = head(&r, LEDGER_LOST, 1, 0, 0);
	take(&r, &lost);
	lost.since_ns = START - 1;
	lost.h = head(&r, LEDGER_LOST, 1, 0, 0);
	take(&r, &lost);
	rss.h = head(&r, LEDGER_RSS, 1, 0, 0);
	take(&r, &rss);
	text = rig_close(&r, &totals);
	CHECK_STR(text, "1 lost 0+12 old=3 arg=2\n"
			"1 lost 0+12 arg=2\n"
			"1 rss 1000+12288 old=2000\n");
	CHECK_EQ(totals.lost, 24);
	free(text);
}

static void test_record_of_no_known_type(void)
{
	struct rig r = rig_open(false);
	struct ht_ev_head h = head(&r, 0x70, 1, 0, 0);

	CHECK_EQ(ledger_take(r.ledger, 0, &h), -EBADMSG);
	rig_expect(&r, "");
}

static void test_thread_table_grows(void)
{
	enum { NR = 10000 };
	struct rig r = rig_open(false);
	struct ledger_totals totals;

	for (uint32_t tid = 1; tid <= NR; tid++) {
		thread(&r, HT_EV_THREAD, tid, HT_EVF_START, "t");
		got(&r, tid, SITE(0, MALLOC), 0x1000ull * tid, 64);
		given_up(&r, tid, SITE(0, REALLOC), 0x1000ull * tid, 128);
	}
	/* All 10,000 are in a realloc; each sees its own end, and each old block is known. */
	for (uint32_t tid = 1; tid <= NR; tid++)
		resized(&r, tid, SITE(0, REALLOC), 0x1000ull * tid, 0x1000ull * tid + 0x800, 128);
	free(rig_close(&r, &totals));
	CHECK_EQ(totals.threads, NR);
	CHECK_EQ(totals.live_objects, NR);
	CHECK_EQ(totals.live_nbytes, NR * 128);
	CHECK_EQ(totals.unknown_frees + totals.implied_frees, 0);
}

/* The table becomes too small in the middle of a record, whichever thread's record that is. */
static void test_thread_table_grows_within_a_record(void)
{
	for (uint32_t nr = 505; nr < 520; nr++) {
		struct rig r = rig_open(false);
		char *text;

		got(&r, 1, SITE(0, MALLOC), 0x1000, 64);
		given_up(&r, 1, SITE(0, REALLOC), 0x1000, 128); /* one is pending, so that each birth looks at its thread */
		for (uint32_t tid = 2; tid < nr; tid++)
			thread(&r, HT_EV_THREAD, tid, 0, "t");
		got(&r, 1, SITE(0, MALLOC), 0x1000000, 64); /* ends the realloc of 1 */
		given_up(&r, 1, SITE(0, REALLOC), 0x1000000, 65);
		given_up(&r, nr, SITE(0, REALLOC), 0x700000, 65);
		resized(&r, nr, SITE(0, REALLOC), 0x700000, 0x2000, 65);
		given_up(&r, nr, SITE(0, REALLOC), 0x2000, 66);
		got(&r, 2, SITE(0, MALLOC), 0x2000, 8);
		text = rig_close(&r, NULL);
		CHECK(strstr(text, " give_up 2000+0 a0\n2 malloc 2000+8 a0\n") != NULL);
		free(text);
	}
}

/* ---- the address space ---- */

enum { ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static void test_who_mapped_it(void)
{
	struct rig r = rig_open(false);

	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x3000, 3, ANON }, .ret = 0x100000, .open = true, .obj = 1);
	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x1001, 3, ANON }, .ret = 0x200000);
	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x1000, 3, ANON }, .ret = 0x300000, .ip = 0x7000000);
	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x1000, 3, ANON }, .ret = 0x400000, .ip = 0x7100000);
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x101000, 0x1000 });  /* a part, by a thread of its own */
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x201000, 0x1000 });  /* the page that was rounded up to */
	EXIT(&r, .tid = 1, .call = HT_MAP_MADVISE, .arg = { 0x100000, 0x1000, 8 });
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x101000, 0x1000 });  /* nobody's by now */
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x300000, 1 });       /* length rounded up */
	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x1000, 3, ANON }, .ret = -ENOMEM);
	rig_expect(&r, "1 mmap 100000+12288 arg=146028888067 by=allocator a1\n"
		       "1 mmap 200000+4097 arg=146028888067 by=program\n"
		       "1 mmap 300000+4096 arg=146028888067 by=loader\n"
		       "1 mmap 400000+4096 arg=146028888067 by=program\n"
		       "1 munmap 101000+4096 by=allocator\n"
		       "1 munmap 201000+4096 by=program\n"
		       "1 madvise 100000+4096 arg=8 by=allocator\n"
		       "1 munmap 101000+4096 by=unknown\n"
		       "1 munmap 300000+4096 by=loader\n");
}

static void test_code_mapped_from_a_file(void)
{
	struct rig r = rig_open(true);

	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x1000, PROT_READ | PROT_EXEC, ANON }, .ret = 0x100000);
	CHECK(!ledger_saw_code_mapped(r.ledger)); /* a compiler's, say */
	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x1000, PROT_READ, MAP_PRIVATE }, .ret = 0x200000);
	CHECK(!ledger_saw_code_mapped(r.ledger));
	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x1000, PROT_READ | PROT_EXEC, MAP_PRIVATE }, .ret = -ENOMEM);
	CHECK(!ledger_saw_code_mapped(r.ledger));
	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x1000, PROT_READ | PROT_EXEC, MAP_PRIVATE }, .ret = 0x300000);
	CHECK(ledger_saw_code_mapped(r.ledger));
	CHECK(!ledger_saw_code_mapped(r.ledger));
	rig_expect(&r, ""); /* mappings are followed, but kept off this tape */
}

/* Thread 2 gets the addresses that thread 1's munmap has taken away, before that munmap has returned. */
static void test_munmap_race(void)
{
	struct rig r = rig_open(false);

	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x2000 }, .ret = 0x100000);
	ENTER(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x100000, 0x2000 });
	EXIT(&r, .tid = 2, .call = HT_MAP_MMAP, .arg = { 0, 0x1000 }, .ret = 0x102000); /* beside it */
	EXIT(&r, .tid = 2, .call = HT_MAP_MMAP, .arg = { 0, 0x1000 }, .ret = 0x101000, .open = true);
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x100000, 0x2000 });
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x101000, 0x1000 }); /* 2's is known as the allocator's */
	rig_expect(&r, "1 mmap 100000+8192 by=program\n"
		       "2 mmap 102000+4096 by=program\n"
		       "1 munmap 100000+8192 by=program\n"
		       "2 mmap 101000+4096 by=allocator a0\n"
		       "1 munmap 101000+4096 by=allocator\n");
}

static void test_munmap_without_a_race_and_refused(void)
{
	struct rig r = rig_open(false);

	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x2000 }, .ret = 0x100000);
	ENTER(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x100001, 0x2000 });
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x100001, 0x2000 }, .ret = -EINVAL);
	EXIT(&r, .tid = 2, .call = HT_MAP_MMAP, .arg = { 0, 0x1000 }, .ret = 0x200000);
	ENTER(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x100000, 0x2000 });
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x100000, 0x2000 });
	EXIT(&r, .tid = 2, .call = HT_MAP_MMAP, .arg = { 0, 0x1000 }, .ret = 0x100000); /* after it: no race */
	rig_expect(&r, "1 mmap 100000+8192 by=program\n"
		       "2 mmap 200000+4096 by=program\n"
		       "1 munmap 100000+8192 by=program\n"
		       "2 mmap 100000+4096 by=program\n");
}

/* A fault of another thread within the pages must come after the madvise that dropped them. */
static void test_madvise_with_a_fault_in_between(void)
{
	struct rig r = rig_open(false);

	ENTER(&r, .tid = 1, .call = HT_MAP_MADVISE, .arg = { 0x100000, 0x2000, MADV_DONTNEED });
	faulted(&r, 2, 0x102fff); /* behind them */
	faulted(&r, 1, 0x100000); /* its own can only be of before */
	faulted(&r, 2, 0x101fff);
	faulted(&r, 2, 0x100000);
	EXIT(&r, .tid = 1, .call = HT_MAP_MADVISE, .arg = { 0x100000, 0x2000, MADV_DONTNEED });
	ENTER(&r, .tid = 1, .call = HT_MAP_MADVISE, .arg = { 0x100000, 0x2000, MADV_HUGEPAGE }); /* drops nothing */
	faulted(&r, 2, 0x100000);
	EXIT(&r, .tid = 1, .call = HT_MAP_MADVISE, .arg = { 0x100000, 0x2000, MADV_HUGEPAGE });
	rig_expect(&r, "2 fault 102000+4096\n"
		       "1 fault 100000+4096\n"
		       "1 madvise 100000+8192 arg=4 by=unknown\n"
		       "2 fault 101000+4096\n"
		       "2 fault 100000+4096\n"
		       "2 fault 100000+4096\n"
		       "1 madvise 100000+8192 arg=14 by=unknown\n");
}

static void test_brk_grows_and_shrinks(void)
{
	struct rig r = rig_open(false);

	EXIT(&r, .tid = 1, .call = HT_MAP_BRK, .ret = 0x500000); /* asks */
	ENTER(&r, .tid = 1, .call = HT_MAP_BRK, .arg = { 0x521000 });
	EXIT(&r, .tid = 1, .call = HT_MAP_BRK, .arg = { 0x521000 }, .ret = 0x521000, .open = true, .obj = 1);
	ENTER(&r, .tid = 1, .call = HT_MAP_BRK, .arg = { 1ull << 46 });
	EXIT(&r, .tid = 1, .call = HT_MAP_BRK, .arg = { 1ull << 46 }, .ret = 0x521000); /* refused */
	ENTER(&r, .tid = 2, .call = HT_MAP_BRK, .arg = { 0x510000 });
	faulted(&r, 1, 0x50ffff); /* stays */
	faulted(&r, 1, 0x510000); /* goes: somebody mapped there anew */
	EXIT(&r, .tid = 2, .call = HT_MAP_BRK, .arg = { 0x510000 }, .ret = 0x510000);
	ENTER(&r, .tid = 2, .call = HT_MAP_BRK, .arg = { 0x500000 });
	EXIT(&r, .tid = 2, .call = HT_MAP_BRK, .arg = { 0x500000 }, .ret = 0x500000);
	EXIT(&r, .tid = 2, .call = HT_MAP_BRK, .arg = { 0x501000 }, .ret = 0x501000); /* nobody's heap now */
	rig_expect(&r, "1 brk 521000+0 old=500000 by=allocator a1\n"
		       "1 fault 50f000+4096\n"
		       "2 munmap 510000+69632 by=allocator\n"
		       "1 fault 510000+4096\n"
		       "2 brk 510000+0 old=521000 by=allocator\n"
		       "2 brk 500000+0 old=510000 by=allocator\n"
		       "2 brk 501000+0 old=500000 by=unknown\n");
}

static void test_mremap_moves_its_owner(void)
{
	struct rig r = rig_open(false);

	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x1000 }, .ret = 0x100000, .open = true, .obj = 1);
	ENTER(&r, .tid = 1, .call = HT_MAP_MREMAP, .arg = { 0x100000, 0x1000, 0x2000, MREMAP_MAYMOVE });
	EXIT(&r, .tid = 1, .call = HT_MAP_MREMAP, .arg = { 0x100000, 0x1000, 0x2000, MREMAP_MAYMOVE }, .ret = 0x200000);
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x201000, 0x1000 });
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x100000, 0x1000 });
	rig_expect(&r, "1 mmap 100000+4096 by=allocator a1\n"
		       "1 mremap 200000+8192 old=100000 arg=4096 by=allocator\n"
		       "1 munmap 201000+4096 by=allocator\n"
		       "1 munmap 100000+4096 by=unknown\n");
}

/* Thread 2 gets the old place of a block that thread 1's mremap has moved: it must stay known as thread 2's. */
static void test_mremap_race(void)
{
	struct rig r = rig_open(false);

	EXIT(&r, .tid = 1, .call = HT_MAP_MMAP, .arg = { 0, 0x1000 }, .ret = 0x100000);
	ENTER(&r, .tid = 1, .call = HT_MAP_MREMAP, .arg = { 0x100000, 0x1000, 0x2000, MREMAP_MAYMOVE });
	EXIT(&r, .tid = 2, .call = HT_MAP_MMAP, .arg = { 0, 0x1000 }, .ret = 0x100000, .open = true);
	EXIT(&r, .tid = 1, .call = HT_MAP_MREMAP, .arg = { 0x100000, 0x1000, 0x2000, MREMAP_MAYMOVE }, .ret = 0x200000);
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x100000, 0x1000 });
	EXIT(&r, .tid = 1, .call = HT_MAP_MUNMAP, .arg = { 0x200000, 0x2000 });
	rig_expect(&r, "1 mmap 100000+4096 by=program\n"
		       "1 munmap 100000+4096 by=program\n"
		       "2 mmap 100000+4096 by=allocator a0\n"
		       "1 mremap 200000+8192 by=program\n"
		       "1 munmap 100000+4096 by=allocator\n"
		       "1 munmap 200000+8192 by=program\n");
}

/* ---- random calls against a reference ---- */

enum { SLOTS = 48, THREADS = 12, OBJ_PLAIN = 0, OBJ_WRAPPER = 1 };

struct model_thread {
	bool in_realloc, released, shown, wrapped;
	int old, new; /* slots; new -1: the call will fail */
	uint64_t size;
};

/* The program's truth: who holds each slot of memory, and the lines that the tape must have. */
struct model {
	uint64_t size[SLOTS]; /* requested; 0: free */
	bool busy[SLOTS];     /* in a realloc */
	struct model_thread threads[THREADS];
	FILE *want;
	uint64_t nested;
};

static uint64_t slot_addr(int slot)
{
	return 0x10000 + 0x400 * (uint64_t)slot;
}

static int model_pick(const struct model *m, struct rng *rng, bool want_free)
{
	for (int tries = 0; tries < 20; tries++) {
		int slot = (int)rng_below(rng, SLOTS);

		if (!m->busy[slot] && !m->size[slot] == want_free)
			return slot;
	}
	return -1;
}

/* Others learn of a realloc's released block when they get it. */
static void model_show(struct model *m, int slot, unsigned by)
{
	for (unsigned i = 0; i < THREADS; i++) {
		struct model_thread *t = &m->threads[i];

		if (i == by || !t->in_realloc || t->shown || !t->released || t->old != slot)
			continue;
		t->shown = true;
		fprintf(m->want, "%u %s %" PRIx64 "+0 a0\n", i + 1, t->size ? "give_up" : "free", slot_addr(slot));
	}
}

static void model_malloc(struct model *m, struct rig *r, struct rng *rng, unsigned tid)
{
	int slot = model_pick(m, rng, true);
	uint64_t size = 1 + rng_below(rng, 0x400);

	if (slot < 0)
		return;
	model_show(m, slot, tid);
	m->size[slot] = size;
	got(r, tid + 1, SITE(OBJ_PLAIN, MALLOC), slot_addr(slot), size);
	fprintf(m->want, "%u malloc %" PRIx64 "+%" PRIu64 " a0\n", tid + 1, slot_addr(slot), size);
}

static void model_free(struct model *m, struct rig *r, struct rng *rng, unsigned tid)
{
	int slot = model_pick(m, rng, false);
	bool wrapped = rng_below(rng, 2);

	if (slot < 0)
		return;
	m->size[slot] = 0;
	if (wrapped) {
		freed(r, tid + 1, SITE(OBJ_WRAPPER, FREE), slot_addr(slot));
		freed_inner(r, tid + 1, SITE(OBJ_PLAIN, FREE), slot_addr(slot));
		m->nested++;
	} else {
		freed(r, tid + 1, SITE(OBJ_PLAIN, FREE), slot_addr(slot));
	}
	fprintf(m->want, "%u free %" PRIx64 "+0 a0\n", tid + 1, slot_addr(slot));
}

static void model_realloc_begin(struct model *m, struct rig *r, struct rng *rng, unsigned tid)
{
	struct model_thread *t = &m->threads[tid];
	int old = model_pick(m, rng, false);

	if (old < 0)
		return;
	*t = (struct model_thread){ .in_realloc = true, .old = old, .new = old, .size = 1 + rng_below(rng, 0x400) };
	switch (rng_below(rng, 4)) {
	case 0: t->size = 0; t->new = -1; break;          /* frees */
	case 1: t->size = 1ull << 45; t->new = -1; break; /* fails */
	case 2:
		t->new = model_pick(m, rng, true);
		if (t->new < 0)
			t->new = old;
		break;
	default: break; /* stays */
	}
	m->busy[old] = true;
	if (t->new >= 0)
		m->busy[t->new] = true;
	t->wrapped = rng_below(rng, 2);
	if (t->wrapped)
		given_up(r, tid + 1, SITE(OBJ_WRAPPER, REALLOC), slot_addr(old), t->size);
	given_up(r, tid + 1, SITE(OBJ_PLAIN, REALLOC), slot_addr(old), t->size);
}

/* The allocator lets go of the old block, somewhere in the call. */
static void model_realloc_release(struct model *m, struct model_thread *t)
{
	if (t->released || t->new == t->old || t->size == 1ull << 45)
		return;
	t->released = true;
	m->size[t->old] = 0;
	m->busy[t->old] = false;
}

static void model_realloc_end(struct model *m, struct rig *r, unsigned tid)
{
	struct model_thread *t = &m->threads[tid];
	uint64_t addr = t->new < 0 ? 0 : slot_addr(t->new);
	bool shown_free = t->shown && !t->size;

	model_realloc_release(m, t);
	t->in_realloc = false;
	if (!t->released)
		m->busy[t->old] = false;
	if (t->new >= 0) {
		model_show(m, t->new, tid);
		m->busy[t->new] = false;
		m->size[t->new] = t->size;
	}
	resized(r, tid + 1, SITE(OBJ_PLAIN, REALLOC), slot_addr(t->old), addr, t->size);
	if (!addr && !t->size && !shown_free)
		fprintf(m->want, "%u free %" PRIx64 "+0 a0\n", tid + 1, slot_addr(t->old));
	else if (addr || t->size)
		fprintf(m->want, "%u realloc %" PRIx64 "+%" PRIu64 " old=%" PRIx64 "%s a0\n", tid + 1, addr, t->size,
			slot_addr(t->old), addr ? "" : " failed");
}

static void model_step(struct model *m, struct rig *r, struct rng *rng)
{
	unsigned tid = (unsigned)rng_below(rng, THREADS);
	struct model_thread *t = &m->threads[tid];

	if (t->in_realloc && rng_below(rng, 2))
		model_realloc_release(m, t);
	else if (t->in_realloc)
		model_realloc_end(m, r, tid);
	else if (rng_below(rng, 3) == 0)
		model_realloc_begin(m, r, rng, tid);
	else if (rng_below(rng, 5) < 3)
		model_malloc(m, r, rng, tid);
	else
		model_free(m, r, rng, tid);
}

static void test_random_calls(void)
{
	struct rng rng = rng_seeded("ledger");

	for (int round = 0; round < 30; round++) {
		struct rig r = rig_open(false);
		struct model m = { 0 };
		struct ledger_totals totals;
		char *want = NULL, *text;
		size_t want_nbytes;

		m.want = open_memstream(&want, &want_nbytes);
		/* The wrapper never owns a block; a first event lets the ledger know that the other does. */
		for (int step = 0; step < 1500; step++)
			model_step(&m, &r, &rng);
		for (unsigned tid = 0; tid < THREADS; tid++)
			if (m.threads[tid].in_realloc)
				model_realloc_end(&m, &r, tid);
		fclose(m.want);
		text = rig_close(&r, &totals);
		CHECK_STR(text, want);
		CHECK_EQ(totals.unknown_frees + totals.implied_frees, 0);
		free(text);
		free(want);
	}
}

/* Records of any kind and order, as losses may leave them: what the tape says stays what its readers make of it. */
static void test_random_records_with_losses(void)
{
	struct rng rng = rng_seeded("ledger with losses");

	for (int round = 0; round < 40; round++) {
		struct rig r = rig_open(false);

		for (int step = 0; step < 1000; step++) {
			uint32_t tid = 1 + (uint32_t)rng_below(&rng, 5);
			uint64_t addr = 0x10000 + 0x80 * rng_below(&rng, 40), old = 0x10000 + 0x80 * rng_below(&rng, 40);
			uint64_t size = rng_below(&rng, 0x180);
			uint8_t obj = (uint8_t)rng_below(&rng, round % 3 + 1);

			switch (rng_below(&rng, 8)) {
			case 0:
			case 1: got(&r, tid, SITE(obj, MALLOC), addr, size); break;
			case 2: freed(&r, tid, SITE(obj, FREE), addr); break;
			case 3: freed_inner(&r, tid, SITE(obj, FREE), addr); break;
			case 4:
			case 5: given_up(&r, tid, SITE(obj, REALLOC), addr, size); break;
			case 6: resized(&r, tid, SITE(obj, REALLOC), old, rng_below(&rng, 4) ? addr : 0, size); break;
			default:
				thread(&r, HT_EV_THREAD, tid, rng_below(&rng, 2) ? HT_EVF_EXIT : HT_EVF_START, "t");
				if (!rng_below(&rng, 200))
					thread(&r, HT_EV_EXEC, tid, 0, "x");
			}
		}
		free(rig_close(&r, NULL));
	}
}

/* What lived before the start mark is known: by its address, by a pointer into it, and as its own allocator's. */
static void test_blocks_of_before(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;
	struct keyframe k;
	char *text;

	CHECK_EQ(ledger_found(r.ledger, 0, 0x1000, 40, 7, false), 0);
	CHECK_EQ(ledger_found(r.ledger, 0, 0x3000, 0x100, 7, true), 0);
	CHECK_EQ(ledger_found(r.ledger, 0, 0x2000, 0x100, 7, true), 0);
	CHECK_EQ(ledger_found(r.ledger, 0, 0x4000, 0x100, 7, true), 0);
	CHECK_EQ(tape_writer_start_late(r.writer), 0);
	CHECK_EQ(keyframe_encode(ledger_heap(r.ledger), NULL, 0, 1, &k), 0);
	CHECK_EQ(tape_writer_keyframe(r.writer, k.blocks.data, k.blocks.nbytes, k.stacks, k.nr_stacks), 0);
	keyframe_free(&k);
	freed(&r, 1, SITE(1, FREE), 0x1000); /* a wrapper's, whose owner's follows */
	freed_inner(&r, 1, SITE(0, FREE), 0x1000);
	freed(&r, 1, SITE(0, FREE), 0x2040); /* an aligned block: its program knows a pointer into it */
	freed(&r, 1, SITE(0, FREE), 0x2040); /* it is gone */
	given_up(&r, 1, SITE(0, REALLOC), 0x3080, 10);
	got(&r, 2, SITE(0, MALLOC), 0x3000, 8); /* before the realloc ends */
	resized(&r, 1, SITE(0, REALLOC), 0x3080, 0x5000, 10);
	freed(&r, 1, SITE(0, FREE), 0x1010); /* into a block whose pointer is its start, and behind one: unknown */
	freed(&r, 1, SITE(0, FREE), 0x4100);
	text = rig_close(&r, &totals);
	CHECK_STR(text, "7 malloc 1000+40 unknown a0\n"
			"7 malloc 2000+256 unknown a0\n"
			"7 malloc 3000+256 unknown a0\n"
			"7 malloc 4000+256 unknown a0\n"
			"1 free 1000+0 a0\n"
			"1 free 2000+0 a0\n"
			"1 free 2040+0 unknown a0\n"
			"1 give_up 3000+0 a0\n"
			"2 malloc 3000+8 a0\n"
			"1 realloc 5000+10 old=3000 a0\n"
			"1 free 1010+0 unknown a0\n"
			"1 free 4100+0 unknown a0\n");
	CHECK_EQ(totals.unknown_frees, 3);
	CHECK_EQ(totals.implied_frees, 0);
	CHECK_EQ(totals.live_objects, 3);
	free(text);
}

/* ---- allocators that the user has described: calls made of captures ---- */

/* A call that began `ago` ns before it ends; whether it was told at another level. */
static int put_call(struct rig *r, uint32_t tid, uint64_t ago, struct tape_event ev)
{
	struct ht_ev_head at = head(r, HT_EV_CAPTURE, tid, 0, 0);

	ev.stack = TAPE_NO_STACK;
	return ledger_put_call(r->ledger, r->cpu, &at, &ev, at.ts - ago);
}

static int born(struct rig *r, uint32_t tid, uint64_t ago, uint8_t alloc, uint64_t addr, uint64_t size)
{
	return put_call(r, tid, ago, (struct tape_event){ .kind = TAPE_MALLOC, .alloc = alloc, .addr = addr, .size = size });
}

static int ended(struct rig *r, uint32_t tid, uint8_t alloc, uint64_t addr)
{
	return put_call(r, tid, 0, (struct tape_event){ .kind = TAPE_FREE, .alloc = alloc, .addr = addr });
}

static int moved(struct rig *r, uint32_t tid, uint64_t ago, uint8_t alloc, uint64_t old, uint64_t addr, uint64_t size)
{
	return put_call(r, tid, ago, (struct tape_event){ .kind = TAPE_REALLOC, .alloc = alloc, .old = old, .addr = addr, .size = size });
}

/* A header in front: each block is another's, with an object inside. */
static void test_described_with_a_header(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x1000, 116);
	CHECK_EQ(born(&r, 1, 15, 1, 0x1010, 100), 0);
	given_up(&r, 1, SITE(0, REALLOC), 0x1000, 216);
	resized(&r, 1, SITE(0, REALLOC), 0x1000, 0x3000, 216);
	CHECK_EQ(moved(&r, 1, 25, 1, 0x1010, 0x3010, 200), 0);
	CHECK_EQ(ended(&r, 2, 1, 0x3010), 0);
	freed(&r, 2, SITE(0, FREE), 0x3000);
	CHECK_EQ(born(&r, 1, 0, 1, 0, 1ull << 40), 0);
	rig_expect(&r, "1 malloc 1000+116 a0\n"
		       "1 malloc 1010+100 sub a1\n"
		       "1 realloc 3000+216 old=1000 a0\n"
		       "1 realloc 3010+200 old=1010 sub a1\n"
		       "2 free 3010+0 sub a1\n"
		       "2 free 3000+0 a0\n"
		       "1 malloc 0+1099511627776 failed a1\n");
}

/* The block that an inner call has given is handed on: counted, and no event. */
static void test_described_wrapper(void)
{
	struct rig r = rig_open(false);
	struct ledger_totals totals;
	char *text;

	got(&r, 1, SITE(0, MALLOC), 0x1000, 100);
	CHECK_EQ(born(&r, 1, 15, 1, 0x1000, 100), 1);
	CHECK_EQ(ended(&r, 1, 1, 0x1000), 1);
	freed(&r, 1, SITE(0, FREE), 0x1000);
	/* Rounded up. */
	got(&r, 1, SITE(0, MALLOC), 0x2000, 128);
	CHECK_EQ(born(&r, 1, 15, 1, 0x2000, 65), 1);
	/* Another thread's: no inner call. */
	got(&r, 2, SITE(0, MALLOC), 0x3000, 64);
	CHECK_EQ(born(&r, 1, 15, 1, 0x3000, 64), 0);
	/* Before this call began: out of a cache. */
	got(&r, 1, SITE(0, MALLOC), 0x4000, 64);
	CHECK_EQ(born(&r, 1, 5, 1, 0x4000, 64), 0);
	CHECK_EQ(ended(&r, 1, 1, 0x4000), 0);
	ledger_end(r.ledger, r.now);
	text = rig_close(&r, &totals);
	CHECK_STR(text, "1 malloc 1000+100 a0\n"
			"1 free 1000+0 a0\n"
			"1 malloc 2000+128 a0\n"
			"2 malloc 3000+64 a0\n"
			"1 malloc 3000+64 sub a1\n"
			"1 malloc 4000+64 a0\n"
			"1 malloc 4000+64 sub a1\n"
			"1 free 4000+0 sub a1\n"
			"0 counter 0+3\n"
			"0 mark arg=1\n");
	CHECK_EQ(totals.sub, 3);
	free(text);
}

/* A chunk whose first object begins where it does is no wrapper's block; freed whole, its places are another's. */
static void test_described_pool(void)
{
	struct rig r = rig_open(false);

	got(&r, 1, SITE(0, MALLOC), 0x10000, 16384);
	CHECK_EQ(born(&r, 1, 15, 1, 0x10000, 100), 0);
	CHECK_EQ(born(&r, 1, 5, 1, 0x10080, 100), 0);
	CHECK_EQ(ended(&r, 1, 1, 0x10080), 0);
	freed(&r, 1, SITE(0, FREE), 0x10000);
	/* 10000 was left behind. Now a block of the other level stands there, and a wrapper's free names it. */
	got(&r, 1, SITE(0, MALLOC), 0x10000, 64);
	CHECK_EQ(ended(&r, 1, 1, 0x10000), 1);
	freed(&r, 1, SITE(0, FREE), 0x10000);
	rig_expect(&r, "1 malloc 10000+16384 a0\n"
		       "1 malloc 10000+100 sub a1\n"
		       "1 malloc 10080+100 sub a1\n"
		       "1 free 10080+0 sub a1\n"
		       "1 free 10000+0 a0\n"
		       "1 malloc 10000+64 a0\n"
		       "1 free 10000+0 a0\n");
}

/* Memory that nobody else tells of: objects of the first level. Births from before are unknown, or inside of what is known. */
static void test_described_alone_and_from_before(void)
{
	struct rig r = rig_open(false);

	CHECK_EQ(born(&r, 1, 5, 1, 0x1000, 64), 0);
	got(&r, 1, SITE(0, MALLOC), 0x8000, 512);
	CHECK_EQ(ended(&r, 1, 1, 0x8010), 0);
	CHECK_EQ(ended(&r, 1, 1, 0x9000), 0);
	CHECK_EQ(ended(&r, 1, 1, 0x1000), 0);
	/* Out of its own memory into a block of the other's, which hands it on, and back. */
	CHECK_EQ(born(&r, 1, 5, 1, 0x2000, 64), 0);
	got(&r, 1, SITE(0, MALLOC), 0xa000, 600);
	CHECK_EQ(moved(&r, 1, 15, 1, 0x2000, 0xa000, 600), 1);
	CHECK_EQ(ended(&r, 1, 1, 0x2000), 0);
	rig_expect(&r, "1 malloc 1000+64 a1\n"
		       "1 malloc 8000+512 a0\n"
		       "1 free 8010+0 sub a1\n"
		       "1 free 9000+0 unknown a1\n"
		       "1 free 1000+0 a1\n"
		       "1 malloc 2000+64 a1\n"
		       "1 malloc a000+600 a0\n"
		       "1 free 2000+0 a1\n");
}

int main(void)
{
	test_blocks_of_before();
	test_simple_calls();
	test_described_with_a_header();
	test_described_wrapper();
	test_described_pool();
	test_described_alone_and_from_before();
	test_realloc_in_place_moving_null_and_failed();
	test_realloc_to_zero_that_keeps_a_block();
	test_realloc_race_is_written_just_before_the_reuse();
	test_give_up_only_for_others();
	test_branch_of_a_fork();
	test_realloc_to_zero_race();
	test_failed_realloc_after_its_give_up();
	test_realloc_end_lost();
	test_wrappers_free_before_the_owners();
	test_unknown_block_freed_at_two_levels_is_one_event();
	test_sub_allocations();
	test_sub_allocations_left_behind();
	test_wrappers_free_of_a_sub_allocation();
	test_realloc_across_levels();
	test_cover_follows_a_realloc_race();
	test_unknown_and_implied_frees();
	test_alignment_of_mallocx();
	test_steer_names();
	test_records_before_the_start_mark();
	test_times_count_from_the_mark();
	test_thread_names();
	test_exec_ends_all();
	test_losses_and_resident_set();
	test_record_of_no_known_type();
	test_thread_table_grows();
	test_thread_table_grows_within_a_record();
	test_who_mapped_it();
	test_code_mapped_from_a_file();
	test_munmap_race();
	test_munmap_without_a_race_and_refused();
	test_madvise_with_a_fault_in_between();
	test_brk_grows_and_shrinks();
	test_mremap_moves_its_owner();
	test_mremap_race();
	test_random_calls();
	test_random_records_with_losses();
	return check_done();
}
