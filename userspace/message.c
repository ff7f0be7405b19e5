/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines on stderr for a person: errors, warnings, one progress line; and numbers in human units. */
#include "message.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

int message_level;

#define PROGRESS_PERIOD_NS 100000000 /* ten drawings a second are what an eye follows */

static atomic_bool progress_shown;
static const char *process_name; /* NULL: it is the only one */

void message_name(const char *name)
{
	process_name = name;
}

/* What waits while the terminal is taken. */
#define HELD_NBYTES_MAX 65536
static pthread_mutex_t held_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_held;
static char held[HELD_NBYTES_MAX];
static size_t held_nbytes, held_dropped;

/* False: it is not to wait. What has no room is counted. */
static bool hold_line(const char *line, size_t nbytes)
{
	bool waits;

	pthread_mutex_lock(&held_lock);
	waits = is_held;
	if (waits && held_nbytes + nbytes > sizeof(held)) {
		held_dropped++;
	} else if (waits) {
		memcpy(held + held_nbytes, line, nbytes);
		held_nbytes += nbytes;
	}
	pthread_mutex_unlock(&held_lock);
	return waits;
}

void message_hold(bool hold)
{
	size_t dropped;

	pthread_mutex_lock(&held_lock);
	is_held = hold;
	dropped = hold ? 0 : held_dropped;
	if (!hold) {
		if (held_nbytes && write(STDERR_FILENO, held, held_nbytes) < 0)
			dropped++; /* there is nobody left to tell */
		held_nbytes = held_dropped = 0;
	}
	pthread_mutex_unlock(&held_lock);
	if (dropped)
		message_warn("%zu more messages had no room while the terminal was in use", dropped);
}

/* One write a line, so that lines of several threads never mix. */
static void message_write(const char *prefix, const char *fmt, va_list ap)
{
	char line[2048];
	int len = 0;

	if (atomic_exchange(&progress_shown, false))
		len = snprintf(line, sizeof(line), "\r\033[K");
	len += snprintf(line + len, sizeof(line) - (size_t)len, "heaptape: %s%s%s%s", process_name ? "[" : "", process_name ? process_name : "",
			process_name ? "] " : "", prefix);
	len += vsnprintf(line + len, sizeof(line) - (size_t)len, fmt, ap);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (hold_line(line, (size_t)len))
		return;
	/* stderr may be closed or full; there is nobody left to tell. */
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}

/* One of several processes tells what is usual only to who wants to know all. */
#define INFO_LEAST (process_name ? 1 : 0)

#define MESSAGE_FUNCTION(name, least, prefix)   \
	void name(const char *fmt, ...)         \
	{                                       \
		va_list ap;                     \
                                                \
		if (message_level < (least))    \
			return;                 \
		va_start(ap, fmt);              \
		message_write(prefix, fmt, ap); \
		va_end(ap);                     \
	}

MESSAGE_FUNCTION(message_error, -1, "")
MESSAGE_FUNCTION(message_warn, 0, "warning: ")
MESSAGE_FUNCTION(message_info, INFO_LEAST, "")
MESSAGE_FUNCTION(message_verbose, 1, "")

void message_progress(const char *fmt, ...)
{
	static _Atomic uint64_t last_ns;
	uint64_t now_ns;
	char line[256];
	va_list ap;
	int len;

	if (message_level < 0 || is_held || process_name || !isatty(STDERR_FILENO))
		return;
	if (!fmt) {
		if (atomic_exchange(&progress_shown, false) && write(STDERR_FILENO, "\r\033[K", 4) < 0)
			return;
		return;
	}
	now_ns = clock_monotonic_ns();
	if (now_ns - last_ns < PROGRESS_PERIOD_NS)
		return;
	last_ns = now_ns;
	len = snprintf(line, sizeof(line), "\r\033[Kheaptape: ");
	va_start(ap, fmt);
	len += vsnprintf(line + len, sizeof(line) - (size_t)len, fmt, ap);
	va_end(ap);
	if (len >= (int)sizeof(line))
		len = sizeof(line) - 1;
	atomic_store(&progress_shown, true);
	if (write(STDERR_FILENO, line, (size_t)len) < 0)
		return;
}

