/* SPDX-License-Identifier: BSD-2-Clause */
/* tape_copy.h - the whole blocks of a tape, which may be a ring's folder or still being written, as one file. */
#ifndef HEAPTAPE_TAPE_COPY_H
#define HEAPTAPE_TAPE_COPY_H

#include "file_parts.h"

/*
 * Copies up to the last whole block as of file_parts_open, and adds why it was made (a word, TAPE.md "copy.cause") and an
 * END block. 0 or -errno (-EBADMSG: no tape).
 */
int tape_copy(const struct file_parts *from, const char *cause, int fd);

#endif
