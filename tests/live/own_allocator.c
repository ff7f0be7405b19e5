/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * own_allocator: a program with a prefixed allocator inside (je_malloc, je_free) that carves its blocks out of libc's:
 * level 2 of rule "once". Prints how many of each it made. Waits for a line on stdin first.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define POOL_NBYTES 65536
#define BLOCK_NBYTES 64

static char *pool;
static size_t pool_used = POOL_NBYTES;
static unsigned nr_pools, nr_blocks;

void *je_malloc(size_t n);
void je_free(void *p);

__attribute__((noinline)) void *je_malloc(size_t n)
{
	if (n > BLOCK_NBYTES)
		return NULL;
	if (pool_used + BLOCK_NBYTES > POOL_NBYTES) {
		pool = malloc(POOL_NBYTES);
		nr_pools++;
		pool_used = BLOCK_NBYTES; /* the first block is the pool's own: none begins where the pool does */
	}
	pool_used += BLOCK_NBYTES;
	nr_blocks++;
	return pool + pool_used - BLOCK_NBYTES;
}

__attribute__((noinline)) void je_free(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

int main(void)
{
	char line[8], text[64];

	if (read(STDIN_FILENO, line, sizeof(line)) < 0)
		return 1;
	for (int i = 0; i < 5000; i++) {
		void *p = je_malloc(1 + (size_t)i % BLOCK_NBYTES);

		if (i % 2)
			je_free(p);
	}
	/* Not by printf, which would allocate. */
	return write(STDOUT_FILENO, text, (size_t)snprintf(text, sizeof(text), "pools %u blocks %u\n", nr_pools, nr_blocks)) < 0;
}
