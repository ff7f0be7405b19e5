/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages against a table with one row a page and a list of objects: every figure after every event. */
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"
#include "formats/pages.h"
#include "xorshift.h"

#define PAGE 4096ull
#define BASE 0x7f1200000000ull

enum { PAGES = 900, ROUNDS = 200, EVENTS = 300, OBJECTS = 300 };
enum owner { NOBODY, ALLOCATOR, PROGRAM, SHARED };

static struct { enum owner owner; bool resident, held; unsigned mapping; } table[PAGES];
static struct { uint64_t addr, nbytes; } objects[OBJECTS];
static unsigned nr_objects, nr_mappings;
static struct pages *pages;
static bool from_exec;

static uint64_t live_on(uint64_t page)
{
	uint64_t sum = 0, start = BASE + page * PAGE;

	for (unsigned i = 0; i < nr_objects; i++) {
		uint64_t from = objects[i].addr > start ? objects[i].addr : start;
		uint64_t end = objects[i].addr + objects[i].nbytes, to = end < start + PAGE ? end : start + PAGE;

		sum += to > from ? to - from : 0;
	}
	return sum;
}

static void check_split(void)
{
	struct pages_split want = { 0 };

	for (uint64_t i = 0; i < PAGES; i++) {
		uint64_t live = live_on(i);
		bool around = !table[i].held && (table[i].owner == PROGRAM || (table[i].owner == NOBODY && from_exec));

		if (!table[i].resident) {
			want.unresident += live;
		} else if (around) {
			want.around += PAGE;
		} else {
			want.resident += PAGE;
			want.requested += live;
			want.holes += live ? PAGE - live : 0;
			want.retained += !live && table[i].held ? PAGE : 0;
			want.metadata += !live && !table[i].held ? PAGE : 0;
		}
	}
	CHECK(!memcmp(&want, pages_split(pages), sizeof(want)));
	CHECK_EQ(want.requested + want.holes + want.retained + want.metadata, want.resident);
}

/* A range becomes one mapping; what is left of another one behind it is a mapping of its own. */
static void remap(uint64_t first, uint64_t nr, enum owner owner)
{
	unsigned behind = first + nr < PAGES ? table[first + nr].mapping : 0;

	nr_mappings++;
	for (uint64_t i = first; i < first + nr; i++) {
		table[i].owner = owner;
		table[i].resident = table[i].held = false;
		table[i].mapping = nr_mappings;
	}
	nr_mappings++;
	for (uint64_t i = first + nr; i < PAGES && behind && table[i].mapping == behind; i++)
		table[i].mapping = nr_mappings;
}

static void tell(const struct tape_event *ev)
{
	CHECK_EQ(pages_event(pages, ev), 0);
}

static void map(uint64_t first, uint64_t nr)
{
	bool by_program = next_random(2), shared = by_program && next_random(4) == 0;

	tell(&(struct tape_event){ .kind = TAPE_MMAP, .addr = BASE + first * PAGE, .size = nr * PAGE - next_random(2) * 100,
				   .arg = 3 | (shared ? 1ull : 0x22ull) << 32,
				   .flags = (uint8_t)((by_program ? TAPE_BY_PROGRAM : TAPE_BY_ALLOCATOR) << TAPE_BY_SHIFT) });
	remap(first, nr, shared ? SHARED : by_program ? PROGRAM : ALLOCATOR);
}

static void turn_over(uint64_t page)
{
	unsigned mapping = table[page].mapping;

	if (table[page].owner != PROGRAM)
		return;
	for (uint64_t i = page; i < PAGES && table[i].mapping == mapping; i++)
		table[i].owner = ALLOCATOR;
	for (uint64_t i = page; i-- && table[i].mapping == mapping;)
		table[i].owner = ALLOCATOR;
}

static bool is_taken(uint64_t addr, uint64_t nbytes)
{
	for (unsigned i = 0; i < nr_objects; i++)
		if (addr < objects[i].addr + objects[i].nbytes && objects[i].addr < addr + nbytes)
			return true;
	return false;
}

static void birth(uint64_t first)
{
	uint64_t addr = BASE + first * PAGE + next_random(PAGE), nbytes = 1 + next_random(next_random(4) ? 600 : 50000);
	uint64_t last;

	if (nr_objects == OBJECTS || addr + nbytes > BASE + PAGES * PAGE || is_taken(addr, nbytes))
		return;
	CHECK_EQ(pages_birth(pages, addr, nbytes), 0);
	last = (addr + nbytes - 1 - BASE) / PAGE;
	for (uint64_t i = (addr - BASE) / PAGE; i <= last; i++) {
		bool older = nbytes <= 32768 && !from_exec && table[i].owner == NOBODY;

		turn_over(i);
		/* No mapping on the tape made the page: it is there if a small object is written on it. */
		table[i].resident |= older;
		table[i].held |= table[i].resident;
	}
	objects[nr_objects].addr = addr;
	objects[nr_objects++].nbytes = nbytes;
}

