/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tape_maker.h - makes tapes of programs that never ran, for the tests of replay.
 *
 * Keeps a heap of its own: addresses are handed out as an allocator might, and reused at once, so that plans
 * have to get lifetimes right. Everything follows from the seed.
 */
#ifndef HEAPTAPE_TEST_TAPE_MAKER_H
#define HEAPTAPE_TEST_TAPE_MAKER_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/tape.h"

#define MAKER_PID 1000u
#define MAKER_HEAP 0x7f0000000000ull
#define MAKER_STRIDE_LOG2 21 /* an object has 2 MiB of addresses for itself */

struct maker_object {
	uint64_t addr, size;
	uint32_t tid;
};

struct maker {
	struct tape_writer *w;
	uint64_t ns, rng, step_ns;
	struct maker_object *objects; /* live ones, in no order */
	size_t nr, max;
	uint64_t *free_addrs;
	size_t nr_free, free_max;
	uint64_t next_addr, nr_calls, live_nbytes;
	uint16_t cpu;
	uint8_t alloc;
};

static inline void maker_die(const char *what, int err)
{
	fprintf(stderr, "tape_maker: %s: %s\n", what, strerror(-err));
	exit(1);
}

static inline uint64_t maker_random(struct maker *m)
{
	m->rng ^= m->rng << 13;
	m->rng ^= m->rng >> 7;
	m->rng ^= m->rng << 17;
	return m->rng;
}

static inline uint64_t maker_below(struct maker *m, uint64_t n)
{
	return maker_random(m) % n;
}

static inline void maker_open(struct maker *m, const char *path, uint64_t seed, unsigned cpus)
{
	struct tape_writer_opts opts = { .overwrite = true, .time_unit_ns = 1 };
	struct tape_allocator glibc = { "glibc", "/lib/x86_64-linux-gnu/libc.so.6", "" };
	*m = (struct maker){ .rng = seed * 0x9e3779b97f4a7c15ull | 1, .step_ns = 1000, .next_addr = MAKER_HEAP };
	int err = tape_writer_open(path, &opts, &m->w);
	if (err)
		maker_die(path, err);
	tape_writer_meta_u64(m->w, "target.pid", MAKER_PID);
	tape_writer_meta_u64(m->w, "machine.cpus", cpus);
	tape_writer_meta_u64(m->w, "machine.page_size", 4096);
	tape_writer_meta_u64(m->w, "start_unix_ns", 1700000000000000000ull);
	tape_writer_allocator(m->w, &glibc, &m->alloc);
}

static inline void maker_event(struct maker *m, struct tape_event ev)
{
	m->ns += m->step_ns;
	ev.ns = m->ns;
	ev.cpu = m->cpu;
	ev.alloc = tape_kind_is_call(ev.kind) ? m->alloc : TAPE_NO_ALLOC;
	int err = tape_writer_add(m->w, &ev);
	if (err)
		maker_die("writing an event", err);
}

static inline void maker_close(struct maker *m)
{
	tape_writer_meta_u64(m->w, "duration_ns", m->ns);
	int err = tape_writer_close(m->w);
	if (err)
		maker_die("closing", err);
	free(m->objects);
	free(m->free_addrs);
}

static inline uint64_t maker_take_addr(struct maker *m)
{
	if (m->nr_free)
		return m->free_addrs[--m->nr_free];
	m->next_addr += 1ull << MAKER_STRIDE_LOG2;
	return m->next_addr;
}

static inline void maker_give_addr(struct maker *m, uint64_t addr)
{
	if (m->nr_free == m->free_max) {
		m->free_max = m->free_max ? m->free_max * 2 : 1024;
		m->free_addrs = reallocarray(m->free_addrs, m->free_max, sizeof(*m->free_addrs));
	}
	m->free_addrs[m->nr_free++] = addr;
}

/* A birth of any kind by a thread; its address. */
static inline uint64_t maker_birth(struct maker *m, uint32_t tid, uint8_t kind, uint64_t size, uint64_t align)
{
	if (m->nr == m->max) {
		m->max = m->max ? m->max * 2 : 1024;
		m->objects = reallocarray(m->objects, m->max, sizeof(*m->objects));
	}
	uint64_t addr = maker_take_addr(m);
	m->objects[m->nr++] = (struct maker_object){ addr, size, tid };
	m->live_nbytes += size;
	m->nr_calls++;
	maker_event(m, (struct tape_event){ .kind = kind, .tid = tid, .addr = addr, .size = size, .align = align });
	return addr;
}

