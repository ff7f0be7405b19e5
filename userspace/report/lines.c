/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines.c - see lines.h.
 *
 * The ten columns come first and in one order in both formats; what only some kinds have follows as further
 * keys, in CSV as key=value in the last column.
 */
#include "report/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/io.h"
#include "utf8.h"

#define BUF_NBYTES (1u << 20)
#define NAME_NBYTES_MAX 4096u /* of a function or file among a stack's names: cut there */
#define LINE_NBYTES_MAX (512u << 10) /* two strings of 64 KiB, every byte escaped as \u00xx, and the rest */

static const char csv_head[] = "ns,tid,cpu,op,addr,size,align,old,alloc,stack,detail\n";

int lines_open(struct lines *l, enum lines_format format, int fd, const struct tape_reader *tape)
{
	*l = (struct lines){ .format = format, .fd = fd, .tape = tape, .cap = BUF_NBYTES };
	l->buf = malloc(l->cap);
	if (!l->buf)
		return -ENOMEM;
	if (format == LINES_CSV) {
		memcpy(l->buf, csv_head, sizeof(csv_head) - 1);
		l->nbytes = sizeof(csv_head) - 1;
	}
	return 0;
}

void lines_close(struct lines *l)
{
	free(l->buf);
	l->buf = NULL;
}

int lines_flush(struct lines *l)
{
	int err = io_write_all(l->fd, l->buf, l->nbytes);

	l->nbytes = 0;
	return err;
}

static void put_char(struct lines *l, char c)
{
	l->buf[l->nbytes++] = c;
}

static void put_text(struct lines *l, const char *s)
{
	size_t nbytes = strlen(s);

	memcpy(l->buf + l->nbytes, s, nbytes);
	l->nbytes += nbytes;
}

