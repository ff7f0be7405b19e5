/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process_folder.h - a folder of tapes, one for each process of a family (TAPE.md "Processes").
 *
 * A child's place in the family is what its own tape says. Pure: knows no process.
 */
#ifndef HEAPTAPE_PROCESS_FOLDER_H
#define HEAPTAPE_PROCESS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCESS_TAPE_SUFFIX ".tape"

struct process_tape {
	char file[64];        /* in the folder */
	char parent_file[64]; /* "": of the first process, or not known */
	char start[16];       /* attach, command, fork, exec; "": not known */
	uint64_t pid, parent; /* parent 0: the first */
	uint64_t start_ns;    /* on the clock of all */
	unsigned depth;       /* 0: the first */
};

struct process_folder {
	struct process_tape *tapes; /* the first process first, then each one's children behind it, by time */
	size_t nr;
};

/* PID.tape or PID-N.tape, and nothing else. */
bool process_tape_is_name(const char *name);
/* -ENOTDIR: no folder; -ENOENT: one without such tapes; -errno. Files that cannot be read as tapes are left out. */
int process_folder_read(const char *path, struct process_folder *f);
void process_folder_free(struct process_folder *f);
/* Puts them in their order, and sets depth: parents by their files' names. A parent that is not there makes a child a first one. */
int process_folder_sort(struct process_folder *f);

#endif
