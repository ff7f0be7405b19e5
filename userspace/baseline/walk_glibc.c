/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * walk_glibc.c - the blocks of glibc's malloc: every arena's heaps from end to end, chunk by chunk.
 *
 * A heap is read in windows. Each new window begins with the last chunk of the one before, which must still be as it
 * was, so that the step from one to the next is sure. Where a chunk is not possible, chunks have been merged or split
 * under our hands: some are given back and read again, more each time.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "baseline/glibc.h"

#define WINDOW_NBYTES (256u << 10) /* measured: the fastest of 8 KiB to 4 MiB */
#define HEAP_SPAN (64ull << 20)    /* HEAP_MAX_SIZE; four huge pages if glibc.malloc.hugetlb is set */
#define FENCE_NBYTES 16            /* the chunk at the end of a heap that is not the last */
#define FENCES_NBYTES 64
#define RETRIES_MAX 200     /* at one place */
#define ALL_RETRIES_MAX 20000
#define HEAPS_MAX 1000000
#define WORKERS_MAX 4

/* One heap on its way. */
struct pass {
	struct walk *w;
	struct glibc_arena *arena;
	uint8_t *bytes; /* the window */
	uint64_t start, limit; /* of the heap's mapping, at most */
	bool is_main;
	uint64_t window, window_end; /* addresses of what it holds */
	uint64_t at;                 /* the chunk to be looked at */
	uint64_t prev, prev_head;    /* the one in front; 0: there is none */
	uint64_t prev_fd, prev_bk;
	bool prev_added;
	size_t first_block;          /* w->blocks from here on are this heap's */
	uint64_t first_top;          /* what lies above was born since; UINT64_MAX: the top is in another heap */
	uint64_t failed_at;          /* the furthest place that was impossible */
	unsigned retries, all_retries; /* there, and in all */
};

static uint64_t word_in(const struct pass *p, uint64_t addr)
{
	uint64_t word;

	memcpy(&word, p->bytes + (addr - p->window), sizeof(word));
	return word;
}

static uint64_t chunk_nbytes(uint64_t head)
{
	return head & ~(uint64_t)CHUNK_FLAGS;
}

static uint64_t arena_top(const struct glibc_arena *a)
{
	return a->raw.words[ARENA_TOP_OFF / 8];
}

static uint64_t arena_system_nbytes(const struct glibc_arena *a)
{
	return a->raw.words[(ARENA_NEXT_OFF + 24) / 8];
}

static void read_top(struct pass *p)
{
	uint64_t top;

	if (memory_read(p->w->pid, p->arena->addr + ARENA_TOP_OFF, &top, sizeof(top)) == sizeof(top))
		p->arena->raw.words[ARENA_TOP_OFF / 8] = top;
}

/* The window from `from` on. */
static bool load(struct pass *p, uint64_t from)
{
	uint64_t nbytes = p->limit - from < WINDOW_NBYTES ? p->limit - from : WINDOW_NBYTES;

	p->window = from;
	p->window_end = from + memory_read(p->w->pid, from, p->bytes, nbytes);
	return p->window_end > from;
}

/* Brings [at, at + 32) into the window, with the chunk in front of it unless that is large. False: it is not as it was. */
static bool look(struct pass *p)
{
	uint64_t need = p->limit - p->at < CHUNK_LEAST ? CHUNK_HEAD : CHUNK_LEAST, head[2];

	if (p->at >= p->window && p->at + need <= p->window_end)
		return true;
	if (p->prev && p->at - p->prev < WINDOW_NBYTES / 2) {
		if (!load(p, p->prev) || chunk_nbytes(word_in(p, p->prev + 8)) != chunk_nbytes(p->prev_head))
			return false;
	} else {
		if (p->prev && (memory_read(p->w->pid, p->prev, head, sizeof(head)) != sizeof(head) ||
				chunk_nbytes(head[1]) != chunk_nbytes(p->prev_head)))
			return false;
		if (!load(p, p->at))
			return false;
	}
	return p->at + need <= p->window_end;
}

/* The chunk in front turns out to be free. */
static void prev_is_free(struct pass *p)
{
	if (!p->prev_added)
		return;
	p->w->nr--;
	p->prev_added = false;
	p->arena->sum_addrs += p->prev;
	p->arena->sum_next += p->prev_fd;
	p->arena->sum_prev += p->prev_bk;
}