static void put_decimal(struct lines *l, uint64_t v)
{
	char digits[20];
	unsigned nr = 0;

	do {
		digits[nr++] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	while (nr)
		put_char(l, digits[--nr]);
}

static void put_hex(struct lines *l, uint64_t v)
{
	static const char digit[] = "0123456789abcdef";
	int shift = v ? (63 - __builtin_clzll(v)) & ~3 : 0;

	put_char(l, '0');
	put_char(l, 'x');
	for (; shift >= 0; shift -= 4)
		put_char(l, digit[v >> shift & 15]);
}

static void put_escaped(struct lines *l, unsigned char c)
{
	static const char digit[] = "0123456789abcdef";

	put_text(l, "\\u00");
	put_char(l, digit[c >> 4]);
	put_char(l, digit[c & 15]);
}

/* Bytes that are no UTF-8 are taken as Latin-1, so that the line stays JSON. */
static void put_json_string(struct lines *l, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	put_char(l, '"');
	while (*s) {
		size_t nr = utf8_length(s);

		if (nr == 0 || *s < 0x20 || *s == 0x7f) {
			put_escaped(l, *s++);
			continue;
		}
		if (*s == '"' || *s == '\\')
			put_char(l, '\\');
		for (; nr; nr--)
			put_char(l, (char)*s++);
	}
	put_char(l, '"');
}

/* ---- the ten columns ---- */

/* Starts a column. CSV has a comma for every column; NDJSON leaves absent ones out. */
static bool start(struct lines *l, const char *key, bool present)
{
	if (l->format == LINES_CSV) {
		if (!l->first)
			put_char(l, ',');
		l->first = false;
		return present;
	}
	if (!present)
		return false;
	put_text(l, l->first ? "{\"" : ",\"");
	put_text(l, key);
	put_text(l, "\":");
	l->first = false;
	return true;
}

static void column_u64(struct lines *l, const char *key, uint64_t value, bool present)
{
	if (start(l, key, present))
		put_decimal(l, value);
}

static void column_hex(struct lines *l, const char *key, uint64_t value, bool present)
{
	if (!start(l, key, present))
		return;
	if (l->format == LINES_NDJSON)
		put_char(l, '"');
	put_hex(l, value);
	if (l->format == LINES_NDJSON)
		put_char(l, '"');
}

static void column_op(struct lines *l, unsigned kind)
{
	const char *name = tape_kind_name(kind);

	start(l, "op", true);
	if (l->format == LINES_NDJSON)
		put_char(l, '"');
	if (name) {
		put_text(l, name);
	} else {
		put_text(l, "kind_");
		put_decimal(l, kind);
	}
	if (l->format == LINES_NDJSON)
		put_char(l, '"');
}

/* ---- further keys ---- */

static void extra(struct lines *l, const char *key)
{
	if (l->format == LINES_NDJSON) {
		start(l, key, true);
		return;
	}
	put_char(l, l->detail ? ' ' : ',');
	l->detail = true;
	put_text(l, key);
	put_char(l, '=');
}

static void extra_u64(struct lines *l, const char *key, uint64_t value)
{
	extra(l, key);
	put_decimal(l, value);
}

static void extra_hex(struct lines *l, const char *key, uint64_t value)
{
	extra(l, key);
	if (l->format == LINES_NDJSON)
		put_char(l, '"');
	put_hex(l, value);
	if (l->format == LINES_NDJSON)
		put_char(l, '"');
}

static void extra_true(struct lines *l, const char *key)
{
	extra(l, key);
	put_text(l, "true");
}

/* In CSV names are percent-encoded where they hold a separator, those in `more` too, so that no quoting is needed. */
static void put_percent(struct lines *l, const char *text, size_t nbytes_max, const char *more)
{
	static const char digit[] = "0123456789ABCDEF";

	for (const unsigned char *s = (const unsigned char *)text; *s && nbytes_max; s++, nbytes_max--) {
		if (*s > ' ' && *s < 0x7f && !strchr(",\"%=", *s) && !strchr(more, *s)) {
			put_char(l, (char)*s);
			continue;
		}
		put_char(l, '%');
		put_char(l, digit[*s >> 4]);
		put_char(l, digit[*s & 15]);
	}
}

static void extra_text(struct lines *l, const char *key, const char *text)
{
	extra(l, key);
	if (l->format == LINES_NDJSON) {
		put_json_string(l, text);
		return;
	}
	put_percent(l, text, SIZE_MAX, "");
}

static void extra_string(struct lines *l, const char *key, uint64_t id)
{
	const char *s = l->tape && id <= UINT32_MAX ? tape_reader_string(l->tape, (uint32_t)id) : NULL;

	if (s)
		extra_text(l, key, s);
}

/* A value of one of the tape's small enumerations; a number where this version has no name for it. */
static void extra_name(struct lines *l, const char *key, const char *name, uint64_t value)
{
	if (name)
		extra_text(l, key, name);
	else
		extra_u64(l, key, value);
}

static void put_by(struct lines *l, const struct tape_event *ev)
{
	unsigned by = ev->flags >> TAPE_BY_SHIFT;

	extra_name(l, "by", tape_by_name(by), by);
}

static void put_lost(struct lines *l, const struct tape_event *ev)
{
	extra_name(l, "cause", ev->arg < TAPE_LOSS_NR ? tape_loss_name((unsigned)ev->arg) : NULL, ev->arg);
	extra_u64(l, "calls", ev->size);
	extra_u64(l, "since_ns", ev->old);
}

static void put_kind_extras(struct lines *l, const struct tape_event *ev)
{
	switch (ev->kind) {
	case TAPE_MMAP:
		extra_u64(l, "prot", ev->arg & UINT32_MAX);
		extra_u64(l, "flags", ev->arg >> 32);
		break;
	case TAPE_MREMAP:
		extra_u64(l, "old_size", ev->arg);
		break;
	case TAPE_MADVISE:
		extra_u64(l, "advice", ev->arg);
		break;
	case TAPE_THREAD_START:
	case TAPE_THREAD_NAME:
	case TAPE_EXEC:
		extra_string(l, "name", ev->arg);
		break;
	case TAPE_STEER:
		extra_string(l, "call", ev->arg);
		extra_hex(l, "arg1", ev->addr);
		extra_hex(l, "arg2", ev->size);
		break;
	case TAPE_RSS:
		extra_u64(l, "anon", ev->addr);
		extra_u64(l, "file", ev->old);
		extra_u64(l, "shmem", ev->size);
		break;
	case TAPE_LOST:
		put_lost(l, ev);
		break;
	case TAPE_MARK:
		extra_name(l, "mark", ev->arg < TAPE_MARK_NR ? tape_mark_name((unsigned)ev->arg) : NULL, ev->arg);
		break;
	case TAPE_COUNTER:
		extra_name(l, "counter", ev->arg == TAPE_COUNT_NESTED ? "nested" : NULL, ev->arg);
		extra_u64(l, "count", ev->size);
		break;
	case TAPE_SUSPEND:
		extra_u64(l, "slept_ns", ev->size);
		break;
	case TAPE_SPAN:
	case TAPE_SPAN_FREE:
		extra_string(l, "use", ev->arg);
		break;
	case TAPE_FIGURE:
		extra_string(l, "name", ev->arg);
		extra_u64(l, "value", ev->size);
		break;
	}
}

static void put_extras(struct lines *l, const struct tape_event *ev)
{
	put_kind_extras(l, ev);
	if (ev->kind >= TAPE_MMAP && ev->kind <= TAPE_MADVISE)
		put_by(l, ev);
	if (ev->flags & TAPE_FAILED)
		extra_true(l, "failed");
	if (ev->flags & TAPE_UNKNOWN)
		extra_true(l, "unknown");
	if (ev->flags & TAPE_IMPLIED_FREE)
		extra_true(l, "implied_free");
	if (ev->flags & TAPE_KEPT)
		extra_true(l, "kept");
	if (ev->flags & TAPE_SUB)
		extra_true(l, "sub");
	if (ev->flags & TAPE_WRITE)
		extra_true(l, tape_kind_is_call(ev->kind) ? "collected" : "write");
}

/* ---- names of stacks ---- */

void lines_name_stacks(struct lines *l, struct naming *naming)
{
	l->naming = naming;
}

static void put_name_text(struct lines *l, const char *text)
{
	if (l->format == LINES_CSV) {
		put_percent(l, text, NAME_NBYTES_MAX, ";");
		return;
	}
	/* UTF-8 without control characters; a cut must not go through one. */
	for (size_t nbytes = 0; *text && nbytes < NAME_NBYTES_MAX;) {
		size_t nr = utf8_length((const unsigned char *)text);

		if (*text == '"' || *text == '\\')
			put_char(l, '\\');
		for (nbytes += nr; nr; nr--)
			put_char(l, *text++);
	}
}

/* function (file:line) */
static int put_name(struct lines *l, const struct tape_name *name, bool is_first)
{
	const char *quote = l->format == LINES_NDJSON ? "\"" : "";

	/* A stack may be longer than the buffer: what is ready goes out in the middle of the line. */
	if (l->cap - l->nbytes < LINE_NBYTES_MAX / 2) {
		int err = lines_flush(l);

		if (err)
			return err;
	}
	if (!is_first)
		put_char(l, l->format == LINES_NDJSON ? ',' : ';');
	put_text(l, quote);
	put_name_text(l, name->function);
	if (*name->file) {
		put_text(l, l->format == LINES_NDJSON ? " (" : "%20(");
		put_name_text(l, name->file);
		put_char(l, ':');
		put_decimal(l, name->line);
		put_char(l, ')');
	}
	put_text(l, quote);
	return 0;
}

static int put_frames(struct lines *l, uint32_t stack)
{
	const struct tape_frame *frames;
	uint32_t nr = tape_reader_stack(l->tape, stack, &frames, NULL);

	extra(l, "frames");
	if (l->format == LINES_NDJSON)
		put_char(l, '[');
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t nr_names;
		const struct tape_name *names = naming_frame(l->naming, frames, i, &nr_names);

		if (!names)
			return -ENOMEM;
		for (uint32_t k = 0; k < nr_names; k++) {
			int err = put_name(l, &names[k], !i && !k);

			if (err)
				return err;
		}
	}
	if (l->format == LINES_NDJSON)
		put_char(l, ']');
	return 0;
}

