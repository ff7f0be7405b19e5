/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * message.h - what a person reads on stderr, and numbers for people.
 *
 * Each message is one line "heaptape: ...". Used by cmd_*.c and where a file name, pid or offset is known.
 * Safe from several threads: one write a line.
 */
#ifndef HEAPTAPE_MESSAGE_H
#define HEAPTAPE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* -1: errors only (-q), 0: normal, 1: verbose (-v) */
extern int message_level;

/* Every line of this process begins with the name, and it shows no progress: it is one of several. The text is the caller's. */
void message_name(const char *name);

void message_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void message_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));    /* "heaptape: warning: ..." unless -q */
void message_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));    /* unless -q */
void message_verbose(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* with -v */
/* One line that is rewritten in place, on a terminal only; NULL ends it. Call as often as you like: at most 10 a second are drawn. */
void message_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same for events of a tape, with their rate and, where it is known how many there are (all, else 0), the time that is left. */
void message_progress_events(const char *name, const char *what, uint64_t done, uint64_t all);
/* From true on lines are kept, and shown at false: the terminal is taken. No progress is shown. */
void message_hold(bool hold);

/* Colours are wanted on this file descriptor: a terminal, NO_COLOR unset. */
bool message_wants_colour(int fd);

#define HUMAN_MAX 32
/* "1.5 GiB", "512 B"; "4.1 M"; "12.3 s", "350 us". buf holds HUMAN_MAX bytes and is returned. */
const char *human_nbytes(char *buf, uint64_t nbytes);
const char *human_count(char *buf, uint64_t n);
const char *human_ns(char *buf, uint64_t ns);

#endif
