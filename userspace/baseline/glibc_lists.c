/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * glibc_lists.c - free blocks whose chunks look used: those in a thread's cache and in the fast bins.
 *
 * Lists run through the blocks themselves and change while they are followed. A list counts as read when its head, and
 * for a cache its length, are the same behind as before; until then it is read again. What is met on the way is kept in
 * any case: a block with an event is decided by that, one without was in its list all the time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "baseline/glibc.h"

#define TRIES 12
#define LIST_MAX (1u << 24) /* a list that is longer runs in a circle */

/* One list being followed. */
struct chain {
	uint64_t at;    /* the next entry, 0: the end */
	uint32_t list;  /* number of the list */
	uint32_t left;  /* caches: entries to come */
	bool broken;
};

/* All lists of one kind. */
struct lists {
	struct walk *w;
	size_t nr;
	struct chain *chains;
	bool *done;
	uint64_t *heads, *lengths; /* as of the first look */
	uint8_t *heads_raw;
	bool fast;
	const uint64_t *places; /* of the structures that hold the heads */
	size_t nr_places;
};

static uint32_t lists_each(const struct lists *l)
{
	return l->fast ? FASTBINS : TCACHE_BINS;
}

static size_t place_nbytes(const struct lists *l)
{
	return l->fast ? ARENA_TOP_OFF : TCACHE_NBYTES;
}

/* A fast bin's head, or a cache's with its length; the lock of the arena is part of what must not have changed. */
static void head_of(const struct lists *l, size_t list, uint64_t *head_ret, uint64_t *length_ret)
{
	const uint8_t *place = l->heads_raw + list / lists_each(l) * place_nbytes(l);
	size_t bin = list % lists_each(l);
	uint16_t count;
	uint32_t mutex;

	if (l->fast) {
		memcpy(head_ret, place + ARENA_FASTBINS_OFF + 8 * bin, 8);
		memcpy(&mutex, place, 4);
		*length_ret = mutex;
		return;
	}
	memcpy(&count, place + 2 * bin, 2);
	memcpy(head_ret, place + 2 * TCACHE_BINS + 8 * bin, 8);
	*length_ret = count;
}

static void read_heads(struct lists *l)
{
	memory_gather(l->w->pid, l->places, l->nr_places, place_nbytes(l), l->heads_raw);
}

/* Malloc's lists hold their links disguised by where they stand (since 2.32). */
static uint64_t reveal(uint64_t word, uint64_t place)
{
	return word ^ (place >> 12);
}

/* The key that most of the first entries agree on. */
static void learn_key(struct glibc *g, const uint64_t *entries, size_t nr)
{
	uint64_t candidate = 0;
	size_t lead = 0, votes = 0;

	for (size_t i = 0; i < nr; i++) {
		uint64_t key = entries[3 * i + 1];

		if (!lead)
			candidate = key;
		lead += key == candidate ? 1 : (size_t)-1;
	}
	for (size_t i = 0; i < nr; i++)
		votes += entries[3 * i + 1] == candidate;
	if (candidate && 2 * votes > nr)
		g->tcache_key = candidate;
}

/* entry: the three words at the chain's place. */
static int step_chain(struct lists *l, struct chain *c, const uint64_t *entry)
{
	struct glibc *g = l->w->state;
	size_t bin = c->list % lists_each(l);
	uint64_t block = c->at;
	int err;

	if (l->fast) {
		if ((entry[1] & ~(uint64_t)CHUNK_FLAGS) != (bin + 2) * 16)
			return c->broken = true, 0;
		block += CHUNK_HEAD;
		err = words_add(&g->listed, block);
		c->at = reveal(entry[2], block);
		c->broken = ++c->left > LIST_MAX || c->at % 16;
		return err;
	}
	if (!g->tcache_key || entry[1] != g->tcache_key)
		return c->broken = true, 0;
	err = words_add(&g->listed, block);
	c->at = reveal(entry[0], block);
	c->left--;
	c->broken = c->at % 16 || !c->at != !c->left;
	if (!c->left)
		c->at = 0;
	return err;
}

