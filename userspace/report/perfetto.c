/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * perfetto.c - the course of a recording as a trace of Perfetto: counters of the process, a track a thread with its life, the
 * moment with most live bytes, and the time in which calls were lost. Times are the tape's, from its beginning on.
 *
 * A trace is a row of packets, each field 1 of the whole: they are written one by one.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "report/course.h"
#include "report/perfetto.pb-c.h"

#define TRACE_PACKET_TAG 0x0a /* field 1, with a length */
#define SEQUENCE 1
#define CLOCK_REALTIME_ID 1
#define CLOCK_BOOTTIME_ID 6

enum { PROCESS_TRACK = 1, NOTES_TRACK, COUNTER_TRACK = 16, RUNTIME_TRACK = 64, THREAD_TRACK = 1024 };

struct trace {
	const struct report *r;
	FILE *out;
	int32_t pid;
	uint8_t *buf;
	size_t room;
	int err;
};

static void put_packet(struct trace *t, Perfetto__TracePacket *packet)
{
	size_t nbytes = perfetto__trace_packet__get_packed_size(packet);

	if (nbytes > t->room) {
		uint8_t *buf = realloc(t->buf, nbytes * 2);

		if (!buf)
			t->err = -ENOMEM;
		else
			t->buf = buf, t->room = nbytes * 2;
	}
	if (t->err)
		return;
	perfetto__trace_packet__pack(packet, t->buf);
	putc(TRACE_PACKET_TAG, t->out);
	for (size_t left = nbytes; left; left >>= 7)
		putc((int)(left & 127) | (left > 127 ? 128 : 0), t->out);
	fwrite(t->buf, 1, nbytes, t->out);
}

static void put_track(struct trace *t, Perfetto__TrackDescriptor *track, uint64_t uuid, const char *name)
{
	Perfetto__TracePacket packet = PERFETTO__TRACE_PACKET__INIT;

	track->has_uuid = true;
	track->uuid = uuid;
	track->name = (char *)(uintptr_t)name;
	if (uuid != PROCESS_TRACK) {
		track->has_parent_uuid = true;
		track->parent_uuid = PROCESS_TRACK;
	}
	packet.track_descriptor = track;
	packet.has_trusted_packet_sequence_id = true;
	packet.trusted_packet_sequence_id = SEQUENCE;
	put_packet(t, &packet);
}

static void put_event(struct trace *t, uint64_t ns, uint64_t track, Perfetto__TrackEvent *event)
{
	Perfetto__TracePacket packet = PERFETTO__TRACE_PACKET__INIT;

	event->has_type = true;
	event->has_track_uuid = true;
	event->track_uuid = track;
	packet.has_timestamp = true;
	packet.timestamp = ns;
	packet.track_event = event;
	packet.has_trusted_packet_sequence_id = true;
	packet.trusted_packet_sequence_id = SEQUENCE;
	put_packet(t, &packet);
}

static void put_mark(struct trace *t, uint64_t ns, uint64_t track, Perfetto__TrackEvent__Type type, const char *name)
{
	Perfetto__TrackEvent event = PERFETTO__TRACK_EVENT__INIT;

	event.type = type;
	event.name = (char *)(uintptr_t)name;
	put_event(t, ns, track, &event);
}

static void put_slice(struct trace *t, uint64_t from, uint64_t to, uint64_t track, const char *name)
{
	put_mark(t, from, track, PERFETTO__TRACK_EVENT__TYPE__TYPE_SLICE_BEGIN, name);
	put_mark(t, to, track, PERFETTO__TRACK_EVENT__TYPE__TYPE_SLICE_END, NULL);
}

/* ---- counters ---- */

struct counter {
	const char *name;
	Perfetto__CounterDescriptor__Unit unit;
	bool is_rate;    /* a count since the point before: shown for a second */
	bool needs_pages;
	size_t off;      /* in struct analysis_point; UINT64_MAX there: not known */
};

#define POINT(field) offsetof(struct analysis_point, field)
#define BYTES PERFETTO__COUNTER_DESCRIPTOR__UNIT__UNIT_SIZE_BYTES
#define COUNT PERFETTO__COUNTER_DESCRIPTOR__UNIT__UNIT_COUNT

