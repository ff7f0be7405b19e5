/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Marks and the shadow model of full runs. Both are bitmaps over the address space in blocks made on demand:
 * marks tell which pages have held an object, the shadow which 8-byte units lie in a live object. A unit that
 * is claimed twice means that two live objects overlap. The model also writes each object's first and last
 * word, by address and size, and expects them back.
 */
#include <string.h>

#include "replay/player.h"

#define MARK_PAGE_SHIFT 12
#define MARK_BLOCK_SHIFT 30
#define SHADOW_UNIT_SHIFT 3
#define SHADOW_BLOCK_SHIFT 26
#define ADDRESS_BITS 47
#define CALLOC_CHECKED_NBYTES 65536u /* larger ones are checked at both ends */

/* Number of the block for dir entry `i`, made if there is none; UINT32_MAX when all are used. */
static uint32_t block_of(struct marks_dir *dir, uint64_t i, uint32_t nr_max)
{
	uint32_t block = atomic_load(&dir->block[i]);
	if (block)
		return block - 1;
	uint32_t fresh = atomic_fetch_add(&dir->nr_blocks, 1);
	if (fresh >= nr_max)
		return UINT32_MAX;
	/* Who comes second leaves a block unused. */
	return atomic_compare_exchange_strong(&dir->block[i], &block, fresh + 1) ? fresh : block - 1;
}

static _Noreturn void fail_marks(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size)
{
	player_fail(r, op, &(struct player_failure){ .error = CONTROL_ERR_MARKS, .addr = addr, .size = size });
}

void player_mark_held(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size)
{
	uint64_t first = addr >> MARK_PAGE_SHIFT, last = (addr + (size ? size - 1 : 0)) >> MARK_PAGE_SHIFT;
	for (uint64_t page = first; page <= last; page++) {
		uint64_t dir = page >> (MARK_BLOCK_SHIFT - MARK_PAGE_SHIFT);
		uint32_t block = dir < MARKS_DIR_NR ? block_of(player.marks_dir, dir, MARKS_BLOCKS_MAX) : UINT32_MAX;
		if (block == UINT32_MAX)
			fail_marks(r, op, addr, size);
		uint64_t bit = page & ((1ull << (MARK_BLOCK_SHIFT - MARK_PAGE_SHIFT)) - 1);
		_Atomic uint8_t *byte = (_Atomic uint8_t *)(player.marks + (uint64_t)block * MARKS_BLOCK_NBYTES + bit / 8);
		if (!(atomic_load_explicit(byte, memory_order_relaxed) >> bit % 8 & 1))
			atomic_fetch_or_explicit(byte, (uint8_t)(1u << bit % 8), memory_order_relaxed);
	}
}

/* ---- shadow ---- */

/* Sets (or clears) the bits of [first, last], which lie in one 64-bit word; false if one was set (clear) already. */
static bool change_bits(_Atomic uint64_t *word, unsigned first, unsigned last, bool set)
{
	uint64_t mask = (~0ull >> (63 - (last - first))) << first;
	uint64_t before = set ? atomic_fetch_or(word, mask) : atomic_fetch_and(word, ~mask);
	return set ? !(before & mask) : (before & mask) == mask;
}

static bool change_units(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size, bool set)
{
	uint64_t unit = addr >> SHADOW_UNIT_SHIFT, last = (addr + (size ? size - 1 : 0)) >> SHADOW_UNIT_SHIFT;
	const uint64_t per_block = 1ull << (SHADOW_BLOCK_SHIFT - SHADOW_UNIT_SHIFT);
	bool clean = true;
	while (unit <= last) {
		uint64_t dir = unit / per_block, in_block = unit % per_block;
		uint32_t block = dir < SHADOW_DIR_NR ? block_of(player.shadow_dir, dir, SHADOW_BLOCKS_MAX) : UINT32_MAX;
		if (block == UINT32_MAX)
			fail_marks(r, op, addr, size);
		_Atomic uint64_t *words = (_Atomic uint64_t *)(player.shadow + (uint64_t)block * SHADOW_BLOCK_NBYTES);
		uint64_t left = last - unit, in_word = 63 - in_block % 64;
		uint64_t nr = left < in_word ? left : in_word;
		clean &= change_bits(&words[in_block / 64], (unsigned)(in_block % 64), (unsigned)(in_block % 64 + nr), set);
		unit += nr + 1;
	}
	return clean;
}