#define RATE_AFTER_NS 500000000ull /* a rate of less time says nothing */

void message_progress_events(const char *name, const char *what, uint64_t done, uint64_t all)
{
	static char at_hand[256];
	static uint64_t began_ns, before;
	char key[256], d[HUMAN_MAX], a[HUMAN_MAX], r[HUMAN_MAX], l[HUMAN_MAX], of[HUMAN_MAX + 8] = "", rate_text[128] = "";
	uint64_t now_ns = clock_monotonic_ns(), took_ns;

	snprintf(key, sizeof(key), "%s%s%s", name, *name ? ": " : "", what);
	/* Another piece of work begins, or the same one anew. */
	if (strcmp(key, at_hand) != 0 || done < before) {
		snprintf(at_hand, sizeof(at_hand), "%s", key);
		began_ns = now_ns;
	}
	before = done;
	took_ns = now_ns - began_ns;
	if (all)
		snprintf(of, sizeof(of), " of %s", human_count(a, all > done ? all : done));
	if (took_ns > RATE_AFTER_NS && done) {
		double rate = (double)done * 1e9 / (double)took_ns;

		snprintf(rate_text, sizeof(rate_text), ", %s/s%s%s", human_count(r, (uint64_t)rate), all > done ? ", left: " : "",
			 all > done ? human_ns(l, (uint64_t)((double)(all - done) / rate * 1e9)) : "");
	}
	message_progress("%s%s%s%s events%s", key, *key ? ", " : "", human_count(d, done), of, rate_text);
}

bool message_wants_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(fd) && !(no_color && *no_color);
}

struct unit {
	double size;
	const char *name;
};

/* Three significant digits in the largest unit that keeps the number at or above one. */
static const char *human_scaled(char *buf, uint64_t value, const struct unit *units, const char *small_unit)
{
	for (; units->name; units++) {
		double scaled = (double)value / units->size;

		if (scaled >= 1) {
			/* The bounds are what rounds up to one more digit. */
			snprintf(buf, HUMAN_MAX, "%.*f %s", scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2, scaled, units->name);
			return buf;
		}
	}
	snprintf(buf, HUMAN_MAX, "%llu%s%s", (unsigned long long)value, *small_unit ? " " : "", small_unit);
	return buf;
}

const char *human_nbytes(char *buf, uint64_t nbytes)
{
	static const struct unit units[] = { { 1099511627776.0, "TiB" }, { 1073741824.0, "GiB" }, { 1048576.0, "MiB" },
					     { 1024.0, "KiB" },		 { 0, NULL } };

	return human_scaled(buf, nbytes, units, "B");
}

const char *human_count(char *buf, uint64_t n)
{
	static const struct unit units[] = { { 1e9, "G" }, { 1e6, "M" }, { 1e4, "k" }, { 0, NULL } };

	/* Below ten thousand the exact number is shorter to read than a rounded one. */
	if (n < 10000) {
		snprintf(buf, HUMAN_MAX, "%llu", (unsigned long long)n);
		return buf;
	}
	return human_scaled(buf, n, (const struct unit[]){ units[0], units[1], { 1e3, "k" }, { 0, NULL } }, "");
}

const char *human_ns(char *buf, uint64_t ns)
{
	static const struct unit units[] = { { 60e9, "min" }, { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" }, { 0, NULL } };

	/* Seconds are read more easily than fractions of a minute up to two minutes. */
	if (ns >= 1000000000 && ns < 120000000000)
		return human_scaled(buf, ns, units + 1, "ns");
	return human_scaled(buf, ns, units, "ns");
}