static const struct counter counters[] = {
	{ "live, requested", BYTES, false, false, POINT(live_nbytes) },
	{ "live objects", COUNT, false, false, POINT(live_nr) },
	{ "resident, as the kernel counts", BYTES, false, false, POINT(rss_anon) },
	{ "allocator's resident memory", BYTES, false, true, POINT(split.resident) },
	{ "of it requested", BYTES, false, true, POINT(split.requested) },
	{ "of it holes", BYTES, false, true, POINT(split.holes) },
	{ "of it retained", BYTES, false, true, POINT(split.retained) },
	{ "of it metadata", BYTES, false, true, POINT(split.metadata) },
	{ "allocations/s", COUNT, true, false, POINT(births) },
	{ "allocated bytes/s", BYTES, true, false, POINT(born_nbytes) },
	{ "frees/s", COUNT, true, false, POINT(deaths) },
};

#define NR_COUNTERS (sizeof(counters) / sizeof(counters[0]))

static void put_counter_tracks(struct trace *t)
{
	for (size_t i = 0; i < NR_COUNTERS; i++) {
		Perfetto__TrackDescriptor track = PERFETTO__TRACK_DESCRIPTOR__INIT;
		Perfetto__CounterDescriptor counter = PERFETTO__COUNTER_DESCRIPTOR__INIT;

		counter.has_unit = true;
		counter.unit = counters[i].unit;
		track.counter = &counter;
		if (!counters[i].needs_pages || t->r->analysis->has_pages)
			put_track(t, &track, COUNTER_TRACK + i, counters[i].name);
	}
}

static void put_counts(struct trace *t, const struct analysis_point *p, uint64_t since_ns)
{
	for (size_t i = 0; i < NR_COUNTERS; i++) {
		const struct counter *c = &counters[i];
		Perfetto__TrackEvent event = PERFETTO__TRACK_EVENT__INIT;
		uint64_t value = *(const uint64_t *)((const char *)p + c->off);

		if ((c->needs_pages && !t->r->analysis->has_pages) || value == UINT64_MAX)
			continue;
		event.type = PERFETTO__TRACK_EVENT__TYPE__TYPE_COUNTER;
		if (c->is_rate && p->ns > since_ns) {
			event.has_double_counter_value = true;
			event.double_counter_value = (double)value * 1e9 / (double)(p->ns - since_ns);
		} else {
			event.has_counter_value = true;
			event.counter_value = c->is_rate ? 0 : (int64_t)value;
		}
		/* What was counted since the point before holds from there on. */
		put_event(t, c->is_rate ? since_ns : p->ns, COUNTER_TRACK + i, &event);
	}
}

/* ---- a language's runtime: its own figures, and its spans where they are of few uses ---- */

#define USES_MAX 8 /* more are size classes, which the HTML report draws */

static void put_runtime_track(struct trace *t, uint64_t number, const char *name, bool bytes)
{
	Perfetto__TrackDescriptor track = PERFETTO__TRACK_DESCRIPTOR__INIT;
	Perfetto__CounterDescriptor counter = PERFETTO__COUNTER_DESCRIPTOR__INIT;

	counter.has_unit = true;
	counter.unit = bytes ? BYTES : COUNT;
	track.counter = &counter;
	put_track(t, &track, RUNTIME_TRACK + number, naming_text(t->r->naming, name));
}

static void put_runtime_count(struct trace *t, uint64_t ns, uint64_t number, uint64_t value)
{
	Perfetto__TrackEvent event = PERFETTO__TRACK_EVENT__INIT;

	event.type = PERFETTO__TRACK_EVENT__TYPE__TYPE_COUNTER;
	event.has_counter_value = true;
	event.counter_value = (int64_t)value;
	put_event(t, ns, RUNTIME_TRACK + number, &event);
}

static void put_runtime(struct trace *t)
{
	const struct levels *lv = &t->r->analysis->levels;
	unsigned nr_uses = lv->nr_uses <= USES_MAX ? lv->nr_uses : 0;
	char name[LEVELS_NAME + 16];

	for (unsigned k = 0; k < lv->nr_figures && lv->nr_rows; k++)
		put_runtime_track(t, k, lv->figures[k], strstr(lv->figures[k], "_bytes"));
	for (unsigned k = 0; k < nr_uses && lv->nr_rows; k++) {
		snprintf(name, sizeof(name), "spans: %s", lv->uses[k]);
		put_runtime_track(t, lv->nr_figures + k, name, true);
	}
	for (size_t i = 0; i < lv->nr_rows; i++) {
		for (unsigned k = 0; k < lv->nr_figures; k++)
			put_runtime_count(t, lv->rows[i].ns, k, lv->rows[i].figures[k]);
		for (unsigned k = 0; k < nr_uses; k++)
			put_runtime_count(t, lv->rows[i].ns, lv->nr_figures + k, lv->rows[i].uses[k]);
	}
}

