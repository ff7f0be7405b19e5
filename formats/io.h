/* SPDX-License-Identifier: BSD-2-Clause */
/* io.h - read and write in full: the one place that knows EINTR and short counts. */
#ifndef HEAPTAPE_IO_H
#define HEAPTAPE_IO_H

#include <stddef.h>
#include <stdint.h>

/* Writes all of data. 0 or -errno; what a failed call wrote is unknown. */
int io_write_all(int fd, const void *data, size_t nbytes);
/* Reads up to nbytes at offset, fewer only at the end of the file. Bytes read or -errno. */
long io_pread_all(int fd, void *data, size_t nbytes, uint64_t offset);

#endif
