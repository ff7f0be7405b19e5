/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file_parts.h - a tape's bytes as one row, whether it is a file or a ring's folder of segment files (TAPE.md "Ring").
 *
 * Of the second and later files the head is left out, so that the row is what a single file would be.
 */
#ifndef HEAPTAPE_FILE_PARTS_H
#define HEAPTAPE_FILE_PARTS_H

#include <stddef.h>
#include <stdint.h>

#define FILE_PART_NAME "%010u.seg" /* of a segment's file, by its number */

struct file_part {
	int fd;
	uint64_t start;  /* in the row */
	uint64_t nbytes; /* in the row */
	uint64_t skip;   /* bytes of the file in front of them */
};

struct file_parts {
	struct file_part *parts;
	size_t nr, cap;
	uint64_t nbytes;
};

/* 0; -EISDIR: a folder without segments; -EINVAL: neither file nor folder; -errno. Close in any case. */
int file_parts_open(struct file_parts *f, const char *path);
void file_parts_close(struct file_parts *f);
/* Up to nbytes at an offset of the row, fewer only at its end. Bytes read or -errno. */
long file_parts_read(const struct file_parts *f, void *data, size_t nbytes, uint64_t offset);

#endif
