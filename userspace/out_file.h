/* SPDX-License-Identifier: BSD-2-Clause */
/* out_file.h - the file that a verb writes about a tape: never the tape itself, never over another unless told to. */
#ifndef HEAPTAPE_OUT_FILE_H
#define HEAPTAPE_OUT_FILE_H

#include <stdbool.h>

/* A descriptor (mode 0600: what it will hold tells as much as the tape), or -1 after printing why. */
int out_file_open(const char *path, const char *tape_path, bool overwrite);

#endif
