/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.h - a live process's memory in big pieces, or many small ones at once (process_vm_readv).
 *
 * The process runs on meanwhile: what is copied is no picture of one instant.
 */
#ifndef HEAPTAPE_MEMORY_H
#define HEAPTAPE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MEMORY_PAGE 4096ull

/* Copies from addr on as much as can be read: the number of bytes, 0 if there are none. */
size_t memory_read(pid_t pid, uint64_t addr, void *buf, size_t nbytes);
/* nr pieces of `each` bytes to buf, one behind the other. What cannot be read is 0 there. */
void memory_gather(pid_t pid, const uint64_t *addrs, size_t nr, size_t each, void *buf);
/*
 * Whole pages from addr, a multiple of MEMORY_PAGE, on: those that are not there, by the process's pagemap file, are zero and
 * are not asked for, so that looking at memory that was never used makes none.
 */
void memory_read_sparse(pid_t pid, int pagemap_fd, uint64_t addr, void *buf, uint64_t nbytes);

/* Addresses, or whatever else has 64 bits. */
struct words {
	uint64_t *list;
	size_t nr, room;
};

/* 0 or -ENOMEM. */
int words_add(struct words *w, uint64_t word);
/* Ascending, each once. */
void words_sort(struct words *w);
/* Of a sorted list: the first that is not below word; near: where the last search ended, as most come in ascending runs. */
size_t words_seek(const struct words *list, size_t near, uint64_t word);
bool words_at(const struct words *list, size_t i, uint64_t word);
/* Of a sorted list. */
int words_has(const struct words *w, uint64_t word);
void words_free(struct words *w);

#endif
