/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * find.h - the files that name code: the binary itself, its debug file, and what debug files share (dwz).
 *
 * Looked for where distributions put them. Nothing is believed by its path: a file counts only if its build id, or
 * where there is none its link's checksum, is the right one; a file that is not is told of. No network is touched
 * unless `debuginfod` is set.
 */
#ifndef HEAPTAPE_FIND_H
#define HEAPTAPE_FIND_H

#include <elfutils/libdw.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIND_WHY_MAX 1024

struct find {
	const char *const *debug_dirs; /* looked into first */
	size_t nr_debug_dirs;
	int root_fd;	      /* paths of modules are below this folder (a target's root); -1: below / */
	uint64_t recorded_at; /* seconds of the wall clock: a file without build id that is newer is another; 0: unknown */
	bool debuginfod;
	/* A line about a file that was not used. May be NULL. */
	void (*tell)(void *arg, const char *line);
	void *arg;
};

/* An ELF file that proved right; fd -1: none. */
struct found {
	int fd;
	Elf *elf;
	char *path; /* to read it again, or to name it */
};

#define FOUND_NONE ((struct found){ .fd = -1 })

void found_close(struct found *f);
/* The binary of a module: path as the target saw it, build id in hex or "". */
struct found find_binary(const struct find *f, const char *path, const char *build_id);
/* The debug file of a binary (NULL if that was not found), by build id, then by .gnu_debuglink. */
struct found find_debug(const struct find *f, const struct found *binary, const char *path, const char *build_id);
/* What `dwarf`, read from `debug_path`, shares with other debug files; *needed_ret: it does. Tells when it is not there. */
struct found find_shared(const struct find *f, Dwarf *dwarf, const char *debug_path, bool *needed_ret);

#endif