/* Frees the object number i of m->objects by a thread. */
static inline void maker_free(struct maker *m, uint32_t tid, size_t i)
{
	uint64_t addr = m->objects[i].addr;
	m->live_nbytes -= m->objects[i].size;
	m->objects[i] = m->objects[--m->nr];
	m->nr_calls++;
	maker_event(m, (struct tape_event){ .kind = TAPE_FREE, .tid = tid, .addr = addr });
	maker_give_addr(m, addr);
}

static inline void maker_resize(struct maker *m, uint32_t tid, size_t i, uint64_t size)
{
	uint64_t old = m->objects[i].addr;
	uint64_t addr = maker_below(m, 2) ? old : maker_take_addr(m);
	m->live_nbytes += size - m->objects[i].size;
	m->objects[i].addr = addr;
	m->objects[i].size = size;
	m->nr_calls++;
	maker_event(m, (struct tape_event){ .kind = TAPE_REALLOC, .tid = tid, .addr = addr, .old = old, .size = size });
	if (addr != old)
		maker_give_addr(m, old);
}

static inline void maker_thread_start(struct maker *m, uint32_t tid)
{
	uint32_t name = 0;
	char text[16];
	snprintf(text, sizeof(text), "worker-%u", tid % 100000);
	tape_writer_string(m->w, text, &name);
	maker_event(m, (struct tape_event){ .kind = TAPE_THREAD_START, .tid = tid, .arg = name });
}

static inline void maker_thread_exit(struct maker *m, uint32_t tid)
{
	maker_event(m, (struct tape_event){ .kind = TAPE_THREAD_EXIT, .tid = tid });
}

/* Mostly small, like real programs'; now and then up to 256 KiB. */
static inline uint64_t maker_size(struct maker *m)
{
	uint64_t kind = maker_below(m, 1000);
	if (kind < 900)
		return 1 + maker_below(m, 512);
	if (kind < 999)
		return 1 + maker_below(m, 16384);
	return 1 + maker_below(m, 262144);
}

static inline uint8_t maker_kind(struct maker *m, uint64_t *align_ret)
{
	static const uint8_t kinds[] = { TAPE_CALLOC, TAPE_POSIX_MEMALIGN, TAPE_ALIGNED_ALLOC, TAPE_MEMALIGN, TAPE_NEW };
	uint64_t n = maker_below(m, 40);
	uint8_t kind = n < sizeof(kinds) ? kinds[n] : TAPE_MALLOC;
	bool aligned = kind == TAPE_POSIX_MEMALIGN || kind == TAPE_ALIGNED_ALLOC || kind == TAPE_MEMALIGN;
	*align_ret = aligned ? 16ull << maker_below(m, 6) : 0;
	return kind;
}

/* One random call by a thread, keeping about `live` objects. share: of frees and resizes that hit others' objects, in 1/256. */
static inline void maker_step(struct maker *m, uint32_t tid, size_t live, unsigned share)
{
	uint64_t align;
	if (!m->nr || m->nr < live / 2 || (m->nr < live * 2 && maker_below(m, 2))) {
		uint8_t kind = maker_kind(m, &align);
		uint64_t size = maker_size(m);
		/* mimalloc 2.0.9 (Debian 12) misaligns these: sizes that are powers of two, alignments from 256 on. */
		if (align > 64 && !(size & (size - 1)))
			size++;
		maker_birth(m, tid, kind, size, align);
		return;
	}
	size_t i = maker_below(m, m->nr);
	bool any = maker_below(m, 256) < share;
	for (int tries = 0; !any && m->objects[i].tid != tid && tries < 64; tries++)
		i = maker_below(m, m->nr);
	if (!any && m->objects[i].tid != tid) {
		maker_birth(m, tid, TAPE_MALLOC, maker_size(m), 0);
		return;
	}
	if (maker_below(m, 8))
		maker_free(m, tid, i);
	else
		maker_resize(m, tid, i, maker_size(m));
}

#endif
