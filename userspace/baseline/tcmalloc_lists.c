/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcmalloc_lists.c - free blocks that their spans count as used: in lists of each thread's cache, and in the chains that a
 * class keeps to hand from thread to thread.
 *
 * Both run through the blocks themselves. A list counts if its head and length were the same behind as before, and it ended
 * after as many blocks: a block that was handed out meanwhile may hold any word, also one that leads to a live block. All
 * lists of a cache are followed side by side; one that changed is followed again, its blocks of before asked for at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "baseline/tcmalloc.h"
#include "formats/index_map.h"

#define TRIES 64
#define SLOT_TRIES 4
#define CACHES_MAX 100000

struct chain {
	uint64_t record; /* address of head and length, or of first and last */
	uint64_t head, tail;
	uint32_t nr;
	bool ends;
	struct words nodes;
};

/* What one reading needs, again and again. */
struct lists {
	struct chain chains[TC_CLASSES_MAX];
	struct index_map known; /* block -> its place in `next` */
	uint64_t *next;
	size_t room;
};

static int out_of_memory(struct walk *w)
{
	return walk_fail(w, -ENOMEM, "out of memory");
}

static struct lists *lists_new(void)
{
	struct lists *l = calloc(1, sizeof(*l));

	if (l && index_map_init(&l->known)) {
		free(l);
		return NULL;
	}
	return l;
}

static void lists_free(struct lists *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < TC_CLASSES_MAX; i++)
		words_free(&l->chains[i].nodes);
	index_map_free(&l->known);
	free(l->next);
	free(l);
}

/* ---- chains ---- */

static bool goes_on(const struct chain *c, uint64_t next)
{
	return next && next % 8 == 0 && c->nodes.nr <= c->nr;
}

/* Side by side: a block of each with every read. */
static int follow_all(struct walk *w, struct chain *chains, unsigned nr)
{
	uint64_t at[TC_CLASSES_MAX], next[TC_CLASSES_MAX];
	unsigned of[TC_CLASSES_MAX], left = 0;
	int err = 0;

	for (unsigned i = 0; i < nr; i++) {
		chains[i].nodes.nr = 0;
		chains[i].ends = false;
		at[left] = chains[i].head;
		of[left++] = i;
	}
	while (left && !err) {
		unsigned kept = 0;

		memory_gather(w->pid, at, left, 8, next);
		for (unsigned i = 0; i < left && !err; i++) {
			struct chain *c = &chains[of[i]];

			err = words_add(&c->nodes, at[i]);
			c->ends = !next[i];
			if (!goes_on(c, next[i]))
				continue;
			of[kept] = of[i];
			at[kept++] = next[i];
		}
		left = kept;
	}
	return err;
}

/* Asks for all blocks of last time at once. */
static int learn(struct walk *w, struct lists *l, const struct chain *c)
{
	int err = 0;

	if (c->nodes.nr > l->room) {
		uint64_t *next = reallocarray(l->next, c->nodes.nr, sizeof(*next));

		if (!next)
			return -ENOMEM;
		l->next = next;
		l->room = c->nodes.nr;
	}
	memory_gather(w->pid, c->nodes.list, c->nodes.nr, 8, l->next);
	index_map_clear(&l->known);
	for (size_t i = 0; i < c->nodes.nr && !err; i++)
		err = index_map_set(&l->known, c->nodes.list[i], (uint32_t)i);
	return err;
}

static int follow_again(struct walk *w, struct lists *l, struct chain *c)
{
	uint64_t at = c->head, next;
	int err = learn(w, l, c);

	c->nodes.nr = 0;
	c->ends = !at;
	while (at && !err) {
		uint32_t i = index_map_find(&l->known, at);

		if (i != INDEX_NONE)
			next = l->next[i];
		else if (memory_read(w->pid, at, &next, 8) != 8)
			break;
		err = words_add(&c->nodes, at);
		c->ends = !next;
		at = goes_on(c, next) ? next : 0;
	}
	return err;
}