static uint64_t pattern(uint64_t addr, uint64_t size)
{
	return (addr * 0x9e3779b97f4a7c15ull) ^ size;
}

/*
 * Looks for the words that were written when the object lay at was_addr with was_size bytes; `kept` of these
 * are to be found at addr. Below 16 bytes the second word went over the first.
 */
static void check_ends(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t kept, uint64_t was_addr,
		       uint64_t was_size)
{
	uint64_t word = pattern(was_addr, was_size);
	uint64_t nbytes = was_size < sizeof(word) ? was_size : sizeof(word);
	bool first = was_size >= 2 * sizeof(word) && kept >= sizeof(word) && memcmp((void *)addr, &word, nbytes) != 0;
	bool last = kept == was_size && memcmp((void *)(addr + was_size - nbytes), &word, nbytes) != 0;
	if (first || last)
		player_fail(r, op, &(struct player_failure){ .error = CONTROL_ERR_CORRUPT, .addr = addr, .size = was_size,
							     .other = first ? addr : addr + was_size - nbytes });
}

static void check_zero(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size)
{
	const uint8_t *bytes = (const uint8_t *)addr;
	for (uint64_t i = 0; i < size; i++) {
		if (i == CALLOC_CHECKED_NBYTES / 2 && size > CALLOC_CHECKED_NBYTES)
			i = size - CALLOC_CHECKED_NBYTES / 2;
		if (bytes[i])
			player_fail(r, op, &(struct player_failure){ .error = CONTROL_ERR_CORRUPT, .addr = addr,
								     .size = size, .other = addr + i });
	}
}

/* The alignment asked for; else 16, or 8 for what is smaller than 16 bytes, as all four allocators have it. */
static void check_align(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size)
{
	uint64_t align = size < 16 ? 8 : 16;
	if (op->kind != PLAN_REALLOC && op->align_log2 && 1ull << op->align_log2 > align)
		align = 1ull << op->align_log2;
	if (op->kind == PLAN_VALLOC || op->kind == PLAN_PVALLOC)
		align = PLAN_PAGE;
	if (addr % align)
		player_fail(r, op, &(struct player_failure){ .error = CONTROL_ERR_MISALIGNED, .addr = addr, .size = size,
							     .align = align });
}

static void claim(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size)
{
	check_align(r, op, addr, size);
	if (addr >> ADDRESS_BITS || !change_units(r, op, addr, size, true))
		player_fail(r, op, &(struct player_failure){ .error = CONTROL_ERR_OVERLAP, .addr = addr, .size = size });
}

void verify_birth(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size)
{
	claim(r, op, addr, size);
	if (op->kind == PLAN_CALLOC)
		check_zero(r, op, addr, size);
}

void verify_touched(uint64_t addr, uint64_t size)
{
	uint64_t word = pattern(addr, size);
	uint64_t nbytes = size < sizeof(word) ? size : sizeof(word);
	if (!size)
		return;
	memcpy((void *)addr, &word, nbytes);
	memcpy((void *)(addr + size - nbytes), &word, nbytes);
}

/* Before the free, and before a realloc: the memory may be another's right after. */
void verify_death(const struct run *r, const struct plan_op *op, uint64_t addr, uint64_t size)
{
	if (size)
		check_ends(r, op, addr, size, addr, size);
	if (!change_units(r, op, addr, size, false))
		player_fail(r, op, &(struct player_failure){ .error = CONTROL_ERR_OVERLAP, .addr = addr, .size = size });
}

void verify_realloc(const struct run *r, const struct plan_op *op, uint64_t old, uint64_t old_size, uint64_t addr,
		    uint64_t size)
{
	if (!addr)
		return;
	claim(r, op, addr, size);
	if (old && old_size)
		check_ends(r, op, addr, old_size < size ? old_size : size, old, old_size);
}