/* These use the address and size fields for something else, which the further keys name. */
static bool kind_has_place(unsigned kind)
{
	return (kind != TAPE_RSS && kind != TAPE_STEER && kind < TAPE_LOST) || kind == TAPE_SPAN || kind == TAPE_SPAN_FREE;
}

/* Where 0 is a size, and not the lack of one. */
static bool kind_has_size(unsigned kind)
{
	return tape_kind_is_alloc(kind) || kind == TAPE_SDALLOCX || (kind >= TAPE_MMAP && kind <= TAPE_MREMAP) ||
	       kind == TAPE_MADVISE;
}

int lines_put(struct lines *l, const struct tape_event *ev)
{
	bool place = kind_has_place(ev->kind), call = tape_kind_is_call(ev->kind);

	if (l->cap - l->nbytes < LINE_NBYTES_MAX) {
		int err = lines_flush(l);

		if (err)
			return err;
	}
	l->first = true;
	l->detail = false;
	column_u64(l, "ns", ev->ns, true);
	column_u64(l, "tid", ev->tid, ev->tid != 0);
	column_u64(l, "cpu", ev->cpu, ev->tid != 0);
	column_op(l, ev->kind);
	column_hex(l, "addr", ev->addr, place && ev->addr);
	column_u64(l, "size", ev->size, place && (ev->size || kind_has_size(ev->kind)));
	column_u64(l, "align", ev->align, call && ev->align);
	column_hex(l, "old", ev->old, place && ev->old);
	column_u64(l, "alloc", ev->alloc, ev->alloc != TAPE_NO_ALLOC);
	column_u64(l, "stack", ev->stack, ev->stack != TAPE_NO_STACK);
	put_extras(l, ev);
	if (l->naming && ev->stack != TAPE_NO_STACK) {
		int err = put_frames(l, ev->stack);

		if (err)
			return err;
	}
	if (l->format == LINES_NDJSON)
		put_char(l, '}');
	else if (!l->detail)
		put_char(l, ',');
	put_char(l, '\n');
	return 0;
}