static int accept(struct walk *w, const struct chain *c)
{
	struct tcmalloc *t = w->state;
	int err = 0;

	for (size_t i = 0; i < c->nodes.nr && !err; i++)
		err = words_add(&t->cached, c->nodes.list[i]);
	return err;
}

/* ---- threads ---- */

static void parse_list(const uint8_t *record, struct chain *c)
{
	memcpy(&c->head, record, 8);
	memcpy(&c->nr, record + 8, 4);
}

static int settle_list(struct walk *w, struct lists *l, struct chain *c)
{
	struct tcmalloc *t = w->state;
	uint8_t record[16];
	int err = 0;

	for (int i = 0; i < TRIES && !err; i++) {
		uint64_t head = c->head;
		uint32_t nr = c->nr;

		if (memory_read(w->pid, c->record, record, sizeof(record)) != sizeof(record))
			return 0; /* the thread is gone, and what it held with it */
		parse_list(record, c);
		if (c->head == head && c->nr == nr && c->ends && c->nodes.nr == nr)
			return accept(w, c);
		if (!c->head)
			return 0;
		err = follow_again(w, l, c);
	}
	t->nr_uneven++;
	return err;
}

static int read_cache(struct walk *w, struct lists *l, uint64_t addr, const uint8_t *cache)
{
	const struct tcmalloc *t = w->state;
	unsigned nr = 0;
	int err;

	for (unsigned i = 1; i < t->nr_classes; i++) {
		struct chain *c = &l->chains[nr];

		parse_list(cache + i * TC_CACHE_LIST_NBYTES, c);
		c->record = addr + i * TC_CACHE_LIST_NBYTES;
		nr += c->head != 0;
	}
	err = follow_all(w, l->chains, nr);
	for (unsigned i = 0; i < nr && !err; i++)
		err = settle_list(w, l, &l->chains[i]);
	return err;
}

/* Calls fn for each thread's cache: from any of them, links lead to all. */
static int each_cache(struct walk *w, int (*fn)(struct walk *w, void *arg, uint64_t addr, const uint8_t *cache), void *arg)
{
	const struct tcmalloc *t = w->state;
	struct index_map seen;
	uint8_t cache[TC_CACHE_NBYTES];
	int err = index_map_init(&seen);

	for (size_t i = 0; i < t->cache_words.nr && !err; i++) {
		for (int side = 0; side < 2 && !err; side++) {
			uint64_t at = 0;
			unsigned steps = 0; /* links that are being changed may lead in a circle */

			memory_read(w->pid, t->cache_words.list[i], &at, 8);
			while (at && steps++ < CACHES_MAX && !err) {
				uint64_t here = at;

				if (memory_read(w->pid, at, cache, sizeof(cache)) != sizeof(cache) || !tcmalloc_is_cache(t, cache))
					break;
				memcpy(&at, cache + t->links_off + (side ? 8 : 0), 8);
				if (index_map_find(&seen, here) != INDEX_NONE) {
					if (!side)
						break;
					continue;
				}
				err = index_map_set(&seen, here, 1);
				err = err ? err : fn(w, arg, here, cache);
			}
		}
	}
	index_map_free(&seen);
	return err;
}

static int read_one(struct walk *w, void *arg, uint64_t addr, const uint8_t *cache)
{
	return read_cache(w, arg, addr, cache);
}

/* ---- classes ---- */

static uint32_t slots_used(const uint8_t *central)
{
	uint32_t nr;

	memcpy(&nr, central + TC_CENTRAL_USED_OFF, sizeof(nr));
	return nr <= TC_CENTRAL_SLOTS ? nr : 0;
}

