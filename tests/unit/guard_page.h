/* SPDX-License-Identifier: BSD-2-Clause */
/* guard_page.h - bytes that end where no page is: a parser that reads on ends the test. */
#ifndef HEAPTAPE_TEST_GUARD_PAGE_H
#define HEAPTAPE_TEST_GUARD_PAGE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Where bytes must end that nobody may read past: the start of an unmapped page, room bytes behind a mapped one. */
static inline uint8_t *guard_page_end(size_t room)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), nbytes = (room + page - 1) / page * page;
	uint8_t *p = mmap(NULL, nbytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + nbytes, page, PROT_NONE))
		exit(1);
	return p + nbytes;
}

#endif