/* ---- threads ---- */

static void put_threads(struct trace *t)
{
	const struct analysis *a = t->r->analysis;

	for (size_t i = 0; i < a->nr_threads; i++) {
		const struct analysis_thread *thread = &a->threads[i];
		Perfetto__TrackDescriptor track = PERFETTO__TRACK_DESCRIPTOR__INIT;
		Perfetto__ThreadDescriptor who = PERFETTO__THREAD_DESCRIPTOR__INIT;
		const char *name = thread->name ? tape_reader_string(t->r->tape, thread->name) : NULL;

		if (!thread->tid)
			continue; /* what was born before the recording has no thread */
		who.has_pid = who.has_tid = true;
		who.pid = t->pid;
		who.tid = (int32_t)thread->tid;
		who.thread_name = name ? (char *)(uintptr_t)naming_text(t->r->naming, name) : NULL;
		track.thread = &who;
		put_track(t, &track, THREAD_TRACK + i, NULL);
		put_slice(t, thread->started_ns == UINT64_MAX ? a->first_ns : thread->started_ns,
			  thread->ended_ns == UINT64_MAX ? a->last_ns : thread->ended_ns, THREAD_TRACK + i, "lives");
	}
}

/* ---- the whole ---- */

/* So that times of day can be shown. */
static void put_clock(struct trace *t, uint64_t start_unix_ns)
{
	Perfetto__TracePacket packet = PERFETTO__TRACE_PACKET__INIT;
	Perfetto__ClockSnapshot snapshot = PERFETTO__CLOCK_SNAPSHOT__INIT;
	Perfetto__Clock boot = PERFETTO__CLOCK__INIT, wall = PERFETTO__CLOCK__INIT, *clocks[] = { &boot, &wall };

	boot.has_clock_id = wall.has_clock_id = boot.has_timestamp = wall.has_timestamp = true;
	boot.clock_id = CLOCK_BOOTTIME_ID;
	wall.clock_id = CLOCK_REALTIME_ID;
	wall.timestamp = start_unix_ns;
	snapshot.n_clocks = 2;
	snapshot.clocks = clocks;
	packet.clock_snapshot = &snapshot;
	put_packet(t, &packet);
}

static void put_process(struct trace *t)
{
	Perfetto__TrackDescriptor process = PERFETTO__TRACK_DESCRIPTOR__INIT, notes = PERFETTO__TRACK_DESCRIPTOR__INIT;
	Perfetto__ProcessDescriptor who = PERFETTO__PROCESS_DESCRIPTOR__INIT;
	const char *program = tape_reader_meta(t->r->tape, "target.exe");

	who.has_pid = true;
	who.pid = t->pid;
	who.process_name = (char *)(uintptr_t)naming_text(t->r->naming, program ? program : "");
	process.process = &who;
	put_track(t, &process, PROCESS_TRACK, NULL);
	put_track(t, &notes, NOTES_TRACK, "heaptape");
}

static void put_notes(struct trace *t)
{
	const struct analysis *a = t->r->analysis;
	char text[64];

	put_mark(t, a->peak_ns, NOTES_TRACK, PERFETTO__TRACK_EVENT__TYPE__TYPE_INSTANT, "most live bytes");
	if (!a->lost)
		return;
	snprintf(text, sizeof(text), "%llu calls lost", (unsigned long long)a->lost);
	put_slice(t, a->lost_first_ns, a->lost_last_ns, NOTES_TRACK, text);
}

static int write_perfetto(const struct report *r, enum course_table table, FILE *out)
{
	const struct analysis *a = r->analysis;
	struct trace t = { .r = r, .out = out, .pid = (int32_t)tape_reader_meta_u64(r->tape, "target.pid", 0) };
	uint64_t since = a->first_ns, start_unix_ns = tape_reader_meta_u64(r->tape, "start_unix_ns", 0);

	(void)table;
	if (start_unix_ns)
		put_clock(&t, start_unix_ns);
	put_process(&t);
	put_counter_tracks(&t);
	for (size_t i = 0; i < a->nr_points && a->nr_events; i++) {
		put_counts(&t, &a->points[i], since);
		since = a->points[i].ns;
	}
	put_runtime(&t);
	put_threads(&t);
	if (a->nr_events)
		put_notes(&t);
	free(t.buf);
	return t.err;
}

const struct course_format course_perfetto = { .name = "perfetto", .binary = true, .nr_points = 2000, .write = write_perfetto };