/* The chains in a class's slots that were not accepted before. */
static unsigned list_slots(struct lists *l, const uint8_t *central, uint32_t batch, const struct words *done)
{
	unsigned nr = 0;

	for (uint32_t i = 0; i < slots_used(central); i++) {
		struct chain *c = &l->chains[nr];
		bool is_done = false;

		memcpy(&c->head, central + TC_CENTRAL_SLOTS_OFF + 16 * i, 8);
		memcpy(&c->tail, central + TC_CENTRAL_SLOTS_OFF + 16 * i + 8, 8);
		for (size_t k = 0; k < done->nr && !is_done; k++)
			is_done = done->list[k] == c->head;
		c->record = i; /* its slot */
		c->nr = batch;
		nr += c->head && !is_done;
	}
	return nr;
}

static bool is_still_there(const struct chain *c, const uint8_t *central)
{
	uint64_t slot[2];

	memcpy(slot, central + TC_CENTRAL_SLOTS_OFF + 16 * c->record, sizeof(slot));
	return c->record < slots_used(central) && slot[0] == c->head && slot[1] == c->tail;
}

static int read_slots(struct walk *w, struct lists *l, unsigned class, struct words *done)
{
	struct tcmalloc *t = w->state;
	uint64_t addr = t->central + class * (uint64_t)TC_CENTRAL_NBYTES;
	uint8_t central[TC_CENTRAL_NBYTES];
	bool again = true;
	int err = 0;

	done->nr = 0;
	if (memory_read(w->pid, addr, central, sizeof(central)) != sizeof(central))
		return 0;
	for (int i = 0; i < SLOT_TRIES && again && !err; i++) {
		unsigned nr = list_slots(l, central, t->batch[class], done);

		again = false;
		err = nr ? follow_all(w, l->chains, nr) : 0;
		if (!nr || memory_read(w->pid, addr, central, sizeof(central)) != sizeof(central))
			break;
		for (unsigned k = 0; k < nr && !err; k++) {
			const struct chain *c = &l->chains[k];

			if (!is_still_there(c, central) || !c->ends || c->nodes.nr != c->nr || c->nodes.list[c->nr - 1] != c->tail) {
				again = true;
				continue;
			}
			err = words_add(done, c->head);
			err = err ? err : accept(w, c);
		}
	}
	t->nr_uneven += again;
	return err;
}

int tcmalloc_read_lists(struct walk *w)
{
	const struct tcmalloc *t = w->state;
	struct lists *l = lists_new();
	struct words done = { 0 };
	int err = l ? each_cache(w, read_one, l) : -ENOMEM;

	for (unsigned c = 1; c < t->nr_classes && !err; c++)
		err = read_slots(w, l, c, &done);
	words_free(&done);
	lists_free(l);
	return err ? out_of_memory(w) : 0;
}

/* ---- a stopped process ---- */

/* A cache's bytes are counted behind the lists, so that they differ while a block or a chain is in hands. */
static int adds_up(struct walk *w, void *arg, uint64_t addr, const uint8_t *cache)
{
	const struct tcmalloc *t = w->state;
	int64_t nbytes = 0;
	bool *all = arg;
	int32_t counted;

	(void)addr;
	for (unsigned i = 1; i < t->nr_classes; i++) {
		struct chain c;

		parse_list(cache + i * TC_CACHE_LIST_NBYTES, &c);
		nbytes += (int64_t)c.nr * t->class_nbytes[i];
	}
	memcpy(&counted, cache + TC_CACHE_SIZE_OFF, sizeof(counted));
	*all &= nbytes == counted;
	return 0;
}

bool tcmalloc_at_rest(struct walk *w)
{
	const struct tcmalloc *t = w->state;
	bool all = true;

	for (unsigned c = 0; c < t->nr_classes && all; c++) {
		uint32_t lock = 1;

		memory_read(w->pid, t->central + c * (uint64_t)TC_CENTRAL_NBYTES, &lock, sizeof(lock));
		all = !lock;
	}
	return all && !each_cache(w, adds_up, &all) && all;
}