/* Some blocks are given back; from there the heap is read again. */
static bool go_back(struct pass *p)
{
	size_t nr = p->w->nr - p->first_block, back;

	if (p->at > p->failed_at) {
		p->failed_at = p->at;
		p->retries = 0;
	}
	back = 4u * ++p->retries;
	p->arena->disturbed = true;
	p->window = p->window_end = 0;
	if (p->retries > RETRIES_MAX || ++p->all_retries > ALL_RETRIES_MAX)
		return false;
	read_top(p);
	p->w->nr -= back < nr ? back : nr;
	p->prev = 0;
	p->prev_added = false;
	p->at = p->w->nr > p->first_block ? p->w->blocks[p->w->nr - 1].addr - CHUNK_HEAD : p->start;
	/* The last one is read again too, so that it is known where it ends. */
	if (p->w->nr > p->first_block)
		p->w->nr--;
	return true;
}

static bool is_fence(const struct pass *p, uint64_t nbytes)
{
	return !p->is_main && nbytes <= FENCE_NBYTES && p->limit - p->at <= FENCES_NBYTES;
}

/*
 * What was left of the top of a full heap and is too small to be freed: it looks used, and nobody has it (sysmalloc: fences of
 * 16 and 0 bytes stand behind all else, behind this only that of 0).
 */
static bool is_remnant(const struct pass *p, uint64_t nbytes)
{
	uint64_t next[2];

	return !p->is_main && nbytes == CHUNK_LEAST && p->limit - p->at == CHUNK_LEAST + FENCE_NBYTES &&
	       memory_read(p->w->pid, p->at + nbytes, next, sizeof(next)) == sizeof(next) && !chunk_nbytes(next[1]);
}

static bool is_possible(const struct pass *p, uint64_t head)
{
	uint64_t nbytes = chunk_nbytes(head);

	return nbytes >= CHUNK_LEAST && nbytes % 16 == 0 && nbytes <= p->limit - p->at && !(head & CHUNK_MMAPPED);
}

/* A chunk that ends above where the top was: the top itself, or one that was carved out of it since, behind which all is new. */
static bool is_last(struct pass *p, uint64_t head)
{
	uint64_t nbytes = chunk_nbytes(head), now[2], top;

	p->arena->disturbed = true;
	read_top(p);
	top = arena_top(p->arena);
	if (memory_read(p->w->pid, p->at, now, sizeof(now)) != sizeof(now) || chunk_nbytes(now[1]) != nbytes)
		return false;
	return p->at == top || (top > p->at && p->at + nbytes <= top) || (!p->is_main && (top < p->start || top >= p->limit));
}

/* 1: go on; 0: the end is reached; -errno. */
static int take_chunk(struct pass *p)
{
	uint64_t head = word_in(p, p->at + 8), nbytes = chunk_nbytes(head), user = p->at + CHUNK_HEAD;
	bool whole = p->at + CHUNK_LEAST <= p->window_end;
	int err;

	if (p->prev && !(head & CHUNK_PREV_INUSE))
		prev_is_free(p);
	if (p->at == arena_top(p->arena) || is_fence(p, nbytes) || is_remnant(p, nbytes)) {
		p->arena->nbytes += p->at + (p->at == arena_top(p->arena) ? nbytes : 0) - p->start;
		return 0;
	}
	if (p->at >= p->first_top)
		return p->arena->disturbed = true, 0;
	if (nbytes >= CHUNK_LEAST && nbytes % 16 == 0 && p->at + nbytes > p->first_top)
		return is_last(p, head) ? 0 : -EAGAIN;
	if (!is_possible(p, head))
		return -EAGAIN;
	err = walk_add(p->w, user, nbytes - 8, p->arena->owner);
	if (err)
		return err;
	p->prev = p->at;
	p->prev_head = head;
	p->prev_added = true;
	p->prev_fd = whole ? word_in(p, user) : 0;
	p->prev_bk = whole ? word_in(p, user + 8) : 0;
	p->at += nbytes;
	return 1;
}