static void death(void)
{
	unsigned i = (unsigned)next_random(nr_objects ? nr_objects : 1);

	if (!nr_objects)
		return;
	pages_death(pages, objects[i].addr, objects[i].nbytes);
	objects[i] = objects[--nr_objects];
}

static void fault(uint64_t page)
{
	tell(&(struct tape_event){ .kind = TAPE_FAULT, .addr = BASE + page * PAGE + next_random(PAGE) });
	if (table[page].owner == SHARED)
		return;
	table[page].held |= !table[page].resident && live_on(page);
	table[page].resident = true;
}

static void move(uint64_t first, uint64_t nr)
{
	uint64_t to = first + nr;

	for (uint64_t i = first; i < first + nr; i++)
		if (table[i].owner != table[first].owner || table[i].owner == NOBODY || table[i].owner == SHARED)
			return;
	if (to + nr > PAGES)
		return;
	tell(&(struct tape_event){ .kind = TAPE_MREMAP, .old = BASE + first * PAGE, .arg = nr * PAGE, .addr = BASE + to * PAGE,
				   .size = nr * PAGE });
	remap(to, nr, table[first].owner);
	for (uint64_t i = 0; i < nr; i++) {
		table[to + i].resident = table[first + i].resident;
		table[to + i].held = table[first + i].held;
	}
	remap(first, nr, NOBODY);
}

static void one_event(void)
{
	uint64_t first = next_random(PAGES), nr = 1 + next_random(PAGES - first < 60 ? PAGES - first : 60);

	switch (next_random(12)) {
	case 0: map(first, nr); break;
	case 1:
		tell(&(struct tape_event){ .kind = TAPE_MUNMAP, .addr = BASE + first * PAGE, .size = nr * PAGE });
		remap(first, nr, NOBODY);
		break;
	case 2:
		tell(&(struct tape_event){ .kind = TAPE_MADVISE, .addr = BASE + first * PAGE, .size = nr * PAGE, .arg = 4 });
		for (uint64_t i = first; i < first + nr; i++)
			table[i].resident = table[i].held = false;
		break;
	case 3: move(first, nr); break;
	case 4:
	case 5:
	case 6: birth(first); break;
	case 7:
	case 8: death(); break;
	default: fault(first); break;
	}
}

static int count_region(void *arg, const struct pages_region *r)
{
	uint64_t *sum = arg;

	for (int i = 0; i < 512; i++)
		*sum += r->flags[i] & PAGES_RESIDENT && !(r->flags[i] & PAGES_AROUND) ? PAGE : 0;
	return 0;
}

static void test_random(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t resident = 0;

		from_exec = round % 2;
		memset(table, 0, sizeof(table));
		nr_objects = 0;
		pages = pages_new(from_exec);
		for (int i = 0; i < EVENTS; i++) {
			one_event();
			check_split();
		}
		pages_each_region(pages, count_region, &resident);
		CHECK_EQ(resident, pages_split(pages)->resident);
		pages_free(pages);
	}
}

/* What no tape should hold changes nothing. */
static void test_hostile(void)
{
	pages = pages_new(true);
	CHECK_EQ(pages_birth(pages, UINT64_MAX - 10, 100), 0);
	CHECK_EQ(pages_birth(pages, 0, UINT64_MAX), 0);
	pages_death(pages, UINT64_MAX, 5);
	tell(&(struct tape_event){ .kind = TAPE_MMAP, .addr = UINT64_MAX - 5000, .size = 100000 });
	tell(&(struct tape_event){ .kind = TAPE_MADVISE, .addr = UINT64_MAX, .size = UINT64_MAX, .arg = 4 });
	tell(&(struct tape_event){ .kind = TAPE_MREMAP, .old = UINT64_MAX - 1, .arg = UINT64_MAX, .addr = 5, .size = UINT64_MAX });
	tell(&(struct tape_event){ .kind = TAPE_FAULT, .addr = UINT64_MAX });
	tell(&(struct tape_event){ .kind = TAPE_MUNMAP, .addr = 0, .size = 1ull << 47 });
	CHECK_EQ(pages_split(pages)->resident, 0);
	tell(&(struct tape_event){ .kind = TAPE_EXEC });
	pages_free(pages);
	pages_free(NULL);
}

int main(void)
{
	test_random();
	test_hostile();
	return check_done();
}
