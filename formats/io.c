/* SPDX-License-Identifier: BSD-2-Clause */
/* io.c - see io.h. */
#include "io.h"

#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

int io_write_all(int fd, const void *data, size_t nbytes)
{
	const char *p = data;

	while (nbytes) {
		ssize_t n = write(fd, p, nbytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO; /* no progress and no reason: never spin on it */
		p += n;
		nbytes -= (size_t)n;
	}
	return 0;
}

long io_pread_all(int fd, void *data, size_t nbytes, uint64_t offset)
{
	size_t done = 0;

	while (done < nbytes) {
		ssize_t n = pread(fd, (char *)data + done, nbytes - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (long)done;
}