static int walk_heap(struct pass *p)
{
	uint64_t top = arena_top(p->arena);
	int more = 1;

	p->first_top = top >= p->start && top < p->limit ? top : UINT64_MAX;
	p->at = p->start;
	p->first_block = p->w->nr;
	while (more) {
		more = p->at < p->limit && look(p) ? take_chunk(p) : -EAGAIN;
		if (more == -EAGAIN && go_back(p))
			more = 1;
		if (more == -EAGAIN)
			return walk_fail(p->w, -EAGAIN, "the chunks of the heap at %#llx do not follow each other at %#llx",
					 (unsigned long long)p->start, (unsigned long long)p->at);
		if (more < 0)
			return more;
	}
	return 0;
}

/* ---- arenas ---- */

int glibc_read_arenas(struct walk *w)
{
	struct glibc *g = w->state;
	uint64_t main = g->layout.main_arena + g->bias, at = main;

	g->nr_arenas = 0;
	do {
		struct glibc_arena *list = reallocarray(g->arenas, g->nr_arenas + 1, sizeof(*list)), *a;

		if (!list)
			return walk_fail(w, -ENOMEM, "out of memory");
		g->arenas = list;
		a = &list[g->nr_arenas++];
		memset(a, 0, sizeof(*a));
		a->addr = at;
		if (memory_read(w->pid, at, &a->raw, sizeof(a->raw)) != sizeof(a->raw))
			return walk_fail(w, -EFAULT, "the arena at %#llx cannot be read", (unsigned long long)at);
		at = a->raw.words[ARENA_NEXT_OFF / 8];
	} while (at != main && g->nr_arenas < ARENAS_MAX);
	if (at != main)
		return walk_fail(w, -EBADMSG, "its arenas form no ring");
	return 0;
}

static int note_heap(struct walk *w, uint64_t start, uint64_t end)
{
	struct glibc *g = w->state;
	int err = 0;

	pthread_mutex_lock(&g->lock);
	if (g->nr_heaps == g->room_heaps) {
		size_t room = g->room_heaps ? 2 * g->room_heaps : 64;
		struct glibc_heap *heaps = reallocarray(g->heaps, room, sizeof(*heaps));

		if (heaps) {
			g->heaps = heaps;
			g->room_heaps = room;
		} else {
			err = walk_fail(w, -ENOMEM, "out of memory");
		}
	}
	if (!err)
		g->heaps[g->nr_heaps++] = (struct glibc_heap){ start, end };
	pthread_mutex_unlock(&g->lock);
	return err;
}

static int walk_main(struct walk *w, struct glibc_arena *a, uint8_t *bytes)
{
	struct glibc *g = w->state;
	struct pass p = { .w = w, .arena = a, .bytes = bytes, .is_main = true };
	const struct map_region *region;
	uint64_t base;

	if (!arena_system_nbytes(a))
		return 0; /* nothing was ever asked of it */
	if (glibc_read_params(w, NULL, NULL, &base))
		return walk_fail(w, -EFAULT, "mp_ cannot be read");
	p.start = (base + 15) & ~15ull;
	region = maps_find(&g->maps, p.start);
	if (!region || arena_top(a) < p.start || arena_top(a) >= region->end)
		return walk_fail(w, -ENOTSUP, "its first heap is in more than one piece: another part of the program uses brk too");
	p.limit = region->end;
	return walk_heap(&p);
}

/* ar_ptr, prev, size: the head of a heap. */
static int walk_heaps(struct walk *w, struct glibc_arena *a, uint8_t *bytes)
{
	struct glibc *g = w->state;
	uint64_t head_nbytes = a->addr & (g->heap_span - 1);
	unsigned nr = 0;
	int err = 0;

	for (uint64_t heap = arena_top(a) & ~(g->heap_span - 1), info[3]; heap && !err; heap = info[1]) {
		struct pass p = { .w = w, .arena = a, .bytes = bytes };

		if (++nr > HEAPS_MAX || memory_read(w->pid, heap, info, sizeof(info)) != sizeof(info) || info[0] != a->addr ||
		    info[2] > g->heap_span)
			return walk_fail(w, -EAGAIN, "the heap at %#llx is not arena %#llx's", (unsigned long long)heap,
					 (unsigned long long)a->addr);
		p.start = heap == (a->addr & ~(g->heap_span - 1)) ? a->addr + ARENA_NBYTES : heap + head_nbytes;
		p.start = (p.start + 15) & ~15ull;
		p.limit = heap + info[2];
		err = note_heap(w, heap, heap + g->heap_span);
		if (!err)
			err = walk_heap(&p);
		a->nbytes += p.start - heap;
	}
	return err;
}

