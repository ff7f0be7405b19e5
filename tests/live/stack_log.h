/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stack_log.h - what a program, or a preloaded library, knows of its own call stacks, in a file for compare_stacks.
 *
 * The file is mapped, so that nothing is lost however the process ends. Each sample is followed at once by a call of
 * malloc that must fail, with MARK + its number as size: so the sample is found on the tape as the event before that one.
 */
#ifndef HEAPTAPE_STACK_LOG_H
#define HEAPTAPE_STACK_LOG_H

#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define STACK_LOG_MARK (1ull << 62)
#define STACK_LOG_FRAMES 500
#define STACK_LOG_WITHIN (1ull << 63) /* not this place, but somewhere in the function that begins there */
enum { STACK_LOG_SAMPLES = 8192, STACK_LOG_MODULES = 256, STACK_LOG_NAME = 248 };

struct stack_log_sample {
	uint32_t tid, nr; /* nr written last: 0 is a sample that is not whole */
	uint64_t open;    /* the stack goes on, but who took the sample could not follow it */
	uint64_t addr, size;
	uint64_t frames[STACK_LOG_FRAMES]; /* module << 48 | file offset, innermost first; module 0: an address */
};

struct stack_log {
	uint32_t nr_samples, nr_modules, nr_ranges, pad;
	struct {
		char name[STACK_LOG_NAME];
	} modules[STACK_LOG_MODULES]; /* from 1 */
	/* Only frames in one of these are known, and to be compared; none: all are. */
	struct {
		uint64_t start, end;
	} ranges[STACK_LOG_MODULES]; /* as frames */
	struct stack_log_sample samples[STACK_LOG_SAMPLES];
};

/* STACK_LOG names the file; NULL without it. */
static inline struct stack_log *stack_log_open(void)
{
	const char *path = getenv("STACK_LOG");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	void *mapped;

	if (fd < 0 || ftruncate(fd, sizeof(struct stack_log)))
		return NULL;
	mapped = mmap(NULL, sizeof(struct stack_log), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return mapped == MAP_FAILED ? NULL : mapped;
}

struct stack_log_find {
	struct stack_log *log;
	uint64_t addr, frame;
};

static inline int stack_log_segment(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct stack_log_find *find = arg;
	struct stack_log *log = find->log;
	const char *name = info->dlpi_name;
	char exe[STACK_LOG_NAME] = "";
	uint32_t m;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type != PT_LOAD || find->addr < start || find->addr > start + ph->p_memsz)
			continue;
		if (!*name && readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0)
			name = exe;
		for (m = 1; m <= log->nr_modules; m++)
			if (!strcmp(log->modules[m].name, name))
				break;
		if (m > log->nr_modules && m < STACK_LOG_MODULES) {
			strncpy(log->modules[m].name, name, STACK_LOG_NAME - 1);
			log->nr_modules = m;
		}
		find->frame = (uint64_t)m << 48 | (find->addr - start + ph->p_offset);
		return 1;
	}
	return 0;
}

static inline uint64_t stack_log_frame(struct stack_log *log, uint64_t addr)
{
	struct stack_log_find find = { log, addr & ~STACK_LOG_WITHIN, addr };

	dl_iterate_phdr(stack_log_segment, &find);
	return find.frame | (addr & STACK_LOG_WITHIN);
}

static inline void stack_log_range(struct stack_log *log, uint64_t start, uint64_t end)
{
	uint64_t first = stack_log_frame(log, start), last = stack_log_frame(log, end);
	uint32_t i;

	for (i = 0; i < log->nr_ranges; i++)
		if (log->ranges[i].start == first && log->ranges[i].end == last)
			return;
	if (i == STACK_LOG_MODULES)
		return;
	log->ranges[i].start = first;
	log->ranges[i].end = last;
	log->nr_ranges = i + 1;
}

/* Takes a sample; its number is for the mark, STACK_LOG_SAMPLES when the log is full. */
static inline uint32_t stack_log_add(struct stack_log *log, uint32_t tid, const void *addr, uint64_t size, const uint64_t *pcs,
				     uint32_t nr, int open_ended)
{
	uint32_t i = __atomic_fetch_add(&log->nr_samples, 1, __ATOMIC_RELAXED);
	struct stack_log_sample *s;

	if (i >= STACK_LOG_SAMPLES) {
		__atomic_store_n(&log->nr_samples, STACK_LOG_SAMPLES, __ATOMIC_RELAXED);
		return STACK_LOG_SAMPLES;
	}
	s = &log->samples[i];
	s->tid = tid;
	s->addr = (uint64_t)(uintptr_t)addr;
	s->size = size;
	s->open = (uint64_t)open_ended;
	if (nr > STACK_LOG_FRAMES)
		nr = STACK_LOG_FRAMES;
	for (uint32_t k = 0; k < nr; k++)
		s->frames[k] = stack_log_frame(log, pcs[k]);
	s->nr = nr;
	return i;
}

#endif