/* Follows all chains at once, an entry of each a step. */
static int follow(struct lists *l, size_t nr)
{
	struct glibc *g = l->w->state;
	uint64_t *addrs = malloc((nr + 1) * sizeof(*addrs)), *entries = malloc((nr + 1) * 3 * sizeof(*entries));
	size_t *at = malloc((nr + 1) * sizeof(*at)), open = nr;
	int err = addrs && entries && at ? 0 : -ENOMEM;

	while (open && !err) {
		open = 0;
		for (size_t i = 0; i < nr; i++)
			if (!l->chains[i].broken && l->chains[i].at) {
				at[open] = i;
				addrs[open++] = l->chains[i].at;
			}
		memory_gather(l->w->pid, addrs, open, 3 * sizeof(*entries), entries);
		if (!l->fast && !g->tcache_key)
			learn_key(g, entries, open);
		for (size_t k = 0; k < open && !err; k++)
			err = step_chain(l, &l->chains[at[k]], entries + 3 * k);
	}
	free(addrs);
	free(entries);
	free(at);
	return err;
}

/* One try at all lists that are not done. The number that still are not, or -errno. */
static long try_lists(struct lists *l)
{
	size_t nr = 0;
	long left = 0;
	int err;

	read_heads(l);
	for (size_t i = 0; i < l->nr; i++) {
		head_of(l, i, &l->heads[i], &l->lengths[i]);
		if (l->done[i])
			continue;
		if (l->fast ? !l->heads[i] && !l->lengths[i] : !l->heads[i] || !l->lengths[i]) {
			l->done[i] = true;
			continue;
		}
		l->chains[nr++] = (struct chain){ .at = l->heads[i], .list = (uint32_t)i,
						  .left = l->fast ? 0 : (uint32_t)l->lengths[i], .broken = l->heads[i] % 16 };
	}
	err = follow(l, nr);
	if (err)
		return err;
	read_heads(l);
	for (size_t i = 0; i < nr; i++) {
		const struct chain *c = &l->chains[i];
		uint64_t head, length;

		head_of(l, c->list, &head, &length);
		/* An arena that is locked may have a fast bin's blocks in hand. */
		l->done[c->list] = !c->broken && head == l->heads[c->list] && length == l->lengths[c->list] && (!l->fast || !length);
		left += !l->done[c->list];
	}
	return left;
}

static int read_all(struct walk *w, bool fast, const uint64_t *places, size_t nr_places)
{
	struct lists l = { .w = w, .fast = fast, .places = places, .nr_places = nr_places };
	long left = 1;

	l.nr = nr_places * lists_each(&l);
	l.chains = calloc(l.nr + 1, sizeof(*l.chains));
	l.done = calloc(l.nr + 1, sizeof(*l.done));
	l.heads = calloc(l.nr + 1, sizeof(*l.heads));
	l.lengths = calloc(l.nr + 1, sizeof(*l.lengths));
	l.heads_raw = malloc((nr_places + 1) * place_nbytes(&l));
	if (!l.chains || !l.done || !l.heads || !l.lengths || !l.heads_raw)
		left = -ENOMEM;
	for (int i = 0; i < TRIES && left > 0; i++)
		left = try_lists(&l);
	free(l.chains);
	free(l.done);
	free(l.heads);
	free(l.lengths);
	free(l.heads_raw);
	return left < 0 ? walk_fail(w, (int)left, "out of memory") : 0;
}

/* ---- where the caches are ---- */

/* What the thread-local word at `off` holds, for each thread. */
static void read_tls(const struct walk *w, const struct ht_thread_pointer *threads, size_t nr, int64_t off, uint64_t *addrs,
		     uint64_t *words)
{
	for (size_t i = 0; i < nr; i++)
		addrs[i] = threads[i].pointer + (uint64_t)off;
	memory_gather(w->pid, addrs, nr, sizeof(*words), words);
}

/* How many threads more hold a pointer to a cache's chunk there than hold anything else: one that ends may hold anything. */
static long count_tcaches(const struct walk *w, const uint64_t *words, size_t nr, uint64_t *addrs, uint64_t *heads)
{
	long hits = 0;

	for (size_t i = 0; i < nr; i++)
		addrs[i] = words[i] % 16 ? 8 : words[i] - 8;
	memory_gather(w->pid, addrs, nr, sizeof(*heads), heads);
	for (size_t i = 0; i < nr; i++)
		if (words[i])
			hits += (heads[i] & ~(uint64_t)CHUNK_FLAGS) == TCACHE_CHUNK ? 1 : -1;
	return hits;
}

