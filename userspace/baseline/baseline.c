/* SPDX-License-Identifier: BSD-2-Clause */
/* baseline.c - see baseline.h. */
#include "baseline/baseline.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "baseline/pause.h"
#include "clock.h"

#define WALKS_MAX 4          /* of a heap that moves too much to be read */
#define PAUSES_MAX 50        /* until no thread stands inside the allocator */
#define MEASURE_MAX 1024     /* blocks at once: up to 10 us each on a busy machine */
#define PAUSE_AGAIN_US 300   /* for it to get out */

struct baseline {
	const struct process *process;
	enum baseline_mode mode;
	struct baseline_part parts[BASELINE_PARTS_MAX];
	unsigned nr_parts;
	uint8_t part_of[256]; /* by the recorder's number; BASELINE_PARTS_MAX: none */
	pthread_t thread;
	bool has_thread;
	atomic_bool done;
	uint64_t walk_ns, pause_ns;
};

int baseline_new(const struct process *p, enum baseline_mode mode, struct baseline **b_ret)
{
	struct baseline *b = calloc(1, sizeof(*b));

	*b_ret = b;
	if (!b)
		return -ENOMEM;
	b->process = p;
	b->mode = mode;
	memset(b->part_of, BASELINE_PARTS_MAX, sizeof(b->part_of));
	return 0;
}

static void join(struct baseline *b)
{
	if (b->has_thread)
		pthread_join(b->thread, NULL);
	b->has_thread = false;
}

void baseline_free(struct baseline *b)
{
	if (!b)
		return;
	join(b);
	for (unsigned i = 0; i < b->nr_parts; i++) {
		if (b->parts[i].known)
			walk_end(&b->parts[i].walk);
		reconcile_free(b->parts[i].reconcile);
	}
	free(b);
}

int baseline_allocator(struct baseline *b, uint8_t obj, const char *name, const struct object *file)
{
	struct baseline_part *part = &b->parts[b->nr_parts];
	const struct walker *walker = walk_find(name);

	if (b->nr_parts == BASELINE_PARTS_MAX)
		return -E2BIG;
	*part = (struct baseline_part){ .name = name, .obj = obj };
	b->part_of[obj] = (uint8_t)b->nr_parts++;
	if (!walker) {
		snprintf(part->why, sizeof(part->why), "its heap cannot be read: heaptape knows none of its kind");
		return 0;
	}
	part->walk = (struct walk){ .process = b->process, .pid = b->process->pid, .obj = file, .walker = walker };
	part->reconcile = reconcile_new(walker->least);
	if (!part->reconcile)
		return -ENOMEM;
	part->known = true;
	if (walker->open(&part->walk)) {
		memcpy(part->why, part->walk.why, sizeof(part->why));
		walk_end(&part->walk);
		part->known = false;
	}
	return 0;
}

bool baseline_has_walker(const struct baseline *b)
{
	for (unsigned i = 0; i < b->nr_parts; i++)
		if (b->parts[i].known)
			return true;
	return false;
}

static struct baseline_part *part_of(struct baseline *b, uint8_t obj)
{
	uint8_t i = b->part_of[obj];

	return i < b->nr_parts && b->parts[i].known ? &b->parts[i] : NULL;
}

int baseline_birth(struct baseline *b, uint8_t obj, uint64_t addr, uint64_t nbytes)
{
	struct baseline_part *part = part_of(b, obj);

	return part && addr ? reconcile_birth(part->reconcile, addr, nbytes) : 0;
}

int baseline_death(struct baseline *b, uint8_t obj, uint64_t addr)
{
	struct baseline_part *part = part_of(b, obj);

	return part && addr ? reconcile_death(part->reconcile, addr) : 0;
}

static int measure_part(struct baseline_part *part)
{
	const uint64_t *addrs;
	size_t nr = reconcile_take_gone(part->reconcile, &addrs);
	uint64_t *usable;

	/* The newest, if there are too many: looking must not keep the rings from being emptied. */
	if (nr > MEASURE_MAX) {
		addrs += nr - MEASURE_MAX;
		nr = MEASURE_MAX;
	}
	if (!nr || !part->walk.walker->usable)
		return 0;
	usable = malloc(nr * sizeof(*usable));
	if (!usable)
		return -ENOMEM;
	part->walk.walker->usable(&part->walk, addrs, nr, usable);
	for (size_t i = 0; i < nr; i++)
		reconcile_size(part->reconcile, addrs[i], usable[i]);
	free(usable);
	return 0;
}

int baseline_measure(struct baseline *b)
{
	int err = 0;

	for (unsigned i = 0; i < b->nr_parts && !err; i++)
		if (b->parts[i].known)
			err = measure_part(&b->parts[i]);
	return err;
}

