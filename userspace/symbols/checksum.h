/* SPDX-License-Identifier: BSD-2-Clause */
/* checksum.h - CRC-32 of a whole file, which .gnu_debuglink holds of the file it names. */
#ifndef HEAPTAPE_CHECKSUM_H
#define HEAPTAPE_CHECKSUM_H

#include <stdint.h>

/* 0 or -errno. */
int checksum_file(int fd, uint32_t *sum_ret);

#endif