/* Some of the arenas, into a walk of its own. */
struct worker {
	struct walk walk;
	size_t first, step;
	uint8_t *bytes;
	pthread_t thread;
	bool has_thread;
	int err;
};

static void *walk_some(void *arg)
{
	struct worker *k = arg;
	struct glibc *g = k->walk.state;

	for (size_t i = k->first; i < g->nr_arenas && !k->err; i += k->step)
		k->err = i ? walk_heaps(&k->walk, &g->arenas[i], k->bytes) : walk_main(&k->walk, &g->arenas[i], k->bytes);
	return NULL;
}

static int append(struct walk *w, const struct walk *from)
{
	struct walk_block *blocks = reallocarray(w->blocks, w->nr + from->nr + 1, sizeof(*blocks));

	if (!blocks)
		return walk_fail(w, -ENOMEM, "out of memory");
	if (from->nr)
		memcpy(blocks + w->nr, from->blocks, from->nr * sizeof(*blocks));
	w->blocks = blocks;
	w->nr += from->nr;
	w->room = w->nr + 1;
	return 0;
}

/* A process that stands waits for us, and leaves its CPUs to it; one that runs needs them itself. */
static size_t nr_workers(const struct walk *w)
{
	long nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return !w->stands || nr_cpus < 2 ? 1 : nr_cpus > WORKERS_MAX ? WORKERS_MAX : (size_t)nr_cpus;
}

static int walk_arenas(struct walk *w)
{
	struct worker workers[WORKERS_MAX] = { 0 };
	size_t nr = nr_workers(w);
	int err = 0;

	for (size_t i = 0; i < nr; i++) {
		struct worker *k = &workers[i];

		walk_again(w, &k->walk);
		k->first = i;
		k->step = nr;
		k->bytes = malloc(WINDOW_NBYTES);
		k->err = k->bytes ? 0 : walk_fail(&k->walk, -ENOMEM, "out of memory");
		k->has_thread = i && !k->err && !pthread_create(&k->thread, NULL, walk_some, k);
	}
	/* What got no thread is done by this one. */
	for (size_t i = 0; i < nr; i++)
		if (!workers[i].has_thread && !workers[i].err)
			walk_some(&workers[i]);
	for (size_t i = 0; i < nr; i++) {
		struct worker *k = &workers[i];

		if (k->has_thread)
			pthread_join(k->thread, NULL);
		if (!err && k->err)
			memcpy(w->why, k->walk.why, sizeof(w->why));
		err = err ? err : k->err;
		if (!err)
			err = append(w, &k->walk);
		free(k->walk.blocks);
		free(k->bytes);
	}
	return err;
}

/* ---- what must add up ---- */

/* Each free chunk stands in a ring with a bin: all that the rings' nodes point to are the rings' nodes. */
static bool bins_agree(const struct glibc_arena *a)
{
	uint64_t addrs = a->sum_addrs, next = a->sum_next, prev = a->sum_prev;

	for (uint64_t i = 0; i < ARENA_NR_BINS; i++) {
		uint64_t off = ARENA_BINS_OFF + 16 * i;

		addrs += a->addr + off - CHUNK_HEAD;
		next += a->raw.words[off / 8];
		prev += a->raw.words[off / 8 + 1];
	}
	return addrs == next && addrs == prev;
}

