/* SPDX-License-Identifier: BSD-2-Clause */
/* What lies around the allocator, against a table with one row a page: random mappings, faults, drops, moves. */
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"
#include "replay/around.h"
#include "xorshift.h"

#define PAGE 4096ull
#define BASE 0x7f1200000000ull /* the last pages lie behind a 2 MiB line */

enum { PAGES = 1200, ROUNDS = 300, EVENTS = 400 };
enum owner { NOBODY, ALLOCATOR, PROGRAM };

/* mapping: a number of its own for each mapping, and for each part that is left of it. */
static struct { enum owner owner; bool resident; unsigned mapping; } pages[PAGES];
static unsigned nr_mappings;
static struct around *around;
static struct touch *touch;
static bool from_exec;

static bool counts(enum owner owner)
{
	return owner == PROGRAM || (owner == NOBODY && from_exec);
}

static uint64_t expected(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < PAGES; i++)
		sum += counts(pages[i].owner) && pages[i].resident ? PAGE : 0;
	return sum;
}

static void set(uint64_t first, uint64_t nr, enum owner owner)
{
	unsigned behind = first + nr < PAGES ? pages[first + nr].mapping : 0;

	nr_mappings++;
	for (uint64_t i = first; i < first + nr; i++) {
		pages[i].owner = owner;
		pages[i].resident = false;
		pages[i].mapping = nr_mappings;
	}
	nr_mappings++;
	for (uint64_t i = first + nr; i < PAGES && behind && pages[i].mapping == behind; i++)
		pages[i].mapping = nr_mappings;
}

static void tell(const struct tape_event *ev)
{
	CHECK_EQ(around_event(around, touch, ev), 0);
	switch (ev->kind) {
	case TAPE_MMAP: CHECK_EQ(touch_map(touch, ev->addr, ev->size), 0); break;
	case TAPE_MUNMAP: CHECK_EQ(touch_unmap(touch, ev->addr, ev->size), 0); break;
	case TAPE_MADVISE: CHECK_EQ(touch_drop(touch, ev->addr, ev->size), 0); break;
	case TAPE_MREMAP: CHECK_EQ(touch_move(touch, ev->old, ev->arg, ev->addr, ev->size), 0); break;
	default: break;
	}
}

static void map(uint64_t first, uint64_t nr)
{
	bool by_program = next_random(2), shared = next_random(8) == 0;
	struct tape_event ev = { .kind = TAPE_MMAP, .addr = BASE + first * PAGE, .size = nr * PAGE - next_random(2) * 100,
				 .arg = 3 | (shared ? 1ull : 0x22ull) << 32,
				 .flags = (uint8_t)((by_program ? TAPE_BY_PROGRAM : TAPE_BY_ALLOCATOR) << TAPE_BY_SHIFT) };

	tell(&ev);
	/* Shared memory is not anonymous: like the allocator's, it is not counted here. */
	set(first, nr, by_program && !shared ? PROGRAM : ALLOCATOR);
}

/* Whole mappings of one owner move, as the kernel has it, to where nothing is. */
static void move(uint64_t first, uint64_t nr)
{
	uint64_t to = first + nr, nr_to = nr + next_random(3);
	enum owner owner = pages[first].owner;

	if (to + nr_to > PAGES || owner == NOBODY)
		return;
	for (uint64_t i = first; i < first + nr; i++)
		if (pages[i].owner != owner)
			return;
	tell(&(struct tape_event){ .kind = TAPE_MREMAP, .old = BASE + first * PAGE, .arg = nr * PAGE, .addr = BASE + to * PAGE,
				   .size = nr_to * PAGE });
	set(to, nr_to, owner);
	for (uint64_t i = 0; i < nr_to; i++) {
		pages[to + i].owner = owner;
		pages[to + i].resident = i < nr && pages[first + i].resident;
	}
	set(first, nr, NOBODY);
}

/* The mapping that an object lies in, as it was made and as far as it is left. */
static void turn_over(uint64_t page)
{
	unsigned mapping = pages[page].mapping;

	if (pages[page].owner != PROGRAM)
		return;
	for (uint64_t i = page; i < PAGES && pages[i].mapping == mapping; i++)
		pages[i].owner = ALLOCATOR;
	for (uint64_t i = page; i-- && pages[i].mapping == mapping;)
		pages[i].owner = ALLOCATOR;
}

static void one_event(void)
{
	uint64_t first = next_random(PAGES), nr = 1 + next_random(PAGES - first < 60 ? PAGES - first : 60);

	switch (next_random(8)) {
	case 0: map(first, nr); break;
	case 1:
		tell(&(struct tape_event){ .kind = TAPE_MUNMAP, .addr = BASE + first * PAGE, .size = nr * PAGE });
		set(first, nr, NOBODY);
		break;
	case 2:
		tell(&(struct tape_event){ .kind = TAPE_MADVISE, .addr = BASE + first * PAGE, .size = nr * PAGE, .arg = 4 });
		for (uint64_t i = first; i < first + nr; i++)
			pages[i].resident = false;
		break;
	case 3: move(first, nr); break;
	case 4:
		around_object(around, touch, BASE + first * PAGE + next_random(PAGE));
		turn_over(first);
		break;
	default: {
		uint32_t slot;
		uint64_t offset, addr = BASE + first * PAGE + next_random(PAGE);

		around_fault(around, touch, addr);
		CHECK_EQ(touch_fault(touch, addr, &slot, &offset), 0);
		pages[first].resident = true;
	}
	}
}

static void test_random(void)
{
	for (int round = 0; round < ROUNDS; round++) {
		from_exec = round % 2;
		memset(pages, 0, sizeof(pages));
		around = around_new(from_exec);
		touch = touch_new();
		for (int i = 0; i < EVENTS; i++) {
			one_event();
			CHECK_EQ(around_nbytes(around), expected());
		}
		around_free(around);
		touch_free(touch);
	}
}

/* The heap that brk gives is the allocator's, whoever is told to have asked; a new program has nothing of the old one. */
static void test_brk_and_exec(void)
{
	around = around_new(true);
	touch = touch_new();
	around_fault(around, touch, BASE);
	touch_map(touch, 0, 0);
	CHECK_EQ(around_nbytes(around), PAGE);
	tell(&(struct tape_event){ .kind = TAPE_BRK, .old = BASE + 16 * PAGE, .addr = BASE + 32 * PAGE });
	around_fault(around, touch, BASE + 20 * PAGE);
	CHECK_EQ(around_nbytes(around), PAGE);
	tell(&(struct tape_event){ .kind = TAPE_EXEC });
	CHECK_EQ(around_nbytes(around), 0);
	around_free(around);
	touch_free(touch);
}

int main(void)
{
	test_random();
	test_brk_and_exec();
	return check_done();
}
