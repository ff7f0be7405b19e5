/* SPDX-License-Identifier: BSD-2-Clause */
/* files.h - reading small files of /proc whole, and what goes wrong with reads and writes, once for all. */
#ifndef HEAPTAPE_FILES_H
#define HEAPTAPE_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The whole file as a string (NUL added), for free(); *nbytes_ret may be NULL. Files of /proc have no size: reads to the
 * end. At most 64 MiB (-EFBIG). dir_fd may be AT_FDCWD. */
int file_read_all_at(int dir_fd, const char *name, char **text_ret, size_t *nbytes_ret);
/* The first line without its newline into buf ("" if empty); -errno. */
int file_read_line_at(int dir_fd, const char *name, char *buf, size_t buf_nbytes);
/* A decimal number that is all of the file's first line; -errno. */
int file_read_u64_at(int dir_fd, const char *name, uint64_t *value_ret);
/* "Name:   123 kB" of a file of that form, in bytes; -ENOENT if no such line stands in text. */
int text_find_kb(const char *text, const char *name, uint64_t *nbytes_ret);

#endif