static void check_arena(struct walk *w, struct glibc_arena *a, bool is_main)
{
	struct glibc_arena now = *a;

	if (!arena_system_nbytes(a) || w->differs)
		return;
	if (memory_read(w->pid, a->addr, &now.raw, sizeof(now.raw)) != sizeof(now.raw) ||
	    memcmp(now.raw.bytes + ARENA_TOP_OFF, a->raw.bytes + ARENA_TOP_OFF, ARENA_NEXT_OFF - ARENA_TOP_OFF) || a->disturbed)
		return (void)(w->differs = true, walk_fail(w, 0, "arena %#llx moved while it was read", (unsigned long long)a->addr));
	if (!bins_agree(a))
		return (void)(w->differs = true, walk_fail(w, 0, "the free chunks of arena %#llx are not those in its bins",
							   (unsigned long long)a->addr));
	/* Heaps but the last end in fences, which the sum lacks. */
	if (is_main ? a->nbytes != arena_system_nbytes(a) : a->nbytes > arena_system_nbytes(a))
		return (void)(w->differs = true, walk_fail(w, 0, "the chunks of arena %#llx make %llu bytes, malloc counts %llu",
							   (unsigned long long)a->addr, (unsigned long long)a->nbytes,
							   (unsigned long long)arena_system_nbytes(a)));
}

/* ---- the result ---- */

/* What lies in caches and fast bins, and what malloc keeps for itself. */
static void drop_listed(struct walk *w)
{
	struct glibc *g = w->state;
	size_t nr = 0, at_listed = 0, at_tcache = 0;

	words_sort(&g->listed);
	words_sort(&g->tcaches);
	for (size_t i = 0; i < w->nr; i++) {
		uint64_t addr = w->blocks[i].addr;

		at_tcache = words_seek(&g->tcaches, at_tcache, addr);
		at_listed = words_seek(&g->listed, at_listed, addr);
		if (words_at(&g->listed, at_listed, addr))
			w->nr_free++;
		else if (!words_at(&g->tcaches, at_tcache, addr))
			w->blocks[nr++] = w->blocks[i];
	}
	w->nr = nr;
}

static void forget_pass(struct glibc *g)
{
	maps_free(&g->maps);
	g->nr_heaps = g->tcaches.nr = g->listed.nr = 0;
}

static bool is_noted(const struct glibc *g, uint64_t heap)
{
	for (size_t i = 0; i < g->nr_heaps; i++)
		if (g->heaps[i].start == heap)
			return true;
	return false;
}

static bool is_arena(const struct glibc *g, uint64_t addr)
{
	for (size_t i = 1; i < g->nr_arenas; i++)
		if (g->arenas[i].addr == addr)
			return true;
	return false;
}

/*
 * Nothing may be missing without a word: what is mapped where heaps are, and begins with the address of an arena (or of one
 * in itself), is a heap that has to have been read.
 */
static int check_whole(struct walk *w)
{
	struct glibc *g = w->state;
	uint64_t arena;

	for (size_t i = 0; i < g->maps.nr_regions; i++) {
		uint64_t heap = g->maps.regions[i].start;

		if (heap % g->heap_span || is_noted(g, heap) || memory_read(w->pid, heap, &arena, sizeof(arena)) != sizeof(arena))
			continue;
		if (is_arena(g, arena) || (arena > heap && arena < heap + 4096 && arena % 16 == 0))
			return walk_fail(w, -EAGAIN, "the heap at %#llx was not read", (unsigned long long)heap);
	}
	return 0;
}

/* All arenas, and the lists in front and behind: what is in one of them at any time is free. */
static int read_arenas(struct walk *w)
{
	struct glibc *g = w->state;
	int err;

	forget_pass(g);
	err = glibc_read_arenas(w);
	if (!err)
		err = glibc_find_tcache(w);
	if (!err && !g->tcache_off && arena_system_nbytes(&g->arenas[0]))
		err = walk_fail(w, -ENOTSUP, "no thread has a cache of the known form");
	if (!err)
		err = glibc_read_lists(w);
	if (!err && maps_read(w->process->proc_fd, &g->maps))
		err = walk_fail(w, -ESRCH, "its mappings cannot be read");
	err = err ? err : walk_arenas(w);
	return err ? err : check_whole(w);
}

/*
 * All arenas again: blocks that are not there any more go. What looked used the first time and was not is on its way
 * between lists or out of them without a call of its own (the rest of a block that was split for memalign or realloc, a
 * bin's block in the cache of a thread that ends), and looks otherwise a moment later; a block that lives and has no
 * event does not. nr: of blocks, in front of those with mappings of their own.
 */
static int look_again(struct walk *w, size_t nr)
{
	struct walk again;
	int err;

	walk_again(w, &again);
	err = read_arenas(&again);
	if (!err)
		err = glibc_read_lists(&again);
	if (!err)
		drop_listed(&again);
	forget_pass(w->state);
	return walk_keep_common(w, &again, nr, err);
}