static size_t note_owners(struct glibc *g, const struct ht_thread_pointer *threads, const uint64_t *words, size_t nr)
{
	size_t hits = 0;

	for (size_t i = 0; i < nr; i++) {
		for (size_t a = 0; a < g->nr_arenas; a++) {
			struct glibc_arena *arena = &g->arenas[a];

			if (words[i] != arena->addr)
				continue;
			hits++;
			if (!arena->owner || threads[i].tid < arena->owner)
				arena->owner = (uint32_t)threads[i].tid;
		}
	}
	return hits;
}

int glibc_find_tcache(struct walk *w)
{
	struct glibc *g = w->state;
	const struct ht_thread_pointer *threads;
	long nr = thread_pointers_list(g->threads, &threads);
	uint64_t slots[ELF_TLS_SLOTS_MAX], offs[ELF_TLS_SLOTS_MAX], *work;
	long best = 0;

	if (nr < 0)
		return walk_fail(w, (int)nr, "its threads cannot be listed: %s", strerror((int)-nr));
	work = malloc(((size_t)nr + 1) * 3 * sizeof(*work));
	if (!work)
		return walk_fail(w, -ENOMEM, "out of memory");
	for (unsigned i = 0; i < g->layout.nr_tls_slots; i++)
		slots[i] = g->layout.tls_slots[i] + g->bias;
	memory_gather(w->pid, slots, g->layout.nr_tls_slots, 8, offs);
	for (unsigned i = 0; i < g->layout.nr_tls_slots; i++) {
		uint64_t *words = work, *addrs = work + nr, *heads = work + 2 * nr;
		long hits;

		read_tls(w, threads, (size_t)nr, (int64_t)offs[i], addrs, words);
		note_owners(g, threads, words, (size_t)nr);
		hits = count_tcaches(w, words, (size_t)nr, addrs, heads);
		if (hits > best) {
			best = hits;
			g->tcache_off = (int64_t)offs[i];
		}
	}
	free(work);
	return 0;
}

/* The caches of the threads that are there now. */
static int list_tcaches(struct walk *w, struct words *places)
{
	struct glibc *g = w->state;
	const struct ht_thread_pointer *threads;
	long nr = thread_pointers_list(g->threads, &threads);
	uint64_t *work = nr < 0 ? NULL : malloc(((size_t)nr + 1) * 2 * sizeof(*work));
	int err = work ? 0 : nr < 0 ? (int)nr : -ENOMEM;

	if (!err)
		read_tls(w, threads, (size_t)nr, g->tcache_off, work + nr, work);
	for (long i = 0; i < nr && !err; i++) {
		if (!work[i] || work[i] % 16)
			continue;
		err = words_add(places, work[i]);
		if (!err)
			err = words_add(&g->tcaches, work[i]);
	}
	free(work);
	return err ? walk_fail(w, err, "its threads cannot be listed: %s", strerror(-err)) : 0;
}

static int read_fast(struct walk *w)
{
	struct glibc *g = w->state;
	uint64_t *places = malloc((g->nr_arenas + 1) * sizeof(*places));
	int err;

	if (!places)
		return walk_fail(w, -ENOMEM, "out of memory");
	for (size_t i = 0; i < g->nr_arenas; i++)
		places[i] = g->arenas[i].addr;
	err = read_all(w, true, places, g->nr_arenas);
	free(places);
	return err;
}

/* Twice the fast bins: blocks move from them into caches, and back when a thread ends. */
int glibc_read_lists(struct walk *w)
{
	struct glibc *g = w->state;
	struct words places = { 0 };
	int err = read_fast(w);

	if (!err && g->tcache_off)
		err = list_tcaches(w, &places);
	if (!err && places.nr)
		err = read_all(w, false, places.list, places.nr);
	if (!err)
		err = read_fast(w);
	words_free(&places);
	return err;
}
