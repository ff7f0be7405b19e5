/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings -> one queue a ring, nearly sorted -> one merged stream. */
#include "drain.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A record's place in its queue's bytes. */
struct entry {
	uint64_t ts;
	size_t at;
};

struct queue {
	uint8_t *bytes;
	size_t nr_bytes, room_bytes;
	struct entry *entries; /* [next, nr) wait, sorted by time */
	size_t nr, next, room;
	uint64_t horizon_ns; /* everything up to here has been taken from the ring */
	int err;
};

struct drain {
	struct ring_buffer *rings;
	unsigned nr_rings;
	struct queue *queues; /* nr_rings of the rings, and one of the recorder's own */
	uint64_t horizon_ns;
	size_t collected_nbytes;
};

static int queue_push(struct queue *q, const void *record, size_t nbytes)
{
	size_t aligned = (nbytes + 7) & ~(size_t)7, at;

	if (q->nr_bytes + aligned > q->room_bytes) {
		size_t room = q->room_bytes ? 2 * q->room_bytes : 1 << 20;
		uint8_t *bytes;

		while (room < q->nr_bytes + aligned)
			room *= 2;
		bytes = realloc(q->bytes, room);
		if (!bytes)
			return -ENOMEM;
		q->bytes = bytes;
		q->room_bytes = room;
	}
	if (q->nr == q->room) {
		size_t room = q->room ? 2 * q->room : 16384;
		struct entry *entries = realloc(q->entries, room * sizeof(*entries));

		if (!entries)
			return -ENOMEM;
		q->entries = entries;
		q->room = room;
	}
	memcpy(q->bytes + q->nr_bytes, record, nbytes);
	/* Insertion from the back: only records of preempted programs stand out of order, by few places. */
	for (at = q->nr; at > q->next && q->entries[at - 1].ts > ((const struct ht_ev_head *)record)->ts; at--)
		q->entries[at] = q->entries[at - 1];
	q->entries[at] = (struct entry){ .ts = ((const struct ht_ev_head *)record)->ts, .at = q->nr_bytes };
	q->nr++;
	q->nr_bytes += aligned;
	return 0;
}

/* Moves what waits to the front once nothing else is there, or little. */
static void queue_compact(struct queue *q)
{
	size_t low = q->nr_bytes;

	if (!q->next)
		return;
	for (size_t i = q->next; i < q->nr; i++)
		if (q->entries[i].at < low)
			low = q->entries[i].at;
	memmove(q->bytes, q->bytes + low, q->nr_bytes - low);
	q->nr_bytes -= low;
	memmove(q->entries, q->entries + q->next, (q->nr - q->next) * sizeof(*q->entries));
	q->nr -= q->next;
	q->next = 0;
	for (size_t i = 0; i < q->nr; i++)
		q->entries[i].at -= low;
}

static int on_record(void *ctx, void *data, size_t nbytes)
{
	struct queue *q = ctx;

	if (nbytes < sizeof(struct ht_ev_head))
		return 0;
	q->err = queue_push(q, data, nbytes);
	return q->err;
}

int drain_new(const int *ring_fds, unsigned nr_rings, struct drain **d_ret)
{
	struct drain *d = calloc(1, sizeof(*d));
	int err = -ENOMEM;

	*d_ret = NULL;
	if (!d)
		return -ENOMEM;
	d->nr_rings = nr_rings;
	d->queues = calloc(nr_rings + 1, sizeof(*d->queues));
	if (d->queues)
		d->rings = ring_buffer__new(ring_fds[0], on_record, &d->queues[0], NULL);
	err = d->rings ? 0 : -errno;
	for (unsigned i = 1; i < nr_rings && !err; i++)
		err = ring_buffer__add(d->rings, ring_fds[i], on_record, &d->queues[i]);
	if (err) {
		drain_free(d);
		return err;
	}
	*d_ret = d;
	return 0;
}

void drain_free(struct drain *d)
{
	if (!d)
		return;
	ring_buffer__free(d->rings);
	for (unsigned i = 0; d->queues && i <= d->nr_rings; i++) {
		free(d->queues[i].bytes);
		free(d->queues[i].entries);
	}
	free(d->queues);
	free(d);
}

int drain_collect(struct drain *d, uint64_t now_ns, size_t *nbytes_ret)
{
	*nbytes_ret = 0;
	d->horizon_ns = now_ns;
	for (unsigned i = 0; i <= d->nr_rings; i++)
		queue_compact(&d->queues[i]);
	for (unsigned i = 0; i < d->nr_rings; i++) {
		struct ring *ring = ring_buffer__ring(d->rings, i);
		unsigned long produced = ring__producer_pos(ring), before = ring__consumer_pos(ring);
		int got = ring__consume(ring);

		if (got < 0)
			return d->queues[i].err ? d->queues[i].err : got;
		*nbytes_ret += ring__consumer_pos(ring) - before;
		if (ring__consumer_pos(ring) >= produced)
			d->queues[i].horizon_ns = now_ns;
		if (d->queues[i].horizon_ns < d->horizon_ns)
			d->horizon_ns = d->queues[i].horizon_ns;
	}
	return 0;
}

int drain_insert(struct drain *d, const struct ht_ev_head *h, size_t nbytes)
{
	return queue_push(&d->queues[d->nr_rings], h, nbytes);
}

const struct ht_ev_head *drain_next(struct drain *d, unsigned *cpu_ret)
{
	struct queue *first = NULL;
	const struct entry *e;

	for (unsigned i = 0; i <= d->nr_rings; i++) {
		struct queue *q = &d->queues[i];

		if (q->next < q->nr && (!first || q->entries[q->next].ts < first->entries[first->next].ts))
			first = q;
	}
	if (!first)
		return NULL;
	e = &first->entries[first->next];
	if (e->ts > d->horizon_ns)
		return NULL;
	first->next++;
	*cpu_ret = (unsigned)(first - d->queues);
	return (const struct ht_ev_head *)(const void *)(first->bytes + e->at);
}

uint64_t drain_horizon(const struct drain *d)
{
	return d->horizon_ns;
}

void drain_finish(struct drain *d)
{
	d->horizon_ns = UINT64_MAX;
}

double drain_fill(const struct drain *d)
{
	double most = 0;

	for (unsigned i = 0; i < d->nr_rings; i++) {
		const struct ring *ring = ring_buffer__ring(d->rings, i);
		double fill = (double)ring__avail_data_size(ring) / (double)ring__size(ring);

		if (fill > most)
			most = fill;
	}
	return most;
}
