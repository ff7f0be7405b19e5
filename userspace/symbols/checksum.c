/* SPDX-License-Identifier: BSD-2-Clause */
/* checksum.c - see checksum.h. */
#include "checksum.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#include "formats/io.h"

#define PART_NBYTES (256u << 10)

int checksum_file(int fd, uint32_t *sum_ret)
{
	unsigned char *part = malloc(PART_NBYTES);
	uLong sum = crc32(0, NULL, 0);
	uint64_t offset = 0;
	long n = -ENOMEM;

	while (part && (n = io_pread_all(fd, part, PART_NBYTES, offset)) > 0) {
		sum = crc32(sum, part, (uInt)n);
		offset += (uint64_t)n;
	}
	free(part);
	*sum_ret = (uint32_t)sum;
	return (int)n;
}