/* ---- the thread ---- */

static void part_fails(struct baseline_part *part, const char *why)
{
	size_t nr = strlen(why);

	part->is_good = false;
	nr = nr < sizeof(part->why) ? nr : sizeof(part->why) - 1;
	memcpy(part->why, why, nr);
	part->why[nr] = '\0';
}

static void walk_part(struct baseline_part *part)
{
	int err;

	do {
		err = part->walk.walker->run(&part->walk);
		if (!err && !part->walk.stands)
			err = part->walk.walker->finish(&part->walk);
		part->nr_walks++;
	} while (err == -EAGAIN && part->nr_walks < WALKS_MAX);
	part->is_good = !err;
	if (err)
		part_fails(part, part->walk.why);
}

/* The target goes on before what was read of it is looked through. */
static void finish_part(struct baseline_part *part)
{
	if (part->is_good && part->walk.stands && part->walk.walker->finish(&part->walk))
		part_fails(part, part->walk.why);
	part->nr_free = part->walk.nr_free;
}

static bool all_at_rest(struct baseline *b)
{
	for (unsigned i = 0; i < b->nr_parts; i++)
		if (b->parts[i].known && b->parts[i].walk.walker->at_rest && !b->parts[i].walk.walker->at_rest(&b->parts[i].walk))
			return false;
	return true;
}

/* Stops the target where it is outside the allocator. */
static int stop(struct baseline *b, struct pause_guard *guard)
{
	int err = -EBUSY;

	for (int i = 0; i < PAUSES_MAX && err == -EBUSY; i++) {
		err = pause_begin(b->process, guard);
		if (!err && !all_at_rest(b)) {
			b->pause_ns += pause_end(guard);
			usleep(PAUSE_AGAIN_US);
			err = -EBUSY;
		}
	}
	return err;
}

static void fail_all(struct baseline *b, const char *why)
{
	for (unsigned i = 0; i < b->nr_parts; i++)
		if (b->parts[i].known)
			part_fails(&b->parts[i], why);
}

static void *walk_all(void *arg)
{
	struct baseline *b = arg;
	uint64_t began = clock_monotonic_ns();
	struct pause_guard guard;
	int err = b->mode == BASELINE_PAUSE ? stop(b, &guard) : 0;

	if (err && err != -EALREADY)
		fail_all(b, err == -EBUSY ? "the target was never stopped outside its allocator" : "the target cannot be stopped");
	for (unsigned i = 0; i < b->nr_parts && (!err || err == -EALREADY); i++) {
		b->parts[i].walk.stands = b->mode == BASELINE_PAUSE;
		if (b->parts[i].known)
			walk_part(&b->parts[i]);
	}
	if (b->mode == BASELINE_PAUSE && !err)
		b->pause_ns += pause_end(&guard);
	for (unsigned i = 0; i < b->nr_parts; i++)
		if (b->parts[i].known)
			finish_part(&b->parts[i]);
	b->walk_ns = clock_monotonic_ns() - began;
	atomic_store(&b->done, true);
	return NULL;
}

static void settle_part(struct baseline_part *part)
{
	/* What must hold in a heap that rests did not, and nothing had moved. */
	if (part->walk.differs && !reconcile_nr_events(part->reconcile))
		return part_fails(part, part->walk.why);
	if (reconcile_finish(part->reconcile, &part->walk, &part->counts))
		return part_fails(part, "out of memory");
	for (size_t i = 0; i < part->walk.nr; i++)
		part->nbytes += part->walk.blocks[i].usable;
}

static void *settle_all(void *arg)
{
	struct baseline *b = arg;

	for (unsigned i = 0; i < b->nr_parts; i++)
		if (b->parts[i].is_good)
			settle_part(&b->parts[i]);
	atomic_store(&b->done, true);
	return NULL;
}

static int start(struct baseline *b, void *(*fn)(void *))
{
	sigset_t all, before;
	int err;

	join(b);
	atomic_store(&b->done, false);
	sigfillset(&all); /* signals are the recorder's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&b->thread, NULL, fn, b);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	b->has_thread = !err;
	return -err;
}

int baseline_start(struct baseline *b)
{
	return start(b, walk_all);
}

int baseline_settle(struct baseline *b)
{
	return start(b, settle_all);
}

bool baseline_is_done(struct baseline *b)
{
	return atomic_load(&b->done);
}

unsigned baseline_nr_parts(const struct baseline *b)
{
	return b->nr_parts;
}

const struct baseline_part *baseline_part(const struct baseline *b, unsigned i)
{
	return &b->parts[i];
}

uint64_t baseline_walk_ns(const struct baseline *b)
{
	return b->walk_ns;
}

uint64_t baseline_pause_ns(const struct baseline *b)
{
	return b->pause_ns;
}
