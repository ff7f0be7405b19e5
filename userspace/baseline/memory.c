/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c - see memory.h. */
#include "baseline/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES 512 /* of one call: at most IOV_MAX, 1024 */
#define ENTRIES 512 /* of the pagemap, read at once */
#define ENTRY_PRESENT_LG 62 /* in memory (63) or swapped (62) */

size_t memory_read(pid_t pid, uint64_t addr, void *buf, size_t nbytes)
{
	struct iovec to = { buf, nbytes }, from = { (void *)(uintptr_t)addr, nbytes };
	ssize_t got = process_vm_readv(pid, &to, 1, &from, 1, 0);

	return got > 0 ? (size_t)got : 0;
}

/* A read ends at the first piece that is not there: the next one begins behind it. */
void memory_gather(pid_t pid, const uint64_t *addrs, size_t nr, size_t each, void *buf)
{
	uint8_t *out = buf;

	for (size_t done = 0; done < nr;) {
		struct iovec from[PIECES], to = { out + done * each, 0 };
		size_t n = nr - done < PIECES ? nr - done : PIECES, whole;
		ssize_t got;

		for (size_t i = 0; i < n; i++)
			from[i] = (struct iovec){ (void *)(uintptr_t)addrs[done + i], each };
		to.iov_len = n * each;
		got = process_vm_readv(pid, &to, 1, from, n, 0);
		whole = got > 0 ? (size_t)got / each : 0;
		done += whole;
		if (whole < n)
			memset(out + done++ * each, 0, each);
	}
}

void memory_read_sparse(pid_t pid, int pagemap_fd, uint64_t addr, void *buf, uint64_t nbytes)
{
	uint64_t entries[ENTRIES], nr_pages = nbytes / MEMORY_PAGE;

	memset(buf, 0, nbytes);
	for (uint64_t done = 0; done < nr_pages; done += ENTRIES) {
		uint64_t want = nr_pages - done < ENTRIES ? nr_pages - done : ENTRIES;
		ssize_t got = pread(pagemap_fd, entries, want * 8, (off_t)((addr / MEMORY_PAGE + done) * 8));
		uint64_t nr = got > 0 ? (uint64_t)got / 8 : 0;

		for (uint64_t i = 0, end; i < nr; i = end) {
			for (end = i; end < nr && entries[end] >> ENTRY_PRESENT_LG; end++)
				;
			if (end > i)
				memory_read(pid, addr + (done + i) * MEMORY_PAGE, (uint8_t *)buf + (done + i) * MEMORY_PAGE,
					    (end - i) * MEMORY_PAGE);
			else
				end = i + 1;
		}
	}
}

int words_add(struct words *w, uint64_t word)
{
	if (w->nr == w->room) {
		size_t room = w->room ? 2 * w->room : 1024;
		uint64_t *list = reallocarray(w->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		w->list = list;
		w->room = room;
	}
	w->list[w->nr++] = word;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void words_sort(struct words *w)
{
	size_t nr = 0;

	if (w->nr)
		qsort(w->list, w->nr, sizeof(*w->list), compare);
	for (size_t i = 0; i < w->nr; i++)
		if (!nr || w->list[nr - 1] != w->list[i])
			w->list[nr++] = w->list[i];
	w->nr = nr;
}

int words_has(const struct words *w, uint64_t word)
{
	return w->nr && bsearch(&word, w->list, w->nr, sizeof(word), compare) != NULL;
}

size_t words_seek(const struct words *list, size_t near, uint64_t word)
{
	size_t low = 0, high = list->nr;

	if (!near || list->list[near - 1] < word) {
		low = near;
		if (near == list->nr || list->list[near] >= word)
			return near;
	}
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list->list[mid] < word)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool words_at(const struct words *list, size_t i, uint64_t word)
{
	return i < list->nr && list->list[i] == word;
}

void words_free(struct words *w)
{
	free(w->list);
	*w = (struct words){ 0 };
}