static int run(struct walk *w)
{
	struct glibc *g = w->state;
	size_t nr;
	int err;

	walk_clear(w);
	err = read_arenas(w);
	for (size_t i = 0; i < g->nr_arenas && !err; i++)
		check_arena(w, &g->arenas[i], !i);
	nr = w->nr;
	if (!err)
		err = glibc_read_mmapped(w);
	g->nr_mapped = w->nr - nr;
	return err || w->stands ? err : glibc_read_lists(w);
}

#define LOOKS_MAX 5 /* until one agrees with the one before */

static int finish(struct walk *w)
{
	struct glibc *g = w->state;

	int err = -EAGAIN;

	drop_listed(w);
	if (!w->differs || w->stands)
		return 0;
	for (int look = 0; look < LOOKS_MAX && err == -EAGAIN; look++)
		err = look_again(w, w->nr - g->nr_mapped);
	return err;
}

static int open_glibc(struct walk *w)
{
	struct glibc *g = calloc(1, sizeof(*g));
	const char *why;
	uint64_t huge;
	int err;

	if (!g)
		return walk_fail(w, -ENOMEM, "out of memory");
	w->state = g;
	g->bias = object_bias(w->obj);
	pthread_mutex_init(&g->lock, NULL);
	err = glibc_layout_find(w->obj, &g->layout, &why);
	if (err)
		return walk_fail(w, err, "%s", why);
	if (g->layout.next_off != ARENA_NEXT_OFF)
		return walk_fail(w, -ENOTSUP, "its arenas have a form that is not known (their links are at %#llx)",
				 (unsigned long long)g->layout.next_off);
	/* hp_pagesize (since 2.35) stands 12 bytes in front of n_mmaps. */
	g->heap_span = HEAP_SPAN;
	if (g->layout.maps_off >= 60 &&
	    memory_read(w->pid, g->layout.params + g->bias + g->layout.maps_off - 12, &huge, 8) == 8 && huge)
		g->heap_span = 4 * huge;
	err = thread_pointers_open(w->pid, &g->threads);
	return err ? walk_fail(w, err, "its threads cannot be listed: %s", strerror(-err)) : 0;
}

/* A lock that is held belongs to somebody who was stopped inside. */
static bool at_rest(struct walk *w)
{
	struct glibc *g = w->state;

	if (glibc_read_arenas(w))
		return true; /* run will say what is wrong */
	for (size_t i = 0; i < g->nr_arenas; i++)
		if ((uint32_t)g->arenas[i].raw.words[0])
			return false;
	return true;
}

/* A free leaves the size in front of the block until that is part of another one. Touches nothing of g: the walk may run. */
static void usable(const struct walk *w, const uint64_t *addrs, size_t nr, uint64_t *usable_ret)
{
	uint64_t *heads = malloc(nr * sizeof(*heads));

	memset(usable_ret, 0, nr * sizeof(*usable_ret));
	for (size_t i = 0; heads && i < nr; i++)
		heads[i] = addrs[i] - 8;
	if (heads)
		memory_gather(w->pid, heads, nr, sizeof(*usable_ret), usable_ret);
	free(heads);
	for (size_t i = 0; i < nr; i++) {
		uint64_t nbytes = chunk_nbytes(usable_ret[i]);
		uint64_t head = usable_ret[i] & CHUNK_MMAPPED ? CHUNK_HEAD : CHUNK_HEAD / 2;

		usable_ret[i] = nbytes >= CHUNK_LEAST && nbytes % 16 == 0 && !(nbytes >> 40) ? nbytes - head : 0;
	}
}

static void close_glibc(struct walk *w)
{
	struct glibc *g = w->state;

	thread_pointers_close(g->threads);
	maps_free(&g->maps);
	words_free(&g->tcaches);
	words_free(&g->listed);
	free(g->arenas);
	free(g->heaps);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

const struct walker walk_glibc = { .allocator = "glibc",
				   .least = CHUNK_LEAST - 8,
				   .open = open_glibc,
				   .run = run,
				   .finish = finish,
				   .at_rest = at_rest,
				   .usable = usable,
				   .close = close_glibc };
